//! Passphrase prompts.

use crate::common::pty::{on_terminal, shown};
use crate::common::{CHEAP, Dir, Done};

#[test]
fn a_passphrase_is_asked_for_twice_and_never_shown() {
    let dir = Dir::new();
    dir.write("plain", "content");
    let dialogue = [("New passphrase", "pass word\r"), ("Confirm", "pass word\r")];
    let (code, text) = on_terminal(&dir, "$CS encrypt -p plain $CHEAP", &dialogue);
    assert_eq!(code, 0, "{text}");
    assert!(!text.contains("pass word"), "{text}");
    let done: Done = dir.run(&["decrypt", "plain.enc", "-", "--key", "pass word"]);
    assert_eq!(done.ok().stdout, b"content");

    let dialogue = [("Passphrase", "pass word\r")];
    let (code, text) = on_terminal(&dir, "$CS decrypt -p plain.enc out", &dialogue);
    assert_eq!(code, 0, "{text}");
    assert_eq!(dir.read("out"), b"content");
}

#[test]
fn protected_keys_ask_for_their_passphrase_once() {
    let dir = Dir::new();
    dir.write("plain", "content");
    let data = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    dir.write("ssh", std::fs::read(data.join("ssh_protected")).unwrap());
    dir.shell("chmod 600 ssh; $CS encrypt -i ssh plain encrypted.age").run().ok();
    dir.keygen("id");
    dir.shell("$CS encrypt -i id plain; $CS encrypt id --key house --argon2id=64MiB").run().ok();
    dir.shell("$CS encrypt id --key house --scrypt=16 --format age; rm id").run().ok();
    for (script, prompt, word) in [
        ("$CS decrypt -i ssh encrypted.age out", "the SSH key in ssh:", "horse\r"),
        ("$CS decrypt -i id.enc plain.enc out", "the identity file id.enc:", "house\r"),
        ("$CS decrypt -i id.age plain.enc out", "the identity file id.age:", "house\r"),
        ("$CS encrypt -i id.age plain out", "the identity file id.age:", "house\r"),
    ] {
        let (code, text) = on_terminal(&dir, script, &[(prompt, word)]);
        assert_eq!(code, 0, "{text}");
        assert_eq!(text.matches("Passphrase").count(), 1, "{text}");
        std::fs::remove_file(dir.path("out")).unwrap();
        // As with age, the user may try three times in all.
        let again = "Wrong passphrase. Passphrase of";
        let dialogue = [(prompt, "wrong\r"), (again, "wrong\r"), (again, word)];
        let (code, text) = on_terminal(&dir, script, &dialogue);
        assert_eq!(code, 0, "{text}");
        std::fs::remove_file(dir.path("out")).unwrap();
        let dialogue = [(prompt, "wrong\r"), (again, "wrong\r"), (again, "wrong\r")];
        let (code, text) = on_terminal(&dir, script, &dialogue);
        assert_eq!(code, 77, "{text}");
        assert!(text.contains("another passphrase") && !dir.path("out").exists(), "{text}");
    }
}

#[test]
fn two_different_answers_encrypt_nothing() {
    let dir = Dir::new();
    dir.write("plain", "content");
    let dialogue = [("New passphrase", "one\r"), ("Confirm", "two\r")];
    let (code, text) = on_terminal(&dir, "$CS encrypt -p plain", &dialogue);
    assert_eq!(code, 64, "{text}");
    assert!(text.contains("the two passphrases differ"), "{text}");
    assert_eq!(dir.snapshot().len(), 1);
}

#[test]
fn an_empty_answer_generates_and_shows_a_passphrase() {
    let dir = Dir::new();
    dir.write("plain", "content");
    let dialogue = [("New passphrase", "\r")];
    let (code, text) = on_terminal(&dir, "$CS encrypt -p plain $CHEAP", &dialogue);
    assert_eq!(code, 0, "{text}");
    let made = text.split("The passphrase is: ").nth(1).unwrap().lines().next().unwrap().trim();
    assert_eq!(dir.run(&["decrypt", "plain.enc", "-", "--key", made]).ok().stdout, b"content");
    // The generated passphrase is shown even with --quiet.
    let script = "$CS encrypt -p -q plain again $CHEAP 2> /dev/null";
    let (_, text) = on_terminal(&dir, script, &dialogue);
    assert!(text.contains("The passphrase is: "), "{text}");
}

#[test]
fn a_passphrase_is_the_bytes_that_were_typed() {
    let dir = Dir::new();
    dir.write("plain", "content");
    // Latin 1, an erased letter, and a tab.
    let script = "stty -iutf8; $CS decrypt plain.enc out";
    dir.write("word", b"gr\xfc\xdfe\tx");
    dir.run(&["encrypt", "plain", "--passphrase-file", "word", CHEAP]).ok();
    let typed = [("Passphrase for plain.enc", &b"gr\xfc\xdf\xffz\x7f\x7fe\tx\r"[..])];
    let (code, text) = on_terminal(&dir, script, &typed);
    assert_eq!(code, 0, "{text}");
    assert_eq!(dir.read("out"), b"content");
}

#[test]
fn a_file_with_a_passphrase_asks_for_it_as_age_does() {
    let dir = Dir::new();
    dir.write("plain", "content");
    for args in [&["--key", "word", CHEAP][..], &["--key", "word", "--scrypt=16", "--format=age"]] {
        dir.run(&[&["encrypt", "plain", "encrypted", "--force"], args].concat()).ok();
        let again = ("Wrong passphrase. Passphrase for encrypted", "word\r");
        let dialogue = [("Passphrase for encrypted", "wrong\r"), again];
        let script = "$CS decrypt encrypted out --force";
        let (code, text) = on_terminal(&dir, script, &dialogue);
        assert_eq!(code, 0, "{text}");
        assert_eq!(dir.read("out"), b"content");
    }
    let wrong = ("assphrase for encrypted", "wrong\r");
    let (code, text) = on_terminal(&dir, "$CS verify encrypted", &[wrong, wrong, wrong]);
    assert!(code == 77 && text.contains("the passphrase is wrong"), "{text}");
    let end = ("Passphrase for encrypted", "\u{4}");
    let (code, text) = on_terminal(&dir, "$CS verify encrypted", &[end]);
    assert!(code == 64 && text.contains("no passphrase was entered"), "{text}");
    let end = ("New passphrase", "\u{4}");
    let (code, text) = on_terminal(&dir, "$CS encrypt -p plain", &[end]);
    assert!(code == 64 && text.contains("no passphrase was entered"), "{text}");
    // Not in a script, whose user would not see why it waits.
    let (code, text) = shown(&dir, "$CS decrypt encrypted - 2> errors; cat errors");
    assert!(code == 0 && text.contains("use -p to be asked"), "{text}");
}

#[test]
fn a_folder_asks_once() {
    let dir = Dir::new();
    dir.shell("mkdir in; for i in 1 2 3; do echo $i > in/$i; done").run().ok();
    dir.run(&["encrypt", "in", "encrypted", "--key", "word", CHEAP]).ok();
    let dialogue = [("Passphrase for encrypted", "word\r")];
    let (code, text) = on_terminal(&dir, "$CS decrypt encrypted out", &dialogue);
    assert_eq!(code, 0, "{text}");
    assert_eq!(text.matches("Passphrase for").count(), 1, "{text}");
    assert_eq!(dir.read("out/3"), b"3\n");
}
