//! Plugin keys, with a toy plugin that can misbehave in every way
//! (`tests/helpers/age_plugin_toy.rs`).

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::common::age_matrix::has_age;
use crate::common::group::Group;
use crate::common::pty::{Terminal, on_terminal};
use crate::common::{Dir, Run, test_bytes};
use bech32::{Bech32, Hrp};

const CONTENT_LEN: usize = 70_000;
/// Names of an encrypted file, in both formats.
const ENCRYPTED: [&str; 2] = ["encrypted.enc", "encrypted.age"];
/// Ways for a plugin to fail, and the expected message.
const FAILURES: [(&str, &str); 6] = [
    ("crash", "plugin"),
    ("crash-midway", "plugin"),
    ("garbage", "plugin"),
    ("error", "the toy is broken"),
    ("ask", "this is not the word"),
    ("confirm", "the toy was stopped"),
];

/// The plugin.
const TOY: &str = env!("CARGO_BIN_EXE_age-plugin-toy");

/// A folder with a file to encrypt and the identities of three keys of the toy plugin, and their
/// recipients.
fn dir() -> (Dir, [String; 3]) {
    let dir = Dir::new();
    dir.write("plain", test_bytes(CONTENT_LEN));
    let recipients = [1, 2, 3].map(|number: u8| {
        let text =
            |prefix| bech32::encode::<Bech32>(Hrp::parse(prefix).unwrap(), &[number; 16]).unwrap();
        let identity = text("age-plugin-toy-").to_uppercase();
        let name = format!("toy{number}");
        dir.shell(&format!("umask 077; echo {identity} > {name}")).run().ok();
        text("age1toy")
    });
    (dir, recipients)
}

/// The program, with the plugin in this mode.
fn command(dir: &Dir, mode: &str, args: &[&str]) -> Run {
    with_toy(dir.command(args), mode)
}

/// A script on a terminal, with the plugin in this mode.
fn script(mode: &str, command: &str) -> String {
    let folder = Path::new(TOY).parent().unwrap().display();
    format!("PATH='{folder}':\"$PATH\" AGE_PLUGIN_TOY={mode} {command}")
}

fn with_toy(run: Run, mode: &str) -> Run {
    let mut path = Path::new(TOY).parent().unwrap().as_os_str().to_owned();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap());
    run.env("PATH", path).env("AGE_PLUGIN_TOY", mode)
}

/// The program in a session without a terminal, where it cannot ask.
fn unattended(dir: &Dir, mode: &str, args: &[&str]) -> Run {
    let mut command = Command::new("setsid");
    command.arg("--wait").arg(env!("CARGO_BIN_EXE_cryptstream")).args(args);
    let mut run = dir.command(&[""]);
    command.current_dir(dir.root());
    crate::common::clear_defaults(&mut command);
    run.command = command;
    with_toy(run, mode)
}

#[track_caller]
fn opens(dir: &Dir, identity: &str, encrypted: &str) {
    command(dir, "", &["decrypt", "-i", identity, encrypted, "decrypted", "--force"])
        .run()
        .ok_and_silent();
    assert!(dir.read("decrypted") == test_bytes(CONTENT_LEN), "{identity}: {encrypted}");
}

#[test]
fn a_file_encrypted_to_a_plugin_key_is_decrypted_with_it() {
    let (dir, [one, two, _]) = dir();
    let public = dir.keygen("id");
    dir.write("recipients", format!("# theirs\n{two}\n{public}\n"));
    for encrypted in ENCRYPTED {
        for (keys, keys_that_open) in [
            (&["-r", &one][..], &["toy1"][..]),
            (&["-i", "toy2"], &["toy2"]),
            (&["-r", &one, "-r", &public, "-r", &two], &["toy1", "id", "toy2"]),
            (&["-R", "recipients", "-i", "toy1"], &["toy1", "id", "toy2"]),
        ] {
            let args = [&["encrypt", "plain", encrypted, "--force"], keys].concat();
            command(&dir, "", &args).run().ok_and_silent();
            for opener in keys_that_open {
                opens(&dir, opener, encrypted);
            }
        }
        // Among other keys, and with a key that does not fit.
        let args = ["decrypt", "-i", "toy3", "-i", "toy2", encrypted, "decrypted", "--force"];
        command(&dir, "", &args).run().ok_and_silent();
        let args = ["decrypt", "-i", "toy3", encrypted, "new"];
        dir.fails(command(&dir, "", &args), 77, &["no key fits"]);
    }
}

