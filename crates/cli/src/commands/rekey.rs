//! `rekey`: changes the keys of files.

use std::cell::Cell;
use std::collections::HashSet;
use std::fs::File;
use std::path::Path;
use std::time::Instant;

use cryptstream_beneath::{FileId, KnownFile, has_stable_inodes};
use cryptstream_engine::{Engine, Error, LockedFile, Parser, Progress, RekeyObject, RekeySummary};
use cryptstream_format::{Format, Identity, Recipient};
use cryptstream_remote::{Scheme, plan_rekey};
use rustix::fs::fstat;

use super::inputs::{Inputs, PendingInput, no_key_fits, try_keys};
use super::session::{CommandResult, Session};
use crate::args::{Rekey, Workers, is_dash};
use crate::keyring::{CachedIdentities, DecryptionKeys, EncryptionKeys};
use crate::messages::{self, Context, Failure, code};
use crate::objects;
use crate::progress::Meter;
use crate::report::Status;
use crate::report::rekey::{self as report, RekeyReport};
use crate::request::{Input, engine_options};
use crate::verb::Verb;

pub(super) fn run(args: Rekey, session: &Session) -> CommandResult {
    let options = session.options;
    let Rekey { files, file_list, decryption, new, reencrypt, reading, cache, storage: _ } = args;
    if files.iter().any(|file| is_dash(file.as_os_str())) {
        return Err(messages::rekey::not_a_stream().into());
    }
    let inputs = Inputs::of_files(files)?;
    let are_several = inputs.are_several(file_list.files_from.is_some());
    let (passphrase, encryption) =
        new.into_flags(decryption.plugin_timeout).ok_or_else(messages::rekey::no_new_key)?;
    let old_keys = DecryptionKeys::read(&decryption, session.take_key())?;
    let new_keys = EncryptionKeys::read_beside(&passphrase, &encryption, None, Some(&old_keys))?;

    let context = Context { has_passphrase: old_keys.has_passphrase(), ..Verb::Rekey.into() };
    let workers = Workers { cache, ..reading.into() };
    let mut engine = Engine::with_options(engine_options(&workers));
    let parser = engine.parser().map_err(|error| messages::engine(error, Verb::Rekey))?;
    let (mut count, mut bytes, mut first) = (0, 0, None);
    for PendingInput { input, len } in inputs.iter() {
        count += 1;
        bytes += len.unwrap_or(0);
        first.get_or_insert(input);
    }
    let name = match first.as_ref().and_then(Input::path) {
        Some(path) if count == 1 => messages::quoted(path),
        _ => format!("{count} files"),
    };
    let key_files = [old_keys.key_files(), new_keys.key_files()].concat();
    let checks_access = new_keys.is_public_only() && !old_keys.may_ask_again();
    let cached = CachedIdentities::new(old_keys.identities(&name)?);
    if count > inputs.count() as u64
        && let Some(no_match) = try_keys(&inputs, &cached, &parser, &key_files)
    {
        return Err(no_key_fits(no_match, &inputs, context));
    }
    let meter = match are_several {
        true => Meter::of_many(name.clone(), count, options),
        false => Meter::new(name.clone(), options),
    };
    let mut rekeyer = Rekeyer {
        engine,
        parser,
        cached: &cached,
        identities: cached.identities(),
        context,
        key_files,
        new_keys: NewKeys { keys: new_keys, name, is_ready: false, native: None, age: None },
        reencrypt,
        is_quiet: options.quiet,
        checks_access,
        done: None,
    };
    if !are_several {
        let input = first.ok_or_else(|| messages::internal("no file was named"))?;
        let started = Instant::now();
        let done = rekeyer.rekey(&input, &meter);
        meter.clear();
        let path = input.path().unwrap_or(Path::new("-"));
        let (done, took) = (done.map_err(RekeyError::into_failure)?, started.elapsed());
        rekeyer.check_access(path, Some(path));
        report::done(path, &done, took, options);
        return Ok(Status::default());
    }
    // A file may have several names.
    rekeyer.done = Some(HashSet::new());
    let mut report = RekeyReport::new(options);
    meter.start(Some(bytes));
    for (number, PendingInput { input, len }) in inputs.iter().enumerate() {
        let path = input.path().unwrap_or(Path::new("-"));
        meter.begin_file(path);
        let progress = CountedProgress { meter: &meter, advanced: Cell::new(0) };
        let started = Instant::now();
        let done = rekeyer.rekey(&input, &progress);
        meter.advance(len.unwrap_or(0).saturating_sub(progress.advanced.get()));
        meter.end_file(number);
        let done = match done {
            Err(RekeyError::AlreadyRekeyed) => continue,
            Err(RekeyError::Run(failure)) => return Err(failure.into()),
            Err(RekeyError::File(failure)) => Err(failure),
            Ok(summary) => Ok(summary),
        };
        if done.is_ok() {
            meter.suspend(|| rekeyer.check_access(path, None));
        }
        meter.suspend(|| report.record(&input, done, started.elapsed()));
    }
    meter.clear();
    Ok(report.end())
}

