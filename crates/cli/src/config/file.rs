//! The configuration file.

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, fcntl_getfl, fcntl_setfl, fstat};
use rustix::io::Errno;
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use zeroize::Zeroizing;

use super::settings::{Kind, Origin, Setting, Settings, StorageSettings};
use crate::messages::config::SettingError;
use crate::messages::{self, Failure};
use crate::most_like::most_like;
use crate::{storage_options, write_access};

/// The environment variable that names another file.
const VARIABLE: &str = "CRYPTSTREAM_CONFIG";

/// The largest file that is read, in bytes.
const MAX_LEN: u64 = 1 << 20;

/// The table with the options of object stores.
const STORAGE_OPTIONS: &str = "storage-options";

/// The only text that is allowed instead of a number.
const AUTO: &str = "auto";

/// The path of the configuration file.
pub(super) struct ConfigPath {
    pub(super) path: PathBuf,
    /// Whether the user named the path, so that the file must exist.
    is_named: bool,
}

pub(super) fn config_path() -> Option<ConfigPath> {
    let variable = |name| env::var_os(name).filter(|value| !value.is_empty());
    if let Some(path) = variable(VARIABLE) {
        return Some(ConfigPath { path: path.into(), is_named: true });
    }
    // The XDG specification says to ignore relative paths.
    let absolute = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")))?;
    Some(ConfigPath { path: folder.join("cryptstream/config.toml"), is_named: false })
}

/// Reads the file, if it exists.
pub(super) fn read(config_path: &ConfigPath) -> Result<Option<Settings>, Failure> {
    let path = &config_path.path;
    let unreadable = |error: std::io::Error| messages::config::unreadable(path, &error);
    let file = match open(config_path) {
        Ok(file) => file,
        Err(error) => {
            let is_missing = matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory);
            if !config_path.is_named && is_out_of_reach(path) {
                messages::warn(&messages::config::out_of_reach(path));
                return Ok(None);
            }
            return match (is_missing, config_path.is_named) {
                (true, false) => Ok(None),
                (true, true) => Err(messages::config::named_but_missing(path, VARIABLE)),
                (false, _) => Err(unreadable(error)),
            };
        }
    };
    let access = write_access::of(path, &file).map_err(unreadable)?;
    if let Some(owner) = access.other_owner {
        return Err(messages::config::of_another_user(path, owner));
    }
    if access.is_writable {
        return Err(messages::config::open_to_others(path));
    }
    let is_readable = write_access::is_readable(path, &file).map_err(unreadable)?;
    // It may hold credentials.
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(MAX_LEN + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_LEN {
        return Err(messages::config::too_large(path));
    }
    let text = match std::str::from_utf8(&bytes) {
        Ok(text) => text,
        Err(error) => {
            let line = bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
            return Err(messages::config::in_file(path, line + 1, messages::config::not_text()));
        }
    };
    let settings = parse(text, path)
        .map_err(|(at, error)| messages::config::in_file(path, line(text, at), error))?;
    match settings.storage.lines.iter().find(|(_, is_secret, _)| *is_secret && is_readable) {
        None => Ok(Some(settings)),
        Some((option, _, line)) => {
            let error = messages::storage_options::readable_by_others(path, option.name);
            Err(messages::config::in_file(path, *line, error))
        }
    }
}

/// Whether this user may not enter a folder above, as with `su` without `-`, which keeps the HOME
/// of another user. Looking at a file takes no permission on the file itself.
fn is_out_of_reach(path: &Path) -> bool {
    let there = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    there.is_err_and(|error| error == Errno::ACCESS)
}

/// Opens the file. If the user did not name it, it must be a regular file, so that the command
/// never waits for a pipe in its place.
fn open(config_path: &ConfigPath) -> io::Result<File> {
    let path = &config_path.path;
    // Only looks; opening could already wait or have an effect.
    let there = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let kind = |fd: BorrowedFd<'_>| fstat(fd).map(|stat| FileType::from_raw_mode(stat.st_mode));
    let kind_there = kind(there.as_fd())?;
    if !config_path.is_named && kind_there != FileType::RegularFile {
        return Err(io::Error::other(messages::config::NOT_REGULAR));
    }
    if kind_there == FileType::Fifo {
        // Opens this very pipe, which the user named, so waiting is fine. A pipe of another user
        // is returned unread, and the caller refuses it.
        let there = File::from(there);
        if write_access::of(path, &there)?.other_owner.is_some() {
            return Ok(there);
        }
        return File::open(format!("/proc/self/fd/{}", there.as_raw_fd()));
    }
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty())?;
    if kind(file.as_fd())? != kind_there {
        return Err(io::Error::other(messages::config::EXCHANGED));
    }
    let flags = fcntl_getfl(&file)?;
    fcntl_setfl(&file, flags - OFlags::NONBLOCK)?;
    Ok(file.into())
}

