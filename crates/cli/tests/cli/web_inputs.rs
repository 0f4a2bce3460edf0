//! Files on web servers as inputs. Without TLS only this machine is one.

use std::fs;
use std::time::Duration;

use crate::common::group::wait_until;
use crate::common::{Run, test_bytes, wait};
use crate::objects::{Setup, kill_busy_transport};
use cryptstream_s3_test_server::{
    ErrorCode, Fault, Faults, LoggedRequest, Operation, Options, Rule, Server,
};

const MIB: usize = 1 << 20;

/// What nothing may show.
const SIGNATURE: &str = "hidden";

/// A presigned URL of an object in the store of `setup`.
fn signed(setup: &Setup, key: &str) -> String {
    format!("{}/bucket/{key}?X-Amz-Signature={SIGNATURE}&x=1", setup.server.endpoint())
}

/// The program without any credentials.
fn command(setup: &Setup, args: &[&str]) -> Run {
    setup.dir.command(args)
}

/// The run fails with these words, without the signature and without an output.
fn fails(setup: &Setup, args: &[&str], code: i32, words: &[&str]) {
    let done = command(setup, args).run();
    assert_eq!(done.code(), Some(code), "{args:?}: {done:?}");
    let text = done.stdout_text() + &done.stderr_text();
    for word in words {
        assert!(text.contains(word), "{args:?}: {word}: {text}");
    }
    assert!(!format!("{done:?}").contains(SIGNATURE), "{done:?}");
    assert!(!setup.dir.path("out").exists());
}

#[test]
fn everything_that_reads_takes_a_presigned_url() {
    let setup = Setup::new();
    let content = test_bytes(20 * MIB + 7);
    setup.encrypted("large.enc", &content);
    fs::create_dir(setup.dir.path("in")).unwrap();
    setup.dir.write("in/file", "content");
    setup.command(&["encrypt", "--archive", "-q", "-i", "id", "in", "s3://bucket/tar"]).run().ok();
    // A URL that is signed for GET is good for nothing else.
    setup
        .server
        .set_faults(Rule::all(Fault::Error(ErrorCode::AccessDenied)).on(Operation::HeadObject));
    let (large, archive) = (signed(&setup, "large.enc"), signed(&setup, "tar"));
    let mut shown = String::new();
    for args in [
        &["decrypt", "-i", "id", &large, "out", "--json"][..],
        &["verify", "-i", "id", &large, &archive],
        &["verify", "-i", "id", &large, "--json"],
        &["inspect", &large],
        &["inspect", &large, "--json"],
        &["list", "-i", "id", &archive],
        &["decrypt", "--extract", "-i", "id", &archive, "folder"],
        &["encrypt", "-v", "-i", "id", &large, "twice"],
    ] {
        shown += &format!("{:?}", command(&setup, args).run().ok());
    }
    assert!(setup.dir.read("out") == content);
    assert_eq!(setup.dir.read("folder/file"), b"content");
    command(&setup, &["decrypt", "-i", "id", "twice", "once"]).run().ok();
    assert!(setup.dir.read("once") == setup.object("large.enc"));
    let before = setup.server.requests().len();
    let range = ["decrypt", "-i", "id", "--range=9000000+10", &large];
    assert!(command(&setup, &range).run().ok().stdout == content[9_000_000..9_000_010]);
    let requests = &setup.server.requests()[before..];
    assert!(requests.len() <= 3 && requests.iter().map(|it| it.body_sent).sum::<u64>() <= 65_536);
    assert!(shown.contains("large.enc?…") && !shown.contains(SIGNATURE), "{shown}");
}

#[test]
fn failures_are_explained_without_the_signature() {
    let setup = Setup::new();
    setup.encrypted("there", b"content");
    let decrypt = |key: &str, code, words: &[&str]| {
        fails(&setup, &["decrypt", "-i", "id", &signed(&setup, key), "out"], code, words);
        fails(&setup, &["decrypt", "--json", "-i", "id", &signed(&setup, key), "out"], code, words);
    };
    decrypt("missing", 66, &["missing?…", "key does not exist", "check the URL"]);
    for error in [ErrorCode::AccessDenied, ErrorCode::ExpiredToken] {
        setup.server.set_faults(Rule::all(Fault::Error(error)));
        decrypt("there", 77, &["there?…", "signed for a limited time"]);
    }
    setup.server.set_faults(Faults::default());
    let there = signed(&setup, "there");
    fails(&setup, &["encrypt", "-i", "id", &there], 64, &["only be read", "name an output"]);
    fails(&setup, &["encrypt", "-i", "id", "id", &there], 64, &["only be read"]);
    fails(&setup, &["rekey", "-i", "id", "--new-identity", "id", &there], 64, &["local file"]);
    let remove = ["encrypt", "--remove-source", "-i", "id", &there, "out"];
    fails(&setup, &remove, 64, &["--remove-source"]);
    fails(&setup, &["store", "uploads", &there], 64, &["only be read"]);
    command(&setup, &["encrypt", "--dry-run", "-i", "id", &there, "out"]).run().ok();
    fails(
        &setup,
        &["encrypt", &there, "--output-dir", "x", "-i", "id"],
        64,
        &["one of several inputs"],
    );
    for (url, words) in [
        ("http://example.invalid/x?hidden", &["not protected", "https://"][..]),
        ("https://u:hidden@example.invalid/x", &["credentials", "presigned"]),
        ("https://example.invalid/a b?hidden", &["%20"]),
        ("https://?hidden", &["server"]),
    ] {
        fails(&setup, &["inspect", url], 64, words);
    }
}

