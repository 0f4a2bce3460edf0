//! Folders as one sealed archive: `encrypt --archive`, `decrypt --extract`, `list`.
//!
//! Whoever packs or unpacks does it on a thread of its own, at the other end of a
//! pipe from the engine.

mod list;

use std::fs::{self, File};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use cryptstream_archive::{Added, Contents, Limits, PackError, Packed, Packer, Unpacked, unpack};
use cryptstream_beneath::{Dir, FileId};
use cryptstream_engine::{Error, Feed, Source, StagingFolder, Target};
use cryptstream_format::{Format, Identity, Recipient};
use rustix::pipe::{PipeFlags, pipe_with};
use zeroize::Zeroizing;

pub(super) use self::list::run as list;
use super::inputs::Status;
use crate::args::{Decrypt, Encrypt, Talk, is_dash};
use crate::keyring::{OpeningKeys, SealingKeys};
use crate::messages::{self, Context, Failure, archive as words, tree};
use crate::progress::Meter;
use crate::report::{self, Extra};
use crate::request::{Input, Transfer, cores, sealed_form, suffix_of};
use crate::tree::{Rules, lies_in};

/// Threads that compress; more of them take much memory.
const MAX_THREADS: usize = 8;
/// What is skipped or stands out is named up to so many times.
const MAX_NAMED: usize = 20;

pub(super) fn encrypt(args: Encrypt, key: Option<Zeroizing<Vec<u8>>>, talk: Talk) -> ExitCode {
    let mut is_stdout_data = false;
    match pack(args, key, talk, &mut is_stdout_data) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failures) => report_all(&failures, talk, is_stdout_data),
    }
}

pub(super) fn decrypt(args: Decrypt, key: Option<Zeroizing<Vec<u8>>>, talk: Talk) -> ExitCode {
    match extract(args, key, talk) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => report_all(&[failure], talk, false),
    }
}

/// Says what failed; a program is told of the first failure.
fn report_all(failures: &[Failure], talk: Talk, is_stdout_data: bool) -> ExitCode {
    let mut status = Status::default();
    if let (true, Some(first)) = (talk.json, failures.first()) {
        messages::print_json_error(first, is_stdout_data);
    }
    failures.iter().for_each(|failure| status.fail(failure, talk.json));
    status.exit_code()
}

// ---- Packing --------------------------------------------------------------

