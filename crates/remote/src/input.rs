//! Objects as inputs: ranges are fetched when they are needed, several at once.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use cryptstream_engine::{
    Error, ObjectAttributes, ObjectError, ObjectErrorKind, ObjectInput, Source,
};
use rangemap::RangeSet;

use crate::client::Transport;
use crate::memory_file::{free, memory_file};
use crate::protocol::{Answer, Location, Meta, Request};
use crate::url::ObjectUrl;

/// What is fetched when only a few bytes are asked for, 16 KiB: the header of nearly all encrypted
/// files, and a chunk of native ones.
pub(crate) const BLOCK: u64 = 16 << 10;
/// What is fetched with one request when all is needed in order, 8 MiB.
pub(crate) const PIECE: u64 = 8 << 20;
/// How far ahead it is fetched then, 64 MiB.
const AHEAD: u64 = 8 * PIECE;

/// An object that is being read.
#[derive(Debug)]
pub(crate) struct RemoteInput {
    transport: Arc<Transport>,
    location: Location,
    pub(crate) meta: Meta,
    file: Arc<File>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What is in the file.
    present: RangeSet<u64>,
    /// What was asked for, with the numbers of the answers.
    requested: Vec<(Range<u64>, u64)>,
    /// Where reading in order begins, if it does.
    sequential_from: Option<u64>,
    /// The end of what was asked for ahead.
    ahead: u64,
    /// Why nothing more will come. What is there can still be used.
    failure: Option<ObjectError>,
}

/// Opens the object at `url` for reading.
///
/// # Errors
/// [`Error::Open`].
pub fn open(transport: &Arc<Transport>, url: &ObjectUrl) -> Result<Source, Error> {
    Opening::begin(transport, url, BLOCK)?.finish()
}

/// An object that is being opened, while others are as well.
#[derive(Debug)]
pub struct Opening {
    transport: Arc<Transport>,
    location: Location,
    path: PathBuf,
    file: Arc<File>,
    /// How many bytes come along.
    first: u64,
    /// The number of the answer.
    number: u64,
}

impl Opening {
    /// Asks for the object at `url`, and for its first bytes.
    ///
    /// # Errors
    /// [`Error::Open`].
    pub fn begin(transport: &Arc<Transport>, url: &ObjectUrl, first: u64) -> Result<Self, Error> {
        let path = PathBuf::from(url.to_string());
        let begun = Self::send(transport, Location::of(url), path.clone(), first);
        begun.map_err(|source| Error::Open { path, source })
    }

    fn send(
        transport: &Arc<Transport>,
        location: Location,
        path: PathBuf,
        first: u64,
    ) -> io::Result<Self> {
        let file = Arc::new(memory_file()?);
        let request = Request::Open { location: location.clone(), first };
        let number = transport.send(request, Some(&file))?;
        Ok(Self { transport: Arc::clone(transport), location, path, file, first, number })
    }

    /// Waits until it is open.
    ///
    /// # Errors
    /// [`Error::Open`].
    pub fn finish(self) -> Result<Source, Error> {
        let path = self.path.clone();
        match RemoteInput::opened(self) {
            Ok(input) if input.meta.is_stream => stream(&input.transport, input.location, path),
            Ok(input) => Source::object(Arc::new(input), path),
            Err(source) => Err(Error::Open { path, source }),
        }
    }
}

/// What can be read only once and in order: it comes through a pipe.
fn stream(transport: &Arc<Transport>, location: Location, path: PathBuf) -> Result<Source, Error> {
    let failed = |source| Error::Open { path: path.clone(), source };
    let like = File::open("/dev/null").map_err(failed)?;
    let (writer, source) = Source::piped(path.clone(), &like)?;
    let pipe = Arc::new(writer.pipe().try_clone().map_err(failed)?);
    let number = transport.send(Request::Stream { location }, Some(&pipe)).map_err(failed)?;
    let transport = Arc::clone(transport);
    let wait = move || match transport.wait(number) {
        Ok(_) => writer.finish(),
        Err(error) => writer.fail(error),
    };
    thread::Builder::new().name("stream".to_owned()).spawn(wait).map_err(failed)?;
    Ok(source)
}

impl RemoteInput {
    pub(crate) fn open(transport: &Arc<Transport>, location: Location) -> io::Result<Self> {
        Self::opened(Opening::send(transport, location, PathBuf::new(), BLOCK)?)
    }

