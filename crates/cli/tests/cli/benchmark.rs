//! `benchmark`: its report, the files that it leaves behind, and its page in a browser.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{Dir, test_bytes};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Large enough for workers.
const LEN: usize = 8 << 20;

const OPERATIONS: [&str; 3] = ["encrypt", "decrypt", "verify"];

fn with_file() -> Dir {
    let dir = Dir::new();
    dir.write("data", test_bytes(LEN));
    dir
}

fn names(dir: &Dir) -> Vec<String> {
    let entries = fs::read_dir(dir.root()).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[track_caller]
fn assert_timing(timing: &Value, runs: usize) {
    let seconds = timing["seconds"].as_array().unwrap();
    assert_eq!(seconds.len(), runs, "{timing}");
    let number = |name: &str| timing[name].as_f64().unwrap();
    let (min, median, max) =
        (number("seconds_min"), number("seconds_median"), number("seconds_max"));
    assert!(0.0 < min && min <= median && median <= max, "{timing}");
    assert!(number("bytes_per_second") > 0.0, "{timing}");
}

#[test]
fn a_file_is_measured_and_left_alone() {
    let dir = with_file();
    let before = fs::metadata(dir.path("data")).unwrap().modified().unwrap();
    let done =
        dir.run(&["benchmark", "--file", "data", "--processes", "2", "--runs", "3", "--json"]);
    let done = done.ok_and_silent();
    assert_eq!(names(&dir), ["data"], "the temporary folder is gone");
    assert!(dir.read("data") == test_bytes(LEN));
    assert_eq!(fs::metadata(dir.path("data")).unwrap().modified().unwrap(), before);

    let json = done.json(&done.stdout);
    assert_eq!((&json["schema"], &json["command"]), (&1.into(), &"benchmark".into()));
    assert_eq!(json["file"], "data");
    assert_eq!(json["workers"], serde_json::json!([1, 2]));
    assert_eq!(json["runs"], 3);
    assert!(json["machine"]["cores"].as_u64().unwrap() >= 1);
    assert!(json["machine"]["memory_bytes"].as_u64().unwrap() > 0);
    for text in ["processor", "kernel", "architecture", "chacha20_poly1305"] {
        assert!(!json["machine"][text].as_str().unwrap().is_empty());
    }
    assert!(json["machine"]["features"].is_array());
    assert!(!json["folder"]["file_system"].as_str().unwrap().is_empty());
    for ceiling in ["memory_copy", "cipher_seal", "cipher_open", "cipher_seal_all_cores"] {
        assert_timing(&json["ceilings"][ceiling], 3);
    }
    let [size] = &json["sizes"].as_array().unwrap()[..] else { panic!("{json}") };
    assert_eq!((&size["bytes"], &size["files"]), (&LEN.into(), &1.into()));
    assert_timing(&size["file_copy"], 3);
    for operation in OPERATIONS {
        let entries = size[operation].as_array().unwrap();
        let who = |entry: &Value| (entry["workers"].as_u64(), entry["pool"].to_string());
        let expected =
            [(0, "null"), (1, "\"cold\""), (1, "\"warm\""), (2, "\"cold\""), (2, "\"warm\"")]
                .map(|(processes, pool)| (Some(processes), pool.to_owned()));
        assert_eq!(entries.iter().map(who).collect::<Vec<_>>(), expected);
        assert_eq!(entries[0]["speed_up"], 1.0);
        for entry in entries {
            assert_timing(entry, 3);
            let number = |name: &str| entry[name].as_f64().unwrap();
            let processes = number("workers");
            let usable = (processes + 1.0).min(json["machine"]["cores"].as_f64().unwrap());
            match entry["comparison"].as_str() {
                None => assert!(entry["pool"].is_null() && entry["efficiency"].is_null()),
                Some("inconclusive") => assert!(entry["efficiency"].is_null()),
                Some(_) => {
                    let wanted = (number("speed_up") / usable).min(1.0);
                    assert!((number("efficiency") - wanted).abs() < 1e-9);
                }
            }
            assert!(number("share_of_file_copy") > 0.0);
        }
    }
    // The uncounted round, and five configurations in three rounds: encrypted and decrypted.
    assert_eq!(json["outputs_verified"], 2 * (1 + 5 * 3));
    match json["conclusion"].as_str().unwrap() {
        "inconclusive" => assert!(json["recommended_workers"].is_null()),
        "no-workers" => assert_eq!(json["recommended_workers"], 0),
        "workers" => {
            let workers = json["recommended_workers"].as_u64().unwrap();
            assert!((1..=2).contains(&workers), "{json}");
        }
        other => panic!("{other}"),
    }
    assert_eq!(json["workers_pay"].as_array().unwrap().len(), 6);
    assert_programs(&json["programs"], LEN);
}

/// Every installed program is compared with CryptStream, and no other.
#[track_caller]
fn assert_programs(programs: &Value, len: usize) {
    assert_eq!((&programs["operation"], &programs["bytes"]), (&"encrypt".into(), &len.into()));
    let all = programs["programs"].as_array().unwrap();
    let failed = programs["failed"].as_array().unwrap();
    let mut installed = vec!["CryptStream"];
    for (name, program) in [
        ("cp", "cp"),
        ("age", "age"),
        ("rage", "rage"),
        ("gpg, symmetric", "gpg"),
        ("openssl, no authentication", "openssl"),
    ] {
        let paths = std::env::var_os("PATH").unwrap();
        if std::env::split_paths(&paths).any(|path| path.join(program).is_file()) {
            installed.push(name);
        }
    }
    for name in installed {
        let found = all.iter().find(|program| program["name"] == name);
        assert!(found.is_some() || failed.contains(&name.into()), "{name} is not in {programs}");
    }
    for program in all {
        assert_timing(program, 3);
        assert!(program["times_of_cp"].as_f64().unwrap() > 0.0);
        assert!(!program["command"].as_str().unwrap().is_empty());
    }
    assert!(failed.is_empty(), "{programs}");
}

/// A program that does not encrypt is left out and named; a missing one is only left out.
#[test]
fn programs_that_fail_or_are_missing_are_left_out() {
    let dir = with_file();
    let bin = dir.path("bin");
    fs::create_dir(&bin).unwrap();
    for (name, script) in [("age", "exit 3"), ("rage", "exit 0")] {
        dir.write(format!("bin/{name}"), format!("#!/bin/sh\n{script}\n"));
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(bin.join(name), mode).unwrap();
    }
    let args = ["benchmark", "--file", "data", "--processes", "1", "--runs", "1", "--json"];
    let done = dir.command(&args).env("PATH", &bin).run().ok_and_silent();
    let json = done.json(&done.stdout);
    assert_eq!(json["programs"]["failed"], serde_json::json!(["age", "rage"]));
    let all = json["programs"]["programs"].as_array().unwrap();
    let names: Vec<_> = all.iter().map(|program| program["name"].as_str().unwrap()).collect();
    // On a processor without AES instructions, the age format is included.
    assert!(names.iter().all(|name| name.starts_with("CryptStream")), "{names:?}");
    assert_eq!(json["conclusion"], "inconclusive", "one run shows no spread");
    assert!(json["recommended_workers"].is_null());
}

#[test]
fn several_sizes_are_measured_in_a_temporary_folder() {
    let dir = Dir::in_memory();
    let args = ["benchmark", "--max-size", "64KiB", "--runs", "1", "--processes", "1"];
    let command = dir.command(&args);
    let done = command.env("TMPDIR", dir.root()).env("LC_ALL", "C").run().ok_and_silent();
    assert_eq!(names(&dir), [""; 0], "the temporary folder is gone");
    let text = done.stdout_text();
    for words in [
        "Encrypting one file of 64 KiB",
        "CryptStream",
        "4 KiB x 500: file copy",
        "64 KiB x 200: file copy",
        "Processor",
        "Recommended   Inconclusive with fewer than 3 runs",
        "Workers pay   inconclusive",
        "1 warm",
        "Cold:",
        "Warm:",
        "Ceilings:",
        "Efficiency:",
    ] {
        assert!(text.contains(words), "{words:?} is not in: {text}");
    }
    let terminal = |text: &str| {
        // The long path of a folder is not shortened.
        let lines = text.lines().filter(|line| !line.starts_with("Folder"));
        assert!(lines.clone().all(|line| line.chars().count() <= 80), "{text}");
    };
    terminal(&text);
    assert!(text.is_ascii() && text.contains("##"), "{text}");
    let command = dir.command(&["benchmark", "--max-size=4KiB", "--runs=1", "--processes=1"]);
    let done = command.env("TMPDIR", dir.root()).env("LC_ALL", "C.UTF-8").run().ok_and_silent();
    let text = done.stdout_text();
    assert!(text.contains('█') && text.contains("4 KiB × 500: file copy"), "{text}");
    terminal(&text);

    let args = ["benchmark", "--max-size=64KiB", "--runs=1", "--processes=1", "--json"];
    let done = dir.command(&args).env("TMPDIR", dir.root()).run().ok_and_silent();
    assert_eq!(names(&dir), [""; 0]);
    let json = done.json(&done.stdout);
    let sizes = json["sizes"].as_array().unwrap();
    let bytes: Vec<_> = sizes.iter().map(|size| size["bytes"].as_u64().unwrap()).collect();
    assert_eq!(bytes, [4 << 10, 64 << 10]);
    assert!(json["file"].is_null());
    assert!(json["left_out"].as_array().unwrap().is_empty());
}

#[test]
fn an_interrupted_run_leaves_nothing_behind() {
    let dir = Dir::new();
    for signal in [Signal::INT, Signal::TERM] {
        let args = ["benchmark", "--max-size", "4MiB", "--runs", "1000"];
        let child = dir.command(&args).env("TMPDIR", dir.root()).spawn();
        let start = Instant::now();
        while names(&dir).is_empty() {
            assert!(start.elapsed() < crate::common::TIMEOUT, "it never began");
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_millis(500));
        kill_process(Pid::from_child(&child), signal).unwrap();
        let done = crate::common::wait(child);
        assert_eq!(done.code(), None, "it dies of the signal: {done:?}");
        assert_eq!(done.stderr_text(), "");
        assert_eq!(names(&dir), [""; 0]);
    }
}

/// A killed benchmark cannot clean up. The next one does, but leaves the folder of a running
/// benchmark alone.
#[test]
fn the_next_run_removes_what_a_killed_one_left() {
    let dir = Dir::new();
    let spawn = || {
        let args = ["benchmark", "--max-size", "4MiB", "--runs", "1000"];
        let child = dir.command(&args).env("TMPDIR", dir.root()).spawn();
        let own = format!(".cryptstream-benchmark-{}-0", child.id());
        let start = Instant::now();
        let has_files = || fs::read_dir(dir.path(&own)).is_ok_and(|mut all| all.next().is_some());
        while !has_files() {
            assert!(start.elapsed() < crate::common::TIMEOUT, "it never began");
            thread::sleep(Duration::from_millis(1));
        }
        (child, own)
    };
    let (killed, stale) = spawn();
    kill_process(Pid::from_child(&killed), Signal::KILL).unwrap();
    crate::common::wait(killed);
    assert_eq!(names(&dir), [stale.as_str()]);
    let (first, first_folder) = spawn();
    assert_eq!(names(&dir), [first_folder.as_str()]);
    let (second, second_folder) = spawn();
    let mut both = [first_folder, second_folder];
    both.sort();
    assert_eq!(names(&dir), both);
    for child in [first, second] {
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        crate::common::wait(child);
    }
    assert_eq!(names(&dir), [""; 0]);
}

/// A file system that is too small is never filled.
#[test]
fn space_is_checked_first() {
    let dir = Dir::new();
    dir.write("data", "x");
    let file = fs::OpenOptions::new().write(true).open(dir.path("data")).unwrap();
    // Sparse: larger than any disk here.
    file.set_len(1 << 43).unwrap();
    let done = dir.command(&["benchmark", "--file", "data", "--runs", "1"]);
    dir.fails(done, 74, &["are needed and", "--folder"]);
    assert_eq!(names(&dir), ["data"]);
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let dir = with_file();
    dir.write("empty", "");
    dir.write("there.html", "mine");
    let fails = |args: &[&str], code, words: &[&str]| {
        let all = [&["benchmark", "--runs", "1"], args].concat();
        dir.fails(dir.command(&all), code, words);
    };
    fails(&["--file", "missing"], 66, &["missing", "cannot be opened"]);
    fails(&["--file", "empty"], 66, &["is empty"]);
    fails(&["--file", "."], 66, &["not a regular file"]);
    fails(&["--file", "data", "--report", "there.html"], 73, &["there.html", "--force"]);
    fails(&["--file", "data", "--report", "data", "--force"], 73, &["same"]);
    fails(&["--file", "data", "--report", "no/such.html"], 73, &["no/such.html"]);
    fails(&["--file", "data", "--folder", "no"], 73, &["no"]);
    fails(&["--file", "data", "--max-size", "4MiB"], 64, &["--max-size"]);
    fails(&["--processes", "0"], 64, &["--processes"]);
    fails(&["--runs", "0"], 64, &["--runs"]);
    fails(&["--max-size", "1KiB"], 64, &["the smallest size is 4.00 KiB"]);
    fails(&["--max-size", "huge"], 64, &["a size such as"]);
    fails(&["--force"], 64, &["--report"]);
}

/// Runs Chromium. Returns the output of both streams, and whether it succeeded.
fn chromium(dir: &Dir, args: &[&str], page: &str) -> Option<(bool, String, String)> {
    let output = Command::new("timeout")
        .args(["100", "chromium", "--headless", "--no-sandbox", "--disable-gpu"])
        .args(["--disable-dev-shm-usage", "--hide-scrollbars", "--no-first-run"])
        .args(["--enable-logging=stderr", "--v=0"])
        .arg(format!("--user-data-dir={}", dir.path("profile").display()))
        .args(args)
        .arg(page)
        .output()
        .ok()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some((output.status.success(), text(&output.stdout), text(&output.stderr)))
}

/// Whether there is a working Chromium.
fn has_browser(dir: &Dir) -> bool {
    let blank = chromium(dir, &["--dump-dom"], "about:blank");
    let works = blank.is_some_and(|(success, dom, _)| success && dom.contains("<html"));
    if !works {
        eprintln!("skipped: no chromium, or it does not start here");
    }
    works
}

/// Opens a page. Returns what Chromium wrote to both streams.
fn browse(dir: &Dir, page: &Path, args: &[&str]) -> (String, String) {
    let page = format!("file://{}", page.display());
    let (success, stdout, stderr) = chromium(dir, args, &page).unwrap();
    assert!(success, "{stderr}");
    let said: Vec<_> = stderr.lines().filter(|line| line.contains("CONSOLE")).collect();
    assert!(said.is_empty(), "{said:?}");
    (stdout, stderr)
}

#[test]
fn the_page_is_self_contained() {
    let dir = Dir::in_memory();
    // A name that would be markup without escaping.
    let name = "<img src=x>&\".bin";
    dir.write(name, test_bytes(LEN));
    let base = ["benchmark", "--runs", "1", "--quiet"];
    let run = |more: &[&str]| {
        let all = [&base[..], more].concat();
        dir.command(&all).env("TMPDIR", dir.root()).run().ok_and_silent()
    };
    run(&["--file", name, "--processes", "2", "--report", "file.html"]);
    run(&["--max-size", "64KiB", "--processes", "1", "--report", "sizes.html"]);
    let mode = fs::metadata(dir.path("file.html")).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode & 0o600, 0o600);
    assert_eq!(names(&dir), [name, "file.html", "sizes.html"]);

    let has_browser = has_browser(&dir);
    for page in ["file.html", "sizes.html"] {
        let html = String::from_utf8(dir.read(page)).unwrap();
        for outside in ["http:", "https:", "//www", "<script", "url(", "@import", "<img"] {
            assert!(!html.contains(outside), "{outside} is in {page}");
        }
        for wanted in [
            "prefers-color-scheme: dark",
            "@media print",
            "width=device-width",
            "default-src 'none'",
        ] {
            assert!(html.contains(wanted), "{wanted} is not in {page}");
        }
        // The advice is the same sentence everywhere.
        let advice = "Inconclusive with fewer than 3 runs";
        assert_eq!(html.matches(advice).count(), 2, "{page}");
        assert!(!html.contains("Quickest"), "{page}");
        assert!(!html.contains("NaN") && !html.contains(">inf"), "{page}");

        if !has_browser {
            continue;
        }
        let (dom, _) = browse(&dir, &dir.path(page), &["--dump-dom"]);
        assert!(dom.find("chart-programs") < dom.find("class=\"tiles\""), "it comes first");
        let charts = [
            "programs",
            "throughput-encrypt",
            "throughput-decrypt",
            "throughput-verify",
            "speedup",
            "ceilings",
        ];
        for chart in charts {
            let begin = dom.find(&format!("<svg id=\"chart-{chart}\"")).unwrap();
            let svg = &dom[begin..begin + dom[begin..].find("</svg>").unwrap()];
            assert!(
                svg.contains("role=\"img\"") && svg.contains("<title") && svg.contains("<desc")
            );
            assert!(svg.matches("<path").count() + svg.matches("<rect").count() >= 3, "{svg}");
        }
        let picture = dir.path("page.png");
        let screenshot = format!("--screenshot={}", picture.display());
        browse(&dir, &dir.path(page), &[&screenshot, "--window-size=390,3000"]);
        let png = fs::read(&picture).unwrap();
        assert!(png.starts_with(b"\x89PNG") && png.len() > 20_000, "{}", png.len());
        fs::remove_file(picture).unwrap();
    }
}

#[test]
fn a_report_is_replaced_only_by_force() {
    let dir = with_file();
    dir.write("r.html", "old");
    let args = ["benchmark", "--file", "data", "--runs=1", "--processes=1", "--report", "r.html"];
    dir.fails(dir.command(&args), 73, &["exists"]);
    let done = dir.run(&[&args[..], &["--force"]].concat()).ok();
    assert_eq!(done.stderr_text(), "Report: r.html\n");
    assert!(dir.read("r.html").starts_with(b"<!DOCTYPE html>"));
    assert_eq!(names(&dir), ["data", "r.html"]);
}
