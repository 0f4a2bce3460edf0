//! What main and the transport say to each other.
//!
//! Each message is one JSON value. Content does not pass through them: it is in files in memory,
//! whose descriptors go along with the requests that concern them.

use cryptstream_engine::{ObjectAttributes, ObjectErrorKind, StoreRequest};
use cryptstream_protection::Protection;
use serde::{Deserialize, Serialize};

use crate::traffic::Traffic;
use crate::url::{ObjectUrl, Query, Scheme};

/// Both sides must be of one version.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The longest text of a store that is passed on, in bytes: a name of an upload or a page, an ETag,
/// a version. Those of AWS have up to about 1,500. With several of them, a message is still short
/// enough.
const MAX_TEXT_LEN: usize = 4096;
/// The most that is shown of an error, in bytes.
const MAX_ERROR_LEN: usize = 1024;

/// The longest text of a store that tells more of an error, in bytes.
pub(crate) const MAX_DETAIL_LEN: usize = 256;

/// The first message to a transport: settings of the store as names and values, which begin with
/// those of the environment.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Begin {
    /// The version of the program that has started the transport.
    pub(crate) version: String,
    pub(crate) settings: Vec<(String, String)>,
    /// The mode of the sandbox, as a byte.
    pub(crate) sandbox: u8,
}

/// Where an object is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Location {
    pub(crate) scheme: Scheme,
    /// The name of the bucket, or of the web server.
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) query: Query,
}

impl Location {
    pub(crate) fn of(url: &ObjectUrl) -> Self {
        Self {
            scheme: url.scheme(),
            bucket: url.bucket().to_owned(),
            key: url.key().to_owned(),
            query: url.query().clone(),
        }
    }

    /// The URL of a file on a web server; `None` if it is in a store.
    pub(crate) fn web_url(&self) -> Option<String> {
        let Self { scheme, bucket, key, query } = self;
        scheme.is_web().then(|| query.after(format!("{}://{bucket}/{key}", scheme.as_str())))
    }
}

/// What an object is like, and what it can be recognized by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Meta {
    /// Its length in bytes.
    pub(crate) len: u64,
    pub(crate) etag: Option<String>,
    pub(crate) version: Option<String>,
    /// When it was last modified, in nanoseconds since 1970: that of the file which it was made
    /// from, if the object tells it.
    pub(crate) modified: i64,
    /// The permission bits of that file.
    pub(crate) mode: Option<u32>,
    /// The mark of the run that has written it.
    pub(crate) mark: Option<String>,
    /// Whether it can be read only once and in order, since the server has no ranges, or nothing
    /// to recognize the object by. The other values may be wrong then.
    pub(crate) is_stream: bool,
}

impl Meta {
    pub(crate) fn attributes(&self) -> ObjectAttributes {
        ObjectAttributes { modified: Some(self.modified), mode: self.mode }
    }

    fn texts(&self) -> impl Iterator<Item = &str> {
        [&self.etag, &self.version, &self.mark].into_iter().flatten().map(String::as_str)
    }

    /// Whether an object that is like `other` has the same content.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let same_tag = match (&self.etag, &other.etag) {
            (Some(one), Some(two)) => one == two,
            _ => self.modified == other.modified,
        };
        self.len == other.len && same_tag
    }
}

/// An upload that is neither completed nor given up.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Upload {
    pub(crate) key: String,
    pub(crate) id: String,
    /// When it was begun, in seconds since 1970.
    pub(crate) started: Option<i64>,
}

/// How a new object is to be made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct NewObject {
    pub(crate) location: Location,
    /// What may be there already.
    pub(crate) replaces: Replaces,
    /// Tells the object from one that others have written under the same name.
    pub(crate) mark: String,
    /// When the file that it is made from was last modified, in nanoseconds since 1970.
    pub(crate) modified: Option<i64>,
    /// The permission bits of that file.
    pub(crate) mode: Option<u32>,
}

/// An object in a listing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedObject {
    /// Its key, as the store has it.
    pub key: String,
    /// Its length in bytes.
    pub len: u64,
}

/// What a new object may replace.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Replaces {
    Nothing,
    Anything,
    /// This object, whose content type and metadata the new one gets.
    Only(Meta),
}

/// A message to the transport. Bytes of ranges are counted from the beginning of the object, and
/// of the file in memory that belongs to it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Fetch the first bytes, and say what the object is like. With a file, which gets the
    /// object's length.
    Open { location: Location, first: u64 },
    /// Fetch a range of that object, if it still is what it was. With its file.
    Fetch { location: Location, meta: Meta, start: u64, end: u64 },
    /// Write all of it to a pipe, once and in order. With the pipe.
    Stream { location: Location },
    /// Say what the object is like.
    Stat { location: Location },
    /// Begin an upload in parts.
    Create { object: NewObject },
    /// Upload one part, counted from 0. With the file.
    PutPart { location: Location, upload: String, part: usize, start: u64, end: u64 },
    /// Have the store copy one part, from the byte `from` on of the object that is replaced.
    CopyPart { object: NewObject, upload: String, part: usize, from: u64, len: u64 },
    /// Of the parts that [`Self::Complete`] will name, those from `first` on. There is no answer.
    Parts { upload: String, first: usize, parts: Vec<String> },
    /// Make an object of an upload of `count` parts.
    Complete { object: NewObject, upload: String, count: usize, len: u64 },
    /// List a page of the uploads that are neither completed nor given up, of all keys that begin
    /// with this one: those behind this key and this name of an upload.
    Uploads { location: Location, after: Option<(String, String)> },
    /// Use these settings in place of those with the same names. There is no answer.
    Renew { values: Vec<(String, String)> },
    /// Give an upload up.
    Abort { location: Location, upload: String },
    /// Remove that object, if it still is what it was.
    Remove { location: Location, meta: Meta },
    /// Upload a whole object. With the file.
    Put { object: NewObject, len: u64 },
    /// Delete an object.
    Delete { location: Location },
    /// List objects whose keys begin with that of `location`, from the page with this name on.
    /// With a file, which gets one page: [`ListedObject`]s as JSON.
    List { location: Location, page: Option<String> },
}

