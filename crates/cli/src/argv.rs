//! Takes the passphrase, and the queries of URLs, out of the process's arguments.
//!
//! Every user of the machine can read a process's arguments. `--key` exists all the same,
//! because it is the first thing that people try, and presigned URLs are passed in no other way. So
//! the program starts by overwriting what is secret in its own memory. Until then it is visible,
//! and the help says so.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use cryptstream_engine::program::SecretScope;
use cryptstream_remote::Scheme;
use zeroize::Zeroizing;

use crate::initial_memory::InitialMemory;

const FLAG: &[u8] = b"--key";
const FLAG_WITH_VALUE: &[u8] = b"--key=";

/// The placeholder that the parser sees instead of the value.
const TAKEN: &str = "(taken)";

/// Returns the arguments without the value of `--key`, and that value.
pub(crate) fn take_key() -> (Vec<OsString>, Option<Zeroizing<Vec<u8>>>) {
    let (arguments, key) = split(std::env::args_os());
    if key.is_some() || arguments.iter().any(|argument| query(argument.as_bytes()).is_some()) {
        // Without /proc this fails, but then `ps` cannot show the value either.
        let _ = overwrite_values();
    }
    (arguments, key)
}

/// Replaces the value of `--key` by a placeholder. Like the parser, it stops at `--`.
fn split(arguments: impl Iterator<Item = OsString>) -> (Vec<OsString>, Option<Zeroizing<Vec<u8>>>) {
    let mut rest = Vec::new();
    let mut key = None;
    let mut is_value = false;
    let mut is_over = false;
    for argument in arguments {
        if is_value {
            key = Some(secret(argument, 0));
            rest.push(TAKEN.into());
            is_value = false;
        } else if is_over {
            rest.push(argument);
        } else if argument.as_bytes().starts_with(FLAG_WITH_VALUE) {
            key = Some(secret(argument, FLAG_WITH_VALUE.len()));
            rest.push(format!("--key={TAKEN}").into());
        } else {
            is_value = argument.as_bytes() == FLAG;
            is_over = argument == "--";
            rest.push(argument);
        }
    }
    (rest, key)
}

/// Copies the argument from `start` on into locked memory, and wipes the argument.
fn secret(argument: OsString, start: usize) -> Zeroizing<Vec<u8>> {
    let argument = Zeroizing::new(argument.into_vec());
    let _secrets = SecretScope::open();
    Zeroizing::new(argument[start..].to_vec())
}

/// Where the query of a URL of the web begins, which may contain a signature.
fn query(argument: &[u8]) -> Option<usize> {
    let is_web = Scheme::of(OsStr::from_bytes(argument)).is_some_and(Scheme::is_web);
    is_web.then(|| argument.iter().position(|byte| *byte == b'?'))?
}

/// Overwrites the values of `--key`, and queries, in the memory that `/proc/PID/cmdline` shows.
fn overwrite_values() -> io::Result<()> {
    let cmdline = Zeroizing::new(fs::read("/proc/self/cmdline")?);
    let memory = InitialMemory::open()?;
    for (offset, len) in values(&cmdline) {
        memory.write(memory.arguments + offset as u64, &vec![0; len])?;
    }
    Ok(())
}

/// The offsets and lengths of the values of `--key`, and of queries, in the NUL-terminated
/// arguments.
fn values(cmdline: &[u8]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut offset = 0;
    let mut is_value = false;
    let mut is_over = false;
    for argument in cmdline.split(|byte| *byte == 0) {
        if is_value {
            found.push((offset, argument.len()));
            is_value = false;
        } else if let Some(start) = query(argument) {
            found.push((offset + start, argument.len() - start));
        } else if is_over {
            // Only names of files follow.
        } else if argument.starts_with(FLAG_WITH_VALUE) {
            let skip = FLAG_WITH_VALUE.len();
            found.push((offset + skip, argument.len() - skip));
        } else {
            is_value = argument == FLAG;
            is_over = argument == b"--";
        }
        offset += argument.len() + 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split_strings(arguments: &[&str]) -> (Vec<String>, Option<Vec<u8>>) {
        let (rest, key) = split(arguments.iter().map(OsString::from));
        let rest = rest.into_iter().map(|argument| argument.into_string().unwrap()).collect();
        (rest, key.map(|key| key.to_vec()))
    }

    #[test]
    fn the_value_is_found_in_both_spellings_and_nowhere_else() {
        let (rest, key) = split_strings(&["cs", "encrypt", "a", "--key", "secret", "b"]);
        assert_eq!(rest, ["cs", "encrypt", "a", "--key", TAKEN, "b"]);
        assert_eq!(key.unwrap(), b"secret");
        let (rest, key) = split_strings(&["cs", "--key=a=b", "--", "--key", "file"]);
        assert_eq!(rest, ["cs", "--key=(taken)", "--", "--key", "file"]);
        assert_eq!(key.unwrap(), b"a=b");
        assert_eq!(split_strings(&["cs", "--keys", "x"]).1, None);
        assert_eq!(split_strings(&["cs", "--key"]).1, None);
    }

    #[test]
    fn the_values_place_in_memory_is_found() {
        assert_eq!(values(b"cs\0--key\0secret\0b\0"), [(9, 6)]);
        assert_eq!(values(b"cs\0--key=secret\0"), [(9, 6)]);
        assert_eq!(values(b"cs\0--\0--key\0file\0"), []);
        assert_eq!(values(b"cs\0https://h/k?sig\0--\0http://h?x\0"), [(14, 4), (30, 2)]);
        assert_eq!(values(b"cs\0s3://b/k?x\0a?b\0"), []);
    }
}
