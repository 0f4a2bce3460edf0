//! Serves one connection.

use std::io::{self, BufReader, Write};
use std::net::TcpStream;

use crate::error::ErrorCode;
use crate::handler::handle;
use crate::operation::Operation;
use crate::request::Request;
use crate::response::Response;
use crate::shared::Shared;

/// How much of a body is sent between two updates of the log.
const PIECE: usize = 256 << 10;

/// Answers requests until one side closes the connection.
pub(crate) fn serve(stream: TcpStream, shared: &Shared) {
    let _ = stream.set_nodelay(true);
    let Ok(reading) = stream.try_clone() else { return };
    let mut connection = Connection { reader: BufReader::new(reading), stream, shared };
    loop {
        match connection.serve_one() {
            Ok(true) => {}
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                let _ = connection.refuse();
                return;
            }
            Ok(false) | Err(_) => return,
        }
    }
}

struct Connection<'a> {
    reader: BufReader<TcpStream>,
    stream: TcpStream,
    shared: &'a Shared,
}

impl Connection<'_> {
    /// Answers a request. False if the connection is at its end.
    fn serve_one(&mut self) -> io::Result<bool> {
        let Some(request) = Request::read_head(&mut self.reader)? else { return Ok(false) };
        let operation = Operation::of(&request);
        let number = self.shared.log.begin(operation, &request);
        let outcome = self.answer(operation, request, number);
        self.shared.log.end(number);
        outcome
    }

    fn answer(
        &mut self,
        operation: Operation,
        mut request: Request,
        number: usize,
    ) -> io::Result<bool> {
        if request.header("expect") == Some("100-continue") {
            self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        request.read_body(&mut self.reader)?;
        let is_kept = request.header("connection") != Some("close");
        let has_body = request.method != "HEAD";
        let response = handle(operation, request, &mut self.shared.store(), &self.shared.options);
        self.send(&response, has_body, number)?;
        Ok(is_kept)
    }

    fn send(&mut self, response: &Response, has_body: bool, number: usize) -> io::Result<()> {
        let body = response.body.as_slice();
        self.shared.log.update(number, |entry| entry.status = Some(response.status));
        self.stream.write_all(response.head(body.len()).as_bytes())?;
        if has_body {
            for piece in body.chunks(PIECE) {
                self.shared.log.update(number, |entry| entry.body_sent += piece.len() as u64);
                self.stream.write_all(piece)?;
            }
        }
        Ok(())
    }

    /// Answers a request that is no HTTP, or no URL.
    fn refuse(&mut self) -> io::Result<()> {
        let response = ErrorCode::InvalidURI.response("").header("Connection", "close");
        let body = response.body.as_slice();
        self.stream.write_all(response.head(body.len()).as_bytes())?;
        self.stream.write_all(body)
    }
}
