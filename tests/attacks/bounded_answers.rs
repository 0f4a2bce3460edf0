//! A store whose answers are too long: they neither hold the program up nor fill its memory.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{Dir, Done, test_bytes, wait};

/// How long a run may take: far longer than it does, and less than the store keeps it waiting.
const PATIENCE: Duration = Duration::from_secs(20);
const HOLDS_UP: Duration = Duration::from_secs(60);

/// A store that answers each request in this way. It gets the first line of the request.
fn store(
    answer: impl Fn(&str, &mut TcpStream) -> io::Result<()> + Send + Sync + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            thread::spawn(move || -> io::Result<()> {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    stream.read_exact(&mut byte)?;
                    head.extend(byte);
                }
                let head = String::from_utf8_lossy(&head);
                answer(head.lines().next().unwrap_or_default(), &mut stream)?;
                stream.shutdown(Shutdown::Write)?;
                io::copy(&mut stream, &mut io::sink()).map(drop)
            });
        }
    });
    endpoint
}

fn respond(stream: &mut TcpStream, status: &str, headers: &str, body: &str) -> io::Result<()> {
    let len = body.len();
    let headers = format!("content-length: {len}\r\nconnection: close\r\n{headers}");
    write!(stream, "HTTP/1.1 {status}\r\n{headers}\r\n{body}")
}

/// Runs the program with this store. Fails if it does not end.
fn run(dir: &Dir, endpoint: &str, args: &[&str]) -> Done {
    let run = dir
        .command(&[args, &["-i", "id"]].concat())
        .env("AWS_ENDPOINT_URL", endpoint)
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "someone")
        .env("AWS_SECRET_ACCESS_KEY", "something");
    let mut child = run.spawn();
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("{args:?} does not end: {:?}", wait(child));
        }
        thread::sleep(Duration::from_millis(5));
    }
    let done = wait(child);
    assert!([74, 75, 77].contains(&done.code().unwrap()), "{args:?}: {done:?}");
    assert!(done.stderr_text().len() < 4096, "{args:?}: {done:?}");
    done
}

fn fixture() -> Dir {
    let dir = Dir::new();
    dir.keygen("id");
    dir.write("plain", test_bytes(9 << 20));
    dir
}

const READ: [&str; 2] = ["verify", "s3://bucket/key"];
const WRITE: [&str; 3] = ["encrypt", "plain", "s3://bucket/key"];

#[test]
fn a_long_error_is_cut() {
    let dir = fixture();
    let message = "x".repeat(200_000);
    let body = format!("<Error><Code>AccessDenied</Code><Message>{message}</Message></Error>");
    let endpoint = store(move |_, stream| respond(stream, "403 Forbidden", "", &body));
    for args in [&READ[..], &WRITE] {
        let done = run(&dir, &endpoint, args);
        assert!(done.stderr_text().contains("xxx…"), "{done:?}");
    }
}

/// Neither another line, nor what moves the cursor or turns the text around.
#[test]
fn the_words_of_a_store_do_not_deceive() {
    let dir = fixture();
    let message = "denied\nerror: forged\r\u{202e}evil\u{9b}31m\u{1b}]0;x\u{7}";
    let body = format!("<Error><Code>AccessDenied</Code><Message>{message}</Message></Error>");
    let endpoint = store(move |_, stream| respond(stream, "403 Forbidden", "", &body));
    for args in [&READ[..], &WRITE] {
        let text = run(&dir, &endpoint, args).stderr_text();
        assert!(text.contains("denied error: forged"), "{text:?}");
        assert!(
            !text.chars().any(|c| c == '\u{202e}' || (c.is_control() && c != '\n')),
            "{text:?}"
        );
    }
}

#[test]
fn an_endless_error_is_given_up() {
    let dir = fixture();
    let endpoint = store(|_, stream| {
        write!(stream, "HTTP/1.1 403 Forbidden\r\n\r\n")?;
        for _ in 0..32 {
            stream.write_all(&[b'x'; 1 << 20])?;
        }
        thread::sleep(HOLDS_UP);
        Ok(())
    });
    run(&dir, &endpoint, &READ);
}

/// As much memory is not there.
#[test]
fn an_announced_length_is_not_believed() {
    let dir = fixture();
    let endpoint = store(|_, stream| {
        write!(stream, "HTTP/1.1 403 Forbidden\r\ncontent-length: 4611686018427387904\r\n\r\n")?;
        for _ in 0..2 {
            stream.write_all(&[b'x'; 1 << 10])?;
            stream.flush()?;
            thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    });
    let done = run(&dir, &endpoint, &READ);
    assert!(!done.stderr_text().contains("has died"), "{done:?}");
}

/// Names that the store gives: they come back in requests.
#[test]
fn a_long_name_is_refused() {
    let dir = fixture();
    for len in [5_000, 65_300, 100_000] {
        let name = "n".repeat(len);
        let endpoint = store(move |request, stream| match request.split(' ').next() {
            Some("POST") => {
                let body = format!(
                    "<InitiateMultipartUploadResult><Bucket>bucket</Bucket><Key>key</Key>\
                     <UploadId>{name}</UploadId></InitiateMultipartUploadResult>"
                );
                respond(stream, "200 OK", "", &body)
            }
            Some("GET") if request.contains("/key") => {
                let headers = format!(
                    "content-range: bytes 0-3/4\r\netag: \"{name}\"\r\n\
                     last-modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
                );
                respond(stream, "206 Partial Content", &headers, "text")
            }
            _ => respond(stream, "404 Not Found", "", ""),
        });
        let done = run(&dir, &endpoint, &READ);
        assert!(done.stderr_text().contains("too long"), "{len}: {done:?}");
    }
}
