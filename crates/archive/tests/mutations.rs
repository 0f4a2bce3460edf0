//! Archives with random changes and corrected checksums. Nothing outside the folder may be created
//! or removed.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs::{self, File};
use std::path::Path;
use std::sync::Mutex;

use cryptstream_archive::{ArchiveReader, DirectPathOps, Error, Limits, Options, Packer, unpack};
use cryptstream_beneath::Dir;
use rustix::fs::Mode;

const BLOCK: usize = 512;

/// Reproducible pseudorandom numbers (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) % most as u64) as usize
    }
}

fn packed(level: Option<i32>) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let long = ["l".repeat(120), "m".repeat(120)].join("/");
    fs::create_dir_all(at(&long)).unwrap();
    fs::create_dir(at("d")).unwrap();
    fs::write(at("d/file"), [7; 1500]).unwrap();
    fs::write(at(&format!("{long}/file")), "x").unwrap();
    fs::hard_link(at("d/file"), at("hard")).unwrap();
    std::os::unix::fs::symlink("d/file", at("link")).unwrap();
    let sparse = File::create(at("sparse")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"x", 1 << 20).unwrap();
    let long_file = format!("{long}/file");
    let names = ["", "d", "d/file", "hard", "link", &long, &long_file, "sparse"];
    let folder = Dir::open(dir.path()).unwrap();
    let mut packer = Packer::new(&folder, Vec::new(), level, 1).unwrap();
    for name in names {
        packer.add(Path::new(name)).unwrap();
    }
    packer.finish().unwrap().0
}

/// Changes a few bytes, mostly to meaningful values, and corrects all checksums.
fn mutate(archive: &mut [u8], random: &mut Random) {
    const TELLING: &[u8] = b"/.0127xgLKS5346\0 =\n-9";
    for _ in 0..=random.below(4) {
        let at = random.below(archive.len());
        archive[at] = match random.below(2) {
            0 => TELLING[random.below(TELLING.len())],
            _ => random.below(256) as u8,
        };
    }
    for block in archive.chunks_exact_mut(BLOCK) {
        if &block[257..262] == b"ustar" {
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
}

#[test]
fn nothing_comes_into_being_outside() {
    let archive = packed(None);
    let mut random = Random(1);
    let (mut unpacked, mut refused) = (0, 0);
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("above")).unwrap();
    fs::write(dir.path().join("above/victim"), "untouched").unwrap();
    let into = dir.path().join("above/out");
    for round in 0..3000 {
        let mut archive = archive.clone();
        mutate(&mut archive, &mut random);
        if round % 10 == 0 {
            archive.truncate(random.below(archive.len()));
        }
        fs::create_dir(&into).unwrap();
        let folder = Dir::open(&into).unwrap();
        let options = Options { any_links: round % 2 == 0, umask: 0o022, drops_content: false };
        let limits = Limits { bytes: 1 << 24, ..Limits::DEFAULT };
        let result = ArchiveReader::new(&archive[..], limits).and_then(|mut archive| {
            let mut path_ops = DirectPathOps::new(&folder);
            unpack(&mut archive, &folder, &Mutex::new(()), options, &mut path_ops)
        });
        match result {
            Ok(_) => unpacked += 1,
            Err(Error::Read(error)) => panic!("{round}: {error}"),
            Err(_) => refused += 1,
        }
        // Folders may not be accessible by now.
        let _ = rustix::fs::chmod(&into, Mode::RWXU);
        for entry in fs::read_dir(&into).unwrap().flatten() {
            if entry.file_type().unwrap().is_dir() {
                let _ = rustix::fs::chmod(entry.path(), Mode::RWXU);
            }
        }
        if fs::remove_dir_all(&into).is_err() {
            // Not accessible further down, which only matters to ordinary users.
            fs::rename(&into, dir.path().join(format!("above/left{round}"))).unwrap();
        }
        let outside = fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(outside, 1, "{round}");
        assert_eq!(fs::read(dir.path().join("above/victim")).unwrap(), b"untouched");
    }
    assert!(unpacked > 100 && refused > 100, "{unpacked} unpacked, {refused} refused");
}

#[test]
fn what_is_compressed_is_refused_or_the_same() {
    let archive = packed(Some(3));
    let mut random = Random(2);
    let list = |archive: &[u8]| -> Result<Vec<_>, Error> {
        let mut archive = ArchiveReader::new(archive, Limits::DEFAULT)?;
        let mut members = Vec::new();
        while let Some(member) = archive.next()? {
            members.push(member);
        }
        Ok(members)
    };
    let right = list(&archive).unwrap();
    assert_eq!(right.len(), 8);
    for _ in 0..1000 {
        let mut archive = archive.clone();
        let at = random.below(archive.len());
        archive[at] ^= 1 << random.below(8);
        // It has its own checksum.
        if let Ok(members) = list(&archive) {
            assert_eq!(members, right);
        }
        archive.truncate(at);
        assert!(list(&archive).is_err());
    }
}
