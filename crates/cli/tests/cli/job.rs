//! One job over several processes, as several machines would run it.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::common::tree::described;
use crate::common::{Dir, Random, Run, TIMEOUT, test_bytes, wait, wait_status};
use crate::json::Printed;

const SHARDS: usize = 4;

/// A key pair, and a tree with unusual entries in `src`.
fn prepared() -> Dir {
    let dir = Dir::new();
    let recipient = dir.keygen("key");
    dir.write("key.pub", recipient);
    for folder in ["src/a/b/c", "src/empty", "src/closed"] {
        fs::create_dir_all(dir.path(folder)).unwrap();
    }
    for number in 0..40 {
        let folder = ["a", "a/b", "a/b/c", "closed"][number % 4];
        dir.write(format!("src/{folder}/file {number}"), test_bytes(number * 997));
    }
    dir.write("src/large", test_bytes(9 << 20));
    dir.write("src/middle", test_bytes((1 << 20) + 5));
    let name = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"src/odd \xff\n");
    dir.write(name, "odd");
    symlink("../large", dir.path("src/a/link")).unwrap();
    fs::set_permissions(dir.path("src/a/file 0"), fs::Permissions::from_mode(0o640)).unwrap();
    fs::set_permissions(dir.path("src/closed"), fs::Permissions::from_mode(0o555)).unwrap();
    let earlier = std::time::SystemTime::now() - Duration::from_secs(100_000);
    for folder in ["src/a/b", "src"] {
        File::open(dir.path(folder)).unwrap().set_modified(earlier).unwrap();
    }
    dir
}

fn plan(dir: &Dir) {
    let shards = SHARDS.to_string();
    let args = ["job", "plan", "-R", "key.pub", "src", "dst", "--job", "job", "--shards", &shards];
    dir.run(&args).ok();
}

fn run(dir: &Dir, shard: usize) -> Run {
    dir.command(&["job", "run", "--job", "job", "--shard", &format!("{shard}/{SHARDS}")])
}

fn finish(dir: &Dir) -> Run {
    dir.command(&["job", "finish", "--job", "job"])
}

fn status(dir: &Dir) -> serde_json::Value {
    let done = dir.run(&["job", "status", "--job", "job", "--json"]).ok();
    done.json(&done.stdout)
}

/// Every line of every file in the folder of the job fits the schema.
fn assert_fits_the_schema(dir: &Dir) {
    let mut printed = Printed::default();
    for path in files_of_job(dir) {
        let name = path.display().to_string();
        printed.take(&name, "job", &fs::read(path).unwrap());
    }
    printed.check();
}

/// The files in the folder of the job, which only its owner can read.
fn files_of_job(dir: &Dir) -> Vec<PathBuf> {
    let (mut files, mut folders) = (Vec::new(), vec![dir.path("job")]);
    while let Some(folder) = folders.pop() {
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o7777, 0o700);
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
            files.push(path);
        }
    }
    files
}

/// The copy has the folders, links, bits and times of the source, and its content.
#[track_caller]
fn assert_complete(dir: &Dir) {
    let _ = fs::remove_dir_all(dir.path("again"));
    dir.run(&["decrypt", "-i", "key", "dst", "again"]).ok();
    let (source, again) = (described(&dir.path("src")), described(&dir.path("again")));
    assert!(source == again, "{source:?}\n{again:?}");
    // And nothing else, such as a temporary.
    let (source, copy) = (described(&dir.path("src")).len(), described(&dir.path("dst")).len());
    assert_eq!(source, copy);
}

