//! Whether an output is up to date, where the store has to be asked: its listing does not tell the
//! time of the file that an object was made from. One request fetches that and the header, which
//! tells the length of the content.

use std::cmp::Ordering;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cryptstream_beneath::{Dir, FileEntry, FileId, Folder};
use cryptstream_engine::{Destination, Error, ObjectError, ObjectErrorKind, Source};
use cryptstream_remote::{ObjectUrl, Opening};
use rustix::fs::Stat;

use super::super::compare::{Comparison, Verdict, content_len, nanoseconds};
use super::super::event::Event;
use super::super::existing::{Decision, decide};
use super::super::plan::Plan;
use super::super::walk::len;
use super::inputs::{Found, FoundInput};
use super::next::Next;
use crate::messages;
use crate::objects;

/// Most headers end within so many bytes.
const HEADER: u64 = 4 << 10;

/// A file whose output exists, or may exist, and that the store was asked about.
pub(super) struct Pending {
    found: Found,
    /// The input, if it is an object.
    input: Option<Opening>,
    output: PendingOutput,
}

enum PendingOutput {
    /// The object at this URL.
    Object(ObjectUrl, Opening),
    File(PresentFile),
}

/// A file that exists in a folder of the copy.
pub(super) struct PresentFile {
    pub(super) folder: Arc<Folder>,
    pub(super) dir: Arc<Dir>,
    pub(super) name: OsString,
    pub(super) stat: Stat,
    pub(super) path: PathBuf,
}

impl Pending {
    /// Asks about the object at `url`, which may exist, and about the input.
    pub(super) fn object(found: Found, url: ObjectUrl) -> Result<Self, Error> {
        let output = objects::begin_open(&url, HEADER)?;
        Ok(Self { input: opening(&found)?, found, output: PendingOutput::Object(url, output) })
    }

    /// Asks about the input, whose output exists.
    pub(super) fn file(found: Found, output: PresentFile) -> Result<Self, Error> {
        Ok(Self { input: opening(&found)?, found, output: PendingOutput::File(output) })
    }

    /// Waits for the answers and decides. `times` compares with times of files.
    pub(super) fn settle(self, plan: &Plan, times: Option<&mut Comparison<'_>>) -> Next<Self> {
        let Self { found, input, output } = self;
        let input = match input.map(Opening::finish).transpose() {
            Ok(input) => input.map(|source| source.parsed_by(&plan.parser)),
            Err(error) => return Next::failed_by(error, plan),
        };
        match output {
            PendingOutput::Object(url, opening) => settle_object(plan, found, input, url, opening),
            PendingOutput::File(file) => settle_file(plan, found, input, file, times),
        }
    }
}

fn opening(found: &Found) -> Result<Option<Opening>, Error> {
    match &found.input {
        FoundInput::File(_) => Ok(None),
        FoundInput::Object(url) => objects::begin_open(url, HEADER).map(Some),
    }
}

fn settle_object(
    plan: &Plan,
    found: Found,
    input: Option<Source>,
    url: ObjectUrl,
    opening: Opening,
) -> Next<Pending> {
    let there = match opening.finish() {
        Ok(there) => there.parsed_by(&plan.parser),
        Err(Error::Open { source, .. })
            if ObjectError::of(&source).is_some_and(|e| e.kind == ObjectErrorKind::NotFound) =>
        {
            return Next::item(found, objects::new_object(url, false));
        }
        Err(error) => return Next::failed_by(error, plan),
    };
    let path = there.path().to_owned();
    let order = there.modified().map(i128::from).cmp(&time_of(&found, input.as_ref()));
    let agree = || match plan.encrypts() {
        true => content_len(there) == Some(found.len),
        false => {
            let there = Some(there.expected_len().unwrap_or(0));
            let input = input.or_else(|| found.file()?.open());
            input.and_then(|input| content_len(input.parsed_by(&plan.parser))) == there
        }
    };
    match decide(plan, verdict(order, agree), &path) {
        Ok(Decision::Keep) => kept(plan, &found, &path),
        Ok(Decision::Replace) => Next::item(found, objects::new_object(url, true)),
        Err(failure) => Next::Event(Event::Failed(failure)),
    }
}

fn settle_file(
    plan: &Plan,
    found: Found,
    input: Option<Source>,
    file: PresentFile,
    times: Option<&mut Comparison<'_>>,
) -> Next<Pending> {
    let PresentFile { folder, dir, name, stat, path } = file;
    let time = time_of(&found, input.as_ref());
    let order = match (time, times) {
        (Some(time), Some(times)) => times.compare_times(&dir, &stat, time),
        (time, _) => Some(nanoseconds(&stat)).cmp(&time),
    };
    let agree = || match plan.encrypts() {
        true => {
            let entry = FileEntry {
                folder: folder.clone(),
                name: name.clone(),
                id: FileId::of(&stat),
                pin: None,
            };
            let there = Source::open_entry(&entry, &path).ok();
            there.and_then(|there| content_len(there.parsed_by(&plan.parser))) == Some(found.len)
        }
        false => input.and_then(content_len) == Some(len(stat.st_size)),
    };
    match decide(plan, verdict(order, agree), &path) {
        Ok(Decision::Keep) => kept(plan, &found, &path),
        Ok(Decision::Replace) => {
            let output = Destination::Beneath { folder, name, path, force: true, is_free: false };
            Next::item(found, output)
        }
        Err(failure) => Next::Event(Event::Failed(failure)),
    }
}

/// The output is up to date. With `--remove-source` the input stays, as this run did not write it.
fn kept(plan: &Plan, found: &Found, output: &Path) -> Next<Pending> {
    match plan.removes_source {
        true => Next::failed(messages::tree::source_kept(&found.path, output, plan.encrypts())),
        false => Next::Event(Event::Kept(found.len)),
    }
}

/// When the input was last modified, in nanoseconds since 1970.
fn time_of(found: &Found, input: Option<&Source>) -> Option<i128> {
    match (found.file(), input) {
        (Some(file), _) => Some(nanoseconds(&file.stat)),
        (None, input) => input?.modified().map(i128::from),
    }
}

fn verdict(order: Ordering, lengths_agree: impl FnOnce() -> bool) -> Verdict {
    match order {
        Ordering::Greater => Verdict::Newer,
        Ordering::Equal if lengths_agree() => Verdict::Same,
        Ordering::Less | Ordering::Equal => Verdict::Differs,
    }
}