fn pack(
    args: Encrypt,
    key: Option<Zeroizing<Vec<u8>>>,
    talk: Talk,
    is_stdout_data: &mut bool,
) -> Result<(), Vec<Failure>> {
    let Encrypt { mut files, passphrase, sealing, format, armor, tree, packing } = args;
    let folder = match files.input.clone() {
        Some(folder) if !is_dash(folder.as_os_str()) => folder,
        Some(_) => return Err(vec![words::stdin_is_no_folder()]),
        None => return Err(vec![messages::no_input()]),
    };
    let rules = Rules::new(&tree);
    rules.check()?;
    let unreadable = |error: &_| messages::unreadable(&folder, error);
    let metadata = fs::metadata(&folder).map_err(|error| unreadable(&error))?;
    if !metadata.is_dir() {
        return Err(vec![words::no_folder(&folder)]);
    }
    if files.output.is_none() {
        let form = sealed_form(format, armor)?;
        files.output = Some(packed_name(&folder, packing.zstd.is_some(), form.format())?);
    }
    let transfer = Transfer::encrypt(files, format, armor)?;
    *is_stdout_data = transfer.is_stdout_data();
    if let Target::Path { path, .. } = &transfer.target
        && lies_in(path, FileId { dev: metadata.dev(), ino: metadata.ino() })
    {
        return Err(vec![words::output_in_folder(&folder, path)]);
    }
    let keys = SealingKeys::read(&passphrase, &sealing, key)?;
    let opened = File::open(&folder).map_err(|error| unreadable(&error))?;
    let failed = |error| messages::engine(error, Context::default());
    let (feed, mut source) = Source::fed(folder.clone(), &opened).map_err(failed)?;
    transfer.target.check(&source).map_err(failed)?;
    keys.check(&source, &transfer.target)?;
    let key_files = keys.file_ids();
    let recipients = keys.recipients(transfer.form.format())?;
    let recipients: Vec<&(dyn Recipient + Sync)> = recipients.iter().map(AsRef::as_ref).collect();

    let started = Instant::now();
    let meter = Meter::new(report::input_label(&transfer.input), talk);
    let job = Packing { folder: &folder, opened: &opened, rules: &rules, key_files: &key_files };
    let Transfer { target, commit, form, .. } = &transfer;
    let (sealed, packed) = thread::scope(|scope| {
        let packing = scope.spawn(|| job.run(feed, packing.zstd));
        let mut engine = transfer.engine();
        let sealed = engine.encrypt(&mut source, target, *form, &recipients, *commit, &meter);
        // Otherwise the packer would wait for it for ever.
        drop(source);
        (sealed, packing.join())
    });
    meter.clear();
    let Ok(outcome) = packed else { return Err(vec![messages::internal("the packer failed")]) };
    outcome.say();
    match (sealed, outcome.packed) {
        (Err(Error::Unfinished { .. }), _) => Err(outcome.failures),
        (Err(error), _) => Err(vec![messages::engine(error, transfer.context(true))]),
        (Ok(_), None) => Err(outcome.failures),
        (Ok(summary), Some(packed)) => {
            if packing.zstd.is_some()
                && let Some(ratio) = packed.bytes.checked_div(packed.written)
                && ratio >= Limits::DEFAULT.ratio
            {
                messages::warn(&words::very_small(ratio));
            }
            let extra = Extra {
                fields: vec![
                    ("entries", packed.entries.into()),
                    ("skipped", outcome.skipped.into()),
                ],
                text: words::packed(&packed),
            };
            report::done_archive("encrypt", &transfer, summary, started.elapsed(), talk, &extra);
            Ok(())
        }
    }
}

impl From<Failure> for Vec<Failure> {
    fn from(failure: Failure) -> Self {
        vec![failure]
    }
}

/// The name of the archive of a folder: beside it.
fn packed_name(folder: &Path, is_zstd: bool, format: Format) -> Result<PathBuf, Failure> {
    let mut name = folder.file_name().ok_or_else(|| tree::no_name(folder))?.to_owned();
    name.push(if is_zstd { ".tar.zst" } else { ".tar" });
    name.push(suffix_of(format));
    Ok(folder.with_file_name(name))
}

/// What is to be packed.
struct Packing<'a> {
    folder: &'a Path,
    opened: &'a File,
    rules: &'a Rules,
    key_files: &'a [(u64, u64)],
}

/// What has become of it.
#[derive(Default)]
struct Outcome {
    packed: Option<Packed>,
    failures: Vec<Failure>,
    notes: Vec<String>,
    skipped: u64,
    links_out: u64,
}

impl Packing<'_> {
    fn run(&self, feed: Feed, level: Option<i32>) -> Outcome {
        let mut outcome = Outcome::default();
        match self.pack(feed, level, &mut outcome) {
            Ok(Some((feed, packed))) => {
                feed.finish();
                outcome.packed = Some(packed);
            }
            Ok(None) => {}
            Err(failure) => outcome.failures.push(failure),
        }
        outcome
    }

    fn pack(
        &self,
        feed: Feed,
        level: Option<i32>,
        outcome: &mut Outcome,
    ) -> Result<Option<(Feed, Packed)>, Failure> {
        let failed = |error| words::pack(self.folder, error);
        let unreadable = |error| messages::unreadable(self.folder, &error);
        let threads = u32::try_from(cores().min(MAX_THREADS)).unwrap_or(1);
        let packer = Packer::new(self.opened.as_fd(), feed, level, threads);
        let mut packer = packer.map_err(failed)?;
        if let Ok(stdout) = rustix::fs::fstat(std::io::stdout()) {
            packer.refuse((stdout.st_dev, stdout.st_ino));
        }
        packer.leave_out(self.key_files);
        packer.add(Path::new("")).map_err(failed)?;
        let folder = Dir::from(OwnedFd::from(self.opened.try_clone().map_err(unreadable)?));
        for found in self.rules.sorted(folder, self.folder)? {
            let relative = match found {
                Ok(relative) => relative,
                Err(failure) => {
                    outcome.failures.push(failure);
                    continue;
                }
            };
            // There will be no archive; but all that is in its way is named.
            let added = match outcome.failures.is_empty() {
                true => packer.add(&relative),
                false => packer.try_to_read(&relative).map(|()| Added::Packed),
            };
            match added {
                Ok(added) => outcome.take(&self.folder.join(relative), added),
                Err(error @ PackError::Unreadable { .. }) => outcome.failures.push(failed(error)),
                // Of what could not be read the user knows already.
                Err(_) if !outcome.failures.is_empty() => break,
                Err(error) => return Err(failed(error)),
            }
        }
        if !outcome.failures.is_empty() {
            // It is not even ended.
            return Ok(None);
        }
        packer.finish().map(Some).map_err(failed)
    }
}