/// Another program judges whether the toy speaks the plugin protocol.
#[test]
fn age_uses_the_same_plugin() {
    if !has_age() {
        return;
    }
    let (dir, [one, two, _]) = dir();
    let script = format!("age -r {one} -r {two} -o theirs.age plain");
    with_toy(dir.shell(&script), "").run().ok();
    opens(&dir, "toy1", "theirs.age");
    opens(&dir, "toy2", "theirs.age");
    command(&dir, "", &["encrypt", "plain", "ours.age", "-r", &one]).run().ok_and_silent();
    let done = with_toy(dir.shell("age -d -i toy1 ours.age"), "").run().ok();
    assert!(done.stdout == test_bytes(CONTENT_LEN));
}

#[test]
fn a_plugin_that_is_missing_is_named() {
    let (dir, [one, ..]) = dir();
    for encrypted in ENCRYPTED {
        command(&dir, "", &["encrypt", "plain", encrypted, "-r", &one]).run().ok();
        let words = ["age-plugin-toy", "PATH"];
        for args in [
            ["encrypt", "plain", "new", "-r", &one],
            ["encrypt", "plain", "new", "-i", "toy1"],
            ["decrypt", encrypted, "new", "-i", "toy1"],
        ] {
            let run = dir.command(&args).env("PATH", dir.root());
            dir.fails(run, 78, &words);
        }
    }
}

#[test]
fn a_plugin_that_fails_leaves_nothing() {
    let (dir, [one, ..]) = dir();
    let public = dir.keygen("id");
    for encrypted in ENCRYPTED {
        command(&dir, "", &["encrypt", "plain", encrypted, "-r", &one]).run().ok();
        for (mode, words) in FAILURES {
            for args in [
                &["encrypt", "plain", "new", "-r", &one, "-r", &public][..],
                &["decrypt", encrypted, "new", "-i", "toy1"],
            ] {
                let done = dir.fails(unattended(&dir, mode, args), 77, &[words]);
                assert!(done.stderr_text().contains("help: "), "{mode}: {done:?}");
            }
        }
        let args = ["encrypt", "plain", "new", "-r", &one];
        dir.fails(command(&dir, "nothing", &args), 77, &["plugin"]);
        // No answer means that no key fits.
        let args = ["decrypt", encrypted, "new", "-i", "toy1"];
        dir.fails(command(&dir, "nothing", &args), 77, &["no key fits"]);
        dir.fails(command(&dir, "short-key", &args), 77, &["plugin"]);
        dir.fails(command(&dir, "wrong-key", &args), 65, &["header"]);
    }
}

#[test]
fn a_plugin_that_hangs_is_killed() {
    let (dir, [one, ..]) = dir();
    command(&dir, "", &["encrypt", "plain", "encrypted.age", "-r", &one]).run().ok();
    for mode in ["hang", "hang-midway"] {
        for args in [
            &["encrypt", "plain", "new", "-r", &one][..],
            &["decrypt", "encrypted.age", "new", "-i", "toy1"],
        ] {
            let args = [args, &["--plugin-timeout", "1"]].concat();
            let before = dir.snapshot();
            // Ends only when all processes of the group have exited.
            let done = Group::start(command(&dir, mode, &args)).wait();
            assert_eq!(done.code(), Some(75), "{mode}: {done:?}");
            let text = done.stderr_text();
            assert!(text.contains("age-plugin-toy") && text.contains("--plugin-timeout"), "{text}");
            assert!(dir.snapshot() == before, "{mode}");
        }
    }
}

