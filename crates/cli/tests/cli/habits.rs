//! Arguments that users know from other programs are accepted, or answered with the right name.

use std::fs;

use crate::common::Dir;

/// Two lines, of which the first contains `wrong` and the second `right`.
#[track_caller]
fn is_answered(dir: &Dir, typed: &str, wrong: &str, right: &str) {
    let words: Vec<_> = typed.split_whitespace().collect();
    let text = dir.fails(dir.command(&words), 64, &[]).stderr_text();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{typed}: {text}");
    assert!(lines[0].starts_with("error: ") && lines[0].contains(wrong), "{typed}: {text}");
    assert!(lines[1].starts_with("help: ") && lines[1].contains(right), "{typed}: {text}");
}

#[test]
fn a_direction_flag_replaces_the_command_as_with_age() {
    let dir = Dir::new();
    let recipient = dir.keygen("key");
    dir.write("f", "content");
    dir.run(&["-e", "-r", &recipient, "-o", "f.age", "f"]).ok_and_silent();
    dir.run(&["-d", "-i", "key", "-o", "again", "f.age"]).ok_and_silent();
    assert_eq!(dir.read("again"), b"content");
    for decrypt in ["-d -i key f.age -", "-i key --decrypt f.age -", "-q -d -i key f.age -"] {
        let words: Vec<_> = decrypt.split_whitespace().collect();
        assert_eq!(dir.run(&words).ok_and_silent().stdout, b"content", "{decrypt}");
    }
    dir.run(&["--encrypt", "-i", "key", "f"]).ok_and_silent();
    assert!(dir.path("f.enc").exists());
    // Without a direction age encrypts; here both are possible.
    is_answered(&dir, "-i key f.age", "'-i'", "`cryptstream encrypt ...`");
    is_answered(&dir, "-p f", "'-p'", "`cryptstream decrypt ...`");
    is_answered(&dir, "encrypt -d f", "'-d'", "`cryptstream decrypt`");
    is_answered(&dir, "decrypt -e f", "'-e'", "`cryptstream encrypt`");
    is_answered(&dir, "decrypt -d f.age", "'-d'", "leave it out");
}

#[test]
fn standard_output_by_a_flag_as_with_gzip_and_zstd() {
    let dir = Dir::new();
    dir.keygen("key");
    dir.write("f", "content");
    dir.run(&["encrypt", "-i", "key", "f"]).ok();
    for decrypt in ["decrypt -c f.enc -i key", "decrypt --stdout f.enc -i key", "-dc -i key f.enc"]
    {
        let words: Vec<_> = decrypt.split_whitespace().collect();
        assert_eq!(dir.run(&words).ok_and_silent().stdout, b"content", "{decrypt}");
    }
    // In gpg, -c means a passphrase.
    is_answered(&dir, "encrypt -c f", "'-c'", "(gpg -c) use -p; for standard output (gzip -c)");
    is_answered(&dir, "decrypt -c f.enc out", "'--stdout'", "`cryptstream decrypt --help`");
}

#[test]
fn names_of_other_programs_for_the_same_flags() {
    let dir = Dir::new();
    dir.keygen("key");
    dir.shell("mkdir d; echo a > d/a.txt; echo b > d/b.tmp; echo '*.tmp' > patterns").run().ok();
    for (number, flags) in
        ["-j 1", "--threads 1", "-j0", "-vv", "--exclude-from patterns"].into_iter().enumerate()
    {
        let out = format!("out{number}");
        let words = ["encrypt", "-i", "key", "d", &out];
        let words: Vec<_> = words.into_iter().chain(flags.split_whitespace()).collect();
        dir.run(&words).ok();
        assert!(dir.path(&out).join("a.txt.enc").exists());
        let has_tmp = dir.path(&out).join("b.tmp.enc").exists();
        assert_eq!(has_tmp, !flags.contains("exclude"), "{flags}");
    }
}