impl Outcome {
    fn take(&mut self, path: &Path, added: Added) {
        let reason = match added {
            Added::Packed => return,
            Added::PackedLinkOut => {
                self.links_out += 1;
                return;
            }
            Added::Special => tree::SPECIAL,
            Added::Left => tree::IS_KEY,
        };
        self.skipped += 1;
        if self.notes.len() < MAX_NAMED {
            self.notes.push(tree::skipped(path, reason));
        }
    }

    /// Says what stands out.
    fn say(&self) {
        self.notes.iter().for_each(|note| messages::warn(note));
        let more = self.skipped - self.notes.len() as u64;
        if more > 0 {
            messages::warn(&words::more_skipped(more));
        }
        if self.links_out > 0 {
            messages::warn(&words::links_out(self.links_out));
        }
    }
}

// ---- Unpacking ------------------------------------------------------------

fn extract(args: Decrypt, key: Option<Zeroizing<Vec<u8>>>, talk: Talk) -> Result<(), Failure> {
    let Decrypt { mut files, opening, unpacking, .. } = args;
    let (force, sync) = (files.force, files.sync);
    let output = match (files.output.take(), &files.input) {
        (Some(output), _) if !is_dash(output.as_os_str()) => output,
        (None, Some(input)) if !is_dash(input.as_os_str()) => unpacked_name(input)?,
        _ => return Err(words::no_folder_named()),
    };
    files.output = Some(output.clone());
    let transfer = Transfer::decrypt(files)?;
    let failed = |error| messages::engine(error, Context::default());
    StagingFolder::check(&output, force).map_err(failed)?;
    let keys = OpeningKeys::read(&opening, key)?;
    let mut source = transfer.input.open().map_err(failed)?;
    keys.check(&source, &transfer.target)?;
    let has_passphrase = keys.has_passphrase();
    let identities = keys.identities()?;
    let identities: Vec<&dyn Identity> = identities.iter().map(AsRef::as_ref).collect();

    let started = Instant::now();
    let meter = Meter::new(report::input_label(&transfer.input), talk);
    let staging = StagingFolder::create(&output, force).map_err(failed)?;
    let (folder, gate): (_, &Mutex<()>) = (staging.folder(), staging.gate());
    let any_links = unpacking.wants_any_links();
    let work = |pipe: File| {
        let mut contents = Contents::new(pipe, unpacking.limits())?;
        let unpacked = unpack(&mut contents, folder, gate, any_links)?;
        Ok((unpacked, contents.is_zstd()))
    };
    let engine = &mut transfer.engine();
    let (opened, unpacked) =
        beside(work, |pipe| engine.decrypt_to_pipe(&mut source, pipe, &identities, &meter))?;
    meter.clear();
    let context = Context { is_armored: source.is_armored(), ..transfer.context(has_passphrase) };
    let input = input_path(&transfer.input);
    let (summary, (unpacked, is_zstd)) = both(opened, unpacked).map_err(|error| match error {
        Either::Engine(error) => messages::engine(error, context),
        Either::Archive(error) => words::unpack(&input, &output, error),
    })?;
    let Unpacked { entries, bytes, folder } = unpacked;
    let times = folder.map(|(_, time)| time.to_timestamps());
    let old = staging
        .commit(folder.map(|(mode, _)| mode), times.as_ref(), sync)
        .map_err(|error| messages::engine(error, context))?;
    if let Some(old) = &old {
        messages::warn(&words::kept(&output, old));
    }
    let extra = Extra {
        fields: vec![
            ("entries", entries.into()),
            ("content_bytes", bytes.into()),
            ("zstd", is_zstd.into()),
        ],
        text: words::unpacked(entries, bytes),
    };
    report::done_archive("decrypt", &transfer, summary, started.elapsed(), talk, &extra);
    Ok(())
}

