//! The names and the possible values of the settings.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use cryptstream_engine::Processes;
use cryptstream_format::argon2id::Cost;
use cryptstream_keys::parse_recipient;
use cryptstream_remote::{StoreOption, StoreOptions};

use crate::args::{
    CacheMode, Color, Format, PROGRESS_VARIABLE, Sandbox, When, is_dash, parse_log_n,
    parse_processes,
};
use crate::keyring::is_secret;
use crate::keyring::parse_encryption_cost;
use crate::messages;
use crate::messages::config::SettingError;
use crate::most_like::most_like;

/// A value, and where it comes from.
#[derive(Clone, Debug)]
pub(crate) struct ConfigValue<T> {
    pub(crate) value: T,
    pub(crate) origin: Origin,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Origin {
    /// This line of the file.
    Line(usize),
    /// This environment variable.
    Variable(&'static str),
}

/// The settings of one source. Lists are never empty: an empty list counts as unset.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    pub(crate) recipients: Option<ConfigValue<Vec<String>>>,
    pub(crate) recipients_files: Option<ConfigValue<Vec<PathBuf>>>,
    pub(crate) identity: Option<ConfigValue<Vec<PathBuf>>>,
    pub(crate) format: Option<ConfigValue<Format>>,
    pub(crate) processes: Option<ConfigValue<Processes>>,
    pub(crate) sandbox: Option<ConfigValue<Sandbox>>,
    pub(crate) cache: Option<ConfigValue<CacheMode>>,
    pub(crate) progress: Option<ConfigValue<When>>,
    pub(crate) color: Option<ConfigValue<Color>>,
    pub(crate) argon2id: Option<ConfigValue<Cost>>,
    pub(crate) scrypt: Option<ConfigValue<u8>>,
    pub(crate) plugin_timeout: Option<ConfigValue<u64>>,
    pub(crate) storage: StorageSettings,
}

/// The options of object stores in the file. In the environment they have names of their own.
#[derive(Debug, Default)]
pub(crate) struct StorageSettings {
    pub(crate) options: StoreOptions,
    /// Each option, whether its value is secret, and the line that it is in.
    pub(crate) lines: Vec<(&'static StoreOption, bool, usize)>,
}

/// A setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setting {
    Recipients,
    RecipientsFiles,
    Identity,
    Format,
    Processes,
    Sandbox,
    Cache,
    Progress,
    Color,
    Argon2id,
    Scrypt,
    PluginTimeout,
}

/// The type of a setting in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    List,
    Text,
    Number,
    NumberOrText,
}

impl Setting {
    pub(crate) const ALL: [Self; 12] = [
        Self::Recipients,
        Self::RecipientsFiles,
        Self::Identity,
        Self::Format,
        Self::Processes,
        Self::Sandbox,
        Self::Cache,
        Self::Progress,
        Self::Color,
        Self::Argon2id,
        Self::Scrypt,
        Self::PluginTimeout,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Recipients => "recipients",
            Self::RecipientsFiles => "recipients-files",
            Self::Identity => "identity",
            Self::Format => "format",
            Self::Processes => "processes",
            Self::Sandbox => "sandbox",
            Self::Cache => "cache",
            Self::Progress => "progress",
            Self::Color => "color",
            Self::Argon2id => "argon2id",
            Self::Scrypt => "scrypt",
            Self::PluginTimeout => "plugin-timeout",
        }
    }

    /// The environment variable, which is named after the flag.
    pub(super) fn variable(self) -> &'static str {
        match self {
            Self::Recipients => "CRYPTSTREAM_RECIPIENT",
            Self::RecipientsFiles => "CRYPTSTREAM_RECIPIENTS_FILE",
            Self::Identity => "CRYPTSTREAM_IDENTITY",
            Self::Format => "CRYPTSTREAM_FORMAT",
            Self::Processes => "CRYPTSTREAM_PROCESSES",
            Self::Sandbox => "CRYPTSTREAM_SANDBOX",
            Self::Cache => "CRYPTSTREAM_CACHE",
            Self::Progress => PROGRESS_VARIABLE,
            Self::Color => "CRYPTSTREAM_COLOR",
            Self::Argon2id => "CRYPTSTREAM_ARGON2ID",
            Self::Scrypt => "CRYPTSTREAM_SCRYPT",
            Self::PluginTimeout => "CRYPTSTREAM_PLUGIN_TIMEOUT",
        }
    }

    pub(super) fn kind(self) -> Kind {
        match self {
            Self::Recipients | Self::RecipientsFiles | Self::Identity => Kind::List,
            Self::Format
            | Self::Sandbox
            | Self::Cache
            | Self::Progress
            | Self::Color
            | Self::Argon2id => Kind::Text,
            Self::Processes => Kind::NumberOrText,
            Self::Scrypt | Self::PluginTimeout => Kind::Number,
        }
    }
}

impl Settings {
    /// Whether there is a key to encrypt with.
    pub(crate) fn names_key(&self) -> bool {
        self.names_recipient() || self.identity.is_some()
    }

    pub(crate) fn names_recipient(&self) -> bool {
        self.recipients.is_some() || self.recipients_files.is_some()
    }

