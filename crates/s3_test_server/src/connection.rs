//! Serves one connection.

use std::io::{self, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, SystemTime};

use crate::date::http_date;
use crate::error::ErrorCode;
use crate::faults::Fault;
use crate::handler::handle;
use crate::operation::Operation;
use crate::request::Request;
use crate::response::Response;
use crate::services;
use crate::shared::Shared;
use crate::store::Object;

/// How much of a body is sent between two updates of the log.
const PIECE: usize = 256 << 10;

/// Answers requests until one side closes the connection.
pub(crate) fn serve(stream: TcpStream, shared: &Shared) {
    let _ = stream.set_nodelay(true);
    let Ok(reading) = stream.try_clone() else { return };
    let mut connection = Connection { reader: BufReader::new(reading), stream, shared };
    loop {
        match connection.serve_one() {
            Ok(Next::Request) => {}
            Ok(Next::Reset) => {
                // Closing sends a reset then.
                let linger = Some(Duration::ZERO);
                let _ = rustix::net::sockopt::set_socket_linger(&connection.stream, linger);
                return;
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                let _ = connection.refuse();
                return;
            }
            Ok(Next::Close) | Err(_) => return,
        }
    }
}

struct Connection<'a> {
    reader: BufReader<TcpStream>,
    stream: TcpStream,
    shared: &'a Shared,
}

/// What to do with the connection after a request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Request,
    Close,
    Reset,
}

impl Connection<'_> {
    fn serve_one(&mut self) -> io::Result<Next> {
        let Some(request) = Request::read_head(&mut self.reader)? else { return Ok(Next::Close) };
        let operation = Operation::of(&request);
        let faults = self.shared.faults().next(operation, &request);
        let number = self.shared.log.begin(operation, &request, &faults);
        let next = Exchange { connection: self, operation, faults, number }.run(request);
        self.shared.log.end(number);
        next
    }

    /// Answers a request that is no HTTP, or no URL.
    fn refuse(&mut self) -> io::Result<()> {
        let response = ErrorCode::InvalidURI.response("").header("Connection", "close");
        let body = response.body.as_slice();
        self.stream.write_all(response.head(body.len()).as_bytes())?;
        self.stream.write_all(body)
    }
}

/// A request whose head has been read, and its answer.
struct Exchange<'a, 'b> {
    connection: &'a mut Connection<'b>,
    operation: Operation,
    faults: Vec<Fault>,
    /// Its number in the log.
    number: usize,
}

impl Exchange<'_, '_> {
    fn run(mut self, mut request: Request) -> io::Result<Next> {
        if self.read_body(&mut request)? == Next::Reset {
            return Ok(Next::Reset);
        }
        let is_kept = request.header("connection") != Some("close");
        let has_body = request.method != "HEAD";
        let (bucket, key) = (request.bucket.clone(), request.key.clone());
        let Some(mut response) = self.response(request) else { return Ok(Next::Reset) };
        self.spoil(&mut response);
        let replace = |content: &[u8]| {
            self.shared().put(&bucket, &key, Object::from(content.to_vec()));
        };
        let next = self.send(&response, has_body, replace)?;
        Ok(if next == Next::Request && !is_kept { Next::Close } else { next })
    }

    fn shared(&self) -> &Shared {
        self.connection.shared
    }

