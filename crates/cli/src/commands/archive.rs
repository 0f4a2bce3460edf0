//! Folders as one encrypted archive: `encrypt --archive`, `decrypt --extract`, `list`.
//!
//! A thread packs the folder into a pipe that the engine reads. An archive is parsed by a sandboxed
//! process at the other end of a pipe from the engine: [`parser_process`] starts it, [`parser`]
//! is what it does.

#[cfg(feature = "protection-switches")]
mod attempts;
mod extract;
mod list;
mod pack;
mod parser;
mod parser_process;

use std::fs::File;
use std::io::Read;

use cryptstream_archive::is_zstd;
use cryptstream_engine::Target;

pub(super) use self::extract::run as extract;
pub(super) use self::list::run as list;
pub(super) use self::pack::run as pack;
pub(crate) use self::parser::{PARSER_ARGUMENT, parser_main};
use crate::messages::{self, archive};

/// Warns if a compressed archive was decrypted to the name of an uncompressed one.
pub(super) fn note_zstd(target: &Target) {
    let Target::Path { path, .. } = target else { return };
    if path.extension().is_none_or(|end| end != "tar") {
        return;
    }
    let mut head = [0; 4];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut head));
    if read.is_ok() && is_zstd(&head) {
        messages::warn(&archive::is_zstd(path));
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use cryptstream_format::Format;

    use super::extract::unpacked_name;
    use super::pack::packed_name;

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
        assert_eq!(unpacked_name(Path::new("...tar.enc")).unwrap(), Path::new("...tar"));
        assert!(unpacked_name(Path::new("x.tar")).is_err());
        assert!(unpacked_name(Path::new("..enc")).is_err());
        assert!(packed_name(Path::new("."), false, Format::Native).is_err());
    }
}
