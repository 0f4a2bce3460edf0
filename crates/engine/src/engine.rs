//! The engine, and who works on a payload: this process alone, or workers too.

use std::sync::OnceLock;

use cryptstream_format::payload::SEGMENT_LEN;
use cryptstream_format::{Layout, Segment};
use cryptstream_protection::Protection;

use crate::data_file::Caching;
use crate::error_context::{ErrorContext, no_workers};
use crate::in_process::{InProcess, run_in_process};
use crate::job::{Job, Output};
use crate::output::{PendingFile, Sink};
use crate::payload::Payload;
use crate::pipeline::{Pipeline, PipelineError, SegmentSink, SegmentSource};
use crate::request::Input;
use crate::workers::{Coordinator, Stop, WORTH};
use crate::{
    Cache, CommitOptions, EngineOptions, Error, Parser, Processes, Progress, SandboxMode, Source,
    WorkerProgram, WorkerStats,
};

/// Encrypts and decrypts files, one after the other or several at a time, with one pool of
/// workers for all of them.
///
/// Each method takes a request and does all of it before it returns. Threads and processes
/// are started when a file is large enough to be worth it, and end when the engine is
/// dropped.
pub struct Engine {
    pub(crate) options: EngineOptions,
    /// Empty until it is needed: finding it out takes several system calls, which show when
    /// the file is small.
    cores: OnceLock<usize>,
    coordinator: Option<Coordinator>,
    /// Parses untrusted input; `None` until it is first needed.
    parser: Option<Parser>,
    /// Shared memory could not be created.
    has_no_memory: bool,
    /// Workers were started in advance, and are to stay from file to file.
    keeps_workers: bool,
}

/// Options of an [`Engine`].
///
/// Without a [program](Self::worker_program) that becomes a worker there are no worker
/// processes, and everything is done by threads of this process.
#[derive(Clone, Debug, Default)]
#[must_use = "call `build`"]
pub struct EngineBuilder {
    options: EngineOptions,
    cores: Option<usize>,
}

impl EngineBuilder {
    /// How many workers there may be, or threads of this process where it does the work
    /// itself.
    pub fn workers(mut self, processes: Processes) -> Self {
        self.options.processes = processes;
        self
    }

    /// The program that becomes a worker: that of [`init_worker`](crate::init_worker), or
    /// the path of one that calls it.
    pub fn worker_program(mut self, program: impl Into<WorkerProgram>) -> Self {
        self.options.program = Some(program.into());
        self
    }

    /// Whether workers must be sandboxed. By default they are, as well as the system can.
    pub fn sandbox(mut self, sandbox: SandboxMode) -> Self {
        self.options.sandbox = sandbox;
        self
    }

    /// How many cores this process may use. By default as many as the system allows it.
    pub fn cores(mut self, cores: usize) -> Self {
        self.cores = Some(cores);
        self
    }

    /// Whether the content of files stays in the system's page cache.
    pub fn cache(mut self, cache: Cache) -> Self {
        self.options.cache = cache;
        self
    }

    /// The engine. Nothing is started yet.
    #[must_use]
    pub fn build(self) -> Engine {
        match self.cores {
            Some(cores) => Engine::new(self.options, cores),
            None => Engine::with_options(self.options),
        }
    }
}

impl Engine {
    /// Options for an engine.
    pub fn builder() -> EngineBuilder {
        EngineBuilder::default()
    }

    /// An engine for a process that may use `cores` cores.
    #[must_use]
    pub fn new(options: EngineOptions, cores: usize) -> Self {
        Self { cores: OnceLock::from(cores), ..Self::with_options(options) }
    }

    /// An engine for a process that may use as many cores as the system allows it.
    #[must_use]
    pub fn with_options(options: EngineOptions) -> Self {
        Self {
            options,
            cores: OnceLock::new(),
            coordinator: None,
            parser: None,
            has_no_memory: false,
            keeps_workers: false,
        }
    }

    /// Starts all workers now and waits until they are ready, for measurements or when much
    /// work is about to come.
    ///
    /// # Errors
    /// [`Error::NoSandbox`], [`Error::NoProcess`], [`Error::NoWorkers`].
    pub fn warm_up(&mut self) -> Result<(), Error> {
        let allowed = self.options.allowed(self.cores());
        self.keeps_workers = true;
        if allowed > 0 {
            let Some(coordinator) = self.coordinator().map_err(no_workers)? else { return Ok(()) };
            coordinator.warm_up(allowed).map_err(no_workers)?;
        }
        Ok(())
    }

