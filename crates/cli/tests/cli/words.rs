//! Help and its examples, completions, the manual, and the answer to a mistyped word.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;

use crate::common::{CHEAP, Dir, test_bytes};
use crate::objects::with_store;
use cryptstream_s3_test_server::{Options, Server};

const COMMANDS: &[&str] = &[
    "encrypt",
    "decrypt",
    "inspect",
    "verify",
    "list",
    "rekey",
    "job",
    "store",
    "keygen",
    "benchmark",
    "config",
    "completions",
    "man",
];

/// The commands below `job`.
const JOB_COMMANDS: [&str; 6] = ["plan", "run", "finish", "status", "abort", "submit"];

/// Whether a program that a test needs is installed.
fn has(program: &str) -> bool {
    let there = Command::new(program).arg("--version").output().is_ok();
    if !there {
        eprintln!("skipped: this test needs the program `{program}`");
    }
    there
}

/// A folder in which `cryptstream` is the program, and which is the home folder.
fn home() -> Dir {
    let dir = Dir::in_memory();
    fs::create_dir(dir.path("bin")).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_cryptstream"), dir.path("bin/cryptstream"))
        .unwrap();
    dir
}

fn shell(dir: &Dir, script: &str) -> crate::common::Run {
    let path = format!("{}:{}", dir.path("bin").display(), std::env::var("PATH").unwrap());
    dir.shell(script).env("PATH", path).env("HOME", dir.root()).env("TMPDIR", dir.root())
}

/// The commands under "Examples:".
fn examples(help: &str) -> Vec<String> {
    let (_, examples) = help.split_once("\nExamples:\n").unwrap();
    let is_heading = |line: &&str| !line.is_empty() && !line.starts_with(' ');
    let lines = examples.lines().take_while(|line| !is_heading(line));
    let commands = lines.filter(|line| line.starts_with("    "));
    commands.map(|line| line.trim().to_owned()).collect()
}

/// The files that the examples use.
fn prepare(dir: &Dir, command: &str) {
    dir.write("notes.txt", "notes");
    dir.write("video.mp4", test_bytes(2 << 20));
    fs::create_dir(dir.path("photos")).unwrap();
    dir.write("photos/a.jpg", "a");
    dir.write("photos/b.jpg", "b");
    dir.write("pass.txt", "correct horse");
    dir.write("new.txt", "battery staple");
    if command.is_empty() {
        return;
    }
    for (key, public) in [("me.key", "me.pub"), ("friend.key", "friend.pub")] {
        let recipient = dir.keygen(key);
        dir.write(public, recipient);
    }
    if command == "encrypt" {
        dir.write("db.dump", "rows");
        return;
    }
    dir.run(&["encrypt", CHEAP, "--passphrase-file", "pass.txt", "notes.txt"]).ok();
    dir.run(&["encrypt", "-i", "me.key", "video.mp4"]).ok();
    dir.run(&["encrypt", "-i", "me.key", "photos", "backup"]).ok();
    shell(dir, "tar -c photos | cryptstream encrypt -i me.key - photos.tar.enc").run().ok();
    let mut damaged = dir.read("video.mp4.enc");
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    dir.write("damaged.enc", damaged);
    if command == "decrypt" {
        fs::remove_file(dir.path("notes.txt")).unwrap();
    }
}

#[test]
fn the_examples_work_as_written() {
    let server = Server::start(Options::default());
    server.create_bucket("bucket");
    server.create_bucket("my-backups");
    for command in [""].iter().chain(COMMANDS) {
        let dir = home();
        prepare(&dir, command);
        let help = shell(&dir, &format!("cryptstream {command} --help")).run().ok().stdout_text();
        let examples = examples(&help);
        assert!(!examples.is_empty(), "{command}");
        for example in examples {
            if example.contains("man -l") && !has("man") {
                continue;
            }
            // There is nobody to answer; prompts are tested elsewhere.
            let script = match example.contains("cryptstream ") {
                true => example.replace(" -p ", " --passphrase-file pass.txt "),
                false => example.clone(),
            };
            // One run also shows that the command is understood.
            let script = script.replace("benchmark --runs 3", "benchmark --runs 1 --processes 1");
            let run = shell(&dir, &format!("set -o pipefail; {script}"));
            let done = with_store(run, &server.endpoint()).run();
            let expected = if example.contains("--salvage") { 65 } else { 0 };
            assert_eq!(done.code(), Some(expected), "{example}: {done:?}");
        }
        // The examples did what their text says.
        for (of, file, content) in [
            ("", "again.txt", b"notes".to_vec()),
            ("", "again.mp4", test_bytes(2 << 20)),
            ("decrypt", "notes.txt", b"notes".to_vec()),
            ("decrypt", "restored/b.jpg", b"b".to_vec()),
            ("decrypt", "tail.bin", test_bytes(2 << 20)[(2 << 20) - 1024..].to_vec()),
        ] {
            assert!(*command != of || dir.read(file) == content, "{file}");
        }
    }
}