    fn read_body(&mut self, request: &mut Request) -> io::Result<Next> {
        for fault in &self.faults {
            match fault {
                Fault::Delay(time) => self.shared().connections.wait(*time),
                Fault::ResetWhileReading { after } => {
                    let all_but_last = request.content_len()?.saturating_sub(1);
                    let mut body =
                        (&mut self.connection.reader).take(all_but_last.min(*after as u64));
                    io::copy(&mut body, &mut io::sink())?;
                    return Ok(Next::Reset);
                }
                _ => {}
            }
        }
        if request.header("expect") == Some("100-continue") {
            self.connection.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        request.read_body(&mut self.connection.reader)?;
        Ok(Next::Request)
    }

    /// Does what is asked for; nothing if there is no answer.
    fn response(&self, mut request: Request) -> Option<Response> {
        let resource = format!("/{}/{}", request.bucket, request.key);
        for fault in &self.faults {
            match fault {
                Fault::Reset => return None,
                Fault::Error(code) => return Some(code.response(&resource)),
                Fault::SlowDown { retry_after } => {
                    let response = ErrorCode::SlowDown.response(&resource);
                    return Some(response.header("Retry-After", retry_after.to_string()));
                }
                Fault::Skewed { ahead } => {
                    let response = ErrorCode::RequestTimeTooSkewed.response(&resource);
                    let date = http_date(SystemTime::now() + Duration::from_secs(*ahead));
                    return Some(response.header("Date", date));
                }
                Fault::Denied(message) => {
                    return Some(ErrorCode::AccessDenied.response_with(message, &resource));
                }
                Fault::WrongRegion(region) => {
                    let response = ErrorCode::PermanentRedirect.response(&resource);
                    return Some(response.header("x-amz-bucket-region", region));
                }
                Fault::Redirect(url) => return Some(Response::empty(302).header("Location", url)),
                Fault::ErrorWithStatus200(code) => {
                    return Some(Response::xml(200, &code.document(&resource)));
                }
                Fault::Replace(content) => {
                    let object = Object::from(content.clone());
                    self.shared().put(&request.bucket, &request.key, object);
                }
                Fault::IgnoreConditions => {
                    request.headers.retain(|(name, _)| !name.starts_with("if-"));
                }
                Fault::IgnoreRange => request.headers.retain(|(name, _)| name != "range"),
                _ => {}
            }
        }
        let lifetime = self.shared().options.credentials_lifetime;
        if let Some(response) = services::answer(self.operation, &request, lifetime) {
            return Some(response);
        }
        let (store, options) = (&mut self.shared().store(), &self.shared().options);
        let response = handle(self.operation, request, store, options);
        (!self.faults.contains(&Fault::LoseAnswer)).then_some(response)
    }

    /// Makes an answer wrong.
    fn spoil(&self, response: &mut Response) {
        for fault in &self.faults {
            match fault {
                Fault::CorruptBody => response.body.flip_bit(),
                Fault::ShortenBody { by } => {
                    let range = &mut response.body.range;
                    range.end = range.end.saturating_sub(*by).max(range.start);
                }
                Fault::WrongEtag => {
                    response.replace_etag(Some("\"00000000000000000000000000000000\""));
                }
                Fault::NoEtag => response.replace_etag(None),
                Fault::NoHeader(name) => response.headers.retain(|(other, _)| other != name),
                _ => {}
            }
        }
    }

    fn send(
        &self,
        response: &Response,
        has_body: bool,
        replace: impl Fn(&[u8]),
    ) -> io::Result<Next> {
        let body = response.body.as_slice();
        self.shared().log.update(self.number, |entry| entry.status = Some(response.status));
        let mut stream = &self.connection.stream;
        stream.write_all(response.head(body.len()).as_bytes())?;
        let body = if has_body { body } else { &[] };
        let mut sent = 0;
        for (at, event) in self.events(body.len()) {
            self.send_pieces(&body[sent..at])?;
            sent = at;
            match event {
                Fault::ResetBody { .. } => return Ok(Next::Reset),
                Fault::CutBody { .. } => return Ok(Next::Close),
                Fault::StallBody { time, .. } => self.shared().connections.wait(*time),
                Fault::ReplaceDuringBody { content, .. } => replace(content),
                _ => {}
            }
        }
        self.send_pieces(&body[sent..])?;
        for fault in &self.faults {
            if let Fault::LengthenBody { by } = fault {
                self.send_pieces(&vec![b'+'; *by])?;
                return Ok(Next::Close);
            }
        }
        Ok(Next::Request)
    }

    /// The faults that happen in the middle of a body, with their positions, in order.
    fn events(&self, len: usize) -> Vec<(usize, &Fault)> {
        let mut events: Vec<_> = self
            .faults
            .iter()
            .filter_map(|fault| match fault {
                Fault::ResetBody { after }
                | Fault::CutBody { after }
                | Fault::StallBody { after, .. }
                | Fault::ReplaceDuringBody { after, .. } => Some((*after, fault)),
                _ => None,
            })
            .map(|(after, fault)| (after.min(len.saturating_sub(1)), fault))
            .collect();
        events.sort_by_key(|(at, _)| *at);
        events
    }

    fn send_pieces(&self, bytes: &[u8]) -> io::Result<()> {
        let drip = self.faults.iter().find_map(|fault| match fault {
            Fault::DripBody { piece, pause } => Some((*piece, *pause)),
            _ => None,
        });
        let (piece, pause) = drip.unwrap_or((PIECE, Duration::ZERO));
        for piece in bytes.chunks(piece.max(1)) {
            self.shared().log.update(self.number, |entry| entry.body_sent += piece.len() as u64);
            (&self.connection.stream).write_all(piece)?;
            if !pause.is_zero() {
                self.shared().connections.wait(pause);
            }
        }
        Ok(())
    }
}
