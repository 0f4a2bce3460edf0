//! What an object is like.

use std::sync::Arc;

use cryptstream_engine::Error;

use crate::client::Transport;
use crate::protocol::{Answer, Location, Request};
use crate::url::ObjectUrl;

/// The length in bytes of the object at `url`.
///
/// # Errors
/// [`Error::Open`].
pub fn object_len(transport: &Arc<Transport>, url: &ObjectUrl) -> Result<u64, Error> {
    let request = Request::Stat { location: Location::of(url) };
    match transport.call(request, None) {
        Ok(Answer::Meta(meta)) => Ok(meta.len),
        Ok(_) => Err(Error::Internal("an answer to another request")),
        Err(source) => Err(Error::Open { path: url.to_string().into(), source }),
    }
}