#[test]
fn shards_of_several_engines_make_the_copy_of_a_plain_run() {
    let dir = prepared();
    plan(&dir);
    assert_eq!(status(&dir)["files_done"], 0);
    run(&dir, 1).run().ok();
    let as_task =
        |name: &str, value: &str| dir.command(&["job", "run", "--job", "job"]).env(name, value);
    as_task("SLURM_ARRAY_TASK_ID", "0").run().ok();
    as_task("SLURM_ARRAY_TASK_ID", "3").env("SLURM_ARRAY_TASK_MIN", "1").run().ok();
    as_task("JOB_COMPLETION_INDEX", "3").run().ok();
    let before = status(&dir);
    assert_eq!((&before["state"], &before["shards_done"]), (&"open".into(), &SHARDS.into()));
    finish(&dir).run().ok();
    assert_complete(&dir);
    assert_eq!(status(&dir)["state"], "finished");

    dir.run(&["encrypt", "-R", "key.pub", "src", "plain"]).ok();
    dir.run(&["decrypt", "-i", "key", "plain", "plain-again"]).ok();
    assert!(described(&dir.path("plain-again")) == described(&dir.path("again")));
    let names = |name: &str| described(&dir.path(name)).into_keys().collect::<Vec<_>>();
    assert_eq!(names("plain"), names("dst"));

    // Everything can be repeated.
    let complete = described(&dir.path("dst"));
    assert!(finish(&dir).run().ok().stderr_text().contains("before"));
    assert!(run(&dir, 0).run().ok().stderr_text().contains("nothing to run"));
    assert!(described(&dir.path("dst")) == complete);
    dir.fails(dir.command(&["job", "abort", "--job", "job"]), 78, &["is finished"]);
    assert_fits_the_schema(&dir);
}

#[test]
fn the_local_engine_runs_all_shards_and_finishes() {
    let dir = prepared();
    plan(&dir);
    let args = ["job", "submit", "--job", "job", "--engine", "local", "--parallel", "3"];
    dir.run(&args).ok();
    assert_complete(&dir);
    dir.run(&args).ok();
}

#[test]
fn a_job_decrypts_with_the_identity_that_each_machine_gets() {
    let dir = prepared();
    dir.run(&["encrypt", "-R", "key.pub", "src", "dst"]).ok();
    dir.run(&["job", "plan", "--decrypt", "dst", "again", "--job", "job", "--shards", "2"]).ok();
    let run = |shard: &str, keys: &[&str]| {
        let args = ["job", "run", "--job", "job", "--shard", shard];
        dir.command(&[&args[..], keys].concat()).run()
    };
    dir.keygen("other");
    assert_eq!(run("0/2", &["-i", "other"]).code(), Some(77));
    let submit = ["job", "submit", "--job", "job", "--engine", "local", "-i", "key"];
    dir.run(&submit).ok();
    assert!(described(&dir.path("src")) == described(&dir.path("again")));
}

#[test]
fn finish_names_exactly_what_is_missing() {
    let dir = prepared();
    plan(&dir);
    for shard in [0, 2, 3] {
        run(&dir, shard).run().ok();
    }
    let listed = fs::read_dir(dir.path("job")).unwrap().map(|entry| entry.unwrap().path());
    let plan_folder = listed.into_iter().find(|it| it.to_string_lossy().contains("plan-")).unwrap();
    let shard = fs::read_to_string(plan_folder.join("00001.jsonl")).unwrap();
    let output = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let output = &line["output"];
        let odd = output.get("hex").map(|hex| {
            assert_eq!(*hex, "6f646420ff0a2e656e63");
            "odd \u{fffd}\n.enc"
        });
        output.as_str().or(odd).map(|output| dir.path("dst").join(output))
    };
    let mut expected: Vec<_> = shard.lines().filter_map(output).collect();
    expected.sort();
    assert!(!expected.is_empty());
    let done = dir.run(&["job", "finish", "--job", "job", "--json"]);
    assert_eq!(done.code(), Some(75), "{done:?}");
    let report = done.json(&done.stdout);
    let missing = report["errors"].as_array().unwrap().iter();
    let mut missing: Vec<_> =
        missing.map(|error| Path::new(error["file"].as_str().unwrap()).to_owned()).collect();
    missing.sort();
    assert_eq!((missing, &report["finished"]), (expected, &false.into()));

    // An output that was removed after its receipt is missing as well, and is made again.
    run(&dir, 1).run().ok();
    fs::remove_file(dir.path("dst/large.enc")).unwrap();
    let done = finish(&dir).run();
    assert_eq!(done.code(), Some(75));
    let told = done.stderr_text();
    assert_eq!(told.matches("dst/").count(), 1, "{told}");
    assert!(told.contains("job run --shard 1/4") || told.contains("job run --shard 0/4"), "{told}");
    (0..SHARDS).for_each(|shard| drop(run(&dir, shard).run().ok()));
    finish(&dir).run().ok();
    assert_complete(&dir);
}

