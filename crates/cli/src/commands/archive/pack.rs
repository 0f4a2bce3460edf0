//! `encrypt --archive`: from a folder to an encrypted archive.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use cryptstream_archive::{Added, PackError, Packed, Packer};
use cryptstream_beneath::{Dir, KnownFile};
use cryptstream_engine::program::is_leftover;
use cryptstream_engine::{Cache, Error, PipeWriter, Source, Target};
use cryptstream_format::{Format, Recipient};
use rustix::fs::FileType;

use crate::args::{Encrypt, is_dash};
use crate::commands::session::{CommandResult, Session};
use crate::file_names::suffix_of;
use crate::keyring::EncryptionKeys;
use crate::messages::{self, Failure, tree};
use crate::progress::Meter;
use crate::report::{self, Failures, Status};
use crate::request::{Transfer, cores, output_format};
use crate::tree::{Rules, check_outside, is_temporary};
use crate::verb::Verb;

/// The maximum number of compression threads; each takes much memory.
const MAX_THREADS: usize = 8;
/// The maximum number of skipped files that are named.
const MAX_NAMED: u64 = 20;

pub(in crate::commands) fn run(args: Encrypt, session: &Session) -> CommandResult {
    let Encrypt { mut files, passphrase, encryption, format, armor, tree, packing, .. } = args;
    let folder = match files.input.clone() {
        Some(folder) if !is_dash(folder.as_os_str()) => folder,
        Some(_) => return Err(messages::archive::stdin_is_no_folder().into()),
        None => return Err(messages::no_input().into()),
    };
    let rules = Rules::new(&tree);
    rules.check()?;
    let unreadable = |error: &_| messages::unreadable(&folder, error);
    let metadata = fs::metadata(&folder).map_err(|error| unreadable(&error))?;
    if !metadata.is_dir() {
        return Err(messages::archive::no_folder(&folder).into());
    }
    if files.output.is_none() {
        let output_format = output_format(format, armor)?;
        files.output = Some(packed_name(&folder, packing.zstd.is_some(), output_format.format())?);
    }
    let transfer = Transfer::encrypt(Verb::Pack, files, format, armor)?;
    messages::set_stdout_data(transfer.is_stdout_data());
    // Nothing is parsed, but a required sandbox must be available.
    transfer.parser()?;
    let here = Dir::open(&folder).map_err(|error| unreadable(&error.into()))?;
    if let Target::Path { path, .. } = &transfer.target {
        check_outside(path, &here, &folder)?;
    }
    let keys = EncryptionKeys::read(&passphrase, &encryption, session.take_key())?;
    let opened = File::open(&folder).map_err(|error| unreadable(&error))?;
    let failed = |error| messages::engine(error, Verb::Pack);
    let (writer, mut source) = Source::piped(folder.clone(), &opened).map_err(failed)?;
    transfer.target.check(&source).map_err(failed)?;
    keys.check(&source, &transfer.target)?;
    let key_files = keys.key_files();
    let recipients = keys.recipients(transfer.output_format.format(), &transfer.output_label())?;
    let recipients: Vec<&(dyn Recipient + Sync)> = recipients.iter().map(AsRef::as_ref).collect();

    let started = Instant::now();
    let meter = Meter::of(&transfer, session.options);
    let job = Packing {
        folder: &folder,
        opened: &opened,
        rules: &rules,
        key_files: &key_files,
        drops_content: transfer.workers.cache == Cache::Drop,
    };
    let ran: Result<_, Failure> = thread::scope(|scope| {
        let packer = thread::Builder::new().name("packer".to_owned());
        let packing = packer.spawn_scoped(scope, || job.run(writer, packing.zstd));
        let packing = packing.map_err(|error| messages::cannot_start("the packer", &error))?;
        let encrypted = transfer.encrypt_from(&mut source, &recipients, &meter);
        // Otherwise the packer would wait forever.
        drop(source);
        Ok((encrypted, packing.join()))
    });
    let (encrypted, packed) = ran?;
    meter.clear();
    let Ok(outcome) = packed else { return Err(messages::internal("the packer failed").into()) };
    outcome.say();
    match (encrypted, outcome.packed) {
        (Err(Error::Unfinished { .. }), _) => Err(Failures(outcome.failures)),
        (Err(error), _) => Err(messages::engine(error, transfer.context(true)).into()),
        (Ok(_), None) => Err(Failures(outcome.failures)),
        (Ok(summary), Some(packed)) => {
            let needs = messages::archive::needs_more(&packed, packing.zstd.is_some());
            needs.iter().for_each(|needs| messages::warn(needs));
            messages::archive::without_acls(&packed).iter().for_each(|text| messages::warn(text));
            if packing.zstd.is_some()
                && let Target::Path { path, .. } = &transfer.target
                && let Some(plain) = hides_zstd(path)
            {
                messages::warn(&messages::archive::hides_zstd(path, &plain));
            }
            let (took, options) = (started.elapsed(), session.options);
            report::transfer::packed(&transfer, summary, &packed, outcome.skipped, took, options);
            Ok(Status::default())
        }
    }
}

