//! `benchmark`: what it says, what it leaves behind, and its page in a browser.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use common::{Dir, paint};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// One that workers are worth.
const LEN: usize = 12 << 20;

const OPERATIONS: [&str; 3] = ["encrypt", "decrypt", "verify"];

fn with_file() -> Dir {
    let dir = Dir::new();
    dir.write("data", paint(LEN));
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
    assert!(dir.read("data") == paint(LEN));
    assert_eq!(fs::metadata(dir.path("data")).unwrap().modified().unwrap(), before);

    let json = done.json(&done.stdout);
    assert_eq!((&json["schema"], &json["command"]), (&1.into(), &"benchmark".into()));
    assert_eq!(json["file"], "data");
    assert_eq!(json["processes"], serde_json::json!([1, 2]));
    assert_eq!(json["runs"], 3);
    assert!(json["machine"]["cores"].as_u64().unwrap() >= 1);
    assert!(json["machine"]["memory_bytes"].as_u64().unwrap() > 0);
    for text in ["processor", "kernel", "architecture"] {
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
        let who = |entry: &Value| (entry["processes"].as_u64(), entry["pool"].to_string());
        let expected =
            [(0, "null"), (1, "\"cold\""), (1, "\"warm\""), (2, "\"cold\""), (2, "\"warm\"")]
                .map(|(processes, pool)| (Some(processes), pool.to_owned()));
        assert_eq!(entries.iter().map(who).collect::<Vec<_>>(), expected);
        assert_eq!(entries[0]["speed_up"], 1.0);
        for entry in entries {
            assert_timing(entry, 3);
            let number = |name: &str| entry[name].as_f64().unwrap();
            let processes = number("processes").max(1.0);
            assert!((number("efficiency") - number("speed_up") / processes).abs() < 1e-9);
            assert!(number("share_of_file_copy") > 0.0);
        }
    }
    // The uncounted round, and five contestants in three: sealed and opened.
    assert_eq!(json["outputs_verified"], 2 * (1 + 5 * 3));
    assert!(json["recommended_processes"].as_u64().unwrap() <= 2);
    assert_eq!(json["workers_pay"].as_array().unwrap().len(), 6);
}

#[test]
fn the_ladder_is_climbed_in_a_folder_of_its_own() {
    let dir = Dir::new();
    let args = ["benchmark", "--max-size", "64KiB", "--runs", "1", "--processes", "1"];
    let done = dir.command(&args).env("TMPDIR", dir.root()).run().ok_and_silent();
    assert_eq!(names(&dir), [""; 0], "the temporary folder is gone");
    let text = done.stdout_text();
    for words in
        ["4 KiB × 500: file copy", "64 KiB × 200: file copy", "Processor", "Recommended", "1 warm"]
    {
        assert!(text.contains(words), "{words:?} is not in: {text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");

    let args = ["benchmark", "--max-size=4MiB", "--runs=1", "--processes=1", "--json"];
    let done = dir.command(&args).env("TMPDIR", dir.root()).run().ok_and_silent();
    assert_eq!(names(&dir), [""; 0]);
    let json = done.json(&done.stdout);
    let sizes = json["sizes"].as_array().unwrap();
    let bytes: Vec<_> = sizes.iter().map(|size| size["bytes"].as_u64().unwrap()).collect();
    assert_eq!(bytes, [4 << 10, 64 << 10, 400 << 10, 4 << 20]);
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
            assert!(start.elapsed() < common::PATIENCE, "it never began");
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_millis(500));
        kill_process(Pid::from_child(&child), signal).unwrap();
        let done = common::wait(child);
        assert_eq!(done.code(), None, "it dies of the signal: {done:?}");
        assert_eq!(done.stderr_text(), "");
        assert_eq!(names(&dir), [""; 0]);
    }
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
    fails(&["--file", "."], 66, &["not a plain file"]);
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

/// Runs Chromium: what it gave on both streams, and whether it succeeded.
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

/// Whether there is a Chromium that can show anything at all.
fn has_browser(dir: &Dir) -> bool {
    let blank = chromium(dir, &["--dump-dom"], "about:blank");
    let works = blank.is_some_and(|(success, dom, _)| success && dom.contains("<html"));
    if !works {
        eprintln!("skipped: no chromium, or it does not start here");
    }
    works
}

/// Opens a page: what Chromium gave on both streams.
fn browse(dir: &Dir, page: &Path, args: &[&str]) -> (String, String) {
    let page = format!("file://{}", page.display());
    let (success, stdout, stderr) = chromium(dir, args, &page).unwrap();
    assert!(success, "{stderr}");
    let said: Vec<_> = stderr.lines().filter(|line| line.contains("CONSOLE")).collect();
    assert!(said.is_empty(), "{said:?}");
    (stdout, stderr)
}

#[test]
fn the_page_stands_by_itself() {
    let dir = Dir::new();
    // A name that would be markup.
    let name = "<img src=x>&\".bin";
    dir.write(name, paint(LEN));
    let base = ["benchmark", "--runs", "2", "--processes", "2", "--quiet"];
    let run = |more: &[&str]| {
        let all = [&base[..], more].concat();
        dir.command(&all).env("TMPDIR", dir.root()).run().ok_and_silent()
    };
    run(&["--file", name, "--report", "file.html"]);
    run(&["--max-size", "64KiB", "--report", "ladder.html"]);
    let mode = fs::metadata(dir.path("file.html")).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode & 0o600, 0o600);
    assert_eq!(names(&dir), [name, "file.html", "ladder.html"]);

    let has_browser = has_browser(&dir);
    for page in ["file.html", "ladder.html"] {
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
        assert!(!html.contains("NaN") && !html.contains(">inf"), "{page}");

        if !has_browser {
            continue;
        }
        let (dom, _) = browse(&dir, &dir.path(page), &["--dump-dom"]);
        let charts = [
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
