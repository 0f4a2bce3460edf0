//! Any bytes as an archive: no panic, no more than the limits, nothing outside the folder,
//! and a list of what was unpacked.
#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;

use cryptstream_archive::{ArchiveReader, DirectPathOps, Error, Limits, Options, unpack};
use cryptstream_beneath::Dir;
use libfuzzer_sys::fuzz_target;

/// Files with holes may be long, and are made on a real disk.
const LIMITS: Limits = Limits { entries: 1000, bytes: 1 << 24, ..Limits::DEFAULT };

fn list(archive: &[u8]) -> Result<u64, Error> {
    let mut archive = ArchiveReader::new(archive, LIMITS)?;
    let mut members = 0;
    while let Some(member) = archive.next()? {
        let _ = (member.leads_out(), cryptstream_archive::display_name(&member.name));
        members += 1;
    }
    Ok(members)
}

/// Opens folders that the archive has closed, and removes everything.
fn remove(path: &PathBuf) {
    use std::os::unix::fs::PermissionsExt;
    let _ = fs::set_permissions(path, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(path).expect("a folder").flatten() {
        match entry.file_type().expect("a type") {
            kind if kind.is_dir() => remove(&entry.path()),
            _ => fs::remove_file(entry.path()).expect("a file can be removed"),
        }
    }
    fs::remove_dir(path).expect("an empty folder can be removed");
}

/// The checksums are not what is to be found: mends those of blocks that look like headers.
fn mend(archive: &mut [u8]) {
    for block in archive.chunks_exact_mut(512).filter(|block| &block[257..262] == b"ustar") {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}

fuzz_target!(|input: &[u8]| {
    let mut archive = input.to_vec();
    mend(&mut archive);
    let above = std::env::temp_dir().join(format!("cryptstream-fuzz-{}", std::process::id()));
    let into = above.join("into");
    fs::create_dir_all(&into).expect("a folder");
    let dir = Dir::open(&into).expect("it is there");
    let options = Options { any_links: archive.len() % 2 == 0, umask: 0o077, drops_content: false };
    let unpacked = ArchiveReader::new(&archive[..], LIMITS).and_then(|mut archive| {
        let mut path_ops = DirectPathOps::new(&dir);
        unpack(&mut archive, &dir, &Mutex::new(()), options, &mut path_ops)
    });
    assert_eq!(fs::read_dir(&above).expect("a folder").count(), 1, "something is outside");
    if let Ok(unpacked) = &unpacked {
        assert_eq!(list(&archive).expect("it was unpacked"), unpacked.entries);
    } else {
        let _ = list(&archive);
    }
    remove(&above);
});
