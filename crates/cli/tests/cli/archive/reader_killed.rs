//! The process that reads archives is killed while it starts.

use crate::common::Dir;
use crate::common::failing_calls::can;

/// That is no system without a sandbox: the archive is never read without one.
#[test]
fn an_archive_is_not_read_without_a_sandbox_because_the_reader_was_killed() {
    if !can("strace -V", "the program `strace`") {
        return;
    }
    let dir = Dir::new();
    dir.keygen("id");
    std::fs::create_dir(dir.path("in")).unwrap();
    dir.write("in/file", "content");
    dir.run(&["encrypt", "--archive", "-i", "id", "in", "sealed"]).ok();
    let kill = "strace -f -qq -o /dev/null -e trace=landlock_create_ruleset \
                -e inject=landlock_create_ruleset:signal=KILL";
    for what in ["decrypt --extract sealed out", "list sealed"] {
        let script = format!("{kill} \"$CS\" {what} -i id");
        let words = ["ended by signal 9 while it started", "help: nothing was written"];
        let done = dir.fails(dir.shell(&script), 75, &words);
        assert!(!done.stderr_text().contains("without a sandbox"), "{done:?}");
        assert_eq!(done.stdout_text(), "");
        // There, the process that parses the header is killed first.
        dir.fails(dir.shell(&format!("{script} --sandbox require")), 75, &["killed"]);
    }
}
