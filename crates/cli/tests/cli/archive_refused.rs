//! Archives that are hostile, damaged or too large: each is refused with a reason, and leaves
//! nothing behind.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::common::{CHUNK, Dir, PREFIX, Run, SEALED_CHUNK, header_len, test_bytes};
use tar::{EntryType, Header};

/// An archive under construction, which may be invalid.
#[derive(Default)]
struct Archive(Vec<u8>);

impl Archive {
    fn add(self, kind: EntryType, name: &str, link: &str, content: &[u8]) -> Self {
        self.add_sized(kind, name, link, content, content.len() as u64)
    }

    fn add_sized(
        mut self,
        kind: EntryType,
        name: &str,
        link: &str,
        content: &[u8],
        size: u64,
    ) -> Self {
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(0o4755);
        header.set_size(size);
        header.set_mtime(1_000_000_000);
        let fields = header.as_old_mut();
        fields.name[..name.len()].copy_from_slice(name.as_bytes());
        fields.linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn file(self, name: &str) -> Self {
        self.add(EntryType::Regular, name, "", b"content")
    }

    fn link(self, name: &str, to: &str) -> Self {
        self.add(EntryType::Symlink, name, to, b"")
    }

    fn hard_link(self, name: &str, to: &str) -> Self {
        self.add(EntryType::Link, name, to, b"")
    }

    fn pax(self, records: &[u8]) -> Self {
        self.add(EntryType::XHeader, "records", "", records)
    }

    fn end(mut self) -> Vec<u8> {
        self.0.extend_from_slice(&[0; 1024]);
        self.0
    }
}

fn archive() -> Archive {
    Archive::default()
}

/// A folder to attack: the archive is unpacked into `in/out`.
struct Fixture(Dir);

impl Fixture {
    fn new() -> Self {
        let dir = Dir::new();
        fs::create_dir(dir.path("in")).unwrap();
        dir.write("victim", "untouched");
        dir.write("in/victim", "untouched");
        dir.keygen("id");
        Self(dir)
    }

    fn extract(&self, archive: &[u8], flags: &[&str]) -> Run {
        let encrypted = self.0.encrypted(archive);
        self.0.write("a.enc", encrypted);
        self.0.command(&[&["decrypt", "--extract", "a.enc", "in/out", "-i", "id"], flags].concat())
    }

    /// Asserts that the archive is refused for this reason and leaves nothing new.
    #[track_caller]
    fn refuses(&self, archive: &[u8], flags: &[&str], words: &[&str]) {
        let run = self.extract(archive, flags);
        self.0.fails(run, 65, words);
        let names = fs::read_dir(self.0.path("in")).unwrap();
        let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["victim"]);
        assert_eq!(self.0.read("in/victim"), b"untouched");
    }

    #[track_caller]
    fn takes(&self, archive: &[u8], flags: &[&str]) {
        self.extract(archive, flags).run().ok();
    }
}

#[track_caller]
fn refuses(archive: Archive, words: &[&str]) {
    Fixture::new().refuses(&archive.end(), &[], words);
}

#[test]
fn absolute_names_stay_in_the_folder() {
    // tar, bsdtar and Python accept them in the same way.
    let fixture = Fixture::new();
    let victim = fixture.0.path("victim");
    let records = pax("path", victim.to_str().unwrap().as_bytes());
    let evil = archive().file("good").file("/evil").file("//etc/x").pax(&records).file("x").end();
    let done = fixture.extract(&evil, &[]).run().ok();
    assert!(done.stderr_text().contains("absolute names: 3"), "{done:?}");
    for name in ["in/out/evil", "in/out/etc/x"] {
        assert_eq!(fixture.0.read(name), b"content");
    }
    let below = fixture.0.path("in/out").join(victim.strip_prefix("/").unwrap());
    assert_eq!(fs::read(below).unwrap(), b"content");
    assert_eq!(fixture.0.read("victim"), b"untouched");
}

#[test]
fn names_with_parent_folders_are_refused() {
    for name in ["../victim", "a/../../victim", "a/..", "..", "./../victim"] {
        let words = [&format!("{name} has .. in its name"), "-C NEW` unpacks what tar can"];
        refuses(archive().file("good").file(name), &words);
    }
    refuses(archive().pax(&pax("path", b"../victim")).file("x"), &["../victim"]);
    let long = b"a/".repeat(100);
    refuses(archive().pax(&pax("path", &[&long[..], b"../x"].concat())).file("x"), &["has .."]);
}

