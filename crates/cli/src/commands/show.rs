//! `config`: shows the defaults in effect, and where each comes from.

use std::path::{Path, PathBuf};

use cryptstream_engine::Processes;
use cryptstream_format::argon2id::Cost;
use cryptstream_keys::DEFAULT_LOG_N;
use cryptstream_remote::{STORE_OPTIONS, StoreOption};
use serde_json::{Value, json};

use super::session::{CommandResult, Session};
use crate::args::{CacheMode, Color, Format, Sandbox, When};
use crate::config::{Config, ConfigValue, Origin, Setting, Settings};
use crate::initial_environment::PASSPHRASE as PASSPHRASE_VARIABLE;
use crate::json::{SCHEMA, insert_name};
use crate::keyring::PLUGIN_TIMEOUT;
use crate::messages::config::Row;
use crate::messages::{self, Printed, quoted};
use crate::report::Status;

pub(super) fn run(session: &Session) -> CommandResult {
    let config = Config::load(session.no_config)?;
    let entries = entries(&config);
    if session.options.json {
        messages::print_json(&object(&config, &entries), false);
        return Ok(Status::default());
    }
    let rows: Vec<Row> = entries.iter().map(|entry| entry.row(&config)).collect();
    let table = messages::config::table(config.path.as_deref(), config.is_there, &rows);
    messages::print_output(table.as_bytes(), Printed::Text)?;
    Ok(Status::default())
}

/// A setting from one source.
struct SettingEntry {
    name: String,
    value: Value,
    origin: Option<Origin>,
    /// For keys: the commands that use them.
    used_by: Option<Vec<&'static str>>,
}

impl SettingEntry {
    fn row(&self, config: &Config) -> Row {
        let texts = match &self.value {
            Value::Array(values) => values.iter().map(text).collect(),
            // A secret.
            Value::Null => vec![messages::config::NOT_SHOWN.to_owned()],
            value => vec![text(value)],
        };
        // The full path is shown above the table.
        let file = config.path.as_deref().and_then(Path::file_name);
        let mut from = match (self.origin, file) {
            (Some(Origin::Line(line)), Some(file)) => format!("{}:{line}", quoted(file.as_ref())),
            (Some(Origin::Variable(name)), _) => name.to_owned(),
            _ => messages::config::DEFAULT.to_owned(),
        };
        if let Some(commands) = &self.used_by {
            from += &messages::config::used_by(commands);
        }
        Row { name: self.name.clone(), texts, from }
    }

    fn object(&self, config: &Config) -> Value {
        let mut object = json!({ "name": self.name, "value": self.value });
        match self.origin {
            Some(Origin::Line(line)) => {
                object["source"] = json!("file");
                if let Some(path) = &config.path {
                    insert_name(&mut object, "file", path);
                }
                object["line"] = json!(line);
            }
            Some(Origin::Variable(name)) => {
                object["source"] = json!("environment");
                object["variable"] = json!(name);
            }
            None => object["source"] = json!("default"),
        }
        if let Some(commands) = &self.used_by {
            object["used_by"] = json!(commands);
        }
        object
    }
}

fn object(config: &Config, entries: &[SettingEntry]) -> Value {
    let settings: Vec<Value> = entries.iter().map(|entry| entry.object(config)).collect();
    let mut object = json!({
        "schema": SCHEMA,
        "command": "config",
        "file": null,
        "file_exists": config.is_there,
        "settings": settings,
    });
    if let Some(path) = &config.path {
        insert_name(&mut object, "file", path);
    }
    object
}

/// A value that could confuse a terminal is escaped.
fn text(value: &Value) -> String {
    match value.as_str() {
        Some(text) => quoted(Path::new(text)),
        None => value.to_string(),
    }
}

fn entries(config: &Config) -> Vec<SettingEntry> {
    let mut entries = Vec::new();
    if config.has_passphrase {
        entries.push(SettingEntry {
            name: "passphrase".to_owned(),
            value: Value::Null,
            origin: Some(Origin::Variable(PASSPHRASE_VARIABLE)),
            used_by: Some(vec!["encrypt", "decrypt"]),
        });
    }
    for setting in Setting::ALL {
        match setting {
            Setting::Recipients => keys(config, setting, |it| &it.recipients, &mut entries),
            Setting::RecipientsFiles => {
                keys(config, setting, |it| &it.recipients_files, &mut entries);
            }
            Setting::Identity => keys(config, setting, |it| &it.identity, &mut entries),
            _ => entries.push(other(config, setting)),
        }
    }
    entries.extend(STORE_OPTIONS.iter().filter_map(|option| of_store(config, option)));
    entries
}