#[test]
fn a_changed_source_is_refused_and_the_others_go_on() {
    let dir = prepared();
    plan(&dir);
    // Another length; the same length and time; another file of the same name; no file; a link.
    dir.write("src/a/file 0", "changed");
    let unchanged = fs::metadata(dir.path("src/middle")).unwrap().modified().unwrap();
    let mut middle = File::options().write(true).open(dir.path("src/middle")).unwrap();
    middle.write_all(b"changed").unwrap();
    middle.set_modified(unchanged).unwrap();
    drop(middle);
    fs::copy(dir.path("src/large"), dir.path("copy")).unwrap();
    fs::rename(dir.path("copy"), dir.path("src/large")).unwrap();
    fs::remove_file(dir.path("src/a/file 4")).unwrap();
    fs::create_dir(dir.path("elsewhere")).unwrap();
    for number in (2..40).step_by(4) {
        dir.write(format!("elsewhere/file {number}"), "not in the source");
    }
    fs::rename(dir.path("src/a/b/c"), dir.path("c")).unwrap();
    symlink("../../../elsewhere", dir.path("src/a/b/c")).unwrap();

    let codes: Vec<_> = (0..SHARDS).map(|shard| run(&dir, shard).run().code().unwrap()).collect();
    assert!(codes.iter().all(|code| [0, 65, 66].contains(code)), "{codes:?}");
    let done = finish(&dir).run();
    assert!([Some(65), Some(66)].contains(&done.code()), "{done:?}");
    let text = done.stderr_text();
    for name in ["a/file 0.enc", "middle.enc", "large.enc", "a/file 4.enc", "c/file 2.enc"] {
        assert!(text.contains(name), "{name}: {text}");
        assert!(!dir.path("dst").join(name).exists(), "{name}");
    }
    assert!(!dir.path("dst/a/b/c/file 2.enc").exists());
    // All others are there.
    assert_eq!(status(&dir)["files_done"], 43 - 4 - 10);
    assert_fits_the_schema(&dir);
}

#[test]
fn two_runs_of_one_shard_and_two_finishes_at_once_do_no_harm() {
    let dir = prepared();
    plan(&dir);
    for shard in 0..SHARDS {
        let runs = [run(&dir, shard).spawn(), run(&dir, shard).spawn(), run(&dir, shard).spawn()];
        for child in runs {
            wait(child).ok();
        }
    }
    let finishes = [finish(&dir).spawn(), finish(&dir).spawn(), finish(&dir).spawn()];
    for child in finishes {
        wait(child).ok();
    }
    assert_complete(&dir);
}

#[test]
fn runs_that_are_killed_at_any_point_lose_nothing() {
    let dir = prepared();
    plan(&dir);
    let mut random = Random::new();
    let begun = Instant::now();
    for shard in 0..SHARDS {
        // As if the machine were lost, at most ten times; the last attempt is left alone.
        for _ in 0..10 {
            let mut child = run(&dir, shard).spawn();
            thread::sleep(random.within(Duration::from_millis(150)));
            child.kill().unwrap();
            wait_status(&mut child);
        }
        run(&dir, shard).run().ok();
    }
    for _ in 0..5 {
        let mut child = finish(&dir).spawn();
        thread::sleep(random.within(Duration::from_millis(40)));
        child.kill().unwrap();
        wait_status(&mut child);
    }
    finish(&dir).run().ok();
    assert_complete(&dir);
    assert!(begun.elapsed() < TIMEOUT * 4);
}

