//! With `--sandbox require` the program's main process must not parse a byte that a
//! stranger wrote. In these tests it ends with a status of its own as soon as it does
//! (`cryptstream_protection::TRAP`): in the grammar of headers, in the decoding of armor,
//! and in the opening of chunks.

use std::fs;

use cryptstream_protection::{TRAP, TRAP_STATUS};

use crate::common::{Dir, Done, Run, test_bytes};

/// Small, of several chunks, and large enough for workers.
const LENGTHS: [usize; 4] = [0, 4096, 100_000, (9 << 20) + 5];

fn trapped(dir: &Dir, command: &str) -> Run {
    let mut run = dir.shell(&format!("$CS {command} --sandbox require"));
    run.command.env(TRAP, "1");
    run
}

/// Runs it, which must succeed without anything being parsed outside.
#[track_caller]
fn works(dir: &Dir, command: &str) -> Done {
    let done = trapped(dir, command).run();
    assert_ne!(done.code(), Some(TRAP_STATUS), "{command}: {done:?}");
    assert_eq!(done.code(), Some(0), "{command}: {done:?}");
    done
}

/// Native, of age, and armored, of every length.
fn folder() -> Dir {
    let dir = Dir::new();
    dir.keygen("id");
    dir.keygen("new");
    for len in LENGTHS {
        dir.write(format!("plain-{len}"), test_bytes(len));
        for (name, flags) in [("native", ""), ("age", "--format age"), ("armor", "--armor")] {
            let script = format!("$CS encrypt -i id plain-{len} {name}-{len} {flags}");
            dir.shell(&script).run().ok();
        }
    }
    dir
}

fn names() -> impl Iterator<Item = (String, usize)> {
    let of_kind = |kind| LENGTHS.map(|len| (format!("{kind}-{len}"), len));
    ["native", "age", "armor"].into_iter().flat_map(of_kind)
}

#[test]
fn the_trap_works() {
    let dir = folder();
    let mut run = dir.shell("$CS decrypt -i id native-4096 out");
    run.command.env(TRAP, "1");
    let done = run.run();
    // Without the feature there is no trap.
    if cfg!(feature = "protection-switches") {
        assert_eq!(done.code(), Some(TRAP_STATUS), "{done:?}");
    }
}

#[test]
fn every_kind_of_file_is_opened_elsewhere() {
    let dir = folder();
    for (name, len) in names() {
        for processes in ["auto", "0", "2"] {
            works(&dir, &format!("decrypt -i id {name} out --processes {processes}"));
            assert!(dir.read("out") == test_bytes(len), "{name} {processes}");
            fs::remove_file(dir.path("out")).unwrap();
        }
        let piped = works(&dir, &format!("decrypt -i id - - < {name}"));
        assert!(piped.stdout == test_bytes(len), "{name}");
        works(&dir, &format!("verify -i id {name}"));
        works(&dir, &format!("verify -i id - < {name}"));
        works(&dir, &format!("inspect {name}"));
        works(&dir, &format!("inspect - < {name}"));
        if len > 0 && !name.starts_with("armor") {
            let part = works(&dir, &format!("decrypt -i id {name} - --range 10-99"));
            assert!(part.stdout == test_bytes(len)[10..100], "{name}");
            let end = works(&dir, &format!("decrypt -i id {name} - --range=-7"));
            assert!(end.stdout == test_bytes(len)[len - 7..], "{name}");
        }
    }
    for (name, len) in names() {
        works(&dir, &format!("encrypt -i id plain-{len} again --verify-output"));
        works(&dir, &format!("encrypt -i id plain-{len} again.age --verify-output --armor"));
        works(&dir, &format!("decrypt -i id {name} out --verify-output"));
        for output in ["again", "again.age", "out"] {
            fs::remove_file(dir.path(output)).unwrap();
        }
    }
    let all: Vec<_> = names().map(|(name, _)| name).collect();
    works(&dir, &format!("verify -i id {}", all.join(" ")));
}