#[test]
fn short_help_is_short_and_long_help_has_examples() {
    let dir = Dir::new();
    for command in [""].iter().chain(COMMANDS) {
        let help = |flag: &str| {
            let words: Vec<_> = command.split_whitespace().chain([flag]).collect();
            dir.run(&words).ok_and_silent().stdout_text()
        };
        let (short, long) = (help("-h"), help("--help"));
        let is_shorter = short.lines().count() < long.lines().count();
        assert!(is_shorter && !short.contains("Examples:"), "{command}");
        assert!(long.contains("\nExamples:\n"), "{command}");
    }
}

#[test]
fn every_shell_gets_completions_without_secrets() {
    let dir = Dir::new();
    for shell in ["bash", "zsh", "fish", "powershell", "nushell", "elvish"] {
        let run = dir.command(&["completions", shell]).env("CRYPTSTREAM_PASSPHRASE", "secret!");
        let script = run.run().ok_and_silent().stdout_text();
        for word in COMMANDS.iter().chain(&["recipients-file", "no-config"]) {
            assert!(script.contains(word), "{shell}: {word}");
        }
        for word in ["secret!", "__worker", "(taken)", dir.root().to_str().unwrap()] {
            assert!(!script.contains(word), "{shell}: {word}");
        }
        let file = dir.write(format!("script.{shell}"), script);
        // This would find a syntax error.
        let check = match shell {
            "bash" | "zsh" => vec![shell, "-n"],
            "fish" => vec!["fish", "--no-execute"],
            "elvish" => vec!["elvish", "-compileonly"],
            _ => continue,
        };
        if has(check[0]) {
            let output = Command::new(check[0]).args(&check[1..]).arg(file).output().unwrap();
            assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        }
    }
}

#[test]
fn bash_completes_commands_flags_and_values() {
    let dir = home();
    let complete = |words: &str| {
        let script = format!(
            "set -e; source <(cryptstream completions bash)
            COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
            current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD - 1]}}
            _cryptstream cryptstream \"$current\" \"$previous\"
            echo \"${{COMPREPLY[@]}}\""
        );
        shell(&dir, &script).run().ok_and_silent().stdout_text().trim().to_owned()
    };
    assert_eq!(complete("cryptstream encr"), "encrypt");
    assert_eq!(complete("cryptstream decrypt --salv"), "--salvage");
    assert_eq!(complete("cryptstream encrypt --format na"), "native");
    assert_eq!(complete("cryptstream encrypt --recipients-fi"), "--recipients-file");
}

#[test]
fn fish_completes_commands_flags_and_values() {
    if !has("fish") {
        return;
    }
    let dir = home();
    let complete = |words: &str| {
        let script = format!("cryptstream completions fish | source; complete -C '{words}'");
        let command = format!("fish --no-config -c \"{script}\"");
        let told = shell(&dir, &command).run().ok_and_silent().stdout_text();
        // A description may follow after a tab.
        let words = told.lines().map(|line| line.split('\t').next().unwrap().to_owned());
        words.collect::<Vec<_>>()
    };
    assert_eq!(complete("cryptstream encr"), ["encrypt"]);
    assert_eq!(complete("cryptstream decrypt --salv"), ["--salvage"]);
    assert_eq!(complete("cryptstream encrypt --format na"), ["native"]);
}

