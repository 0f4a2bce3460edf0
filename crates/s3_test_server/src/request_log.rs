//! The log of requests.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::faults::Fault;
use crate::operation::Operation;
use crate::request::Request;

/// A request that the server has received, and what became of it.
#[derive(Clone, Debug)]
pub struct LoggedRequest {
    /// What it asked for.
    pub operation: Operation,
    /// The HTTP method.
    pub method: String,
    /// The server that it was to be passed on to, if this one was taken for a proxy.
    pub proxied_to: Option<String>,
    /// The bucket.
    pub bucket: String,
    /// The key, decoded.
    pub key: String,
    /// The query, decoded.
    pub query: Vec<(String, String)>,
    /// The headers, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// The length of the body of the request as announced, in bytes.
    pub body_received: u64,
    /// The status; nothing if there was no answer.
    pub status: Option<u16>,
    /// How much of the body of the answer was sent, in bytes. It may be ahead of what the client
    /// has received, never behind.
    pub body_sent: u64,
    /// What went wrong, as the test wanted.
    pub faults: Vec<Fault>,
    /// When the head of the request was read, since the start of the server.
    pub began: Duration,
    /// When the answer was sent, or the connection closed; nothing until then.
    pub ended: Option<Duration>,
}

impl LoggedRequest {
    /// The value of a header, whose name is given in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// The header `Range`.
    #[must_use]
    pub fn range(&self) -> Option<&str> {
        self.header("range")
    }
}

pub(crate) struct RequestLog {
    entries: Mutex<Vec<LoggedRequest>>,
    start: Instant,
}

impl RequestLog {
    pub(crate) fn new() -> Self {
        Self { entries: Mutex::new(Vec::new()), start: Instant::now() }
    }

    /// Logs a request whose body has not been read, and returns its number.
    pub(crate) fn begin(&self, operation: Operation, request: &Request, faults: &[Fault]) -> usize {
        let mut entries = self.lock();
        entries.push(LoggedRequest {
            operation,
            method: request.method.clone(),
            proxied_to: request.proxied_to.clone(),
            bucket: request.bucket.clone(),
            key: request.key.clone(),
            query: request.query.clone(),
            headers: request.headers.clone(),
            body_received: request.content_len().unwrap_or_default(),
            status: None,
            body_sent: 0,
            faults: faults.to_vec(),
            began: self.start.elapsed(),
            ended: None,
        });
        entries.len() - 1
    }

    pub(crate) fn update(&self, number: usize, change: impl FnOnce(&mut LoggedRequest)) {
        // Not there if the log was cleared meanwhile.
        if let Some(entry) = self.lock().get_mut(number) {
            change(entry);
        }
    }

    pub(crate) fn end(&self, number: usize) {
        let now = self.start.elapsed();
        self.update(number, |entry| entry.ended = Some(now));
    }

    pub(crate) fn all(&self) -> Vec<LoggedRequest> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<LoggedRequest>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