#[test]
fn colours_are_chosen_as_with_ripgrep() {
    let dir = Dir::new();
    let has_colour = |run: crate::common::Run| run.run().stderr_text().contains("\x1b[1;31m");
    let wrong = |flags: &str| {
        let words: Vec<_> = "decrypt x.enc --key x".split(' ').chain(flags.split(' ')).collect();
        dir.command(&words)
    };
    assert!(has_colour(wrong("--color always")));
    assert!(has_colour(wrong("--color=always")));
    assert!(has_colour(wrong("--color=always").env("NO_COLOR", "1")));
    assert!(!has_colour(wrong("--color auto")));
    assert!(!has_colour(wrong("--color always --color never")));
    assert!(!has_colour(wrong("--color always --no-color")));
    assert!(has_colour(wrong("--no-color --color always")));
    // Usage errors too.
    assert!(has_colour(dir.command(&["decrypt", "--color=always", "--nonsense"])));
    assert!(has_colour(wrong("-q").env("CRYPTSTREAM_COLOR", "always")));
    dir.write("config.toml", "color = \"always\"");
    let config = dir.path("config.toml");
    assert!(has_colour(wrong("-q").env("CRYPTSTREAM_CONFIG", &config)));
    assert!(!has_colour(wrong("--color never").env("CRYPTSTREAM_CONFIG", &config)));
    is_answered(&dir, "decrypt x --colour always", "'--colour'", "'--color'");
}

#[test]
fn flags_of_other_programs_are_answered_with_the_right_name() {
    let dir = Dir::new();
    dir.write("f", "content");
    dir.write("f.enc", "content");
    for (typed, wrong, right) in [
        // Passphrases: gpg, 7z, zip, rage, openssl.
        ("encrypt --password x f", "'--password'", "--passphrase-file FILE"),
        ("encrypt --pass x f", "'--pass'", "use -p"),
        ("decrypt --passwd x f.enc", "'--passwd'", "use -p"),
        ("encrypt --symmetric f", "'--symmetric'", "use -p"),
        ("encrypt -k secret f", "'-k'", "inputs are kept"),
        ("encrypt -kfile pass f", "'-kfile'", "--passphrase-file"),
        ("encrypt -pass pass:x f", "'-pass'", "--passphrase-file"),
        ("decrypt -in f.enc -out f", "'-in'", "INPUT without a flag"),
        ("encrypt -out f", "'-out'", "use -o"),
        ("encrypt -aes-256-cbc f", "'-aes-256-cbc'", "one cipher"),
        ("encrypt -pbkdf2 f", "'-pbkdf2'", "--argon2id"),
        ("encrypt --iter 100000 f", "'--iter'", "--argon2id"),
        ("encrypt --cipher-algo AES256 f", "'--cipher-algo'", "one cipher"),
        // Keys.
        ("decrypt --private-key k f.enc", "'--private-key'", "-i FILE"),
        ("encrypt --public-key k f", "'--public-key'", "-R FILE"),
        ("encrypt --sign f", "'--sign'", "ssh-keygen -Y sign"),
        ("--gen-key", "'--gen-key'", "cryptstream keygen"),
        // Compressors and tar.
        ("encrypt --compress f", "'--compress'", "--zstd"),
        ("encrypt -9 f", "'-9'", "--zstd"),
        ("encrypt -19 f", "'-1'", "--zstd"),
        ("encrypt --rm f", "'--rm'", "--remove-source"),
        ("encrypt --keep f", "'--keep'", "inputs are kept"),
        ("decrypt -t f.enc", "'-t'", "cryptstream verify"),
        ("decrypt -l f.enc", "'-l'", "cryptstream list"),
        ("decrypt -x f.enc", "'-x'", "--extract"),
        ("decrypt -C d f.enc", "'-C'", "OUTPUT"),
        ("decrypt --strip-components=1 f.enc", "'--strip-components'", "| tar -x"),
        ("encrypt --zstd 19 --archive d", "--zstd 19", "--zstd=19"),
        // rsync, cp, restic, borg.
        ("encrypt --update d", "'--update'", "--newer"),
        ("encrypt -y f", "'-y'", "--force"),
        ("encrypt --overwrite f", "'--overwrite'", "--force"),
        ("encrypt --recursive d", "'--recursive'", "everything in them"),
        ("encrypt --stdin-name x -", "'--stdin-name'", "name the OUTPUT"),
        ("encrypt --stdin-filename=x -", "'--stdin-filename'", "name the OUTPUT"),
        ("encrypt --include-from x d", "'--include-from'", "--include GLOB"),
        ("encrypt --jobs 3 f", "'--jobs'", "-j N"),
        ("encrypt --batch f", "'--batch'", "nothing is asked"),
        ("verify --silent f.enc", "'--silent'", "--quiet"),
        // Commands.
        ("cat f.enc", "'cat'", "cryptstream decrypt FILE -"),
        ("extract f.enc", "'extract'", "--extract"),
        ("enc f", "'enc'", "cryptstream encrypt"),
        ("dec f", "'dec'", "cryptstream decrypt"),
        ("test f.enc", "'test'", "cryptstream verify"),
        ("check f.enc", "'check'", "cryptstream verify"),
        ("info f.enc", "'info'", "cryptstream inspect"),
        ("generate", "'generate'", "cryptstream keygen"),
        ("tar d", "'tar'", "--archive"),
        ("passwd f.enc", "'passwd'", "cryptstream rekey"),
        // A file without a command.
        ("f", "'f'", "`cryptstream encrypt f`"),
        ("f.enc", "'f.enc'", "`cryptstream decrypt f.enc`"),
    ] {
        is_answered(&dir, typed, wrong, right);
    }
}

