//! Makes system calls fail, as on a system or a file system that does not support them.

use std::path::PathBuf;
use std::process::Command;

use super::Dir;

/// Runs programs with some system calls failing.
pub struct FailingCalls {
    script: PathBuf,
}

impl FailingCalls {
    /// Writes the script `failing_calls.py` to the folder. Returns `None` if system calls cannot be
    /// made to fail on this machine.
    pub fn new(dir: &Dir) -> Option<Self> {
        let script = dir.write("failing_calls.py", SCRIPT);
        let calls = Self { script };
        let trial = format!("{} /bin/true", calls.wrap("flock=ENOLCK"));
        can(&trial, "Python 3 and seccomp filters").then_some(calls)
    }

    /// The prefix of a command line. `faults` are words of the form NAME=ERROR; `tmpfile` is any
    /// call that would open an unnamed file.
    pub fn wrap(&self, faults: &str) -> String {
        format!("python3 {} {faults} --", self.script.display())
    }
}

/// Whether a script succeeds; if not, prints that the test is skipped.
pub fn can(script: &str, lacks: &str) -> bool {
    let can = Command::new("bash").args(["-c", script]).output().is_ok_and(|o| o.status.success());
    if !can {
        eprintln!("skipped: this test needs {lacks}");
    }
    can
}

/// Runs the command after `--` under a seccomp filter.
const SCRIPT: &str = r#"
import ctypes, errno, os, platform, struct, sys
NUMBERS = {
    "x86_64": {
        "tmpfile": 257, "linkat": 265, "renameat2": 316, "fsync": 74, "fdatasync": 75,
        "fchmod": 91, "fchown": 93, "utimensat": 280, "fallocate": 285, "flock": 73,
        "openat2": 437, "fgetxattr": 193, "flistxattr": 196, "fadvise64": 221,
        "copy_file_range": 326, "ioctl": 16, "seccomp": 317,
        "landlock_create_ruleset": 444,
    },
    "aarch64": {
        "tmpfile": 56, "linkat": 37, "renameat2": 276, "fsync": 82, "fdatasync": 83,
        "fchmod": 52, "fchown": 55, "utimensat": 88, "fallocate": 47, "flock": 32,
        "openat2": 437, "fgetxattr": 10, "flistxattr": 13, "fadvise64": 223,
        "copy_file_range": 285, "ioctl": 29, "seccomp": 277,
        "landlock_create_ruleset": 444,
    },
}
TMPFILE = 0o20000000
numbers = NUMBERS.get(platform.machine())
if numbers is None:
    sys.exit(99)
at = sys.argv.index("--")
code = []
for name, error in (fault.split("=") for fault in sys.argv[1:at]):
    fail = (0x06, 0, 0, 0x00050000 | getattr(errno, error))
    # The number of the call; then, of one for opening, its flags.
    code += [(0x20, 0, 0, 0)]
    if name == "tmpfile":
        code += [(0x15, 0, 3, numbers[name]), (0x20, 0, 0, 32), (0x45, 0, 1, TMPFILE), fail]
    else:
        code += [(0x15, 0, 1, numbers[name]), fail]
code += [(0x06, 0, 0, 0x7fff0000)]
text = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in code))
class Program(ctypes.Structure):
    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
program = Program(len(code), ctypes.cast(text, ctypes.c_void_p))
libc = ctypes.CDLL(None)
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.byref(program), 0, 0):
    sys.exit(99)
os.execv(sys.argv[at + 1], sys.argv[at + 1:])
"#;
