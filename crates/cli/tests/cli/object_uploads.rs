//! Uploads that were neither completed nor aborted: `store uploads`, and those that a run leaves.

use serde_json::Value;

use crate::common::test_bytes;
use crate::json::Printed;
use crate::objects::{Setup, url};
use cryptstream_s3_test_server::{ErrorCode, Fault, Faults, Operation, Rule};

const MIB: usize = 1 << 20;

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn unfinished_uploads_are_listed_and_aborted() {
    let setup = Setup::new();
    // More than fit into a page, two of one key, and one below another prefix.
    let mut keys: Vec<_> = (0..45).map(|number| format!("a/{number:02} & more")).collect();
    keys.extend(["a/00 & more".to_owned(), "b/other".to_owned()]);
    let mut ids: Vec<_> =
        keys.iter().map(|key| (key, setup.server.begin_upload("bucket", key))).collect();
    ids.sort();
    let all = setup.command(&["store", "uploads", "s3://bucket"]).run().ok();
    let text = all.stdout_text();
    let listed: Vec<_> = text.lines().collect();
    assert_eq!(listed.len(), ids.len());
    for (line, (key, id)) in listed.iter().zip(&ids) {
        assert!(line.contains(*key) && line.contains(&format!("upload {id}, begun ")), "{line}");
    }
    assert!(all.stderr_text().contains("47 unfinished uploads"));

    let mut printed = Printed::default();
    let done = setup.command(&["store", "uploads", "--json", &url("a/")]).run().ok();
    printed.take("uploads", "report", &done.stdout);
    let documents = lines(&done.stdout_text());
    assert_eq!(documents.len(), 47);
    assert_eq!(documents[46]["uploads"], 46);

    // They are young, so they may be under way.
    let abort = ["store", "uploads", "--abort", "--json", &url("a/")];
    let done = setup.command(&abort).run().ok();
    assert_eq!(lines(&done.stdout_text())[0]["uploads"], 0);
    assert_eq!(setup.server.uploads().len(), 47);

    let refuse = Fault::Error(ErrorCode::AccessDenied);
    let is_abort = |rule: Rule| rule.on(Operation::AbortMultipartUpload);
    setup.server.set_faults(is_abort(Rule::nth(3, refuse)));
    let all = [&abort[..], &["--older-than", "0s"]].concat();
    let done = setup.command(&all).run();
    assert_eq!(done.code(), Some(74));
    printed.take("abort", "report", &done.stdout);
    let end = lines(&done.stdout_text()).pop().unwrap();
    assert_eq!((&end["aborted"], &end["failed"]), (&45.into(), &1.into()));
    let left: Vec<_> = setup.server.uploads().into_iter().map(|upload| upload.key).collect();
    assert_eq!(left.len(), 2);
    let words = ["s3://bucket/a/", "was not aborted", "s3:AbortMultipartUpload"];
    setup.server.set_faults(is_abort(Rule::all(Fault::Error(ErrorCode::AccessDenied))));
    let again = ["store", "uploads", "--abort", "--older-than", "0s", &url("a/")];
    setup.dir.fails(setup.command(&again), 74, &words);
    printed.check();
}

#[test]
fn what_is_no_store_is_refused() {
    let setup = Setup::new();
    let args = |url: &str| setup.command(&["store", "uploads", url]);
    setup.dir.fails(args("folder"), 64, &["folder", "s3://BUCKET"]);
    setup.dir.fails(args("s3://nobucket"), 66, &["bucket does not exist"]);
    let age = ["store", "uploads", "--older-than", "soon", "s3://bucket"];
    setup.dir.fails(setup.command(&age), 64, &["not an age"]);
    setup.server.set_faults(Rule::all(Fault::Error(ErrorCode::AccessDenied)));
    setup.dir.fails(args("s3://bucket"), 77, &["s3://bucket"]);
}

/// A run that fails and cannot abort its upload says which one it leaves.
#[test]
fn an_upload_that_is_left_is_named() {
    let setup = Setup::new();
    setup.dir.write("plain", test_bytes(30 * MIB));
    let refuse = || Fault::Error(ErrorCode::AccessDenied);
    let faults = Faults::from(Rule::nth(2, refuse()).on(Operation::UploadPart))
        .rule(Rule::all(refuse()).on(Operation::AbortMultipartUpload));
    setup.server.set_faults(faults);
    let args = ["encrypt", "-i", "id", "plain", &url("new")];
    let words = [
        "an unfinished upload of s3://bucket/new",
        "upload ID upload-000001",
        "cryptstream store uploads s3://bucket/new --abort",
        "AbortIncompleteMultipartUpload",
    ];
    setup.dir.fails(setup.command(&args), 77, &words);
    assert_eq!(setup.server.uploads().len(), 1);
}