#[test]
fn writing_through_a_symbolic_link() {
    // A link that stays within the folder.
    refuses(
        archive().add(EntryType::Directory, "d", "", b"").link("l", "d").file("l/evil"),
        &["l/evil has a parent that is not a folder"],
    );
    // A link that does not, when such links are allowed.
    let fixture = Fixture::new();
    let outside = fixture.0.root().to_str().unwrap().to_owned();
    let evil = archive().link("l", &outside).file("l/evil").end();
    fixture.refuses(&evil, &["--any-links"], &["has a parent"]);
    let evil = archive().link("l", "..").add(EntryType::Directory, "l/d", "", b"").end();
    fixture.refuses(&evil, &["--any-links"], &["has a parent"]);
    let evil = archive().link("l", "..").link("l/d", "x").end();
    fixture.refuses(&evil, &["--any-links"], &["has a parent"]);
    // A file in place of a folder does not work either.
    refuses(archive().file("f").file("f/evil"), &["f/evil has a parent"]);
}

#[test]
fn symbolic_links_out_of_the_folder_are_refused() {
    for (name, to) in [
        ("l", "/etc/passwd"),
        ("l", "../victim"),
        ("d/l", "../../victim"),
        ("d/l", "../d/../../victim"),
        ("l", "d/s/.."),
    ] {
        let evil = || archive().file("d/good").link(name, to);
        refuses(evil(), &[&format!("{name} is a symbolic link that may lead out"), "--any-links"]);
        let fixture = Fixture::new();
        fixture.takes(&evil().end(), &["--any-links"]);
        let link = fs::read_link(fixture.0.path("in/out").join(name)).unwrap();
        assert_eq!(link, Path::new(to));
        assert_eq!(fixture.0.read("victim"), b"untouched");
    }
}

#[test]
fn hard_links_out_of_the_folder_are_refused() {
    let fixture = Fixture::new();
    let victim = fixture.0.path("victim").to_str().unwrap().to_owned();
    fixture.refuses(
        &archive().hard_link("h", &victim).end(),
        &[],
        &["h is a hard link to a file that does not"],
    );
    refuses(archive().hard_link("h", "../victim"), &["h has .. in its name"]);
    refuses(archive().hard_link("h", "nothing"), &["h is a hard link to a file that does not"]);
    refuses(archive().hard_link("h", "no/thing"), &["h is a hard link to a file that does"]);
    refuses(
        archive().add(EntryType::Directory, "d", "", b"").hard_link("h", "d"),
        &["h is a hard link to something that is not a regular file"],
    );
    refuses(
        archive().hard_link("h", "./"),
        &["h is a hard link to something that is not a regular file"],
    );
    // Through a link, and to a link, which would lead out from another folder.
    let evil = archive().link("l", "..").hard_link("h", "l/victim").end();
    fixture.refuses(&evil, &["--any-links"], &["h has a parent"]);
    refuses(archive().file("f").link("d/l", "../f").hard_link("l", "d/l"), &["not a regular file"]);
    let linked = archive().file("f").pax(&pax("size", b"7"));
    refuses(
        linked.add(EntryType::Link, "h", "f", b"content"),
        &["h: it is a hard link with content"],
    );
    refuses(
        archive().file("f").add(EntryType::Link, "h", "f", b"content"),
        &["the checksum of a header is wrong"],
    );
}

#[test]
fn the_last_of_two_members_with_one_name_counts() {
    // As with tar: `tar -r` appends the new version of a file.
    let new = |archive: Archive, name| archive.add(EntryType::Regular, name, "", b"new");
    for (evil, name, content) in [
        (new(archive().file("a"), "a"), "a", "new"),
        (new(archive().file("d/a"), "./d//a"), "d/a", "new"),
        (new(archive().link("a", "b").file("b"), "a"), "a", "new"),
        (archive().file("a").link("a", "b").file("b"), "a", "content"),
        (new(archive().file("a").hard_link("b", "a"), "a"), "b", "content"),
        (archive().file("b").file("a").hard_link("a", "b"), "a", "content"),
    ] {
        let fixture = Fixture::new();
        let done = fixture.extract(&evil.end(), &[]).run().ok();
        assert!(done.stderr_text().contains("more than once in the archive: 1"), "{done:?}");
        assert_eq!(fixture.0.read(format!("in/out/{name}")), content.as_bytes(), "{name}");
    }
    // Nothing is replaced through a link, and nothing outside the folder.
    let fixture = Fixture::new();
    let evil = new(archive().link("l", "../../victim"), "l").link("m", "..");
    fixture.takes(
        &evil.add(EntryType::Directory, "m", "", b"").file("m/victim").end(),
        &["--any-links"],
    );
    assert_eq!(fixture.0.read("in/out/l"), b"new");
    assert_eq!(fixture.0.read("in/out/m/victim"), b"content");
    assert_eq!(
        (fixture.0.read("victim"), fixture.0.read("in/victim")),
        (b"untouched".into(), b"untouched".into())
    );
    // The same file, and folders.
    let fixture = Fixture::new();
    let folder = |archive: Archive| archive.add(EntryType::Directory, "d", "", b"");
    let good = folder(folder(archive()).file("d/a")).hard_link("d/a", "d/a").end();
    fixture.extract(&good, &[]).run().ok_and_silent();
    assert_eq!(fixture.0.read("in/out/d/a"), b"content");
    let refusal = &["d has the name of a folder in the archive"];
    refuses(folder(archive()).file("d"), refusal);
    refuses(archive().file("d/a").file("d"), refusal);
    refuses(archive().file("d/a").link("d", "x"), refusal);
    // If the file system may treat two names as one, neither file is lost.
    refuses(archive().file("a").hard_link("A", "a").file("a"), &["does not distinguish"]);
}

