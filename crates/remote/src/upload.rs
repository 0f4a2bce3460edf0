//! An upload in parts: begun when the first part is there, completed or given up at the end.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::client::Transport;
use crate::protocol::{Answer, Location, NewObject, Request};
use crate::unfinished_upload::UnfinishedUpload;
use crate::uploads::is_gone;

/// How long giving up an upload may take.
const ABORT_TIME: Duration = Duration::from_secs(10);

/// The upload in parts, as long as there is one.
#[derive(Debug)]
pub(crate) struct Upload {
    transport: Arc<Transport>,
    location: Location,
    state: Mutex<UploadState>,
    /// Notified when the store has answered whether it begins.
    answered: Condvar,
}

/// Where an upload is.
#[derive(Debug)]
enum UploadState {
    NotBegun,
    /// The store was asked to begin it.
    Requested,
    /// It has this name in the store.
    Begun(String),
    /// It was completed or given up. No other one may be begun.
    Over,
}

impl Upload {
    pub(crate) fn new(transport: &Arc<Transport>, location: &Location) -> Self {
        Self {
            transport: Arc::clone(transport),
            location: location.clone(),
            state: Mutex::new(UploadState::NotBegun),
            answered: Condvar::new(),
        }
    }

    /// The upload's name. It is begun if it was not before. Must not be called by several threads
    /// at once.
    pub(crate) fn begin(&self, object: impl FnOnce() -> NewObject) -> io::Result<String> {
        {
            let mut state = self.lock();
            match &*state {
                UploadState::Begun(name) => return Ok(name.clone()),
                // This process is being interrupted, and must not leave another one.
                UploadState::Over => return Err(io::ErrorKind::Interrupted.into()),
                UploadState::NotBegun | UploadState::Requested => {}
            }
            *state = UploadState::Requested;
        }
        // Without the lock: the store may take any time, and an interruption must not wait for it.
        let answer = self.transport.call(Request::Create { object: object() }, None);
        let mut state = self.lock();
        let (after, begun) = match answer {
            _ if matches!(*state, UploadState::Over) => {
                (UploadState::Over, Err(io::ErrorKind::Interrupted.into()))
            }
            Ok(Answer::Named(name)) => (UploadState::Begun(name.clone()), Ok(name)),
            Ok(_) => (UploadState::NotBegun, Err(io::ErrorKind::InvalidData.into())),
            Err(error) => (UploadState::NotBegun, Err(error)),
        };
        *state = after;
        self.answered.notify_all();
        begun
    }

    /// Makes an object of it.
    pub(crate) fn complete(
        &self,
        object: NewObject,
        parts: Vec<String>,
        len: u64,
    ) -> io::Result<()> {
        let upload = self.begin(|| object.clone())?;
        let request = Request::Complete { object, upload, count: parts.len(), len };
        self.transport.complete(request, parts)?;
        *self.lock() = UploadState::Over;
        Ok(())
    }

    /// Gives it up, if there is one.
    pub(crate) fn abort(&self) {
        let deadline = Instant::now() + ABORT_TIME;
        let is_requested = |state: &mut UploadState| matches!(state, UploadState::Requested);
        let waited = self.answered.wait_timeout_while(self.lock(), ABORT_TIME, is_requested);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *state, UploadState::Over);
        drop(state);
        let UploadState::Begun(upload) = before else { return };
        let (location, transport) = (self.location.clone(), &self.transport);
        let request = Request::Abort { location: location.clone(), upload: upload.clone() };
        let left = deadline.saturating_duration_since(Instant::now());
        let answer =
            transport.send(request, None).and_then(|number| transport.wait_for(number, left));
        let is_over = match &answer {
            Ok(answer) => answer.is_some(),
            Err(error) => is_gone(error),
        };
        // It stays in the store, where nobody sees it as an object.
        if !is_over {
            transport.left(&UnfinishedUpload::new(location, upload));
        }
    }

    fn lock(&self) -> MutexGuard<'_, UploadState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