    /// The parser for the inputs of this engine.
    ///
    /// # Errors
    /// Those of [`Parser::new`].
    pub fn parser(&mut self) -> Result<Parser, Error> {
        if let Some(parser) = &self.parser {
            return Ok(parser.clone());
        }
        let parser = Parser::new(&self.options)?;
        self.parser = Some(parser.clone());
        Ok(parser)
    }

    /// The parser for an input that this engine opens.
    pub(crate) fn parser_for(&mut self, input: &Input<'_>) -> Result<Parser, Error> {
        match input {
            Input::Path(_) => self.parser(),
            Input::Source(source) => Ok(source.parser().clone()),
        }
    }

    /// What happened to the workers since the last call.
    pub fn take_stats(&mut self) -> WorkerStats {
        self.coordinator.as_mut().map(Coordinator::take_stats).unwrap_or_default()
    }

    /// The workers; `None` where there is no memory for them.
    pub(crate) fn coordinator(&mut self) -> Result<Option<&mut Coordinator>, Stop> {
        if self.coordinator.is_none() && !self.has_no_memory {
            match Coordinator::new(&self.options, self.cores()) {
                Ok(coordinator) => self.coordinator = Some(coordinator),
                Err(error) if self.options.is_sandbox_required() => {
                    return Err(Stop::from_io(&error));
                }
                Err(_) => self.has_no_memory = true,
            }
        }
        Ok(self.coordinator.as_mut())
    }

    /// How many segments may be on their way to workers.
    pub(crate) fn capacity(&self) -> usize {
        let allowed = self.options.allowed(self.cores());
        self.coordinator.as_ref().map_or_else(|| Coordinator::slots(allowed), Coordinator::capacity)
    }

    /// Ends the workers, and drops all segments that they hold.
    pub(crate) fn drop_workers(&mut self) {
        self.coordinator = None;
    }

    /// Decides how the content of a file and its output passes through the page cache.
    pub(crate) fn set_caching(&self, source: &mut Source, sink: &mut Sink, commit: CommitOptions) {
        let caching = self.options.cache.caching(source.seekable_len(), commit);
        sink.set_caching(caching);
        // Others have read it, or are about to.
        let is_in_use = caching != Caching::KEEP
            && self.options.cache == Cache::Auto
            && source.is_mostly_cached();
        source.set_caching(if is_in_use { Caching::KEEP } else { caching });
    }

    /// Ends the workers' part of a file. Where the output is to be read again, they go
    /// before, so that none of them can write to it afterwards. Returns what has become
    /// of them.
    pub(crate) fn end_work(&mut self, commit: CommitOptions) -> WorkerStats {
        let stats = self.take_stats();
        if commit.verifies() {
            self.drop_workers();
        }
        stats
    }

    /// Encrypts or decrypts all segments from the current position of `source`. Returns the
    /// last one.
    pub(crate) fn run_payload(
        &mut self,
        payload: Payload,
        source: &mut Source,
        sink: &mut Sink,
        progress: &dyn Progress,
    ) -> Result<Segment, Error> {
        let last = self.run_segments(payload, source, sink, progress)?;
        sink.drain(progress)?;
        Ok(last)
    }

    fn run_segments(
        &mut self,
        payload: Payload,
        source: &mut Source,
        sink: &mut Sink,
        progress: &dyn Progress,
    ) -> Result<Segment, Error> {
        source.read_ahead();
        // A short one is encrypted here, so the cores need not be counted.
        let len = payload.layout.map_or_else(|| source.seekable_len(), |l| Some(l.plaintext_len()));
        let is_short = len.is_some_and(|len| len < WORTH);
        let pays = match source.is_file() && !sink.is_stream() {
            _ if is_short => false,
            // Some mounts end a file that is written in order when another process, which
            // has got its descriptor by being started, closes that.
            _ if sink.is_in_order_file() => false,
            true => self.options.allowed(self.cores()) > 0,
            false => self.options.pays_for_streams(self.cores()),
        };
        let expected = expected_plaintext_len(payload.layout.as_ref(), source);
        let has_work = |len| self.options.target(len, self.cores()) > 0;
        if pays && expected.is_some_and(has_work) && self.has_coordinator()? {
            return self.run_with_workers(payload, 0, source, sink, progress);
        }
        // Of a long stream only the beginning, if workers make it faster: so much
        // has come then that as much again is likely.
        let until = pays.then_some(WORTH / SEGMENT_LEN as u64);
        let threads = self.threads();
        match run_in_process(payload, 0, until, threads, source, sink, progress)? {
            InProcess::Complete(last) => Ok(last),
            InProcess::Paused(payload, index) if self.has_coordinator()? => {
                self.run_with_workers(payload, index, source, sink, progress)
            }
            InProcess::Paused(payload, index) => {
                run_in_process(payload, index, None, threads, source, sink, progress)?.complete()
            }
        }
    }

