//! Key files in every form that people have: they work, or are refused by name with advice that
//! leaves the key alone. `ci/keys.sh` creates each form with the original programs and follows the
//! advice.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use base64ct::{Base64, Encoding};

use crate::common::{CHEAP, Dir, test_bytes};

const CONTENT_LEN: usize = 3_000;
const PASSPHRASE: &[&str] = &["--identity-passphrase-file", "passphrase"];

/// The usable keys: those of each line have the public half of its first word.
const USABLE: [&[&str]; 4] = [
    &[
        "openssh",
        "openssh-3des-cbc",
        "openssh-aes128-cbc",
        "openssh-aes192-cbc",
        "openssh-aes256-cbc",
        "openssh-aes128-ctr",
        "openssh-aes192-ctr",
        "openssh-aes256-ctr",
        "openssh-aes128-gcm",
        "openssh-aes256-gcm",
        "openssh-chacha20-poly1305",
    ],
    &["openssh-rsa", "openssh-rsa-chacha20-poly1305"],
    &["pkcs8", "pkcs8", "pkcs8-aes256", "pkcs8-scrypt", "pkcs8-3des", "pkcs8-sha512"],
    &[
        "pkcs8-rsa",
        "pkcs8-rsa",
        "pkcs8-rsa-aes256",
        "pkcs8-rsa-sha1",
        "pkcs1",
        "pkcs1-aes128",
        "pkcs1-aes192",
        "pkcs1-aes256",
        "pkcs1-des",
        "pkcs1-des3",
    ],
];

/// The unusable keys, with words of the error and of the help.
const UNUSABLE: [(&str, &str, &str); 16] = [
    ("pkcs8-camellia", "the cipher 1.2.392.", "openssl pkcs8 -topk8 -in pkcs8-camellia -out"),
    ("pkcs8-pbe", "the cipher 1.2.840.", "openssl pkcs8 -topk8"),
    ("pkcs1-camellia128", "CAMELLIA-128-CBC", "openssl pkcs8 -topk8"),
    ("ecdsa-openssh", "ecdsa-sha2-nistp256", "ssh-ed25519"),
    ("ecdsa-pkcs8", "kind ecdsa", "ssh-ed25519"),
    ("ecdsa-sec1", "kind ecdsa", "ssh-ed25519"),
    ("dsa-openssh", "ssh-dss", "ssh-ed25519"),
    ("dsa-pem", "kind dsa", "ssh-ed25519"),
    ("sk", "sk-ssh-ed25519@openssh.com", "ssh-ed25519"),
    ("x25519-pkcs8", "kind x25519", "ssh-ed25519"),
    ("rsa-pss", "kind rsa-pss", "ssh-ed25519"),
    ("putty.ppk", "a PuTTY key", "puttygen putty.ppk -O private-openssh -o putty.ppk.openssh"),
    ("pgp-secret.asc", "secret key of PGP", "cryptstream keygen"),
    ("public-pkcs8", "public key as openssl", "the secret key is needed"),
    ("rfc4716", "RFC 4716", "the secret key is needed"),
    ("openssh.pub", "not an identity", "the secret key is needed"),
];

/// Copies a key from the test data into the folder, with the permissions of keys.
fn put(dir: &Dir, name: &str) {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/keys");
    dir.write_secret(name, std::fs::read(data.join(name)).unwrap());
}

/// A folder with a file to encrypt, an identity, and the passphrase of all keys.
fn dir() -> Dir {
    let dir = Dir::new();
    dir.write("plain", test_bytes(CONTENT_LEN));
    dir.keygen("id");
    dir.write_secret("passphrase", "horse\n");
    dir
}