#[test]
fn a_plugin_that_reports_progress_may_take_longer() {
    let (dir, [one, ..]) = dir();
    let args = ["encrypt", "plain", "encrypted.age", "-r", &one, "--plugin-timeout", "3"];
    let done = command(&dir, "slow", &args).run().ok();
    assert!(done.stderr_text().contains("the toy thinks"), "{done:?}");
    opens(&dir, "toy1", "encrypted.age");
}

#[test]
fn recipients_go_with_none_but_their_like_where_a_plugin_says_so() {
    let (dir, [one, two, _]) = dir();
    let public = dir.keygen("id");
    for encrypted in ENCRYPTED {
        let both = ["encrypt", "plain", encrypted, "-r", &one, "-r", &two];
        command(&dir, "labels", &both).run().ok_and_silent();
        opens(&dir, "toy1", encrypted);
        opens(&dir, "toy2", encrypted);
        let format = if encrypted.ends_with(".age") { "age" } else { "native" };
        let mixed = ["encrypt", "plain", "new", "-r", &one, "-r", &public, "--format", format];
        dir.fails(command(&dir, "labels", &mixed), 64, &["recipient"]);
    }
}

#[test]
fn what_a_plugin_asks_is_answered_on_the_terminal() {
    let (dir, [one, ..]) = dir();
    for (mode, question, answer, code) in [
        ("ask", "What is the word?", "sesame\r", 0),
        ("ask", "What is the word?", "open\r", 77),
        ("confirm", "Shall the toy go on?", "1\r", 0),
        ("confirm", "Shall the toy go on?", "2\r", 77),
    ] {
        let command = format!("$CS encrypt plain encrypted.age --force -r {one}");
        let mut terminal = Terminal::start(&dir, &script(mode, &command));
        terminal.wait_for(question);
        match mode {
            "ask" => terminal.answer(answer),
            _ => terminal.press(answer),
        }
        let (ended, shown) = terminal.end();
        assert_eq!(ended, code, "{mode}, {answer}: {shown}");
        assert!(!shown.contains("sesame"), "{shown}");
        if code == 0 {
            opens(&dir, "toy1", "encrypted.age");
        }
    }
}

