//! What runs with objects report: progress, requests and bytes, and what they would do.

use serde_json::{Value, json};

use crate::common::{Done, test_bytes};
use crate::json::Printed;
use crate::objects::{Setup, url};
use cryptstream_s3_test_server::{ErrorCode, Fault, Operation, Rule};

const MIB: usize = 1 << 20;

fn parsed(done: &Done) -> Value {
    serde_json::from_slice(&done.stdout).unwrap()
}

/// The reported number of requests of this kind, and that which the server has had since `before`.
fn requests(setup: &Setup, before: usize, report: &Value, operation: Operation) -> (u64, u64) {
    let name = match operation {
        Operation::HeadObject => "head",
        Operation::GetObject => "get",
        Operation::PutObject => "put",
        Operation::CreateMultipartUpload => "create_upload",
        Operation::UploadPart => "upload_part",
        Operation::CompleteMultipartUpload => "complete_upload",
        Operation::AbortMultipartUpload => "abort_upload",
        _ => unreachable!(),
    };
    let log = setup.server.requests();
    let count = log[before..].iter().filter(|it| it.operation == operation).count();
    (report["requests"][name].as_u64().unwrap(), count as u64)
}

#[test]
fn requests_and_bytes_are_reported() {
    let setup = Setup::new();
    let content = test_bytes(20 * MIB);
    setup.dir.write("plain", &content);
    let error = Fault::Error(ErrorCode::InternalError);
    setup.server.set_faults(Rule::first(2, error).on(Operation::UploadPart));
    let mut printed = Printed::default();
    let args = ["encrypt", "--json", "-i", "id", "plain", &url("object")];
    let done = setup.command(&args).run().ok();
    printed.take("encrypt", "report", &done.stdout);
    let report = &parsed(&done)["store"];
    let log = setup.server.requests();
    for operation in [
        Operation::HeadObject,
        Operation::GetObject,
        Operation::PutObject,
        Operation::CreateMultipartUpload,
        Operation::UploadPart,
        Operation::CompleteMultipartUpload,
        Operation::AbortMultipartUpload,
    ] {
        let (reported, made) = requests(&setup, 0, report, operation);
        assert_eq!(reported, made, "{operation:?}: {report}");
    }
    let sent: u64 = log.iter().map(|it| it.body_received).sum();
    assert_eq!(report["bytes_sent"], sent);
    assert_eq!((&report["retries"], &report["parts"]), (&2.into(), &3.into()));

    let done = setup.command(&["decrypt", "--json", "-i", "id", &url("object"), "back"]).run().ok();
    printed.take("decrypt", "report", &done.stdout);
    let report = &parsed(&done)["store"];
    let (reported, made) = requests(&setup, log.len(), report, Operation::GetObject);
    assert_eq!(reported, made);
    assert_eq!(report["bytes_received"], setup.object("object").len());
    for args in [
        &["verify", "--json", "-i", "id", &url("object")][..],
        &["inspect", "--json", &url("object")],
    ] {
        let done = setup.command(args).run().ok();
        printed.take(args[0], "report", &done.stdout);
        let text = done.stdout_text();
        assert!(text.lines().last().unwrap().contains("\"store\""), "{text}");
    }
    // A run without a store says nothing of one.
    let done = setup.command(&["encrypt", "--json", "-i", "id", "plain", "local"]).run().ok();
    assert_eq!(parsed(&done).get("store"), None);
    printed.check();
}

#[test]
fn people_see_parts_and_retries() {
    let setup = Setup::new();
    setup.dir.write("plain", test_bytes(20 * MIB));
    let error = Fault::Error(ErrorCode::InternalError);
    setup.server.set_faults(Rule::first(2, error).on(Operation::UploadPart));
    let args = ["encrypt", "-v", "--progress", "always", "-i", "id", "plain", &url("object")];
    let done = setup.command(&args).run().ok();
    let lines = done.stderr_text();
    for words in
        ["3 of 3 parts", "2 retries", "store: 8 requests (1 HEAD, ", "5 UploadPart", "MiB sent"]
    {
        assert!(lines.contains(words), "{words}: {lines}");
    }
    let args = ["encrypt", "-f", "--progress", "json", "-i", "id", "plain", &url("object")];
    let done = setup.command(&args).run().ok();
    let mut printed = Printed::default();
    let events = printed.take("events", "event", &done.stderr);
    let progress = events.iter().rfind(|event| event["event"] == "progress").unwrap();
    assert_eq!((&progress["total_parts"], &progress["retries"]), (&3.into(), &0.into()));
    printed.check();
}

