//! Machine-readable output: the reports and events of every command, for success, failure and
//! interruption, match docs/schema.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::common::group::wait_until;
use crate::common::{Dir, Done, test_bytes};

/// Printed documents, each with the run that printed it.
#[derive(Default)]
pub(crate) struct Printed(Vec<Value>);

impl Printed {
    /// Takes the lines of JSON in `bytes`, of which there must be at least one.
    #[track_caller]
    pub(crate) fn take(&mut self, run: &str, schema: &str, bytes: &[u8]) -> Vec<Value> {
        let documents = self.take_any(run, schema, bytes);
        assert!(!documents.is_empty(), "{run} has printed nothing");
        documents
    }

    /// Takes any number of lines, which must all be JSON.
    #[track_caller]
    fn take_any(&mut self, run: &str, schema: &str, bytes: &[u8]) -> Vec<Value> {
        let text = String::from_utf8_lossy(bytes);
        let parse = |line: &str| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{run}: {error}: {line}"))
        };
        let documents: Vec<Value> = text.lines().map(parse).collect();
        for document in &documents {
            self.0.push(json!({ "schema": schema, "run": run, "document": document }));
        }
        documents
    }

    pub(crate) fn check(self) {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../ci/schema.py");
        let has = Command::new("python3").args(["-c", "import jsonschema"]).output();
        if !has.is_ok_and(|output| output.status.success()) {
            eprintln!("skipped: schemas are checked with python3 and its package jsonschema");
            return;
        }
        let lines: Vec<_> = self.0.iter().map(Value::to_string).collect();
        let mut child = Command::new("python3");
        child.arg(script).stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        let mut child = child.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let writer = std::thread::spawn(move || stdin.write_all(lines.join("\n").as_bytes()));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

/// A name that is not UTF-8.
fn odd(name: &str) -> std::ffi::OsString {
    let mut bytes = name.as_bytes().to_vec();
    bytes.push(0xff);
    OsStr::from_bytes(&bytes).to_owned()
}

fn prepared() -> Dir {
    let dir = Dir::new();
    dir.keygen("key");
    dir.keygen("other");
    dir.write("f", test_bytes(300_000));
    let script = "mkdir -p d/sub empty; echo a > d/a; echo b > d/sub/b; ln -s a d/link; mkfifo d/fifo
        mkdir e; echo c > e/c
        $CS encrypt -i key f; $CS encrypt -i key d ds 2> /dev/null; $CS encrypt -i key e es
        $CS encrypt --archive -i key e; $CS encrypt -i key f f.age
        cp f.enc damaged.enc; head -c 16 /dev/zero | dd of=damaged.enc bs=1 seek=150000 conv=notrunc 2> /dev/null
        cp damaged.enc es/damaged.enc; cp f.enc rekeyed.enc; head -c 20 f.enc > cut.enc";
    dir.shell(script).run().ok();
    dir
}

/// The runs, each with its exit status.
const RUNS: &[(&str, i32)] = &[
    ("encrypt -i key f new.enc", 0),
    ("encrypt -i key f", 73),
    ("encrypt f", 64),
    ("encrypt --nonsense", 64),
    ("encrypt --password x f", 64),
    ("encrypt --zstd 19 d", 64),
    ("encrypt -i key d d.out", 0),
    ("encrypt -i key d d.out --newer", 0),
    ("encrypt -i key d d.out --dry-run", 0),
    ("encrypt -i key f e --output-dir several", 0),
    ("encrypt -i key no-such e --output-dir several2", 66),
    ("encrypt -i key e f", 73),
    ("encrypt -i key --archive d new.tar.enc", 0),
    ("encrypt -i key --archive --zstd d new.tar.zst.enc", 0),
    ("encrypt -i key --archive f", 64),
    ("decrypt -i key f.enc new", 0),
    ("decrypt -i key f.age new2", 0),
    ("decrypt -i other f.enc new3", 77),
    ("decrypt -i key damaged.enc new4", 65),
    ("decrypt -i key ds d.again", 0),
    ("decrypt -i key es e.again", 65),
    ("decrypt -i key --extract e.tar.enc e.unpacked", 0),
    ("decrypt -i key --extract f.enc e.unpacked2", 65),
    ("decrypt -i key f.enc --range 5+10 part", 0),
    ("decrypt -i key f.enc --range 5-3", 64),
    ("decrypt -i key --salvage damaged.enc rest", 65),
    ("decrypt -i key --salvage f.enc whole", 0),
    ("verify -i key f.enc damaged.enc cut.enc no-such ds", 65),
    ("verify -i key f.enc", 0),
    ("verify -i other f.enc", 77),
    ("verify f.enc", 64),
    ("inspect f.enc f.age cut.enc no-such ds", 65),
    ("inspect --nonsense", 64),
    ("list -i key e.tar.enc", 0),
    ("list -i key f.enc", 65),
    ("list -i key e.tar.enc f.enc no-such", 65),
    ("list -i key e.tar.enc e.tar.enc", 0),
    ("rekey rekeyed.enc -i key --new-identity other", 0),
    ("rekey rekeyed.enc -i key --new-identity other", 77),
    ("rekey rekeyed.enc -i other", 64),
    ("rekey ds no-such rekeyed.enc -i key --new-identity key", 66),
    ("rekey ds -i key --new-identity key", 0),
    ("rekey ds -i other --new-identity key", 77),
    ("keygen -o new.key", 0),
    ("keygen -o new.key", 73),
    ("keygen -y key", 0),
    ("keygen -y f", 78),
    ("job plan -i key d d.copy --job d.job --shards 2", 0),
    ("job plan -i key d d.copy --job d.job", 73),
    ("job plan d d.copy --job other.job", 64),
    ("job finish --job d.job", 75),
    ("job run --job d.job --shard 0/2", 0),
    ("job run --job d.job --shard 2/2", 64),
    ("job status --job d.job", 0),
    ("job submit --job d.job --engine local", 0),
    ("job finish --job d.job", 0),
    ("job plan --decrypt es e.copy --job e.job", 0),
    ("job run --job e.job --shard 0/1 -i key", 65),
    ("job abort --job e.job", 0),
    ("job finish --job e.job", 78),
    ("config", 0),
    ("completions basch", 64),
    ("nonsense", 64),
];

#[test]
fn every_report_fits_the_schema() {
    let dir = prepared();
    let mut printed = Printed::default();
    for (typed, code) in RUNS {
        let words: Vec<_> = typed.split(' ').chain(["--json"]).collect();
        let done = dir.run(&words);
        assert_eq!(done.code(), Some(*code), "{typed}: {done:?}");
        let reports = printed.take(typed, "report", &done.stdout);
        // Warnings, if any.
        printed.take_any(typed, "event", &done.stderr);
        // Each names its command.
        let named = typed.split(' ').next().filter(|word| *word != "nonsense");
        for report in &reports {
            assert_eq!(report["command"], json!(named), "{typed}: {report}");
        }
        let has_error = |report: &Value| report.get("error").is_some_and(Value::is_object);
        let is_of_many = ["verify", "inspect"].contains(&named.unwrap_or_default())
            || reports[0]["event"] == "file";
        let is_folder = reports[0]["type"] == "folder" || reports[0].get("action").is_some();
        if !is_of_many && !is_folder {
            assert_eq!(reports.iter().any(has_error), *code != 0, "{typed}");
            assert_eq!(reports.len(), 1, "{typed}");
        }
        if let Some(error) = reports[0].get("error").filter(|_| !is_of_many) {
            assert_eq!(error["code"], *code, "{typed}");
        }
        // Checks every count.
        for report in &reports {
            let files = report.get("files");
            assert!(files.is_none_or(Value::is_u64), "{typed}: {report}");
        }
    }
    // With the data on standard output, the report is on the other stream.
    let to_stdout = [
        ("encrypt -i key f -", 0),
        ("decrypt -i key f.enc -", 0),
        ("decrypt -i key cut.enc -", 65),
    ];
    for (typed, code) in to_stdout {
        let words: Vec<_> = typed.split(' ').chain(["--json"]).collect();
        let done = dir.run(&words);
        assert_eq!(done.code(), Some(code), "{typed}: {done:?}");
        printed.take(typed, "report", &done.stderr);
    }
    let typed = "benchmark --runs 1 --max-size 4KiB -j 1 --json --progress json";
    let words: Vec<_> = typed.split(' ').collect();
    let memory = Dir::in_memory();
    let done = dir.command(&words).env("TMPDIR", memory.root()).run().ok();
    printed.take(typed, "report", &done.stdout);
    let events = printed.take(typed, "event", &done.stderr);
    assert_eq!(events.last().unwrap()["event"], "end");
    printed.check();
}

/// Successful runs with warnings: how to prepare the folder, what to type, and the text of the
/// warning.
const WARNED: &[(&str, &str, &str)] = &[
    ("chmod 644 key", "encrypt -i key f out", "other users of this machine can read"),
    ("chmod 644 key", "decrypt -i key f.enc out", "other users of this machine can read"),
    ("chmod 644 key", "decrypt -i key ds out", "other users of this machine can read"),
    ("chmod 644 key", "verify -i key f.enc", "other users of this machine can read"),
    ("chmod 644 key", "list -i key e.tar.enc", "other users of this machine can read"),
    ("chmod 644 key", "keygen -y key", "other users of this machine can read"),
    (
        r"printf '\357\273\277word' > word; chmod 600 word",
        "encrypt --passphrase-file word --argon2id 64MiB f out",
        "byte order mark",
    ),
    ("", "encrypt -i key --archive d out", "fifo"),
];

#[test]
fn json_output_contains_nothing_else() {
    let dir = prepared();
    let mut printed = Printed::default();
    for (before, typed, words) in WARNED {
        dir.shell(before).run().ok();
        for flags in ["", "--json", "--progress json", "--json -q"] {
            let typed = format!("{typed} {flags}");
            let done = dir.run(&typed.split_whitespace().collect::<Vec<_>>()).ok();
            dir.shell("rm -rf out").run().ok();
            let text = done.stderr_text();
            if flags.is_empty() {
                assert!(text.contains("warning: ") && text.contains(words), "{typed}: {text}");
                continue;
            }
            let events = printed.take_any(&typed, "event", &done.stderr);
            let has_warning = events.iter().any(|event| {
                event["event"] == "warning" && event["message"].as_str().unwrap().contains(words)
            });
            assert_eq!(has_warning, !flags.contains("-q"), "{typed}: {text}");
            if flags.contains("--json") {
                printed.take(&typed, "report", &done.stdout);
            }
        }
    }
    printed.check();
}

#[test]
fn where_the_report_goes_to_standard_error_it_is_the_last_line() {
    let dir = prepared();
    let mut printed = Printed::default();
    dir.shell("chmod 644 key").run().ok();
    for typed in ["encrypt -i key f -", "decrypt -i key f.enc -", "decrypt -i other f.enc -"] {
        let words: Vec<_> = typed.split(' ').chain(["--json"]).collect();
        let done = dir.run(&words);
        let lines: Vec<_> = done.stderr.split_inclusive(|byte| *byte == b'\n').collect();
        let (report, warnings) = lines.split_last().unwrap();
        printed.take(typed, "report", report);
        let warnings = printed.take_any(typed, "event", &warnings.concat());
        assert_eq!(warnings.len(), usize::from(!typed.contains("other")), "{done:?}");
    }
    // Progress lines, which are text otherwise.
    let typed = "encrypt -i key - out --json --progress always";
    let done = dir.command(&typed.split(' ').collect::<Vec<_>>()).input(b"content").run().ok();
    printed.take(typed, "report", &done.stdout);
    let events = printed.take(typed, "event", &done.stderr);
    assert_eq!(events.last().unwrap()["event"], "end");
    printed.check();
}

/// Errors that are reported before the command runs.
const MISTYPED: &[&str] = &[
    "encrypt --nonsense",
    "encrypt --password x f",
    "encrypt --processes many f",
    "encrypt f g h i",
    "decrypt --range 5-3 f.enc",
    "rekey",
    "nonsense",
    "",
];

#[test]
fn mistyped_commands_are_answered_in_json_too() {
    let dir = prepared();
    let mut printed = Printed::default();
    for typed in MISTYPED {
        let run = |flags: &str, variable: &str| {
            let words = format!("{typed} {flags}");
            let words: Vec<_> = words.split_whitespace().collect();
            dir.command(&words).env("CRYPTSTREAM_PROGRESS", variable).run()
        };
        for (flags, variable) in [("--progress json", ""), ("--progress=json", ""), ("", "json")] {
            let done = run(flags, variable);
            assert_eq!(done.code(), Some(64), "{typed}: {done:?}");
            assert!(done.stdout.is_empty(), "{typed}: {done:?}");
            let events = printed.take(typed, "event", &done.stderr);
            assert_eq!((events.len(), &events[0]["event"]), (1, &json!("error")), "{typed}");
        }
        let done = run("--json", "");
        assert!(done.stderr.is_empty(), "{typed}: {done:?}");
        printed.take(typed, "report", &done.stdout);
        let done = run("--json --progress json", "");
        printed.take(typed, "report", &done.stdout);
        printed.take(typed, "event", &done.stderr);
        // It is not a flag after `--`, or if another flag overrides it.
        for flags in ["-- --json --progress=json", "--progress never"] {
            let variable = if flags.starts_with("--progress") { "json" } else { "" };
            let done = run(flags, variable);
            assert!(!done.stderr.starts_with(b"{") && done.stdout.is_empty(), "{done:?}");
        }
    }
    // The configuration cannot be read.
    dir.write("config", "nonsense = 1");
    for (flags, on_stdout) in [("--json", true), ("--progress json", false)] {
        let typed = format!("encrypt -i key f out {flags}");
        let words: Vec<_> = typed.split(' ').collect();
        let done = dir.command(&words).env("CRYPTSTREAM_CONFIG", dir.path("config")).run();
        assert_eq!(done.code(), Some(78), "{done:?}");
        let (schema, bytes) =
            if on_stdout { ("report", &done.stdout) } else { ("event", &done.stderr) };
        assert_eq!(printed.take(&typed, schema, bytes).len(), 1);
    }
    printed.check();
}

#[test]
fn every_event_fits_the_schema_and_the_last_one_says_how_it_went() {
    let dir = prepared();
    let mut printed = Printed::default();
    // A quick run needs no progress events.
    let has_events = |typed: &str| {
        let mut words = typed.split(' ');
        let command = words.next().unwrap_or_default();
        !["config", "completions", "nonsense"].contains(&command)
    };
    for (typed, code) in RUNS.iter().filter(|(typed, code)| has_events(typed) || *code == 64) {
        let words: Vec<_> = typed.split(' ').chain(["--progress", "json"]).collect();
        let done = dir.run(&words);
        assert_eq!(done.code(), Some(*code), "{typed}: {done:?}");
        let events = printed.take(typed, "event", &done.stderr);
        let last = &events.last().unwrap()["event"];
        assert!(last == "end" || (*code != 0 && last == "error"), "{typed}: {events:?}");
        assert!(*code == 0 || events.iter().any(|event| event["event"] == "error"), "{typed}");
        let ends = events.iter().filter(|event| event["event"] == "end");
        for end in ends {
            let run = format!("{typed}, as a report");
            printed.0.push(json!({ "schema": "report", "run": run, "document": end }));
        }
    }
    // Both: a report, and events to the end.
    let done = dir.run(&["encrypt", "-i", "key", "f", "both.enc", "--json", "--progress", "json"]);
    printed.take("both", "report", &done.stdout);
    let events = printed.take("both", "event", &done.stderr);
    assert_eq!(events.last().unwrap()["event"], "end");
    let done = dir.run(&["encrypt", "-i", "key", "f", "both.enc", "--json", "--progress", "json"]);
    printed.take("both", "report", &done.stdout);
    assert_eq!(printed.take("both", "event", &done.stderr).last().unwrap()["event"], "error");
    printed.check();
}

#[test]
fn an_interruption_is_reported_too() {
    let dir = prepared();
    let mut printed = Printed::default();
    for (signal, number) in [(Signal::INT, 2), (Signal::TERM, 15), (Signal::HUP, 1)] {
        for (typed, on_stdout) in [
            ("encrypt -i key - out", true),
            ("encrypt -i key - -", false),
            ("encrypt --key x --argon2id=64MiB - out", true),
            ("decrypt -i key - out", true),
            ("decrypt -i key --extract - out", true),
            ("decrypt -i - --range 0- f.enc", false),
            ("verify -i key f.enc -", true),
            ("list -i key -", true),
        ] {
            for flags in
                [&["--json"][..], &["--progress", "json"], &["--json", "--progress", "json"]]
            {
                let words: Vec<_> = typed.split(' ').chain(flags.iter().copied()).collect();
                let child = dir.command(&words).spawn();
                // It waits for its input, which is still empty.
                wait_until("at work", || is_waiting(child.id()));
                kill_process(Pid::from_child(&child), signal).unwrap();
                let run = format!("{typed} {flags:?} and {signal:?}");
                let done = wait_open(child);
                assert_eq!(done.status.signal(), Some(number), "{run}: {done:?}");
                let has_json = flags.contains(&"--json");
                let has_events = flags.contains(&"--progress");
                let report = if on_stdout { &done.stdout } else { &done.stderr };
                if has_json && (on_stdout || !has_events) {
                    let reports = printed.take(&run, "report", report);
                    let error = &reports.last().unwrap()["error"];
                    assert_eq!(error["code"], 128 + number, "{run}: {reports:?}");
                    assert_eq!(error["kind"], "interrupted", "{run}");
                }
                if has_events {
                    let events = printed.take(&run, "event", &done.stderr);
                    assert_eq!(events.last().unwrap()["event"], "interrupted", "{run}: {events:?}");
                }
                assert!(!dir.path("out").exists(), "{run}");
            }
        }
    }
    printed.check();
}

/// Whether a process has its interruption thread and is idle.
fn is_waiting(process: u32) -> bool {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let mut names = tasks.map(|task| fs::read_to_string(task.path().join("comm")));
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    names.any(|name| name.is_ok_and(|name| name.trim() == "interrupt"))
        && stat.rsplit_once(") ").is_some_and(|(_, fields)| fields.starts_with('S'))
}

/// Waits with the input left open, as its end would end the run as well.
fn wait_open(mut child: std::process::Child) -> Done {
    let stdin = child.stdin.take();
    let done = crate::common::wait(child);
    drop(stdin);
    done
}

#[test]
fn a_reader_that_stalls_does_not_hold_an_interruption_up() {
    let dir = Dir::new();
    dir.keygen("key");
    dir.shell("mkdir d; for i in $(seq 400); do echo $i > d/$i; done").run().ok();
    dir.run(&["encrypt", "-i", "key", "d", "ds"]).ok();
    let child = dir.command(&["verify", "-i", "key", "ds", "--json"]).spawn();
    // More than fits in a pipe.
    let stdout = child.stdout.as_ref().unwrap();
    wait_until("the pipe is full", || {
        rustix::io::ioctl_fionread(stdout).is_ok_and(|len| len > (56 << 10))
    });
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let done = crate::common::wait(child);
    assert_eq!(done.status.signal(), Some(2));
}

#[test]
fn names_that_are_not_utf_8_can_be_told_apart() {
    let dir = Dir::new();
    dir.keygen("key");
    let mut printed = Printed::default();
    let (name, encrypted) = (odd("f"), odd("g"));
    dir.write(&name, "content");
    fs::create_dir(dir.path(odd("d"))).unwrap();
    fs::write(dir.path(odd("d")).join(odd("x")), "content").unwrap();
    fs::write(dir.path(odd("d")).join("not-encrypted"), "content").unwrap();
    let with = |words: &[&str], names: &[&OsStr]| {
        let words = words.iter().map(OsStr::new).chain(names.iter().copied());
        dir.run(&words.chain([OsStr::new("--json")]).collect::<Vec<_>>())
    };
    let key = ["-i", "key"];
    let mut report = |words: &[&str], names: &[&OsStr]| {
        let done = with(&[words, &key].concat(), names);
        printed.take(&format!("{words:?}"), "report", &done.stdout)
    };
    let one = report(&["encrypt"], &[&name, &encrypted]).remove(0);
    assert_eq!((&one["input_hex"], &one["output_hex"]), (&json!("66ff"), &json!("67ff")));
    let one = report(&["encrypt"], &[&odd("d"), &odd("ds")]).remove(0);
    assert_eq!((&one["input_hex"], &one["output_hex"]), (&json!("64ff"), &json!("6473ff")));
    let one = report(&["decrypt"], &[&odd("d"), &odd("dd")]).remove(0);
    assert_eq!(one["error"]["file"], "d\u{fffd}", "{one}");
    let events = report(&["verify"], &[&encrypted, &name]);
    assert_eq!(events[0]["file_hex"], "67ff");
    assert_eq!(
        (&events[1]["file_hex"], &events[1]["error"]["file_hex"]),
        (&json!("66ff"), &json!("66ff"))
    );
    let one = report(&["rekey", "--new-identity", "key"], &[&encrypted]).remove(0);
    assert_eq!(one["input_hex"], "67ff");
    let one = report(&["encrypt"], &[&odd("no")]).remove(0);
    assert_eq!(one["error"]["file_hex"], "6e6fff");
    // The same in the messages for people.
    let done =
        dir.command(&[OsStr::new("encrypt"), &odd("no"), OsStr::new("-i"), OsStr::new("key")]);
    let text = done.run().stderr_text();
    assert!(text.contains(r#""no\xFF": no such file"#), "{text}");
    printed.check();
}