/// Why a file did not get its new keys.
enum RekeyError {
    /// This run has rekeyed it under another name.
    AlreadyRekeyed,
    File(Failure),
    /// No file can get new keys.
    Run(Failure),
}

impl RekeyError {
    fn into_failure(self) -> Failure {
        match self {
            Self::File(failure) | Self::Run(failure) => failure,
            Self::AlreadyRekeyed => messages::internal("a file was done twice"),
        }
    }
}

/// Rekeys one file after the other.
struct Rekeyer<'a> {
    engine: Engine,
    parser: Parser,
    cached: &'a CachedIdentities,
    identities: Vec<&'a dyn Identity>,
    context: Context,
    /// The files that keys were read from.
    key_files: Vec<KnownFile>,
    new_keys: NewKeys,
    reencrypt: bool,
    is_quiet: bool,
    /// Whether the old keys must still be tried on a new header.
    checks_access: bool,
    /// Rekeyed files that may appear again under another name; `None` for a single name.
    done: Option<HashSet<FileId>>,
}

impl Rekeyer<'_> {
    fn rekey(
        &mut self,
        input: &Input,
        progress: &dyn Progress,
    ) -> Result<RekeySummary, RekeyError> {
        let context = self.context;
        let failed = |error| messages::engine(error, context);
        let rekeying = self.open(input)?;
        let format = rekeying.format();
        // The old passphrase is asked for, and tried, before the new one.
        if self.new_keys.keys.needs_prompt() {
            rekeying
                .check_keys(&self.identities)
                .map_err(|error| RekeyError::File(failed(error)))?;
        }
        self.new_keys.keys.check_cost(format).map_err(RekeyError::File)?;
        self.new_keys.prepare().map_err(RekeyError::Run)?;
        if let Opened::Object(object) = &rekeying {
            self.tell_cost(input, object.object_len())?;
        }
        let recipients = self.new_keys.recipients(format).map_err(RekeyError::File)?;
        let recipients: Vec<&(dyn Recipient + Sync)> =
            recipients.iter().map(AsRef::as_ref).collect();
        let request = rekeying
            .into_request()
            .identities(&self.identities)
            .recipients(&recipients)
            .reencrypt(self.reencrypt)
            .progress(progress);
        match self.engine.rekey(request) {
            Ok(summary) => {
                if let Some(done) = &mut self.done {
                    done.extend(number(input));
                }
                Ok(summary)
            }
            Err(error) => {
                let failure = failed(error);
                let is_done =
                    |done: &HashSet<_>| number(input).is_some_and(|id| done.contains(&id));
                // It has new keys already.
                match failure.code == code::NO_KEY && self.done.as_ref().is_some_and(is_done) {
                    true => Err(RekeyError::AlreadyRekeyed),
                    false => Err(RekeyError::File(failure)),
                }
            }
        }
    }

    /// Warns if none of the old keys fits the new header at `path`. One file is enough, since all
    /// get the same new keys. `only` is the file's name if there is no other.
    fn check_access(&mut self, path: &Path, only: Option<&Path>) {
        if !std::mem::take(&mut self.checks_access) {
            return;
        }
        let is_lost = match Input::named(path.to_owned()) {
            Ok(input @ Input::Object(..)) => {
                let opened = self.open(&input).ok();
                let checked = opened.map(|opened| opened.check_keys(&self.identities));
                matches!(checked, Some(Err(Error::Unlock { .. })))
            }
            _ => {
                let rekeyed = PendingInput { input: Input::Path(path.to_owned()), len: None };
                self.cached.none_fits(rekeyed.item().into_iter(), &self.parser, true).is_some()
            }
        };
        if is_lost {
            messages::warn(&messages::rekey::lost_access(only));
        }
    }

    /// Says what rekeying an object takes, before it begins.
    fn tell_cost(&self, input: &Input, len: u64) -> Result<(), RekeyError> {
        let path = input.path_for_messages();
        let scheme = Scheme::of(path.as_os_str()).unwrap_or(Scheme::S3);
        let (traffic, copied) = plan_rekey(scheme, len, self.reencrypt).map_err(|error| {
            let source = std::io::Error::other(error.to_string());
            let error = Error::Create { path: path.to_owned(), source };
            RekeyError::File(messages::engine(error, self.context))
        })?;
        if !self.is_quiet {
            messages::note(&messages::objects::rekey_cost(path, &traffic, copied));
        }
        Ok(())
    }

    fn open(&self, input: &Input) -> Result<Opened, RekeyError> {
        let opened = match input {
            Input::Entry(entry, path) => LockedFile::open_entry(entry, path, &self.parser),
            Input::Path(path) if path.is_dir() => {
                Err(Error::InputIsDirectory { path: path.clone() })
            }
            Input::Path(path) => LockedFile::open(path, &self.parser),
            Input::Object(_, path) if input.is_web() => {
                return Err(RekeyError::File(messages::objects::needs_file(path)));
            }
            Input::Object(url, _) => {
                let opened = objects::open_to_rekey(url)
                    .and_then(|(source, output)| RekeyObject::open(source, output, &self.parser));
                let failed = |error| RekeyError::File(messages::engine(error, self.context));
                return opened.map(|object| Opened::Object(Box::new(object))).map_err(failed);
            }
            // The error says why.
            Input::Stdin
            | Input::Prefix(..)
            | Input::Unlisted(..)
            | Input::Unreadable(..)
            | Input::Special(_) => match input.open() {
                Err(error) => Err(error),
                Ok(source) => Err(Error::NotRegular { path: source.path().to_owned() }),
            },
        };
        let rekeying =
            opened.map_err(|error| RekeyError::File(messages::engine(error, self.context)))?;
        let known = rekeying.source().known();
        match self.key_files.iter().any(|key| key.is(&known)) {
            true => Err(RekeyError::File(messages::key_is_data(rekeying.source().path()))),
            false => Ok(Opened::File(Box::new(rekeying))),
        }
    }
}

