//! What the server says, byte by byte.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::io::Read;

use common::Client;
use cryptstream_s3_test_server::{Operation, Options, Server};

fn start() -> (Server, Client) {
    let options =
        Options { min_part_size: 4, max_part_size: 20, max_parts: 9, ..Options::default() };
    let server = Server::start(options);
    server.create_bucket("b");
    let client = Client::connect(&server);
    (server, client)
}

#[test]
fn objects_come_back_with_their_headers_on_one_connection() {
    let (server, mut client) = start();
    let headers = "Content-Type: text/x\r\nX-Amz-Meta-Mtime: 12.5\r\n";
    let put = client.send("PUT /b/a/%C3%A4", headers, "0123456789");
    assert_eq!((put.status, put.body.as_str()), (200, ""));
    let head = client.send("HEAD /b/a/%C3%A4", "", "");
    assert_eq!(head.status, 200);
    assert_eq!(head.header("Content-Length"), Some("10"));
    assert_eq!(head.header("Content-Type"), Some("text/x"));
    assert_eq!(head.header("x-amz-meta-mtime"), Some("12.5"));
    assert_eq!(head.header("ETag"), put.header("ETag"));
    assert!(head.header("Last-Modified").unwrap().ends_with(" GMT"));
    let get = client.send("GET /b/a/%C3%A4", "", "");
    assert_eq!((get.status, get.body.as_str()), (200, "0123456789"));
    let part = client.send("GET /b/a/%C3%A4", "Range: bytes=-3\r\n", "");
    assert_eq!((part.status, part.body.as_str()), (206, "789"));
    assert_eq!(part.header("Content-Range"), Some("bytes 7-9/10"));
    assert_eq!(client.send("DELETE /b/a/%C3%A4", "", "").status, 204);
    assert_eq!(client.send("DELETE /b/a/%C3%A4", "", "").status, 204);
    assert!(server.keys("b").is_empty());

    let requests = server.requests();
    let operations: Vec<_> = requests.iter().map(|request| request.operation).collect();
    let expected = [
        Operation::PutObject,
        Operation::HeadObject,
        Operation::GetObject,
        Operation::GetObject,
        Operation::DeleteObject,
        Operation::DeleteObject,
    ];
    assert_eq!(operations, expected);
    let sent: Vec<_> = requests.iter().map(|request| request.body_sent).collect();
    assert_eq!(sent, [0, 0, 10, 3, 0, 0]);
    assert_eq!(requests[0].body_received, 10);
    assert_eq!(requests[3].range(), Some("bytes=-3"));
    assert!(requests.iter().all(|request| request.key == "a/ä"));
    assert!(requests.is_sorted_by_key(|request| request.began));
}

#[test]
fn what_cannot_be_done_has_its_code() {
    let (server, mut client) = start();
    server.put("b", "key", "0123456789");
    let mut error = |line: &str, headers: &str, body: &str| {
        let answer = client.send(line, headers, body);
        let (status, code) = answer.error();
        (status, code.to_owned())
    };
    let error_of = |status: u16, code: &str| (status, code.to_owned());
    assert_eq!(error("GET /c/key", "", ""), error_of(404, "NoSuchBucket"));
    assert_eq!(error("PUT /c/key", "", "x"), error_of(404, "NoSuchBucket"));
    assert_eq!(error("GET /c?list-type=2", "", ""), error_of(404, "NoSuchBucket"));
    assert_eq!(error("GET /b/nothing", "", ""), error_of(404, "NoSuchKey"));
    assert_eq!(error("GET /b/key", "Range: bytes=10-\r\n", ""), error_of(416, "InvalidRange"));
    let other = "If-Match: \"other\"\r\n";
    assert_eq!(error("GET /b/key", other, ""), error_of(412, "PreconditionFailed"));
    assert_eq!(error("PUT /b/key", other, "x"), error_of(412, "PreconditionFailed"));
    assert_eq!(error("PUT /b/nothing", other, "x"), error_of(404, "NoSuchKey"));
    let absent = "If-None-Match: *\r\n";
    assert_eq!(error("PUT /b/key", absent, "x"), error_of(412, "PreconditionFailed"));
    assert_eq!(
        error("PUT /b/key", "If-None-Match: \"x\"\r\n", "x"),
        error_of(501, "NotImplemented")
    );
    assert_eq!(error("PUT /b/key", "", &"x".repeat(21)), error_of(400, "EntityTooLarge"));
    let long = format!("PUT /b/{}", "k".repeat(1025));
    assert_eq!(error(&long, "", ""), error_of(400, "KeyTooLongError"));
    assert_eq!(error("PATCH /b/key", "", ""), error_of(405, "MethodNotAllowed"));
    assert_eq!(error("GET /b/%FF", "", ""), error_of(400, "InvalidURI"));
    assert_eq!(*server.get("b", "key").unwrap().bytes, b"0123456789");

    let mut client = Client::connect(&server);
    let head = client.send("HEAD /b/nothing", "", "");
    assert_eq!((head.status, head.body.as_str()), (404, ""));
    let etag = server.get("b", "key").unwrap().etag;
    let unchanged = client.send("GET /b/key", &format!("If-None-Match: {etag}\r\n"), "");
    assert_eq!((unchanged.status, unchanged.header("Content-Length")), (304, None));
}

