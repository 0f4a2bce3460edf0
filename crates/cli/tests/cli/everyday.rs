//! Everyday use, and its results.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use crate::common::{CHEAP, Dir, test_bytes};

const SIZES: [usize; 11] = [
    0,
    1,
    16_383,
    16_384,
    16_385,
    (1 << 20) - 1,
    1 << 20,
    (1 << 20) + 1,
    2 << 20,
    (3 << 20) + 16_384,
    (5 << 20) + 777,
];

#[test]
fn every_size_comes_back_through_files_and_pipes() {
    let dir = Dir::new();
    dir.keygen("id");
    for size in SIZES {
        let content = test_bytes(size);
        dir.write("plain", &content);
        for (encrypt, decrypt) in [
            ("$CS encrypt -i id plain encrypted", "$CS decrypt -i id encrypted decrypted"),
            (
                "cat plain | $CS encrypt -i id > encrypted",
                "cat encrypted | $CS decrypt -i id > decrypted",
            ),
            ("$CS encrypt -i id plain - > encrypted", "$CS decrypt -i id encrypted - > decrypted"),
            (
                "cat plain | $CS encrypt -i id - encrypted",
                "cat encrypted | $CS decrypt -i id - decrypted",
            ),
            ("$CS encrypt -i id < plain > encrypted", "$CS decrypt -i id < encrypted > decrypted"),
        ] {
            let script =
                format!("set -e -o pipefail; rm -f encrypted decrypted; {encrypt}; {decrypt}");
            dir.shell(&script).run().ok_and_silent();
            assert!(dir.read("decrypted") == content, "{size}: {script}");
        }
        let expected = size + 16 * (size / crate::common::CHUNK + 1) + crate::common::PREFIX;
        let encrypted = dir.read("encrypted");
        assert_eq!(encrypted.len() - crate::common::header_len(&encrypted), expected);
        assert_eq!(
            crate::common::header_len(&encrypted).is_multiple_of(4096),
            size >= 1 << 20,
            "{size}"
        );
    }
}

#[test]
fn the_first_command_that_anybody_tries_works() {
    let dir = Dir::new();
    dir.write("input.txt", "hello");
    dir.run(&["encrypt", "input.txt", "output.enc", "--key", "mykey"]).ok_and_silent();
    dir.run(&["decrypt", "output.enc", "decrypted.txt", "--key", "mykey"]).ok_and_silent();
    assert_eq!(dir.read("decrypted.txt"), b"hello");
}

#[test]
fn two_runs_never_give_the_same_file() {
    let dir = Dir::new();
    assert_ne!(dir.encrypted(b"same"), dir.encrypted(b"same"));
}

#[test]
fn passphrases_come_from_everywhere_and_are_the_same() {
    let dir = Dir::new();
    dir.write("plain", "content");
    dir.write_secret("word", "pass word\n");
    let sealings = [
        "$CS encrypt plain $OUT --key 'pass word' $CHEAP",
        "$CS encrypt plain $OUT --key='pass word' $CHEAP",
        "$CS encrypt plain $OUT --passphrase-file word $CHEAP",
        "$CS encrypt plain $OUT --passphrase-fd 3 $CHEAP 3< word",
        "$CS encrypt plain $OUT --passphrase-fd 3 $CHEAP 3< <(printf 'pass word')",
        "CRYPTSTREAM_PASSPHRASE='pass word' $CS encrypt plain $OUT $CHEAP",
        "printf 'pass word' | $CS encrypt plain $OUT --passphrase-file - $CHEAP",
    ];
    for (number, sealing) in sealings.iter().enumerate() {
        let name = format!("encrypted{number}.enc");
        dir.shell(sealing).env("OUT", &name).env("CHEAP", CHEAP).run().ok_and_silent();
        let decrypted = dir.run(&["decrypt", &name, "-", "--key", "pass word"]).ok();
        assert_eq!(decrypted.stdout, b"content", "{sealing}");
    }
    for opening in [
        "$CS decrypt encrypted0.enc - --passphrase-file word",
        "$CS decrypt encrypted0.enc - --passphrase-fd 3 3< word",
        "CRYPTSTREAM_PASSPHRASE='pass word' $CS decrypt encrypted0.enc -",
    ] {
        assert_eq!(dir.shell(opening).run().ok().stdout, b"content", "{opening}");
    }
}