/// The line of an offset in the text, from 1.
fn line(text: &str, at: usize) -> usize {
    text.as_bytes()[..at.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1
}

/// Parses the settings. An error has its offset in the text.
fn parse(text: &str, path: &Path) -> Result<Settings, (usize, SettingError)> {
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span: Range<usize>| span.start);
        (at, messages::config::no_toml(error.message()))
    })?;
    let mut entries: Vec<_> = table.get_ref().iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    let mut settings = Settings::default();
    for (name, value) in entries {
        let at = name.span().start;
        if name.get_ref() == STORAGE_OPTIONS {
            parse_storage_options(text, value, &mut settings.storage)?;
            continue;
        }
        let setting = find(name.get_ref()).map_err(|error| (at, error))?;
        let parts = parts(setting, value)?;
        let (places, texts): (Vec<usize>, Vec<OsString>) = parts.into_iter().unzip();
        let origin = Origin::Line(line(text, at));
        settings
            .set(setting, &texts, origin, path.parent())
            .map_err(|(number, error)| (places[number], error.of(setting.name())))?;
    }
    Ok(settings)
}

fn parse_storage_options(
    text: &str,
    value: &Spanned<DeValue<'_>>,
    settings: &mut StorageSettings,
) -> Result<(), (usize, SettingError)> {
    let wrong_type = |value: &Spanned<DeValue<'_>>, name: &str, expected| {
        (value.span().start, messages::config::wrong_type(name, expected))
    };
    let DeValue::Table(table) = value.get_ref() else {
        let expected = messages::storage_options::A_TABLE;
        return Err(wrong_type(value, STORAGE_OPTIONS, expected));
    };
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    for (name, value) in entries {
        let at = name.span().start;
        let single = match value.get_ref() {
            DeValue::String(text) => Zeroizing::new(text.to_string()),
            DeValue::Integer(number) => Zeroizing::new(number.to_string()),
            DeValue::Boolean(is_on) => Zeroizing::new(is_on.to_string()),
            _ => {
                let expected = messages::storage_options::A_VALUE;
                return Err(wrong_type(value, name.get_ref(), expected));
            }
        };
        let set = storage_options::set(&mut settings.options, name.get_ref(), &single);
        let set = set.map_err(|error| (at, messages::storage_options::in_file(error)));
        let (option, is_secret) = set?;
        settings.lines.push((option, is_secret, line(text, at)));
    }
    Ok(())
}

fn find(name: &str) -> Result<Setting, SettingError> {
    if let Some(setting) = Setting::ALL.into_iter().find(|setting| setting.name() == name) {
        return Ok(setting);
    }
    let small = name.to_ascii_lowercase();
    if ["pass", "secret"].iter().any(|word| small.contains(word)) || small == "key" {
        return Err(messages::config::passphrase_in_file());
    }
    let names = Setting::ALL.iter().map(|setting| setting.name()).chain([STORAGE_OPTIONS]);
    Err(messages::config::unknown(name, most_like(&small, names)))
}

/// The texts of a value, each with its place.
fn parts(
    setting: Setting,
    value: &Spanned<DeValue<'_>>,
) -> Result<Vec<(usize, OsString)>, (usize, SettingError)> {
    let at = |value: &Spanned<DeValue<'_>>| value.span().start;
    let wrong = |value: &Spanned<DeValue<'_>>| {
        (at(value), messages::config::wrong_type(setting.name(), expected(setting)))
    };
    let single = |value: &Spanned<DeValue<'_>>| match (setting.kind(), value.get_ref()) {
        (Kind::NumberOrText, DeValue::String(text)) if text != AUTO => Err(wrong(value)),
        (Kind::List | Kind::Text | Kind::NumberOrText, DeValue::String(text)) => {
            Ok((at(value), OsString::from(text.as_ref())))
        }
        (Kind::Number | Kind::NumberOrText, DeValue::Integer(number)) => {
            let number = i128::from_str_radix(number.as_str(), number.radix());
            // Too large for an `i128`.
            let number = number.map_err(|_| wrong(value))?;
            Ok((at(value), OsString::from(number.to_string())))
        }
        _ => Err(wrong(value)),
    };
    match (setting.kind(), value.get_ref()) {
        (Kind::List, DeValue::Array(values)) => values.iter().map(single).collect(),
        _ => Ok(vec![single(value)?]),
    }
}

fn expected(setting: Setting) -> &'static str {
    match setting.kind() {
        Kind::List => messages::config::A_LIST,
        Kind::Text => messages::config::A_TEXT,
        Kind::Number => messages::config::A_NUMBER,
        Kind::NumberOrText => messages::config::A_NUMBER_OR_AUTO,
    }
}