#[test]
fn each_form_of_a_key_opens_what_is_encrypted_to_its_public_half() {
    let dir = dir();
    for names in USABLE {
        let (public, names) = names.split_first().unwrap();
        let public = format!("{public}.pub");
        put(&dir, &public);
        dir.run(&["encrypt", "plain", "encrypted.age", "-R", &public, "--force"]).ok_and_silent();
        for name in names {
            put(&dir, name);
            let args = ["decrypt", "encrypted.age", "decrypted", "--force", "-i", name];
            dir.run(&[&args[..], PASSPHRASE].concat()).ok_and_silent();
            assert!(dir.read("decrypted") == test_bytes(CONTENT_LEN), "{name}");
            let shown = dir.run(&[&["keygen", "-y", name], PASSPHRASE].concat()).ok();
            let line = String::from_utf8(dir.read(&public)).unwrap();
            assert!(line.starts_with(shown.stdout_text().trim()), "{name}");
        }
    }
}

#[test]
fn a_protected_key_in_openssh_form_is_encrypted_to_without_its_passphrase() {
    let dir = dir();
    put(&dir, "openssh-aes128-cbc");
    let args = "encrypt plain encrypted.age -i openssh-aes128-cbc";
    dir.shell(&format!("setsid -w $CS {args}")).run().ok_and_silent();
    // In the other forms, the public half is protected too.
    put(&dir, "pkcs8-aes256");
    let run = dir.shell("setsid -w $CS encrypt plain other.age -i pkcs8-aes256");
    dir.fails(run, 64, &["pkcs8-aes256 is protected", "--identity-passphrase-file"]);
}

#[test]
fn a_key_that_cannot_be_used_is_named_and_the_advice_leaves_it_alone() {
    let dir = dir();
    for (name, what, help) in UNUSABLE {
        put(&dir, name);
        let done = dir.fails(dir.command(&["decrypt", "plain", "out", "-i", name]), 78, &[what]);
        assert!(done.stderr_text().contains(help), "{name}: {done:?}");
        for bad in ["damaged", "remove", "delete", "edit", "overwrite", " mv ", "-p -f"] {
            assert!(!done.stderr_text().contains(bad), "{name}: {done:?}");
        }
    }
    // If another key fits, it is a warning, as in age.
    dir.run(&["encrypt", "plain", "encrypted.age", "-i", "id"]).ok_and_silent();
    for (name, ..) in UNUSABLE {
        let args = ["decrypt", "encrypted.age", "decrypted", "--force", "-i", name, "-i", "id"];
        let done = dir.run(&args).ok();
        assert!(done.stderr_text().contains(&format!("warning: {name}: ")), "{done:?}");
        assert!(done.stderr_text().contains("the file is not used"), "{done:?}");
    }
    // A public key with its secret half beside it.
    dir.write("openssh", "whatever");
    let run = dir.command(&["decrypt", "plain", "out", "-i", "openssh.pub"]);
    dir.fails(run, 78, &["use -i openssh\n"]);
}

#[test]
fn files_that_hold_no_recipients_are_named() {
    let dir = dir();
    let names = ["putty.ppk", "public-pkcs8", "public-pkcs1", "rfc4716", "pgp-public.asc"];
    names.into_iter().chain(["pkcs8", "certificate.pub"]).for_each(|name| put(&dir, name));
    dir.run(&["encrypt", "id", "id.enc", "--key", "word", CHEAP]).ok();
    dir.write("utf16", utf16("age1\n"));
    for (name, what, help) in [
        ("id", "secret key", "use -i id"),
        ("pkcs8", "secret key", "use -i pkcs8"),
        ("id.enc", "encrypted file", "use -i id.enc"),
        ("putty.ppk", "PuTTY", "puttygen"),
        ("public-pkcs8", "openssl", "ssh-keygen -i -m PKCS8 -f public-pkcs8"),
        ("public-pkcs1", "openssl", "ssh-keygen -i -m PEM -f public-pkcs1"),
        ("rfc4716", "RFC 4716", "ssh-keygen -i -f rfc4716"),
        ("pgp-public.asc", "PGP", "cryptstream keygen"),
        ("utf16", "UTF-16", "iconv -f UTF-16 -t UTF-8 utf16 > utf16.utf8"),
        ("certificate.pub", "no usable recipient", "age1"),
    ] {
        let run = dir.command(&["encrypt", "plain", "out", "-R", name]);
        let done = dir.fails(run, 78, &[what]);
        assert!(done.stderr_text().contains(help), "{name}: {done:?}");
    }
}