#[test]
fn a_passphrase_behind_a_flag_that_takes_none_is_not_repeated() {
    let dir = Dir::new();
    dir.write("f", "content");
    for typed in ["encrypt --passphrase=hunter2 f", "encrypt --password=hunter2 f"] {
        let words: Vec<_> = typed.split(' ').collect();
        let done = dir.fails(dir.command(&words), 64, &["--passphrase-file"]);
        assert!(!done.stderr_text().contains("hunter2"), "{done:?}");
        let words: Vec<_> = words.into_iter().chain(["--json"]).collect();
        let done = dir.fails(dir.command(&words), 64, &[]);
        assert!(!done.stdout_text().contains("hunter2"), "{done:?}");
    }
}

#[test]
fn a_missing_file_is_reported_before_anything_about_its_name() {
    let dir = Dir::new();
    dir.keygen("key");
    dir.write("f.txt", "content");
    dir.run(&["encrypt", "-i", "key", "f.txt"]).ok();
    for (typed, words) in [
        ("decrypt f.txt.en", ["f.txt.en: no such file", "there is f.txt.enc"]),
        ("decrypt --extract f.txt.e", ["f.txt.e: no such file", "there is f.txt.enc"]),
        ("decrypt g", ["g: no such file", "check the name"]),
        ("encrypt g.enc out", ["g.enc: no such file", "check the name"]),
        ("encrypt f.txt.enc.enc out", ["no such file", "there is f.txt.enc"]),
        ("encrypt g --dry-run", ["g: no such file", "check the name"]),
        ("decrypt f.tx --output-dir d", ["f.tx: no such file", "check the name"]),
    ] {
        let typed: Vec<_> = typed.split(' ').chain(["-i", "key"]).collect();
        dir.fails(dir.command(&typed), 66, &words);
    }
    // An existing file gets no suggestion.
    dir.fails(dir.command(&["decrypt", "f.txt", "-i", "key"]), 64, &["does not end in .enc"]);
}

