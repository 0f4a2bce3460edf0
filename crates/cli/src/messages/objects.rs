//! Failures of object stores.

use std::path::Path;

use cryptstream_engine::{Error, ObjectError, ObjectErrorKind};
use cryptstream_remote::{UrlError, UrlProblem};

use super::failure::{Failure, code};
use super::text::quoted;

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

/// An object among several inputs, or with a flag for folders.
pub(crate) fn no_folders(path: &Path) -> Failure {
    Failure::new(
        code::USAGE,
        "usage",
        "is in a store, and can neither be one of several inputs nor a single object with a flag \
         for folders",
        "name one object, or one prefix with all that is below it: s3://BUCKET/PREFIX/",
    )
    .about(path)
}

/// A flag that needs local files.
pub(crate) fn flag_needs_files(path: &Path, flag: &str) -> Failure {
    let message = format!("is in a store, and {flag} needs local files");
    Failure::new(code::USAGE, "usage", message, "leave the flag out").about(path)
}

/// A prefix that contains the other one, or is the same.
pub(crate) fn overlap(path: &Path) -> Failure {
    Failure::new(
        code::USAGE,
        "usage",
        "is the input as well, contains it, or lies in it",
        "nothing was written; name a prefix outside of it",
    )
    .about(path)
}

/// A prefix without objects.
pub(crate) fn nothing_below(path: &Path) -> Failure {
    Failure::new(
        code::NO_INPUT,
        "input",
        "has no objects",
        "check the bucket and the prefix; the region and the endpoint come from AWS_REGION and \
         AWS_ENDPOINT_URL",
    )
    .about(path)
}

/// Why an object has no name for a file.
pub(crate) const NO_FILE_NAME: &str = "has a key that ends in a slash, but content";

/// An object that is not processed because of its key.
pub(crate) fn bad_key(path: &Path, problem: &str) -> Failure {
    let help = "it was skipped; copy it to another key with another program";
    Failure::new(code::NO_INPUT, "key", problem, help).about(path)
}

/// A file whose name cannot be part of a key.
pub(crate) fn bad_output_key(path: &Path, problem: &str) -> Failure {
    let message = format!("cannot be put into the store: its object {problem}");
    let help = "it was skipped; rename it, or put the folder into an archive with --archive";
    Failure::new(code::CANNOT_CREATE, "key", message, help).about(path)
}

/// An object whose output would be that of another one, or lie in it.
pub(crate) fn clash(path: &Path, output: &Path) -> Failure {
    let message = format!(
        "would become {}, which another object of this prefix becomes too, as a file or as a \
         folder",
        quoted(output)
    );
    let help = "it was skipped; decrypt it on its own, under another name";
    Failure::new(code::CANNOT_CREATE, "collision", message, help).about(path)
}

/// Why something in a folder is skipped.
pub(crate) const LINK: &str = "is a link, which a store cannot hold (an archive can: --archive)";
pub(crate) const EMPTY_FOLDER: &str =
    "is an empty folder, which a store cannot hold (an archive can: --archive)";

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
