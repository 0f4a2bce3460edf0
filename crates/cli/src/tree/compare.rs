//! Whether an output is up to date with its input.
//!
//! It is if both have the same time and matching lengths: the header and the length of an
//! encrypted file tell the length of its content. The content itself is not read, so a change
//! that keeps length and time goes unnoticed, as with rsync(1). A newer output differs as much as
//! an older one.
//!
//! Times are compared as the output's file system stores them, which may be in steps of up to two
//! seconds.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cryptstream_beneath::{Dir, FileEntry, FileId, Folder};
use cryptstream_engine::{BatchItem, Destination, Inspection, Origin, Parser, Source};
use rustix::fs::{FileType, Stat, Timespec, Timestamps, fstat, futimens};

use super::copy_structure::with_scratch_file;
use super::plan::{Naming, Plan};
use super::walk::len;

const SECOND: i128 = 1_000_000_000;
/// The time resolutions of file systems, in nanoseconds: NTFS and SMB 100 ns, NFS and others 1 µs
/// and 1 ms, exFAT 10 ms, SFTP and old ext3 1 s, FAT 2 s.
const STEPS: [i128; 6] = [100, 1_000, 1_000_000, 10_000_000, SECOND, 2 * SECOND];
/// An odd second and its last nanosecond, which every resolution rounds differently.
const TELLING: (i64, i64) = (1_000_000_001, 999_999_999);
/// Every file system can store times between 1980 and 2038. Some change those before and after.
const STORABLE: std::ops::Range<i64> = 315_532_800..2_147_483_648;

/// A file to be encrypted or decrypted.
pub(super) struct SourceFile {
    pub(super) path: PathBuf,
    /// Where it was found; `None` for a file that the user has named.
    pub(super) entry: Option<FileEntry>,
    pub(super) stat: Stat,
}

/// An output, in an open folder.
pub(super) struct Output<'a> {
    pub(super) folder: &'a Arc<Folder>,
    pub(super) dir: &'a Dir,
    pub(super) name: &'a OsStr,
    /// For messages.
    pub(super) path: &'a Path,
}

/// How an output compares with its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Same,
    /// Different, and not newer than the input.
    Differs,
    /// Different, and newer than the input.
    Newer,
}

/// Compares outputs with their inputs.
pub(super) struct Comparison<'a> {
    pub(super) naming: Naming,
    pub(super) parser: &'a Parser,
    /// Whether no file may be created to find out how times are stored.
    pub(super) is_dry: bool,
    /// The time resolutions found so far, by device.
    steps: HashMap<u64, i128>,
}

impl<'a> Comparison<'a> {
    pub(super) fn new(naming: Naming, parser: &'a Parser, is_dry: bool) -> Self {
        Self { naming, parser, is_dry, steps: HashMap::new() }
    }

    /// Compares an output with its input. The output is a regular file with the status `there`.
    pub(super) fn of(&mut self, input: &SourceFile, output: &Output<'_>, there: &Stat) -> Verdict {
        match self.compare_times(output.dir, there, nanoseconds(&input.stat)) {
            Ordering::Greater => Verdict::Newer,
            Ordering::Less => Verdict::Differs,
            Ordering::Equal if self.lengths_agree(input, output, there) => Verdict::Same,
            Ordering::Equal => Verdict::Differs,
        }
    }

    /// Compares the time of `there`, which is in `dir`, with that of its original in nanoseconds.
    pub(super) fn compare_times(&mut self, dir: &Dir, there: &Stat, original: i128) -> Ordering {
        let then = nanoseconds(there);
        if then != original && self.is_stored_as(dir, there, original) {
            return Ordering::Equal;
        }
        then.cmp(&original)
    }

    /// Whether the file system would store the original's time as that of `there`.
    fn is_stored_as(&mut self, dir: &Dir, there: &Stat, now: i128) -> bool {
        let then = nanoseconds(there);
        // Times come from file systems or stores, which have no longer ones.
        let seconds = i64::try_from(now.div_euclid(SECOND)).unwrap_or(i64::MAX);
        if !STORABLE.contains(&seconds) {
            let rest = now.rem_euclid(SECOND) as i64;
            return !self.is_dry && stored(dir, seconds, rest) == Some(then);
        }
        let distance = (then - now).abs();
        if distance >= 2 * SECOND {
            return false;
        }
        let step = self.step(dir, there);
        distance < step && then % step == 0
    }

