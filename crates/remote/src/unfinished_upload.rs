//! Uploads in parts that were neither completed nor given up. They are no objects, but their parts
//! take up space in the store.

use std::fmt;
use std::time::SystemTime;

use crate::protocol::Location;

/// An upload that was neither completed nor given up.
#[derive(Clone, Debug)]
pub struct UnfinishedUpload {
    pub(crate) location: Location,
    pub(crate) id: String,
    pub(crate) started: Option<SystemTime>,
}

impl UnfinishedUpload {
    pub(crate) fn new(location: Location, id: String) -> Self {
        Self { location, id, started: None }
    }

    /// The store's name of it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// When it was begun, if the store tells that.
    #[must_use]
    pub fn started(&self) -> Option<SystemTime> {
        self.started
    }
}

/// The URL of the object that it was to become.
impl fmt::Display for UnfinishedUpload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Location { scheme, bucket, key, .. } = &self.location;
        write!(f, "{}://{bucket}/{key}", scheme.as_str())
    }
}
