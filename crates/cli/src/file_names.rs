//! The names of encrypted files.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use cryptstream_format::Format;

use crate::messages::{self, Failure};
use crate::objects;

/// The suffixes of encrypted files.
pub(crate) const SUFFIX: &str = ".enc";
pub(crate) const AGE_SUFFIX: &str = ".age";

/// A name, or a path, with a suffix.
pub(crate) fn with_suffix(name: impl AsRef<OsStr>, suffix: &str) -> OsString {
    let mut name = name.as_ref().to_owned();
    name.push(suffix);
    name
}

/// The default output of a decryption.
pub(crate) fn without_suffix(input: &Path) -> Result<PathBuf, Failure> {
    match input.file_stem() {
        Some(stem) if is_encrypted_name(input) => Ok(input.with_file_name(stem)),
        _ => Err(no_default_name(input)),
    }
}

/// Why `input` has no default output: perhaps it does not exist.
pub(crate) fn no_default_name(input: &Path) -> Failure {
    match input.symlink_metadata() {
        _ if objects::url(input).is_some() => messages::no_default_name(input),
        Err(error) if error.kind() == io::ErrorKind::NotFound => messages::missing(input),
        _ => messages::no_default_name(input),
    }
}

/// The suffix of encrypted files of a format.
pub(crate) fn suffix_of(format: Format) -> &'static str {
    if format == Format::Age { AGE_SUFFIX } else { SUFFIX }
}

/// Whether a name is that of an encrypted file.
pub(crate) fn is_encrypted_name(path: &Path) -> bool {
    ends_with(path, SUFFIX) || ends_with(path, AGE_SUFFIX)
}

/// Whether a name ends in this suffix, with a name before it: `.` and `..` are none.
pub(crate) fn ends_with(path: &Path, suffix: &str) -> bool {
    path.extension().is_some_and(|extension| extension == &suffix[1..])
        && path.file_stem().is_none_or(|stem| stem != "." && stem != "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_names_add_and_take_off_the_suffix() {
        assert_eq!(with_suffix(Path::new("dir/a.tar"), SUFFIX), Path::new("dir/a.tar.enc"));
        let plain = |name| without_suffix(Path::new(name)).ok();
        assert_eq!(plain("dir/a.tar.enc"), Some("dir/a.tar".into()));
        assert_eq!(plain("a.age"), Some("a".into()));
        assert_eq!(plain("a.txt"), None);
        for name in ["dir/.enc", "..enc", "dir/...enc", "...age"] {
            assert_eq!(plain(name), None, "{name}");
        }
        assert_eq!(plain("....enc"), Some("...".into()));
        assert_eq!(plain("dir/x.enc/"), Some("dir/x".into()));
    }
}