#[test]
fn a_wrong_value_is_answered_with_the_right_one() {
    let dir = Dir::new();
    dir.keygen("key");
    dir.write("f", "content");
    dir.run(&["encrypt", "-i", "key", "f"]).ok();
    for (typed, code, words) in [
        ("encrypt f --processes x", 64, ["0 to 256", "`cryptstream encrypt --help`"]),
        ("encrypt f --scrypt 99", 64, ["16 to 22", "`cryptstream encrypt --help`"]),
        ("rekey f.enc --scrypt 99", 64, ["16 to 22", "`cryptstream rekey --help`"]),
        ("encrypt f -r", 64, ["--recipient", "`cryptstream encrypt --help`"]),
        ("decrypt f.enc --range 5-3", 64, ["END is before START", "write 5+3"]),
        ("encrypt f --key x --argon2id 64M", 64, ["not a valid cost", "write --argon2id 64MiB"]),
        ("encrypt f --key x --argon2id 64M,3,4,5", 64, ["not a valid cost", "write MEMORY["]),
        ("encrypt f --key x --argon2id 999TiB", 64, ["not a valid cost", "write MEMORY["]),
        ("encrypt f --key x --argon2id -1,-1,-1", 64, ["not a valid cost", "write MEMORY["]),
        ("encrypt f --key x --argon2id 64MiB,3,8193", 64, ["not a valid cost", "needs 8 KiB"]),
        ("benchmark --max-size 999TiB", 64, ["'999TiB'", "a size such as 400KiB"]),
        ("benchmark --max-size -1", 64, ["'-1'", "a size such as 400KiB"]),
        ("decrypt f.enc --extract --max-size -1", 64, ["'-1'", "a number of bytes"]),
        ("decrypt f.enc --extract --max-ratio -1", 64, ["'-1'", "a number, such as 2000"]),
        ("encrypt f --plugin-timeout -1", 64, ["'-1'", "a number of seconds"]),
        ("encrypt f --passphrase-fd -1", 64, ["'-1'", "the number of a file descriptor"]),
        ("encrypt f - --dry-run", 64, ["a flag for folders", "leave the flags for folders out"]),
        ("encrypt f - --output-dir d", 64, ["standard input", "one of several inputs"]),
        ("rekey f.enc -i key --new-recipient age1x", 64, ["a given recipient", "copy it again"]),
        ("encrypt f /dev/null -i key --remove-source", 64, ["/dev/null", "--remove-source"]),
        ("encrypt f --key x --argon2id 1GB,4", 64, ["not a valid cost", "write --argon2id 1GiB,4"]),
        ("encrypt f --key x --argon2id 8MiB", 64, ["the cost is too low", "64MiB,3,4 or more"]),
        (
            "decrypt f.enc --key x --argon2id-limit 4G",
            64,
            ["not a valid cost", "--argon2id-limit 4GiB"],
        ),
        ("decrypt --extract f.enc --max-size 2T -i key", 64, ["'2T'", "write 2TiB"]),
        ("encrypt f --passphrase-fd 9", 66, ["file descriptor 9 is not open", "9< FILE"]),
        ("encrypt . o --exclude [a -i key", 64, ["\"[a\" is not a pattern: unclosed", "'*.jpg'"]),
        ("list f.enc -i key", 65, ["not a tar archive", "`cryptstream decrypt` decrypts it"]),
    ] {
        let typed: Vec<_> = typed.split(' ').collect();
        dir.fails(dir.command(&typed), code, &words);
    }
}

#[test]
fn an_output_that_cannot_be_created_says_why() {
    let dir = Dir::new();
    dir.keygen("key");
    dir.write("f", "content");
    let long = "n".repeat(253);
    dir.write(&long, "content");
    let run = |words: &[&str]| dir.command(&[words, &["-i", "key"]].concat());
    let words = ["257 bytes", "a shorter OUTPUT"];
    dir.fails(run(&["encrypt", &long]), 73, &words);
    dir.fails(run(&["encrypt", &long, "--dry-run"]), 73, &words);
    fs::create_dir(dir.path("d")).unwrap();
    fs::rename(dir.path(&long), dir.path("d").join(&long)).unwrap();
    dir.fails(run(&["encrypt", "d", "o", "--dry-run"]), 73, &words);
    let done = run(&["encrypt", "d", "o"]).run();
    assert_eq!(done.code(), Some(73), "{done:?}");
    assert!(words.iter().all(|word| done.stderr_text().contains(word)), "{done:?}");
    dir.fails(run(&["encrypt", "f", "no/such/out"]), 73, &["create the folder first"]);
}
