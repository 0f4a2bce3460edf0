//! What becomes of what.

use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{CWD, Mode, OFlags};

use super::walk::{Found, Rules};
use crate::messages::{self, Failure, tree as words};
use crate::request::ends_with;

/// How the names of files change on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Naming {
    /// Sealed files get this at the end of their name.
    Add(&'static str),
    /// Opened ones lose one of these.
    TakeOff([&'static str; 2]),
}

impl Naming {
    /// The name of the output; `None` for what is not sealed by its name.
    pub(super) fn apply(self, name: &OsStr) -> Option<OsString> {
        match self {
            Self::Add(suffix) => Some([name, OsStr::new(suffix)].concat()),
            Self::TakeOff(suffixes) => {
                let path = Path::new(name);
                let is_sealed = suffixes.iter().any(|suffix| ends_with(path, suffix));
                path.file_stem().filter(|_| is_sealed).map(OsStr::to_owned)
            }
        }
    }
}

trait Concat {
    fn concat(self) -> OsString;
}

impl Concat for [&OsStr; 2] {
    fn concat(self) -> OsString {
        let mut name = self[0].to_owned();
        name.push(self[1]);
        name
    }
}

/// An input that was named, and what it becomes.
#[derive(Debug)]
pub(crate) struct Root {
    pub(crate) input: PathBuf,
    pub(crate) output: PathBuf,
    /// The folder itself, for opening what is in it; `None` for a file.
    pub(super) folder: Option<Arc<OwnedFd>>,
    pub(super) metadata: Metadata,
}

/// All that is to be done.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) roots: Vec<Root>,
    pub(crate) naming: Naming,
    pub(crate) rules: Rules,
    /// Replace what is there.
    pub(crate) force: bool,
    /// Replace what is older.
    pub(crate) newer: bool,
}

/// What becomes of something that was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    File(PathBuf),
    Folder(PathBuf),
    Link(PathBuf),
    /// Neither file nor folder nor link.
    Special,
    /// A file to be opened whose name is not that of a sealed one.
    NotSealed,
}

impl Plan {
    /// One input and its output.
    pub(crate) fn one(
        input: PathBuf,
        output: Option<PathBuf>,
        naming: Naming,
        rules: Rules,
    ) -> Result<Self, Failure> {
        let output = match output {
            Some(output) => output,
            None => beside(&input, naming)?,
        };
        Self::new(vec![Root::new(input, output)?], naming, rules)
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
            let is_folder = metadata(&input)?.is_dir();
            let name = match is_folder {
                true => name,
                false => naming.apply(&name).ok_or_else(|| messages::no_default_name(&input))?,
            };
            Root::new(input, folder.join(name))
        };
        let roots: Vec<_> = inputs.into_iter().map(root).collect::<Result<_, _>>()?;
        Self::new(roots, naming, rules)
    }

    fn new(roots: Vec<Root>, naming: Naming, rules: Rules) -> Result<Self, Failure> {
        rules.check()?;
        for (index, root) in roots.iter().enumerate() {
            if let Some(other) = roots[..index].iter().find(|other| other.output == root.output) {
                return Err(words::same_output(&other.input, &root.input, &root.output));
            }
            // Any of them: one root's output may lie in another root.
            for folder in roots.iter().filter(|folder| folder.metadata.is_dir()) {
                if lies_in(&root.output, &folder.metadata) {
                    return Err(words::output_in_input(&folder.input, &root.output));
                }
            }
            if root.metadata.is_dir() && fs::metadata(&root.output).is_ok_and(|m| !m.is_dir()) {
                return Err(words::not_a_folder(&root.output));
            }
        }
        Ok(Self { roots, naming, rules, force: false, newer: false })
    }

    pub(super) fn fate(&self, root: &Root, found: &Found) -> Fate {
        let kind = found.metadata.file_type();
        if kind.is_dir() {
            return Fate::Folder(root.output.join(&found.relative));
        }
        if kind.is_symlink() {
            return Fate::Link(root.output.join(&found.relative));
        }
        if !kind.is_file() {
            return Fate::Special;
        }
        let output = root.output.join(&found.relative);
        match output.file_name().and_then(|name| self.naming.apply(name)) {
            Some(name) => Fate::File(output.with_file_name(name)),
            None => Fate::NotSealed,
        }
    }

    /// Another thing beside `found` that would become the same, if there is one.
    /// Files change their names, folders and links do not.
    pub(super) fn rival(&self, found: &Found) -> Option<PathBuf> {
        let is_plain_file =
            |path: &PathBuf| fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file());
        let name = found.path.file_name()?;
        let beside = |name: &OsStr| found.path.with_file_name(name);
        match self.naming {
            Naming::Add(_) if found.metadata.is_file() => None,
            Naming::Add(suffix) => {
                let name = Path::new(name);
                let is_sealed = ends_with(name, suffix);
                name.file_stem().filter(|_| is_sealed).map(beside).filter(is_plain_file)
            }
            Naming::TakeOff([first, second]) if found.metadata.is_file() => {
                let name = Path::new(name);
                let is_second = ends_with(name, second);
                let stem = name.file_stem().filter(|_| is_second)?;
                Some(beside(&[stem, OsStr::new(first)].concat())).filter(is_plain_file)
            }
            Naming::TakeOff(suffixes) => suffixes
                .iter()
                .map(|suffix| beside(&[name, OsStr::new(suffix)].concat()))
                .find(is_plain_file),
        }
    }
}

