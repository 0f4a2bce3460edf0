//! Conditional requests.

use crate::date::http_date;
use crate::error::ErrorCode;
use crate::request::Request;
use crate::store::Object;

/// Checks `If-Match`, `If-None-Match` and `If-Unmodified-Since` of a request that reads. The latter
/// has to be the time that an answer has told.
pub(crate) fn check_read(request: &Request, object: &Object) -> Result<(), ErrorCode> {
    if request.header("if-match").is_some_and(|wanted| !matches(wanted, object)) {
        return Err(ErrorCode::PreconditionFailed);
    }
    if request.header("if-none-match").is_some_and(|unwanted| matches(unwanted, object)) {
        return Err(ErrorCode::NotModified);
    }
    let modified = http_date(object.last_modified);
    if request.header("if-unmodified-since").is_some_and(|since| since != modified) {
        return Err(ErrorCode::PreconditionFailed);
    }
    Ok(())
}

/// Checks the same of a request that writes. As in S3, `If-None-Match` must be `*`, and
/// `If-Match` of a missing object is [`ErrorCode::NoSuchKey`].
pub(crate) fn check_write(request: &Request, existing: Option<&Object>) -> Result<(), ErrorCode> {
    match request.header("if-none-match") {
        Some("*") if existing.is_some() => return Err(ErrorCode::PreconditionFailed),
        Some("*") | None => {}
        Some(_) => return Err(ErrorCode::NotImplemented),
    }
    match (request.header("if-match"), existing) {
        (Some(_), None) => Err(ErrorCode::NoSuchKey),
        (Some(wanted), Some(object)) if !matches(wanted, object) => {
            Err(ErrorCode::PreconditionFailed)
        }
        _ => Ok(()),
    }
}

fn matches(list: &str, object: &Object) -> bool {
    list.split(',').map(str::trim).any(|etag| etag == "*" || is_same_etag(etag, &object.etag))
}

/// Compares ETags, which clients may send without their quotes.
pub(crate) fn is_same_etag(one: &str, other: &str) -> bool {
    one.trim_matches('"') == other.trim_matches('"')
}
