//! Worker processes: any number of them gives the same files, whatever happens to them.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use crate::common::group::{Group, wait_until};
use crate::common::{Dir, Done, test_bytes};
use rustix::process::{Pid, Signal, kill_process};

/// Large enough for several workers.
const LEN: usize = (40 << 20) + 12_345;

/// A folder with an identity and a file that is large enough for workers.
fn large() -> Dir {
    let dir = Dir::new();
    dir.keygen("id");
    dir.write("plain", test_bytes(LEN));
    dir
}

/// The processes that `child` has started and not yet reaped.
fn workers_of(child: &Child) -> Vec<Pid> {
    let id = child.id();
    let text = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect()
}

/// Whether a process has become a worker. Until then it is a copy of main, and main waits for it.
fn is_worker(pid: Pid) -> bool {
    let cmdline = fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).unwrap_or_default();
    cmdline == b"cryptstream\0__worker\0"
}

/// Runs the program and calls `interfere` repeatedly with main and its workers.
fn run_with(dir: &Dir, args: &[&str], mut interfere: impl FnMut(&Child, &[Pid])) -> Done {
    let mut child = dir.command(args).spawn();
    drop(child.stdin.take());
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(start.elapsed() < crate::common::TIMEOUT, "it hangs");
        let workers: Vec<_> =
            workers_of(&child).into_iter().filter(|pid| is_worker(*pid)).collect();
        interfere(&child, &workers);
        thread::sleep(Duration::from_micros(300));
    }
    crate::common::wait(child)
}

#[track_caller]
fn assert_opens(dir: &Dir, name: &str) {
    let decrypted = dir.run(&["decrypt", "-i", "id", name, "-"]).ok();
    assert!(decrypted.stdout == test_bytes(LEN), "{name} has another content");
}

#[test]
fn every_number_of_workers_gives_a_file_that_every_other_opens() {
    let dir = large();
    for count in [0, 1, 2, 3, 4, 8, 16] {
        let count = count.to_string();
        let encrypt =
            ["encrypt", "-i", "id", "plain", "encrypted", "--force", "--processes", &count];
        dir.run(&encrypt).ok_and_silent();
        assert_opens(&dir, "encrypted");
        for other in ["0", "1", "5", "auto"] {
            let decrypt =
                ["decrypt", "-i", "id", "encrypted", "decrypted", "--force", "--processes", other];
            dir.run(&decrypt).ok_and_silent();
            assert!(dir.read("decrypted") == test_bytes(LEN), "{count} {other}");
        }
    }
}

#[test]
fn multiples_of_a_segment_and_their_neighbours() {
    let dir = Dir::new();
    dir.keygen("id");
    for len in [8 << 20, (8 << 20) - 1, (8 << 20) + 1, 9 << 20, (9 << 20) + 16_384] {
        dir.write("plain", test_bytes(len));
        for args in [
            ["encrypt", "-i", "id", "plain", "encrypted", "--force", "--processes", "2"],
            ["decrypt", "-i", "id", "encrypted", "decrypted", "--force", "--processes", "2"],
        ] {
            dir.run(&args).ok_and_silent();
        }
        assert!(dir.read("decrypted") == test_bytes(len), "{len}");
    }
}

#[test]
fn reports_name_the_workers_and_their_sandbox() {
    let dir = large();
    let args = ["encrypt", "-i", "id", "plain", "--json", "--processes", "2"];
    let done = dir.run(&args).ok();
    let report = done.json(&done.stdout);
    assert!(report["workers"].as_u64().unwrap() >= 1, "{report}");
    assert_eq!(report["workers_died"], 0);
    let done =
        dir.run(&["decrypt", "-i", "id", "plain.enc", "o", "--json", "--processes", "0"]).ok();
    assert_eq!(done.json(&done.stdout)["workers"], 0);
    assert_eq!(done.json(&done.stdout)["sandbox"], "none");
    let off =
        ["decrypt", "-i", "id", "plain.enc", "p", "-v", "--sandbox", "off", "--processes", "2"];
    assert!(dir.run(&off).ok().stderr_text().contains("workers"));
    for wrong in ["1.5", "many", "1000"] {
        dir.fails(
            dir.command(&["encrypt", "-i", "id", "plain", "--processes", wrong]),
            64,
            &["--processes"],
        );
    }
}

#[test]
fn workers_know_nothing_that_they_need_not() {
    let dir = large();
    dir.write_secret("word", "S3CRET");
    let mut seen = 0;
    let args = ["encrypt", "plain", "--passphrase-file", "word", "--force", "--processes", "2"];
    // A run can be over before this process looks.
    wait_until("a worker was seen", || {
        run_with(&dir, &args, |_, workers| {
            for worker in workers {
                seen += 1;
                let environ = fs::read(format!("/proc/{}/environ", worker.as_raw_nonzero()));
                assert_eq!(environ.unwrap_or_default(), b"");
            }
        })
        .ok();
        seen > 0
    });
}