#[test]
fn a_dry_run_tells_what_it_would_take() {
    let setup = Setup::new();
    let content = test_bytes(20 * MIB);
    let object = setup.encrypted("object", &content);
    let before = setup.server.requests().len();
    let mut printed = Printed::default();

    let encrypt = ["encrypt", "--dry-run", "plain", &url("new")];
    let text = setup.command(&encrypt).run().ok().stdout_text();
    for words in ["encrypt plain -> s3://bucket/new", "in 3 parts", "6 requests", "3 UploadPart"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let decrypt = ["decrypt", "-n", &url("object"), "back"];
    let text = setup.command(&decrypt).run().ok().stdout_text();
    for words in ["reads 20.02 MiB with 4 requests (4 GET)", "writes about 20.02 MiB"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let json_run = ["encrypt", "-n", "--json", &url("object"), &url("new")];
    let done = setup.command(&json_run).run().ok();
    printed.take("dry run", "report", &done.stdout);
    let report = parsed(&done);
    assert_eq!(report["bytes_in"], object.len());
    assert_eq!((&report["parts"], &report["dry_run"]), (&3.into(), &true.into()));
    let planned = &report["planned"]["requests"];
    assert_eq!((&planned["get"], &planned["upload_part"]), (&4.into(), &3.into()));

    let taken = ["encrypt", "-n", "plain", &url("object")];
    setup.dir.fails(setup.command(&taken), 73, &["object", "--force"]);
    let missing = ["decrypt", "-n", &url("missing"), "back"];
    setup.dir.fails(setup.command(&missing), 66, &["missing"]);
    let asked = &setup.server.requests()[before..];
    assert!(asked.iter().all(|it| it.operation == Operation::HeadObject));
    assert_eq!(setup.server.keys("bucket"), ["object"]);
    assert!(!setup.dir.path("back").exists());
    printed.check();
}

/// The request in the error of a run that fails, as programs get it.
fn request(setup: &Setup, fault: Rule, args: &[&str], printed: &mut Printed) -> Value {
    setup.server.set_faults(fault);
    let args = [args, &["--json", "--storage-option", "max-attempts=2"]].concat();
    let done = setup.command(&args).run();
    let text = if done.stdout.is_empty() { &done.stderr } else { &done.stdout };
    let documents = printed.take(&args.join(" "), "report", text);
    let error = documents.iter().find_map(|document| document.get("error"));
    error.unwrap_or_else(|| panic!("{documents:?}"))["store"].clone()
}

#[test]
fn errors_tell_the_request_that_has_failed() {
    let (setup, mut printed) = (Setup::new(), Printed::default());
    setup.encrypted("key", b"content");
    let url = url("key");
    let store = |operation: &str, status: Option<u16>, code: Option<&str>, attempts: u32| {
        let id = code.map(|_| "4442587FB7D0A2F9");
        json!({
            "url": &url, "operation": operation, "status": status, "code": code, "request_id": id,
            "attempts": attempts,
        })
    };
    let verify = ["verify", "-i", "id", &url];
    let denied = Rule::all(Fault::Error(ErrorCode::AccessDenied));
    let found = request(&setup, denied.clone(), &verify, &mut printed);
    assert_eq!(found, store("GetObject", Some(403), Some("AccessDenied"), 1));
    let put = ["encrypt", "-i", "id", "--force", "plain", &url];
    let found = request(&setup, denied, &put, &mut printed);
    assert_eq!(found, store("PutObject", Some(403), Some("AccessDenied"), 1));
    let slow = Rule::all(Fault::SlowDown { retry_after: 0 });
    let found = request(&setup, slow, &verify, &mut printed);
    assert_eq!(found, store("GetObject", Some(503), Some("SlowDown"), 2));
    let found = request(&setup, Rule::all(Fault::Reset), &verify, &mut printed);
    assert_eq!(found, store("GetObject", None, None, 2));
    // What never reached a store has no request.
    let wrong = ["verify", "-i", "id", "--storage-option", "allow-http=false", &url];
    let found = request(&setup, Rule::all(Fault::NoEtag), &wrong, &mut printed);
    assert_eq!(found, Value::Null);
    // A signature in a URL is not shown.
    let signed = format!("{}/bucket/missing?X-Amz-Signature=hidden", setup.server.endpoint());
    let found = request(&setup, Rule::all(Fault::NoEtag), &["inspect", &signed], &mut printed);
    assert_eq!((&found["operation"], &found["status"]), (&json!("GET"), &json!(404)));
    assert!(!found.to_string().contains("hidden"), "{found}");
    printed.check();
}
