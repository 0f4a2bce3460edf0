//! What happens on a terminal: questions, progress, refusals. The terminal is
//! the one that `script` (util-linux) makes.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::common::group::wait_until;
use crate::common::{CHEAP, Dir, Done, paint};
use rustix::fs::{Mode, OFlags};
use rustix::termios::LocalModes;

/// Runs a shell script on a terminal of its own and types `keys`, each after
/// the text that it waits for has appeared. Gives what the terminal showed,
/// or `None` when there is no `script` to make one.
fn on_terminal(dir: &Dir, script: &str, dialogue: &[(&str, &str)]) -> Option<(i32, String)> {
    let dialogue: Vec<_> =
        dialogue.iter().map(|(prompt, keys)| (*prompt, keys.as_bytes())).collect();
    on_terminal_bytes(dir, script, &dialogue)
}

fn on_terminal_bytes(dir: &Dir, script: &str, dialogue: &[(&str, &[u8])]) -> Option<(i32, String)> {
    let mut on = OnTerminal::start(dir, script)?;
    for (prompt, keys) in dialogue {
        on.wait_for(&[prompt]);
        on.answer(keys);
    }
    on.end()
}

/// The same where the questions come in any order, each once.
fn answer_each(dir: &Dir, script: &str, answers: &[(&str, &str)]) -> Option<(i32, String)> {
    let mut on = OnTerminal::start(dir, script)?;
    let mut left = answers.to_vec();
    while !left.is_empty() {
        let prompts: Vec<_> = left.iter().map(|(prompt, _)| *prompt).collect();
        let (_, keys) = left.remove(on.wait_for(&prompts));
        on.answer(keys.as_bytes());
    }
    on.end()
}

struct OnTerminal {
    child: Child,
    stdin: ChildStdin,
    drain: JoinHandle<std::io::Result<u64>>,
    shown: PathBuf,
    seen: usize,
}