/// A request and the number that its answer will have.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct NumberedRequest<R> {
    pub(crate) number: u64,
    pub(crate) request: R,
}

/// An answer to the request with this number.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct NumberedAnswer {
    pub(crate) number: u64,
    pub(crate) answer: Answer,
    /// What this transport has asked stores for until now.
    pub(crate) traffic: Traffic,
}

/// A message from the transport.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// It is locked in, at this level of the sandbox.
    Ready(u8),
    /// It is alive. Sent once a second.
    Alive,
    /// What an object is like.
    Meta(Meta),
    /// Uploads, and what the next page comes after, if there is one.
    Uploads { uploads: Vec<Upload>, next: Option<(String, String)> },
    /// The name of an upload, or of a part of one.
    Named(String),
    /// A page of a listing, which takes so many bytes, and the name of the next one.
    Page { len: u64, next: Option<String> },
    /// It is done.
    Done,
    /// It failed.
    Failed {
        #[serde(with = "KindInMessages")]
        kind: ObjectErrorKind,
        message: String,
        /// The request to the store that was the last one.
        request: Option<FailedRequest>,
    },
}

/// A request that a store has refused or not answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct FailedRequest(#[serde(with = "RequestInMessages")] pub(crate) StoreRequest);

impl FailedRequest {
    fn is_short(&self) -> bool {
        let StoreRequest { operation, code, request_id, region, action, .. } = &self.0;
        let texts = [code, request_id, region, action].into_iter().flatten().chain([operation]);
        texts.into_iter().all(|text| text.len() <= MAX_DETAIL_LEN)
    }
}

/// How it is written. The compiler compares the two.
#[derive(Serialize, Deserialize)]
#[serde(remote = "StoreRequest")]
struct RequestInMessages {
    operation: String,
    status: Option<u16>,
    code: Option<String>,
    request_id: Option<String>,
    attempts: u32,
    region: Option<String>,
    clock_ahead: Option<i64>,
    action: Option<String>,
}

/// How the kinds of the engine are written: the same names. The compiler compares the two.
#[derive(Serialize, Deserialize)]
#[serde(remote = "ObjectErrorKind")]
enum KindInMessages {
    NotFound,
    Denied,
    Exists,
    Changed,
    Unavailable,
    Settings,
    Unsupported,
    Other,
}

impl Answer {
    /// The answer to a request that could not be sent, or not be understood.
    pub(crate) fn failed(kind: ObjectErrorKind, message: impl Into<String>) -> Self {
        Self::Failed { kind, message: message.into(), request: None }
    }

    /// The same, with the request to the store that has failed.
    pub(crate) fn about(self, request: Option<StoreRequest>) -> Self {
        match self {
            Self::Failed { kind, message, .. } => {
                Self::Failed { kind, message, request: request.map(FailedRequest) }
            }
            answer => answer,
        }
    }

    /// Whether no text in it is longer than a message may contain.
    pub(crate) fn is_short(&self) -> bool {
        match self {
            Self::Named(name) | Self::Page { next: Some(name), .. } => name.len() <= MAX_TEXT_LEN,
            Self::Meta(meta) => meta.texts().all(|text| text.len() <= MAX_TEXT_LEN),
            Self::Failed { message, request, .. } => {
                let is_short = request.as_ref().is_none_or(FailedRequest::is_short);
                message.len() <= MAX_ERROR_LEN && is_short
            }
            // A page of uploads is a whole message.
            Self::Uploads { .. } | Self::Page { next: None, .. } => true,
            Self::Ready(_) | Self::Alive | Self::Done => true,
        }
    }

    /// The answer, or another one in place of what a store has made too long for a message.
    pub(crate) fn shortened(self) -> Self {
        match self {
            answer if answer.is_short() || !Protection::BoundedAnswers.is_on() => answer,
            Self::Failed { kind, message, request } if message.len() > MAX_ERROR_LEN => {
                let ellipsis = "…";
                let mut end = MAX_ERROR_LEN - ellipsis.len();
                while !message.is_char_boundary(end) {
                    end -= 1;
                }
                let message = format!("{}{ellipsis}", &message[..end]);
                Self::Failed { kind, message, request }
            }
            _ => Self::failed(ObjectErrorKind::Other, "the store has sent a name that is too long"),
        }
    }
}