/// Even a file that has to be read in one go is never mixed with another.
#[test]
fn a_file_that_is_replaced_is_noticed() {
    let setup = Setup::new();
    let object = setup.encrypted("object", &test_bytes(30 * MIB));
    for known_by in [Fault::NoHeader("none"), Fault::NoEtag] {
        for ignored in [Fault::NoHeader("none"), Fault::IgnoreConditions] {
            setup.server.put("bucket", "object", object.clone());
            // Longer, since times in headers count seconds.
            let replace = Fault::Replace(vec![7; object.len() + 1]);
            let faults = Faults::default().rule(Rule::all(known_by.clone()));
            let faults = faults.rule(Rule::all(ignored));
            setup.server.set_faults(faults.rule(Rule::nth(2, replace).on(Operation::GetObject)));
            let args = ["encrypt", "-i", "id", &signed(&setup, "object"), "out"];
            fails(&setup, &args, 75, &["replaced"]);
        }
    }
}

/// Servers without ranges, and those that tell nothing to recognize the file by.
#[test]
fn what_can_be_read_only_once_is_read_as_a_stream() {
    let setup = Setup::new();
    let content = test_bytes(20 * MIB + 7);
    setup.encrypted("object", &content);
    let object = signed(&setup, "object");
    let no_ranges = || Faults::default().rule(Rule::all(Fault::IgnoreRange));
    let unknown = || {
        let faults = Faults::default().rule(Rule::all(Fault::NoEtag));
        faults.rule(Rule::all(Fault::NoHeader("Last-Modified")))
    };
    for faults in [no_ranges(), unknown()] {
        setup.server.set_faults(faults);
        command(&setup, &["decrypt", "-i", "id", &object, "back"]).run().ok_and_silent();
        assert!(setup.dir.read("back") == content);
        fs::remove_file(setup.dir.path("back")).unwrap();
        command(&setup, &["verify", "-i", "id", &object]).run().ok();
        command(&setup, &["inspect", &object]).run().ok();
        fails(&setup, &["decrypt", "-i", "id", "--range=1+1", &object, "out"], 64, &["object?…"]);
    }
    setup.server.put("bucket", "empty", "");
    command(&setup, &["encrypt", "-i", "id", &signed(&setup, "empty"), "nothing"]).run().ok();
    let cut = no_ranges().rule(Rule::all(Fault::CutBody { after: 9 * MIB }));
    setup.server.set_faults(cut);
    fails(&setup, &["encrypt", "-i", "id", &object, "out"], 75, &["object?…"]);
    fails(&setup, &["decrypt", "-i", "id", &object, "out"], 75, &["object?…"]);
    // Nobody knows how much of the stream has arrived.
    let held = no_ranges()
        .rule(Rule::all(Fault::StallBody { after: 9 * MIB, time: Duration::from_secs(4) }));
    setup.server.set_faults(held);
    let before = setup.server.requests().len();
    let child = command(&setup, &["encrypt", "-i", "id", &object, "out"]).spawn();
    wait_until("at work", || {
        let sent = |request: &&LoggedRequest| request.body_sent >= 9 * MIB as u64;
        setup.server.requests()[before..].iter().filter(sent).count() > 0
    });
    // Other users can see the arguments.
    let shown = fs::read(format!("/proc/{}/cmdline", child.id())).unwrap();
    assert!(!String::from_utf8_lossy(&shown).contains(SIGNATURE));
    kill_busy_transport(&child);
    let done = wait(child);
    assert_eq!(done.code(), Some(75), "{done:?}");
    assert!(!setup.dir.path("out").exists());
}

#[test]
fn redirects_are_followed_where_nothing_is_lost() {
    let setup = Setup::new();
    let content = test_bytes(9 * MIB);
    setup.encrypted("object", &content);
    let first = Server::start(Options::default());
    let redirect = |to: &str| first.set_faults(Rule::all(Fault::Redirect(to.to_owned())));
    let url = format!("{}/start?{SIGNATURE}", first.endpoint());
    redirect(&signed(&setup, "object"));
    command(&setup, &["decrypt", "-i", "id", &url, "back"]).run().ok_and_silent();
    assert!(setup.dir.read("back") == content);
    // Not to another machine without TLS, and not for ever.
    redirect("http://example.invalid/");
    fails(&setup, &["inspect", &url], 74, &["start?…", "http://"]);
    redirect(&url);
    fails(&setup, &["inspect", &url], 74, &["start?…", "too often"]);
    redirect("https://[");
    fails(&setup, &["inspect", &url], 74, &["start?…", "no valid URL"]);
}

#[test]
fn a_file_url_is_a_path() {
    let setup = Setup::new();
    setup.dir.write("a b", "content");
    let url = |name: &str| format!("file://{}", setup.dir.path(name).display());
    command(&setup, &["encrypt", "-i", "id", &url("a%20b"), &url("c")]).run().ok_and_silent();
    command(&setup, &["verify", "-i", "id", &url("c")]).run().ok();
    command(&setup, &["decrypt", "-i", "id", &url("c"), "-o", &url("d")]).run().ok_and_silent();
    assert_eq!(setup.dir.read("d"), b"content");
    fails(&setup, &["inspect", "file://host/x"], 64, &["another machine"]);
}
