//! `--remove-source` and `--verify-output` where the input or the output is an object.

use std::fs;

use crate::common::test_bytes;
use crate::objects::{Setup, url};
use cryptstream_s3_test_server::{ErrorCode, Fault, Faults, LoggedRequest, Operation, Rule};

const MIB: usize = 1 << 20;

/// What was fetched of this object since there were `before` requests, in bytes.
fn fetched(setup: &Setup, before: usize, key: &str) -> u64 {
    let is_of = |it: &&LoggedRequest| it.key == key && it.operation == Operation::GetObject;
    setup.server.requests()[before..].iter().filter(is_of).map(|it| it.body_sent).sum()
}

#[test]
fn the_source_goes_when_the_output_was_read_back() {
    let setup = Setup::new();
    for len in [0, 5, MIB + 1, 20 * MIB] {
        let content = test_bytes(len);
        setup.dir.write("plain", &content);
        let to_store = ["encrypt", "--remove-source", "-i", "id", "plain", &url("one")];
        let before = setup.server.requests().len();
        setup.command(&to_store).run().ok_and_silent();
        assert!(!setup.dir.path("plain").exists());
        let len = setup.object("one").len() as u64;
        assert_eq!(fetched(&setup, before, "one"), len);

        let between = ["encrypt", "--remove-source", "-i", "id", &url("one"), &url("two")];
        setup.command(&between).run().ok_and_silent();
        assert_eq!(setup.server.keys("bucket"), ["two"]);
        let within = ["decrypt", "--remove-source", "-i", "id", &url("two"), &url("three")];
        setup.command(&within).run().ok_and_silent();
        assert_eq!(setup.server.keys("bucket"), ["three"]);

        let before = setup.server.requests().len();
        let from_store = ["decrypt", "--remove-source", "-i", "id", &url("three"), "plain"];
        setup.command(&from_store).run().ok_and_silent();
        assert!(setup.dir.read("plain") == content);
        assert!(setup.server.keys("bucket").is_empty());
        let requests = &setup.server.requests()[before..];
        let removal = requests.iter().find(|it| it.operation == Operation::DeleteObject).unwrap();
        assert!(removal.header("if-match").is_some());
        fs::remove_file(setup.dir.path("plain")).unwrap();
    }
    assert!(setup.server.uploads().is_empty());
}

#[test]
fn armored_objects_are_read_back_too() {
    let setup = Setup::new();
    let content = test_bytes(3 * MIB);
    setup.dir.write("plain", &content);
    let armored = ["encrypt", "--armor", "--verify-output", "-i", "id", "plain", &url("a.age")];
    setup.command(&armored).run().ok_and_silent();
    let back = ["decrypt", "--remove-source", "-i", "id", &url("a.age"), "back"];
    setup.command(&back).run().ok_and_silent();
    assert!(setup.dir.read("back") == content);
    assert!(setup.server.keys("bucket").is_empty());
}

#[test]
fn a_wrong_output_is_discarded_and_the_source_kept() {
    let setup = Setup::new();
    for len in [5, 20 * MIB] {
        setup.dir.write("plain", test_bytes(len));
        let corrupt = Rule::all(Fault::CorruptBody).on(Operation::GetObject).key("new");
        setup.server.set_faults(corrupt);
        for flag in ["--remove-source", "--verify-output"] {
            let run = setup.command(&["encrypt", flag, "-i", "id", "plain", &url("new")]);
            setup.dir.fails(run, 74, &["s3://bucket/new", "read back", "the input kept"]);
            assert!(setup.dir.path("plain").exists());
            assert!(setup.server.keys("bucket").is_empty());
        }
        // One that cannot be read back may be right.
        let refuse = Fault::Error(ErrorCode::AccessDenied);
        setup.server.set_faults(Rule::all(refuse).on(Operation::GetObject).key("new"));
        let args = ["encrypt", "--remove-source", "-i", "id", "plain", &url("new")];
        let words = ["is complete, but cannot be read back", "the input was kept"];
        setup.dir.fails(setup.command(&args), 77, &words);
        assert!(setup.dir.path("plain").exists());
        assert_eq!(setup.server.keys("bucket"), ["new"]);
        setup.server.delete("bucket", "new");
    }
}

#[test]
fn an_object_that_took_the_name_of_the_source_stays() {
    let setup = Setup::new();
    let other = || Fault::Replace(b"precious".to_vec());
    let object = setup.encrypted("object", b"content");
    for faults in [
        Faults::from(Rule::first(1, other()).on(Operation::DeleteObject)),
        Faults::from(Rule::first(1, other()).on(Operation::HeadObject)),
        Faults::from(Rule::all(Fault::IgnoreConditions))
            .rule(Rule::first(1, other()).on(Operation::HeadObject)),
    ] {
        setup.server.put("bucket", "object", object.clone());
        setup.server.set_faults(faults);
        let args = ["decrypt", "--remove-source", "-i", "id", &url("object"), "out"];
        let words = ["s3://bucket/object", "was not removed", "replaced"];
        let done = setup.command(&args).run();
        assert_eq!(done.code(), Some(74), "{done:?}");
        assert!(words.iter().all(|word| done.stderr_text().contains(word)), "{done:?}");
        assert_eq!(setup.dir.read("out"), b"content");
        assert_eq!(setup.object("object"), b"precious");
        fs::remove_file(setup.dir.path("out")).unwrap();
    }
}

#[test]
fn a_lost_answer_to_the_removal_is_no_failure() {
    let setup = Setup::new();
    setup.encrypted("object", b"content");
    setup.server.set_faults(Rule::first(1, Fault::LoseAnswer).on(Operation::DeleteObject));
    let args = ["decrypt", "--remove-source", "-i", "id", &url("object"), "out"];
    setup.command(&args).run().ok_and_silent();
    assert!(setup.server.keys("bucket").is_empty());
    assert_eq!(setup.dir.read("out"), b"content");
}

/// If the store does not tell what an object is recognized by, nothing is done.
#[test]
fn an_object_that_cannot_be_recognized_is_not_removed() {
    let setup = Setup::new();
    setup.encrypted("object", b"content");
    setup.server.set_faults(Rule::all(Fault::NoEtag));
    let args = ["decrypt", "--remove-source", "-i", "id", &url("object"), "out"];
    setup.dir.fails(setup.command(&args), 64, &["--remove-source", "recognize"]);
    assert_eq!(setup.server.keys("bucket"), ["object"]);
}
