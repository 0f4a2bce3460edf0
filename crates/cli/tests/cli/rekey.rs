//! New keys for a file whose content stays the same.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;

use crate::common::acl::{self, ACCESS, GROUP_OBJ, MASK, OTHER, USER, USER_OBJ};
use crate::common::age_matrix::has_age;
use crate::common::{CHEAP, Dir, Run, header_len, test_bytes};
use rustix::fs::{FlockOperation, flock};

const MIB: usize = 1 << 20;
const FORMATS: [&str; 2] = ["native", "age"];

/// A folder with the identities a, b, c and d, and the passphrase file `pw`.
fn fixture() -> Dir {
    let dir = Dir::new();
    for name in ["a", "b", "c", "d"] {
        dir.keygen(name);
    }
    dir.write_secret("pw", "correct horse");
    dir
}

fn encrypt(dir: &Dir, content: &[u8], format: &str, keys: &[&str]) {
    let args = [&["encrypt", "--format", format, "-", "f", "--force"], keys].concat();
    dir.command(&args).input(content).run().ok();
}

/// Whether this key decrypts the file; if so, the content must be right.
#[track_caller]
fn opens(dir: &Dir, keys: &[&str], content: &[u8]) -> bool {
    let done = dir.run(&[&["decrypt", "f", "-"], keys].concat());
    match done.code() {
        Some(0) => assert!(done.stdout == content),
        code => assert_eq!(code, Some(77), "{done:?}"),
    }
    done.code() == Some(0)
}

fn payload(dir: &Dir) -> Vec<u8> {
    let file = dir.read("f");
    file[header_len(&file)..].to_vec()
}

/// Rekeys, and returns the JSON object. Nothing may be left beside the file.
#[track_caller]
fn rekey(dir: &Dir, args: &[&str]) -> serde_json::Value {
    let done = dir.run(&[&["rekey", "f", "--json"], args].concat()).ok();
    assert_tidy(dir);
    done.json(&done.stdout)
}

#[track_caller]
fn assert_tidy(dir: &Dir) {
    let names = dir.names();
    assert!(!names.iter().any(|name| name.to_string_lossy().starts_with('.')), "{names:?}");
}

#[test]
fn other_recipients_open_the_same_payload() {
    let dir = fixture();
    for format in FORMATS {
        for len in [0, MIB - 1, MIB, 2 * MIB + 1] {
            let content = test_bytes(len);
            encrypt(&dir, &content, format, &["-i", "a"]);
            let encrypted = payload(&dir);
            let mut old = "a";
            for new in [&["b"][..], &["a", "c", "d"], &["c"], &["b", "d"], &["a"]] {
                let mut args = vec!["-i", old];
                args.extend(new.iter().flat_map(|name| ["--new-identity", *name]));
                let before = dir.read("f");
                let json = rekey(&dir, &args);
                let after = dir.read("f");
                assert_eq!(json["format"], format);
                assert_eq!(json["header_before"], header_len(&before));
                assert_eq!(json["header_after"], header_len(&after));
                assert_eq!(json["bytes_in"], before.len());
                assert_eq!(json["bytes_out"], after.len());
                assert!(payload(&dir) == encrypted, "{format} {len}: the payload was changed");
                for name in ["a", "b", "c", "d"] {
                    let is_new = new.contains(&name);
                    assert_eq!(opens(&dir, &["-i", name], &content), is_new, "{format} {len}");
                }
                // An age file has only the space that its recipients took.
                let is_written_anew = len < MIB || format == "age" && after.len() > before.len();
                let method = json["method"].as_str().unwrap();
                match is_written_anew {
                    true => assert!(matches!(method, "rewritten" | "shared"), "{method}"),
                    false => assert!(matches!(method, "in-place" | "shared"), "{method}"),
                }
                old = new[0];
            }
        }
    }
}