/// What is to be rekeyed.
enum Opened {
    File(Box<LockedFile>),
    Object(Box<RekeyObject>),
}

impl Opened {
    fn format(&self) -> Format {
        match self {
            Self::File(file) => file.format(),
            Self::Object(object) => object.format(),
        }
    }

    fn check_keys(&self, identities: &[&dyn Identity]) -> Result<(), Error> {
        match self {
            Self::File(file) => file.check_keys(identities),
            Self::Object(object) => object.check_keys(identities),
        }
    }

    fn into_request<'a>(self) -> cryptstream_engine::Rekey<'a> {
        match self {
            Self::File(file) => cryptstream_engine::Rekey::locked(*file),
            Self::Object(object) => cryptstream_engine::Rekey::object(*object),
        }
    }
}

/// Identifies a file under any name; `None` if its file system has no stable inode numbers.
fn number(input: &Input) -> Option<FileId> {
    let (file, id) = match input {
        Input::Entry(entry, _) => {
            let dir = entry.folder.dir().ok()?;
            let id = FileId::of(&dir.stat(&entry.name).ok()?);
            return has_stable_inodes(&*dir, id.dev).then_some(id);
        }
        Input::Path(path) => {
            let file = File::open(path).ok()?;
            let id = FileId::of(&fstat(&file).ok()?);
            (file, id)
        }
        _ => return None,
    };
    has_stable_inodes(&file, id.dev).then_some(id)
}

/// The new keys, each asked for once, for files of both formats.
struct NewKeys {
    keys: EncryptionKeys,
    /// What is rekeyed, for prompts.
    name: String,
    is_ready: bool,
    native: Option<Recipients>,
    age: Option<Recipients>,
}

type Recipients = Vec<Box<dyn Recipient + Sync>>;

impl NewKeys {
    fn prepare(&mut self) -> Result<(), Failure> {
        if !std::mem::replace(&mut self.is_ready, true) {
            self.keys.prepare(&self.name)?;
        }
        Ok(())
    }

    fn recipients(&mut self, format: Format) -> Result<&Recipients, Failure> {
        let known = match format {
            Format::Native => &mut self.native,
            Format::Age => &mut self.age,
        };
        match known {
            Some(recipients) => Ok(recipients),
            None => Ok(known.insert(self.keys.recipients_in(format)?)),
        }
    }
}

/// The progress of one file among several.
struct CountedProgress<'a> {
    meter: &'a Meter,
    advanced: Cell<u64>,
}

impl Progress for CountedProgress<'_> {
    fn start(&self, _total: Option<u64>) {}

    fn advance(&self, bytes: u64) {
        self.advanced.set(self.advanced.get() + bytes);
        self.meter.advance(bytes);
    }
}
