//! Starts the transport, sends it requests and takes its answers.

mod state;

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use cryptstream_engine::program::{SandboxedProcess, forbid_network};
use cryptstream_engine::{ObjectErrorKind, SandboxLevel, SandboxMode};
use cryptstream_shm::Channel;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use zeroize::Zeroizing;

use crate::protocol::{Answer, Begin, NumberedAnswer, NumberedRequest, Request, VERSION};
use crate::renewal::{Renewals, Renewer, Values};
use crate::traffic::Traffic;
use crate::unfinished_upload::UnfinishedUpload;

use state::{Call, State, encode, unavailable};

/// The first argument of a process that is to be a transport.
pub const TRANSPORT_ARGUMENT: &str = "__transport";

/// A transport that says nothing for so long is considered stuck. It reports once a second.
const SILENCE: Duration =
    if cfg!(test) { Duration::from_millis(500) } else { Duration::from_secs(30) };
/// How often it is looked whether it is stuck.
const LOOK: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };
/// How to start the transport.
#[derive(Clone, Debug)]
pub struct TransportOptions {
    /// A program that calls [`transport_main`](crate::transport_main), of the same version.
    pub program: PathBuf,
    /// Names and values as in the environment (`AWS_REGION`, …). Later ones count.
    pub settings: Vec<(String, String)>,
    /// How well it must be sandboxed.
    pub sandbox: SandboxMode,
    /// Whether this process gives the network up when the transport has been started.
    pub forbids_network: bool,
    /// What has to be renewed as long as the transport works.
    pub renewals: Renewals,
    /// Is told why credentials were not renewed. They are asked for again after a while.
    pub on_failed_renewal: fn(&str),
    /// Is told of an upload that failed and could not be given up. It stays in its store.
    pub on_left_upload: fn(&UnfinishedUpload),
}

/// The process that talks to the network. It is started with the first request.
///
/// A second one stands by, since this process gives up what a third would need: it takes over if
/// the first one dies or hangs, and gets all requests that were not answered.
#[derive(Debug)]
pub struct Transport {
    options: TransportOptions,
    state: Mutex<State>,
    /// Parts that are in a store.
    parts_done: AtomicU64,
    /// Parts that are in a store or known to come.
    parts_known: AtomicU64,
}

/// What the transport has done.
#[derive(Clone, Copy, Debug, Default)]
pub struct TransportStats {
    /// How well it is sandboxed; `None` if it was not started.
    pub sandbox: Option<SandboxLevel>,
    /// What it has asked stores for.
    pub traffic: Traffic,
    /// Parts of objects that are in a store, and those that are there or known to come. A single
    /// part does not count.
    pub parts: (u64, u64),
    /// How often it died or was stuck.
    pub deaths: u64,
}

impl Transport {
    /// A transport that is started when it is needed.
    #[must_use]
    pub fn new(options: TransportOptions) -> Arc<Self> {
        Arc::new(Self {
            options,
            state: Mutex::default(),
            parts_done: AtomicU64::new(0),
            parts_known: AtomicU64::new(0),
        })
    }

    /// An upload could not be given up.
    pub(crate) fn left(&self, upload: &UnfinishedUpload) {
        (self.options.on_left_upload)(upload);
    }

    /// What it has done so far.
    pub fn stats(&self) -> TransportStats {
        let State { level, earlier_traffic, traffic, deaths, .. } = *self.lock();
        let parts = (&self.parts_done, &self.parts_known);
        TransportStats {
            sandbox: level,
            traffic: earlier_traffic + traffic,
            parts: (parts.0.load(Ordering::Relaxed), parts.1.load(Ordering::Relaxed)),
            deaths,
        }
    }

    /// Counts parts that have come to be in a store, and others that are now known to come.
    pub(crate) fn count_parts(&self, done: u64, known: u64) {
        self.parts_done.fetch_add(done, Ordering::Relaxed);
        self.parts_known.fetch_add(known, Ordering::Relaxed);
    }

