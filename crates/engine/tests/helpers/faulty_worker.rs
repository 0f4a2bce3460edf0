//! A worker that dies or hangs at a given point, and a process that tries what is forbidden to
//! workers.
//!
//! A worker gets no environment, so its own file name says what to do: `ACTION.WORKER.POINT.TIME`.
//! For example, as `die.1.Loaded.3`, worker 1 dies when it comes to that point for the third time.
//! With `0` as WORKER, every worker does. With `poison` as ACTION, it dies whenever it has a file of
//! a certain length. As `faulty_worker probe MODE WHAT` it enters the sandbox and tries WHAT; with
//! `probe-transport`, that of the process that talks to the network.

use std::fs::{self, File};
use std::io;
use std::net::{TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::process::{Command, ExitCode};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use cryptstream_engine::probe::{Forbidden, attempt};
use cryptstream_engine::program::{Profile, WORKER_ARGUMENT, restrict_process};
use cryptstream_engine::{FaultPoint, SandboxMode, init_worker, set_fault_hook};
use rustix::net::{AddressFamily, SocketType};
use rustix::process::{
    Pid, Resource, Signal, getpid, getppid, getrlimit, kill_process, prlimit,
    set_parent_process_death_signal,
};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[1..] {
        [WORKER_ARGUMENT] => {
            let name = std::env::current_exe().ok();
            if let Some(plan) =
                name.as_ref().and_then(|path| Plan::parse(path.file_name()?.to_str()?))
            {
                let _ = PLAN.set(plan);
                set_fault_hook(hook);
            }
            let _ = init_worker();
            ExitCode::FAILURE
        }
        ["probe", mode, what] => probe(mode, Profile::Worker, what),
        ["probe-transport", mode, what] => probe(mode, Profile::Transport(&[]), what),
        _ => {
            eprintln!("usage: faulty_worker probe require|off WHAT");
            ExitCode::from(64)
        }
    }
}

struct Plan {
    action: String,
    worker: u16,
    point: String,
    time: u32,
}

impl Plan {
    fn parse(name: &str) -> Option<Self> {
        let mut parts = name.split('.');
        Some(Self {
            action: parts.next()?.to_owned(),
            worker: parts.next()?.parse().ok()?,
            point: parts.next()?.to_owned(),
            time: parts.next()?.parse().ok()?,
        })
    }
}

/// The length of a file that kills every worker that has it.
const POISON: u64 = (9 << 20) + 777;

static PLAN: OnceLock<Plan> = OnceLock::new();
static PASSED: AtomicU32 = AtomicU32::new(0);

fn hook(worker: u16, point: FaultPoint) {
    let Some(plan) = PLAN.get() else { return };
    let is_meant = plan.worker == 0 || plan.worker == worker;
    if !is_meant || format!("{point:?}") != plan.point {
        return;
    }
    if plan.action == "poison" {
        if holds_poison() {
            let _ = kill_process(getpid(), Signal::KILL);
        }
    } else if PASSED.fetch_add(1, Ordering::Relaxed) + 1 == plan.time {
        match plan.action.as_str() {
            // From within the sandbox the attempt is as deadly as the signal.
            "die" => drop(kill_process(getpid(), Signal::KILL)),
            "exit" => std::process::exit(1),
            "panic" => panic!("on purpose"),
            "abort" => std::process::abort(),
            _ => loop {
                std::thread::sleep(Duration::from_secs(3600));
            },
        }
    }
}

/// Whether this process has the file that kills those who work on it: it is known by its
/// length. Without a sandbox that can be found out.
fn holds_poison() -> bool {
    let fds = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    fds.filter_map(|fd| fs::metadata(fd.path()).ok()).any(|file| file.len() == POISON)
}

/// Enters the sandbox and tries `what`. Exits with 0 if that succeeded, with 1 if it was refused
/// with EPERM, with 2 on another error; often it is killed.
fn probe(mode: &str, profile: Profile<'_>, what: &str) -> ExitCode {
    let mode = if mode == "off" { SandboxMode::Off } else { SandboxMode::Require };
    // Afterwards it is forbidden to ask.
    let main = getppid();
    let level = restrict_process(mode, profile);
    eprintln!("{}", level.name());
    match try_it(what, main) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => ExitCode::from(1),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn socket(family: AddressFamily, kind: SocketType) -> io::Result<()> {
    Ok(rustix::net::socket(family, kind, None).map(drop)?)
}

fn try_it(what: &str, main: Option<Pid>) -> io::Result<()> {
    match what {
        "nothing" => Ok(()),
        "open" => File::open("/etc/hostname").map(drop),
        "create" => File::create("/tmp/cryptstream-probe").map(drop),
        "stat" => fs::metadata("/etc/hostname").map(drop),
        "list" => fs::read_dir("/").map(drop),
        "remove" => fs::remove_file("/nonexistent"),
        "rename" => fs::rename("/nonexistent", "/nonexistent-2"),
        "mkdir" => fs::create_dir("/tmp"),
        "chmod" => Ok(rustix::fs::chmod("/nonexistent", rustix::fs::Mode::RUSR)?),
        "chdir" => std::env::set_current_dir("/"),
        "udp" => UdpSocket::bind("127.0.0.1:0").map(drop),
        "unix-connect" => UnixStream::connect("/run/nonexistent").map(drop),
        "netlink" => socket(AddressFamily::NETLINK, SocketType::RAW),
        "raw" => socket(AddressFamily::INET, SocketType::RAW),
        "vsock" => socket(AddressFamily::VSOCK, SocketType::STREAM),
        "signals-of-descriptors" => attempt(Forbidden::SignalOwner),
        "limits-of-main" => {
            let same = getrlimit(Resource::Nofile);
            Ok(prlimit(main, Resource::Nofile, same).map(drop)?)
        }
        "death-signal" => Ok(set_parent_process_death_signal(None)?),
        "tcp" => TcpStream::connect("127.0.0.1:9").map(drop),
        "unix" => UnixStream::pair().map(drop),
        "thread" => std::thread::Builder::new().spawn(|| ()).map(drop),
        "process" => Command::new("/bin/true").status().map(drop),
        "kill-main" => Ok(kill_process(main.ok_or(io::ErrorKind::NotFound)?, Signal::URG)?),
        "limits" => Ok(rustix::process::setrlimit(
            rustix::process::Resource::Nofile,
            rustix::process::getrlimit(rustix::process::Resource::Nofile),
        )?),
        "pipe" => rustix::pipe::pipe().map(drop).map_err(Into::into),
        "exec" => attempt(Forbidden::Execute),
        "map-executable" => attempt(Forbidden::MapExecutable),
        "make-executable" => attempt(Forbidden::MakeExecutable),
        "ptrace" => attempt(Forbidden::Ptrace),
        "read-process" => attempt(Forbidden::ReadProcess),
        "bpf" => attempt(Forbidden::Bpf),
        "io-uring" => attempt(Forbidden::IoUring),
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}
