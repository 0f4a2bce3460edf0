//! What `job submit` gives to engines. `ci/slurm.sh` runs it on a real cluster.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};

use crate::common::group::wait_until;
use crate::common::tree::described;
use crate::common::{Dir, Run, test_bytes, wait};
use crate::json::Printed;

/// Keeps what it is called with and its script, and prints a number.
const SBATCH: &str = r#"#!/bin/sh
n=$(ls | grep -c '^[0-9]*\.args$')
printf '%s\n' "$@" "passphrase ${CRYPTSTREAM_PASSPHRASE-unset}" > "$n.args"
cat > "$n.sh"
[ "$n" -lt "$(cat refused-from)" ] || { echo 'sbatch: error: no such partition' >&2; exit 1; }
echo "$((100 + n));cluster"
"#;

/// A job of so many shards in `a job`, and programs of Slurm in `bin`.
fn prepared(shards: usize) -> Dir {
    let dir = Dir::new();
    let recipient = dir.keygen("key");
    fs::create_dir(dir.path("src")).unwrap();
    for number in 0..10 {
        dir.write(format!("src/file {number}"), test_bytes(number * 1009));
    }
    let shards = shards.to_string();
    let args = ["job", "plan", "-r", &recipient, "src", "dst", "--job", "a job", "--shards"];
    dir.run(&[&args[..], &[&shards]].concat()).ok();
    fs::create_dir(dir.path("bin")).unwrap();
    dir.write("refused-from", "99");
    for (name, script) in [
        ("sbatch", SBATCH),
        ("scancel", "#!/bin/sh\necho \"$@\" > cancelled\n"),
        ("squeue", "#!/bin/sh\ncat state\n"),
        ("scontrol", "#!/bin/sh\necho \"$@\" > controlled\nexit 1\n"),
    ] {
        program(&dir, name, script);
    }
    dir
}

