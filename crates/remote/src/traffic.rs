//! What stores were asked for, and what that moved.

use std::ops::Add;

use serde::{Deserialize, Serialize};

/// A kind of request. Stores charge by the request, and not the same for each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// `HEAD`: what an object is like.
    Head,
    /// `GET` of an object, or of a range of one.
    Get,
    /// A page of a listing.
    List,
    /// `PUT` of a whole object.
    Put,
    /// Begins an upload in parts.
    CreateUpload,
    /// Uploads a part.
    UploadPart,
    /// Has the store copy a part from an object.
    CopyPart,
    /// Makes an object of the parts.
    CompleteUpload,
    /// Gives an upload up.
    AbortUpload,
    /// Deletes an object.
    Delete,
    /// Anything else, such as what credentials take.
    Other,
}

const KINDS: usize = RequestKind::ALL.len();

impl RequestKind {
    /// All kinds.
    pub const ALL: [Self; 11] = [
        Self::Head,
        Self::Get,
        Self::List,
        Self::Put,
        Self::CreateUpload,
        Self::UploadPart,
        Self::CopyPart,
        Self::CompleteUpload,
        Self::AbortUpload,
        Self::Delete,
        Self::Other,
    ];

    /// A word for it, such as `upload_part`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Get => "get",
            Self::List => "list",
            Self::Put => "put",
            Self::CreateUpload => "create_upload",
            Self::UploadPart => "upload_part",
            Self::CopyPart => "copy_part",
            Self::CompleteUpload => "complete_upload",
            Self::AbortUpload => "abort_upload",
            Self::Delete => "delete",
            Self::Other => "other",
        }
    }
}

/// Requests to stores, and the bytes that they moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// By kind, in the order of [`RequestKind::ALL`]. A repetition counts as well.
    pub(crate) requests: [u64; KINDS],
    /// How many requests have failed in a way that has them repeated.
    pub retries: u64,
    /// Bytes in the bodies of requests.
    pub bytes_sent: u64,
    /// Bytes of content in answers.
    pub bytes_received: u64,
}

impl Traffic {
    /// The number of requests of this kind.
    #[must_use]
    pub fn requests(&self, kind: RequestKind) -> u64 {
        self.requests[kind as usize]
    }

    /// The number of all requests.
    #[must_use]
    pub fn all_requests(&self) -> u64 {
        self.requests.iter().sum()
    }

    /// Adds requests of this kind.
    #[must_use]
    pub fn with(mut self, kind: RequestKind, requests: u64) -> Self {
        self.requests[kind as usize] += requests;
        self
    }
}

impl Add for Traffic {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            requests: std::array::from_fn(|kind| self.requests[kind] + other.requests[kind]),
            retries: self.retries + other.retries,
            bytes_sent: self.bytes_sent + other.bytes_sent,
            bytes_received: self.bytes_received + other.bytes_received,
        }
    }
}
