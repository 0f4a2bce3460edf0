//! Headers of programs that are rarely installed, block by block. `ci/archives.sh` tries the
//! installed ones and compares with GNU tar.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use cryptstream_archive::{ArchiveReader, Error, Kind, Limits, Member, Refusal, Time};

use common::pax_records;

const BLOCK: usize = 512;
const USTAR: &[u8] = b"ustar\x0000";

/// A header, in which `fields` overwrite the bytes at their offsets.
fn header(name: &[u8], kind: u8, size: usize, fields: &[(usize, &[u8])]) -> Vec<u8> {
    let mut block = vec![0; BLOCK];
    let size = format!("{size:011o}");
    let usual: [(usize, &[u8]); 6] = [
        (0, name),
        (100, b"0000644"),
        (124, size.as_bytes()),
        (136, b"00000000005"),
        (156, &[kind]),
        (257, USTAR),
    ];
    for (at, bytes) in usual.iter().chain(fields) {
        block[*at..at + bytes.len()].copy_from_slice(bytes);
    }
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

fn with(mut header: Vec<u8>, content: &[u8]) -> Vec<u8> {
    header.extend_from_slice(content);
    header.resize(header.len().next_multiple_of(BLOCK), 0);
    header
}

fn pax(kind: u8, records: &[(&str, &[u8])]) -> Vec<u8> {
    let bytes = pax_records(records);
    with(header(b"records", kind, bytes.len(), &[]), &bytes)
}

fn end(parts: &[Vec<u8>]) -> Vec<u8> {
    [parts.concat(), vec![0; 2 * BLOCK]].concat()
}

/// All members with their content.
fn read(archive: &[u8]) -> Result<Vec<(Member, Vec<u8>)>, Error> {
    let mut archive = ArchiveReader::new(archive, Limits::DEFAULT)?;
    let mut members = Vec::new();
    while let Some(member) = archive.next()? {
        let mut content = vec![0; usize::try_from(member.size).unwrap()];
        archive.content(&member, |offset, bytes| {
            let offset = usize::try_from(offset).unwrap();
            content[offset..offset + bytes.len()].copy_from_slice(bytes);
            Ok(())
        })?;
        members.push((member, content));
    }
    Ok(members)
}

fn file() -> Vec<u8> {
    with(header(b"file", b'0', 7, &[]), b"content")
}

#[track_caller]
fn names(archive: &[u8], expected: &[&str]) {
    let members = read(archive).unwrap();
    let names: Vec<_> =
        members.iter().map(|(member, _)| String::from_utf8_lossy(&member.name)).collect();
    assert_eq!(names, expected);
    let archive = members.iter().filter(|(member, _)| member.kind == Kind::File);
    assert!(archive.clone().all(|(member, content)| member.size == content.len() as u64));
    assert!(members.last().unwrap().1 == b"content");
}

#[test]
fn names_in_all_their_places() {
    let prefix: (usize, &[u8]) = (345, b"a/b");
    names(&end(&[with(header(b"file", b'0', 7, &[prefix]), b"content")]), &["a/b/file"]);
    for (magic, name) in
        [(&b"ustar\0\0\0"[..], "a/b/file"), (b"ustar  \0", "file"), (&[0; 8], "file")]
    {
        let fields = [prefix, (257, magic)];
        names(&end(&[with(header(b"file", b'0', 7, &fields), b"content")]), &[name]);
    }
    // star stores times where other formats continue the prefix.
    let long = [b'p'; 130];
    let fields: [(usize, &[u8]); 4] =
        [(345, &long), (476, b"00000000001 "), (488, b"00000000001 "), (508, b"tar\0")];
    let name = "p".repeat(130) + "/file";
    names(&end(&[with(header(b"file", b'0', 7, &fields), b"content")]), &[&name]);
    let long_name = with(header(b"././@LongLink", b'L', 3, &[]), b"l/n");
    names(&end(&[long_name.clone(), file()]), &["l/n"]);
    // If there are both, the records count.
    names(&end(&[long_name, pax(b'x', &[("path", b"p")]), file()]), &["p"]);
    names(&end(&[pax(b'X', &[("path", b"Solaris")]), file()]), &["Solaris"]);
    names(&end(&[pax(b'x', &[("path", b"a"), ("path", b"b")]), file()]), &["b"]);
    names(&end(&[pax(b'x', &[("path", b"a"), ("path", b"")]), file()]), &["file"]);
}

#[test]
fn members_whose_size_means_nothing() {
    for kind in [b'1', b'2', b'3', b'4', b'5', b'6'] {
        let header = header(b"x", kind, 4096, &[(157, b"file")]);
        names(&end(&[header, file()]), &["x", "file"]);
    }
    // Folders as old programs and incremental backups write them.
    names(&end(&[header(b"d/", 0, 9, &[]), file()]), &["d/", "file"]);
    let dump = with(header(b"d/", b'D', 7, &[]), b"Yfile\0\0");
    names(&end(&[dump, file()]), &["d/", "file"]);
    assert_eq!(read(&end(&[header(b"d/", 0, 9, &[])])).unwrap()[0].0.kind, Kind::Folder);
    // Records about the archive itself, or about access control lists.
    let label = header(b"label", b'V', 0, &[]);
    let list = with(header(b"x", b'A', 9, &[]), b"user::rw-");
    names(&end(&[label, list, file()]), &["file"]);
}

#[test]
fn times_in_every_notation() {
    let time = |parts: &[Vec<u8>]| {
        let members = read(&end(&[parts, &[file()]].concat())).unwrap();
        let Time { seconds, nanoseconds } = members.last().unwrap().0.mtime;
        (seconds, nanoseconds)
    };
    assert_eq!(time(&[pax(b'x', &[("mtime", b"-1.5")])]), (-2, 500_000_000));
    // A time of 7 ns, as Python writes it.
    assert_eq!(time(&[pax(b'x', &[("mtime", b"7e-09")])]), (5, 0));
    let global = pax(b'g', &[("mtime", b"9"), ("comment", b"x"), ("GNU.volume.label", b"l")]);
    assert_eq!(time(std::slice::from_ref(&global)), (9, 0));
    assert_eq!(time(&[global.clone(), pax(b'x', &[("mtime", b"3")])]), (3, 0));
    assert_eq!(time(&[global, pax(b'g', &[("mtime", b"")])]), (5, 0));
    let binary = [&[0xff; 11][..], &[0xfe]].concat();
    let member = with(header(b"file", b'0', 0, &[(136, &binary)]), b"");
    assert_eq!(read(&end(&[member])).unwrap()[0].0.mtime.seconds, -2);
}

#[test]
fn holes_as_star_and_as_old_tars_describe_them() {
    let octal = |number: usize| format!("{number:011o}\0").into_bytes();
    let pair = |at: usize, len: usize| [octal(at), octal(len)].concat();
    let extent = [b'x'; BLOCK];
    let mut expected = vec![0; 30_000];
    for number in 0..6 {
        expected[number * 4096..][..BLOCK].copy_from_slice(&extent);
    }
    let first: Vec<u8> = (0..4).flat_map(|number| pair(number * 4096, BLOCK)).collect();
    let mut behind: Vec<u8> = (4..6).flat_map(|number| pair(number * 4096, BLOCK)).collect();
    behind.extend(pair(30_000, 0));
    behind.resize(BLOCK, 0);
    let size = octal(30_000);
    let star: [(usize, &[u8]); 4] = [(355, b"1"), (356, &first), (452, &size), (508, b"tar\0")];
    let gnu: [(usize, &[u8]); 4] = [(257, b"ustar  \0"), (386, &first), (482, b"1"), (483, &size)];
    for fields in [star, gnu] {
        let header = header(b"s", b'S', 6 * BLOCK, &fields);
        let members = read(&end(&[header, behind.clone(), extent.repeat(6)])).unwrap();
        assert!(members[0].1 == expected);
    }
}

#[test]
fn what_is_a_part_of_something_larger() {
    let refusal = |archive: &[u8]| match read(archive) {
        Err(Error::Refused { member, reason }) => (member, reason),
        other => panic!("{other:?}"),
    };
    let second = end(&[with(header(b"long", b'M', 7, &[]), b"content")]);
    assert_eq!(refusal(&second), (b"long".to_vec(), Refusal::MultiVolume));
    let records = [("GNU.volume.filename", &b"long"[..]), ("GNU.volume.offset", b"9")];
    let second = end(&[pax(b'g', &records), file()]);
    assert_eq!(refusal(&second), (b"long".to_vec(), Refusal::MultiVolume));
    let joined = [end(&[file()]), end(&[file()])].concat();
    assert_eq!(refusal(&joined), (b"file".to_vec(), Refusal::Concatenated));
    for records in [("path", b"a"), ("size", b"1"), ("GNU.sparse.name", b"x")] {
        let all = end(&[pax(b'g', &[(records.0, records.1)]), file()]);
        assert!(matches!(read(&all), Err(Error::Malformed { .. })));
    }
}

#[test]
fn frames_of_zstd_in_every_sequence() {
    let plain = end(&[file()]);
    let frame = |part: &[u8]| zstd::encode_all(part, 1).unwrap();
    let (one, two) = plain.split_at(900);
    let skipped = [&b"\x5f\x2a\x4d\x18\x04\0\0\0"[..], b"skip"].concat();
    for frames in [
        vec![frame(one), frame(two)],
        vec![frame(b""), frame(one), frame(b""), frame(two), frame(b"")],
        vec![skipped.clone(), frame(one), skipped.clone(), frame(two), skipped.clone()],
    ] {
        names(&frames.concat(), &["file"]);
    }
    assert!(matches!(read(&skipped), Err(Error::NotTar { head }) if head.is_empty()));
    assert!(read(&[frame(one), two.to_vec()].concat()).is_err());
}

/// Counts the reads.
struct Counted<'a>(&'a [u8], &'a std::cell::Cell<usize>);

impl std::io::Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.1.set(self.1.get() + 1);
        self.0.read(buffer)
    }
}

#[test]
fn small_members_are_read_together() {
    let archive = end(&vec![file(); 1000]);
    for archive in [archive.clone(), zstd::encode_all(&archive[..], 1).unwrap()] {
        let count = std::cell::Cell::new(0);
        let from = Counted(&archive, &count);
        let mut archive = ArchiveReader::new(from, Limits::DEFAULT).unwrap();
        let mut members = 0;
        while let Some(member) = archive.next().unwrap() {
            archive.content(&member, |_, _| Ok(())).unwrap();
            members += 1;
        }
        assert_eq!(members, 1000);
        // Each read is a system call: six for a member would cost more than its file.
        assert!(count.get() < 20, "{}", count.get());
    }
}
