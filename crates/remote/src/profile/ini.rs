//! The syntax of the configuration and the credentials file of AWS.
//!
//! No library for INI files keeps the lines of values and overwrites secrets in memory, and those
//! that allow values of several lines differ from the AWS CLI in what these are. The CLI reads
//! the files with Python's `configparser`, and so does this module, except that a section or a key
//! may occur more than once: the last one counts, as for AWS's other tools.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use zeroize::Zeroizing;

use super::error::{Place, ProfileError, ProfileProblem};

/// The longest file that is read, in bytes.
const MAX_FILE_LEN: usize = 1 << 20;

/// A file, or none if it does not exist.
#[derive(Default)]
pub(super) struct Ini {
    path: PathBuf,
    is_trusted: bool,
    sections: Vec<Section>,
}

struct Section {
    header: String,
    properties: Vec<Property>,
}

struct Property {
    key: String,
    /// Several lines are separated by newlines.
    value: Zeroizing<String>,
    line: usize,
    indent: usize,
}

/// A value, and where it stands.
#[derive(Clone)]
pub(super) struct Found<'a> {
    pub(super) value: &'a str,
    pub(super) place: Place,
    /// Whether the file is.
    pub(super) is_trusted: bool,
}

impl Ini {
    /// `is_trusted` says whether commands in a file may be run.
    pub(super) fn read(
        path: &Path,
        is_trusted: impl Fn(&Path, &File) -> bool,
    ) -> Result<Self, ProfileError> {
        let error = |problem| ProfileError::new(Place::File(path.to_owned()), problem);
        // To open a pipe would wait.
        let flags = OFlags::NONBLOCK.bits() as i32;
        let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Ok(Self::default());
            }
            // With this name, users turn a file off.
            Ok(_) if path == "/dev/null" => return Ok(Self::default()),
            opened => opened.map_err(|e| error(ProfileProblem::Read(e)))?,
        };
        let metadata = file.metadata().map_err(|e| error(ProfileProblem::Read(e)))?;
        if !metadata.is_file() {
            return Err(error(ProfileProblem::NotRegular));
        }
        let is_trusted = is_trusted(path, &file);
        let len = metadata.len().min(MAX_FILE_LEN as u64) as usize;
        let mut content = Zeroizing::new(Vec::with_capacity(len + 1));
        file.take(MAX_FILE_LEN as u64 + 1)
            .read_to_end(&mut content)
            .map_err(|e| error(ProfileProblem::Read(e)))?;
        if content.len() > MAX_FILE_LEN {
            return Err(error(ProfileProblem::TooLong(MAX_FILE_LEN)));
        }
        Ok(Self { is_trusted, ..Self::parse(path, &content)? })
    }

    pub(super) fn parse(path: &Path, content: &[u8]) -> Result<Self, ProfileError> {
        let mut sections: Vec<Section> = Vec::new();
        for (index, line) in content.split(|&byte| byte == b'\n').enumerate() {
            let error =
                |problem| ProfileError::new(Place::Line(path.to_owned(), index + 1), problem);
            let text = str::from_utf8(line).map_err(|_| error(ProfileProblem::NotUtf8))?;
            let indent = text.len() - text.trim_start().len();
            let text = text.trim();
            if text.is_empty() || text.starts_with(['#', ';']) {
                continue;
            }
            if let Some(property) = sections.last_mut().and_then(|s| s.properties.last_mut())
                && indent > property.indent
            {
                property.value.push('\n');
                property.value.push_str(text);
            } else if let Some(header) = text.strip_prefix('[') {
                let (header, _) =
                    header.split_once(']').ok_or_else(|| error(ProfileProblem::Syntax))?;
                sections.push(Section { header: header.trim().to_owned(), properties: Vec::new() });
            } else {
                let property = Property::parse(text, index + 1, indent);
                let section = sections.last_mut();
                let (section, property) =
                    section.zip(property).ok_or_else(|| error(ProfileProblem::Syntax))?;
                section.properties.push(property);
            }
        }
        Ok(Self { path: path.to_owned(), is_trusted: false, sections })
    }

    /// Whether there is a section whose header `is_wanted`.
    pub(super) fn has(&self, is_wanted: impl Fn(&str) -> bool) -> bool {
        self.sections.iter().any(|section| is_wanted(&section.header))
    }

    /// The last value of `key` in sections whose header `is_wanted`, unless it is empty.
    pub(super) fn get(&self, is_wanted: impl Fn(&str) -> bool, key: &str) -> Option<Found<'_>> {
        self.sections
            .iter()
            .filter(|section| is_wanted(&section.header))
            .flat_map(|section| &section.properties)
            .rfind(|property| property.key == key)
            .filter(|property| !property.value.is_empty())
            .map(|property| Found {
                value: &property.value,
                place: Place::Line(self.path.clone(), property.line),
                is_trusted: self.is_trusted,
            })
    }
}

impl Property {
    fn parse(text: &str, line: usize, indent: usize) -> Option<Self> {
        let (key, value) = text.split_once(['=', ':'])?;
        let key = key.trim_end().to_ascii_lowercase();
        let value = Zeroizing::new(value.trim_start().to_owned());
        (!key.is_empty()).then_some(Self { key, value, line, indent })
    }
}

