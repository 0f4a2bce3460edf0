//! Several files at a time.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::cell::Cell;
use std::fs;

use common::{Fixture, engine_of, paint, watched};
use cryptstream_engine::{
    CommitOptions, Encrypt, Error, OutputFormat, Processes, SandboxMode, Source,
};
use cryptstream_format::Format;

/// Lengths around every size that is treated differently.
const LENGTHS: [usize; 12] = [
    0,
    1,
    65_536,
    65_537,
    400 << 10,
    (1 << 20) - 1,
    1 << 20,
    (1 << 20) + 1,
    (3 << 20) + 7,
    9 << 20,
    5,
    300_000,
];

#[test]
fn all_are_encrypted_and_decrypted() {
    watched(|| {
        for count in [0, 1, 3] {
            let fixture = Fixture::new();
            let mut engine = fixture.engine(count, "good");
            let names = || (0..LENGTHS.len() * 3).map(|n| (n, LENGTHS[n % LENGTHS.len()]));
            for (n, len) in names() {
                fixture.write(&format!("{n}"), &paint(len + n));
            }
            let mut done = Vec::new();
            let _ = fixture.encrypt_all(
                &mut engine,
                &mut names().map(|(n, _)| fixture.item(&format!("{n}"), Some(&format!("{n}.enc")))),
                &mut |n, result| {
                    result.unwrap();
                    done.push(n);
                },
            );
            done.sort_unstable();
            assert_eq!(done, names().map(|(n, _)| n).collect::<Vec<_>>());
            done.clear();
            let _ = fixture.decrypt_all(
                &mut engine,
                &mut names()
                    .map(|(n, _)| fixture.item(&format!("{n}.enc"), Some(&format!("{n}.out")))),
                &mut |n, result| {
                    result.unwrap();
                    done.push(n);
                },
            );
            assert_eq!(done.len(), names().count());
            for (n, len) in names() {
                assert!(fixture.read(&format!("{n}.out")) == paint(len + n), "{n}");
            }
        }
    });
}

/// Main processes armored files in order, while workers process others.
#[test]
fn armored_files_are_decrypted_among_others() {
    watched(|| {
        for count in [0, 2] {
            let fixture = Fixture::new();
            let mut engine = fixture.engine(count, "good");
            let names = || (0..8).map(|n| (n, (9 << 20) + 1000 * n));
            for (n, len) in names() {
                fixture.write("plain", &paint(len));
                let mut source = Source::open(&fixture.path("plain")).unwrap();
                let format = if n % 3 == 1 {
                    OutputFormat::Armored
                } else {
                    OutputFormat::Binary(Format::Age)
                };
                let (target, recipients) =
                    (fixture.target(&format!("{n}.age")), fixture.recipients());
                let commit = CommitOptions::default();
                let request = Encrypt::source(&mut source).target(target);
                engine
                    .encrypt(request.format(format).recipients(&recipients).commit(commit))
                    .unwrap();
            }
            let mut armored = 0;
            let mut on_done = |n: usize, result: Result<cryptstream_engine::Summary, Error>| {
                let summary = result.unwrap();
                assert_eq!(summary.is_armored, n % 3 == 1);
                armored += usize::from(summary.is_armored);
            };
            let _ = fixture.decrypt_all(
                &mut engine,
                &mut names()
                    .map(|(n, _)| fixture.item(&format!("{n}.age"), Some(&format!("{n}.out")))),
                &mut on_done,
            );
            let _ = fixture.decrypt_all(
                &mut engine,
                &mut names().map(|(n, _)| fixture.item(&format!("{n}.age"), None)),
                &mut on_done,
            );
            assert_eq!(armored, 6);
            for (n, len) in names() {
                assert!(fixture.read(&format!("{n}.out")) == paint(len), "{n}");
            }
        }
    });
}

