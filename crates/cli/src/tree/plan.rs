//! What inputs become.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cryptstream_beneath::{Dir, FileId, WalkEntry};
use cryptstream_engine::{Error, Parser};
use cryptstream_remote::ObjectUrl;
use rustix::fs::FileType;
use rustix::io::Errno;

use super::named_folders::check_parent;
use super::root::{Root, check_outside};
use super::shard::Shard;
use super::walk::Rules;
use crate::file_names::{ends_with, with_suffix};
use crate::messages::{self, Failure};
use crate::verb::Verb;

/// How the names of files change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Naming {
    /// Encrypted files get this suffix.
    Add(&'static str),
    /// Decrypted files lose one of these.
    TakeOff([&'static str; 2]),
}

impl Naming {
    /// The name of the output; `None` if the name is not that of an encrypted file.
    pub(super) fn apply(self, name: &OsStr) -> Option<OsString> {
        match self {
            Self::Add(suffix) => Some(with_suffix(name, suffix)),
            Self::TakeOff(suffixes) => {
                let path = Path::new(name);
                let is_encrypted = suffixes.iter().any(|suffix| ends_with(path, suffix));
                path.file_stem().filter(|_| is_encrypted).map(OsStr::to_owned)
            }
        }
    }
}

/// What a run over folders is to do.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) roots: Vec<Root>,
    /// Named files that the rules exclude.
    pub(crate) left_out: Vec<PathBuf>,
    /// Why other inputs cannot be used, each with the number of roots before it.
    pub(crate) unusable: Vec<(usize, Failure)>,
    pub(crate) naming: Naming,
    pub(crate) rules: Rules,
    /// Replace existing outputs.
    pub(crate) force: bool,
    /// Replace outputs that differ.
    pub(crate) newer: bool,
    /// Remove from the copy what the original does not have.
    pub(crate) delete: bool,
    /// Remove inputs whose outputs this run has written.
    pub(crate) removes_source: bool,
    /// Parses encrypted files.
    pub(crate) parser: Parser,
    /// Set if inputs or outputs are in a store.
    pub(crate) store: Option<Store>,
    /// The objects of a shard, in place of all that is in the only root.
    pub(crate) shard: Option<Shard>,
}

/// Which side of a run is in a store.
#[derive(Debug)]
pub(crate) enum Store {
    /// The outputs: those of the roots are URLs.
    To,
    /// The inputs, which are below a prefix. There are no roots.
    From {
        input: ObjectUrl,
        /// A folder or the URL of a prefix.
        output: PathBuf,
    },
}

/// What is done with an entry of a folder.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// A file with this output name.
    File(OsString),
    /// A folder with the same name.
    Folder,
    /// A link with the same name.
    Link,
    /// Neither file nor folder nor link.
    Special,
    /// A file to decrypt whose name is not that of an encrypted file.
    NotEncrypted,
    /// The unfinished output of a run that was killed, or is still running: a file or a folder.
    Temporary,
}

impl Plan {
    /// One input and its output.
    pub(crate) fn one(
        input: PathBuf,
        output: Option<PathBuf>,
        naming: Naming,
        rules: Rules,
    ) -> Result<Self, Failure> {
        let root = Root::open(input)?;
        let output = match output {
            Some(output) => output,
            None => default_output(&root.input, naming)?,
        };
        if root.folder.is_some() && !is_url(&output) {
            check_parent(&output)?;
        }
        let root = Root { output, ..root };
        Self::new(vec![Ok(root)], naming, rules)
    }

    /// The objects below a prefix.
    pub(crate) fn from_store(
        input: ObjectUrl,
        output: PathBuf,
        naming: Naming,
        rules: Rules,
    ) -> Result<Self, Failure> {
        if !is_url(&output) {
            check_parent(&output)?;
        }
        let store = Some(Store::From { input, output });
        Ok(Self { store, ..Self::new(Vec::new(), naming, rules)? })
    }

