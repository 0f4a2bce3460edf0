//! Deletes objects.

use std::io;
use std::sync::Arc;

use crate::client::Transport;
use crate::protocol::{Answer, Location, Request};
use crate::url::ObjectUrl;

/// An object that is being deleted, while others are as well.
#[derive(Debug)]
pub struct Removal {
    transport: Arc<Transport>,
    /// The number of the answer.
    number: u64,
}

impl Removal {
    /// Asks for an object to be deleted.
    ///
    /// # Errors
    /// If the store cannot be asked.
    pub fn begin(transport: &Arc<Transport>, url: &ObjectUrl) -> io::Result<Self> {
        let number = transport.send(Request::Delete { location: Location::of(url) }, None)?;
        Ok(Self { transport: Arc::clone(transport), number })
    }

    /// Waits until it is deleted.
    ///
    /// # Errors
    /// Those of the store. That there is no such object is none.
    pub fn finish(self) -> io::Result<()> {
        match self.transport.wait(self.number)? {
            Answer::Done => Ok(()),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}
