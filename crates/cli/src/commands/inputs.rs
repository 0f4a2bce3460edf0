//! The inputs of commands that take several and go on after a failure.

use std::fs::Metadata;
use std::io::{self, IsTerminal};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use cryptstream_beneath::{FileId, KnownFile};
use cryptstream_engine::{BatchItem, Destination, Origin, Parser};

use crate::args::is_stdin;
use crate::keyring::{CachedIdentities, NoMatchingKey};
use crate::messages::{self, Context, Failure, inspect_verify, tree};
use crate::objects;
use crate::report::Failures;
use crate::request::Input;
use crate::tree::{encrypted_files, encrypted_objects};

/// The named inputs. Folders are walked each time they are needed: a list of their files could be
/// of any length.
pub(super) struct Inputs(Vec<Input>);

impl Inputs {
    /// Takes the named inputs; standard input if there are none. A list may be empty: then there
    /// is nothing to do.
    pub(super) fn of(files: Vec<PathBuf>, is_listed: bool) -> Result<Self, Failure> {
        if files.is_empty() && !is_listed {
            return match io::stdin().is_terminal() {
                true => Err(messages::no_input()),
                false => Ok(Self(vec![Input::Stdin])),
            };
        }
        if files.iter().filter(|path| is_stdin(path)).count() > 1 {
            return Err(inspect_verify::one_stdin());
        }
        files.into_iter().map(Input::named_or_prefix).collect::<Result<_, _>>().map(Self)
    }

    /// Takes files, without standard input.
    pub(super) fn of_files(files: Vec<PathBuf>) -> Result<Self, Failure> {
        files.into_iter().map(Input::named).collect::<Result<_, _>>().map(Self)
    }

    /// Whether there may be more or fewer files than one.
    pub(super) fn are_several(&self, is_listed: bool) -> bool {
        is_listed
            || self.has_prefix()
            || self.0.len() != 1
            || self.0[0].path().is_some_and(Path::is_dir)
    }

    /// Whether there may be many objects.
    pub(super) fn has_prefix(&self) -> bool {
        self.0.iter().any(|input| matches!(input, Input::Prefix(..)))
    }

    /// The number of named inputs.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// The path of the only named input.
    fn single_path(&self) -> Option<&Path> {
        match &self.0[..] {
            [input] => input.path(),
            _ => None,
        }
    }

    /// The named files, and the encrypted files in named folders and below prefixes.
    pub(super) fn iter(&self) -> impl Iterator<Item = PendingInput> + '_ {
        self.0.iter().flat_map(|input| {
            let (folder, prefix) = match input {
                Input::Prefix(url, _) => (None, Some(encrypted_objects(url))),
                input => (input.path().and_then(encrypted_files), None),
            };
            let found = folder.into_iter().flatten().chain(prefix.into_iter().flatten());
            let mut found = found.peekable();
            // A folder without encrypted files is refused when it is opened.
            let itself = found.peek().is_none().then(|| PendingInput::of(input.clone()));
            itself.into_iter().chain(found.map(|(input, len)| PendingInput { input, len }))
        })
    }
}

/// An input that has not been opened yet.
pub(super) struct PendingInput {
    pub(super) input: Input,
    /// The length of a file.
    pub(super) len: Option<u64>,
}

impl PendingInput {
    fn of(input: Input) -> Self {
        let metadata = input.path().and_then(|path| std::fs::metadata(path).ok());
        let len = metadata.filter(Metadata::is_file).map(|metadata| metadata.len());
        Self { input, len }
    }

    /// The input as a work item that is only read; `None` for standard input, and for an object
    /// that was not listed.
    pub(super) fn item(&self) -> Option<BatchItem> {
        let origin = match &self.input {
            Input::Entry(entry, _) => Origin::Entry(entry.clone()),
            Input::Object(url, _) => Origin::Object(objects::stored(url.clone(), self.len?)),
            Input::Prefix(..) | Input::Unlisted(..) => return None,
            _ => Origin::Path,
        };
        let (input, len) = (self.input.path()?.to_owned(), self.len.unwrap_or(0));
        Some(BatchItem { input, origin, len, output: Destination::Nowhere, guard: None })
    }

    /// Refuses a file that a key of this run was read from.
    pub(super) fn check_key(&self, key_files: &[KnownFile]) -> Result<(), Failure> {
        let is_key = key_files.iter().any(|key| self.is(key));
        match self.input.path().filter(|_| is_key) {
            Some(path) => Err(messages::key_is_data(path)),
            None => Ok(()),
        }
    }

    /// Whether it is this file.
    fn is(&self, file: &KnownFile) -> bool {
        match &self.input {
            Input::Entry(entry, _) => file.has_id(entry.id, || entry.path()),
            Input::Path(path) => std::fs::metadata(path).is_ok_and(|found| {
                let id = FileId { dev: found.dev(), ino: found.ino() };
                file.has_id(id, || std::fs::canonicalize(path).ok())
            }),
            Input::Stdin
            | Input::Object(..)
            | Input::Prefix(..)
            | Input::Unlisted(..)
            | Input::Unreadable(..)
            | Input::Special(_) => false,
        }
    }
}

/// Tries the keys on the files until one fits, so that a wrong key is reported once.
pub(super) fn try_keys(
    inputs: &Inputs,
    cached: &CachedIdentities,
    parser: &Parser,
    key_files: &[KnownFile],
) -> Option<NoMatchingKey> {
    let files = inputs.iter().filter(|pending| pending.check_key(key_files).is_ok());
    cached.none_fits(files.filter_map(|pending| pending.item()), parser, false)
}

/// The failures of a run in which no key fits.
pub(super) fn no_key_fits(no_match: NoMatchingKey, inputs: &Inputs, context: Context) -> Failures {
    let NoMatchingKey { files, untried, first, others } = no_match;
    let failed = |error| messages::engine(error, context);
    let all = tree::no_key_fits(inputs.single_path(), files, untried, failed(first));
    Failures(std::iter::once(all).chain(others.into_iter().map(failed)).collect())
}