#[test]
fn a_wrong_passphrase_is_asked_for_once_a_run_and_not_once_a_file() {
    let dir = dir();
    dir.write_secret("wrong", "cow\n");
    for name in ["openssh-aes256-gcm", "pkcs8-aes256", "pkcs1-aes128"] {
        put(&dir, name);
        let public = if name.starts_with("openssh") { "openssh.pub" } else { "pkcs8.pub" };
        let public = if name.starts_with("pkcs1") { "pkcs8-rsa.pub" } else { public };
        put(&dir, public);
        dir.run(&["encrypt", "plain", "encrypted.age", "-R", public, "--force"]).ok_and_silent();
        let by = ["--identity-passphrase-file", "wrong"];
        let args = ["decrypt", "encrypted.age", "out", "-i", name];
        dir.fails(dir.command(&[&args[..], &by].concat()), 77, &["another passphrase"]);
        // From an open descriptor.
        let args = args.join(" ").replace(" out", " - > out");
        dir.shell(&format!("$CS {args} --identity-passphrase-fd 3 3<passphrase")).run().ok();
        assert!(dir.read("out") == test_bytes(CONTENT_LEN), "{name}");
        std::fs::remove_file(dir.path("out")).unwrap();
    }
    for by in ["--identity-passphrase-file", "--passphrase-file"] {
        dir.write("empty", "\n");
        let run = dir.command(&["decrypt", "encrypted.age", "out", "-i", "id", by, "empty"]);
        dir.fails(run, 64, &["the passphrase is empty"]);
        let run = dir.command(&["decrypt", "encrypted.age", "out", "-i", "id", by, "missing"]);
        dir.fails(run, 66, &["missing"]);
    }
}

#[test]
fn protected_identity_files_are_opened_without_a_terminal() {
    let dir = dir();
    dir.run(&["encrypt", "plain", "encrypted.age", "-i", "id"]).ok_and_silent();
    let by = ["--passphrase-file", "passphrase"];
    dir.run(&[&["encrypt", "id", "id.enc", CHEAP], &by[..]].concat()).ok_and_silent();
    let args = "decrypt encrypted.age out -i id.enc --identity-passphrase-file passphrase";
    dir.shell(&format!("setsid -w $CS {args}")).run().ok_and_silent();
    assert!(dir.read("out") == test_bytes(CONTENT_LEN));
    let args = "encrypt plain own.age -i id.enc --identity-passphrase-file passphrase";
    dir.shell(&format!("setsid -w $CS {args}")).run().ok_and_silent();
    let args =
        "rekey own.age -i id.enc --new-identity id.enc --identity-passphrase-fd 3 3<passphrase";
    dir.shell(&format!("setsid -w $CS {args}")).run().ok();
    dir.run(&["verify", "own.age", "-i", "id"]).ok();
    let run = dir.shell("setsid -w $CS decrypt encrypted.age other -i id.enc");
    dir.fails(run, 64, &["--identity-passphrase-file"]);
}

#[test]
fn a_line_whose_plugin_is_missing_hides_none_of_the_others() {
    let dir = dir();
    dir.run(&["encrypt", "plain", "encrypted.age", "-i", "id"]).ok_and_silent();
    let own = String::from_utf8(dir.read("id")).unwrap();
    let hrp = bech32::Hrp::parse("age-plugin-nowhere-").unwrap();
    let missing = bech32::encode::<bech32::Bech32>(hrp, &[1; 16]).unwrap().to_uppercase();
    dir.write_secret("both", format!("{missing}\n{own}"));
    let by = ["--passphrase-file", "passphrase", CHEAP];
    dir.run(&[&["encrypt", "both", "both.enc"], &by[..]].concat()).ok_and_silent();
    for name in ["both", "both.enc"] {
        let args = ["decrypt", "encrypted.age", "out", "--force", "-i", name];
        dir.run(&[&args[..], PASSPHRASE].concat()).ok_and_silent();
        assert!(dir.read("out") == test_bytes(CONTENT_LEN), "{name}");
    }
    // If nothing fits, it is named.
    dir.keygen("other");
    dir.run(&["encrypt", "plain", "theirs.age", "-i", "other"]).ok_and_silent();
    let args = ["decrypt", "theirs.age", "new", "-i", "both.enc"];
    dir.fails(dir.command(&[&args[..], PASSPHRASE].concat()), 78, &["age-plugin-nowhere"]);
}

