//! Lists and gives up unfinished uploads.

use std::io;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use cryptstream_engine::{Error, ObjectError, ObjectErrorKind};

use crate::client::Transport;
use crate::protocol::{Answer, Location, Request, Upload};
use crate::unfinished_upload::UnfinishedUpload;
use crate::url::ObjectUrl;

/// Passes all unfinished uploads to `each` whose URLs begin with `url`, until it returns `false`.
///
/// # Errors
/// [`Error::Open`].
pub fn list_uploads(
    transport: &Arc<Transport>,
    url: &ObjectUrl,
    mut each: impl FnMut(UnfinishedUpload) -> bool,
) -> Result<(), Error> {
    let failed = |source| Error::Open { path: url.to_string().into(), source };
    let mut after = None;
    loop {
        let request = Request::Uploads { location: Location::of(url), after: after.clone() };
        let Answer::Uploads { uploads, next } = transport.call(request, None).map_err(failed)?
        else {
            return Err(failed(io::ErrorKind::InvalidData.into()));
        };
        for Upload { key, id, started } in uploads {
            let location = Location { key, ..Location::of(url) };
            let since = started.and_then(|seconds| seconds.try_into().ok());
            let started =
                since.and_then(|since| UNIX_EPOCH.checked_add(Duration::from_secs(since)));
            if !each(UnfinishedUpload { location, id, started }) {
                return Ok(());
            }
        }
        match next {
            None => return Ok(()),
            // The same page would come for ever.
            next if next == after => {
                let message = "the store lists the same uploads again and again";
                return Err(failed(ObjectError::new(ObjectErrorKind::Other, message).into()));
            }
            next => after = next,
        }
    }
}

/// Gives an upload up. Its parts are removed.
///
/// # Errors
/// Those of the store, but not that the upload is gone.
pub fn abort_upload(transport: &Arc<Transport>, upload: &UnfinishedUpload) -> io::Result<()> {
    let (location, upload) = (upload.location.clone(), upload.id.clone());
    match transport.call(Request::Abort { location, upload }, None) {
        Err(error) if !is_gone(&error) => Err(error),
        _ => Ok(()),
    }
}

/// Whether an upload could not be given up because it is not there.
pub(crate) fn is_gone(error: &io::Error) -> bool {
    ObjectError::of(error).is_some_and(|error| error.kind == ObjectErrorKind::NotFound)
}
