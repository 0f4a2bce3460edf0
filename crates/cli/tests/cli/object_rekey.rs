//! `rekey` of objects: another object replaces each, for which the store copies what it can.

use crate::common::test_bytes;
use crate::json::Printed;
use crate::objects::{Setup, url};
use cryptstream_s3_test_server::{
    ErrorCode, Fault, Faults, LoggedRequest, Object, Operation, Rule,
};

const MIB: usize = 1 << 20;
/// What is fetched and uploaded of an object that the store copies otherwise.
const COPY_PART: usize = 32 * MIB;

/// A setup with the identities `id` and `new`.
fn setup() -> Setup {
    let setup = Setup::new();
    setup.dir.keygen("new");
    setup
}

fn rekey(more: &[&str]) -> Vec<String> {
    let args = ["rekey", "-q", "-i", "id", "--new-identity", "new"];
    args.iter().chain(more).map(|arg| (*arg).to_owned()).collect()
}

/// The object decrypts to this with the new key, and not with the old one.
fn has_new_key(setup: &Setup, key: &str, content: &[u8]) {
    let decrypted = setup.command(&["decrypt", "-i", "new", &url(key), "-"]).run().ok();
    assert!(decrypted.stdout == content, "{key}");
    setup.dir.fails(setup.command(&["verify", "-i", "id", &url(key)]), 77, &[key]);
}

fn count(requests: &[LoggedRequest], operation: Operation) -> usize {
    requests.iter().filter(|it| it.operation == operation).count()
}

#[test]
fn objects_get_new_keys() {
    let setup = setup();
    let mut printed = Printed::default();
    for len in [0, 5, MIB, 20 * MIB] {
        let content = test_bytes(len);
        setup.encrypted("object", &content);
        let before = setup.object("object");
        let done = setup.command(&rekey(&["--json", &url("object")])).run().ok();
        printed.take("rekey", "report", &done.stdout);
        let report = done.json(&done.stdout);
        assert_eq!(report["method"], "rewritten");
        has_new_key(&setup, "object", &content);
        // The payload is the same.
        let after = setup.object("object");
        assert!(after[after.len() - len..] == before[before.len() - len..]);

        setup.encrypted("other", &content);
        let done = setup.command(&rekey(&["--json", "--reencrypt", &url("other")])).run().ok();
        assert_eq!(done.json(&done.stdout)["method"], "reencrypted");
        has_new_key(&setup, "other", &content);
        setup.server.delete("bucket", "object");
        setup.server.delete("bucket", "other");
    }
    assert!(setup.server.uploads().is_empty());
    printed.check();
}

