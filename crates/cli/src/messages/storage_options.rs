//! Messages about the options of object stores. No value is printed, as it could be a secret.

use std::path::Path;

use cryptstream_remote::StoreOptionError;

use super::Failure;
use super::config::SettingError;
use super::failure::code;

/// What is wrong with an option, and what to do about it.
#[derive(Debug)]
pub(crate) struct StorageOptionError {
    message: String,
    help: String,
}

const LIST: &str = "`cryptstream store --help` lists the options";

pub(crate) fn unknown(name: &str, like: Option<&str>) -> StorageOptionError {
    let help = like.map_or_else(|| LIST.to_owned(), |like| format!("did you mean {like}?"));
    StorageOptionError { message: format!("there is no storage option {name:?}"), help }
}

pub(crate) fn wrong(error: &StoreOptionError) -> StorageOptionError {
    let message = match error {
        StoreOptionError::Unknown => "there is no such storage option".to_owned(),
        StoreOptionError::Twice(name) => format!("the storage option {name} is set twice"),
        StoreOptionError::Value(name, error) => format!("the storage option {name} {error}"),
    };
    StorageOptionError { message, help: LIST.to_owned() }
}

pub(crate) fn no_pair() -> Failure {
    let message = "--storage-option needs KEY=VALUE";
    Failure::new(code::USAGE, "usage", message, format!("such as region=eu-central-1; {LIST}"))
}

pub(crate) fn in_flag(error: StorageOptionError) -> Failure {
    let message = format!("--storage-option: {}", error.message);
    Failure::new(code::USAGE, "usage", message, error.help)
}

/// A secret on the command line.
pub(crate) fn secret_in_flag(name: &str) -> Failure {
    let message = format!(
        "--storage-option {name}: what is on the command line can be seen by all users of this \
         machine, and this is a secret"
    );
    let help = match name {
        "proxy" => {
            "set HTTPS_PROXY, or write it below [storage-options] in the configuration file, if \
             only you can read that (chmod 600); use another password from now on"
        }
        _ => {
            "set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, name a profile \
             (profile=NAME), or write it below [storage-options] in the configuration file, if only \
             you can read that (chmod 600); use another secret from now on"
        }
    };
    Failure::new(code::USAGE, "usage", message, help)
}

/// An option in the configuration file.
pub(crate) fn in_file(error: StorageOptionError) -> SettingError {
    SettingError::new(error.message, error.help)
}

/// How the options are written in the file.
pub(crate) const A_TABLE: &str = "a table: [storage-options], with NAME = VALUE below it";
pub(crate) const A_VALUE: &str = "a string in quotes, a number, true or false";

/// A secret in a configuration file that other users can read.
pub(crate) fn readable_by_others(path: &Path, name: &str) -> SettingError {
    let message =
        format!("the storage option {name} is a secret, and other users can read this file");
    let help = format!(
        "run: chmod 600 {}; and use another secret from now on, since others may have seen it",
        super::quoted(path)
    );
    SettingError::new(message, help)
}

/// An environment variable with a value that its option cannot have.
pub(crate) fn in_variable(variable: &str, error: &StoreOptionError) -> String {
    match error {
        StoreOptionError::Value(_, error) => format!("the environment variable {variable} {error}"),
        _ => format!("the environment variable {variable} cannot be used"),
    }
}
