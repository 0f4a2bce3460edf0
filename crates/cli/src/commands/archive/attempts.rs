//! What a process that reads an archive could try if the archive had taken it over. Only
//! in builds whose protections can be turned off, for `tests/attacks/unpack_sandbox.rs`.

use std::fs::{self, File};
use std::io::{self, Read};
use std::net::{TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::process::Command;

use cryptstream_protection::SWITCH;
use rustix::fs::{AtFlags, CWD, Mode, Timespec, Timestamps, UTIME_OMIT};
use rustix::process::{getppid, test_kill_process};

/// The exit status where an attempt got through.
const GOT_THROUGH: i32 = 42;

/// Tries what the variable of the switches names, as `attempt-NAME`.
pub(super) fn attempt_what_was_asked_for() {
    let names = std::env::var(SWITCH).unwrap_or_default();
    for what in names.split(',').filter_map(|name| name.strip_prefix("attempt-")) {
        match attempt(what) {
            // There is nothing of that name, but it would have been done.
            Ok(()) => std::process::exit(GOT_THROUGH),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                std::process::exit(GOT_THROUGH)
            }
            Err(_) => {}
        }
    }
}

fn attempt(what: &str) -> io::Result<()> {
    let parent = getppid().map_or(1, |parent| parent.as_raw_nonzero().get());
    let outside = std::env::temp_dir().join(format!("cryptstream-attempt-{parent}"));
    let omit = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
    let nothing = Timestamps { last_access: omit, last_modification: omit };
    match what {
        "read" => File::open("/etc/passwd")?.read_exact(&mut [0]),
        "list" => fs::read_dir("/")?.next().map_or(Ok(()), |entry| entry.map(drop)),
        "create" => File::create(&outside).map(drop).and_then(|()| fs::remove_file(&outside)),
        "mkdir" => fs::create_dir(&outside).and_then(|()| fs::remove_dir(&outside)),
        "symlink" => {
            std::os::unix::fs::symlink("x", &outside).and_then(|()| fs::remove_file(&outside))
        }
        "hard-link" => fs::hard_link("/proc/self/exe", &outside),
        "remove" => fs::remove_file(&outside),
        "rename" => fs::rename(&outside, "/tmp/x"),
        "chmod" => fs::metadata("/").and_then(|it| fs::set_permissions("/", it.permissions())),
        "fchmodat" => {
            let mode = Mode::from_raw_mode(0o700);
            Ok(rustix::fs::chmodat(CWD, &outside, mode, AtFlags::empty())?)
        }
        // On a descriptor that it has.
        "setuid" => Ok(rustix::fs::fchmod(io::stdin(), Mode::from_raw_mode(0o4700))?),
        "times" => Ok(rustix::fs::utimensat(CWD, "/", &nothing, AtFlags::empty())?),
        "udp" => UdpSocket::bind("127.0.0.1:0").map(drop),
        "tcp" => match TcpStream::connect("127.0.0.1:9") {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
            connected => connected.map(drop),
        },
        "unix" => UnixStream::pair().map(drop),
        "process" => Command::new("/bin/true").status().map(drop),
        "thread" => std::thread::Builder::new().spawn(|| ()).map(drop),
        "signal" => Ok(test_kill_process(getppid().ok_or(io::ErrorKind::Other)?)?),
        "memory" => File::open(format!("/proc/{parent}/mem")).map(drop),
        "environment" => File::open(format!("/proc/{parent}/environ")).map(drop),
        "descriptors" => fs::read_dir(format!("/proc/{parent}/fd")).map(drop),
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}
