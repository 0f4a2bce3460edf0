//! Failures of object stores.

use std::path::Path;

use cryptstream_engine::{Error, ObjectError, ObjectErrorKind};
use cryptstream_remote::{UrlError, UrlProblem};

use super::failure::{Failure, code};

/// What a store has reported, if the error is one of a store.
pub(super) fn of_store(error: &Error) -> Option<Failure> {
    let source = std::error::Error::source(error)?.downcast_ref::<std::io::Error>()?;
    let ObjectError { kind, message } = ObjectError::of(source)?;
    let (code, word, help) = match kind {
        ObjectErrorKind::NotFound => (
            code::NO_INPUT,
            "input",
            "check the bucket and the key; the region and the endpoint come from AWS_REGION and \
             AWS_ENDPOINT_URL",
        ),
        ObjectErrorKind::Denied => (
            code::NO_KEY,
            "credentials",
            "check the credentials of the store (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or \
             AWS_PROFILE), what they permit, and the clock of this machine",
        ),
        ObjectErrorKind::Exists => {
            (code::CANNOT_CREATE, "exists", "choose another name, or replace it with --force")
        }
        ObjectErrorKind::Changed => (
            code::TRY_AGAIN,
            "changed",
            "try again when nothing writes to it; no partial output was left",
        ),
        ObjectErrorKind::Unavailable => (
            code::TRY_AGAIN,
            "unavailable",
            "try again; check the connection, and the endpoint (AWS_ENDPOINT_URL)",
        ),
        ObjectErrorKind::Settings => (
            code::CONFIG,
            "settings",
            "check the settings of the store: AWS_REGION, AWS_ENDPOINT_URL",
        ),
        _ => (code::IO, "store", "try again; no partial output was left"),
    };
    let what = match error {
        Error::Open { .. } => "cannot be opened",
        Error::Create { .. } => "cannot be created",
        Error::Read { .. } => "cannot be read",
        _ => "cannot be written",
    };
    Some(Failure::new(code, word, format!("{what}: {message}"), help))
}

/// What looks like a URL cannot be used as one.
pub(crate) fn bad_url(path: &Path, error: &UrlError) -> Failure {
    let help = match error.problem() {
        UrlProblem::Scheme(_) => {
            "name an object in S3, or what speaks its protocol: s3://BUCKET/KEY"
        }
        UrlProblem::Credentials => "use AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        _ => "write s3://BUCKET/KEY; a local file of this name can be written with ./ before it",
    };
    Failure::new(code::USAGE, "usage", error.problem().to_string(), help).about(path)
}

/// A command that cannot do this with an object.
pub(crate) fn needs_file(path: &Path) -> Failure {
    Failure::new(
        code::USAGE,
        "usage",
        "is an object in a store, and this needs a local file",
        "copy it to a file first",
    )
    .about(path)
}

/// An object among several inputs, or in place of a folder.
pub(crate) fn no_folders(path: &Path) -> Failure {
    Failure::new(
        code::USAGE,
        "usage",
        "is an object in a store, and folders and several inputs need local files",
        "encrypt or decrypt one object at a time, or put the folder into an archive with --archive",
    )
    .about(path)
}

/// A URL that names no single object.
pub(crate) fn is_prefix(path: &Path) -> Failure {
    Failure::new(
        code::USAGE,
        "usage",
        "names a bucket or the beginning of keys, and this needs one object",
        "name the object: s3://BUCKET/KEY",
    )
    .about(path)
}
