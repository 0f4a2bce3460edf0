//! Objects as outputs: parts are uploaded as soon as they are written, several at once, and the
//! object appears when all of them are there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use cryptstream_engine::program::{OnInterrupt, report_on_interrupt};
use cryptstream_engine::{
    Error, ObjectAttributes, ObjectError, ObjectErrorKind, ObjectInput, ObjectOutput, Source,
    Target,
};
use rangemap::RangeSet;

use crate::client::Transport;
use crate::input::RemoteInput;
use crate::memory_file::{free, memory_file};
use crate::parts::{ObjectTooLong, Part, PartLayout};
use crate::protocol::{Answer, Location, NewObject, Replaces, Request};
use crate::upload::Upload;
use crate::url::{ObjectUrl, Scheme};

/// Parts that are written or uploaded at the same time take up to so many bytes, 96 MiB.
const MAX_OPEN_BYTES: u64 = 96 << 20;
/// But so many parts are always possible. One may be held up until the end: that with the header.
const MIN_OPEN_PARTS: usize = 3;
/// Parts that the store copies have at least so many bytes, 32 MiB. As many have to be fetched and
/// uploaded behind a new header, since all parts but the last must have the same length.
pub(crate) const COPY_PART: u64 = 32 << 20;
/// How many parts the store copies at the same time.
const MAX_COPIES: usize = 16;

/// Whether the store copies a part of an object of `len` bytes that is rekeyed.
pub(crate) fn copies(scheme: Scheme, len: u64) -> bool {
    scheme == Scheme::S3 && len > 2 * COPY_PART
}

/// An object that is being written.
#[derive(Debug)]
struct RemoteOutput {
    transport: Arc<Transport>,
    object: NewObject,
    attributes: OnceLock<ObjectAttributes>,
    file: Arc<File>,
    state: Mutex<State>,
    upload: Arc<Upload>,
    /// Gives the upload up if this process is interrupted.
    on_interrupt: OnceLock<Option<Guard>>,
}

struct Guard(#[expect(dead_code, reason = "it acts when it is dropped")] OnInterrupt);

impl std::fmt::Debug for Guard {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Guard")
    }
}

#[derive(Debug)]
struct State {
    layout: PartLayout,
    /// The length, if it is known.
    len: Option<u64>,
    /// What is in the file, or in the store.
    written: RangeSet<u64>,
    /// Parts that are being written or uploaded.
    open: BTreeSet<usize>,
    /// Parts that are being uploaded, with the numbers of the answers.
    sending: BTreeMap<usize, u64>,
    /// The store's names of the parts that it has.
    sent: BTreeMap<usize, String>,
    /// Why nothing more is possible.
    failure: Option<ObjectError>,
}

/// Begins to write the object at `url`. If it exists, and `force` is not given, that is refused: at
/// once, or at the end if `is_free` says that it did not exist a moment ago.
///
/// # Errors
/// [`Error::OutputExists`], [`Error::Create`].
pub fn create(
    transport: &Arc<Transport>,
    url: &ObjectUrl,
    force: bool,
    is_free: bool,
) -> Result<Target, Error> {
    let path = PathBuf::from(url.to_string());
    match RemoteOutput::create(transport, url, force, is_free) {
        Ok(output) => Ok(Target::Object { object: Arc::new(output), path }),
        Err(error)
            if ObjectError::of(&error).is_some_and(|e| e.kind == ObjectErrorKind::Exists) =>
        {
            Err(Error::OutputExists { path })
        }
        Err(source) => Err(Error::Create { path, source }),
    }
}

/// Opens the object at `url`, and begins to write one that replaces it, unless it was replaced by
/// another one until then.
///
/// # Errors
/// [`Error::Open`].
pub fn open_to_rekey(
    transport: &Arc<Transport>,
    url: &ObjectUrl,
) -> Result<(Source, Arc<dyn ObjectOutput>), Error> {
    let path = PathBuf::from(url.to_string());
    let failed = |source| Error::Open { path: path.clone(), source };
    let input = RemoteInput::open(transport, Location::of(url)).map_err(failed)?;
    if !input.is_removable() {
        return Err(failed(unrecognizable()));
    }
    let replaces = Replaces::Only(input.meta.clone());
    let output = RemoteOutput::begin(transport, Location::of(url), replaces).map_err(failed)?;
    Ok((Source::object(Arc::new(input), path)?, Arc::new(output)))
}

