//! Objects as outputs: parts are uploaded as soon as they are written, several at once, and the
//! object appears when all of them are there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use cryptstream_engine::program::{OnInterrupt, on_interrupt};
use cryptstream_engine::{
    Error, ObjectAttributes, ObjectError, ObjectErrorKind, ObjectOutput, Target,
};
use rangemap::RangeSet;

use crate::client::Transport;
use crate::memory_file::{free, memory_file};
use crate::parts::{ObjectTooLong, Part, PartLayout};
use crate::protocol::{Answer, Location, NewObject, Request};
use crate::url::ObjectUrl;

/// Parts that are written or uploaded at the same time take up to so many bytes, 96 MiB.
const MAX_OPEN_BYTES: u64 = 96 << 20;
/// But so many parts are always possible. One may be held up until the end: that with the header.
const MIN_OPEN_PARTS: usize = 3;
/// How long giving up an upload may take.
const ABORT_TIME: Duration = Duration::from_secs(10);

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

/// The upload in parts, as long as there is one.
#[derive(Debug)]
struct Upload {
    transport: Arc<Transport>,
    location: Location,
    state: Mutex<UploadState>,
}

/// Where an upload is.
#[derive(Debug)]
enum UploadState {
    NotBegun,
    /// It has this name in the store.
    Begun(String),
    /// It was completed or given up. No other one may be begun.
    Over,
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
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
        let mark = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let upload = Arc::new(Upload {
            transport: Arc::clone(transport),
            location: location.clone(),
            state: Mutex::new(UploadState::NotBegun),
        });
        Ok(Self {
            transport: Arc::clone(transport),
            object: NewObject { location, force, mark, modified: None, mode: None },
            attributes: OnceLock::new(),
            file: Arc::new(memory_file()?),
            state: Mutex::new(State::new()),
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

    /// Uploads a part that is written.
    fn send(&self, state: &mut State, part: usize, range: Range<u64>) -> io::Result<()> {
        self.on_interrupt.get_or_init(|| {
            let upload = Arc::clone(&self.upload);
            on_interrupt(Box::new(move || upload.abort())).ok().map(Guard)
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
        state.layout = PartLayout::of_len(len).map_err(too_long)?;
        state.len = Some(len);
        Ok(())
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
        state.len = Some(len);
        let count = state.layout.count(len).map_err(too_long)?;
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
}

impl State {
    fn new() -> Self {
        Self {
            layout: PartLayout::of_unknown_len(),
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

impl Upload {
    /// The upload's name. It is begun if it was not before.
    fn begin(&self, object: impl FnOnce() -> NewObject) -> io::Result<String> {
        let mut state = self.lock();
        match &*state {
            UploadState::Begun(name) => return Ok(name.clone()),
            // This process is being interrupted, and must not leave another one.
            UploadState::Over => return Err(io::ErrorKind::Interrupted.into()),
            UploadState::NotBegun => {}
        }
        let request = Request::Create { object: object() };
        let Answer::Named(name) = self.transport.call(request, None)? else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        *state = UploadState::Begun(name.clone());
        Ok(name)
    }

    /// Makes an object of it.
    fn complete(&self, object: NewObject, parts: Vec<String>, len: u64) -> io::Result<()> {
        let upload = self.begin(|| object.clone())?;
        let request = Request::Complete { object, upload, count: parts.len(), len };
        self.transport.complete(request, parts)?;
        *self.lock() = UploadState::Over;
        Ok(())
    }

    /// Gives it up, if there is one.
    fn abort(&self) {
        let before = std::mem::replace(&mut *self.lock(), UploadState::Over);
        let UploadState::Begun(upload) = before else { return };
        let request = Request::Abort { location: self.location.clone(), upload };
        // What cannot be given up stays in the store, where nobody sees it as an object.
        if let Ok(number) = self.transport.send(request, None) {
            let _ = self.transport.wait_for(number, ABORT_TIME);
        }
    }

    fn lock(&self) -> MutexGuard<'_, UploadState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for RemoteOutput {
    fn drop(&mut self) {
        self.upload.abort();
    }
}

fn too_long(error: ObjectTooLong) -> io::Error {
    ObjectError { kind: ObjectErrorKind::Other, message: error.to_string() }.into()
}

fn exists() -> io::Error {
    let message = "there is an object of this name".to_owned();
    ObjectError { kind: ObjectErrorKind::Exists, message }.into()
}
