//! The help line fits the command, and what the user gave.

use std::fs;

use crate::common::{Dir, test_bytes};

/// Files of all kinds, encrypted to `id`.
fn world() -> Dir {
    let dir = Dir::new();
    let plain = test_bytes(100_000);
    let good = dir.encrypted(&plain);
    let header = good.windows(5).position(|window| window == b"\n--- ").unwrap();
    dir.write("plain", &plain);
    dir.write("good.enc", &good);
    dir.write("doubled.enc", good.repeat(2));
    dir.write("empty.enc", "");
    let mut bad = good.clone();
    bad[header + 8] ^= 1;
    dir.write("header.enc", &bad);
    let mut bad = good.clone();
    let last = bad.len() - 1;
    bad[last] ^= 1;
    dir.write("end.enc", &bad);
    dir.write("cut.enc", &good[..good.len() - (100_000 % 16_384 + 16)]);
    dir.write("-notes", "text");
    fs::create_dir(dir.path("folder")).unwrap();
    dir.write("folder/text", "text");
    dir.shell(
        "$CS encrypt -q -i id folder enc; $CS encrypt -q -i id -a plain armored.age
        tar -c folder > tar; $CS encrypt -q -i id tar tar.enc
        (cat tar; head -c 512 plain) | $CS encrypt -i id - trailing.tar.enc
        cat tar tar | $CS encrypt -i id - two.tar.enc
        $CS encrypt -i id - nothing.tar.enc < /dev/null",
    )
    .run()
    .ok();
    dir
}

/// Runs each command, as a shell would. Its only help line must be as given; `*` stands for more.
#[track_caller]
fn advise(dir: &Dir, cases: &[(&str, i32, &str)]) {
    for (typed, code, help) in cases {
        let done = dir.shell(&format!("$CS {typed}")).run();
        assert_eq!(done.code(), Some(*code), "{typed}: {done:?}");
        let text = done.stderr_text();
        let lines: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("help: ")).collect();
        let fits = match help.strip_suffix('*') {
            Some(start) => lines.len() == 1 && lines[0].starts_with(start),
            None => lines == [*help],
        };
        assert!(fits, "{typed}: {text}");
    }
}

#[test]
fn a_closed_or_full_standard_output() {
    let redirect = "redirect it with `>`; to discard the output, use `> /dev/null`";
    let name = "name an OUTPUT, or redirect with `>`; to discard the output, use `> /dev/null`";
    let room = "make room, or redirect the output to another place";
    let part = "anything already written is only the beginning and must not be used; make room*";
    let identity =
        "the identity is incomplete and must not be used: generate another, with -o FILE";
    for (to, data, new, text) in [
        (">&-", name, "write it to a file with -o FILE, or redirect with `>`", redirect),
        ("> /dev/full", part, identity, room),
    ] {
        let dir = world();
        for (command, help) in [
            ("encrypt -i id plain -", data),
            ("decrypt -i id good.enc -", data),
            ("decrypt -i id good.enc --range 0-9", data),
            ("keygen", new),
            ("keygen -y id", text),
            ("encrypt -i id folder other --dry-run", text),
            ("verify -i id good.enc", text),
            ("list -i id tar.enc", text),
            ("inspect good.enc", text),
            ("completions bash", text),
            ("config --no-config", text),
            ("man --no-config", text),
        ] {
            advise(&dir, &[(&format!("{command} {to}"), 74, help)]);
        }
    }
}

#[test]
fn a_closed_output_is_noticed_before_a_benchmark() {
    let redirect = "redirect it with `>`; to discard the output, use `> /dev/null`";
    advise(&Dir::new(), &[("benchmark >&-", 74, redirect)]);
}

#[test]
fn a_damaged_file() {
    let dir = world();
    let again = "fetch the file again or use another copy";
    let file = format!("the output was not written; {again}");
    let nothing = format!("nothing was written; {again}");
    let part =
        format!("anything already written is only the beginning and must not be used; {again}");
    advise(
        &dir,
        &[
            ("decrypt -i id header.enc out", 65, &file),
            ("decrypt -i id header.enc -", 65, &nothing),
            ("decrypt -i id header.enc --range 0-9", 65, &nothing),
            ("decrypt -i id end.enc -", 65, &part),
            ("verify -i id header.enc", 65, again),
            ("list -i id header.enc", 65, again),
            ("rekey -i id header.enc --new-identity id", 65, &format!("nothing was done; {again}")),
        ],
    );
}

#[test]
fn what_salvage_wrote() {
    let dir = world();
    let all = "out contains all of it, without what was added after its end";
    let cut = "out contains what is intact, up to where the input was cut off";
    let zeros = "out contains what is intact, with zeros for the rest";
    let header = "out is complete; encrypt it again, since other commands refuse this file";
    for (file, help) in [("doubled", all), ("cut", cut), ("end", zeros), ("header", header)] {
        advise(&dir, &[(&format!("decrypt -i id --salvage {file}.enc out"), 65, help)]);
        fs::remove_file(dir.path("out")).unwrap();
    }
}