/// The name of the folder that an archive becomes: without `.enc`, `.zst`, `.tar`.
fn unpacked_name(input: &Path) -> Result<PathBuf, Failure> {
    let mut name = input.to_owned();
    let mut off = |ends: &[&str]| {
        let is_one = name.extension().is_some_and(|end| ends.iter().any(|one| end == *one));
        if is_one {
            name.set_extension("");
        }
        is_one
    };
    if !off(&["enc", "age"]) {
        return Err(messages::no_default_name(input));
    }
    if !off(&["tzst"]) {
        off(&["zst"]);
        off(&["tar"]);
    }
    Ok(name)
}

fn input_path(input: &Input) -> PathBuf {
    input.path().map_or_else(|| "standard input".into(), Path::to_owned)
}

// ---- Both -----------------------------------------------------------------

type Opened = Result<cryptstream_engine::Summary, Error>;

/// Which of the two ends of the pipe failed.
enum Either {
    Engine(Error),
    Archive(cryptstream_archive::Error),
}

/// Lets `open` write what `work` reads on another thread.
fn beside<T: Send>(
    work: impl FnOnce(File) -> Result<T, cryptstream_archive::Error> + Send,
    open: impl FnOnce(OwnedFd) -> Opened,
) -> Result<(Opened, Result<T, cryptstream_archive::Error>), Failure> {
    let pipe = pipe_with(PipeFlags::CLOEXEC);
    let (reader, writer) = pipe.map_err(|error| messages::internal(&error.to_string()))?;
    thread::scope(|scope| {
        let working = scope.spawn(|| work(File::from(reader)));
        let opened = open(writer);
        match working.join() {
            Ok(worked) => Ok((opened, worked)),
            Err(_) => Err(messages::internal("the other end of the pipe failed")),
        }
    })
}

/// What both have made of it; or whichever failure came first.
fn both<T>(
    opened: Opened,
    worked: Result<T, cryptstream_archive::Error>,
) -> Result<(cryptstream_engine::Summary, T), Either> {
    match (opened, worked) {
        (Ok(opened), Ok(worked)) => Ok((opened, worked)),
        // The reader had gone before the writer was done.
        (Err(Error::BrokenPipe { .. }) | Ok(_), Err(error)) => Err(Either::Archive(error)),
        (Err(error), _) => Err(Either::Engine(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_there_and_back() {
        let packed = |zstd, format| packed_name(Path::new("a/photos/"), zstd, format).unwrap();
        for (zstd, format, name) in [
            (false, Format::Native, "a/photos.tar.enc"),
            (true, Format::Native, "a/photos.tar.zst.enc"),
            (false, Format::Age, "a/photos.tar.age"),
            (true, Format::Age, "a/photos.tar.zst.age"),
        ] {
            assert_eq!(packed(zstd, format), Path::new(name));
            assert_eq!(unpacked_name(Path::new(name)).unwrap(), Path::new("a/photos"));
        }
        assert_eq!(unpacked_name(Path::new("x.enc")).unwrap(), Path::new("x"));
        assert!(unpacked_name(Path::new("x.tar")).is_err());
        assert!(packed_name(Path::new("."), false, Format::Native).is_err());
    }
}
