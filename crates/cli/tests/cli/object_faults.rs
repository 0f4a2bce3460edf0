//! Stores that fail in every way, at random but repeatably.

use std::ops::Range;
use std::time::Duration;

use crate::common::test_bytes;
use crate::objects::{Setup, url};
use cryptstream_s3_test_server::{ErrorCode, Fault, Faults, Operation, Rule};

const LEN: usize = 18 << 20;

/// Other seeds to try than the first ones, such as `100..900`.
const SEEDS: &str = "CRYPTSTREAM_FAULT_SEEDS";

fn seeds() -> Range<u64> {
    let Ok(text) = std::env::var(SEEDS) else { return 0..6 };
    let (first, end) = text.split_once("..").unwrap();
    first.parse().unwrap()..end.parse().unwrap()
}

/// Whatever happens, the object is whole or absent, and so is the file.
#[test]
fn no_fault_makes_a_wrong_or_partial_object() {
    let setup = Setup::new();
    let content = test_bytes(LEN);
    let (mut succeeded, mut failed) = (0, 0);
    for seed in seeds() {
        setup.dir.write("plain", &content);
        setup.server.set_faults(all(seed));
        let done = setup.command(&["encrypt", "-i", "id", "plain", &url("object")]).run();
        let key_exists = setup.server.get("bucket", "object").is_some();
        assert_eq!(done.code() == Some(0), key_exists, "seed {seed}: {done:?}");
        if !key_exists {
            assert!(matches!(done.code(), Some(74 | 75)), "seed {seed}: {done:?}");
            failed += 1;
            println!("seed {seed}: {done:?}");
            setup.server.set_faults(Faults::default());
            continue;
        }
        let done = setup.command(&["decrypt", "-i", "id", &url("object"), "back"]).run();
        match done.code() {
            Some(0) => {
                assert!(setup.dir.read("back") == content, "seed {seed}");
                std::fs::remove_file(setup.dir.path("back")).unwrap();
                succeeded += 1;
            }
            Some(74 | 75) => {
                assert!(!setup.dir.path("back").exists(), "seed {seed}");
                println!("seed {seed}: {done:?}");
                failed += 1;
            }
            _ => panic!("seed {seed}: {done:?}"),
        }
        setup.server.set_faults(Faults::default());
        let verified = setup.command(&["verify", "-i", "id", &url("object")]).run();
        assert_eq!(verified.code(), Some(0), "seed {seed}: {verified:?}");
        setup.server.delete("bucket", "object");
    }
    let faults: usize = setup.server.requests().iter().map(|it| it.faults.len()).sum();
    println!("{faults} faults; {succeeded} round trips succeeded, {failed} failed");
    assert!(faults > 10, "{faults} faults");
    assert!(succeeded > 0, "{failed} runs failed");
}

fn all(seed: u64) -> Faults {
    let get = |fault| Rule::random(0.08, fault).on(Operation::GetObject);
    Faults::seeded(seed)
        .rule(Rule::random(0.05, Fault::Error(ErrorCode::InternalError)))
        .rule(Rule::random(0.05, Fault::SlowDown { retry_after: 1 }))
        .rule(Rule::random(0.04, Fault::Reset))
        .rule(Rule::random(0.04, Fault::ResetWhileReading { after: 5000 }))
        .rule(get(Fault::ResetBody { after: 3000 }))
        .rule(get(Fault::CutBody { after: 9000 }))
        .rule(Rule::random(0.1, Fault::LoseAnswer).on(Operation::CompleteMultipartUpload))
        .rule(
            Rule::random(0.1, Fault::ErrorWithStatus200(ErrorCode::InternalError))
                .on(Operation::CompleteMultipartUpload),
        )
        .rule(Rule::random(0.1, Fault::Delay(Duration::from_millis(20))))
}
