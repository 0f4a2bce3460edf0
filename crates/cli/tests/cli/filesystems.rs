//! File systems and systems that lack something: what is written must come into being in
//! another way, whole, with nothing left beside it. As cp(1), rsync and restic, which ask
//! no more of a file system than that it takes files. `ci/filesystems.sh` tries real ones.

use crate::common::*;
use crate::shortages::can;

/// Runs what comes after `--` where some system calls fail: each is NAME=ERROR. `tmpfile`
/// are the calls that would open an unnamed file.
const LACKING: &str = r#"
import ctypes, errno, os, platform, struct, sys
NUMBERS = {
    "x86_64": {
        "tmpfile": 257, "linkat": 265, "renameat2": 316, "fsync": 74, "fdatasync": 75,
        "fchmod": 91, "fchown": 93, "utimensat": 280, "fallocate": 285, "flock": 73,
        "openat2": 437, "fgetxattr": 193, "flistxattr": 196, "fadvise64": 221,
        "copy_file_range": 326, "ioctl": 16,
    },
    "aarch64": {
        "tmpfile": 56, "linkat": 37, "renameat2": 276, "fsync": 82, "fdatasync": 83,
        "fchmod": 52, "fchown": 55, "utimensat": 88, "fallocate": 47, "flock": 32,
        "openat2": 437, "fgetxattr": 10, "flistxattr": 13, "fadvise64": 223,
        "copy_file_range": 285, "ioctl": 29,
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

/// What systems answer that have no unnamed files.
const NO_UNNAMED: &[&str] =
    &["EOPNOTSUPP", "EPERM", "ENOSYS", "EACCES", "ENXIO", "EISDIR", "EINVAL", "ENOENT"];

/// What a file system or a filter of system calls may lack besides.
const FAULTS: &[&str] = &[
    "linkat=EPERM",
    "linkat=EOPNOTSUPP",
    "tmpfile=EOPNOTSUPP renameat2=EINVAL",
    "tmpfile=EOPNOTSUPP renameat2=ENOSYS linkat=EPERM",
    "fsync=EINVAL fdatasync=EINVAL",
    "fallocate=EOPNOTSUPP copy_file_range=ENOSYS fadvise64=EINVAL ioctl=ENOTTY",
    "flock=ENOLCK openat2=ENOSYS fchown=EPERM fgetxattr=EOPNOTSUPP flistxattr=EOPNOTSUPP",
];

const BRIEF: &str = "
    $CS encrypt -i id small out/small
    $CS encrypt -i id small out/small --force
    $CS decrypt -i id out/small - | cmp - small";

const WHOLE: &str = "
    $CS encrypt -i id small out/small
    $CS encrypt -i id large out/large
    $CS encrypt -i id small out/small 2> /dev/null && exit 1 || test $? = 73
    $CS encrypt -i id large out/large --force
    $CS decrypt -i id out/large out/opened --verify-output
    cmp large out/opened
    $CS encrypt -i id tree out/tree
    $CS encrypt -i id tree out/tree
    $CS decrypt -i id out/tree out/back
    diff -r tree out/back
    $CS encrypt -i id --archive tree out/packed
    $CS decrypt -i id --extract out/packed out/unpacked
    diff -r tree out/unpacked
    $CS decrypt -i id --extract out/packed out/unpacked --force 2> /dev/null
    $CS keygen -o out/id 2> /dev/null
    $CS rekey -i id out/large --new-identity out/id
    $CS rekey -i id out/small --new-identity out/id
    $CS verify -q -i out/id out/large out/small";

/// A folder, and what wraps a program so that it lacks something; `None` where that
/// cannot be done here.
fn lacking() -> Option<(Dir, String)> {
    let dir = Dir::new();
    let script = dir.write("lacking.py", LACKING);
    let wrap = format!("python3 {}", script.display());
    can(&format!("{wrap} flock=ENOLCK -- /bin/true"), "Python 3 and seccomp filters")
        .then_some(())?;
    dir.run(&["keygen", "-o", "id"]).ok();
    dir.write("small", "small");
    Some((dir, wrap))
}

#[test]
fn what_a_file_system_lacks_is_done_in_another_way() {
    let Some((dir, wrap)) = lacking() else { return };
    dir.write("large", vec![7; 5 << 18]);
    std::fs::create_dir_all(dir.path("tree/sub")).unwrap();
    dir.write("tree/a", "a");
    dir.write("tree/sub/b", vec![1; 1 << 18]);
    let unnamed = NO_UNNAMED.iter().map(|error| (format!("tmpfile={error}"), BRIEF));
    let others = FAULTS.iter().map(|faults| ((*faults).to_owned(), WHOLE));
    for (faults, script) in unnamed.chain(others) {
        let script =
            format!("set -e; mkdir out{script}\ntest -z \"$(find out -name '.*')\"; rm -r out");
        dir.write("script", script);
        let done = dir.shell(&format!("{wrap} {faults} -- /bin/sh script")).run();
        assert_eq!(done.code(), Some(0), "{faults}: {}", done.stderr_text());
    }
}

/// Whoever asks for durability is told that it is not to be had, and loses nothing.
#[test]
fn what_cannot_be_made_durable_is_said_where_that_was_asked_for() {
    let Some((dir, wrap)) = lacking() else { return };
    for option in ["--sync", "--remove-source"] {
        let script = format!("{wrap} fsync=EINVAL -- $CS encrypt -i id small out {option}");
        let run = dir.shell(&script).run();
        assert_eq!(run.code(), Some(74));
        assert!(run.stderr_text().contains("out: is complete"), "{}", run.stderr_text());
        assert_eq!(dir.read("small"), b"small");
        dir.shell("$CS decrypt -i id out - | cmp - small && rm out").run().ok();
    }
}