#[test]
fn a_large_file_under_a_passphrase_is_the_same_whether_the_header_comes_first_or_last() {
    let dir = Dir::new();
    let content = test_bytes((3 << 20) + 5);
    dir.write("plain", &content);
    dir.run(&["encrypt", "plain", "file", "--key", "x", CHEAP]).ok_and_silent();
    dir.shell("$CS encrypt plain - --key x $CHEAP > pipe")
        .env("CHEAP", CHEAP)
        .run()
        .ok_and_silent();
    for name in ["file", "pipe"] {
        assert_eq!(crate::common::header_len(&dir.read(name)), 4096);
        assert!(dir.run(&["decrypt", name, "-", "--key", "x"]).ok().stdout == content);
    }
}

#[test]
fn a_leftover_variable_does_not_conflict_with_a_flag() {
    let dir = Dir::new();
    let encrypted = dir.encrypted(b"content");
    dir.write("a.enc", encrypted);
    let run = dir.command(&["decrypt", "a.enc", "-", "-i", "id"]);
    assert_eq!(run.env("CRYPTSTREAM_PASSPHRASE", "other").run().ok().stdout, b"content");
}

#[test]
fn every_recipient_can_open_and_nobody_else() {
    let dir = Dir::new();
    let [one, two, three] = ["one", "two", "three"].map(|name| dir.keygen(name));
    dir.keygen("four");
    dir.write("team", format!("# the team\n{two}\n\n{three}\n"));
    dir.write("plain", "content");
    dir.run(&["encrypt", "plain", "-r", &one, "-R", "team"]).ok_and_silent();
    for name in ["one", "two", "three"] {
        let decrypted = dir.run(&["decrypt", "plain.enc", "-", "-i", name]).ok();
        assert_eq!(decrypted.stdout, b"content");
    }
    dir.fails(
        dir.command(&["decrypt", "plain.enc", "x", "-i", "four"]),
        77,
        &["3 recipients", "X25519"],
    );
    let both = dir.run(&["decrypt", "plain.enc", "-", "-i", "four", "-i", "three"]).ok();
    assert_eq!(both.stdout, b"content");
}

#[test]
fn default_names_are_added_and_taken_off() {
    let dir = Dir::new();
    dir.keygen("id");
    dir.write("a.txt", "content");
    dir.run(&["encrypt", "a.txt", "-i", "id"]).ok_and_silent();
    fs::remove_file(dir.path("a.txt")).unwrap();
    dir.run(&["decrypt", "a.txt.enc", "-i", "id"]).ok_and_silent();
    assert_eq!(dir.read("a.txt"), b"content");
    dir.write("a.encrypted", dir.read("a.txt.enc"));
    dir.fails(
        dir.command(&["decrypt", "a.encrypted", "-i", "id"]),
        64,
        &["a.encrypted", ".enc", "OUTPUT"],
    );
}

#[test]
fn unusual_names_are_accepted() {
    let dir = Dir::new();
    dir.keygen("id");
    let long = "n".repeat(251);
    for name in
        [&b"a\nb"[..], b"\xff\xfe", b" ", b"-x", b"a'\"$`", b"\xf0\x9f\x94\x92", long.as_bytes()]
    {
        let name = std::ffi::OsStr::from_bytes(name);
        dir.write(name, "content");
        let args = ["encrypt", "-i", "id", "--"].map(std::ffi::OsString::from);
        dir.run(&[&args[..], &[name.to_owned()]].concat()).ok_and_silent();
        fs::remove_file(dir.path(name)).unwrap();
        let mut encrypted = name.to_owned();
        encrypted.push(".enc");
        let args = ["decrypt", "-i", "id", "--"].map(std::ffi::OsString::from);
        dir.run(&[&args[..], &[encrypted.clone()]].concat()).ok_and_silent();
        assert_eq!(dir.read(name), b"content");
        let again = dir.fails(dir.command(&[&args[..], &[encrypted]].concat()), 73, &["exists"]);
        assert_eq!(again.stderr_text().lines().count(), 2, "{:?}", again.stderr_text());
    }
}

