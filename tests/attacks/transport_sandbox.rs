//! The process that talks to the network, which a store may have taken over: it has neither keys
//! nor the caller's files. What it cannot do is in `crates/engine/tests/sandbox.rs`.

use std::fs;
use std::process::Child;
use std::time::Duration;

use cryptstream_s3_test_server::{Fault, Operation, Options, Rule, Server};

use crate::common::{Dir, test_bytes, wait};
use crate::memory::{status, wait_until};

const MARKER: &str = "marker-of-a-secret-51ab";

/// The processes that talk to the network for `main`.
fn transports(main: &Child) -> Vec<u32> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_one = |pid: &u32| {
        fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|it| it == b"cryptstream\0__transport\0")
            && fs::read_to_string(format!("/proc/{pid}/status"))
                .is_ok_and(|text| text.contains(&format!("\nPPid:\t{}\n", main.id())))
    };
    numbers.filter(is_one).collect()
}

#[test]
fn it_has_the_network_and_nothing_else() {
    let dir = Dir::new();
    let server = Server::start(Options::default());
    server.create_bucket("bucket");
    dir.keygen("id");
    dir.write("plain", test_bytes(20 << 20));
    dir.write("private", MARKER);
    dir.run(&["encrypt", "-i", "id", "plain", "file"]).ok_and_silent();
    server.put("bucket", "object", dir.read("file"));
    server.set_faults(Rule::nth(2, Fault::Delay(Duration::from_secs(2))).on(Operation::GetObject));
    let script = "exec 7< private; exec $CS decrypt -i id s3://bucket/object back";
    let child = dir
        .shell(script)
        .env("AWS_ENDPOINT_URL", server.endpoint())
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "someone")
        .env("AWS_SECRET_ACCESS_KEY", MARKER)
        .spawn();
    wait_until(|| server.requests().len() > 1);
    let pids = transports(&child);
    assert_eq!(pids.len(), 2);
    // The one that stands by has no request yet, and may still be starting.
    wait_until(|| pids.iter().all(|pid| status(*pid, "Seccomp") == 2));
    for pid in pids {
        assert_eq!(status(pid, "NoNewPrivs"), 1);
        // It can be looked at by root only, as it is not dumpable.
        if !rustix::process::geteuid().is_root() {
            println!("skipped: descriptors and environment can be seen by root only");
            continue;
        }
        let text = |name: &str| fs::read(format!("/proc/{pid}/{name}")).unwrap();
        for name in ["environ", "cmdline"] {
            assert!(!String::from_utf8_lossy(&text(name)).contains(MARKER), "{name}");
        }
        let held = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
        let held: Vec<_> = held.filter_map(|entry| fs::read_link(entry.path()).ok()).collect();
        assert!(!held.iter().any(|path| path.starts_with(dir.root())), "{held:?}");
    }
    wait(child).ok_and_silent();
}
