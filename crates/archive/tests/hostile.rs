//! Hostile archives. Each is refused, or unpacked harmlessly below the folder, and needs little
//! memory.
//!
//! There is one test only, so that the memory measured is that of one archive.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![cfg(target_os = "linux")]

mod common;

use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Mutex;

use cryptstream_archive::{ArchiveReader, DirectPathOps, Error, Limits, Options, unpack};
use cryptstream_beneath::Dir;
use tar::{EntryType, Header};

use common::pax_records;

/// The additional memory that an archive may need, in KiB: 64 MiB. For archives compressed here,
/// the window is added.
const MOST: u64 = 64 << 10;

fn header(kind: u8, name: &[u8], link: &[u8], size: u64) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::new(kind));
    header.set_mode(0o7777);
    header.set_size(size);
    header.set_mtime(1_000_000_000);
    let fields = header.as_old_mut();
    fields.name[..name.len().min(100)].copy_from_slice(&name[..name.len().min(100)]);
    fields.linkname[..link.len()].copy_from_slice(link);
    header.set_cksum();
    header.as_bytes().to_vec()
}

fn member(kind: u8, name: &[u8], link: &[u8], content: &[u8]) -> Vec<u8> {
    let mut bytes = header(kind, name, link, content.len() as u64);
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn file(name: &[u8]) -> Vec<u8> {
    member(b'0', name, b"", b"content")
}

fn pax(records: &[(&str, &[u8])]) -> Vec<u8> {
    let bytes = pax_records(records);
    member(b'x', b"records", b"", &bytes)
}

/// Whether an archive may be unpacked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Refused,
    Harmless,
}
use Fate::{Harmless, Refused};

