//! A header of 16 MiB that consists of one-letter arguments. As a string each would cost
//! 29 times its bytes: 464 MiB. Here the program has 200 MB of address space for
//! everything.

use crate::common::{Dir, Run};

/// The longest header of age's format that is read.
const MAX_LEN: usize = 16 << 20;
/// A MAC that fits no key.
const END: &[u8] = b"--- AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n";

/// A file whose header is `stanzas`, repeated up to the limit of the format.
fn hostile(before: &[u8], repeated: &[u8], times: usize, after: &[u8]) -> Vec<u8> {
    let mut file = b"age-encryption.org/v1\n".to_vec();
    file.extend_from_slice(before);
    file.extend_from_slice(&repeated.repeat(times));
    file.extend_from_slice(after);
    file.extend_from_slice(END);
    // The payload's nonce and a chunk.
    file.extend_from_slice(&[0; 16 + 16 + 100]);
    file
}

fn folder() -> Dir {
    let dir = Dir::new();
    dir.keygen("id");
    dir.keygen("new");
    dir.write("arguments", hostile(b"-> x", b" a", MAX_LEN / 2 - 100, b"\n\n"));
    // As many stanzas as there may be, and these as long as they may be together.
    let stanza = [b"-> x".as_slice(), &b" a".repeat(100), b"\n\n"].concat();
    dir.write("stanzas", hostile(b"", &stanza, 1 << 16, b""));
    dir
}

/// With little memory.
fn confined(dir: &Dir, command: &str) -> Run {
    dir.shell(&format!("ulimit -v 200000; exec $CS {command}"))
}

#[test]
fn a_header_of_arguments_costs_no_more_than_its_bytes() {
    let dir = folder();
    for name in ["arguments", "stanzas"] {
        let seen = confined(&dir, &format!("inspect {name}")).run().ok();
        assert!(seen.stdout_text().contains(": x"), "{seen:?}");
        confined(&dir, &format!("inspect {name} --json")).run().ok();
        dir.fails(confined(&dir, &format!("decrypt {name} out -i id")), 77, &[name]);
        dir.fails(confined(&dir, &format!("verify {name} -i id")), 77, &[name]);
        let range = format!("decrypt {name} out --range 0-9 -i id");
        dir.fails(confined(&dir, &range), 77, &[name]);
        let salvage = format!("decrypt {name} out --salvage -i id");
        dir.fails(confined(&dir, &salvage), 77, &[name]);
        let rekey = format!("rekey {name} -i id --new-identity new");
        dir.fails(confined(&dir, &rekey), 77, &[name]);
    }
}

#[test]
fn many_such_files_cost_no_more_than_one() {
    let dir = folder();
    let names: Vec<_> = (0..6).map(|number| format!("{number}.age")).collect();
    for name in &names {
        std::fs::copy(dir.path("arguments"), dir.path(name)).unwrap();
    }
    let verify = format!("verify {} -i id", names.join(" "));
    dir.fails(confined(&dir, &verify), 77, &["0.age", "5.age"]);
}