    /// Takes the descriptor of a finished file away from the workers, before it
    /// gets its name. As a rule there is nothing left for them to do, and they
    /// are ended now rather than a moment later; otherwise they are asked, and
    /// ended if they do not obey.
    fn revoke_output(&mut self, job: u32, pending: &PendingFile) -> Result<(), Stop> {
        let keeps_workers = self.keeps_workers;
        let Some(coordinator) =
            self.coordinator.as_mut().filter(|_| Protection::JobRevoked.is_on())
        else {
            return Ok(());
        };
        if keeps_workers {
            coordinator.enforce_release(job)?;
        }
        if !keeps_workers || pending.has_other_writers() != Some(false) {
            coordinator.end_workers();
        }
        Ok(())
    }

    /// The cores that this process may use.
    pub(crate) fn cores(&self) -> usize {
        let found = || std::thread::available_parallelism().map_or(1, usize::from);
        *self.cores.get_or_init(found)
    }

    /// How many threads of this process may work on a file.
    pub(crate) fn threads(&self) -> usize {
        self.options.threads(|| self.cores())
    }

    /// Whether workers can be used.
    pub(crate) fn has_coordinator(&mut self) -> Result<bool, Error> {
        Ok(self.coordinator().map_err(no_workers)?.is_some())
    }

    /// With the workers, from segment `first` on.
    fn run_with_workers(
        &mut self,
        mut payload: Payload,
        first: u64,
        source: &mut Source,
        sink: &mut Sink,
        progress: &dyn Progress,
    ) -> Result<Segment, Error> {
        payload.put_head(sink)?;
        let Payload { operation, layout, start, cipher, .. } = payload;
        let (workers, cores) = (self.options.clone(), self.cores());
        let output = match &*sink {
            Sink::File(pending) => Output::File(pending.open_for_workers()?),
            Sink::Object(object) => Output::File(object.file()?),
            Sink::Stream(_) | Sink::Armored(_) => Output::Slot,
            Sink::Nowhere => Output::Nowhere,
        };
        let input = match layout {
            Some(_) => Some(source.file().duplicate(source.path())?),
            None => None,
        };
        let target = match expected_plaintext_len(layout.as_ref(), source) {
            Some(len) => workers.target(len, cores),
            None => workers.allowed(cores),
        };
        let path = source.path().to_owned();
        let output_path = sink.path().to_owned();
        let format = cipher.format();
        let job = Job { operation, layout, payload_start: start, cipher, input, output };
        let input = match layout {
            Some(layout) => SegmentSource::of_file(source.as_object(), layout, first),
            None => SegmentSource::of_stream(format, operation, source, first),
        };
        let Some(coordinator) = self.coordinator().map_err(no_workers)? else {
            return Err(Error::Internal("the workers are gone"));
        };
        let number = coordinator.add(job);
        let ended =
            Pipeline::new(number, input, SegmentSink::new(sink), target).run(coordinator, progress);
        let ended = match (ended, &*sink) {
            (Ok(last), Sink::File(pending)) => {
                let taken = self.revoke_output(number, pending);
                taken.map(|()| last).map_err(PipelineError::Stop)
            }
            (ended, _) => ended,
        };
        if !matches!(ended, Ok(_) | Err(PipelineError::Segment(..))) {
            self.drop_workers();
        }
        let place = ErrorContext { path, output_path, start };
        ended.map_err(|error| match error {
            PipelineError::Segment(segment, failure) => place.error(&segment, failure),
            PipelineError::Stop(stop) => place.stopped(stop),
            PipelineError::Error(error) => error,
        })
    }
}

/// The expected number of plaintext bytes, if it can be known; an estimate for a file in
/// armor.
fn expected_plaintext_len(layout: Option<&Layout>, source: &Source) -> Option<u64> {
    let is_armored_file = source.is_file() && source.is_armored();
    match layout {
        Some(layout) => Some(layout.plaintext_len()),
        None => source.expected_len().filter(|_| is_armored_file),
    }
}