fn program(dir: &Dir, name: &str, script: &str) {
    let path = dir.write(format!("bin/{name}"), script);
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// With the programs of Slurm.
fn with_slurm(dir: &Dir, run: Run) -> Run {
    let path = format!("{}:{}", dir.path("bin").display(), std::env::var("PATH").unwrap());
    run.env("PATH", path)
}

fn submit(dir: &Dir, args: &[&str]) -> Run {
    let all = [&["job", "submit", "--job", "a job", "--engine", "slurm"][..], args].concat();
    with_slurm(dir, dir.command(&all)).env("CRYPTSTREAM_PASSPHRASE", "secret")
}

/// Runs a script as a task of Slurm.
fn task(dir: &Dir, script: &str, number: usize) -> Run {
    let run = with_slurm(dir, dir.shell(&format!("exec sh {script}")));
    let run = run.env("SLURM_ARRAY_TASK_ID", number.to_string()).env("SLURM_JOB_ID", "7");
    run.env("SLURM_ARRAY_JOB_ID", "7")
}

fn text(dir: &Dir, name: impl AsRef<Path>) -> String {
    String::from_utf8(dir.read(name.as_ref())).unwrap()
}

#[test]
fn the_scripts_for_slurm_run_all_shards_and_finish_the_job() {
    let dir = prepared(3);
    let done = submit(&dir, &["-o", "partition=long one", "-o", "exclusive", "--json"]).run().ok();
    let report = done.json(&done.stdout);
    assert_eq!((&report["action"], &report["engine"]), (&"submit".into(), &"slurm".into()));
    assert_eq!(report["ids"], serde_json::json!(["100", "101"]));
    let mut printed = Printed::default();
    printed.take("job submit", "report", &done.stdout);
    printed.check();
    let arguments = text(&dir, "0.args");
    for argument in ["--requeue", "--array=0-2", "--partition=long one", "--exclusive"] {
        assert!(arguments.lines().any(|line| line == argument), "{argument}: {arguments}");
    }
    // Slurm gets no secret.
    assert!(arguments.ends_with("\npassphrase unset\n"), "{arguments}");
    assert!(text(&dir, "1.args").contains("\n--dependency=afterany:100\n"));

    for number in [2, 0, 1] {
        task(&dir, "0.sh", number).run().ok();
    }
    task(&dir, "1.sh", 0).run().ok();
    dir.run(&["decrypt", "-i", "key", "dst", "again"]).ok();
    assert!(described(&dir.path("src")) == described(&dir.path("again")));
    assert!(!dir.path("controlled").exists());
    assert_eq!(submit(&dir, &[]).run().code(), Some(78));
}

#[test]
fn the_printed_script_submits_the_same() {
    let dir = prepared(1001);
    submit(&dir, &["-o", "time=1:00:00"]).run().ok();
    let print = || submit(&dir, &["-o", "time=1:00:00", "--print"]).run().ok();
    let (printed, again) = (print(), print());
    assert_eq!(printed.stdout_text(), again.stdout_text());
    dir.write("submit.sh", &printed.stdout);
    assert!(!dir.path("3.args").exists());
    let script = dir.shell("exec sh submit.sh").env("CRYPTSTREAM_PASSPHRASE", "secret");
    with_slurm(&dir, script).run().ok();
    // Two arrays, and the task that finishes the job.
    for (number, array) in [(0, "--array=0-999"), (1, "--array=0-0"), (2, "--dependency")] {
        let arguments = |number: usize| {
            let lines = text(&dir, format!("{number}.args"));
            let mut lines: Vec<_> = lines.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        let expected = arguments(number);
        assert!(expected.iter().any(|line| line.starts_with(array)), "{expected:?}");
        // The numbers of the arrays before.
        let of_submit = |line: String| line.replace("afterany:103:104", "afterany:100:101");
        let printed: Vec<_> = arguments(number + 3).into_iter().map(of_submit).collect();
        assert_eq!(printed, expected);
        let script = |number: usize| text(&dir, format!("{number}.sh"));
        assert_eq!(script(number + 3), script(number));
    }
    assert!(text(&dir, "1.sh").contains("--shard \"$((1000 + SLURM_ARRAY_TASK_ID))/1001\""));
}

#[test]
fn a_task_of_slurm_asks_to_be_run_again_if_that_may_help() {
    let dir = prepared(2);
    for (status, state, restarts, is_asked) in [
        (0, "RUNNING", "0", false),
        (65, "RUNNING", "0", false),
        (75, "RUNNING", "0", true),
        (75, "RUNNING", "10", false),
        // Cancelled by the user, or preempted by Slurm.
        (75, "COMPLETING", "0", false),
        (137, "RUNNING", "3", true),
    ] {
        program(&dir, "fake", &format!("#!/bin/sh\necho \"$@\" >> calls\nexit {status}\n"));
        let fake = dir.path("bin/fake");
        submit(&dir, &["--program", fake.to_str().unwrap()]).run().ok();
        dir.write("state", state);
        for script in ["0.sh", "1.sh"] {
            let _ = fs::remove_file(dir.path("controlled"));
            let done = task(&dir, script, 1).env("SLURM_RESTART_COUNT", restarts).run();
            assert_eq!(done.code(), Some(status), "{done:?}");
            let asked = dir.path("controlled").exists();
            assert_eq!(asked, is_asked, "{status} {state} {restarts} {script}");
            if asked {
                assert_eq!(text(&dir, "controlled"), "requeue 7_1\n");
            }
        }
        assert!(text(&dir, "calls").contains("a job --progress never --shard 1/2\n"));
        for file in ["0.args", "1.args", "0.sh", "1.sh", "calls"] {
            fs::remove_file(dir.path(file)).unwrap();
        }
    }
}

#[test]
fn a_signal_to_the_script_reaches_the_run() {
    let dir = prepared(1);
    let fake = "#!/bin/sh\ntrap 'echo > ended; exit 75' TERM\necho > begun\n\
                while :; do sleep 0.05; done\n";
    program(&dir, "fake", fake);
    let path = dir.path("bin/fake");
    submit(&dir, &["--program", path.to_str().unwrap()]).run().ok();
    dir.write("state", "COMPLETING");
    let child = task(&dir, "0.sh", 0).spawn();
    wait_until("the run has begun", || dir.path("begun").exists());
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let done = wait(child);
    assert_eq!(done.code(), Some(75), "{done:?}");
    assert!(dir.path("ended").exists());
}

#[test]
fn what_slurm_refuses_does_not_run_in_part() {
    let dir = prepared(2);
    dir.write("refused-from", "1");
    let done = submit(&dir, &[]).run();
    assert_eq!(done.code(), Some(78), "{done:?}");
    assert!(done.stderr_text().contains("no such partition"), "{done:?}");
    assert_eq!(text(&dir, "cancelled"), "100\n");
    let args = ["job", "submit", "--job", "a job", "--engine", "slurm"];
    let without = dir.command(&args).env("PATH", "/nonexistent");
    dir.fails(without, 78, &["sbatch cannot be started", "--print"]);
    for (args, words) in [
        (&["-o", "array=1-2"][..], "set by the job itself"),
        (&["-o", "Partition=x"], "NAME=VALUE"),
        (&["--parallel", "2"], "--engine local"),
    ] {
        dir.fails(submit(&dir, args), 64, &[words]);
    }
    let local = ["job", "submit", "--job", "a job", "--engine", "local", "--print"];
    dir.fails(dir.command(&local), 64, &["--print"]);
}