    /// Sets a value. An error has the index of the wrong text. File names are relative to the
    /// folder `base`.
    pub(super) fn set(
        &mut self,
        setting: Setting,
        texts: &[OsString],
        origin: Origin,
        base: Option<&Path>,
    ) -> Result<(), (usize, SettingError)> {
        if texts.is_empty() {
            return Ok(());
        }
        let list = || texts.iter().enumerate();
        let paths = || {
            let path = |(number, text): (usize, &OsString)| {
                path(text, base).map_err(|error| (number, error))
            };
            list().map(path).collect::<Result<Vec<_>, _>>()
        };
        match setting {
            Setting::Recipients => {
                let recipient = |(number, text): (usize, &OsString)| {
                    recipient(text).map_err(|error| (number, error))
                };
                let value = list().map(recipient).collect::<Result<_, _>>()?;
                self.recipients = Some(ConfigValue { value, origin });
            }
            Setting::RecipientsFiles => {
                self.recipients_files = Some(ConfigValue { value: paths()?, origin });
            }
            Setting::Identity => self.identity = Some(ConfigValue { value: paths()?, origin }),
            _ => self.set_single(setting, &texts[0], origin).map_err(|error| (0, error))?,
        }
        Ok(())
    }

    fn set_single(
        &mut self,
        setting: Setting,
        text: &OsStr,
        origin: Origin,
    ) -> Result<(), SettingError> {
        let text = text.to_str().ok_or_else(messages::config::not_text)?;
        match setting {
            Setting::Format => self.format = Some(ConfigValue { value: one_of(text)?, origin }),
            Setting::Sandbox => self.sandbox = Some(ConfigValue { value: one_of(text)?, origin }),
            Setting::Cache => self.cache = Some(ConfigValue { value: one_of(text)?, origin }),
            Setting::Color => self.color = Some(ConfigValue { value: one_of(text)?, origin }),
            Setting::Progress => self.progress = Some(ConfigValue { value: one_of(text)?, origin }),
            Setting::Processes => {
                let value =
                    parse_processes(text).map_err(|must| messages::config::must_be(&must))?;
                self.processes = Some(ConfigValue { value, origin });
            }
            Setting::Argon2id => {
                let value = parse_encryption_cost(text).ok_or_else(messages::config::no_cost)?;
                self.argon2id = Some(ConfigValue { value, origin });
            }
            Setting::Scrypt => {
                let value = parse_log_n(text).map_err(|must| messages::config::must_be(&must))?;
                self.scrypt = Some(ConfigValue { value, origin });
            }
            Setting::PluginTimeout => {
                let value = text.parse().map_err(|_| messages::config::no_seconds())?;
                self.plugin_timeout = Some(ConfigValue { value, origin });
            }
            // `set` handles the lists.
            Setting::Recipients | Setting::RecipientsFiles | Setting::Identity => {}
        }
        Ok(())
    }
}

fn one_of<T: ValueEnum>(text: &str) -> Result<T, SettingError> {
    T::from_str(text, false).map_err(|_| {
        let values = T::value_variants().iter().filter_map(ValueEnum::to_possible_value);
        let names: Vec<String> = values.map(|value| value.get_name().to_owned()).collect();
        messages::config::not_one_of(&names, most_like(text, names.iter().map(String::as_str)))
    })
}

fn recipient(text: &OsStr) -> Result<String, SettingError> {
    let text = text.to_str().ok_or_else(messages::config::not_text)?;
    parse_recipient(text).map_err(|error| messages::config::no_recipient(&error))?;
    Ok(text.trim().to_owned())
}

fn path(text: &OsStr, base: Option<&Path>) -> Result<PathBuf, SettingError> {
    let path = Path::new(text);
    // A message could show the secret as a file name.
    if is_secret(path) {
        return Err(messages::config::secret_as_name());
    }
    if text.is_empty() || is_dash(text) {
        return Err(messages::config::no_file_name());
    }
    match path.strip_prefix("~") {
        Ok(rest) => match std::env::var_os("HOME").filter(|home| !home.is_empty()) {
            Some(home) => Ok(Path::new(&home).join(rest)),
            None => Err(messages::config::no_home()),
        },
        Err(_) => Ok(base.map_or_else(|| path.to_owned(), |base| base.join(path))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistyped_names_are_guessed() {
        let guess = |text| most_like(text, Setting::ALL.iter().map(|setting| setting.name()));
        assert_eq!(guess("recipient"), Some("recipients"));
        assert_eq!(guess("recipients_file"), Some("recipients-files"));
        assert_eq!(guess("identities"), Some("identity"));
        assert_eq!(guess("plugin_timeout"), Some("plugin-timeout"));
        assert_eq!(guess("argon2"), Some("argon2id"));
        assert_eq!(guess("colour"), Some("color"));
        assert_eq!(guess("threads"), None);
    }

    #[test]
    fn file_names_are_relative_to_the_folder_of_the_file() {
        let read = |text: &str| path(OsStr::new(text), Some(Path::new("/etc/cs"))).ok();
        assert_eq!(read("me.key"), Some("/etc/cs/me.key".into()));
        assert_eq!(read("/me.key"), Some("/me.key".into()));
        assert_eq!(read("~me"), Some("/etc/cs/~me".into()));
        for wrong in ["", "-", "age-secret-key-1QQQ"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