impl<'a> Found<'a> {
    /// The value of `key` among the indented lines below this key.
    pub(super) fn nested(&self, key: &str) -> Option<Self> {
        let lines = self.value.strip_prefix('\n')?.lines();
        let mut pairs = lines.filter_map(|line| line.split_once('='));
        let (_, value) = pairs.rfind(|(name, _)| name.trim() == key)?;
        Some(Found { value: value.trim(), place: self.place.clone(), is_trusted: self.is_trusted })
    }

    /// A value without spaces, and without a comment that follows it: the AWS CLI has no such
    /// comments, but other tools of AWS have.
    pub(super) fn plain(&self, name: &'static str) -> Result<&'a str, ProfileError> {
        let words = self.value.split_whitespace().collect::<Vec<_>>();
        match words[..] {
            [word, ref comment @ ..]
                if comment.first().is_none_or(|next| next.starts_with(['#', ';']))
                    && !self.value.contains('\n')
                    && word.bytes().all(|byte| byte.is_ascii_graphic()) =>
            {
                Ok(word)
            }
            _ => Err(ProfileError::new(self.place.clone(), ProfileProblem::Value(name))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn parse(content: &[u8]) -> Result<Ini, String> {
        Ini::parse(Path::new("f"), content).map_err(|error| error.to_string())
    }

    fn get(ini: &Ini, section: &str, key: &str) -> Option<(String, Place)> {
        ini.get(|header| header == section, key).map(|found| (found.value.to_owned(), found.place))
    }

    #[test]
    fn sections_keys_comments_and_several_lines_are_read() {
        let ini = parse(
            b"# comment\n; comment\n[a] # comment\r\nKEY = v = w\r\nother:x\n  # comment\n\n  y\n\
              s3 =\n    one = 1\n\n    two = 2 \n[ b ]\n  key = z\n  next = n\nempty =\n[a]\nlast = l",
        )
        .unwrap();
        let at = |text: &str, line| Some((text.to_owned(), Place::Line("f".into(), line)));
        assert_eq!(get(&ini, "a", "key"), at("v = w", 4));
        assert_eq!(get(&ini, "a", "other"), at("x\ny", 5));
        assert_eq!(get(&ini, "a", "last"), at("l", 18));
        assert_eq!(get(&ini, "b", "key"), at("z", 14));
        assert_eq!(get(&ini, "b", "next"), at("n", 15));
        assert_eq!(get(&ini, "b", "empty"), None);
        assert_eq!(get(&ini, "b", "last"), None);
        assert_eq!(get(&ini, "c", "key"), None);
        let s3 = ini.get(|header| header == "a", "s3").unwrap();
        assert_eq!(s3.nested("two").unwrap().value, "2");
        assert!(s3.nested("three").is_none());
        let flat = ini.get(|header| header == "b", "key").unwrap();
        assert!(flat.nested("z").is_none());
    }

    #[test]
    fn errors_name_the_line_and_not_its_content() {
        for (content, message) in [
            (&b"\n[a\n"[..], "f:2: is neither `[SECTION]` nor `KEY = VALUE` in a section"),
            (b"[a]\nsecret", "f:2: is neither `[SECTION]` nor `KEY = VALUE` in a section"),
            (b"[a]\n= secret", "f:2: is neither `[SECTION]` nor `KEY = VALUE` in a section"),
            (b"k = secret", "f:1: is neither `[SECTION]` nor `KEY = VALUE` in a section"),
            (b"[a]\nk = \xff", "f:2: is not UTF-8"),
        ] {
            assert_eq!(parse(content).err().unwrap(), message);
        }
    }

    #[test]
    fn plain_values_have_no_spaces_but_may_have_a_comment() {
        let plain = |value| {
            let found = Found { value, place: Place::Line("f".into(), 3), is_trusted: true };
            found.plain("region").map_err(|error| error.to_string())
        };
        assert_eq!(plain("eu-west-1"), Ok("eu-west-1"));
        assert_eq!(plain("eu-west-1 # here"), Ok("eu-west-1"));
        assert_eq!(plain("eu#west;1"), Ok("eu#west;1"));
        for value in ["", "eu west", "eu\nwest = 1", "eu\n#", "\u{e9}", "eu\u{1}"] {
            assert_eq!(plain(value), Err("f:3: region has an invalid value".to_owned()));
        }
    }

    #[test]
    fn only_regular_files_of_reasonable_size_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let read = |path: &Path| Ini::read(path, |_, _| true);
        let error = |path: &Path| read(path).map(|_| ()).unwrap_err().problem().to_string();
        assert!(read(&folder.path().join("missing")).unwrap().sections.is_empty());
        assert!(read(Path::new("/dev/null")).unwrap().sections.is_empty());
        let pipe = folder.path().join("pipe");
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, kind, rustix::fs::Mode::RWXU, 0).unwrap();
        assert_eq!(error(&pipe), ProfileProblem::NotRegular.to_string());
        assert_eq!(error(folder.path()), ProfileProblem::NotRegular.to_string());
        let file = folder.path().join("file");
        fs::write(&file, [b'\n'; MAX_FILE_LEN]).unwrap();
        assert!(read(&file).is_ok());
        fs::write(&file, [b'\n'; MAX_FILE_LEN + 1]).unwrap();
        assert_eq!(error(&file), ProfileProblem::TooLong(MAX_FILE_LEN).to_string());
    }
}