#[test]
fn a_passphrase_replaces_keys_and_keys_replace_a_passphrase() {
    let dir = fixture();
    dir.write_secret("pw2", "another one");
    // In place, and with a new file.
    for (format, len) in [("native", MIB + 1), ("age", 1)] {
        let content = test_bytes(len);
        encrypt(&dir, &content, format, &["-i", "a"]);
        let encrypted = payload(&dir);
        let cost = if format == "age" { "--scrypt=16" } else { CHEAP };
        let (first, second) = (["--passphrase-file", "pw"], ["--passphrase-file", "pw2"]);
        rekey(&dir, &["-i", "a", "--new-passphrase-file", "pw", cost]);
        assert!(!opens(&dir, &["-i", "a"], &content) && opens(&dir, &first, &content));
        rekey(&dir, &[first[0], first[1], "--new-passphrase-file", "pw2", cost]);
        assert!(!opens(&dir, &first, &content) && opens(&dir, &second, &content));
        rekey(&dir, &[second[0], second[1], "--new-identity", "b"]);
        assert!(!opens(&dir, &second, &content) && opens(&dir, &["-i", "b"], &content));
        assert!(payload(&dir) == encrypted);
    }
}

#[test]
fn a_warning_says_that_no_key_given_fits_any_more() {
    let dir = fixture();
    let [a, b] = ["a", "b"].map(|name| dir.run(&["keygen", "-y", name]).ok().stdout_text());
    let (a, b) = (a.trim(), b.trim());
    dir.write("list", format!("{a}\n{b}\n"));
    dir.run(&["encrypt", CHEAP, "--passphrase-file", "pw", "a", "protected"]).ok();
    let own = |flags: &[&'static str]| [&["-i", "a"], flags].concat();
    let passphrase = vec!["--passphrase-file", "pw"];
    let locked = vec!["-i", "protected", "--identity-passphrase-file", "pw"];
    for (old, new, is_warned) in [
        (own(&[]), vec!["--new-recipient", b], true),
        (own(&["-i", "c"]), vec!["--new-recipient", b], true),
        (locked.clone(), vec!["--new-recipient", b], true),
        (passphrase.clone(), vec!["--new-recipient", b], true),
        (own(&[]), vec!["--new-recipients-file", "list"], false),
        (locked, vec!["--new-recipients-file", "list"], false),
        (own(&["-i", "b"]), vec!["--new-recipient", b], false),
        (own(&[]), vec!["--new-identity", "b"], false),
        (own(&[]), vec!["--new-passphrase-file", "pw", CHEAP], false),
    ] {
        let first = if old == passphrase { vec![CHEAP, old[0], old[1]] } else { vec!["-i", "a"] };
        encrypt(&dir, b"content", "native", &first);
        let done = dir.run(&[&["rekey", "f"], &old[..], &new].concat()).ok();
        let expected = match is_warned {
            true => "warning: f: none of the keys given can decrypt it any more\n",
            false => "",
        };
        assert_eq!(done.stderr_text(), expected, "{old:?} {new:?}");
    }
    // Once for all files; as an event for a program.
    let new = ["-i", "a", "--new-recipient", b];
    fs::create_dir(dir.path("all")).unwrap();
    for (flag, count) in [("--no-config", 1), ("--json", 1), ("--quiet", 0)] {
        for name in ["all/x.enc", "all/y.enc"] {
            dir.run(&["encrypt", "pw", name, "-i", "a", "--force"]).ok();
        }
        let text = dir.run(&[&["rekey", "all", flag], &new[..]].concat()).ok().stderr_text();
        let warnings = text.matches("none of the keys given can decrypt the rekeyed files").count();
        assert_eq!((warnings, text.lines().count()), (count, count), "{text}");
        assert_eq!(text.contains(r#""event":"warning""#), flag == "--json", "{text}");
    }
}

#[test]
fn in_place_the_file_stays_the_same_file() {
    let dir = fixture();
    for (format, len) in [("native", MIB), ("native", 100), ("age", MIB), ("age", 0)] {
        let content = test_bytes(len);
        encrypt(&dir, &content, format, &["-i", "a"]);
        // Other names of the file prevent replacing it.
        fs::hard_link(dir.path("f"), dir.path("g")).unwrap();
        fs::set_permissions(dir.path("f"), fs::Permissions::from_mode(0o640)).unwrap();
        let before = fs::metadata(dir.path("f")).unwrap();
        let json = rekey(&dir, &["-i", "a", "--new-identity", "b"]);
        assert_eq!((&json["method"], &json["names_left"]), (&"in-place".into(), &0.into()));
        let after = fs::metadata(dir.path("f")).unwrap();
        assert_eq!((before.ino(), before.mode()), (after.ino(), after.mode()));
        assert_eq!(after.nlink(), 2);
        assert!(opens(&dir, &["-i", "b"], &content));
        assert!(dir.read("f") == dir.read("g"));
        fs::remove_file(dir.path("g")).unwrap();
    }
}

#[test]
fn other_links_to_the_old_file_are_reported() {
    let dir = fixture();
    encrypt(&dir, b"content", "age", &["-i", "a"]);
    fs::hard_link(dir.path("f"), dir.path("g")).unwrap();
    let old = dir.read("g");
    let done = dir.run(&["rekey", "f", "-i", "a", "--new-identity", "b", "--new-identity", "c"]);
    let text = done.ok().stderr_text();
    assert!(text.contains("f: one other name (hard link) keeps the old file"), "{text}");
    assert!(dir.read("g") == old && opens(&dir, &["-i", "c"], b"content"));
}

#[test]
fn a_file_that_is_replaced_keeps_its_permissions_and_its_links() {
    let dir = fixture();
    encrypt(&dir, b"content", "native", &["-i", "a"]);
    fs::create_dir(dir.path("away")).unwrap();
    fs::rename(dir.path("f"), dir.path("away/real")).unwrap();
    symlink("away/real", dir.path("f")).unwrap();
    fs::set_permissions(dir.path("away/real"), fs::Permissions::from_mode(0o604)).unwrap();
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        std::os::unix::fs::chown(dir.path("away/real"), Some(1234), Some(4321)).unwrap();
    }
    let json = rekey(&dir, &["-i", "a", "--new-identity", "b"]);
    assert_eq!(json["method"], "rewritten");
    let after = fs::metadata(dir.path("away/real")).unwrap();
    assert_eq!(after.mode() & 0o7777, 0o604);
    assert!(!is_root || (after.uid(), after.gid()) == (1234, 4321));
    assert!(fs::symlink_metadata(dir.path("f")).unwrap().is_symlink());
    assert_eq!(fs::read_dir(dir.path("away")).unwrap().count(), 1);
    assert!(opens(&dir, &["-i", "b"], b"content"));
}

#[test]
fn reencrypting_seals_the_content_under_another_key() {
    let dir = fixture();
    for format in FORMATS {
        for len in [0, 1, MIB - 1, MIB, 10 * MIB + 77] {
            let content = test_bytes(len);
            encrypt(&dir, &content, format, &["-i", "a"]);
            let (before, len_before) = (payload(&dir), dir.read("f").len());
            let json = rekey(&dir, &["-i", "a", "--new-identity", "b", "--reencrypt"]);
            assert_eq!((&json["method"], &json["format"]), (&"reencrypted".into(), &format.into()));
            let after = payload(&dir);
            assert_eq!((after.len(), dir.read("f").len()), (before.len(), len_before));
            // No 16 bytes are the same. A shorter rest may be, by chance.
            let mut pairs = before.chunks_exact(16).zip(after.chunks_exact(16));
            assert!(!pairs.any(|(old, new)| old == new));
            assert!(opens(&dir, &["-i", "b"], &content) && !opens(&dir, &["-i", "a"], &content));
        }
    }
    // Whatever is damaged, the old file stays.
    encrypt(&dir, &test_bytes(10 * MIB), "native", &["-i", "a"]);
    let file = File::options().write(true).open(dir.path("f")).unwrap();
    file.write_all_at(&[!dir.read("f")[5 * MIB]], 5 * MIB as u64).unwrap();
    let run = dir.command(&["rekey", "f", "-i", "a", "--new-identity", "b", "--reencrypt"]);
    dir.fails(run, 65, &["f: is damaged in chunk 319", "nothing was done"]);
}

#[test]
fn what_cannot_be_rekeyed_is_left_alone() {
    let dir = fixture();
    let content = test_bytes(2 * MIB);
    encrypt(&dir, &content, "native", &["-i", "a"]);
    let encrypted = dir.read("f");
    let to_b = |args: &[&str]| dir.command(&[&["rekey"], args, &["--new-identity", "b"]].concat());
    dir.fails(to_b(&["f", "-i", "c"]), 77, &["f: no key fits", "-i"]);
    dir.fails(to_b(&["f", "--key", "x"]), 77, &["f: no key fits"]);
    dir.fails(to_b(&["missing", "-i", "a"]), 66, &["missing", "no such file"]);
    dir.fails(to_b(&["-", "-i", "a"]), 64, &["standard input", "name a file"]);
    dir.fails(to_b(&[".", "-i", "a"]), 66, &["is a folder without a file named"]);
    dir.fails(to_b(&["a", "-i", "a"]), 65, &["neither a CryptStream nor an age file"]);
    dir.fails(dir.command(&["rekey", "f", "-i", "a"]), 64, &["no new key", "--new-recipient"]);
    // A leftover variable is not used as the new passphrase.
    let run = dir.command(&["rekey", "f", "-i", "a"]).env("CRYPTSTREAM_PASSPHRASE", "x");
    dir.fails(run, 64, &["no new key"]);
    dir.fails(to_b(&["f"]), 64, &["no key was given"]);
    let run = to_b(&["f", "-i", "a", "--new-passphrase-file", "pw"]);
    dir.fails(run, 64, &["cannot be combined"]);
    let both = &["f: is both the data and the key"];
    dir.fails(to_b(&["f", "-i", "f"]), 64, both);
    let run = dir.command(&["rekey", "f", "-i", "a", "--new-passphrase-file", "f"]);
    dir.fails(run, 64, &["f: "]);

    let header = header_len(&encrypted);
    let damage = |at: usize| {
        let mut damaged = encrypted.clone();
        damaged[at] ^= 1;
        dir.write("f", damaged);
    };
    damage(5);
    dir.fails(to_b(&["f", "-i", "a"]), 65, &["neither a CryptStream nor"]);
    let mut damaged = encrypted.clone();
    damaged[30] = b'!';
    dir.write("f", damaged);
    dir.fails(to_b(&["f", "-i", "a"]), 65, &["the header is damaged", "nothing was done"]);
    // Another letter of base64, but not the last one, whose low bits must be zero.
    let mut damaged = encrypted.clone();
    damaged[header - 10] = if damaged[header - 10] == b'A' { b'B' } else { b'A' };
    dir.write("f", damaged);
    dir.fails(to_b(&["f", "-i", "a"]), 65, &["the header was altered", "nothing was done"]);
    damage(header + 30);
    dir.fails(to_b(&["f", "-i", "a"]), 65, &["does not belong to this header"]);
    damage(encrypted.len() - 1);
    dir.fails(to_b(&["f", "-i", "a"]), 65, &["is damaged at its end"]);
    dir.write("f", &encrypted[..encrypted.len() - 20_000]);
    dir.fails(to_b(&["f", "-i", "a"]), 65, &["is damaged at its end"]);
    dir.write("f", &encrypted[..header + 60]);
    dir.fails(to_b(&["f", "-i", "a"]), 65, &["fewer than"]);
    dir.write("f", &encrypted[..header - 60]);
    dir.fails(to_b(&["f", "-i", "a"]), 65, &["cut off"]);
    dir.write(
        "f",
        "\n-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n-----END AGE ENCRYPTED FILE-----\n",
    );
    dir.fails(to_b(&["f", "-i", "a"]), 64, &["armored", "encrypt it again"]);

    dir.write("f", &encrypted);
    let lock = File::open(dir.path("f")).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    dir.fails(to_b(&["f", "-i", "a"]), 75, &["f: is locked by another program"]);
    drop(lock);
    dir.write(".f.cryptstream-rekey", "somebody's");
    fs::hard_link(dir.path("f"), dir.path("g")).unwrap();
    dir.fails(
        to_b(&["f", "-i", "a"]),
        73,
        &[".f.cryptstream-rekey: is where the rekey journal must be"],
    );
    let done = to_b(&["f", "-i", "c", "--json"]).run();
    assert_eq!(done.json(&done.stdout)["error"]["code"], 77);
}

/// Runs as a user whom permissions restrict.
fn unprivileged(dir: &Dir, args: &[&str]) -> Run {
    let mut run = dir.command(args);
    if rustix::process::geteuid().is_root() {
        let mut replaced = std::process::Command::new(dir.program());
        replaced.args(args).current_dir(dir.root()).uid(65_534);
        crate::common::clear_defaults(&mut replaced);
        run.command = replaced;
    }
    run
}

#[test]
fn permissions_are_respected() {
    let dir = fixture();
    let chmod = |name: &str, mode| {
        fs::set_permissions(dir.path(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    for len in [1, 2 * MIB] {
        chmod(".", 0o777);
        let content = test_bytes(len);
        encrypt(&dir, &content, "native", &["-i", "a"]);
        chmod("a", 0o644);
        chmod("b", 0o644);
        let args = ["rekey", "f", "-i", "a", "--new-identity", "b"];
        let run = unprivileged(&dir, &args);
        chmod("f", 0o444);
        dir.fails(run, 73, &["f: cannot be changed: permission denied"]);
        let run = unprivileged(&dir, &args);
        chmod("f", 0o666);
        chmod(".", 0o555);
        dir.fails(run, 73, &["f", "cannot be created: permission denied", "its folder"]);
        chmod(".", 0o777);
        unprivileged(&dir, &args).run().ok();
        assert!(opens(&dir, &["-i", "b"], &content));
    }
}

#[test]
fn a_file_without_space_for_a_rewrite_stays() {
    let dir = fixture();
    encrypt(&dir, &test_bytes(3 * MIB), "age", &["-i", "a"]);
    let script = "ulimit -f 1024; exec $CS rekey f -i a --new-identity b --new-identity c";
    dir.fails(dir.shell(script), 74, &["f", "file too large", "the old file is still there"]);
    let script = "ulimit -f 1024; exec $CS rekey f -i a --new-identity b --reencrypt";
    dir.fails(dir.shell(script), 74, &["file too large", "the old file is still there"]);
}

#[test]
fn age_decrypts_a_salvaged_file() {
    let dir = fixture();
    if !has_age() {
        return;
    }
    let content = test_bytes(MIB);
    encrypt(&dir, &content, "age", &["-i", "a", "-i", "b", "-i", "c"]);
    let json = rekey(&dir, &["-i", "a", "--new-identity", "d"]);
    assert_eq!(json["header_before"], json["header_after"]);
    let done = dir.shell("age -d -i d f").run().ok();
    assert!(done.stdout == content);
    assert!(dir.shell("age -d -i a f").run().code() != Some(0));
}

#[test]
fn verbose_reports_what_was_done() {
    let dir = fixture();
    encrypt(&dir, &test_bytes(MIB), "native", &["-i", "a"]);
    dir.run(&["rekey", "f", "-i", "a", "--new-identity", "b"]).ok_and_silent();
    let text = dir.run(&["rekey", "f", "-i", "b", "--new-identity", "a", "-v"]).ok().stderr_text();
    assert!(text.contains("f: ") && text.contains("written in"), "{text}");
    let help = dir.run(&["rekey", "--help"]).ok().stdout_text();
    assert!(help.contains("does not revoke access") && help.contains("--reencrypt"), "{help}");
}

/// An access control list as the system stores it (acl(5)): the owner and the user 1234 may read
/// and write; the group and others may not.
fn access_list() -> Vec<u8> {
    acl::list(1234, &[(USER_OBJ, 6), (USER, 6), (GROUP_OBJ, 0), (MASK, 6), (OTHER, 0)])
}

#[test]
fn access_lists_are_kept_and_never_widen_who_may_read() {
    let dir = fixture();
    let set = |name: &str, attribute: &str, value: &[u8]| {
        rustix::fs::setxattr(dir.path(name), attribute, value, rustix::fs::XattrFlags::empty())
    };
    let get = |name: &str, attribute: &str| {
        let mut value = vec![0; 1000];
        let len = rustix::fs::getxattr(dir.path(name), attribute, &mut value[..]);
        len.map(|len| value[..len].to_vec()).ok()
    };
    for extra in [&[][..], &["--reencrypt"]] {
        encrypt(&dir, &test_bytes(1000), "native", &["-i", "a"]);
        if set("f", ACCESS, &access_list()).is_err() || set("f", "user.note", b"mine").is_err() {
            eprintln!("skipped: this file system has no access control lists or attributes");
            return;
        }
        assert_eq!(fs::metadata(dir.path("f")).unwrap().mode() & 0o777, 0o660, "the mask is shown");
        rekey(&dir, &[&["-i", "a", "--new-identity", "b"], extra].concat());
        assert_eq!(get("f", ACCESS), Some(access_list()));
        assert_eq!(get("f", "user.note"), Some(b"mine".to_vec()));
        assert_eq!(fs::metadata(dir.path("f")).unwrap().mode() & 0o777, 0o660);
        // A copy without the list must not give the group access.
        dir.run(&["decrypt", "-i", "b", "f", "decrypted", "--force"]).ok();
        assert_eq!(get("decrypted", ACCESS), None);
        assert_eq!(fs::metadata(dir.path("decrypted")).unwrap().mode() & 0o777, 0o600);
        fs::remove_file(dir.path("f")).unwrap();
        fs::remove_file(dir.path("decrypted")).unwrap();
    }
}
