//! Each fault happens as its documentation says.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::io::{self, Read};
use std::time::{Duration, Instant};

use common::{Answer, Client};
use cryptstream_s3_test_server::{ErrorCode, Fault, Operation, Options, Rule, Server};

const CONTENT: &str = "0123456789";

/// A server with an object, where this goes wrong with every request.
fn start(fault: Fault) -> (Server, Client) {
    let server = Server::start(Options::default());
    server.put("b", "key", CONTENT);
    server.set_faults(Rule::all(fault));
    let client = Client::connect(&server);
    (server, client)
}

/// The answer to GetObject.
fn get(fault: Fault) -> Answer {
    start(fault).1.send("GET /b/key", "", "")
}

fn kind<T>(result: io::Result<T>) -> io::ErrorKind {
    result.map(|_| ()).unwrap_err().kind()
}

#[test]
fn requests_are_refused() {
    let (server, mut client) = start(Fault::Error(ErrorCode::ExpiredToken));
    assert_eq!(client.send("PUT /b/key", "", "x").error(), (400, "ExpiredToken"));
    assert_eq!(*server.get("b", "key").unwrap().bytes, CONTENT.as_bytes());

    let answer = get(Fault::SlowDown { retry_after: 3 });
    assert_eq!((answer.error(), answer.header("Retry-After")), ((503, "SlowDown"), Some("3")));
    let answer = get(Fault::WrongRegion("eu-west-1".to_owned()));
    assert_eq!(answer.error(), (301, "PermanentRedirect"));
    assert_eq!(answer.header("x-amz-bucket-region"), Some("eu-west-1"));
    let answer = get(Fault::ErrorWithStatus200(ErrorCode::InternalError));
    assert_eq!(answer.error(), (200, "InternalError"));
}

#[test]
fn connections_are_reset() {
    let (server, mut client) = start(Fault::Reset);
    assert_eq!(kind(client.try_send("DELETE /b/key", "", "")), io::ErrorKind::ConnectionReset);
    assert_eq!(server.keys("b"), ["key"]);
    assert_eq!(server.requests()[0].status, None);

    let (server, mut client) = start(Fault::ResetWhileReading { after: 3 });
    assert!(client.try_send("PUT /b/other", "", CONTENT).is_err());
    assert_eq!(server.keys("b"), ["key"]);

    let (server, mut client) = start(Fault::LoseAnswer);
    assert_eq!(kind(client.try_send("DELETE /b/key", "", "")), io::ErrorKind::ConnectionReset);
    assert!(server.keys("b").is_empty());

    let (server, mut client) = start(Fault::ResetBody { after: 4 });
    assert_eq!(kind(client.try_send("GET /b/key", "", "")), io::ErrorKind::ConnectionReset);
    assert_eq!(server.requests()[0].body_sent, 4);
}

#[test]
fn bodies_are_wrong() {
    let answer = get(Fault::CutBody { after: 4 });
    assert_eq!((answer.body.as_str(), answer.header("Content-Length")), ("0123", Some("10")));
    let answer = get(Fault::CutBody { after: 100 });
    assert_eq!(answer.body, "012345678");
    let answer = get(Fault::ShortenBody { by: 3 });
    assert_eq!((answer.body.as_str(), answer.header("Content-Length")), ("0123456", Some("7")));
    assert_eq!(get(Fault::CorruptBody).body, "0123446789");

    let (_server, mut client) = start(Fault::LengthenBody { by: 2 });
    assert_eq!(client.send("GET /b/key", "", "").body, CONTENT);
    let mut rest = String::new();
    client.0.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "++");

    let (_server, mut client) = start(Fault::ShortenBody { by: 3 });
    let head = client.send("HEAD /b/key", "", "");
    assert_eq!(head.header("Content-Length"), Some("7"));
}

