//! Writes what comes from the network into files in memory.

use std::fs::File;
use std::future::Future;
use std::os::unix::fs::FileExt;

use bytes::Bytes;
use cryptstream_engine::ObjectErrorKind;
use futures_util::{Stream, StreamExt};

use super::counter::Counter;
use super::settings::SettingsError;
use super::store::{MAX_STALLS, STALL_TIME};

/// Fetches bytes from `start` up to `end` into `file`. `get` asks for those from a position on, again
/// if what it has got does not come to its end.
pub(super) async fn fetch<C, F>(
    get: impl Fn(u64) -> F,
    start: u64,
    end: u64,
    file: &File,
    counter: &Counter,
) -> Result<(), SettingsError>
where
    C: Stream<Item = Result<Bytes, SettingsError>> + Unpin,
    F: Future<Output = Result<C, SettingsError>>,
{
    let (mut position, mut stalls) = (start, 0);
    while position < end {
        let content = get(position).await?;
        let (at, failure) = match copy(content, position, end, file, counter).await {
            Ok(at) => {
                let message = "the answer was shorter than announced".to_owned();
                (at, (ObjectErrorKind::Unavailable, message))
            }
            Err(stopped) => stopped,
        };
        position = at;
        stalls += 1;
        if position < end && stalls > MAX_STALLS {
            return Err(failure);
        }
    }
    Ok(())
}

/// Writes what comes to `file`, from `start` up to `end`. Returns where it ended.
pub(super) async fn copy(
    mut content: impl Stream<Item = Result<Bytes, SettingsError>> + Unpin,
    start: u64,
    end: u64,
    file: &File,
    counter: &Counter,
) -> Result<u64, (u64, SettingsError)> {
    let mut position = start;
    loop {
        let next = match tokio::time::timeout(STALL_TIME, content.next()).await {
            Ok(next) => next,
            Err(_) => {
                let message = "the store has stopped sending".to_owned();
                return Err((position, (ObjectErrorKind::Unavailable, message)));
            }
        };
        match next {
            None => return Ok(position),
            Some(Err(failure)) => return Err((position, failure)),
            Some(Ok(bytes)) => {
                counter.received(bytes.len());
                let len = bytes.len().min((end - position) as usize);
                if let Err(error) = file.write_all_at(&bytes[..len], position) {
                    return Err((position, (ObjectErrorKind::Other, error.to_string())));
                }
                position += len as u64;
                // More than was asked for.
                if len < bytes.len() {
                    return Ok(position);
                }
            }
        }
    }
}
