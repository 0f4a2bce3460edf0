//! Every row of the crash table: workers that die or hang at named points.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::fs;
use std::time::Instant;

use common::{Fixture, engine_of, paint, watched};
use cryptstream_engine::{Error, Processes, SandboxMode};

const LEN: usize = (24 << 20) + 54_321;

fn fixture() -> Fixture {
    let fixture = Fixture::new();
    fixture.write("plain", &paint(LEN));
    let mut alone = fixture.engine(0, "alone");
    fixture.encrypt(&mut alone, "plain", "encrypted").unwrap();
    fixture
}

/// Worker 1 of two dies at `point` for the `time`th time. Returns how many died and how many
/// segments were redone, while encrypting and decrypting. If it never gets there, because the other
/// worker does nearly everything, the run is repeated.
fn one_death(action: &str, point: &str, time: u32) -> [(u32, u32); 2] {
    let fixture = fixture();
    let plan = format!("{action}.1.{point}.{time}");
    // Only encryption stops there.
    let is_everywhere = !["Claimed", "Loaded"].contains(&point);
    [true, false].map(|is_sealing| {
        loop {
            let mut engine = fixture.engine(2, &plan);
            // So that main leaves the work to them.
            engine.warm_up().unwrap();
            let summary = if is_sealing {
                let summary = fixture.encrypt(&mut engine, "plain", "out").unwrap();
                assert!(fixture.content("out") == paint(LEN), "{plan}");
                summary
            } else {
                let summary = fixture.decrypt(&mut engine, "encrypted", "decrypted").unwrap();
                assert!(fixture.read("decrypted") == paint(LEN), "{plan}");
                summary
            };
            if summary.workers.died > 0 || !(is_sealing || is_everywhere) {
                return (summary.workers.died, summary.workers.redone);
            }
        }
    })
}

#[test]
fn during_start_up() {
    watched(|| {
        for point in ["Started", "LockedIn"] {
            let deaths = one_death("die", point, 1);
            assert!(deaths.iter().all(|(_, redone)| *redone == 0), "{point}: {deaths:?}");
        }
    });
}

#[test]
fn after_the_claim_and_before_loading() {
    watched(|| {
        assert_eq!(one_death("die", "Claimed", 1)[0], (1, 1));
        assert_eq!(one_death("die", "Claimed", 3)[0], (1, 1));
    });
}

#[test]
fn after_loading() {
    watched(|| {
        for time in [1, 7, 16, 17, 40] {
            assert_eq!(one_death("die", "Loaded", time)[0], (1, 1), "{time}");
        }
    });
}

#[test]
fn while_writing() {
    watched(|| {
        for time in [1, 2, 4, 5, 11] {
            assert_eq!(one_death("die", "Writing", time), [(1, 1); 2], "{time}");
        }
    });
}

#[test]
fn after_writing_and_before_it_is_done() {
    watched(|| {
        assert_eq!(one_death("die", "Written", 1), [(1, 1); 2]);
        assert_eq!(one_death("die", "Written", 4), [(1, 1); 2]);
    });
}

#[test]
fn after_it_is_done() {
    watched(|| assert_eq!(one_death("die", "Done", 2), [(1, 0); 2]));
}

#[test]
fn by_other_deaths_than_a_signal() {
    watched(|| {
        for action in ["exit", "panic", "abort"] {
            assert_eq!(one_death(action, "Written", 2), [(1, 1); 2], "{action}");
        }
    });
}

#[test]
fn every_worker_over_and_over() {
    watched(|| {
        let fixture = fixture();
        for point in ["Started", "LockedIn", "Claimed", "Loaded", "Writing", "Written", "Done"] {
            let mut engine = fixture.engine(3, &format!("die.0.{point}.2"));
            engine.warm_up().unwrap();
            match fixture.encrypt(&mut engine, "plain", "out") {
                Ok(_) => assert!(fixture.content("out") == paint(LEN), "{point}"),
                // Three deaths over one segment end the run, and leave nothing.
                Err(Error::WorkersDied { .. }) => assert!(!fixture.path("out").exists()),
                Err(error) => panic!("{point}: {error}"),
            }
            let _ = fs::remove_file(fixture.path("out"));
        }
    });
}

#[test]
fn workers_that_never_come_up() {
    watched(|| {
        let fixture = fixture();
        for point in ["Started", "LockedIn"] {
            let mut engine = fixture.engine(3, &format!("die.0.{point}.1"));
            let summary = fixture.encrypt(&mut engine, "plain", "out").unwrap();
            assert_eq!(summary.workers.sandbox, None);
            assert!(fixture.content("out") == paint(LEN), "{point}");
        }
    });
}

#[test]
fn a_segment_that_kills_everybody_ends_the_run() {
    watched(|| {
        let fixture = fixture();
        let mut engine = fixture.engine(1, "die.0.Written.1");
        engine.warm_up().unwrap();
        // Main works too while its only worker is dead, so the segment may be saved after one or
        // two deaths.
        match fixture.encrypt(&mut engine, "plain", "out") {
            Ok(summary) => assert!(summary.workers.died > 0),
            Err(error) => assert!(matches!(error, Error::WorkersDied { .. }), "{error}"),
        }
    });
}

#[test]
fn a_worker_that_hangs_is_killed_and_done_without() {
    watched(|| {
        let fixture = fixture();
        let mut engine = fixture.engine(1, "hang.1.Loaded.5");
        engine.warm_up().unwrap();
        let start = Instant::now();
        let summary = fixture.encrypt(&mut engine, "plain", "out").unwrap();
        assert_eq!((summary.workers.died, summary.workers.redone), (1, 1));
        assert!(start.elapsed() > std::time::Duration::from_secs(5), "nobody hung");
        assert!(fixture.content("out") == paint(LEN));
    });
}

/// Killed workers do not mean that the system has no sandbox.
#[test]
fn where_workers_are_required_and_killed_it_is_said_so() {
    watched(|| {
        let fixture = fixture();
        for point in ["Started", "LockedIn", "Written"] {
            let program = fixture.program(&format!("die.0.{point}.1"));
            let mut engine = engine_of(program, Processes::Exactly(2), SandboxMode::Require);
            let result = fixture.decrypt(&mut engine, "encrypted", "decrypted");
            let is_said = matches!(result, Err(Error::NoWorkers | Error::WorkersDied { .. }));
            assert!(is_said, "{point}: {result:?}");
        }
        let program = fixture.path("missing");
        let mut engine = engine_of(program, Processes::Exactly(2), SandboxMode::Require);
        let result = fixture.decrypt(&mut engine, "encrypted", "decrypted");
        // That is not a shortage of resources.
        assert!(matches!(result, Err(Error::NoSandbox)), "{result:?}");
    });
}