/// Installs a plugin in the folder `bin` that counts how often it is started.
fn count_starts(dir: &Dir) {
    let script = format!(
        "#!/bin/sh\necho start >> '{}'\nexec '{}' \"$@\"\n",
        dir.path("starts").display(),
        TOY
    );
    std::fs::create_dir(dir.path("bin")).unwrap();
    let counting = dir.write("bin/age-plugin-toy", script);
    std::fs::set_permissions(counting, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn counting_path(dir: &Dir) -> std::ffi::OsString {
    let mut path = dir.path("bin").into_os_string();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap());
    path
}

/// The number of starts since `starts` was emptied.
fn starts_of(dir: &Dir) -> usize {
    String::from_utf8(dir.read("starts")).unwrap().lines().count()
}

/// The protocol takes several files in a session; age itself sends one file.
#[test]
fn a_plugin_is_started_once_for_many_files() {
    const FILES: usize = 40;
    let (dir, [one, ..]) = dir();
    let public = dir.keygen("id");
    std::fs::create_dir_all(dir.path("tree/sub")).unwrap();
    for number in 0..FILES {
        let folder = ["tree", "tree/sub"][number % 2];
        dir.write(format!("{folder}/{number}"), test_bytes(number * number));
    }
    count_starts(&dir);
    // A few starts for all files, unless the plugin takes only one file.
    for (mode, few) in [("", true), ("labels", true), ("one-file", false)] {
        let starts = |args: &[&str]| {
            dir.write("starts", "");
            let run = with_toy(dir.command(args), mode).env("PATH", counting_path(&dir));
            run.run().ok();
            let starts = starts_of(&dir);
            let most = if few { FILES / 5 } else { 3 * FILES };
            assert!((1..=most).contains(&starts), "{mode}: {args:?}: {starts}");
            assert!(few || starts >= FILES, "{mode}: {args:?}: {starts}");
        };
        for format in ["native", "age"] {
            starts(&["encrypt", "tree", "encrypted", "-r", &one, "--format", format]);
            starts(&["decrypt", "encrypted", "back", "-i", "toy1"]);
            starts(&["verify", "encrypted", "-i", "id", "-i", "toy2", "-i", "toy1"]);
            dir.shell("diff -r tree back").run().ok();
            for made in ["encrypted", "back"] {
                std::fs::remove_dir_all(dir.path(made)).unwrap();
            }
        }
    }
    // A key that costs nothing fits, so the plugin is not started.
    let both = ["encrypt", "tree", "encrypted", "-r", &one, "-r", &public];
    with_toy(dir.command(&both), "").run().ok();
    dir.write("starts", "");
    let args = ["decrypt", "encrypted", "back", "-i", "toy1", "-i", "id"];
    with_toy(dir.command(&args), "").env("PATH", counting_path(&dir)).run().ok();
    assert_eq!(starts_of(&dir), 0);
}

/// Tokens lock themselves after some wrong PINs, and waiting for a timeout once per file takes all
/// night.
#[test]
fn a_plugin_that_asked_and_failed_is_not_used_again_in_the_run() {
    let (dir, [one, ..]) = dir();
    std::fs::create_dir(dir.path("tree")).unwrap();
    for number in 0..5 {
        dir.write(format!("tree/{number}"), test_bytes(10 + number));
    }
    command(&dir, "", &["encrypt", "tree", "encrypted", "-r", &one]).run().ok();
    count_starts(&dir);
    for (mode, code, starts) in
        [("ask", 77, 1..=1), ("hang", 75, 1..=1), ("error", 77, 5..=6), ("", 0, 1..=2)]
    {
        for args in [
            &["decrypt", "encrypted", "back", "-i", "toy1"][..],
            &["encrypt", "tree", "again", "-r", &one],
        ] {
            dir.write("starts", "");
            let args = [args, &["--plugin-timeout", "2"]].concat();
            let run = unattended(&dir, mode, &args).env("PATH", counting_path(&dir));
            let done = run.run();
            assert_eq!(done.code(), Some(code), "{mode}: {done:?}");
            let count = starts_of(&dir);
            assert!(starts.contains(&count), "{mode}: {args:?}: {count}: {done:?}");
            // If no key fits any file, that is reported once.
            let is_said = done.stderr_text().contains("not used again in this run");
            let is_stopped = ["ask", "hang"].contains(&mode);
            assert!(args[0] == "decrypt" || is_said == is_stopped, "{mode}: {done:?}");
            for made in ["back", "again"] {
                let _ = std::fs::remove_dir_all(dir.path(made));
            }
        }
    }
}

/// The user enters a PIN once for a folder, not once for each file.
#[test]
fn a_right_answer_is_reused() {
    let (dir, [one, ..]) = dir();
    std::fs::create_dir(dir.path("tree")).unwrap();
    for number in 0..4 {
        dir.write(format!("tree/{number}"), test_bytes(10 + number));
    }
    command(&dir, "", &["encrypt", "tree", "encrypted", "-r", &one]).run().ok();
    for (command, made) in
        [("decrypt encrypted back -i toy1", "back"), ("verify encrypted -i toy1", "")]
    {
        let script = script("ask", &format!("$CS {command}"));
        let (code, shown) = on_terminal(&dir, &script, &[("What is the word?", "sesame\r")]);
        assert_eq!(code, 0, "{shown}");
        assert_eq!(shown.matches("What is the word?").count(), 1, "{shown}");
        if !made.is_empty() {
            assert!(dir.read("back/3") == test_bytes(13), "{shown}");
        }
    }
}