impl RemoteOutput {
    fn create(
        transport: &Arc<Transport>,
        url: &ObjectUrl,
        force: bool,
        is_free: bool,
    ) -> io::Result<Self> {
        let location = Location::of(url);
        if !force && !is_free {
            match transport.call(Request::Stat { location: location.clone() }, None) {
                Ok(_) => return Err(exists()),
                Err(error) => match ObjectError::of(&error).map(|error| error.kind) {
                    // If the bucket is missing too, that is found out with the first upload.
                    Some(ObjectErrorKind::NotFound) => {}
                    _ => return Err(error),
                },
            }
        }
        let replaces = if force { Replaces::Anything } else { Replaces::Nothing };
        Self::begin(transport, location, replaces)
    }

    fn begin(
        transport: &Arc<Transport>,
        location: Location,
        replaces: Replaces,
    ) -> io::Result<Self> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
        let mark = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let upload = Arc::new(Upload::new(transport, &location));
        let layout = PartLayout::of_unknown_len_in(location.scheme);
        Ok(Self {
            transport: Arc::clone(transport),
            object: NewObject { location, replaces, mark, modified: None, mode: None },
            attributes: OnceLock::new(),
            file: Arc::new(memory_file()?),
            state: Mutex::new(State::new(layout)),
            upload,
            on_interrupt: OnceLock::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The object with its attributes.
    fn object(&self) -> NewObject {
        let ObjectAttributes { modified, mode } =
            self.attributes.get().copied().unwrap_or_default();
        NewObject { modified, mode, ..self.object.clone() }
    }

    /// Takes note of the answers that have come.
    fn collect(&self, state: &mut State) -> io::Result<()> {
        if let Some(failure) = &state.failure {
            return Err(failure.clone().into());
        }
        let sending: Vec<_> = state.sending.iter().map(|(part, number)| (*part, *number)).collect();
        for (part, number) in sending {
            match self.transport.poll(number) {
                Ok(None) => {}
                Ok(Some(answer)) => {
                    let Answer::Named(name) = answer else {
                        return Err(io::ErrorKind::InvalidData.into());
                    };
                    state.sending.remove(&part);
                    state.open.remove(&part);
                    state.sent.insert(part, name);
                    self.transport.count_parts(1, u64::from(state.len.is_none()));
                    free(&self.file, &state.part(part));
                }
                Err(error) => {
                    state.failure = ObjectError::of(&error).cloned();
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn copy_request(&self, part: usize, from: u64, len: u64) -> io::Result<Request> {
        let (object, upload) = (self.object(), self.upload.begin(|| self.object())?);
        Ok(Request::CopyPart { object, upload, part, from, len })
    }

    /// Uploads a part that is written.
    fn send(&self, state: &mut State, part: usize, range: Range<u64>) -> io::Result<()> {
        self.on_interrupt.get_or_init(|| {
            let upload = Arc::clone(&self.upload);
            // As the last action, which a second interruption ends at once.
            report_on_interrupt(Box::new(move || upload.abort())).ok().map(Guard)
        });
        let request = Request::PutPart {
            location: self.object.location.clone(),
            upload: self.upload.begin(|| self.object())?,
            part,
            start: range.start,
            end: range.end,
        };
        let number = self.transport.send(request, Some(&self.file))?;
        state.open.insert(part);
        state.sending.insert(part, number);
        Ok(())
    }
}

impl ObjectOutput for RemoteOutput {
    fn file(&self) -> &File {
        &self.file
    }

    fn set_attributes(&self, attributes: ObjectAttributes) {
        let _ = self.attributes.set(attributes);
    }

    fn expect(&self, len: u64) -> io::Result<()> {
        let mut state = self.lock();
        state.layout = PartLayout::in_store(self.object.location.scheme, len).map_err(too_long)?;
        state.len = Some(len);
        if let count @ 2.. = state.layout.count(len).map_err(too_long)? {
            self.transport.count_parts(0, count as u64);
        }
        Ok(())
    }

    fn expect_copy(&self, len: u64) -> io::Result<Option<u64>> {
        if !copies(self.object.location.scheme, len) {
            return self.expect(len).map(|()| None);
        }
        let mut state = self.lock();
        state.layout = PartLayout::with_parts_of(COPY_PART, len).map_err(too_long)?;
        state.len = Some(len);
        self.transport.count_parts(0, state.layout.count(len).map_err(too_long)? as u64);
        Ok(Some(state.part(0).end))
    }

    fn copy(&self, from: u64, to: Range<u64>, done: &dyn Fn(u64)) -> io::Result<u64> {
        let source_of = |range: &Range<u64>| from + (range.start - to.start);
        let mut state = self.lock();
        let first = state.layout.part_of(to.start).map_err(too_long)?.index;
        let end = state.layout.count(to.end).map_err(too_long)?;
        // The file gets the length of the object, and nothing of the content.
        self.file.set_len(to.end)?;
        for part in first..end {
            let range = state.part(part);
            let request = self.copy_request(part, source_of(&range), range.end - range.start)?;
            let number = self.transport.send(request, None)?;
            if part == first {
                // The first one tells whether the store can copy.
                match self.transport.wait(number) {
                    Ok(Answer::Named(name)) => {
                        state.sent.insert(part, name);
                        self.transport.count_parts(1, 0);
                        done(range.end - range.start);
                    }
                    Err(error) if is_unsupported(&error) => return Ok(to.start),
                    Ok(_) => return Err(io::ErrorKind::InvalidData.into()),
                    Err(error) => return Err(error),
                }
            } else {
                state.open.insert(part);
                state.sending.insert(part, number);
            }
            state.written.insert(range);
            let is_last = part + 1 == end;
            let most = if is_last { 0 } else { MAX_COPIES - 1 };
            while state.sending.len() > most {
                let before: Vec<_> = state.sending.iter().map(|(part, it)| (*part, *it)).collect();
                let numbers: Vec<_> = before.iter().map(|(_, number)| *number).collect();
                self.transport.wait_any(&numbers);
                self.collect(&mut state)?;
                for (part, _) in before {
                    if part > first && !state.sending.contains_key(&part) {
                        let Range { start, end } = state.part(part);
                        done(end - start);
                    }
                }
            }
        }
        Ok(to.end)
    }

    fn reserve(&self, range: Range<u64>, may_wait: bool) -> io::Result<bool> {
        loop {
            let mut state = self.lock();
            self.collect(&mut state)?;
            let part = state.layout.part_of(range.start).map_err(too_long)?;
            if state.open.contains(&part.index) || state.has_room(&part) {
                state.open.insert(part.index);
                return Ok(true);
            }
            if !may_wait {
                return Ok(false);
            }
            let numbers: Vec<_> = state.sending.values().copied().collect();
            drop(state);
            if numbers.is_empty() {
                // Others must write first.
                std::thread::sleep(Duration::from_millis(1));
            } else {
                self.transport.wait_any(&numbers);
            }
        }
    }

    fn written(&self, range: Range<u64>) -> io::Result<()> {
        if range.is_empty() {
            return Ok(());
        }
        let mut state = self.lock();
        self.collect(&mut state)?;
        state.written.insert(range.clone());
        let first = state.layout.part_of(range.start).map_err(too_long)?.index;
        let last = state.layout.part_of(range.end - 1).map_err(too_long)?.index;
        for part in first..=last {
            let range = state.part(part);
            // A single part is uploaded as a whole at the end.
            let is_single = state.len.is_some_and(|len| range == (0..len));
            if state.is_unsent(part) && !is_single && state.is_written(&range) {
                self.send(&mut state, part, range)?;
            }
        }
        Ok(())
    }

    fn drain(&self, time: Duration) -> io::Result<bool> {
        let mut state = self.lock();
        self.collect(&mut state)?;
        let numbers: Vec<_> = state.sending.values().copied().collect();
        drop(state);
        if !numbers.is_empty() {
            self.transport.wait_any_for(&numbers, time);
        }
        Ok(numbers.is_empty())
    }

    fn finish(&self, len: u64) -> io::Result<()> {
        let mut state = self.lock();
        self.collect(&mut state)?;
        if !state.is_written(&(0..len)) {
            return Err(io::Error::other("a part of the object was not written"));
        }
        if state.sending.is_empty() && state.sent.is_empty() {
            drop(state);
            let put = Request::Put { object: self.object(), len };
            return self.transport.call(put, Some(&self.file)).map(drop);
        }
        let count = state.layout.count(len).map_err(too_long)?;
        if state.len.is_none() {
            self.transport.count_parts(0, (count - state.sent.len()) as u64);
        }
        state.len = Some(len);
        for part in 0..count {
            if state.is_unsent(part) {
                let range = state.part(part);
                self.send(&mut state, part, range)?;
            }
        }
        while !state.sending.is_empty() {
            let numbers: Vec<_> = state.sending.values().copied().collect();
            drop(state);
            self.transport.wait_any(&numbers);
            state = self.lock();
            self.collect(&mut state)?;
        }
        let parts: Vec<_> = state.sent.values().cloned().collect();
        drop(state);
        self.upload.complete(self.object(), parts, len)
    }

    fn reopen(&self) -> io::Result<Arc<dyn ObjectInput>> {
        let NewObject { location, mark, .. } = &self.object;
        let input = RemoteInput::open(&self.transport, location.clone())?;
        if input.meta.mark.as_ref() != Some(mark) {
            return Err(replaced());
        }
        Ok(Arc::new(input))
    }
}

impl State {
    fn new(layout: PartLayout) -> Self {
        Self {
            layout,
            len: None,
            written: RangeSet::new(),
            open: BTreeSet::new(),
            sending: BTreeMap::new(),
            sent: BTreeMap::new(),
            failure: None,
        }
    }

    /// The bytes of a part.
    fn part(&self, index: usize) -> Range<u64> {
        let range = self.layout.part(index).map_or(0..0, |part| part.range);
        range.start..range.end.min(self.len.unwrap_or(u64::MAX))
    }

    /// Whether the upload of a part has not begun.
    fn is_unsent(&self, part: usize) -> bool {
        !self.sending.contains_key(&part) && !self.sent.contains_key(&part)
    }

    fn is_written(&self, range: &Range<u64>) -> bool {
        range.is_empty() || self.written.gaps(range).next().is_none()
    }

    /// Whether one more part may be begun.
    fn has_room(&self, Part { range, .. }: &Part) -> bool {
        let count = MAX_OPEN_BYTES / (range.end - range.start);
        self.open.len() < MIN_OPEN_PARTS.max(count as usize)
    }
}

impl Drop for RemoteOutput {
    fn drop(&mut self) {
        self.upload.abort();
    }
}

fn too_long(error: ObjectTooLong) -> io::Error {
    ObjectError::new(ObjectErrorKind::Other, error.to_string()).into()
}

fn is_unsupported(error: &io::Error) -> bool {
    ObjectError::of(error).is_some_and(|error| error.kind == ObjectErrorKind::Unsupported)
}

fn unrecognizable() -> io::Error {
    let message = "the store does not tell what the object can be recognized by (ETag)";
    ObjectError::new(ObjectErrorKind::Unsupported, message).into()
}

fn replaced() -> io::Error {
    ObjectError::new(ObjectErrorKind::Changed, "the object has been replaced").into()
}

fn exists() -> io::Error {
    ObjectError::new(ObjectErrorKind::Exists, "there is an object of this name").into()
}