#[test]
fn answers_take_their_time() {
    let time = Duration::from_millis(20);
    let drip = Fault::DripBody { piece: 4, pause: time / 2 };
    for fault in [Fault::Delay(time), Fault::StallBody { after: 4, time }, drip] {
        let start = Instant::now();
        assert_eq!(get(fault).body, CONTENT);
        assert!(start.elapsed() >= time);
    }
    // A server that stops waits for nothing.
    let hour = Duration::from_secs(3600);
    let (mut server, mut client) = start(Fault::StallBody { after: 4, time: hour });
    std::thread::scope(|scope| {
        let answer = scope.spawn(move || client.send("GET /b/key", "", ""));
        while server.requests().first().is_none_or(|request| request.body_sent < 4) {
            std::thread::sleep(Duration::from_millis(1));
        }
        server.stop();
        assert!(answer.join().unwrap().body.len() <= 4);
    });
}

#[test]
fn etags_are_wrong_or_missing() {
    let (server, mut client) = start(Fault::WrongEtag);
    let answer = client.send("PUT /b/key", "", "x");
    assert_ne!(answer.header("ETag"), Some(server.get("b", "key").unwrap().etag.as_str()));
    assert!(answer.header("ETag").is_some());
    let answer = client.send("GET /b?list-type=2", "", "");
    assert_eq!(answer.element("ETag"), "&quot;00000000000000000000000000000000&quot;");
    server.set_faults(Rule::all(Fault::NoEtag));
    assert_eq!(client.send("GET /b/key", "", "").header("ETag"), None);
    assert!(!client.send("GET /b?list-type=2", "", "").body.contains("ETag"));
}

#[test]
fn headers_are_ignored() {
    let (_server, mut client) = start(Fault::IgnoreConditions);
    assert_eq!(client.send("GET /b/key", "If-Match: \"other\"\r\n", "").status, 200);
    assert_eq!(client.send("PUT /b/key", "If-None-Match: *\r\n", "x").status, 200);
    let (_server, mut client) = start(Fault::IgnoreRange);
    let answer = client.send("GET /b/key", "Range: bytes=2-3\r\n", "");
    assert_eq!((answer.status, answer.body.as_str()), (200, CONTENT));
}

#[test]
fn objects_are_replaced() {
    let (server, mut client) = start(Fault::Delay(Duration::ZERO));
    let etag = client.send("HEAD /b/key", "", "").header("ETag").unwrap().to_owned();
    let pinned = format!("If-Match: {etag}\r\n");
    let replace = Fault::ReplaceDuringBody { after: 4, content: b"new".to_vec() };
    server.set_faults(Rule::first(1, replace).on(Operation::GetObject));
    assert_eq!(client.send("GET /b/key", &pinned, "").body, CONTENT);
    assert_eq!(client.send("GET /b/key", &pinned, "").error(), (412, "PreconditionFailed"));
    assert_eq!(client.send("GET /b/key", "", "").body, "new");
    server.set_faults(Rule::nth(2, Fault::Replace(b"newer".to_vec())));
    assert_eq!(client.send("HEAD /b/key", "", "").header("Content-Length"), Some("3"));
    assert_eq!(client.send("GET /b/key", "", "").body, "newer");
    let faults: Vec<_> = server.requests().iter().map(|request| request.faults.len()).collect();
    assert_eq!(faults, [1, 1, 0, 0, 0, 1]);
}

#[test]
fn several_faults_happen_to_one_request() {
    let (server, mut client) = start(Fault::NoEtag);
    let rules = cryptstream_s3_test_server::Faults::default()
        .rule(Rule::all(Fault::CutBody { after: 7 }))
        .rule(Rule::all(Fault::StallBody { after: 3, time: Duration::from_millis(1) }))
        .rule(Rule::all(Fault::IgnoreRange));
    server.set_faults(rules);
    let answer = client.send("GET /b/key", "Range: bytes=1-1\r\n", "");
    assert_eq!((answer.status, answer.body.as_str()), (200, "0123456"));
}