#[test]
fn workers_that_are_killed_again_and_again_change_nothing() {
    let dir = large();
    let mut deaths = 0;
    let start = Instant::now();
    // Six rounds; more if no signal killed a worker in time.
    for round in 0.. {
        if round >= 6 && deaths > 0 {
            break;
        }
        assert!(start.elapsed() < crate::common::TIMEOUT, "nobody was killed");
        let encrypt =
            ["encrypt", "-i", "id", "plain", "encrypted", "--force", "--json", "--processes", "3"];
        let decrypt = [
            "decrypt",
            "-i",
            "id",
            "encrypted",
            "decrypted",
            "--force",
            "--json",
            "--processes",
            "3",
        ];
        let mut died = 0;
        for args in [encrypt, decrypt] {
            let mut calls = 0;
            let done = run_with(&dir, &args, |_, workers| {
                calls += 1;
                // Sometimes one, sometimes all, at varying moments.
                let victims = if round % 2 == 0 { 1 } else { workers.len() };
                if calls % (round % 6 + 2) == 0 {
                    for worker in workers.iter().take(victims) {
                        let _ = kill_process(*worker, Signal::KILL);
                    }
                }
            });
            // Three deaths over one segment end the run with an error.
            if done.code() == Some(75) {
                assert!(done.stdout_text().contains("segment"), "{done:?}");
                dir.run(&args).ok();
            } else {
                let done = done.ok();
                died += done.json(&done.stdout)["workers_died"].as_u64().unwrap();
            }
        }
        assert!(dir.read("decrypted") == test_bytes(LEN), "round {round}, {died} died");
        deaths += died;
    }
}

#[test]
fn a_run_finishes_without_a_stopped_worker() {
    let dir = large();
    let mut stopped = None;
    let args = ["encrypt", "-i", "id", "plain", "--force", "--json", "--processes", "2"];
    wait_until("a worker was stopped", || {
        let done = run_with(&dir, &args, |_, workers| {
            if stopped.is_none()
                && let Some(worker) = workers.first()
            {
                let _ = kill_process(*worker, Signal::STOP);
                stopped = Some(*worker);
            }
        })
        .ok();
        assert_opens(&dir, "plain.enc");
        assert!(done.json(&done.stdout)["workers"].as_u64().unwrap() > 0);
        stopped.is_some()
    });
}

#[test]
fn when_main_is_killed_nothing_is_left() {
    let dir = large();
    for round in 0..20u32 {
        let args = ["encrypt", "-i", "id", "plain", "out", "--processes", "3"];
        let group = Group::start(dir.command(&args));
        group.reaches("a worker", |group| group.members().len() > 1);
        thread::sleep(Duration::from_millis(u64::from(round)));
        group.signal(Signal::KILL);
        // Waits for the workers too.
        group.wait();
        // A run that finished before the signal has left its output.
        let left: Vec<_> =
            dir.snapshot().into_keys().filter(|path| !path.ends_with("id")).collect();
        assert!(
            left.iter().all(|path| path.ends_with("plain") || path.ends_with("out")),
            "{left:?}"
        );
        if dir.path("out").exists() {
            assert_opens(&dir, "out");
            fs::remove_file(dir.path("out")).unwrap();
        }
    }
}

#[test]
fn without_new_processes_the_main_process_works_alone_or_fails() {
    let dir = large();
    dir.program();
    let run = |sandbox: &str| {
        let mut run = dir.shell(&format!(
            "ulimit -u 1; exec ./cs encrypt -i id plain - --sandbox {sandbox} --processes 2 > /dev/null"
        ));
        if rustix::process::geteuid().is_root() {
            run.command.uid(65_534);
        }
        run
    };
    fs::set_permissions(dir.root(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    fs::set_permissions(dir.path("id"), std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .unwrap();
    // The same holds for a stream.
    run("auto").run().ok();
    let done = run("require").run();
    assert_eq!(done.code(), Some(75), "{done:?}");
    assert!(done.stderr_text().contains("ulimit -u"), "{done:?}");
    let to_file = |sandbox: &str| {
        let mut run = dir.shell(&format!(
            "ulimit -u 1; exec ./cs encrypt -i id plain out-{sandbox} --json --sandbox {sandbox} --processes 2"
        ));
        if rustix::process::geteuid().is_root() {
            run.command.uid(65_534);
        }
        run.run()
    };
    let done = to_file("auto").ok();
    assert_eq!(done.json(&done.stdout)["workers"], 0);
    assert_opens(&dir, "out-auto");
    let done = to_file("require");
    assert_eq!(done.code(), Some(75), "{done:?}");
    assert!(!dir.path("out-require").exists());
}

#[test]
fn damage_is_found_and_named_by_workers_too() {
    let dir = large();
    dir.run(&["encrypt", "-i", "id", "plain", "--processes", "2"]).ok();
    let mut encrypted = dir.read("plain.enc");
    let offset = crate::common::header_len(&encrypted)
        + crate::common::PREFIX
        + 2000 * crate::common::SEALED_CHUNK;
    encrypted[offset + 100] ^= 1;
    dir.write("bad.enc", encrypted);
    let run = dir.command(&["decrypt", "-i", "id", "bad.enc", "--processes", "2"]);
    dir.fails(run, 65, &["chunk 2000", &format!("byte {offset}")]);
}

#[test]
fn a_full_disk_is_named_by_workers_too() {
    let dir = large();
    let script = "ulimit -f 20480; exec $CS encrypt -i id plain out --processes 2";
    dir.fails(dir.shell(script), 74, &["out", "file too large", "no partial output"]);
}
