//! The options of object stores, from the command line and the configuration file.

use std::ffi::OsString;

use cryptstream_remote::{STORE_OPTIONS, StoreOption, StoreOptionError, StoreOptions};

use crate::messages::{self, Failure, storage_options::StorageOptionError};
use crate::most_like::most_like;

/// Parses the options of the command line.
pub(crate) fn of_flags(texts: &[OsString]) -> Result<StoreOptions, Failure> {
    let mut options = StoreOptions::default();
    for text in texts {
        let (name, value) = text
            .to_str()
            .and_then(|text| text.split_once('='))
            .ok_or_else(messages::storage_options::no_pair)?;
        let set = set(&mut options, name.trim(), value);
        let (option, is_secret) = set.map_err(messages::storage_options::in_flag)?;
        if is_secret {
            return Err(messages::storage_options::secret_in_flag(option.name));
        }
    }
    Ok(options)
}

/// Sets an option. Returns it, and whether the value is a secret.
pub(crate) fn set(
    options: &mut StoreOptions,
    name: &str,
    value: &str,
) -> Result<(&'static StoreOption, bool), StorageOptionError> {
    options.set(name, value).map_err(|error| match error {
        StoreOptionError::Unknown => {
            let small = name.to_ascii_lowercase().replace('_', "-");
            let small = small.strip_prefix("aws-").unwrap_or(&small);
            let names = STORE_OPTIONS.iter().map(|option| option.name);
            messages::storage_options::unknown(name, most_like(small, names))
        }
        error => messages::storage_options::wrong(&error),
    })
}