#[test]
fn the_output_has_the_inputs_permission_bits() {
    let dir = Dir::new();
    dir.keygen("id");
    for mode in [0o600, 0o640, 0o644, 0o755, 0o400, 0o4755] {
        dir.write("plain", "content");
        fs::set_permissions(dir.path("plain"), fs::Permissions::from_mode(mode)).unwrap();
        dir.shell("umask 0; rm -f s o; $CS encrypt -i id plain s && $CS decrypt -i id s o")
            .run()
            .ok();
        for name in ["s", "o"] {
            let got = fs::metadata(dir.path(name)).unwrap().mode() & 0o7777;
            assert_eq!(got, mode & 0o777, "{name} {mode:o}");
        }
        fs::remove_file(dir.path("plain")).unwrap();
    }
    // A replaced file does not become readable for more users.
    dir.write("plain", "content");
    dir.write("private", "old");
    fs::set_permissions(dir.path("plain"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(dir.path("private"), fs::Permissions::from_mode(0o600)).unwrap();
    dir.run(&["encrypt", "-i", "id", "plain", "private", "--force"]).ok();
    assert_eq!(fs::metadata(dir.path("private")).unwrap().mode() & 0o777, 0o600);
    dir.shell("umask 027; echo x | $CS encrypt -i id - piped").run().ok();
    assert_eq!(fs::metadata(dir.path("piped")).unwrap().mode() & 0o777, 0o640);
    assert_eq!(fs::metadata(dir.path("id")).unwrap().mode() & 0o777, 0o600);
}

#[test]
fn force_replaces_and_nothing_else_does() {
    let dir = Dir::new();
    dir.keygen("id");
    dir.write("plain", "new");
    dir.write("old", "old");
    symlink("old", dir.path("link")).unwrap();
    dir.fails(
        dir.command(&["encrypt", "-i", "id", "plain", "old"]),
        73,
        &["old", "exists", "--force"],
    );
    dir.run(&["encrypt", "-i", "id", "plain", "link", "--force"]).ok_and_silent();
    assert!(fs::symlink_metadata(dir.path("link")).unwrap().is_symlink(), "the link was replaced");
    assert_eq!(dir.run(&["decrypt", "-i", "id", "old", "-"]).ok().stdout, b"new");
    assert_eq!(dir.snapshot().len(), 4);
}

#[test]
fn the_source_is_removed_only_on_request_and_after_the_output_exists() {
    let dir = Dir::new();
    dir.keygen("id");
    dir.write("plain", "content");
    dir.run(&["encrypt", "-i", "id", "plain"]).ok();
    assert!(dir.path("plain").exists());
    dir.fails(dir.command(&["encrypt", "-i", "id", "plain", "--remove-source"]), 73, &["exists"]);
    dir.fails(
        dir.command(&["encrypt", "-i", "id", "plain", "-", "--remove-source"]),
        64,
        &["--remove-source"],
    );
    dir.fails(
        dir.command(&["encrypt", "-i", "id", "plain", "/dev/null", "--remove-source"]),
        64,
        &["--remove-source"],
    );
    symlink("plain", dir.path("link")).unwrap();
    dir.fails(
        dir.command(&["encrypt", "-i", "id", "link", "--remove-source"]),
        64,
        &["--remove-source"],
    );
    dir.run(&["encrypt", "-i", "id", "plain", "--remove-source", "--force"]).ok_and_silent();
    assert!(!dir.path("plain").exists());
    dir.run(&["decrypt", "-i", "id", "plain.enc", "--remove-source", "--sync"]).ok_and_silent();
    assert!(!dir.path("plain.enc").exists());
    assert_eq!(dir.read("plain"), b"content");
}

#[test]
fn json_reports_are_objects_on_the_stream_that_is_not_the_data() {
    let dir = Dir::new();
    dir.keygen("id");
    dir.write("plain", test_bytes(70_000));
    let done = dir.run(&["encrypt", "-i", "id", "plain", "--json"]).ok_and_silent();
    let report = done.json(&done.stdout);
    assert_eq!(report["schema"], 1);
    assert_eq!(report["command"], "encrypt");
    assert_eq!(report["output"], "plain.enc");
    assert_eq!(report["bytes_in"], 70_000);
    assert_eq!(report["bytes_out"], dir.read("plain.enc").len());
    for field in
        ["input", "format", "seconds", "workers", "workers_died", "segments_redone", "sandbox"]
    {
        assert!(!report[field].is_null(), "{field}");
    }
    let done = dir.run(&["decrypt", "-i", "id", "plain.enc", "-", "--json"]).ok();
    assert_eq!(done.stdout, test_bytes(70_000));
    assert_eq!(done.json(&done.stderr)["bytes_out"], 70_000);

    let done = dir.run(&["decrypt", "-i", "id", "plain.enc", "--json"]);
    assert_eq!((done.code(), done.stderr_text().as_str()), (Some(73), ""));
    let error = &done.json(&done.stdout)["error"];
    assert_eq!((&error["code"], &error["kind"]), (&73.into(), &"exists".into()));
    assert_eq!(error["file"], "plain");
    assert!(error["message"].is_string() && error["help"].is_string());
    let done = dir.run(&["encrypt", "--no-such-flag", "--json"]);
    assert_eq!(done.json(&done.stdout)["error"]["code"], 64);
}

#[test]
fn messages_are_brief_without_verbose() {
    let dir = Dir::new();
    dir.keygen("id");
    dir.write("plain", "content");
    dir.run(&["encrypt", "-q", "-i", "id", "plain"]).ok_and_silent();
    let done = dir.run(&["decrypt", "-v", "-i", "id", "plain.enc", "out"]).ok();
    assert!(done.stderr_text().contains("plain.enc -> out"), "{done:?}");
    assert_eq!(done.stdout, b"");
    let done = dir.run(&["decrypt", "-q", "-i", "id", "plain.enc", "out"]);
    assert!(done.stderr_text().starts_with("error: out: already exists"), "{done:?}");
    assert!(!done.stderr_text().contains('\x1b'), "colours in a pipe");
}

#[test]
fn progress_in_lines_when_asked_for() {
    let dir = Dir::new();
    dir.keygen("id");
    let script = "(head -c 3M /dev/zero; sleep 1.2; head -c 3M /dev/zero) \
                  | $CS encrypt -i id - out --progress always";
    let done = dir.shell(script).run().ok();
    assert!(done.stderr_text().contains("MiB/s"), "{done:?}");
    assert!(!done.stderr_text().contains('\r'));
}

#[test]
fn keygen_never_overwrites_and_round_trips() {
    let dir = Dir::new();
    let done = dir.run(&["keygen", "-o", "id"]).ok();
    let recipient = dir.run(&["keygen", "-y", "id"]).ok().stdout_text();
    assert!(recipient.starts_with("age1") && recipient.ends_with('\n'));
    assert_eq!(done.stderr_text(), format!("Public key: {recipient}"));
    assert_eq!(done.stdout, b"");
    dir.fails(dir.command(&["keygen", "-o", "id"]), 73, &["id", "exists", "another name"]);
    let json = dir.run(&["keygen", "-o", "other", "--json"]).ok_and_silent();
    assert!(json.json(&json.stdout)["recipient"].as_str().unwrap().starts_with("age1"));
    dir.run(&["keygen", "-q", "-o", "third"]).ok_and_silent();
    let printed = dir.run(&["keygen"]).ok().stdout_text();
    assert!(printed.contains("AGE-SECRET-KEY-1"));
    let again = dir.command(&["keygen", "-y", "-"]).input(printed.as_bytes()).run().ok();
    assert!(printed.contains(again.stdout_text().trim()));
    dir.fails(dir.command(&["keygen", "-y", "nothing"]), 66, &["nothing"]);
}

#[test]
fn help_and_version_go_to_stdout_and_succeed() {
    let dir = Dir::new();
    for args in [&["--help"][..], &["encrypt", "--help"], &["decrypt", "-h"], &["--version"]] {
        let done = dir.run(args).ok_and_silent();
        assert!(done.stdout_text().contains("cryptstream"), "{args:?}");
    }
    assert!(dir.run(&["encrypt", "--help"]).stdout_text().contains("--key"));
}

#[test]
fn streams_may_be_named_as_files() {
    let dir = Dir::new();
    dir.keygen("id");
    dir.shell("$CS encrypt -i id <(printf content) encrypted").run().ok_and_silent();
    dir.shell("$CS decrypt -i id encrypted /dev/stdout | cat > decrypted").run().ok_and_silent();
    assert_eq!(dir.read("decrypted"), b"content");
    dir.shell("mkfifo f; $CS decrypt -i id encrypted f & cat f > decrypted2; wait")
        .run()
        .ok_and_silent();
    assert_eq!(dir.read("decrypted2"), b"content");
    dir.run(&["decrypt", "-i", "id", "encrypted", "/dev/null", "--force"]).ok_and_silent();
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
}

#[test]
fn files_whose_size_cannot_be_trusted_are_read_to_their_end() {
    let dir = Dir::new();
    dir.keygen("id");
    for path in ["/proc/version", "/sys/kernel/mm/transparent_hugepage/enabled"] {
        let Ok(content) = fs::read(path) else {
            eprintln!("skipped: there is no {path} here");
            continue;
        };
        let done = dir.run(&["encrypt", "-i", "id", path, "-"]).ok_and_silent();
        let decrypted =
            dir.command(&["decrypt", "-i", "id", "-", "-"]).input(&done.stdout).run().ok();
        assert_eq!(decrypted.stdout, content, "{path}");
    }
}

#[test]
fn sparse_files_and_endless_devices_are_read_like_any_other() {
    let dir = Dir::new();
    dir.keygen("id");
    fs::File::create(dir.path("sparse")).unwrap().set_len(50 << 20).unwrap();
    dir.run(&["encrypt", "-i", "id", "sparse"]).ok_and_silent();
    let script = "$CS decrypt -i id sparse.enc - | cmp - sparse \
                  && head -c 5000001 /dev/zero | $CS encrypt -i id | $CS decrypt -i id | wc -c";
    assert_eq!(dir.shell(script).run().ok_and_silent().stdout_text().trim(), "5000001");
}

#[test]
fn the_key_is_wiped_from_the_arguments_that_others_can_see() {
    let dir = Dir::new();
    // The program waits for its input, which the shell holds back.
    let script = r#"
        mkfifo in; $CS encrypt --key 'S3CRET W0RDS' in out & pid=$!
        exec 4>in; for i in $(seq 200); do
            tr '\0' ' ' < /proc/$pid/cmdline > seen
            if grep -q cryptstream seen && ! grep -q S3CRET seen; then break; fi; sleep 0.05
        done
        cat seen; exec 4>&-; wait $pid"#;
    let seen = dir.shell(script).run().ok().stdout_text();
    assert!(seen.contains("encrypt") && seen.contains("--key"), "{seen}");
    assert!(!seen.contains("S3CRET") && !seen.contains("W0RDS"), "{seen}");
    dir.run(&["decrypt", "out", "-", "--key", "S3CRET W0RDS"]).ok();
}