/// Small archives with their names.
fn small() -> Vec<(&'static str, Fate, Vec<u8>)> {
    let end = |parts: Vec<Vec<u8>>| [parts.concat(), vec![0; 1024]].concat();
    let sparse = |map: &[u8], size: &[u8]| {
        let records = pax(&[
            ("GNU.sparse.major", b"1"),
            ("GNU.sparse.minor", b"0"),
            ("GNU.sparse.name", b"sparse"),
            ("GNU.sparse.realsize", size),
        ]);
        let mut content = map.to_vec();
        content.resize(512, 0);
        content.extend_from_slice(b"0123456789");
        end(vec![records, member(b'0', b"x", b"", &content)])
    };
    vec![
        ("absolute", Harmless, end(vec![file(b"/evil")])),
        ("parent", Refused, end(vec![file(b"../evil")])),
        ("parent within", Refused, end(vec![file(b"a/../../evil")])),
        ("absolute in PAX", Harmless, end(vec![pax(&[("path", b"/evil")]), file(b"x")])),
        ("NUL in PAX", Refused, end(vec![pax(&[("path", b"a\0b")]), file(b"x")])),
        ("link out", Refused, end(vec![member(b'2', b"l", b"../..", b""), file(b"l/evil")])),
        ("through a link", Refused, end(vec![member(b'2', b"l", b".", b""), file(b"l/evil")])),
        ("link to /proc", Refused, end(vec![member(b'2', b"l", b"/proc/self/root", b"")])),
        (
            "file over a link",
            Harmless,
            end(vec![member(b'2', b"l", b"x", b""), file(b"l"), file(b"x")]),
        ),
        ("hard link out", Refused, end(vec![member(b'1', b"h", b"../victim", b"")])),
        (
            "hard link to a link",
            Refused,
            end(vec![member(b'2', b"l", b"x", b""), member(b'1', b"h", b"l", b"")]),
        ),
        ("hard link to nothing", Refused, end(vec![member(b'1', b"h", b"none", b"")])),
        ("hard link with content", Refused, end(vec![member(b'1', b"h", b"x", b"c")])),
        ("twice", Harmless, end(vec![file(b"x"), file(b"x")])),
        ("file then folder", Harmless, end(vec![file(b"x"), member(b'5', b"x", b"", b"")])),
        ("case twins", Harmless, end(vec![file(b"x"), file(b"X")])),
        ("control characters", Harmless, end(vec![file(b"\x1b[2J\n")])),
        ("device", Harmless, end(vec![member(b'3', b"d", b"", b"")])),
        ("FIFO", Harmless, end(vec![member(b'6', b"p", b"", b"")])),
        ("unknown kind", Refused, end(vec![member(b'Z', b"z", b"", b"")])),
        ("setuid", Harmless, end(vec![file(b"x"), member(b'5', b"d", b"", b"")])),
        ("size of 2^63", Refused, end(vec![pax(&[("size", b"9223372036854775808")]), file(b"x")])),
        ("size that is none", Refused, end(vec![pax(&[("size", b"-1")]), file(b"x")])),
        ("size that lies", Refused, end(vec![header(b'0', b"x", b"", 1 << 20)])),
        ("time that is none", Harmless, end(vec![pax(&[("mtime", b"x")]), file(b"x")])),
        ("time far away", Harmless, end(vec![pax(&[("mtime", b"99999999999")]), file(b"x")])),
        ("two names", Harmless, end(vec![pax(&[("path", b"a"), ("path", b"b")]), file(b"x")])),
        ("two headers", Refused, end(vec![pax(&[]), pax(&[]), file(b"x")])),
        ("no member", Refused, end(vec![pax(&[("path", b"a")])])),
        ("global", Refused, end(vec![member(b'g', b"g", b"", b"10 path=a\n"), file(b"x")])),
        ("long component", Refused, end(vec![member(b'L', b"", b"", &[b'n'; 300]), file(b"x")])),
        ("100 KB name", Refused, end(vec![member(b'L', b"", b"", &[b'n'; 100_000]), file(b"x")])),
        ("deep", Refused, end(vec![member(b'L', b"", b"", &b"d/".repeat(501)), file(b"x")])),
        (
            "less deep",
            Harmless,
            end(vec![member(b'L', b"", b"", &b"d/".repeat(450)), header(b'5', b"x", b"", 0)]),
        ),
        (
            "deep and long",
            Harmless,
            end(vec![
                member(b'L', b"", b"", &[&[b'n'; 250][..], b"/"].concat().repeat(40)),
                member(b'5', b"x", b"", b""),
            ]),
        ),
        ("sound map", Harmless, sparse(b"2\n0\n5\n10\n5\n", b"20")),
        ("overlapping map", Refused, sparse(b"2\n0\n5\n3\n5\n", b"20")),
        ("map beyond the end", Refused, sparse(b"1\n15\n10\n", b"20")),
        ("map that overflows", Refused, sparse(b"1\n18446744073709551615\n10\n", b"20")),
        ("map with too many extents", Refused, sparse(b"9999999999\n", b"20")),
        ("map of nothing", Refused, sparse(b"x", b"20")),
        ("size of the map is none", Refused, sparse(b"1\n0\n10\n", b"x")),
        ("something follows", Refused, [end(vec![file(b"x")]), file(b"y")].concat()),
        ("wrong checksum", Refused, {
            let mut bytes = end(vec![file(b"x"), file(b"y")]);
            bytes[1024 + 150] ^= 1;
            bytes
        }),
        ("nothing at all", Refused, Vec::new()),
        ("cut zstd", Refused, {
            let bytes = zstd::encode_all(&end(vec![file(b"x")])[..], 3).unwrap();
            bytes[..bytes.len() - 5].to_vec()
        }),
        ("frames in a row", Harmless, {
            let bytes = end(vec![file(b"x")]);
            let (one, two) = bytes.split_at(700);
            let frame = |part: &[u8]| zstd::encode_all(part, 3).unwrap();
            let skippable = b"\x50\x2a\x4d\x18\x04\0\0\0junk";
            [&frame(one)[..], skippable, &frame(two)[..]].concat()
        }),
        ("a dictionary", Refused, b"\x28\xb5\x2f\xfd\x23\x07\x00\x00\x00\x00\x00".to_vec()),
        ("a huge window", Refused, b"\x28\xb5\x2f\xfd\x00\xf8\x01\x00\x00".to_vec()),
    ]
}

/// A stream that repeats one member.
struct Repeated<F: FnMut(u64) -> Vec<u8>> {
    left: std::ops::Range<u64>,
    next: F,
    part: io::Cursor<Vec<u8>>,
    /// Whether the two blocks of zeros at the end were returned.
    is_ended: bool,
}

impl<F: FnMut(u64) -> Vec<u8>> Read for Repeated<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.part.read(buffer)? {
                0 => {}
                read => return Ok(read),
            }
            match self.left.next() {
                Some(number) => self.part = io::Cursor::new((self.next)(number)),
                None if !self.is_ended => {
                    self.is_ended = true;
                    self.part = io::Cursor::new(vec![0; 1024]);
                }
                None => return Ok(0),
            }
        }
    }
}