#[test]
fn an_existing_folder() {
    let fixture = Fixture::new();
    let good = archive().file("victim").end();
    fs::create_dir(fixture.0.path("in/out")).unwrap();
    fixture.0.write("in/out/victim", "untouched");
    let run = fixture.extract(&good, &[]);
    fixture.0.fails(run, 73, &["in/out: already exists"]);
    assert_eq!(fixture.0.read("in/out/victim"), b"untouched");
    fs::remove_dir_all(fixture.0.path("in/out")).unwrap();
    std::os::unix::fs::symlink("nowhere", fixture.0.path("in/out")).unwrap();
    let run = fixture.extract(&good, &["--force"]);
    fixture.0.fails(run, 73, &["already exists"]);
}

#[test]
fn devices_and_pipes_are_left_out() {
    // Packing a folder leaves them out as well, like rsync.
    let fixture = Fixture::new();
    let kinds = [EntryType::Char, EntryType::Block, EntryType::Fifo];
    let many = kinds
        .into_iter()
        .cycle()
        .take(25)
        .fold(archive().file("a"), |archive, kind| archive.add(kind, "x\x1b", "", b""));
    let done = fixture.extract(&many.file("b").end(), &["--json"]).run().ok();
    let text = done.stderr_text();
    assert_eq!(text.matches("is a device or a named pipe; skipped").count(), 20, "{text}");
    assert!(text.contains("5 more skipped"), "{text}");
    assert_eq!(done.json(&done.stdout)["skipped"], 25);
    let names: Vec<_> = fs::read_dir(fixture.0.path("in/out")).unwrap().collect();
    assert_eq!(names.len(), 2);
}

#[test]
fn archives_that_only_tar_can_unpack_are_refused() {
    let unknown = archive().add(EntryType::new(b'Q'), "x", "", b"");
    refuses(
        unknown,
        &[
            "x is of an unknown type",
            "mkdir NEW && cryptstream decrypt a.enc - | tar -x -C NEW` unpacks it",
        ],
    );
    let volume = archive().add(EntryType::new(b'M'), "x", "", b"");
    refuses(volume, &["x begins in another volume", "tar -xM"]);
    let joined = [archive().file("a").end(), archive().file("b").end()].concat();
    Fixture::new().refuses(&joined, &[], &["b comes after the end", "tar -xi"]);
    refuses(archive().add(EntryType::Regular, "", "", b""), &["invalid"]);
    refuses(archive().add(EntryType::Regular, ".", "", b"x"), &[". has no name"]);
}