    /// Sends a request. The answer has the number that is returned.
    pub(crate) fn send(
        self: &Arc<Self>,
        request: Request,
        file: Option<&Arc<File>>,
    ) -> io::Result<u64> {
        self.submit(Call::new(request, Vec::new(), file.map(Arc::clone)))
    }

    /// Sends a request and waits for its answer.
    pub(crate) fn call(
        self: &Arc<Self>,
        request: Request,
        file: Option<&Arc<File>>,
    ) -> io::Result<Answer> {
        let number = self.send(request, file)?;
        self.wait(number)
    }

    /// Makes an object of the `parts` of an upload.
    pub(crate) fn complete(
        self: &Arc<Self>,
        request: Request,
        parts: Vec<String>,
    ) -> io::Result<Answer> {
        let number = self.submit(Call::new(request, parts, None))?;
        self.wait(number)
    }

    fn submit(self: &Arc<Self>, call: Call) -> io::Result<u64> {
        self.start()?;
        let mut state = self.lock();
        state.last += 1;
        let number = state.last;
        let call = Arc::new(call);
        state.open.insert(number, Arc::clone(&call));
        if let Some(failure) = &state.failure {
            return Err(unavailable(failure));
        }
        if let Some(channel) = state.channel.clone() {
            state.is_stuck |= call.send(&channel, number).is_err();
        }
        Ok(number)
    }

    /// The answer with this number, if it has come.
    pub(crate) fn poll(&self, number: u64) -> io::Result<Option<Answer>> {
        self.lock().take(number)
    }