#[test]
fn a_run_that_is_asked_to_terminate_wants_to_be_run_again() {
    let dir = Dir::new();
    let recipient = dir.keygen("key");
    fs::create_dir(dir.path("src")).unwrap();
    File::create(dir.path("src/sparse")).unwrap().set_len(3 << 30).unwrap();
    let args = ["job", "plan", "-r", &recipient, "src", "dst", "--job", "job"];
    dir.run(&args).ok();
    for json in [&[][..], &["--json"]] {
        let args = [&["job", "run", "--job", "job", "--shard", "0/1"][..], json].concat();
        let child = dir.command(&args).spawn();
        let receipts = || fs::read_dir(dir.path("job/receipts")).unwrap().count();
        let begun = Instant::now();
        while receipts() == 0 {
            assert!(begun.elapsed() < TIMEOUT);
            thread::sleep(Duration::from_millis(5));
        }
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        let done = wait(child);
        assert_eq!(done.code(), Some(75), "{done:?}");
        if !json.is_empty() {
            assert_eq!(done.json(&done.stdout)["error"]["code"], 75);
        }
        fs::remove_dir_all(dir.path("job/receipts")).unwrap();
        fs::create_dir(dir.path("job/receipts")).unwrap();
    }
    assert_eq!(fs::read_dir(dir.path("dst")).unwrap().count(), 0);
}

#[test]
fn what_does_not_belong_to_the_job_is_refused() {
    let dir = prepared();
    plan(&dir);
    let shards = SHARDS.to_string();
    let again = ["job", "plan", "-R", "key.pub", "src", "dst", "--job", "job", "--shards", &shards];
    dir.fails(dir.command(&again), 73, &["has a job already"]);
    for (shard, words) in [("4/4", "which has 4"), ("0/5", "which has 4"), ("x", "which has 4")] {
        let args = ["job", "run", "--job", "job", "--shard", shard];
        dir.fails(dir.command(&args), 64, &[words]);
    }
    dir.fails(dir.command(&["job", "run", "--job", "job"]), 64, &["no engine has set"]);
    let task = dir.command(&["job", "run", "--job", "job"]).env("SLURM_ARRAY_TASK_ID", "4");
    dir.fails(task, 64, &["SLURM_ARRAY_TASK_ID"]);
    dir.fails(dir.command(&["job", "run", "--job", "src", "--shard", "0/4"]), 77, &["chmod 700"]);
    let with_key = ["job", "run", "--job", "job", "--shard", "0/4", "-i", "key"];
    dir.fails(dir.command(&with_key), 64, &["needs no secret"]);

    // Receipts of another job, under a name of this one; and what is no receipt.
    run(&dir, 0).run().ok();
    let receipt = fs::read_dir(dir.path("job/receipts")).unwrap().next().unwrap().unwrap().path();
    let text = fs::read_to_string(&receipt).unwrap();
    let id = status(&dir)["job"].as_str().unwrap().to_owned();
    let forged = dir.path("job/receipts/00001-0123456789abcdef.jsonl");
    let foreign = text.replace(&id, &"0".repeat(32)).replace("\"shard\":0", "\"shard\":1");
    for (content, words) in [
        (foreign, "another job"),
        (text.clone(), "another job"),
        (
            text.replace("\"shard\":0", "\"shard\":1").replace("\"object\":0", "\"object\":9999"),
            "line",
        ),
        ("nonsense\n".to_owned(), "line 1"),
    ] {
        fs::write(&forged, content).unwrap();
        for refused in [run(&dir, 1), finish(&dir)] {
            let done = refused.run();
            assert_eq!(done.code(), Some(65), "{done:?}");
            let told = done.stderr_text();
            assert!(told.contains(words) && told.contains("00001-0123456789abcdef"), "{told}");
        }
    }
    // One whose writer was killed is none.
    fs::write(&forged, &text[..20]).unwrap();
    run(&dir, 1).run().ok();

    // Other versions, and damage.
    let description = fs::read_to_string(dir.path("job/job.json")).unwrap();
    let write = |text: &str| fs::write(dir.path("job/job.json"), text).unwrap();
    write(&description.replace("\"version\":1", "\"version\":0"));
    dir.fails(finish(&dir), 78, &["version 0"]);
    write(&description[..100]);
    dir.fails(finish(&dir), 65, &["job.json"]);
    write(&description);
    fs::set_permissions(dir.path("job"), fs::Permissions::from_mode(0o750)).unwrap();
    dir.fails(finish(&dir), 77, &["chmod 700"]);
    fs::set_permissions(dir.path("job"), fs::Permissions::from_mode(0o700)).unwrap();

    dir.run(&["job", "abort", "--job", "job"]).ok();
    dir.run(&["job", "abort", "--job", "job"]).ok();
    dir.fails(run(&dir, 2), 78, &["aborted"]);
    dir.fails(finish(&dir), 78, &["aborted"]);
    assert_eq!(status(&dir)["state"], "aborted");
}