/// An option of object stores that is set. Secrets are not shown.
fn of_store(config: &Config, option: &'static StoreOption) -> Option<SettingEntry> {
    let storage = &config.file.storage;
    let in_file = storage.lines.iter().find(|(other, ..)| other.name == option.name);
    let (value, origin) = match (option.in_environment(|name| std::env::var_os(name)), in_file) {
        (Some((variable, value)), _) => (json!(value), Origin::Variable(variable)),
        (None, Some((_, true, line))) => (Value::Null, Origin::Line(*line)),
        (None, Some((_, false, line))) => {
            (json!(storage.options.get(option.name)), Origin::Line(*line))
        }
        (None, None) => return None,
    };
    let name = format!("storage-options.{}", option.name);
    Some(SettingEntry { name, value, origin: Some(origin), used_by: None })
}

/// The keys of each source, since sources are not mixed.
fn keys<T: ListItem>(
    config: &Config,
    setting: Setting,
    get: impl Fn(&Settings) -> &Option<ConfigValue<Vec<T>>>,
    entries: &mut Vec<SettingEntry>,
) {
    let is = |one: Option<&Settings>, place| one.is_some_and(|one| std::ptr::eq(one, place));
    let is_identity = setting == Setting::Identity;
    for place in [&config.environment, &config.file] {
        let Some(found) = get(place) else { continue };
        let mut used_by = Vec::new();
        if is(config.encryption(), place) && !(is_identity && place.names_recipient()) {
            used_by.push("encrypt");
        }
        if is(config.decryption(), place) && is_identity {
            used_by.push("decrypt");
        }
        entries.push(SettingEntry {
            name: setting.name().to_owned(),
            value: found.value.iter().map(ListItem::shown).collect(),
            origin: Some(found.origin),
            used_by: Some(used_by),
        });
    }
}

/// An item of a list.
trait ListItem {
    fn shown(&self) -> Value;
}

impl ListItem for String {
    fn shown(&self) -> Value {
        json!(self)
    }
}

impl ListItem for PathBuf {
    fn shown(&self) -> Value {
        json!(self.to_string_lossy())
    }
}

fn other(config: &Config, setting: Setting) -> SettingEntry {
    let (value, origin) = match setting {
        Setting::Format => shown(config.get(|it| &it.format), Format::Native, |format| {
            json!(match format {
                Format::Native => "native",
                Format::Age => "age",
            })
        }),
        Setting::Processes => {
            shown(config.get(|it| &it.processes), Processes::Auto, |processes| match processes {
                Processes::Auto => json!("auto"),
                Processes::Exactly(count) => json!(count),
            })
        }
        Setting::Sandbox => shown(config.get(|it| &it.sandbox), Sandbox::Auto, |sandbox| {
            json!(match sandbox {
                Sandbox::Require => "require",
                Sandbox::Auto => "auto",
                Sandbox::Off => "off",
            })
        }),
        Setting::Cache => shown(config.get(|it| &it.cache), CacheMode::Auto, |cache| {
            json!(match cache {
                CacheMode::Auto => "auto",
                CacheMode::Keep => "keep",
                CacheMode::Drop => "drop",
            })
        }),
        Setting::Progress => shown(config.get(|it| &it.progress), When::Auto, |when| {
            json!(match when {
                When::Auto => "auto",
                When::Always => "always",
                When::Never => "never",
                When::Json => "json",
            })
        }),
        Setting::Color => shown(config.get(|it| &it.color), Color::Auto, |when| {
            json!(match when {
                Color::Auto => "auto",
                Color::Always => "always",
                Color::Never => "never",
            })
        }),
        Setting::Argon2id => shown(config.get(|it| &it.argon2id), Cost::DEFAULT, |cost| {
            json!(messages::config::cost(cost))
        }),
        Setting::Scrypt => shown(config.get(|it| &it.scrypt), DEFAULT_LOG_N, |log_n| json!(log_n)),
        Setting::PluginTimeout => {
            shown(config.get(|it| &it.plugin_timeout), PLUGIN_TIMEOUT, |seconds| json!(seconds))
        }
        // Keys have no default.
        Setting::Recipients | Setting::RecipientsFiles | Setting::Identity => (Value::Null, None),
    };
    SettingEntry { name: setting.name().to_owned(), value, origin, used_by: None }
}

fn shown<T: Copy>(
    found: Option<&ConfigValue<T>>,
    default: T,
    value: impl Fn(T) -> Value,
) -> (Value, Option<Origin>) {
    found.map_or((value(default), None), |found| (value(found.value), Some(found.origin)))
}