impl OnTerminal {
    fn start(dir: &Dir, script: &str) -> Option<Self> {
        if Command::new("script").arg("--version").output().is_err() {
            eprintln!("skipped: this test needs the program `script` (util-linux)");
            return None;
        }
        let shown = dir.path("shown");
        let command = format!("{script}; echo \"[$?]\"");
        // As from a shell, however the tests were started.
        let signals = "--default-signal=INT,QUIT,HUP,TERM,TSTP";
        let mut run =
            dir.shell(&format!(r#"exec env {signals} script -q -e -f -c "$SCRIPT" shown"#));
        run = run
            .env("SCRIPT", command)
            .env("SHELL", "/bin/bash")
            .env("CHEAP", CHEAP)
            .env("TERM", "xterm");
        let mut child = run.spawn();
        let stdin = child.stdin.take().unwrap();
        let drain = child.stdout.take().unwrap();
        let drain = thread::spawn(move || std::io::copy(&mut { drain }, &mut std::io::sink()));
        Some(Self { child, stdin, drain, shown, seen: 0 })
    }

    /// What the terminal has shown, less the lines that `script` puts around it,
    /// the first of which has the script itself.
    fn text(shown: &Path) -> String {
        let bytes = std::fs::read(shown).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let text = text.split_once('\n').map_or("", |(_, text)| text);
        text.split("\nScript done on ").next().unwrap_or_default().to_owned()
    }

    /// Waits until one of `texts` has appeared, and says which.
    fn wait_for(&mut self, texts: &[&str]) -> usize {
        let start = Instant::now();
        loop {
            let text = Self::text(&self.shown);
            let new = text.get(self.seen..).unwrap_or_default();
            let found = texts.iter().map(|text| new.find(text).map(|at| at + text.len()));
            let first = found.enumerate().filter_map(|(i, end)| Some((end?, i))).min();
            if let Some((end, number)) = first {
                self.seen += end;
                return number;
            }
            assert!(start.elapsed() < crate::common::PATIENCE, "none of {texts:?} in {text:?}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn answer(&mut self, keys: &[u8]) {
        if keys.is_empty() {
            return;
        }
        // The answer to a hidden question is not what was typed before it.
        let child = self.child.id();
        wait_until("the echo is off", || is_hidden(child));
        self.press(keys);
    }

    /// Types what is shown.
    fn press(&mut self, keys: &[u8]) {
        self.stdin.write_all(keys).unwrap();
        self.stdin.flush().unwrap();
    }

    fn end(self) -> Option<(i32, String)> {
        let Self { mut child, stdin, drain, shown, .. } = self;
        crate::common::wait_status(&mut child);
        drop(stdin);
        let _ = drain.join();
        let text = Self::text(&shown);
        std::fs::remove_file(&shown).unwrap();
        let number = |(at, _)| text[at + 1..].split_once(']')?.0.parse().ok();
        let code = text.rmatch_indices('[').find_map(number);
        let code = code.unwrap_or_else(|| panic!("no exit status in {text:?}"));
        Some((code, text))
    }
}

/// Whether the terminal that `script` has made does not show what is typed, and
/// still takes Ctrl-C and the like for signals.
fn is_hidden(script: u32) -> bool {
    let children = std::fs::read_to_string(format!("/proc/{script}/task/{script}/children"));
    let Ok(shell) = children.unwrap_or_default().trim().parse::<u32>() else { return false };
    // Opening it through the link would make it the test's own terminal.
    let flags = OFlags::RDONLY | OFlags::NOCTTY | OFlags::CLOEXEC;
    let terminal = rustix::fs::open(format!("/proc/{shell}/fd/0"), flags, Mode::empty());
    let modes = terminal.and_then(rustix::termios::tcgetattr);
    let signals = LocalModes::ICANON | LocalModes::ISIG;
    modes.is_ok_and(|modes| modes.local_modes & (LocalModes::ECHO | signals) == signals)
}

#[test]
fn a_passphrase_is_asked_for_twice_and_never_shown() {
    let dir = Dir::new();
    dir.write("plain", "content");
    let dialogue = [("New passphrase", "pass word\r"), ("Confirm", "pass word\r")];
    let Some((code, text)) = on_terminal(&dir, "$CS encrypt -p plain $CHEAP", &dialogue) else {
        return;
    };
    assert_eq!(code, 0, "{text}");
    assert!(!text.contains("pass word"), "{text}");
    let done: Done = dir.run(&["decrypt", "plain.enc", "-", "--key", "pass word"]);
    assert_eq!(done.ok().stdout, b"content");

    let dialogue = [("Passphrase", "pass word\r")];
    let (code, text) = on_terminal(&dir, "$CS decrypt -p plain.enc out", &dialogue).unwrap();
    assert_eq!(code, 0, "{text}");
    assert_eq!(dir.read("out"), b"content");
}

#[test]
fn protected_keys_ask_for_their_passphrase_once() {
    let dir = Dir::new();
    dir.write("plain", "content");
    let data = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    dir.write("ssh", std::fs::read(data.join("ssh_protected")).unwrap());
    dir.shell("chmod 600 ssh; $CS encrypt -i ssh plain sealed.age").run().ok();
    dir.keygen("id");
    dir.shell("$CS encrypt -i id plain; $CS encrypt id --key house --argon2id=64MiB").run().ok();
    dir.shell("$CS encrypt id --key house --scrypt=16 --format age; rm id").run().ok();
    for (script, prompt, word) in [
        ("$CS decrypt -i ssh sealed.age out", "the SSH key in ssh:", "horse\r"),
        ("$CS decrypt -i id.enc plain.enc out", "the identity file id.enc:", "house\r"),
        ("$CS decrypt -i id.age plain.enc out", "the identity file id.age:", "house\r"),
        ("$CS encrypt -i id.age plain out", "the identity file id.age:", "house\r"),
    ] {
        let Some((code, text)) = on_terminal(&dir, script, &[(prompt, word)]) else { return };
        assert_eq!(code, 0, "{text}");
        assert_eq!(text.matches("Passphrase").count(), 1, "{text}");
        std::fs::remove_file(dir.path("out")).unwrap();
        // As with age, a wrong one may be tried again, three times in all.
        let again = "Wrong passphrase. Passphrase of";
        let dialogue = [(prompt, "wrong\r"), (again, "wrong\r"), (again, word)];
        let (code, text) = on_terminal(&dir, script, &dialogue).unwrap();
        assert_eq!(code, 0, "{text}");
        std::fs::remove_file(dir.path("out")).unwrap();
        let dialogue = [(prompt, "wrong\r"), (again, "wrong\r"), (again, "wrong\r")];
        let (code, text) = on_terminal(&dir, script, &dialogue).unwrap();
        assert_eq!(code, 77, "{text}");
        assert!(text.contains("another passphrase") && !dir.path("out").exists(), "{text}");
    }
}

#[test]
fn two_different_answers_seal_nothing() {
    let dir = Dir::new();
    dir.write("plain", "content");
    let dialogue = [("New passphrase", "one\r"), ("Confirm", "two\r")];
    let Some((code, text)) = on_terminal(&dir, "$CS encrypt -p plain", &dialogue) else { return };
    assert_eq!(code, 64, "{text}");
    assert!(text.contains("not the same"), "{text}");
    assert_eq!(dir.snapshot().len(), 1);
}

#[test]
fn an_empty_answer_has_a_passphrase_made_and_shown() {
    let dir = Dir::new();
    dir.write("plain", "content");
    let dialogue = [("New passphrase", "\r")];
    let Some((code, text)) = on_terminal(&dir, "$CS encrypt -p plain $CHEAP", &dialogue) else {
        return;
    };
    assert_eq!(code, 0, "{text}");
    let made = text.split("The passphrase is: ").nth(1).unwrap().lines().next().unwrap().trim();
    assert_eq!(dir.run(&["decrypt", "plain.enc", "-", "--key", made]).ok().stdout, b"content");
    // It is shown even where nothing else is.
    let script = "$CS encrypt -p -q plain again $CHEAP 2> /dev/null";
    let (_, text) = on_terminal(&dir, script, &dialogue).unwrap();
    assert!(text.contains("The passphrase is: "), "{text}");
}

/// `stty -g` before and after: every setting of the terminal.
fn assert_terminal_is_as_before(dir: &Dir, text: &str) {
    assert_eq!(dir.read("before"), dir.read("after"), "{text}");
    for name in ["before", "after"] {
        std::fs::remove_file(dir.path(name)).unwrap();
    }
}

#[test]
fn keys_that_end_a_program_work_at_a_prompt_and_leave_the_terminal_as_it_was() {
    let dir = Dir::new();
    dir.write("plain", "content");
    let script = "trap 'echo the script heard it too' INT QUIT; stty -g > before; \
                  $CS encrypt -p plain; echo ended $?; stty -g > after";
    for (keys, ended) in [("abc\u{3}", "ended 130"), ("abc\u{1c}", "ended 131")] {
        let dialogue = [("New passphrase", keys), (ended, "")];
        let Some((_, text)) = on_terminal(&dir, script, &dialogue) else { return };
        // As the whole foreground group gets the signal, so does the script.
        assert!(text.contains("the script heard it too") && !text.contains("abc"), "{text}");
        assert_terminal_is_as_before(&dir, &text);
        assert_eq!(dir.snapshot().len(), 1);
    }
}

#[test]
fn signals_at_a_prompt_leave_the_terminal_as_it_was() {
    let dir = Dir::new();
    dir.write("plain", "content");
    for (signal, ended) in [("TERM", "ended 143"), ("HUP", "ended 129"), ("INT", "ended 130")] {
        let script = format!(
            "stty -g > before; (until stty -a < /dev/tty | grep -q -e '-echo '; do sleep 0.01; done; \
             kill -{signal} $(cat pid)) & \
             (echo $BASHPID > pid; exec $CS encrypt -p plain); echo ended $?; stty -g > after; rm pid"
        );
        let dialogue = [("New passphrase", ""), (ended, "")];
        let Some((_, text)) = on_terminal(&dir, &script, &dialogue) else { return };
        assert_terminal_is_as_before(&dir, &text);
        assert_eq!(dir.snapshot().len(), 1);
    }
}

#[test]
fn a_prompt_can_be_stopped_and_continued() {
    let dir = Dir::new();
    dir.write("plain", "content");
    let script = "set -m; stty -g > before; $CS encrypt -p plain $CHEAP; echo stopped $?; \
                  stty -g > after; fg; stty -g > later";
    let dialogue = [
        ("New passphrase", "abc\u{1a}"),
        ("stopped 14", ""),
        ("New passphrase", "pass word\r"),
        ("Confirm", "pass word\r"),
    ];
    let Some((code, text)) = on_terminal(&dir, script, &dialogue) else { return };
    assert_eq!(code, 0, "{text}");
    assert_eq!(dir.read("before"), dir.read("later"), "{text}");
    assert_terminal_is_as_before(&dir, &text);
    // What was typed before is no part of it.
    assert_eq!(
        dir.run(&["decrypt", "plain.enc", "-", "--key", "pass word"]).ok().stdout,
        b"content"
    );
}

#[test]
fn a_passphrase_is_the_bytes_that_were_typed() {
    let dir = Dir::new();
    dir.write("plain", "content");
    // Latin 1, an erased letter, and a tab.
    let script = "stty -iutf8; $CS decrypt plain.enc out";
    dir.write("word", b"gr\xfc\xdfe\tx");
    dir.run(&["encrypt", "plain", "--passphrase-file", "word", CHEAP]).ok();
    let typed = [("Passphrase for plain.enc", &b"gr\xfc\xdf\xffz\x7f\x7fe\tx\r"[..])];
    let Some((code, text)) = on_terminal_bytes(&dir, script, &typed) else { return };
    assert_eq!(code, 0, "{text}");
    assert_eq!(dir.read("out"), b"content");
}

#[test]
fn a_file_with_a_passphrase_asks_for_it_as_age_does() {
    let dir = Dir::new();
    dir.write("plain", "content");
    for args in [&["--key", "word", CHEAP][..], &["--key", "word", "--scrypt=16", "--format=age"]] {
        dir.run(&[&["encrypt", "plain", "sealed", "--force"], args].concat()).ok();
        let again = ("Wrong passphrase. Passphrase for sealed", "word\r");
        let dialogue = [("Passphrase for sealed", "wrong\r"), again];
        let script = "$CS decrypt sealed out --force";
        let Some((code, text)) = on_terminal(&dir, script, &dialogue) else { return };
        assert_eq!(code, 0, "{text}");
        assert_eq!(dir.read("out"), b"content");
    }
    let wrong = ("assphrase for sealed", "wrong\r");
    let (code, text) = on_terminal(&dir, "$CS verify sealed", &[wrong, wrong, wrong]).unwrap();
    assert!(code == 77 && text.contains("the passphrase is wrong"), "{text}");
    let end = ("Passphrase for sealed", "\u{4}");
    let (code, text) = on_terminal(&dir, "$CS verify sealed", &[end]).unwrap();
    assert!(code == 64 && text.contains("no passphrase was entered"), "{text}");
    let end = ("New passphrase", "\u{4}");
    let (code, text) = on_terminal(&dir, "$CS encrypt -p plain", &[end]).unwrap();
    assert!(code == 64 && text.contains("no passphrase was entered"), "{text}");
    // Not in a script, whose user would not see why it waits.
    let (code, text) =
        on_terminal(&dir, "$CS decrypt sealed - 2> errors; cat errors", &[]).unwrap();
    assert!(code == 0 && text.contains("use -p to be asked"), "{text}");
}

#[test]
fn a_folder_asks_once() {
    let dir = Dir::new();
    dir.shell("mkdir in; for i in 1 2 3; do echo $i > in/$i; done").run().ok();
    dir.run(&["encrypt", "in", "sealed", "--key", "word", CHEAP]).ok();
    let dialogue = [("Passphrase for sealed", "word\r")];
    let Some((code, text)) = on_terminal(&dir, "$CS decrypt sealed out", &dialogue) else { return };
    assert_eq!(code, 0, "{text}");
    assert_eq!(text.matches("Passphrase for").count(), 1, "{text}");
    assert_eq!(dir.read("out/3"), b"3\n");
}

#[test]
fn two_programs_in_one_pipe_ask_one_after_the_other() {
    let dir = Dir::new();
    dir.write("plain", "content");
    dir.run(&["encrypt", "plain", "a", "--key", "old", CHEAP]).ok();
    let script = "stty -g > before; $CS decrypt -p a - | $CS encrypt -p - b $CHEAP; \
                  stty -g > after";
    // Either may be first: the answer goes by what is asked.
    for _ in 0..5 {
        let Some((code, text)) = answer_each(
            &dir,
            script,
            &[
                ("Passphrase for a:", "old\r"),
                ("New passphrase for b", "new\r"),
                ("Confirm", "new\r"),
            ],
        ) else {
            return;
        };
        assert_eq!(code, 0, "{text}");
        assert_terminal_is_as_before(&dir, &text);
        assert_eq!(dir.run(&["decrypt", "b", "-", "--key", "new"]).ok().stdout, b"content");
        std::fs::remove_file(dir.path("b")).unwrap();
    }
}

#[test]
fn binary_does_not_go_to_a_terminal_unless_it_is_named() {
    let dir = Dir::new();
    dir.keygen("id");
    dir.write("plain", "readable\n");
    dir.write("binary", [0x1b, b'[', b'2', b'J', 0]);
    for name in ["plain", "binary"] {
        dir.run(&["encrypt", name, "-i", "id"]).ok();
    }
    let Some((code, text)) = on_terminal(&dir, "cat plain | $CS encrypt -i id", &[]) else {
        return;
    };
    assert_eq!(code, 64, "{text}");
    assert!(text.contains("terminal") && !text.contains("cryptstream/v1"), "{text}");
    let run = |script| on_terminal(&dir, script, &[]).unwrap();
    let (code, text) = run("cat plain | $CS encrypt -i id - - | head -c 14");
    assert!(code == 0 && text.contains("cryptstream/v1"), "{text}");
    let (code, text) = run("cat plain.enc | $CS decrypt -i id");
    assert!(code == 0 && text.contains("readable"), "{text}");
    let (code, text) = run("cat binary.enc | $CS decrypt -i id");
    assert!(code == 64 && text.contains("binary"), "{text}");
    let (code, text) = run("$CS encrypt -i id");
    assert!(code == 64 && text.contains("no input"), "{text}");
    let (code, text) = run("cat plain | $CS encrypt -i id --armor");
    assert!(code == 0 && text.contains("-----END AGE ENCRYPTED FILE-----"), "{text}");
}

#[test]
fn progress_appears_on_a_terminal_after_a_while_and_goes_again() {
    let dir = Dir::new();
    dir.keygen("id");
    dir.write("plain", paint(3 << 20));
    let slow =
        "(head -c 2M plain; sleep 0.8; head -c 2M plain; sleep 0.2) | $CS encrypt -i id - out";
    let Some((code, text)) = on_terminal(&dir, slow, &[]) else { return };
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("MiB · for "), "{text}");
    let (_, text) = on_terminal(&dir, &format!("{slow}2 --progress never"), &[]).unwrap();
    assert!(!text.contains(" · for "), "{text}");
    assert!(text.contains("- -> out2: 4.00 MiB -> "), "{text}");
    // A quick run shows none; on a busy machine it may take a few to be quick.
    wait_until("a run is quick", || {
        let start = Instant::now();
        let (_, text) = on_terminal(&dir, "$CS encrypt -i id plain --force", &[]).unwrap();
        let is_quick = start.elapsed() < Duration::from_millis(500);
        assert!(!is_quick || !text.contains(" % "), "{text}");
        is_quick
    });
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let dir = Dir::new();
    let Some((_, text)) = on_terminal(&dir, "$CS decrypt x.enc --key x", &[]) else { return };
    assert!(text.contains("\x1b[1;31merror:"), "{text}");
    for script in ["NO_COLOR=1 $CS decrypt x.enc --key x", "$CS decrypt x.enc --key x --no-color"] {
        let (_, text) = on_terminal(&dir, script, &[]).unwrap();
        assert!(text.contains("error:") && !text.contains("\x1b[1;31m"), "{text}");
    }
}

#[test]
fn a_first_frame_promises_nothing_and_units_are_the_same() {
    let dir = Dir::new();
    dir.write("plain", paint(3 << 20));
    // Half a second for the key, and the next frames come before there is a rate.
    let script = "(head -c 2M plain; sleep 0.7; head -c 2M plain; sleep 0.1) | \
                  $CS encrypt --key x --argon2id=256MiB,6 - out";
    let Some((code, text)) = on_terminal(&dir, script, &[]) else { return };
    assert_eq!(code, 0, "{text}");
    assert!(!text.contains(" left"), "{text}");
    dir.shell("mkdir in; head -c 100000 plain > in/a; head -c 100000 plain > in/b").run().ok();
    dir.keygen("id");
    let (_, text) = on_terminal(&dir, "$CS encrypt -i id in sealed", &[]).unwrap();
    assert!(text.contains("iB/s)") && !text.contains("MB/s"), "{text}");
}

#[test]
fn an_interruption_takes_the_bar_away_and_says_what_is_left() {
    let dir = Dir::new();
    dir.keygen("id");
    dir.write("plain", paint(3 << 20));
    for (command, words) in [
        ("encrypt -i id - out", "interrupted: no partial file was left"),
        ("encrypt -i id - - > out", "interrupted: what was written to standard output"),
    ] {
        // The shell goes on when the program dies of the signal.
        let script = format!(
            "trap : INT; stty -g > before; (cat plain; sleep 0.7; cat plain; sleep 60) | \
             $CS {command}; echo ended $?; stty -g > after; test -s out && echo remains; rm -f out"
        );
        let Some(mut on) = OnTerminal::start(&dir, &script) else { return };
        on.wait_for(&[" · for "]);
        on.press(b"\x03");
        on.wait_for(&["ended 130"]);
        let (_, text) = on.end().unwrap();
        assert!(text.contains(words), "{text}");
        let after = text.split("interrupted: ").nth(1).unwrap();
        assert!(!after.contains(" · for "), "{text}");
        // The other end of the pipe has ended as well, which is no end of the input.
        assert_eq!(text.contains("remains\r"), command.ends_with("> out"), "{text}");
        assert_terminal_is_as_before(&dir, &text);
        assert_eq!(dir.snapshot().len(), 2, "{:?}", dir.names());
    }
}

#[test]
fn a_bar_follows_the_size_of_the_terminal() {
    let dir = Dir::new();
    dir.keygen("id");
    dir.write("plain", paint(3 << 20));
    let script = "stty cols 120; (cat plain; sleep 0.7; cat plain; stty cols 40 < /dev/tty; \
                  sleep 0.3; cat plain; sleep 0.3) | $CS encrypt -i id - out";
    let Some((code, text)) = on_terminal(&dir, script, &[]) else { return };
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("standard input · ") && text.contains(" · for "), "{text}");
    // Narrower: neither the name nor words that it has no room for.
    assert!(text.contains("\u{1b}[2K9.00 MiB · ") || text.contains("K7.00 MiB · "), "{text}");
}

#[test]
fn typed_input_ends_once_and_does_not_mix_with_what_comes_out() {
    let dir = Dir::new();
    dir.keygen("id");
    let Some(mut on) = OnTerminal::start(&dir, "echo ready; $CS encrypt -i id - out") else {
        return;
    };
    on.wait_for(&["ready"]);
    on.press(b"one\rtwo\r\x04");
    let (code, text) = on.end().unwrap();
    assert_eq!(code, 0, "{text}");
    assert_eq!(dir.run(&["decrypt", "-i", "id", "out", "-"]).ok().stdout, b"one\ntwo\n");

    let mut on = OnTerminal::start(&dir, "echo ready; $CS encrypt -i id -a - -").unwrap();
    on.wait_for(&["ready"]);
    on.press(b"one\r");
    thread::sleep(Duration::from_millis(700));
    on.press(b"two\r\x04");
    let (code, text) = on.end().unwrap();
    assert_eq!(code, 0, "{text}");
    let begin = text.find("-----BEGIN AGE").unwrap();
    assert!(text.find("two").unwrap() < begin && !text.contains("for "), "{text}");
    let end = "-----END AGE ENCRYPTED FILE-----";
    let armor = &text[begin..text.find(end).unwrap() + end.len()];
    dir.write("armor", armor.replace('\r', ""));
    assert_eq!(dir.run(&["decrypt", "-i", "id", "armor", "-"]).ok().stdout, b"one\ntwo\n");
}

#[test]
fn a_folder_that_is_verified_has_one_line_where_all_is_well() {
    let dir = Dir::new();
    dir.keygen("id");
    dir.shell("mkdir in; for i in $(seq 20); do echo $i > in/$i; done").run().ok();
    dir.run(&["encrypt", "-i", "id", "in", "sealed"]).ok();
    let Some((code, text)) = on_terminal(&dir, "$CS verify -i id sealed", &[]) else { return };
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("20 files intact, 51 B") && !text.contains(".enc"), "{text}");
    let (_, text) = on_terminal(&dir, "$CS verify -v -i id sealed", &[]).unwrap();
    assert_eq!(text.matches(": intact").count(), 20, "{text}");
    // A line each for programs, as sha256sum -c has it.
    let lines = dir.run(&["verify", "-i", "id", "sealed"]).ok().stdout_text();
    assert_eq!(lines.matches(": intact").count(), 20, "{lines}");
    dir.shell("truncate -s -1 sealed/7.enc").run().ok();
    let (code, text) = on_terminal(&dir, "$CS verify -i id sealed", &[]).unwrap();
    assert_eq!(code, 65, "{text}");
    assert!(text.contains("7.enc: damaged") && text.contains("19 files intact"), "{text}");
    assert!(text.contains("1 damaged"), "{text}");
}

#[test]
fn a_file_that_is_done_has_a_line() {
    let dir = Dir::new();
    dir.keygen("id");
    dir.write("plain", "content");
    let Some((_, text)) = on_terminal(&dir, "$CS encrypt -i id plain", &[]) else { return };
    assert!(text.contains("plain -> plain.enc: 7 B -> "), "{text}");
    let (_, text) = on_terminal(&dir, "$CS encrypt -q -i id plain b", &[]).unwrap();
    assert!(!text.contains("->"), "{text}");
    // Not where the output is.
    let (_, text) = on_terminal(&dir, "$CS decrypt -i id plain.enc -", &[]).unwrap();
    assert!(text.contains("content") && !text.contains("->"), "{text}");
}
