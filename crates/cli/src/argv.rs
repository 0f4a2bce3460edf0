//! Takes the passphrase out of the process's arguments.
//!
//! Everybody on the machine can read a process's arguments. `--key` is
//! offered all the same, because it is the first thing that anybody tries;
//! so the program overwrites the value in its own memory as its first deed.
//! What was visible until then cannot be taken back, and the help says so.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileExt;

use zeroize::Zeroizing;

const FLAG: &[u8] = b"--key";
const FLAG_WITH_VALUE: &[u8] = b"--key=";

/// What stands in for the value where the arguments are parsed.
const TAKEN: &str = "(taken)";

/// The arguments without the value of `--key`, and that value.
pub(crate) fn take() -> (Vec<OsString>, Option<Zeroizing<Vec<u8>>>) {
    let (arguments, key) = split(std::env::args_os());
    if key.is_some() {
        // Without /proc there is no way, but also no `ps` that would show it.
        let _ = blank();
    }
    (arguments, key)
}

/// Replaces the value of `--key` by a placeholder, found as the parser will
/// find it: not behind `--`.
fn split(arguments: impl Iterator<Item = OsString>) -> (Vec<OsString>, Option<Zeroizing<Vec<u8>>>) {
    let mut rest = Vec::new();
    let mut key = None;
    let mut is_value = false;
    let mut is_over = false;
    for argument in arguments {
        if is_value {
            key = Some(Zeroizing::new(argument.into_vec()));
            rest.push(TAKEN.into());
            is_value = false;
        } else if is_over {
            rest.push(argument);
        } else if let Some(value) = argument.as_bytes().strip_prefix(FLAG_WITH_VALUE) {
            key = Some(Zeroizing::new(value.to_vec()));
            rest.push(format!("--key={TAKEN}").into());
        } else {
            is_value = argument.as_bytes() == FLAG;
            is_over = argument == "--";
            rest.push(argument);
        }
    }
    (rest, key)
}

/// Overwrites the values of `--key` in the memory from which the system
/// answers for the arguments.
fn blank() -> io::Result<()> {
    let cmdline = Zeroizing::new(fs::read("/proc/self/cmdline")?);
    let start = argument_area_start(&fs::read_to_string("/proc/self/stat")?)
        .ok_or(io::ErrorKind::InvalidData)?;
    let memory = OpenOptions::new().write(true).open("/proc/self/mem")?;
    for (offset, len) in values(&cmdline) {
        memory.write_all_at(&vec![0; len], start + offset as u64)?;
    }
    Ok(())
}

/// Where the values of `--key` lie in the NUL-terminated arguments.
fn values(cmdline: &[u8]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut offset = 0;
    let mut is_value = false;
    for argument in cmdline.split(|byte| *byte == 0) {
        if is_value {
            found.push((offset, argument.len()));
            is_value = false;
        } else if argument.starts_with(FLAG_WITH_VALUE) {
            let skip = FLAG_WITH_VALUE.len();
            found.push((offset + skip, argument.len() - skip));
        } else if argument == b"--" {
            break;
        } else {
            is_value = argument == FLAG;
        }
        offset += argument.len() + 1;
    }
    found
}

/// Field 48, `arg_start`, of /proc/self/stat (proc_pid_stat(5)). The second
/// field is the program's name in parentheses and may hold anything.
fn argument_area_start(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(48 - 3)?.parse().ok()
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
    }

    #[test]
    fn the_argument_area_is_found_whatever_the_program_is_called() {
        let fields: Vec<_> = (3..=52).map(|field| (field * 1000).to_string()).collect();
        let stat = format!("1 (a ) 7) {}", fields.join(" "));
        assert_eq!(argument_area_start(&stat), Some(48_000));
    }
}