    /// The step of a file system. It is found by setting a time and reading it back. Where
    /// that cannot be done, both times of `there` must be multiples of the step, which is a
    /// guess, since whole seconds may be even by chance.
    fn step(&mut self, dir: &Dir, there: &Stat) -> i128 {
        if let Some(step) = self.steps.get(&there.st_dev) {
            return *step;
        }
        let (seconds, nanoseconds_in_it) = TELLING;
        let stored = if self.is_dry { None } else { stored(dir, seconds, nanoseconds_in_it) };
        let Some(stored) = stored else {
            let changed = i128::from(there.st_ctime) * SECOND + i128::from(there.st_ctime_nsec);
            let times = [changed, nanoseconds(there)];
            let divides_both = |step: &i128| times.iter().all(|time| time % step == 0);
            return STEPS.into_iter().rfind(divides_both).unwrap_or(1);
        };
        let telling = i128::from(seconds) * SECOND + i128::from(nanoseconds_in_it);
        let is_step = |step: &i128| (telling - stored).abs() < *step && stored % step == 0;
        let step = match stored == telling {
            true => 1,
            false => STEPS.into_iter().find(is_step).unwrap_or(1),
        };
        self.steps.insert(there.st_dev, step);
        step
    }

    fn lengths_agree(&self, input: &SourceFile, output: &Output<'_>, there: &Stat) -> bool {
        match self.naming {
            Naming::Add(_) => {
                let (folder, id) = (Arc::clone(output.folder), FileId::of(there));
                let entry = FileEntry { folder, name: output.name.to_owned(), id, pin: None };
                let encrypted = Source::open_entry(&entry, output.path);
                self.content_len(encrypted.ok()) == Some(len(input.stat.st_size))
            }
            Naming::TakeOff(_) => self.content_len(input.open()) == Some(len(there.st_size)),
        }
    }

    fn content_len(&self, source: Option<Source>) -> Option<u64> {
        content_len(source?.parsed_by(self.parser))
    }
}

/// The length of an encrypted file's content, according to its header and its length.
pub(super) fn content_len(mut source: Source) -> Option<u64> {
    let inspection = Inspection::of(&mut source).ok()?;
    inspection.layout()?.ok().map(|layout| layout.plaintext_len())
}

impl SourceFile {
    /// Its path without symbolic links.
    pub(super) fn real_path(&self) -> Option<PathBuf> {
        match &self.entry {
            Some(entry) => entry.path(),
            None => std::fs::canonicalize(&self.path).ok(),
        }
    }

    pub(super) fn open(&self) -> Option<Source> {
        match &self.entry {
            Some(entry) => Source::open_entry(entry, &self.path).ok(),
            None => Source::open(&self.path).ok(),
        }
    }

    /// The permission bits that its output may have.
    pub(super) fn mode(&self) -> u32 {
        match self.open() {
            Some(source) => source.output_mode().0,
            None => self.stat.st_mode & 0o777,
        }
    }
}

/// Whether the output of a file in a folder exists by now, and is up to date.
pub(crate) fn is_up_to_date(plan: &Plan, item: &BatchItem) -> bool {
    let (Origin::Entry(entry), Destination::Beneath { folder, name, path, .. }) =
        (&item.origin, &item.output)
    else {
        return false;
    };
    let (Ok((_, _, stat)), Ok(dir)) = (entry.open(), folder.dir()) else { return false };
    let Ok(there) = dir.stat(name) else { return false };
    let input = SourceFile { path: item.input.clone(), entry: Some(entry.clone()), stat };
    let output = Output { folder, dir: &dir, name, path };
    FileType::from_raw_mode(there.st_mode) == FileType::RegularFile
        && Comparison::new(plan.naming, &plan.parser, false).of(&input, &output, &there)
            == Verdict::Same
}

/// When a file was last modified, in nanoseconds since 1970.
pub(super) fn nanoseconds(stat: &Stat) -> i128 {
    i128::from(stat.st_mtime) * SECOND + i128::from(stat.st_mtime_nsec)
}

/// How the file system of `dir` stores a time; `None` if it cannot.
fn stored(dir: &Dir, tv_sec: i64, tv_nsec: i64) -> Option<i128> {
    let time = Timespec { tv_sec, tv_nsec };
    let times = Timestamps { last_access: time, last_modification: time };
    let stat = with_scratch_file(dir, |file| {
        futimens(file, &times)?;
        fstat(file)
    });
    stat.ok().map(|stat| nanoseconds(&stat))
}
