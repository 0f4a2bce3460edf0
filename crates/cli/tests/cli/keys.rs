//! The kinds of keys that people have: SSH keys, passphrases in age files, protected identity files
//! and post-quantum keys; and the errors about those that cannot be used.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::common::{CHEAP, Dir, test_bytes};

/// The cheapest key derivation that is allowed in age files.
const CHEAP_SCRYPT: &str = "--scrypt=16";
const CONTENT_LEN: usize = 70_000;

/// Copies the SSH keys into the folder, with the permissions of keys.
fn put_ssh_keys(dir: &Dir) {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    for name in ["ssh_ed25519", "ssh_rsa", "ssh_protected"] {
        dir.write(format!("{name}.pub"), std::fs::read(data.join(format!("{name}.pub"))).unwrap());
        let key = dir.write(name, std::fs::read(data.join(name)).unwrap());
        std::fs::set_permissions(key, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let other = "ssh_ecdsa.pub";
    dir.write(other, std::fs::read(data.join(other)).unwrap());
}

/// A folder with every kind of key, and a file to encrypt.
fn dir() -> Dir {
    let dir = Dir::new();
    put_ssh_keys(&dir);
    dir.keygen("id");
    dir.run(&["keygen", "--pq", "-o", "pq"]).ok();
    dir.write("plain", test_bytes(CONTENT_LEN));
    dir
}

#[track_caller]
fn opens(dir: &Dir, identity: &str, encrypted: &str) {
    dir.run(&["decrypt", "-i", identity, encrypted, "decrypted", "--force"]).ok_and_silent();
    assert!(dir.read("decrypted") == test_bytes(CONTENT_LEN), "{identity}: {encrypted}");
}

#[test]
fn each_kind_of_key_decrypts_what_is_encrypted_to_it() {
    let dir = dir();
    for name in ["id", "pq", "ssh_ed25519", "ssh_rsa"] {
        for encrypted in ["encrypted.enc", "encrypted.age"] {
            let public = dir.run(&["keygen", "-y", name]).ok().stdout_text();
            dir.write("recipients", format!("# theirs\n\n{public}"));
            let args = ["encrypt", "plain", encrypted, "--force"];
            dir.run(&[&args[..], &["-r", public.trim()]].concat()).ok_and_silent();
            opens(&dir, name, encrypted);
            for by in [["-R", "recipients"], ["-i", name]] {
                dir.run(&[&args[..], &by].concat()).ok_and_silent();
                opens(&dir, name, encrypted);
            }
        }
    }
}

#[test]
fn several_kinds_stand_side_by_side_but_not_beside_post_quantum_ones() {
    let dir = dir();
    for encrypted in ["encrypted.enc", "encrypted.age"] {
        let all = ["-i", "id", "-R", "ssh_ed25519.pub", "-R", "ssh_rsa.pub", "-i", "ssh_protected"];
        dir.run(&[&["encrypt", "plain", encrypted], &all[..]].concat()).ok_and_silent();
        for name in ["id", "ssh_ed25519", "ssh_rsa"] {
            opens(&dir, name, encrypted);
        }
        let run = dir.command(&["decrypt", "-i", "pq", encrypted, "other"]);
        dir.fails(run, 77, &["no key fits", "ssh-ed25519, ssh-rsa"]);
        for other in ["id", "ssh_ed25519"] {
            let run = dir.command(&["encrypt", "-i", "pq", "-i", other, "plain", "mixed.age"]);
            dir.fails(run, 64, &["post-quantum recipient"]);
        }
        dir.run(&["encrypt", "plain", encrypted, "--force", "-i", "pq", "-i", "pq"])
            .ok_and_silent();
        opens(&dir, "pq", encrypted);
    }
}

#[test]
fn a_passphrase_seals_files_of_age() {
    let dir = dir();
    dir.run(&["encrypt", "plain", "encrypted.age", "--key", "word", CHEAP_SCRYPT]).ok_and_silent();
    let encrypted = dir.read("encrypted.age");
    assert!(String::from_utf8_lossy(&encrypted[..200]).contains("\n-> scrypt "));
    assert!(String::from_utf8_lossy(&encrypted[..200]).contains(" 16\n"));
    dir.run(&["decrypt", "encrypted.age", "decrypted", "--key", "word"]).ok_and_silent();
    assert!(dir.read("decrypted") == test_bytes(CONTENT_LEN));
    let wrong = dir.command(&["decrypt", "encrypted.age", "other", "--key", "Word"]);
    dir.fails(wrong, 77, &["the passphrase is wrong"]);
    let without = dir.command(&["decrypt", "encrypted.age", "other", "-i", "id"]);
    dir.fails(without, 77, &["encrypted with a passphrase"]);
    for cost in ["15", "23", "-1", "x", ""] {
        let cost = format!("--scrypt={cost}");
        let run = dir.command(&["encrypt", "plain", "other.age", "--key", "word", &cost]);
        dir.fails(run, 64, &["16 to 22"]);
    }
    // A passphrase that is not text.
    dir.write_secret("word", b"\xff\xf0\n");
    let by_file = ["--passphrase-file", "word", CHEAP_SCRYPT];
    dir.run(&[&["encrypt", "plain", "b.age"], &by_file[..]].concat()).ok_and_silent();
    dir.run(&["decrypt", "b.age", "decrypted", "--force", "--passphrase-file", "word"]).ok();
    assert!(dir.read("decrypted") == test_bytes(CONTENT_LEN));
}

#[test]
fn an_excessive_key_derivation_cost_is_refused() {
    let dir = dir();
    dir.run(&["encrypt", "plain", "encrypted.age", "--key", "word", CHEAP_SCRYPT]).ok();
    let encrypted = dir.read("encrypted.age");
    for cost in ["23", "63"] {
        let at = encrypted.windows(4).position(|bytes| bytes == b" 16\n").unwrap();
        let mut costly = encrypted.clone();
        costly[at + 1..at + 3].copy_from_slice(cost.as_bytes());
        dir.write("costly.age", costly);
        let run = dir.command(&["decrypt", "costly.age", "other", "--key", "word"]);
        dir.fails(run, 65, &[&format!("N = 2^{cost}"), "more than is allowed"]);
    }
}

#[test]
fn nobody_can_be_asked_for_the_passphrase_of_a_key() {
    let dir = dir();
    // The terminal of the test itself must not be used either.
    let shell = |script: &str| dir.shell(&format!("setsid -w {script}"));
    dir.run(&["encrypt", "plain", "encrypted.age", "-i", "ssh_protected"]).ok_and_silent();
    let run = shell("$CS decrypt encrypted.age other -i ssh_protected");
    dir.fails(run, 64, &["ssh_protected is protected by a passphrase", "terminal"]);
    dir.run(&["encrypt", "id", "id.enc", "--key", "word", CHEAP]).ok();
    dir.run(&["encrypt", "plain", "encrypted", "-i", "id"]).ok();
    let run = shell("$CS decrypt encrypted other -i id.enc");
    dir.fails(run, 64, &["id.enc is protected by a passphrase", "terminal"]);
    // The user is not asked if another key fits.
    let run = shell("$CS decrypt encrypted decrypted -i id.enc -i ssh_protected -i id");
    run.run().ok_and_silent();
}

#[test]
fn a_wrong_kind_of_key_is_named() {
    let dir = dir();
    let secret = String::from_utf8(dir.read("id")).unwrap();
    let secret = secret.lines().last().unwrap();
    let public = dir.run(&["keygen", "-y", "id"]).ok().stdout_text();
    let fails = |args: &[&str], code, words: &[&str]| {
        let done = dir.fails(dir.command(args), code, words);
        assert!(!done.stderr_text().contains(&secret[20..]), "a secret is shown");
    };
    fails(&["encrypt", "plain", "-r", secret], 64, &["secret key, not a recipient"]);
    dir.write("public", &public);
    fails(&["encrypt", "plain", "-i", "public"], 78, &["line 1", "recipient", "not an identity"]);
    fails(&["decrypt", "plain", "out", "-i", "ssh_rsa.pub"], 78, &["not an identity"]);
    dir.write("mine", secret);
    fails(&["encrypt", "plain", "-R", "mine"], 78, &["line 1", "secret key"]);
    // A letter other than the original one.
    let letter = if &public[30..31] == "x" { "z" } else { "x" };
    dir.write("typo", format!("# us\n{}{letter}{}", &public[..30], &public[31..]));
    fails(&["encrypt", "plain", "-R", "typo"], 78, &["line 2", "mistyped"]);
    fails(&["encrypt", "plain", "-r", "ssh-ed25519 AAAA"], 64, &["damaged or cut off"]);
    let ecdsa = String::from_utf8(dir.read("ssh_ecdsa.pub")).unwrap();
    fails(&["encrypt", "plain", "-r", &ecdsa], 64, &["ecdsa-sha2-nistp256"]);
    dir.shell("ssh-keygen -q -t ecdsa -N '' -f ecdsa || cp ssh_rsa.pub ecdsa").run().ok();
    let help = match dir.path("ecdsa.pub").exists() {
        true => "help: use an ssh-ed25519 or ssh-rsa key",
        false => "help: check that ecdsa is the right file",
    };
    fails(&["encrypt", "plain", "-i", "ecdsa"], 78, &[help]);
    fails(&["encrypt", "plain", "-R", "ssh_rsa"], 78, &["secret key", "use -i ssh_rsa"]);
    fails(&["encrypt", "plain", "-r", "age1"], 64, &["recipient"]);
    fails(
        &["decrypt", "plain", "out", "-i", secret],
        64,
        &["secret key", "instead of a file name"],
    );
    fails(&["encrypt", "plain", "-R", secret], 64, &["secret key", "instead of a file name"]);
    dir.write("nobody", "# nobody yet\n");
    fails(&["encrypt", "plain", "-R", "nobody"], 78, &["nobody", "no usable recipient"]);
    fails(&["encrypt", "plain", "-R", "nobody", "-i", "id"], 78, &["no usable recipient"]);
    dir.write("binary", [0xff; 100]);
    fails(&["encrypt", "plain", "-i", "binary"], 78, &["line 1", "not text"]);
    fails(&["decrypt", "plain", "out", "-i", "/dev/null"], 78, &["no identity"]);
}

#[test]
fn ssh_keys_that_cannot_be_used_are_passed_over_with_a_warning() {
    let dir = dir();
    let of = |name: &str| String::from_utf8(dir.read(name)).unwrap();
    dir.write("authorized_keys", of("ssh_ecdsa.pub") + &of("ssh_ed25519.pub"));
    let done = dir.run(&["encrypt", "plain", "encrypted.age", "-R", "authorized_keys"]).ok();
    assert!(done.stderr_text().contains("line 1"), "{done:?}");
    opens(&dir, "ssh_ed25519", "encrypted.age");
    let run = dir.run(&["encrypt", "-q", "plain", "b.age", "-R", "authorized_keys"]);
    run.ok_and_silent();
}

#[test]
fn an_identity_file_that_others_can_read_is_warned_about() {
    let dir = dir();
    dir.run(&["encrypt", "plain", "encrypted", "-i", "id"]).ok_and_silent();
    for (mode, is_open) in [(0o644, true), (0o604, true), (0o640, false), (0o400, false)] {
        std::fs::set_permissions(dir.path("id"), std::fs::Permissions::from_mode(mode)).unwrap();
        let done = dir.run(&["decrypt", "encrypted", "-", "-i", "id"]).ok();
        assert_eq!(done.stderr_text().contains("chmod 600 id"), is_open, "{mode:o}: {done:?}");
    }
}

/// Like age-keygen.
#[test]
fn a_new_key_in_a_file_that_others_can_read_is_warned_about() {
    let dir = Dir::new();
    for (umask, is_open) in [("022", true), ("077", false)] {
        let done = dir.shell(&format!("rm -f new; umask {umask}; $CS keygen > new")).run().ok();
        assert_eq!(done.stderr_text().contains("run chmod 600"), is_open, "{done:?}");
    }
    let done = dir.shell("$CS keygen | cat").run().ok();
    assert!(!done.stderr_text().contains("chmod"), "{done:?}");
}

#[test]
fn a_file_that_is_too_large_for_keys_is_not_read() {
    let dir = dir();
    let huge = std::fs::File::create(dir.path("huge")).unwrap();
    huge.set_len(1 << 30).unwrap();
    for args in [["decrypt", "plain", "out", "-i"], ["encrypt", "plain", "out", "-R"]] {
        let run = dir.command(&[&args[..], &["huge"]].concat());
        // Without comparing the folder before and after, as it is large.
        let done = run.run();
        assert_eq!(done.code(), Some(78), "{done:?}");
        assert!(done.stderr_text().contains("larger than 16 MiB"), "{done:?}");
        assert!(!dir.path("out").exists());
    }
}