#[test]
fn what_cannot_be_planned_is_refused_before_anything_is_written() {
    let dir = prepared();
    let plan = |args: &[&str]| {
        let all = [&["job", "plan", "--job", "job", "src", "dst"][..], args].concat();
        dir.command(&all)
    };
    dir.fails(plan(&[]), 64, &["recipients"]);
    dir.fails(plan(&[]).env("CRYPTSTREAM_PASSPHRASE", "secret"), 64, &["recipients"]);
    dir.fails(plan(&["-R", "key.pub", "--shards", "0"]), 64, &["--shards"]);
    let args = ["job", "plan", "-R", "key.pub", "src", "src/copy", "--job", "job"];
    dir.fails(dir.command(&args), 64, &["inside"]);
    let args = ["job", "plan", "-R", "key.pub", "src", "dst", "--job", "src/job"];
    dir.fails(dir.command(&args), 64, &["inside"]);
    let args = ["job", "plan", "-R", "key.pub", "key", "dst", "--job", "job"];
    dir.fails(dir.command(&args), 64, &["not a folder"]);
    let args = ["job", "plan", "-R", "key.pub", "none", "dst", "--job", "job"];
    dir.fails(dir.command(&args), 66, &["no such"]);
    let args = ["job", "plan", "-R", "key.pub", "s3://bucket/src/", "dst", "--job", "job"];
    dir.fails(dir.command(&args), 64, &["URL"]);
}

#[test]
fn an_existing_output_is_kept_or_replaced_as_the_plan_says() {
    let dir = prepared();
    fs::create_dir(dir.path("dst")).unwrap();
    dir.write("dst/middle.enc", "other");
    plan(&dir);
    let codes: Vec<_> = (0..SHARDS).map(|shard| run(&dir, shard).run().code().unwrap()).collect();
    assert_eq!(codes.iter().filter(|code| **code == 73).count(), 1, "{codes:?}");
    assert_eq!(finish(&dir).run().code(), Some(73));
    assert_eq!(dir.read("dst/middle.enc"), b"other");
    for (flag, job) in [("--newer", "job2"), ("--force", "job3")] {
        let before = fs::metadata(dir.path("dst/large.enc")).unwrap();
        dir.run(&["job", "plan", "-R", "key.pub", flag, "src", "dst", "--job", job]).ok();
        dir.run(&["job", "submit", "--engine", "local", "--job", job]).ok();
        assert_complete(&dir);
        use std::os::unix::fs::MetadataExt;
        let after = fs::metadata(dir.path("dst/large.enc")).unwrap();
        assert_eq!(before.ino() == after.ino(), flag == "--newer", "{flag}");
    }
}

#[test]
fn no_file_of_a_job_has_a_secret() {
    let dir = prepared();
    let secret = String::from_utf8(dir.read("key")).unwrap();
    let secret = secret.lines().find(|line| line.starts_with("AGE-SECRET-KEY-")).unwrap();
    let args = ["job", "plan", "-i", "key", "src", "dst", "--job", "job", "--shards", "2"];
    let mut told = dir.run(&args).ok().stderr;
    let submit = ["job", "submit", "--engine", "local", "--job", "job"];
    told.extend(dir.run(&submit).ok().stderr);
    let mut all = String::from_utf8(told).unwrap();
    for path in files_of_job(&dir) {
        all += &fs::read_to_string(path).unwrap();
    }
    assert!(all.contains("age1") && all.contains("file 1"));
    // Not even a part of it.
    for part in secret.as_bytes()[16..].windows(12) {
        let part = std::str::from_utf8(part).unwrap();
        assert!(!all.to_uppercase().contains(part), "{part}");
    }
}