#[test]
fn the_manual_has_a_page_for_each_command() {
    let dir = Dir::new();
    dir.run(&["man", "share/man1"]).ok_and_silent();
    let main = dir.run(&["man"]).ok_and_silent().stdout;
    assert!(main == dir.read("share/man1/cryptstream.1"));
    assert_eq!(
        fs::read_dir(dir.path("share/man1")).unwrap().count(),
        COMMANDS.len() + JOB_COMMANDS.len() + 1
    );
    let main = String::from_utf8(main).unwrap();
    for command in COMMANDS {
        assert!(main.contains(&format!("cryptstream\\-{command}")), "{command}");
        let page = dir.read(format!("share/man1/cryptstream-{command}.1"));
        assert!(page.is_ascii(), "{command}");
        let page = String::from_utf8(page).unwrap();
        for word in [".SH EXAMPLES", ".SH \"SEE ALSO\"", "\\-\\-json"] {
            assert!(page.contains(word), "{command}: {word}");
        }
        assert!(!page.contains("__worker") && !page.contains("(taken)"), "{command}");
    }
    for command in JOB_COMMANDS {
        let page = dir.read(format!("share/man1/cryptstream-job-{command}.1"));
        assert!(String::from_utf8(page).unwrap().contains("\\-\\-job"), "{command}");
    }
}

#[test]
fn groff_accepts_the_manual_without_warnings() {
    if !has("groff") {
        return;
    }
    let dir = Dir::new();
    dir.run(&["man", "pages"]).ok_and_silent();
    for page in fs::read_dir(dir.path("pages")).unwrap() {
        let mut groff = Command::new("groff");
        groff.args(["-man", "-ww", "-z", "-rCHECKSTYLE=3"]).arg(page.unwrap().path());
        let output = groff.output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    }
}

/// `make`, with this program instead of one that would have to be built first.
fn make(dir: &Dir, words: &str) -> crate::common::Run {
    let top = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let root = dir.root().display();
    dir.shell(&format!(
        "umask 077; unset PREFIX; make -C {top} -o all PROGRAM=$CS DESTDIR='{root}/a root' {words}"
    ))
}

#[test]
fn make_installs_the_pages_and_completions_too() {
    if !has("make") {
        return;
    }
    let dir = Dir::new();
    make(&dir, "PREFIX=/usr install").run().ok();
    let find = "find 'a root/usr' -type f -printf '%m %P\\n' | sort";
    let installed = dir.shell(find).run().ok().stdout_text();
    for file in [
        "755 bin/cryptstream",
        "755 libexec/cryptstream/cryptstream-transport",
        "644 share/man/man1/cryptstream.1",
        "644 share/man/man1/cryptstream-encrypt.1",
        "644 share/bash-completion/completions/cryptstream",
        "644 share/zsh/site-functions/_cryptstream",
        "644 share/fish/vendor_completions.d/cryptstream.fish",
    ] {
        assert!(installed.lines().any(|line| line == file), "{file} is not in {installed}");
    }
    assert_eq!(installed.lines().count(), COMMANDS.len() + JOB_COMMANDS.len() + 6);
    let zsh = dir.read("a root/usr/share/zsh/site-functions/_cryptstream");
    assert!(zsh.starts_with(b"#compdef cryptstream"));
    // Installs again, then uninstalls, leaving the files of others alone.
    make(&dir, "PREFIX=/usr install").run().ok();
    dir.write("a root/usr/share/man/man1/other.1", "other");
    make(&dir, "PREFIX=/usr uninstall").run().ok();
    let left = dir.shell(find).run().ok().stdout_text();
    assert_eq!(left.trim(), "644 share/man/man1/other.1", "{left}");
    // The usual prefix.
    make(&dir, "install").run().ok();
    assert!(dir.path("a root/usr/local/bin/cryptstream").exists());
}

#[test]
fn without_cargo_deb_there_is_no_success_without_a_package() {
    if !has("make") {
        return;
    }
    let dir = Dir::new();
    // A cargo without such a command.
    dir.shell("mkdir bin; printf '#!/bin/sh\\nexit 101\\n' > bin/cargo; chmod +x bin/cargo")
        .run()
        .ok();
    let path = format!("{}:{}", dir.path("bin").display(), std::env::var("PATH").unwrap());
    let done = make(&dir, "deb").env("PATH", path).run();
    assert_eq!(done.code(), Some(2), "{done:?}");
    let text = done.stderr_text();
    assert!(text.contains("no package was made") && text.contains("cargo install"), "{text}");
}