fn repeated(count: u64, next: impl FnMut(u64) -> Vec<u8>) -> impl Read {
    Repeated { left: 0..count, next, part: io::Cursor::default(), is_ended: false }
}

/// A value from the status of this process, in KiB.
fn status(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_matches([':', '\t', ' ', 'k', 'B']).parse().unwrap()
}

fn remove(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    // By descriptors, since some paths are too long for the kernel. As root or the owner.
    let _ = fs::set_permissions(path, fs::Permissions::from_mode(0o700));
    let removed = std::process::Command::new("rm").arg("-rf").arg(path).status().unwrap();
    assert!(removed.success());
}

#[track_caller]
fn attack(name: &str, fate: Fate, archive: impl Read, window: u64) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("victim"), "untouched").unwrap();
    let into = dir.path().join("into");
    fs::create_dir(&into).unwrap();
    let folder = Dir::open(&into).unwrap();
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = status("VmRSS");
    let result = ArchiveReader::new(archive, Limits::DEFAULT).and_then(|mut archive| {
        let options = Options { any_links: false, umask: 0o022, drops_content: false };
        let mut path_ops = DirectPathOps::new(&folder);
        unpack(&mut archive, &folder, &Mutex::new(()), options, &mut path_ops)
    });
    let peak = status("VmHWM").saturating_sub(before);
    if name != "cut" {
        println!("{name}: {} MiB, {:?}", peak >> 10, result.as_ref().map_err(ToString::to_string));
    }
    assert!(peak < MOST + window, "{name}: {peak} KiB");
    let harmless = if result.is_ok() { Harmless } else { Refused };
    assert_eq!(harmless, fate, "{name}");
    if let Err(error) = result {
        assert!(!matches!(error, Error::Read(_) | Error::Report(_)), "{name}: {error}");
        assert!(!error.to_string().contains(char::is_control), "{name}");
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "{name}");
    assert_eq!(fs::read(dir.path().join("victim")).unwrap(), b"untouched", "{name}");
    let set = std::process::Command::new("find")
        .arg(&into)
        .args(["-mindepth", "1", "!", "-type", "l", "-perm", "/7022"])
        .output()
        .unwrap();
    assert!(set.stdout.is_empty() || fate == Refused, "{name}: {set:?}");
    remove(&into);
}

#[test]
fn each_is_refused_or_harmless_and_cheap() {
    for (name, fate, archive) in small() {
        attack(name, fate, &archive[..], 0);
    }
    // Truncated at each byte of the headers.
    let whole = [pax(&[("path", b"long")]), file(b"x"), vec![0; 1024]].concat();
    for cut in (1..whole.len() - 512).step_by(7) {
        attack("cut", Refused, &whole[..cut], 0);
    }

    let big = vec![b'v'; 900_000];
    let name = "n".repeat(98);
    attack(
        "the same folder",
        Harmless,
        repeated(300_000, |_| member(b'5', name.as_bytes(), b"", b"")),
        0,
    );
    attack(
        "long records",
        Harmless,
        repeated(200, |_| [pax(&[("comment", &big)]), member(b'5', b"d", b"", b"")].concat()),
        0,
    );
    attack(
        "many records",
        Harmless,
        repeated(50, |_| {
            [member(b'x', b"r", b"", &b"6 a=b\n".repeat(150_000)), member(b'5', b"d", b"", b"")]
                .concat()
        }),
        0,
    );
    attack(
        "long names",
        Refused,
        repeated(2000, |_| [member(b'L', b"", b"", &big[..100_000]), file(b"x")].concat()),
        0,
    );
    attack(
        "global headers",
        Harmless,
        repeated(200, |_| {
            let records = pax(&[("comment", &big)]);
            [&header(b'g', b"g", b"", 900_016)[..], &records[512..]].concat()
        }),
        0,
    );
    // It expands more than 1,000 times.
    let mut zeros = zstd::Encoder::new(Vec::new(), 19).unwrap();
    zeros.write_all(&header(b'0', b"x", b"", 1 << 30)).unwrap();
    io::copy(&mut io::repeat(0).take(1 << 30), &mut zeros).unwrap();
    let bomb = zeros.finish().unwrap();
    attack("a bomb", Refused, &bomb[..], 8 << 10);
}
