//! The requests to the transport, and what has come back.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar};

use cryptstream_engine::{ObjectError, ObjectErrorKind, SandboxLevel};
use cryptstream_shm::Channel;

use crate::protocol::{Answer, FailedRequest, NumberedRequest, Request};
use crate::traffic::Traffic;

/// A message has room for names of parts of so many bytes together, which JSON may write with six
/// times as many.
const NAMES_PER_MESSAGE: usize = 4 << 10;

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) is_started: bool,
    pub(super) channel: Option<Arc<Channel>>,
    /// Requests without an answer.
    pub(super) open: BTreeMap<u64, Arc<Call>>,
    pub(super) answers: HashMap<u64, Answer>,
    /// What wakes those who wait, by the number of the answer.
    pub(super) waiting: HashMap<u64, Vec<Arc<Condvar>>>,
    /// The number of the last request.
    pub(super) last: u64,
    pub(super) level: Option<SandboxLevel>,
    /// What the processes before this one have asked stores for.
    pub(super) earlier_traffic: Traffic,
    /// What this one has.
    pub(super) traffic: Traffic,
    pub(super) deaths: u64,
    /// Whether the process takes no more requests.
    pub(super) is_stuck: bool,
    /// Why no more requests are possible.
    pub(super) failure: Option<String>,
}

impl State {
    /// Passes an answer on to those who wait for it.
    pub(super) fn answer(&mut self, number: u64, answer: Answer) {
        self.open.remove(&number);
        self.answers.insert(number, answer);
        let waiting = self.waiting.remove(&number).unwrap_or_default();
        waiting.into_iter().for_each(|signal| signal.notify_all());
    }

    /// What is notified when one of these answers comes.
    pub(super) fn signal(&mut self, numbers: &[u64]) -> Arc<Condvar> {
        let signal = Arc::new(Condvar::new());
        for number in numbers {
            self.waiting.entry(*number).or_default().push(Arc::clone(&signal));
        }
        signal
    }

    /// Nobody waits for these answers with this signal any longer.
    pub(super) fn forget(&mut self, numbers: &[u64], signal: &Arc<Condvar>) {
        for number in numbers {
            if let Some(signals) = self.waiting.get_mut(number) {
                signals.retain(|other| !Arc::ptr_eq(other, signal));
            }
        }
    }

    pub(super) fn take(&mut self, number: u64) -> io::Result<Option<Answer>> {
        match (self.answers.remove(&number), &self.failure) {
            (Some(Answer::Failed { kind, message, request }), _) => {
                let request = request.map(|FailedRequest(request)| Box::new(request));
                Err(ObjectError { kind, message, request }.into())
            }
            (Some(answer), _) => Ok(Some(answer)),
            (None, Some(failure)) => Err(unavailable(failure)),
            (None, None) => Ok(None),
        }
    }
}

/// A request and what goes along.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) request: Request,
    /// The names of the parts of [`Request::Complete`].
    pub(super) parts: Vec<String>,
    pub(super) file: Option<Arc<File>>,
    /// Whether a transport has got it.
    pub(super) is_sent: AtomicBool,
}

impl Call {
    pub(super) fn new(request: Request, parts: Vec<String>, file: Option<Arc<File>>) -> Self {
        Self { request, parts, file, is_sent: AtomicBool::new(false) }
    }

    /// Whether it can be sent again. Nobody knows how much of a stream has gone through its pipe.
    pub(super) fn can_repeat(&self) -> bool {
        !matches!(self.request, Request::Stream { .. }) || !self.is_sent.load(Ordering::Relaxed)
    }

    pub(super) fn send(&self, channel: &Channel, number: u64) -> io::Result<()> {
        self.is_sent.store(true, Ordering::Relaxed);
        if let Request::Complete { upload, .. } = &self.request {
            let longest = self.parts.iter().map(String::len).max().unwrap_or_default();
            let count = (NAMES_PER_MESSAGE / (longest + 1)).max(1);
            for (index, parts) in self.parts.chunks(count).enumerate() {
                let (upload, first, parts) = (upload.clone(), index * count, parts.to_vec());
                let parts = Request::Parts { upload, first, parts };
                channel.send(&encode(&NumberedRequest { number, request: parts })?, &[])?;
            }
        }
        let bytes = encode(&NumberedRequest { number, request: &self.request })?;
        match &self.file {
            Some(file) => channel.send(&bytes, &[file.as_fd()]),
            None => channel.send(&bytes, &[]),
        }
    }
}

/// A message as it is sent.
pub(super) fn encode(message: &impl serde::Serialize) -> io::Result<Vec<u8>> {
    Ok(serde_json::to_vec(message)?)
}

/// The error that the transport can do no more.
pub(super) fn unavailable(message: &str) -> io::Error {
    ObjectError::new(ObjectErrorKind::Unavailable, message).into()
}