#[test]
fn a_page_of_somebody_else_is_not_replaced() {
    let dir = Dir::new();
    dir.run(&["man", "."]).ok_and_silent();
    // Nothing needs to be done.
    dir.run(&["man", "."]).ok_and_silent();
    dir.write("cryptstream.1", "mine");
    dir.fails(dir.command(&["man", "."]), 73, &["cryptstream.1", "help: "]);
    dir.run(&["man", ".", "--force"]).ok_and_silent();
    assert!(dir.read("cryptstream.1").starts_with(b".TH"));
    dir.write("file", "no folder");
    dir.fails(dir.command(&["man", "file/pages"]), 73, &["file/pages", "help: "]);
    dir.fails(dir.command(&["man", "--force"]), 64, &["DIR", "help: "]);
}

#[test]
fn mistyped_words_are_guessed_in_two_lines() {
    let dir = Dir::new();
    for (typed, wrong, guess) in [
        ("encript a", "'encript'", "'encrypt'"),
        ("encrypt --recipent x", "'--recipent'", "'--recipient'"),
        ("encrypt --armour x", "'--armour'", "--armor"),
        ("encrypt --format nativ x", "'nativ'", "'native'"),
        ("verify --sandbox requier x", "'requier'", "'require'"),
        ("completions basch", "'basch'", "'bash'"),
        ("encrypt --progress alway x", "'alway'", "'always'"),
        // If nothing is similar, the help says where to look.
        ("inspect --pq x", "'--pq'", "`cryptstream inspect --help`"),
        ("--sandbx", "'--sandbx'", "`cryptstream --help`"),
    ] {
        let words: Vec<_> = typed.split_whitespace().collect();
        let done = dir.fails(dir.command(&words), 64, &[wrong]);
        let text = done.stderr_text();
        let lines: Vec<_> = text.lines().collect();
        let is_right = lines.len() == 2
            && lines[0].starts_with("error: ")
            && lines[0].contains(wrong)
            && lines[1].starts_with("help: ")
            && lines[1].contains(guess);
        assert!(is_right, "{typed}: {text}");
        let words: Vec<_> = words.into_iter().chain(["--json"]).collect();
        let done = dir.run(&words);
        let error = &done.json(&done.stdout)["error"];
        assert_eq!(error["code"], 64, "{typed}");
        assert!(error["help"].as_str().unwrap().contains(guess), "{typed}: {error}");
    }
}

#[test]
fn a_name_is_shown_in_the_same_way_everywhere() {
    let dir = Dir::new();
    dir.keygen("id");
    fs::create_dir(dir.path("in")).unwrap();
    let name = OsStr::from_bytes(b"a\x1b[2J\xff \xe2\x80\xae.tar");
    let shown = r#""in/a\u{1b}[2J\xFF \u{202e}.tar""#;
    let path = Path::new("in").join(name);
    let says = |args: &[&OsStr], code: i32| {
        let done = dir.run(args);
        assert_eq!(done.code(), Some(code), "{done:?}");
        let text = format!("{}{}", done.stdout_text(), done.stderr_text());
        assert!(text.contains(shown), "{args:?}: {text}");
    };
    let args = |words: &str| words.split(' ').map(OsString::from).collect::<Vec<_>>();
    let mut words = args("encrypt -v -i id");
    words.push(path.clone().into());
    let run = |words: &[OsString], code| {
        says(&words.iter().map(OsString::as_os_str).collect::<Vec<_>>(), code);
    };
    // Missing; then in a report, in an error about it, and as the member of an archive.
    run(&words, 66);
    dir.write(path.as_os_str(), "content");
    run(&[&words[..], &["out".into()]].concat(), 0);
    let mut folder = args("encrypt -v -i id --include nothing");
    folder.push(path.clone().into());
    fs::remove_file(dir.path(&path)).unwrap();
    fs::create_dir(dir.path(&path)).unwrap();
    fs::write(dir.path(&path).join("file"), "content").unwrap();
    run(&[&folder[..], &["copy".into()]].concat(), 66);
    run(&[&folder[..], &["--archive".into(), "archive".into()]].concat(), 66);
    dir.run(&["encrypt", "-i", "id", "--archive", "in", "archive"]).ok();
    let text = dir.run(&["list", "-i", "id", "archive"]).ok().stdout_text();
    assert!(text.contains(&shown.replace("in/", "").replace(".tar", ".tar/")), "{text}");
}