#[test]
fn a_key_that_would_take_hours_to_open_is_refused_at_once() {
    let dir = dir();
    put(&dir, "openssh-aes256-ctr");
    let text = String::from_utf8(dir.read("openssh-aes256-ctr")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let mut bytes = Base64::decode_vec(&lines[1..lines.len() - 1].concat()).unwrap();
    // After the function's name: the length of the options, 16 bytes of salt with their length, and
    // the number of rounds.
    let at = bytes.windows(6).position(|bytes| bytes == b"bcrypt").unwrap() + 6 + 4 + 4 + 16;
    bytes[at..at + 4].copy_from_slice(&0x7fff_ffff_u32.to_be_bytes());
    let body = Base64::encode_string(&bytes);
    dir.write_secret("costly", format!("{}\n{body}\n{}\n", lines[0], lines[lines.len() - 1]));
    dir.run(&["encrypt", "plain", "encrypted.age", "-i", "costly"]).ok_and_silent();
    let args = ["decrypt", "encrypted.age", "out", "-i", "costly"];
    let done = dir.fails(
        dir.command(&[&args[..], PASSPHRASE].concat()),
        78,
        &["2147483647 rounds of bcrypt"],
    );
    assert!(done.stderr_text().contains("cp KEY KEY.copy && ssh-keygen -p"), "{done:?}");
}

fn utf16(text: &str) -> Vec<u8> {
    [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
}

#[test]
fn a_byte_order_mark_may_come_before_anything() {
    let dir = dir();
    put(&dir, "openssh.pub");
    put(&dir, "openssh-aes128-gcm");
    let by = ["--passphrase-file", "passphrase"];
    let args = ["encrypt", "id", "locked", "--armor", "--scrypt=16"];
    dir.run(&[&args[..], &by].concat()).ok_and_silent();
    for name in ["id", "locked", "openssh.pub", "openssh-aes128-gcm"] {
        dir.write(name, [b"\xef\xbb\xbf", &dir.read(name)[..]].concat());
    }
    let args = ["encrypt", "plain", "encrypted", "--armor", "-R", "openssh.pub", "-i", "id"];
    dir.run(&args).ok_and_silent();
    dir.write("encrypted", [b"\xef\xbb\xbf", &dir.read("encrypted")[..]].concat());
    for name in ["id", "locked", "openssh-aes128-gcm"] {
        let args = ["decrypt", "encrypted", "out", "--force", "-i", name];
        dir.run(&[&args[..], PASSPHRASE].concat()).ok_and_silent();
        assert!(dir.read("out") == test_bytes(CONTENT_LEN), "{name}");
    }
    // UTF-16 text is recognized as such.
    let text = String::from_utf8(dir.read("id")).unwrap();
    dir.write_secret("wide", utf16(&text));
    let run = dir.command(&["decrypt", "encrypted", "new", "-i", "wide"]);
    dir.fails(run, 78, &["UTF-16", "iconv"]);
    let text = String::from_utf8(dir.read("encrypted")).unwrap();
    dir.write("encrypted.wide", utf16(&text));
    let run = dir.command(&["decrypt", "encrypted.wide", "new", "-i", "id"]);
    dir.fails(run, 65, &["UTF-16", "iconv"]);
}

#[test]
fn keys_in_hardware_are_encrypted_to_without_their_plugin() {
    let dir = dir();
    // The key from rage's tests.
    let tag = "age1tag1qt8lw0ual6avlwmwatk888yqnmdamm7xfd0wak53ut6elz5c4swx2yqdj4e";
    for encrypted in ["encrypted.enc", "encrypted.age"] {
        let run = dir.command(&["encrypt", "plain", encrypted, "-r", tag, "-i", "id"]);
        run.env("PATH", dir.root()).run().ok_and_silent();
        let bytes = dir.read(encrypted);
        assert!(String::from_utf8_lossy(&bytes[..600]).contains("\n-> p256tag "));
        dir.run(&["verify", encrypted, "-i", "id"]).ok();
        let inspected = dir.run(&["inspect", encrypted]).ok();
        assert!(inspected.stdout_text().contains("p256tag"), "{inspected:?}");
    }
    let typo = tag.replace("qt8", "qq8");
    let run = dir.command(&["encrypt", "plain", "out", "-r", &typo]);
    dir.fails(run, 64, &["recipient"]);
}

#[test]
fn a_recipient_named_twice_gets_one_stanza() {
    let dir = dir();
    put(&dir, "pkcs8.pub");
    put(&dir, "pkcs8");
    let public = dir.run(&["keygen", "-y", "id"]).ok().stdout_text();
    dir.write("all", format!("{public}{public}"));
    let keys = ["-R", "all", "-r", public.trim(), "-i", "id", "-R", "pkcs8.pub", "-i", "pkcs8"];
    dir.run(&[&["encrypt", "plain", "encrypted.age"], &keys[..]].concat()).ok_and_silent();
    let encrypted = dir.read("encrypted.age");
    let header = String::from_utf8_lossy(&encrypted[..600]).into_owned();
    assert_eq!(header.matches("\n-> X25519 ").count(), 1, "{header}");
    assert_eq!(header.matches("\n-> ssh-ed25519 ").count(), 1, "{header}");
}

#[test]
fn a_passphrase_that_cannot_be_typed_is_warned_about_and_named_where_it_is_wrong() {
    let dir = dir();
    let by = ["--passphrase-file", "word"];
    dir.run(&["encrypt", "plain", "other", "--key", "word", CHEAP]).ok();
    for (bytes, what) in [
        (&b"\xef\xbb\xbfword\n"[..], "byte order mark"),
        (&utf16("word\n"), "UTF-16"),
        (b"wo\0rd\n", "NUL"),
        (b"word\nanother\n", "line"),
    ] {
        dir.write_secret("word", bytes);
        let args = ["encrypt", "plain", "encrypted", "--force", CHEAP];
        let done = dir.run(&[&args[..], &by].concat()).ok();
        assert!(done.stderr_text().contains("warning: word: "), "{done:?}");
        assert!(done.stderr_text().contains(what), "{done:?}");
        // It is still the right passphrase.
        dir.run(&[&["decrypt", "encrypted", "out", "--force"], &by[..]].concat()).ok_and_silent();
        let run = dir.command(&[&["decrypt", "other", "new"], &by[..]].concat());
        dir.fails(run, 77, &["the passphrase is wrong", what]);
    }
    for (typed, made) in [("stra\u{df}e\u{e9}", "stra\u{df}ee\u{301}"), ("e\u{301}", "\u{e9}")] {
        dir.run(&["encrypt", "plain", "encrypted", "--force", "--key", made, CHEAP])
            .ok_and_silent();
        let run = dir.command(&["decrypt", "encrypted", "new", "--key", typed]);
        dir.fails(run, 77, &["NFC and NFD"]);
    }
    dir.write("word", "word\n");
    std::fs::set_permissions(dir.path("word"), std::fs::Permissions::from_mode(0o644)).unwrap();
    for args in [&["encrypt", "plain", "b.enc", CHEAP][..], &["decrypt", "b.enc", "b"]] {
        let done = dir.run(&[args, &by].concat()).ok();
        assert!(done.stderr_text().contains("chmod 600 word"), "{done:?}");
    }
}
