//! Settings from environment variables.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use super::settings::{Kind, Origin, Setting, Settings};
use crate::messages;
use crate::messages::Failure;

/// Reads the settings; an empty variable counts as unset.
pub(super) fn read() -> Result<Settings, Failure> {
    let mut settings = Settings::default();
    for setting in Setting::ALL {
        let variable = setting.variable();
        let Some(value) = env::var_os(variable).filter(|value| !value.is_empty()) else {
            continue;
        };
        let set =
            settings.set(setting, &split_list(setting, value), Origin::Variable(variable), None);
        set.map_err(|(_, error)| messages::config::in_variable(variable, error))?;
    }
    Ok(settings)
}

/// Splits a list: file names at colons, as in PATH; recipients at line breaks, as some contain
/// spaces.
fn split_list(setting: Setting, value: OsString) -> Vec<OsString> {
    match (setting, setting.kind(), value.to_str()) {
        (Setting::Recipients, _, Some(text)) => {
            text.lines().filter(|line| !line.trim().is_empty()).map(OsString::from).collect()
        }
        (Setting::RecipientsFiles | Setting::Identity, Kind::List, _) => env::split_paths(&value)
            .map(PathBuf::into_os_string)
            .filter(|name| !name.is_empty())
            .collect(),
        _ => vec![value],
    }
}
