//! Systems and file systems that lack a feature: the output is written in another way, complete,
//! and with nothing left beside it. The models are cp(1), rsync and restic, which need no more than
//! that a file system stores files. `ci/filesystems.sh` tries real file systems.

use crate::common::Dir;
use crate::common::failing_calls::FailingCalls;

/// The errors of systems without unnamed files.
const NO_UNNAMED: &[&str] =
    &["EOPNOTSUPP", "EPERM", "ENOSYS", "EACCES", "ENXIO", "EISDIR", "EINVAL", "ENOENT"];

/// Other features that a file system or a filter of system calls may lack.
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
    $CS decrypt -i id out/large out/decrypted --verify-output
    cmp large out/decrypted
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

/// A folder, and a way to make system calls fail; `None` if that is not possible here.
fn lacking() -> Option<(Dir, FailingCalls)> {
    let dir = Dir::new();
    let calls = FailingCalls::new(&dir)?;
    dir.run(&["keygen", "-o", "id"]).ok();
    dir.write("small", "small");
    Some((dir, calls))
}

#[test]
fn outputs_are_complete_on_limited_file_systems() {
    let Some((dir, calls)) = lacking() else { return };
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
        let done = dir.shell(&format!("{} /bin/sh script", calls.wrap(&faults))).run();
        assert_eq!(done.code(), Some(0), "{faults}: {}", done.stderr_text());
    }
}

/// A user who asks for durability learns that it is not available, and loses nothing.
#[test]
fn sync_reports_a_file_system_without_fsync() {
    let Some((dir, calls)) = lacking() else { return };
    for option in ["--sync", "--remove-source"] {
        let script = format!("{} $CS encrypt -i id small out {option}", calls.wrap("fsync=EINVAL"));
        let run = dir.shell(&script).run();
        assert_eq!(run.code(), Some(74));
        assert!(run.stderr_text().contains("out: is complete"), "{}", run.stderr_text());
        assert_eq!(dir.read("small"), b"small");
        dir.shell("$CS decrypt -i id out - | cmp - small && rm out").run().ok();
    }
}