#[test]
fn armor_is_removed_as_advised() {
    let dir = world();
    let armored = String::from_utf8(dir.read("armored.age")).unwrap();
    // Two damaged characters in the second of two chunks of 64 KiB, in lines that end as on
    // Windows.
    let mut bad = armored.into_bytes();
    let at = bad.len() * 3 / 4;
    let at = at + bad[at..].iter().position(|byte| *byte == b'\n').unwrap();
    bad[at + 1..at + 3].copy_from_slice(b"\xff!");
    let lines: Vec<_> = bad.split(|byte| *byte == b'\n').collect();
    let bad = lines.join(&b"\r\n"[..]);
    dir.write("bad.age", bad);
    let text = dir.shell("$CS decrypt -i id --salvage bad.age out").run().stderr_text();
    let (_, advice) = text.split_once("result: ").unwrap();
    let advice = advice.trim().replace("FILE", "bad.age").replace("BINARY", "binary");
    dir.shell(&format!("set -o pipefail; {advice}")).run().ok_and_silent();
    let done = dir.run(&["decrypt", "-i", "id", "--salvage", "binary.enc", "out"]);
    assert_eq!(done.code(), Some(65), "{done:?}");
    assert!(dir.read("out")[..65_536] == test_bytes(100_000)[..65_536]);
}

#[test]
fn a_folder_where_a_file_is_needed() {
    let dir = world();
    advise(
        &dir,
        &[
            ("decrypt -i id --range 0-9 enc", 66, "name one of its files"),
            ("decrypt -i id --range 0-9 enc out", 66, "name one of its files"),
            ("decrypt -i id --salvage enc", 66, "name one of its files; `cryptstream verify*"),
            ("decrypt -i id --salvage enc out", 66, "name one of its files; `cryptstream verify*"),
            ("decrypt -i id --extract enc", 66, "name one archive; to decrypt all files*"),
            ("encrypt -i id - out < folder", 66, "name the folder as INPUT, with its path"),
            ("verify -i id folder", 66, "name encrypted files that have other names"),
            ("inspect folder", 66, "name encrypted files that have other names"),
            (
                "rekey -i id --new-identity id folder",
                66,
                "name encrypted files that have other names",
            ),
        ],
    );
}

#[test]
fn an_output_that_cannot_be() {
    let dir = world();
    let slash = "leave out the slash to write this file; to write into a folder, create it first \
                 and use --output-dir";
    let beside = "nothing was written; choose a place outside of it";
    advise(
        &dir,
        &[
            ("encrypt -i id plain new/", 73, slash),
            ("encrypt -i id plain plain/", 73, slash),
            ("decrypt -i id good.enc new/", 73, slash),
            ("encrypt -i id folder folder", 64, beside),
            ("encrypt -i id folder folder/new", 64, beside),
            ("encrypt -i id --archive folder folder", 64, beside),
            ("decrypt -i id good.enc good.enc", 73, "name another output; --remove-source*"),
            ("decrypt -i id --range 0-9 good.enc good.enc", 73, "name another output"),
        ],
    );
    for (typed, words) in [
        ("folder folder", "folder: is the same folder as the input folder"),
        ("folder ./folder/", "is the same folder as the input folder"),
        ("folder folder/new", "folder/new: is inside folder, which is an input"),
        ("--archive folder folder", "folder: is the same folder as the input folder"),
    ] {
        let text = dir.shell(&format!("$CS encrypt -i id {typed}")).run().stderr_text();
        assert!(text.contains(words), "{text}");
    }
}

#[test]
fn a_word_that_was_meant_otherwise() {
    let dir = world();
    let dash = "to name the file -notes, write ./-notes";
    let identity = "use -i FILE, with the identity of a recipient";
    let no_key = "leave it out: no key is needed; `cryptstream verify` checks a file with a key";
    advise(
        &dir,
        &[
            ("encrypt -i id -notes", 64, dash),
            ("encrypt -i id --dry-run < /dev/null", 64, "name a file or a folder"),
            ("inspect -notes", 64, dash),
            ("encrypt -i id '' out", 64, "is a variable in a script empty?"),
            ("encrypt -i id plain ''", 64, "is a variable in a script empty?"),
            ("verify -i '' good.enc", 64, "is a variable in a script empty?"),
            ("encrypt -i id plain -j -1", 64, "see `cryptstream encrypt --help`"),
            ("benchmark --runs -1", 64, "see `cryptstream benchmark --help`"),
            ("rekey -i id good.enc -r age1", 64, "use --new-recipient RECIPIENT or --new-*"),
            ("rekey -i id good.enc -R id.pub", 64, "use --new-recipient RECIPIENT or --new-*"),
            ("decrypt good.enc -r age1", 64, identity),
            ("verify good.enc --recipient age1", 64, identity),
            ("list tar.enc -R id.pub", 64, identity),
            ("inspect good.enc -r age1", 64, no_key),
            ("inspect good.enc -i id", 64, no_key),
            (
                "decrypt -i id --range 0-9 - < good.enc",
                64,
                "name the file as INPUT, or decrypt everything and cut, counting from 1: *",
            ),
        ],
    );
    let text = dir.shell("$CS encrypt -i id plain -j -1").run().stderr_text();
    assert!(text.contains("a number from 0 to 256"), "{text}");
    let text = dir.shell("$CS encrypt -i id '' out").run().stderr_text();
    assert!(text.contains("INPUT is empty"), "{text}");
}

#[test]
fn content_that_is_no_archive_or_more_than_one() {
    let dir = world();
    advise(
        &dir,
        &[
            (
                "decrypt -i id empty.enc",
                65,
                "is this the right file, and was it written to its end?",
            ),
            ("list -i id nothing.tar.enc", 65, "is this the right file? `cryptstream decrypt`*"),
            (
                "list -i id trailing.tar.enc",
                65,
                "only what comes before it was listed; if part of the archive was lost, *",
            ),
            (
                "list -i id two.tar.enc",
                65,
                "only the first was listed; with your keys, `cryptstream decrypt two.tar.enc - | \
                 tar -tvi` lists both",
            ),
        ],
    );
    let text = dir.shell("$CS verify -i id empty.enc").run().stderr_text();
    assert!(text.contains("a CryptStream nor an age file; it is empty"), "{text}");
}