    /// Several inputs, each under its own name in a folder.
    pub(crate) fn several(
        inputs: Vec<PathBuf>,
        folder: &Path,
        naming: Naming,
        rules: Rules,
    ) -> Result<Self, Failure> {
        let root = |input: PathBuf| {
            let name = own_name(&input)?;
            let root = Root::open(input)?;
            let name = match root.folder {
                Some(_) => name,
                None => {
                    naming.apply(&name).ok_or_else(|| messages::no_default_name(&root.input))?
                }
            };
            Ok(Root { output: folder.join(name), ..root })
        };
        let plan = Self::new(inputs.into_iter().map(root).collect(), naming, rules)?;
        if !plan.roots.is_empty() && !is_url(folder) {
            check_parent(folder)?;
        }
        Ok(plan)
    }

    fn new(
        named: Vec<Result<Root, Failure>>,
        naming: Naming,
        rules: Rules,
    ) -> Result<Self, Failure> {
        rules.check()?;
        let (mut roots, mut left_out, mut unusable) = (Vec::<Root>::new(), Vec::new(), Vec::new());
        for root in named {
            match root {
                Err(failure) => unusable.push((roots.len(), failure)),
                Ok(root) if root.folder.is_none() && !rules.wants_named(&root.input)? => {
                    left_out.push(root.input);
                }
                Ok(root)
                    if root.folder.is_some()
                        && !is_url(&root.output)
                        && Dir::open(&root.output).is_err_and(|e| e == Errno::NOTDIR) =>
                {
                    unusable.push((roots.len(), messages::tree::not_a_folder(&root.output)));
                }
                Ok(root) => roots.push(root),
            }
        }
        for (index, root) in roots.iter().enumerate() {
            if let Some(other) = roots[..index].iter().find(|other| other.output == root.output) {
                return Err(messages::tree::same_root(&other.input, &root.input, &root.output));
            }
            // Any of them: one root's output may lie in another root.
            for other in &roots {
                if let Some(folder) = other.folder.as_ref().and_then(|it| it.dir().ok())
                    && !is_url(&root.output)
                {
                    check_outside(&root.output, &folder, &other.input)?;
                }
            }
        }
        let has_urls = roots.iter().any(|root| is_url(&root.output));
        Ok(Self {
            roots,
            left_out,
            unusable,
            naming,
            rules,
            force: false,
            newer: false,
            delete: false,
            removes_source: false,
            parser: Parser::default(),
            store: has_urls.then_some(Store::To),
            shard: None,
        })
    }

    /// Refuses roots that are links to folders, since nothing behind a link is removed.
    pub(crate) fn check_removable(&self) -> Result<(), Failure> {
        for Root { input, stat, .. } in self.roots.iter().filter(|root| root.folder.is_some()) {
            // `.` and the like are no links.
            if input.file_name().is_none() {
                continue;
            }
            let there = Dir::open_parent(input)
                .and_then(|(above, name)| above.stat(name).map(|there| (above, there)));
            let (above, there) =
                there.map_err(|error| messages::unreadable(input, &error.into()))?;
            if !FileId::of(&there).may_be(FileId::of(stat), &above) {
                return Err(match FileType::from_raw_mode(there.st_mode) {
                    FileType::Symlink => messages::tree::linked_root(input),
                    _ => messages::engine(Error::InputChanged { path: input.clone() }, self.verb()),
                });
            }
        }
        Ok(())
    }

    /// Refuses a file as the only root of a job.
    pub(crate) fn check_folder(&self) -> Result<(), Failure> {
        let file = self.roots.iter().find(|root| root.folder.is_none());
        file.map_or(Ok(()), |root| Err(messages::job::not_a_folder(&root.input)))
    }

    /// Refuses roots that are files.
    pub(crate) fn check_folders(&self) -> Result<(), Failure> {
        let file = self.roots.iter().find(|root| root.folder.is_none());
        file.map_or(Ok(()), |root| Err(messages::tree::delete_needs_folder(&root.input)))
    }