#[test]
fn one_that_fails_does_not_keep_the_others() {
    watched(|| {
        let fixture = Fixture::new();
        for n in 0..8 {
            fixture.write(&format!("{n}"), &paint(400_000 + n));
            fixture
                .encrypt(&mut fixture.engine(0, "good"), &format!("{n}"), &format!("{n}.enc"))
                .unwrap();
        }
        let mut bad = fixture.read("3.enc");
        bad[300_000] ^= 1;
        fixture.write("3.enc", &bad);
        for count in [0, 2] {
            let mut engine = fixture.engine(count, "good");
            let mut failed = Vec::new();
            let summary = fixture.decrypt_all(
                &mut engine,
                &mut (0..8)
                    .map(|n| fixture.item(&format!("{n}.enc"), Some(&format!("{n}.{count}")))),
                &mut |n, result| {
                    if let Err(error) = result {
                        assert!(matches!(error, Error::Damaged { .. }), "{error}");
                        failed.push(n);
                    }
                },
            );
            assert_eq!((failed, summary.files, summary.failed), (vec![3], 8, 1));
            for n in [0, 1, 2, 4, 5, 6, 7] {
                assert!(fixture.read(&format!("{n}.{count}")) == paint(400_000 + n));
            }
            assert!(!fixture.path(&format!("3.{count}")).exists());
        }
        assert_eq!(fs::read_dir(fixture.root()).unwrap().count(), 8 + 8 + 2 * 7 + 1);
    });
}

/// Otherwise memory would grow with the number of files.
#[test]
fn no_more_are_asked_for_than_are_about_to_be_done() {
    watched(|| {
        for (count, large) in [(0, 0), (2, 0), (2, 3)] {
            let fixture = Fixture::new();
            fixture.write("small", b"small");
            fixture.write("large", &paint(9 << 20));
            let mut engine = fixture.engine(count, "good");
            let (asked, ahead, done) = (Cell::new(0_usize), Cell::new(0), Cell::new(0));
            let mut items = (0..2000).map(|n| {
                asked.set(n + 1);
                ahead.set(ahead.get().max(asked.get() - done.get()));
                let name = if n < large { "large" } else { "small" };
                fixture.item(name, Some(&format!("{n}.enc")))
            });
            let summary = fixture.encrypt_all(&mut engine, &mut items, &mut |_, result| {
                result.unwrap();
                done.set(done.get() + 1);
            });
            assert_eq!((done.get(), summary.files, summary.failed), (2000, 2000, 0));
            assert!(ahead.get() < 200, "{} with {count} workers", ahead.get());
        }
    });
}

#[test]
fn workers_that_die_are_done_without() {
    watched(|| {
        let fixture = Fixture::new();
        for n in 0..20 {
            fixture.write(&format!("{n}"), &paint(400_000 + n));
        }
        for point in ["Claimed", "Loaded", "Written", "Done"] {
            let mut engine = fixture.engine(2, &format!("die.1.{point}.2"));
            engine.warm_up().unwrap();
            let _ = fixture.encrypt_all(
                &mut engine,
                &mut (0..20).map(|n| fixture.item(&format!("{n}"), Some(&format!("{n}.enc")))),
                &mut |_, result| assert!(result.is_ok(), "{result:?}"),
            );
            for n in 0..20 {
                assert!(fixture.content(&format!("{n}.enc")) == paint(400_000 + n), "{point} {n}");
            }
        }
    });
}

/// One file that kills every worker must not make the others in flight fail.
#[test]
fn a_file_that_kills_workers_fails_alone() {
    watched(|| {
        const FILES: usize = 6;
        const POISON: usize = 3;
        let fixture = Fixture::new();
        for n in 0..FILES {
            // The length that the faulty worker looks for.
            let len = if n == POISON { (9 << 20) + 777 } else { (9 << 20) + n };
            fixture.write(&format!("{n}"), &paint(len));
        }
        // Main works too, and may finish the file before three workers have died.
        let mut has_failed = false;
        while !has_failed {
            let program = fixture.program("poison.0.Claimed.1");
            let mut engine = engine_of(program, Processes::Exactly(2), SandboxMode::Off);
            let mut done = 0;
            let _ = fixture.encrypt_all(
                &mut engine,
                &mut (0..FILES).map(|n| fixture.item(&format!("{n}"), Some(&format!("{n}.enc")))),
                &mut |n, result| {
                    done += 1;
                    match result {
                        Ok(_) => {}
                        Err(Error::WorkersDied { path, .. }) if n == POISON => {
                            assert_eq!(path, fixture.path(&format!("{n}")));
                            has_failed = true;
                        }
                        Err(error) => panic!("{n}: {error}"),
                    }
                },
            );
            assert_eq!(done, FILES);
            for n in (0..FILES).filter(|n| *n != POISON) {
                assert!(fixture.content(&format!("{n}.enc")) == paint((9 << 20) + n), "{n}");
            }
        }
    });
}
