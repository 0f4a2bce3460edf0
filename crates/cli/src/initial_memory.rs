//! The memory with the arguments and the environment that the process was started with.
//! `/proc/PID/cmdline` and `/proc/PID/environ` show this memory, and the C library's environment
//! points into it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;

/// Field numbers in /proc/self/stat, from 1 (proc_pid_stat(5)).
const ARG_START: usize = 48;
const ENV_START: usize = 50;

/// Both areas, to be changed in place. Only use it before a second thread starts, and before
/// anything holds a reference into the environment.
pub(crate) struct InitialMemory {
    memory: File,
    pub(crate) arguments: u64,
    pub(crate) environment: u64,
}

impl InitialMemory {
    /// # Errors
    /// If /proc is not mounted.
    pub(crate) fn open() -> io::Result<Self> {
        let stat = fs::read_to_string("/proc/self/stat")?;
        let field = |number| field(&stat, number).ok_or(io::ErrorKind::InvalidData);
        let (arguments, environment) = (field(ARG_START)?, field(ENV_START)?);
        let memory = OpenOptions::new().write(true).open("/proc/self/mem")?;
        Ok(Self { memory, arguments, environment })
    }

    /// Overwrites the memory at an address.
    pub(crate) fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.memory.write_all_at(bytes, at)
    }
}

/// A field of /proc/self/stat. The second field is the program's name in parentheses, which may
/// contain any character.
fn field(stat: &str, number: usize) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(number - 3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_whatever_the_program_is_called() {
        let fields: Vec<_> = (3..=52).map(|field| (field * 1000).to_string()).collect();
        let stat = format!("1 (a ) 7) {}", fields.join(" "));
        assert_eq!(field(&stat, ARG_START), Some(48_000));
        assert_eq!(field(&stat, ENV_START), Some(50_000));
    }
}
