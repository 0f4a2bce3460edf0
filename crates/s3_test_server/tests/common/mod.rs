//! A client that sees every byte.
#![allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "each test uses a part; one that cannot go on fails"
)]

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use cryptstream_s3_test_server::Server;

/// A connection that is kept.
pub struct Client(pub BufReader<TcpStream>);

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    /// As much of it as has come.
    pub body: String,
}

impl Client {
    pub fn connect(server: &Server) -> Self {
        Self(BufReader::new(TcpStream::connect(server.address()).unwrap()))
    }

    pub fn send(&mut self, request_line: &str, headers: &str, body: &str) -> Answer {
        self.try_send(request_line, headers, body).unwrap()
    }

    /// Fails if the connection is reset, or closed before the answer.
    pub fn try_send(
        &mut self,
        request_line: &str,
        headers: &str,
        body: &str,
    ) -> io::Result<Answer> {
        let len = body.len();
        let request =
            format!("{request_line} HTTP/1.1\r\nContent-Length: {len}\r\n{headers}\r\n{body}");
        self.0.get_mut().write_all(request.as_bytes())?;
        let status_line = self.line()?;
        let status = status_line.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answer { status, headers: Vec::new(), body: String::new() };
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(": ") else { break };
            answer.headers.push((name.to_owned(), value.to_owned()));
        }
        let len = answer.header("Content-Length").map_or(0, |len| len.parse().unwrap());
        if !request_line.starts_with("HEAD ") {
            (&mut self.0).take(len).read_to_string(&mut answer.body)?;
        }
        Ok(answer)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.0.read_line(&mut line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line.trim_end().to_owned()),
        }
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// The content of the first element with this name.
    pub fn element(&self, name: &str) -> &str {
        let rest = self.body.split_once(&format!("<{name}>")).unwrap().1;
        rest.split_once(&format!("</{name}>")).unwrap().0
    }

    pub fn error(&self) -> (u16, &str) {
        (self.status, self.element("Code"))
    }
}