    fn opened(opening: Opening) -> io::Result<Self> {
        let Opening { transport, location, file, first, number, .. } = opening;
        let Answer::Meta(meta) = transport.wait(number)? else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        // The transport may have been taken over; the length is main's affair.
        file.set_len(meta.len)?;
        let mut state = State::default();
        if meta.len > 0 {
            state.present.insert(0..meta.len.min(first));
        }
        Ok(Self { transport, location, meta, file, state: Mutex::new(state) })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for what is missing in `range`, cut at multiples of `step`.
    fn request(&self, state: &mut State, range: Range<u64>, step: u64) -> io::Result<()> {
        let missing: Vec<_> = state.missing(&range).collect();
        for gap in missing {
            let mut start = gap.start;
            while start < gap.end {
                let end = (start / step + 1).saturating_mul(step).min(gap.end);
                let (location, meta) = (self.location.clone(), self.meta.clone());
                let request = Request::Fetch { location, meta, start, end };
                let number = self.transport.send(request, Some(&self.file))?;
                state.requested.push((start..end, number));
                start = end;
            }
        }
        Ok(())
    }
}

impl State {
    /// What of `range` is neither there nor asked for.
    fn missing(&self, range: &Range<u64>) -> impl Iterator<Item = Range<u64>> {
        let mut known = self.present.clone();
        for (requested, _) in &self.requested {
            known.insert(requested.clone());
        }
        let gaps: Vec<_> = if range.is_empty() { Vec::new() } else { known.gaps(range).collect() };
        gaps.into_iter()
    }

    fn has(&self, range: &Range<u64>) -> bool {
        range.is_empty() || self.present.gaps(range).next().is_none()
    }

    /// Takes note of the answers that have come.
    fn collect(&mut self, transport: &Transport) {
        let State { present, requested, failure, .. } = self;
        requested.retain(|(range, number)| match transport.poll(*number) {
            Ok(None) => true,
            Ok(Some(_)) => {
                present.insert(range.clone());
                false
            }
            Err(error) => {
                failure.get_or_insert_with(|| object_error(&error));
                false
            }
        });
    }
}

/// The error as one of a store.
fn object_error(error: &io::Error) -> ObjectError {
    ObjectError::of(error)
        .cloned()
        .unwrap_or_else(|| ObjectError::new(ObjectErrorKind::Other, error.to_string()))
}

impl ObjectInput for RemoteInput {
    fn file(&self) -> &File {
        &self.file
    }

    fn attributes(&self) -> ObjectAttributes {
        self.meta.attributes()
    }

    fn read_ahead(&self, from: u64) {
        let mut state = self.lock();
        state.sequential_from = Some(from);
        state.ahead = from;
    }

    fn fetch(&self, range: Range<u64>, may_wait: bool) -> io::Result<bool> {
        let len = self.meta.len;
        let range = range.start.min(len)..range.end.min(len);
        loop {
            let mut state = self.lock();
            state.collect(&self.transport);
            if let Some(failure) = &state.failure {
                return if state.has(&range) { Ok(true) } else { Err(failure.clone().into()) };
            }
            let is_sequential = state.sequential_from.is_some_and(|from| range.start >= from);
            let step = if is_sequential { PIECE } else { BLOCK };
            if is_sequential && state.ahead < len && range.start + AHEAD / 2 > state.ahead {
                let end = ((range.start / PIECE + 1) * PIECE + AHEAD).min(len);
                let more = state.ahead.max(range.start)..end;
                state.ahead = end;
                self.request(&mut state, more, PIECE)?;
            }
            if state.has(&range) {
                return Ok(true);
            }
            // What comes before may have been given back, and is not needed again.
            let start = if is_sequential { range.start } else { range.start / BLOCK * BLOCK };
            let wanted = start..range.end.next_multiple_of(step).min(len);
            // Blocks that lie beside each other come with one request.
            self.request(&mut state, wanted, PIECE)?;
            if !may_wait {
                return Ok(false);
            }
            let numbers: Vec<_> = state.requested.iter().map(|(_, number)| *number).collect();
            drop(state);
            self.transport.wait_any(&numbers);
        }
    }

    fn is_removable(&self) -> bool {
        self.meta.etag.is_some()
    }

    fn remove(&self) -> io::Result<()> {
        let (location, meta) = (self.location.clone(), self.meta.clone());
        self.transport.call(Request::Remove { location, meta }, None).map(drop)
    }

    fn release(&self, range: Range<u64>) {
        let range = range.start..range.end.min(self.meta.len);
        if range.is_empty() {
            return;
        }
        let mut state = self.lock();
        state.present.remove(range.clone());
        free(&self.file, &range);
    }
}