#[test]
fn damaged_files_are_opened_elsewhere() {
    let dir = folder();
    for (name, len) in names().filter(|(name, len)| *len > 20_000 && !name.starts_with("armor")) {
        let mut bytes = dir.read(&name);
        let at = bytes.len() - 30;
        bytes[at] ^= 1;
        dir.write("damaged", &bytes);
        let done = trapped(&dir, "verify -i id damaged").run();
        assert_eq!(done.code(), Some(65), "{name}: {done:?}");
        let done = trapped(&dir, "decrypt -i id damaged out --salvage").run();
        assert_eq!(done.code(), Some(65), "{name}: {done:?}");
        assert_eq!(dir.read("out")[..1000], test_bytes(len)[..1000]);
        fs::remove_file(dir.path("out")).unwrap();
    }
    for (kind, bytes) in [
        ("a foreign file", b"hello".to_vec()),
        ("a cut header", dir.read("native-4096")[..40].to_vec()),
        ("a bad header", b"cryptstream/v1\n-> x\n!\n".to_vec()),
        ("a bad armor", b"-----BEGIN AGE ENCRYPTED FILE-----\n!\n".to_vec()),
    ] {
        dir.write("bad", bytes);
        for command in ["decrypt -i id bad out", "verify -i id bad", "inspect bad"] {
            let done = trapped(&dir, command).run();
            assert_eq!(done.code(), Some(65), "{kind}: {command}: {done:?}");
        }
    }
}

#[test]
fn trees_and_archives_are_opened_elsewhere() {
    let dir = folder();
    fs::create_dir_all(dir.path("tree/sub")).unwrap();
    for len in LENGTHS {
        dir.write(format!("tree/sub/{len}"), test_bytes(len));
    }
    works(&dir, "encrypt -i id tree encrypted");
    works(&dir, "decrypt -i id encrypted decrypted");
    // Once more: what is there is looked at.
    works(&dir, "encrypt -i id tree encrypted");
    works(&dir, "decrypt -i id encrypted decrypted");
    works(&dir, "verify -i id encrypted");
    for len in LENGTHS {
        assert!(dir.read(format!("decrypted/sub/{len}")) == test_bytes(len));
    }
    works(&dir, "encrypt -i id tree tree.enc --archive");
    works(&dir, "list -i id tree.enc");
    works(&dir, "decrypt -i id tree.enc unpacked --extract");
}

#[test]
fn rekeying_reads_elsewhere() {
    let dir = folder();
    for (name, len) in names().filter(|(name, _)| !name.starts_with("armor")) {
        works(&dir, &format!("rekey {name} -i id --new-identity new"));
        works(&dir, &format!("rekey {name} -i new --new-identity id --reencrypt"));
        works(&dir, &format!("decrypt -i id {name} out"));
        assert!(dir.read("out") == test_bytes(len), "{name}");
        fs::remove_file(dir.path("out")).unwrap();
    }
}

#[test]
fn a_stray_journal_is_read_elsewhere() {
    let dir = folder();
    let encrypted = dir.read("native-4096");
    let header = encrypted.windows(4).position(|four| four == b"\n---").unwrap() + 49;
    let journal = cryptstream_format::Journal::new(
        encrypted.len() as u64,
        &encrypted[..header],
        &encrypted[header..header + 56],
        b"the new header",
    );
    dir.write(".native-4096.cryptstream-rekey", journal.encode());
    // A header that was written in part.
    let mut torn = encrypted.clone();
    torn[20..60].fill(b'x');
    dir.write("native-4096", torn);
    works(&dir, "decrypt -i id native-4096 out");
    assert!(dir.read("out") == test_bytes(4096));
    works(&dir, "rekey native-4096 -i id --new-identity new");
    works(&dir, "verify -i new native-4096");
}
