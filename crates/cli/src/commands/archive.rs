//! Folders as one sealed archive: `encrypt --archive`, `decrypt --extract`, `list`.
//!
//! Packing is done on a thread at the other end of a pipe from the engine. What reads
//! an archive is a process at the other end of that pipe, locked in: [`reader_process`]
//! starts it, [`reader`] is what it does.

#[cfg(feature = "protection-switches")]
mod attempts;
mod extract;
mod list;
mod pack;
mod reader;
mod reader_process;

use std::fs::File;
use std::io::Read;
use std::process::ExitCode;

use cryptstream_archive::is_zstd;
use cryptstream_engine::Target;
use zeroize::Zeroizing;

pub(super) use self::list::run as list;
pub(crate) use self::reader::{READER_ARGUMENT, reader_main};
use crate::args::{Decrypt, Encrypt, Talk};
use crate::messages::{self, Failure, archive};
use crate::report::Status;

pub(super) fn encrypt(args: Encrypt, key: Option<Zeroizing<Vec<u8>>>, talk: Talk) -> ExitCode {
    let mut is_stdout_data = false;
    match pack::run(args, key, talk, &mut is_stdout_data) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failures) => report_all(&failures, talk, is_stdout_data),
    }
}

pub(super) fn decrypt(args: Decrypt, key: Option<Zeroizing<Vec<u8>>>, talk: Talk) -> ExitCode {
    match extract::run(args, key, talk) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => report_all(&[failure], talk, false),
    }
}

/// Says so where a compressed archive was decrypted to the name of a plain one.
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

/// Says what failed; a program is told of the first failure.
fn report_all(failures: &[Failure], talk: Talk, is_stdout_data: bool) -> ExitCode {
    let mut status = Status::default();
    if let (true, Some(first)) = (talk.json, failures.first()) {
        messages::print_json_error(first, is_stdout_data);
    }
    failures.iter().for_each(|failure| status.fail(failure, talk.json));
    status.exit_code()
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
        assert!(unpacked_name(Path::new("x.tar")).is_err());
        assert!(packed_name(Path::new("."), false, Format::Native).is_err());
    }
}