    /// Waits for the answer with this number.
    pub(crate) fn wait(&self, number: u64) -> io::Result<Answer> {
        let mut state = self.lock();
        loop {
            if let Some(answer) = state.take(number)? {
                return Ok(answer);
            }
            let signal = state.signal(&[number]);
            state = signal.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Does the same, but not for longer than `time`.
    pub(crate) fn wait_for(&self, number: u64, time: Duration) -> io::Result<Option<Answer>> {
        let deadline = Instant::now() + time;
        let mut state = self.lock();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match state.take(number)? {
                None if !left.is_zero() => {}
                answer => return Ok(answer),
            }
            let signal = state.signal(&[number]);
            let waited = signal.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until one of these answers is there.
    pub(crate) fn wait_any(&self, numbers: &[u64]) {
        let mut state = self.lock();
        while state.failure.is_none() && !numbers.iter().any(|n| state.answers.contains_key(n)) {
            let signal = state.signal(numbers);
            state = signal.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.forget(numbers, &signal);
        }
    }

    /// Does the same, but not for longer than `time`.
    pub(crate) fn wait_any_for(&self, numbers: &[u64], time: Duration) {
        let is_none = |state: &mut State| {
            state.failure.is_none() && !numbers.iter().any(|n| state.answers.contains_key(n))
        };
        let mut state = self.lock();
        let signal = state.signal(numbers);
        let waited = signal.wait_timeout_while(state, time, is_none);
        // Whether one is there will be looked at.
        waited.unwrap_or_else(PoisonError::into_inner).0.forget(numbers, &signal);
    }

    /// Starts it, unless it was started before.
    fn start(self: &Arc<Self>) -> io::Result<()> {
        let mut state = self.lock();
        if state.is_started {
            return Ok(());
        }
        state.is_started = true;
        // The processes end with the thread that starts them, so that thread takes the answers.
        let (this, (started, has_started)) = (Arc::clone(self), mpsc::channel());
        let serve = move || {
            let renewer = Renewer::start(
                &this.options.renewals,
                &this.options.program,
                this.options.on_failed_renewal,
            );
            let processes = renewer.and_then(|renewer| {
                // The first one works, and the last one stands by.
                let first = this.start_process()?;
                Ok((vec![this.start_process()?, first], renewer))
            });
            match processes {
                Ok((processes, renewer)) => {
                    let _ = started.send(Ok(()));
                    this.serve(processes, renewer);
                }
                Err(error) => {
                    let _ = started.send(Err(error));
                }
            }
        };
        let thread = thread::Builder::new().name("transport".to_owned()).spawn(serve);
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        let ready = thread.and_then(|_| has_started.recv().map_err(gone)?);
        if let Err(error) = ready {
            let message = format!("the transport process cannot be started: {error}");
            state.failure = Some(message.clone());
            return Err(unavailable(&message));
        }
        if self.options.forbids_network {
            let _ = forbid_network();
        }
        Ok(())
    }

    fn start_process(&self) -> io::Result<SandboxedProcess> {
        let process = SandboxedProcess::start_alone(&self.options.program, TRANSPORT_ARGUMENT)?;
        let begin = Begin {
            version: VERSION.to_owned(),
            settings: self.options.settings.clone(),
            sandbox: self.options.sandbox as u8,
        };
        process.send(&encode(&begin)?, &[])?;
        Ok(process)
    }

    /// Takes answers until no process is left.
    fn serve(&self, mut processes: Vec<SandboxedProcess>, mut renewer: Renewer) {
        let mut reason = "the transport process has died".to_owned();
        while let Some(process) = processes.pop() {
            match self.serve_one(&process, &mut renewer) {
                Ok(()) => {}
                Err(Ended::NotSandboxed(level)) => {
                    reason = format!(
                        "the sandbox of the transport process is not complete ({})",
                        level.name()
                    );
                    break;
                }
                Err(Ended::Stuck) => process.kill(),
            }
            let mut state = self.lock();
            state.deaths += 1;
            state.earlier_traffic = state.earlier_traffic + std::mem::take(&mut state.traffic);
            state.channel = None;
            state.is_stuck = false;
        }
        let mut state = self.lock();
        state.failure = Some(reason);
        let waiting = std::mem::take(&mut state.waiting);
        waiting.into_values().flatten().for_each(|signal| signal.notify_all());
    }

    /// Takes the answers of one process until it ends.
    fn serve_one(&self, process: &SandboxedProcess, renewer: &mut Renewer) -> Result<(), Ended> {
        let Ok(mut channel) = process.channel() else { return Ok(()) };
        if channel.set_timeout(Some(SILENCE)).is_err() {
            return Ok(());
        }
        let channel = Arc::new(channel);
        if renew(&channel, renewer.all()).is_err() {
            return Ok(());
        }
        self.take_over(&channel);
        let mut heard = Instant::now();
        loop {
            if renew(&channel, renewer.look()).is_err() {
                return Err(Ended::Stuck);
            }
            // It takes nothing, or has died.
            if self.lock().is_stuck {
                return Err(Ended::Stuck);
            }
            let mut fds = [PollFd::new(&*channel, PollFlags::IN)];
            if !matches!(poll(&mut fds, Some(&LOOK)), Ok(ready) if ready > 0) {
                if heard.elapsed() > SILENCE {
                    return Err(Ended::Stuck);
                }
                continue;
            }
            heard = Instant::now();
            let Ok(Some(message)) = channel.receive() else { return Ok(()) };
            // What cannot be understood comes from a process that was taken over.
            let Ok(answer) = serde_json::from_slice::<NumberedAnswer>(&message.bytes) else {
                return Err(Ended::Stuck);
            };
            self.take_answer(answer)?;
        }
    }

    /// Sends a new process what has not been answered.
    fn take_over(&self, channel: &Arc<Channel>) {
        let mut state = self.lock();
        state.channel = Some(Arc::clone(channel));
        let (again, lost): (Vec<_>, Vec<_>) =
            state.open.iter().partition(|(_, call)| call.can_repeat());
        let is_sent = |(number, call): (&u64, &Arc<Call>)| call.send(channel, *number).is_ok();
        let is_stuck = !again.into_iter().all(is_sent);
        for number in lost.into_iter().map(|(number, _)| *number).collect::<Vec<_>>() {
            let message = "the transport process has died, and the server has no ranges";
            state.answer(number, Answer::failed(ObjectErrorKind::Unavailable, message));
        }
        state.is_stuck = is_stuck;
    }

    fn take_answer(&self, answer: NumberedAnswer) -> Result<(), Ended> {
        let NumberedAnswer { number, answer, traffic } = answer;
        let mut state = self.lock();
        state.traffic = traffic;
        match answer {
            Answer::Ready(level) => {
                let level = SandboxLevel::from_byte(level).unwrap_or(SandboxLevel::None);
                state.level = Some(state.level.map_or(level, |other| other.min(level)));
                let is_required = self.options.sandbox == SandboxMode::Require;
                if is_required && level != SandboxLevel::Full {
                    return Err(Ended::NotSandboxed(level));
                }
            }
            Answer::Alive => {}
            // Only what was asked for is answered, and only once.
            answer if answer.is_short() && state.open.contains_key(&number) => {
                state.answer(number, answer);
            }
            _ => return Err(Ended::Stuck),
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a process is not used any longer.
enum Ended {
    NotSandboxed(SandboxLevel),
    /// It is silent, or says what makes no sense.
    Stuck,
}

/// Sends a transport what has been renewed.
fn renew(channel: &Channel, values: Values) -> io::Result<()> {
    if values.is_empty() {
        return Ok(());
    }
    let request = NumberedRequest { number: 0, request: Request::Renew { values } };
    channel.send(&Zeroizing::new(encode(&request)?), &[])
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use cryptstream_engine::ObjectError;

    use super::*;
    use crate::protocol::Location;
    use crate::url::ObjectUrl;

    /// The answer of a transport that does this in place of its work, to a request with a long key.
    fn answer_of(script: &str) -> ObjectError {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("transport");
        std::fs::write(&program, format!("#!/bin/bash\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
        let transport = Transport::new(TransportOptions {
            program,
            settings: Vec::new(),
            sandbox: SandboxMode::Auto,
            forbids_network: false,
            renewals: Renewals::default(),
            on_failed_renewal: |_| (),
            on_left_upload: |_| (),
        });
        let mut location = Location::of(&ObjectUrl::parse("s3://b/k".as_ref()).unwrap());
        location.key = "k".repeat(60_000);
        for _ in 0..20 {
            let _ = transport.send(Request::Stat { location: location.clone() }, None);
        }
        let error = transport.call(Request::Stat { location }, None).unwrap_err();
        assert_eq!(transport.stats().deaths, 2, "{error}");
        ObjectError::of(&error).unwrap().clone()
    }

    /// The other one would do the work, but here it does the same.
    #[test]
    fn a_transport_that_makes_no_sense_is_given_up() {
        let answer = |number, answer: &str| {
            let traffic = serde_json::to_string(&Traffic::default()).unwrap();
            format!(r#"{{"number":{number},"answer":"{answer}","traffic":{traffic}}}"#)
        };
        let says = |json: &str| format!(r"printf '\x{:02x}\0\0\0%s' '{json}' >&0", json.len());
        let alive = says(&answer(0, "Alive"));
        for script in [
            "exec sleep 60",
            // Half a message, then nothing.
            r"printf '\x40\0\0\0half' >&0; exec sleep 60",
            // Takes no requests.
            &format!("while {alive}; do sleep 0.05; done"),
            &format!("{}; exec sleep 60", says("what")),
            // Answers what was not asked.
            &format!("{}; exec sleep 60", says(&answer(999, "Done"))),
            r"printf '\xff\xff\xff\xff' >&0; exec sleep 60",
        ] {
            let error = answer_of(script);
            assert_eq!(error.kind, ObjectErrorKind::Unavailable, "{script}: {error}");
        }
    }
}
