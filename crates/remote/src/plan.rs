//! What reading or writing an object will take.

use crate::input::{BLOCK, PIECE};
use crate::output::{COPY_PART, copies};
use crate::parts::{ObjectTooLong, PartLayout};
use crate::traffic::{RequestKind, Traffic};
use crate::url::Scheme;

/// What reading all of an object of `len` bytes takes if nothing fails.
#[must_use]
pub fn plan_read(len: u64) -> Traffic {
    let pieces = if len > BLOCK { len.div_ceil(PIECE) } else { 0 };
    let traffic = Traffic { bytes_received: len, ..Traffic::default() };
    traffic.with(RequestKind::Get, 1 + pieces)
}

/// What writing an object of `len` bytes takes if nothing fails, and the number of parts.
///
/// # Errors
/// If no object can be that long.
pub fn plan_write(
    scheme: Scheme,
    len: u64,
    force: bool,
) -> Result<(Traffic, usize), ObjectTooLong> {
    let parts = PartLayout::in_store(scheme, len)?.count(len)?;
    let mut traffic = Traffic { bytes_sent: len, ..Traffic::default() };
    if !force {
        traffic = traffic.with(RequestKind::Head, 1);
    }
    let traffic = match parts {
        1 => traffic.with(RequestKind::Put, 1),
        parts => {
            // Uploads of Azure begin with the first part. Google looks again whether there is an
            // object of the name.
            let traffic = match scheme {
                Scheme::Gs if !force => traffic.with(RequestKind::Head, 1),
                _ => traffic,
            };
            traffic
                .with(RequestKind::CreateUpload, u64::from(!scheme.is_azure()))
                .with(RequestKind::UploadPart, parts as u64)
                .with(RequestKind::CompleteUpload, 1)
        }
    };
    Ok((traffic, parts))
}

/// About what rekeying an object of `len` bytes takes if nothing fails, and how many bytes the store
/// copies. If it cannot, or with `reencrypt`, the object is read and written completely.
///
/// # Errors
/// If no object can be that long.
pub fn plan_rekey(
    scheme: Scheme,
    len: u64,
    reencrypt: bool,
) -> Result<(Traffic, u64), ObjectTooLong> {
    // What the object is like, for the new one.
    let head = Traffic::default().with(RequestKind::Head, 1);
    if reencrypt || !copies(scheme, len) {
        return Ok((head + plan_read(len) + plan_write(scheme, len, true)?.0, 0));
    }
    let layout = PartLayout::with_parts_of(COPY_PART, len)?;
    let first = layout.part_of(0)?.range.end;
    let traffic = Traffic { bytes_sent: first, ..Traffic::default() }
        .with(RequestKind::CreateUpload, 1)
        .with(RequestKind::UploadPart, 1)
        .with(RequestKind::CopyPart, layout.count(len)? as u64 - 1)
        .with(RequestKind::CompleteUpload, 1);
    Ok((head + plan_read(first) + traffic, len - first))
}