#[test]
fn a_multipart_upload_that_is_wrong_stays_open() {
    let (server, mut client) = start();
    let id = client.send("POST /b/key?uploads", "", "").element("UploadId").to_owned();
    let put = |client: &mut Client, number: u32, body: &str| {
        let line = format!("PUT /b/key?partNumber={number}&uploadId={id}");
        let answer = client.send(&line, "", body);
        (answer.status, answer.header("ETag").unwrap_or_default().to_owned())
    };
    let complete = |client: &mut Client, headers: &str, parts: &[(u32, &str)]| {
        let parts: String = parts
            .iter()
            .map(|(number, etag)| {
                let etag = etag.replace('"', "&quot;");
                format!("<Part><ETag>{etag}</ETag><PartNumber>{number}</PartNumber></Part>")
            })
            .collect();
        let body = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
        client.send(&format!("POST /b/key?uploadId={id}"), headers, &body)
    };
    let (_, third) = put(&mut client, 3, "defgh");
    let (_, short) = put(&mut client, 1, "abc");
    for number in [0, 10] {
        assert_eq!(put(&mut client, number, "x").0, 400);
    }
    let error = complete(&mut client, "", &[(1, &short), (3, &third)]);
    assert_eq!(error.error(), (400, "EntityTooSmall"));
    let (_, first) = put(&mut client, 1, "ABCD");
    let wrong: [(&[(u32, &str)], &str); 4] = [
        (&[(1, &short), (3, &third)], "InvalidPart"),
        (&[(1, &first), (2, &third)], "InvalidPart"),
        (&[(3, &third), (1, &first)], "InvalidPartOrder"),
        (&[], "MalformedXML"),
    ];
    for (parts, code) in wrong {
        assert_eq!(complete(&mut client, "", parts).error(), (400, code));
    }
    server.put("b", "key", "existing");
    let absent = "If-None-Match: *\r\n";
    let parts: [(u32, &str); 2] = [(1, &first), (3, &third)];
    let error = complete(&mut client, absent, &parts);
    assert_eq!(error.error(), (412, "PreconditionFailed"));

    let listed = client.send("GET /b?uploads", "", "");
    assert_eq!((listed.element("Key"), listed.element("UploadId")), ("key", id.as_str()));
    let listed = client.send(&format!("GET /b/key?uploadId={id}"), "", "");
    assert_eq!((listed.element("PartNumber"), listed.element("Size")), ("1", "4"));

    let done = complete(&mut client, "", &parts);
    assert_eq!(done.element("ETag").replace("&quot;", "\""), server.get("b", "key").unwrap().etag);
    assert_eq!(*server.get("b", "key").unwrap().bytes, b"ABCDdefgh");
    assert_eq!(complete(&mut client, "", &parts).error(), (404, "NoSuchUpload"));
    let abort = client.send(&format!("DELETE /b/key?uploadId={id}"), "", "");
    assert_eq!(abort.error(), (404, "NoSuchUpload"));
}

#[test]
fn objects_and_ranges_of_them_are_copied() {
    let (server, mut client) = start();
    server.put("b", "from", "0123456789");
    let answer = client.send("PUT /b/to", "x-amz-copy-source: /b/from\r\n", "");
    assert_eq!(answer.element("ETag").replace("&quot;", "\""), server.get("b", "to").unwrap().etag);
    assert_eq!(*server.get("b", "to").unwrap().bytes, b"0123456789");
    let other = "x-amz-copy-source: b/from\r\nx-amz-copy-source-if-match: \"other\"\r\n";
    assert_eq!(client.send("PUT /b/to", other, "").error(), (412, "PreconditionFailed"));

    let id = client.send("POST /b/to?uploads", "", "").element("UploadId").to_owned();
    let range = "x-amz-copy-source: b/from\r\nx-amz-copy-source-range: bytes=2-5\r\n";
    client.send(&format!("PUT /b/to?partNumber=1&uploadId={id}"), range, "");
    assert_eq!(*server.uploads()[0].parts[&1].bytes, b"2345");
}

#[test]
fn a_listing_can_be_encoded() {
    let (server, mut client) = start();
    server.put("b", "a b\n<c>", "");
    let listed = client.send("GET /b?list-type=2&prefix=a%20b", "", "");
    assert_eq!(listed.element("Key"), "a b&#10;&lt;c&gt;");
    let listed = client.send("GET /b?list-type=2&encoding-type=url", "", "");
    assert_eq!(listed.element("Key"), "a%20b%0A%3Cc%3E");
    let listed = client.send("GET /b?list-type=2&start-after=a%20b%0A%3Cc%3E", "", "");
    assert_eq!((listed.element("KeyCount"), listed.element("IsTruncated")), ("0", "false"));
}

#[test]
fn a_server_that_stopped_comes_back_with_its_objects() {
    let (mut server, mut client) = start();
    server.put("b", "key", "content");
    assert_eq!(client.send("GET /b/key", "", "").body, "content");
    server.stop();
    let mut rest = Vec::new();
    assert_eq!(client.0.read_to_end(&mut rest).unwrap_or(0), 0);
    server.restart();
    assert_eq!(Client::connect(&server).send("GET /b/key", "", "").body, "content");
}