/// The default name of a folder's archive, beside it.
pub(super) fn packed_name(
    folder: &Path,
    is_zstd: bool,
    format: Format,
) -> Result<PathBuf, Failure> {
    let mut name = folder.file_name().ok_or_else(|| tree::no_name(folder))?.to_owned();
    name.push(if is_zstd { ".tar.zst" } else { ".tar" });
    name.push(suffix_of(format));
    Ok(folder.with_file_name(name))
}

/// The name that a compressed archive gets when it is decrypted, if that does not show the
/// compression.
fn hides_zstd(path: &Path) -> Option<PathBuf> {
    let is_encrypted = path.extension().is_some_and(|end| end == "enc" || end == "age");
    let plain = is_encrypted.then(|| path.with_extension(""))?;
    plain.extension().is_some_and(|end| end == "tar").then_some(plain)
}

/// What is to be packed.
struct Packing<'a> {
    folder: &'a Path,
    opened: &'a File,
    rules: &'a Rules,
    key_files: &'a [KnownFile],
    /// Whether long files are dropped from the page cache.
    drops_content: bool,
}

/// The result of packing.
#[derive(Default)]
struct PackReport {
    packed: Option<Packed>,
    failures: Vec<Failure>,
    notes: Vec<String>,
    skipped: u64,
    links_out: u64,
}

impl Packing<'_> {
    fn run(&self, writer: PipeWriter, level: Option<i32>) -> PackReport {
        let mut outcome = PackReport::default();
        match self.pack(writer, level, &mut outcome) {
            Ok(Some((writer, packed))) => {
                writer.finish();
                outcome.packed = Some(packed);
            }
            Ok(None) => {}
            Err(failure) => outcome.failures.push(failure),
        }
        outcome
    }

    fn pack(
        &self,
        writer: PipeWriter,
        level: Option<i32>,
        outcome: &mut PackReport,
    ) -> Result<Option<(PipeWriter, Packed)>, Failure> {
        let failed = |error| messages::archive::pack(self.folder, error);
        let threads = u32::try_from(cores().min(MAX_THREADS)).unwrap_or(1);
        let dir = || -> Result<Dir, Failure> {
            let opened = self.opened.try_clone();
            let opened = opened.map_err(|error| messages::unreadable(self.folder, &error))?;
            Ok(Dir::from(OwnedFd::from(opened)))
        };
        let folder = dir()?;
        let packer = Packer::new(&folder, writer, level, threads);
        let mut packer = packer.map_err(failed)?;
        if let Ok(stdout) = KnownFile::open(std::io::stdout()) {
            packer.set_output(stdout);
        }
        packer.exclude(self.key_files);
        if self.drops_content {
            packer.drop_content();
        }
        packer.add(Path::new("")).map_err(failed)?;
        let mut walk = self.rules.sorted(dir()?, self.folder)?;
        while let Some(found) = walk.next() {
            let found = match found {
                Ok(found) => found,
                Err(failure) => {
                    outcome.failures.push(failure);
                    continue;
                }
            };
            if is_temporary(&found) {
                walk.skip_content(&found);
                outcome.skip(&self.folder.join(found.relative), tree::TEMPORARY);
                continue;
            }
            if found.kind() == FileType::RegularFile && is_leftover(&found.name) {
                outcome.notes.push(tree::leftover(&self.folder.join(&found.relative)));
            }
            let relative = found.relative;
            // No archive is written any more, but all other problems are reported.
            let added = match outcome.failures.is_empty() {
                true => packer.add(&relative),
                false => packer.check_readable(&relative).map(|()| Added::Packed),
            };
            match added {
                Ok(added) => outcome.take(&self.folder.join(relative), added),
                Err(error @ PackError::Unreadable { .. }) => outcome.failures.push(failed(error)),
                // The user knows of it already.
                Err(_) if !outcome.failures.is_empty() => break,
                Err(error) => return Err(failed(error)),
            }
        }
        if self.rules.include_nothing() {
            outcome.failures.push(tree::nothing_included(self.folder));
        }
        if !outcome.failures.is_empty() {
            // The archive is left incomplete.
            return Ok(None);
        }
        packer.finish().map(Some).map_err(failed)
    }
}

impl PackReport {
    fn take(&mut self, path: &Path, added: Added) {
        let reason = match added {
            Added::Packed => return,
            Added::PackedLinkOut => {
                self.links_out += 1;
                return;
            }
            Added::Special => tree::SPECIAL,
            Added::Excluded => tree::IS_KEY,
        };
        self.skip(path, reason);
    }

    fn skip(&mut self, path: &Path, reason: &str) {
        self.skipped += 1;
        if self.skipped <= MAX_NAMED {
            self.notes.push(tree::skipped(path, reason));
        }
    }

    /// Reports what was skipped, and links that lead out of the folder.
    fn say(&self) {
        self.notes.iter().for_each(|note| messages::warn(note));
        if self.skipped > MAX_NAMED {
            messages::warn(&messages::archive::more_skipped(self.skipped - MAX_NAMED));
        }
        if self.links_out > 0 {
            messages::warn(&messages::archive::links_out(self.links_out));
        }
    }
}