    pub(super) fn action(&self, found: &WalkEntry) -> Action {
        match found.kind() {
            FileType::Directory | FileType::RegularFile if is_temporary(found) => Action::Temporary,
            FileType::Directory => Action::Folder,
            FileType::Symlink => Action::Link,
            FileType::RegularFile => {
                self.naming.apply(&found.name).map_or(Action::NotEncrypted, Action::File)
            }
            _ => Action::Special,
        }
    }

    /// The name of another entry beside `found` that would get the same output name. Only files
    /// change their names. `is_wanted` says whether an entry of this name is included.
    pub(super) fn colliding_name(
        &self,
        found: &WalkEntry,
        mut is_wanted: impl FnMut(&OsStr) -> bool,
    ) -> Option<OsString> {
        let name = Path::new(&found.name);
        let is_file = found.kind() == FileType::RegularFile;
        let rivals = match self.naming {
            Naming::Add(_) if is_file => return None,
            Naming::Add(suffix) => {
                let is_encrypted = ends_with(name, suffix);
                vec![name.file_stem().filter(|_| is_encrypted)?.to_owned()]
            }
            Naming::TakeOff([first, second]) if is_file => {
                let is_second = ends_with(name, second);
                vec![with_suffix(name.file_stem().filter(|_| is_second)?, first)]
            }
            Naming::TakeOff(suffixes) => {
                suffixes.iter().map(|suffix| with_suffix(&found.name, suffix)).collect()
            }
        };
        let dir = found.folder.dir().ok()?;
        let is_plain_file = |name: &OsString| {
            let stat = dir.stat(name);
            stat.is_ok_and(|s| FileType::from_raw_mode(s.st_mode) == FileType::RegularFile)
        };
        rivals.into_iter().find(|name| is_plain_file(name) && is_wanted(name))
    }

    pub(crate) fn verb(&self) -> Verb {
        if self.encrypts() { Verb::Encrypt } else { Verb::Decrypt }
    }

    /// Whether files are encrypted, not decrypted.
    pub(crate) fn encrypts(&self) -> bool {
        matches!(self.naming, Naming::Add(_))
    }
}

fn is_url(path: &Path) -> bool {
    cryptstream_remote::is_url(path.as_os_str())
}

/// Whether an entry is a temporary of this program.
pub(crate) fn is_temporary(found: &WalkEntry) -> bool {
    let is_folder = found.opened.is_some();
    let is_temporary =
        |dir: Arc<Dir>| cryptstream_engine::program::is_temporary(&dir, &found.name, is_folder);
    found.folder.dir().is_ok_and(is_temporary)
}

/// The default output of an input, beside it.
fn default_output(input: &Path, naming: Naming) -> Result<PathBuf, Failure> {
    let name = own_name(input)?;
    let output = naming.apply(&name).ok_or_else(|| messages::no_default_name(input))?;
    match input.file_name() {
        Some(_) => Ok(input.with_file_name(output)),
        // Such as `.`, whose copy must not be put into itself.
        None => Err(messages::tree::no_name(input)),
    }
}

/// The last component of an input's path, of `.` too.
fn own_name(input: &Path) -> Result<OsString, Failure> {
    if let Some(name) = input.file_name() {
        return Ok(name.to_owned());
    }
    let real = fs::canonicalize(input).map_err(|error| messages::unreadable(input, &error))?;
    real.file_name().map(OsStr::to_owned).ok_or_else(|| messages::tree::no_name(input))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_change_there_and_back() {
        let add = Naming::Add(".enc");
        let off = Naming::TakeOff([".enc", ".age"]);
        for name in ["a", "a.tar", ".hidden", "a.enc", "ä ö", "a\nb", "x."] {
            let encrypted = add.apply(OsStr::new(name)).unwrap();
            assert_eq!(off.apply(&encrypted).unwrap(), name, "{encrypted:?}");
        }
        assert_eq!(off.apply(OsStr::new("a.age")).unwrap(), "a");
        for name in ["a", "enc", ".enc", "..enc", "...enc", "a.ENC", "a.enc.gz"] {
            assert_eq!(off.apply(OsStr::new(name)), None, "{name}");
        }
    }
}
