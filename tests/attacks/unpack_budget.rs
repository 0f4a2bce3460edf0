//! Archives that are small and would take much memory: the process that reads them stays
//! below 64 MiB and what zstd needs for its window, and main below that too.

use std::fs;
use std::io::{self, Write};

use tar::{EntryType, Header};

use crate::common::{Dir, wait};
use crate::unpack_sandbox::parser_of;

/// Most memory that a process may have had, in KiB: 64 MiB, and a window of 8 MiB.
const MOST: u64 = (64 + 8) << 10;

/// The header of a folder whose name has this last part, and a time that does not
/// compress.
fn folder(name: &str, number: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::Directory);
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_mode(0o755);
    header.set_size(0);
    header.set_mtime(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32);
    header.set_cksum();
    header
}

fn encrypted(dir: &Dir, members: u64, name: impl Fn(u64) -> String) {
    let mut zstd = zstd::Encoder::new(Vec::new(), 1).unwrap();
    for number in 0..members {
        zstd.write_all(folder(&name(number), number).as_bytes()).unwrap();
    }
    zstd.write_all(&[0; 1024]).unwrap();
    let encrypted = dir.encrypted(&zstd.finish().unwrap());
    dir.write("a.enc", encrypted);
}

/// The most memory that main and the parser process have had, in KiB; and main's exit
/// status.
fn peak(dir: &Dir, args: &[&str]) -> (u64, Option<i32>) {
    let mut child = dir.command(args).spawn();
    drop(child.stdin.take());
    let (parser, _) = parser_of(&child);
    let pids = [parser, i32::try_from(child.id()).unwrap()];
    let mut peak = 0;
    // What is read last is close to the end: memory is never given back.
    let output = std::thread::spawn(move || wait(child));
    while !output.is_finished() {
        for pid in pids {
            let status = fs::read_to_string(format!("/proc/{pid}/status"));
            let status: io::Result<String> = status;
            let line = status.ok().and_then(|status| {
                status.lines().find_map(|line| line.strip_prefix("VmHWM:").map(str::to_owned))
            });
            let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
            peak = peak.max(kib.unwrap_or(0));
        }
        std::thread::sleep(std::time::Duration::from_micros(500));
    }
    let done = output.join().unwrap();
    println!("{args:?}: {} MiB, {done:?}", peak >> 10);
    assert!(peak > 0);
    (peak, done.code())
}

#[test]
fn a_folder_that_comes_again_is_not_remembered_again() {
    let dir = Dir::new();
    let name = "n".repeat(98);
    encrypted(&dir, 700_000, |_| format!("{name}/"));
    let (peak, code) = peak(&dir, &["decrypt", "--extract", "a.enc", "out", "-i", "id"]);
    assert_eq!(code, Some(0));
    assert!(peak < MOST, "{peak} KiB");
}

#[test]
fn a_list_is_held_back_within_bounds() {
    let dir = Dir::new();
    encrypted(&dir, 200_000, |number| {
        let mix = |salt: u64| (number + salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        format!("{:016x}{:016x}/", mix(1), mix(77).rotate_left(17))
    });
    let (peak, code) = peak(&dir, &["list", "--json", "a.enc", "-i", "id"]);
    assert_eq!(code, Some(0));
    assert!(peak < MOST, "{peak} KiB");
}