impl Root {
    fn new(input: PathBuf, output: PathBuf) -> Result<Self, Failure> {
        let metadata = metadata(&input)?;
        let folder = if metadata.is_dir() {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let opened = rustix::fs::openat(CWD, &input, flags, Mode::empty());
            let opened = opened.map_err(|error| messages::unreadable(&input, &error.into()))?;
            Some(Arc::new(opened))
        } else {
            None
        };
        Ok(Self { input, output, folder, metadata })
    }
}

/// Follows a link: it was named.
fn metadata(input: &Path) -> Result<Metadata, Failure> {
    fs::metadata(input).map_err(|error| messages::unreadable(input, &error))
}

/// Where the copy of a folder goes that nobody has named.
fn beside(input: &Path, naming: Naming) -> Result<PathBuf, Failure> {
    let name = own_name(input)?;
    let output = naming.apply(&name).ok_or_else(|| messages::no_default_name(input))?;
    match input.file_name() {
        Some(_) => Ok(input.with_file_name(output)),
        // Such as `.`: not into the folder itself.
        None => Err(words::no_name(input)),
    }
}

/// The last part of an input's name, of `.` too.
fn own_name(input: &Path) -> Result<OsString, Failure> {
    if let Some(name) = input.file_name() {
        return Ok(name.to_owned());
    }
    let real = fs::canonicalize(input).map_err(|error| messages::unreadable(input, &error))?;
    real.file_name().map(OsStr::to_owned).ok_or_else(|| words::no_name(input))
}

/// Whether a path, as far as it exists, leads into this folder.
pub(crate) fn lies_in(path: &Path, folder: &Metadata) -> bool {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let Some(Ok(real)) = absolute
        .ancestors()
        .find(|ancestor| fs::symlink_metadata(ancestor).is_ok())
        .map(fs::canonicalize)
    else {
        return false;
    };
    let id = (folder.dev(), folder.ino());
    real.ancestors()
        .any(|ancestor| fs::metadata(ancestor).is_ok_and(|found| (found.dev(), found.ino()) == id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_change_there_and_back() {
        let add = Naming::Add(".enc");
        let off = Naming::TakeOff([".enc", ".age"]);
        for name in ["a", "a.tar", ".hidden", "a.enc", "ä ö", "a\nb", "x."] {
            let sealed = add.apply(OsStr::new(name)).unwrap();
            assert_eq!(off.apply(&sealed).unwrap(), name, "{sealed:?}");
        }
        assert_eq!(off.apply(OsStr::new("a.age")).unwrap(), "a");
        for name in ["a", "enc", ".enc", "a.ENC", "a.enc.gz"] {
            assert_eq!(off.apply(OsStr::new(name)), None, "{name}");
        }
    }
}