#[test]
fn the_store_copies_what_it_can() {
    let setup = setup();
    let content = test_bytes(100 * MIB);
    let object = setup.encrypted("object", &content);
    let before = setup.server.requests().len();
    let args = ["rekey", "-i", "id", "--new-identity", "new", "--json", &url("object")];
    let done = setup.command(&args).run().ok();
    assert_eq!(done.json(&done.stdout)["method"], "copied");
    // What it takes was said before.
    let said = done.stderr_text();
    for words in ["fetches about 32.00 MiB and uploads 32.00 MiB", "3 UploadPartCopy"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let requests = setup.server.requests().split_off(before);
    assert_eq!(count(&requests, Operation::UploadPartCopy), 3);
    assert_eq!(count(&requests, Operation::UploadPart), 1);
    let is_of_object = |it: &&LoggedRequest| it.operation == Operation::GetObject;
    let fetched: u64 = requests.iter().filter(is_of_object).map(|it| it.body_sent).sum();
    assert!(fetched < (COPY_PART + MIB) as u64, "{fetched}");
    let is_copy = |it: &&LoggedRequest| it.operation == Operation::UploadPartCopy;
    for copy in requests.iter().filter(is_copy) {
        assert!(copy.header("x-amz-copy-source-if-match").is_some());
    }
    let is_end = |it: &&LoggedRequest| it.operation == Operation::CompleteMultipartUpload;
    assert!(requests.iter().find(is_end).unwrap().header("if-match").is_some());
    has_new_key(&setup, "object", &content);
    let new = setup.object("object");
    assert!(new[COPY_PART..] == object[COPY_PART..]);
    assert!(setup.server.uploads().is_empty());
}

#[test]
fn a_store_that_cannot_copy_gets_everything() {
    let setup = setup();
    let content = test_bytes(70 * MIB);
    setup.encrypted("object", &content);
    let refuse = Fault::Error(ErrorCode::NotImplemented);
    setup.server.set_faults(Rule::all(refuse).on(Operation::UploadPartCopy));
    let done = setup.command(&rekey(&["--json", &url("object")])).run().ok();
    assert_eq!(done.json(&done.stdout)["method"], "rewritten");
    has_new_key(&setup, "object", &content);
}

#[test]
fn metadata_stays() {
    let setup = setup();
    let content = test_bytes(MIB);
    setup.encrypted("object", &content);
    let mut object: Object = setup.server.get("bucket", "object").unwrap();
    object.content_type = "application/x-mine".to_owned();
    object.metadata.insert("mtime".to_owned(), "1700000000.5".to_owned());
    setup.server.put_object("bucket", "object", object);
    setup.command(&rekey(&[&url("object")])).run().ok_and_silent();
    let object = setup.server.get("bucket", "object").unwrap();
    assert_eq!(object.content_type, "application/x-mine");
    assert_eq!(object.metadata["mtime"], "1700000000.5");
    has_new_key(&setup, "object", &content);
}

/// Whatever goes wrong, the object stays as it was.
#[test]
fn a_failure_leaves_the_old_object() {
    let setup = setup();
    let denied = || Fault::Error(ErrorCode::AccessDenied);
    for (len, operation) in [
        (MIB, Operation::PutObject),
        (70 * MIB, Operation::UploadPart),
        (70 * MIB, Operation::UploadPartCopy),
        (70 * MIB, Operation::CompleteMultipartUpload),
    ] {
        let object = setup.encrypted("object", &test_bytes(len));
        setup.server.set_faults(Rule::all(denied()).on(operation));
        setup.dir.fails(setup.command(&rekey(&[&url("object")])), 77, &["s3://bucket/object"]);
        assert!(setup.object("object") == object, "{operation:?}");
        assert!(setup.server.uploads().is_empty());
        setup.server.set_faults(Faults::default());
        setup.server.delete("bucket", "object");
    }
    setup.encrypted("object", b"content");
    let wrong = ["rekey", "-q", "-i", "new", "--new-identity", "new", &url("object")];
    setup.dir.fails(setup.command(&wrong), 77, &["s3://bucket/object"]);
}

/// An object that took its place is not replaced, even if the store ignores conditions.
#[test]
fn another_object_is_not_replaced() {
    let setup = setup();
    for (len, operation, ignores) in [
        (MIB, Operation::PutObject, false),
        (70 * MIB, Operation::UploadPartCopy, false),
        (70 * MIB, Operation::CompleteMultipartUpload, false),
        (70 * MIB, Operation::UploadPart, true),
    ] {
        setup.encrypted("object", &test_bytes(len));
        let replace = Fault::Replace(b"precious".to_vec());
        let mut faults = Faults::from(Rule::first(1, replace).on(operation));
        if ignores {
            faults = faults.rule(Rule::all(Fault::IgnoreConditions));
        }
        setup.server.set_faults(faults);
        let words = ["s3://bucket/object", "replaced"];
        setup.dir.fails(setup.command(&rekey(&[&url("object")])), 75, &words);
        assert_eq!(setup.object("object"), b"precious", "{operation:?}");
        assert!(setup.server.uploads().is_empty());
        setup.server.set_faults(Faults::default());
        setup.server.delete("bucket", "object");
    }
}
