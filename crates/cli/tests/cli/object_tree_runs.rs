//! Runs over trees in stores that are interrupted, meet faults, have few descriptors, or remove what
//! they have read.

use std::fs;
use std::time::Duration;

use crate::common::group::wait_until;
use crate::common::{test_bytes, wait};
use crate::object_trees::{files, requests, run, setup, write_tree};
use crate::objects::{url, with_store};
use cryptstream_s3_test_server::{ErrorCode, Fault, Faults, Operation, Rule};
use rustix::process::{Pid, Signal, kill_process};

/// Whatever happens, a file is transferred whole or not at all, and the next run goes on.
#[test]
fn an_interrupted_run_is_continued() {
    let setup = setup();
    let count = 150;
    for number in 0..count {
        let path = setup.dir.path(format!("in/{}/{number}", number % 7));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, test_bytes(number * 40)).unwrap();
    }
    let there = ["encrypt", "-i", "id", "in", &url("p/")];
    let back = ["decrypt", "-i", "id", &url("p/"), "out"];
    for (args, operation) in [(there, Operation::PutObject), (back, Operation::GetObject)] {
        for (first, signal) in [(20, Signal::INT), (40, Signal::KILL), (30, Signal::TERM)] {
            let hold = Fault::Delay(Duration::from_secs(3));
            let faults = (first..first + 64).fold(Faults::default(), |faults, number| {
                faults.rule(Rule::nth(number, hold.clone()).on(operation))
            });
            setup.server.set_faults(faults);
            let before = setup.server.requests().len();
            let child = setup.command(&args).spawn();
            wait_until("under way", || requests(&setup, before, operation) >= first as usize + 5);
            kill_process(Pid::from_child(&child), signal).unwrap();
            assert!(wait(child).code().is_none());
        }
        setup.server.set_faults(Faults::default());
        // What a killed run has sent may still arrive, as if another program had sent it.
        let mut runs = (0..5).map(|_| setup.command(&[&args[..], &["--json"]].concat()).run());
        let done = runs.find(|done| done.code() != Some(75)).unwrap().ok();
        let report = done.json(&done.stdout);
        assert!(report["kept"].as_u64().unwrap() > 20, "{report}");
        let sum = report["kept"].as_u64().unwrap() + report["files"].as_u64().unwrap();
        assert_eq!(sum, count as u64, "{report}");
    }
    assert_eq!(files(&setup.dir.path("out")), files(&setup.dir.path("in")));
    assert!(setup.server.uploads().is_empty());
}

/// With faults at random, but repeatably, every file is there or named.
#[test]
fn no_fault_loses_a_file() {
    let setup = setup();
    write_tree(&setup);
    let wanted = files(&setup.dir.path("in"));
    for seed in 0..4 {
        let key = format!("{seed}/");
        let faults = Faults::seeded(seed)
            .rule(Rule::random(0.1, Fault::Error(ErrorCode::InternalError)))
            .rule(Rule::random(0.05, Fault::Reset))
            .rule(Rule::random(0.1, Fault::LoseAnswer).on(Operation::PutObject))
            .rule(Rule::random(0.1, Fault::CutBody { after: 300 }).on(Operation::GetObject))
            .rule(Rule::random(0.1, Fault::CutBody { after: 300 }).on(Operation::ListObjectsV2));
        setup.server.set_faults(faults);
        for args in [["encrypt", "in", &url(&key)], ["decrypt", &url(&key), "out"]] {
            // Runs that fail are repeated.
            let ended = (0..5).find(|_| {
                let done = run(&setup, &args);
                assert!(matches!(done.code(), Some(0 | 74 | 75)), "seed {seed}: {done:?}");
                done.code() == Some(0)
            });
            assert!(ended.is_some(), "seed {seed}");
        }
        assert_eq!(files(&setup.dir.path("out")), wanted, "seed {seed}");
        fs::remove_dir_all(setup.dir.path("out")).unwrap();
    }
}

/// Fewer files are under way then.
#[test]
fn few_descriptors_suffice() {
    let setup = setup();
    for number in 0..60 {
        let path = setup.dir.path(format!("in/{number}/file"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, test_bytes(number)).unwrap();
    }
    let script = "set -e; ulimit -n 120
        $CS encrypt -i id in s3://bucket/p/
        $CS encrypt -i id in s3://bucket/p/
        $CS decrypt -i id s3://bucket/p/ out
        $CS decrypt -i id s3://bucket/p/ out";
    with_store(setup.dir.shell(script), &setup.server.endpoint()).run().ok_and_silent();
    assert_eq!(files(&setup.dir.path("out")).len(), 60);
}

/// A source goes when its output was read back, and stays if this run did not write the output.
#[test]
fn sources_are_removed_on_all_sides() {
    let setup = setup();
    write_tree(&setup);
    let wanted = files(&setup.dir.path("in"));
    run(&setup, &["encrypt", "in/deep", &url("p/deep/")]).ok_and_silent();
    let done = run(&setup, &["encrypt", "--remove-source", "in", &url("p/")]);
    assert_eq!(done.code(), Some(73), "{done:?}");
    assert!(done.stderr_text().contains("was not removed"), "{done:?}");
    let names: Vec<_> = files(&setup.dir.path("in")).into_keys().collect();
    assert_eq!(names, ["deep/d", "deep/er/c", "deep/ä ö %20+?#"]);
    run(&setup, &["encrypt", "--remove-source", "--force", "in", &url("p/")]).ok();
    assert!(files(&setup.dir.path("in")).is_empty());
    run(&setup, &["encrypt", "--remove-source", &url("p/"), &url("q/")]).ok_and_silent();
    assert!(setup.server.keys("bucket").iter().all(|key| key.starts_with("q/")));
    run(&setup, &["decrypt", "--remove-source", &url("q/"), &url("r/")]).ok_and_silent();
    assert!(setup.server.keys("bucket").iter().all(|key| key.starts_with("r/")));
    run(&setup, &["decrypt", "--remove-source", &url("r/"), "out"]).ok_and_silent();
    assert_eq!(files(&setup.dir.path("out")), wanted);
    assert!(setup.server.keys("bucket").is_empty());
}
