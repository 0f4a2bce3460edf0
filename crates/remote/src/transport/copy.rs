//! Writes what comes from the network into files in memory.

use std::fs::File;
use std::os::unix::fs::FileExt;

use bytes::Bytes;
use cryptstream_engine::ObjectErrorKind;
use futures_util::{Stream, StreamExt};

use super::counter::Counter;
use super::settings::SettingsError;
use super::store::STALL_TIME;

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