#[test]
fn special_permission_bits_are_not_restored() {
    let fixture = Fixture::new();
    let good = archive().file("f").add(EntryType::Directory, "d", "", b"");
    let good = good.add(EntryType::Directory, "./", "", b"").end();
    fixture.takes(&good, &[]);
    for name in ["in/out/f", "in/out/d", "in/out"] {
        let mode = fs::metadata(fixture.0.path(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o755, "{name}");
    }
}

#[test]
fn false_sizes_are_refused() {
    let sized = |size| archive().file("a").add_sized(EntryType::Regular, "huge", "", b"few", size);
    let fixture = Fixture::new();
    // Without an end, which would not be reached.
    fixture.refuses(&sized(1 << 30).0, &[], &["in huge: it is cut off"]);
    fixture.refuses(&sized(1 << 41).0, &[], &["in huge: it is cut off"]);
    fixture.refuses(&sized(1 << 62).0, &["--max-size", "8388607TiB"], &["it is cut off"]);
    fixture.refuses(&sized(1 << 20).0, &["--max-size", "1MiB"], &["larger than 1048576 bytes"]);
    // A name that would take all the memory of the machine.
    let name = archive().add_sized(EntryType::GNULongName, "l", "", b"x", 1 << 40);
    fixture.refuses(&name.0, &[], &["too long"]);
    for size in [&b"-1"[..], b"1e9", b"99999999999999999999999"] {
        let lie = archive().pax(&pax("size", size)).file("a");
        fixture.refuses(&lie.end(), &[], &["invalid"]);
    }
    // A hole that is larger than any disk, and one that overlaps.
    for map in ["0,1,99999999999999,1", "5,3,0,4", "0", "0,7,3,0", "x,1"] {
        let records = [
            pax("GNU.sparse.size", b"100"),
            pax("GNU.sparse.numblocks", b"1"),
            pax("GNU.sparse.map", map.as_bytes()),
        ];
        let lie = archive().pax(&records.concat()).file("a");
        fixture.refuses(&lie.end(), &[], &["holes", "a"]);
    }
    let huge = [pax("GNU.sparse.size", b"4611686018427387904"), pax("GNU.sparse.map", b"0,7")];
    fixture.refuses(&archive().pax(&huge.concat()).file("a").end(), &[], &["--max-size"]);
}

#[test]
fn duplicate_and_conflicting_headers() {
    // All programs take the last value, and ignore an empty one.
    let twice = [pax("path", b"a"), pax("path", b"b"), pax("linkpath", b"")].concat();
    let fixture = Fixture::new();
    fixture.takes(&archive().pax(&twice).file("x").end(), &[]);
    assert_eq!(fixture.0.read("in/out/b"), b"content");
    refuses(archive().pax(&pax("path", b"a\0b")).file("x"), &["invalid"]);
    refuses(archive().pax(b"99 path=a\n").file("x"), &["invalid"]);
    refuses(archive().pax(&pax("path", b"a")).pax(&pax("path", b"b")).file("x"), &["two names"]);
    refuses(archive().pax(&pax("path", b"a")), &["it ends where a member must follow"]);
    let global = |records: &[u8]| archive().add(EntryType::XGlobalHeader, "g", "", records);
    for key in ["path", "linkpath", "size", "GNU.sparse.name"] {
        refuses(global(&pax(key, b"1")).file("x"), &["only a single member may have"]);
    }
    // As written by `git archive`.
    Fixture::new().takes(&global(&pax("comment", b"abc")).file("x").end(), &[]);
}

#[test]
fn truncated_archives_are_refused() {
    let fixture = Fixture::new();
    let whole = archive().file("a").file("b").end();
    for len in [1, 511, 512, 513, 1024, 1500, 2048, 2049] {
        let code_words: &[&str] = match len {
            ..512 => &["not a tar archive"],
            _ => &["it is cut off", "tar -x -C NEW` unpacks what tar can"],
        };
        fixture.refuses(&whole[..len], &[], code_words);
    }
    fixture.refuses(b"", &[], &["it is empty"]);
    fixture.refuses(b"plain text, and no archive\n", &[], &["it looks like plain text"]);
    let gzip =
        ["it looks like a gzip file", "cryptstream decrypt a.enc - | tar -xz -C NEW` unpacks it"];
    fixture.refuses(b"\x1f\x8b\x08 and so on", &[], &gzip);
    let list = fixture.0.command(&["list", "a.enc", "-i", "id"]);
    let done = fixture.0.fails(list, 65, &gzip);
    assert!(!done.stderr_text().contains("beginning"), "{done:?}");
    let mut damaged = whole.clone();
    damaged[1024] ^= 1;
    fixture.refuses(&damaged, &[], &["checksum"]);
    damaged[0] ^= 1;
    fixture.refuses(&damaged, &[], &["malformed at byte 0: the checksum is wrong"]);
    fixture.refuses(&[&whole[..], b"more"].concat(), &[], &["there is data after its end"]);
    fixture.refuses(&[&whole[..], &whole].concat(), &[], &["a comes after the end of the archive"]);
    // Zeros may follow. Some programs write only one block of them, which tar accepts too.
    fixture.takes(&[&whole[..], &[0; 10_000]].concat(), &[]);
    fs::remove_dir_all(fixture.0.path("in/out")).unwrap();
    fixture.takes(&whole[..2560], &[]);
}

#[test]
fn bombs() {
    let fixture = Fixture::new();
    let bomb = archive().add(EntryType::Regular, "zeros", "", &vec![0; 100 << 20]).end();
    let bomb = zstd::encode_all(&bomb[..], 3).unwrap();
    assert!(bomb.len() < 100_000);
    fixture.refuses(&bomb, &[], &["more than 1000 times larger", "--max-ratio"]);
    fixture.takes(&bomb, &["--max-ratio", "100000"]);
    fs::remove_dir_all(fixture.0.path("in/out")).unwrap();

    let many = (0..100).fold(archive(), |archive, number| archive.file(&number.to_string())).end();
    fixture.refuses(&many, &["--max-entries", "99"], &["more than 99 members", "--max-entries"]);
    let small = zstd::encode_all(&many[..], 3).unwrap();
    for cut in [5, small.len() / 2, small.len() - 1] {
        fixture.refuses(&small[..cut], &[], &["cannot be decompressed"]);
    }
    fixture.refuses(&[&small[..], b"more"].concat(), &[], &["cannot be decompressed"]);
    fixture.takes(&small, &["--max-entries", "100"]);

    let deep = vec!["d"; 501].join("/");
    refuses(
        archive().pax(&pax("path", deep.as_bytes())).file("x"),
        &["more than 500 nested folders"],
    );
}

#[test]
fn as_deep_as_can_be() {
    let fixture = Fixture::new();
    let deep = vec!["d"; 500].join("/");
    let good = archive().pax(&pax("path", deep.as_bytes())).file("x");
    fixture.refuses(&good.file("../evil").end(), &[], &["../evil has .. in its name"]);
}

#[test]
fn damaged_files_and_wrong_keys_are_refused() {
    let dir = Dir::new();
    dir.keygen("id");
    dir.keygen("other");
    fs::create_dir(dir.path("in")).unwrap();
    for number in 0..20 {
        dir.write(format!("in/{number}"), test_bytes(500_000));
    }
    let encrypted = dir.run(&["encrypt", "--archive", "in", "-", "-i", "id"]).ok().stdout;
    let extract = ["decrypt", "--extract", "a.enc", "out", "-i", "id"];
    let payload = header_len(&encrypted) + PREFIX;
    let chunks = (encrypted.len() - payload).div_ceil(SEALED_CHUNK);
    assert!(chunks * CHUNK > 9_000_000);
    for (chunk, processes) in [(0, "0"), (chunks / 2, "0"), (chunks / 2, "2"), (chunks - 1, "0")] {
        let mut damaged = encrypted.clone();
        damaged[payload + chunk * SEALED_CHUNK + 5] ^= 1;
        dir.write("a.enc", &damaged);
        let args = [&extract[..], &["--processes", processes]].concat();
        dir.fails(dir.command(&args), 65, &["a.enc: ", &format!("chunk {chunk}")]);
        let list = dir.command(&["list", "a.enc", "-i", "id"]);
        let done = dir.fails(list, 65, &[]);
        let is_begun = done.stderr_text().contains("only the beginning");
        assert_eq!(is_begun, !done.stdout.is_empty(), "{done:?}");
        let done = dir.fails(dir.command(&["list", "--json", "a.enc", "-i", "id"]), 65, &[]);
        assert_eq!(done.json(&done.stdout)["error"]["code"], 65);
    }
    dir.write("a.enc", &encrypted[..encrypted.len() / 2]);
    dir.fails(dir.command(&extract), 65, &["a.enc: "]);
    dir.write("a.enc", &encrypted);
    let wrong = ["decrypt", "--extract", "a.enc", "out", "-i", "other"];
    dir.fails(dir.command(&wrong), 77, &["no key fits"]);
    dir.fails(dir.command(&["list", "a.enc", "-i", "other"]), 77, &["no key fits"]);
    dir.run(&extract).ok_and_silent();
}

#[test]
fn the_list_shows_hostile_archives_as_they_are() {
    let dir = Dir::new();
    let evil = archive().file("../up").link("l", "/etc").add(EntryType::Fifo, "p", "", b"").end();
    let encrypted = dir.encrypted(&evil);
    dir.write("a.enc", encrypted);
    let text = dir.run(&["list", "a.enc", "-i", "id"]).ok_and_silent().stdout_text();
    for line in ["-rwsr-xr-x            7 2001-09-09T01:46:40Z ../up\n", " l -> /etc\n", "prwsr"] {
        assert!(text.contains(line), "{text}");
    }
    dir.write("b.enc", dir.encrypted(&evil[..700]));
    dir.fails(dir.command(&["list", "b.enc", "-i", "id"]), 65, &["cut off", "only the beginning"]);
}

/// A PAX record.
fn pax(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let len = (rest + 1..).find(|len| rest + len.to_string().len() == *len).unwrap();
    [format!("{len} {key}=").as_bytes(), value, b"\n"].concat()
}
