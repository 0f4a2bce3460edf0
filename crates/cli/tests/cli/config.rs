//! The user's defaults: the file, the environment and the flags, and which of them takes
//! precedence.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;

use crate::common::{CHEAP, Dir, Run, test_bytes};

const FILE: &str = ".config/cryptstream/config.toml";

/// A folder that is also the home folder, with the identities `me` and `you`, and this
/// configuration file.
fn home(config: impl AsRef<[u8]>) -> Dir {
    let dir = Dir::new();
    for name in ["me", "you"] {
        let recipient = dir.keygen(name);
        dir.write(format!("{name}.pub"), recipient);
    }
    dir.write("plain", "content");
    fs::create_dir_all(dir.path(".config/cryptstream")).unwrap();
    dir.write(FILE, config);
    dir
}

fn command<S: AsRef<OsStr>>(dir: &Dir, args: &[S]) -> Run {
    at_home(dir, dir.command(args))
}

fn at_home(dir: &Dir, mut run: Run) -> Run {
    run.command.env_remove("CRYPTSTREAM_CONFIG").env_remove("XDG_CONFIG_HOME");
    run.with_usual_costs().env("HOME", dir.root())
}

fn recipient(dir: &Dir, name: &str) -> String {
    String::from_utf8(dir.read(format!("{name}.pub"))).unwrap()
}

/// The keys that decrypt the file.
fn keys_that_open(dir: &Dir, encrypted: &str) -> String {
    let opens = |keys: &[&str]| {
        let args = [&["verify", "--no-config", encrypted], keys].concat();
        match command(dir, &args).run().code() {
            Some(0) => true,
            Some(77) => false,
            code => panic!("{code:?}"),
        }
    };
    let mut keys_that_open = Vec::new();
    dir.write_secret("word", "a word");
    for (name, keys) in
        [("me", ["-i", "me"]), ("you", ["-i", "you"]), ("word", ["--passphrase-file", "word"])]
    {
        if opens(&keys) {
            keys_that_open.push(name);
        }
    }
    keys_that_open.join(" ")
}

/// The report of `config --json` about a setting: value, source, line or variable.
fn setting(run: Run, name: &str) -> (serde_json::Value, String) {
    let done = run.run().ok_and_silent();
    let object = done.json(&done.stdout);
    assert_eq!((&object["schema"], &object["command"]), (&1.into(), &"config".into()));
    let settings = object["settings"].as_array().unwrap();
    let setting = settings.iter().find(|setting| setting["name"] == name).unwrap().clone();
    let from = match setting["source"].as_str().unwrap() {
        "file" => format!("line {}", setting["line"]),
        "environment" => setting["variable"].as_str().unwrap().to_owned(),
        other => other.to_owned(),
    };
    (setting["value"].clone(), from)
}

#[test]
fn a_file_of_another_user_is_not_obeyed() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can give a file to another user");
        return;
    }
    let dir = Dir::new();
    dir.write("plain", "content");
    let recipient = dir.keygen("id");
    dir.write("config.toml", format!("recipients = [\"{recipient}\"]\n"));
    let run =
        || dir.command(&["encrypt", "plain"]).env("CRYPTSTREAM_CONFIG", dir.path("config.toml"));
    std::os::unix::fs::chown(dir.path("config.toml"), Some(65_534), None).unwrap();
    dir.fails(run(), 78, &["config.toml: belongs to another user", "--no-config"]);
    std::os::unix::fs::chown(dir.path("config.toml"), Some(0), None).unwrap();
    run().run().ok();
}

/// With `su` without `-`, which keeps HOME.
#[test]
fn a_home_that_cannot_be_entered_is_left_alone_with_a_warning() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can be another user");
        return;
    }
    let dir = Dir::new();
    fs::set_permissions(dir.root(), fs::Permissions::from_mode(0o755)).unwrap();
    dir.keygen("id");
    dir.write("plain", "content");
    dir.run(&["encrypt", "-i", "id", "plain"]).ok();
    fs::create_dir_all(dir.path("home/.config/cryptstream")).unwrap();
    let file = dir.write("home/.config/cryptstream/config.toml", "progress = \"never\"\n");
    let inspect = || {
        let run = at_home(&dir, dir.unprivileged(&["inspect", "plain.enc"]));
        run.env("HOME", dir.path("home")).run()
    };
    let chmod = |path: &std::path::Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    chmod(&dir.path("home"), 0o700);
    let done = inspect().ok();
    assert!(done.stderr_text().contains("warning: ") && done.stderr_text().contains("HOME"));
    // A reachable file must be readable.
    chmod(&dir.path("home"), 0o755);
    chmod(&file, 0o600);
    assert_eq!(inspect().code(), Some(78));
}

#[test]
fn the_environment_overrides_the_file_which_overrides_the_default() {
    let all = "format = \"age\"\nprocesses = 0x3\nsandbox = \"off\"\ncache = \"drop\"\n\
               progress = \"never\"\nargon2id = \"64MiB\"\nscrypt = 16\nplugin-timeout = 7\n";
    let dir = home(all);
    for (line, (name, variable, default, file, environment)) in [
        ("format", "CRYPTSTREAM_FORMAT", "native".into(), "age".into(), "native"),
        ("processes", "CRYPTSTREAM_PROCESSES", "auto".into(), 3.into(), "auto"),
        ("sandbox", "CRYPTSTREAM_SANDBOX", "auto".into(), "off".into(), "require"),
        ("cache", "CRYPTSTREAM_CACHE", "auto".into(), "drop".into(), "keep"),
        ("progress", "CRYPTSTREAM_PROGRESS", "auto".into(), "never".into(), "json"),
        ("argon2id", "CRYPTSTREAM_ARGON2ID", "256MiB,3,4".into(), "64MiB,3,4".into(), "128MiB,5,6"),
        ("scrypt", "CRYPTSTREAM_SCRYPT", 18.into(), serde_json::json!(16), "17"),
        ("plugin-timeout", "CRYPTSTREAM_PLUGIN_TIMEOUT", 120.into(), 7.into(), "0"),
    ]
    .into_iter()
    .enumerate()
    {
        let show = |flag: &[&str]| command(&dir, &[&["config", "--json"], flag].concat());
        let without = setting(show(&["--no-config"]), name);
        assert_eq!(without, (default, "default".to_owned()));
        assert_eq!(setting(show(&[]), name), (file, format!("line {}", line + 1)));
        let (value, from) = setting(show(&[]).env(variable, environment), name);
        assert_eq!(from, variable);
        assert_eq!(value.to_string().trim_matches('"'), environment);
        // An empty variable counts as unset.
        assert_eq!(setting(show(&[]).env(variable, ""), name).1, format!("line {}", line + 1));
    }
}

#[test]
fn flags_override_the_environment() {
    let dir = home("format = \"age\"\nprocesses = 1\nargon2id = \"64MiB\"\nscrypt = 16");
    let seal = |args: &[&str], format: Option<&str>| {
        let args = [&["encrypt", "-i", "me", "plain", "--json", "--force"], args].concat();
        let run = command(&dir, &args).env("CRYPTSTREAM_FORMAT", format.unwrap_or_default());
        let done = run.run().ok();
        done.json(&done.stdout)["format"].as_str().unwrap().to_owned()
    };
    assert_eq!(seal(&["out"], None), "age");
    assert_eq!(seal(&["out"], Some("native")), "native");
    assert_eq!(seal(&["out", "--format", "native"], Some("age")), "native");
    assert_eq!(seal(&["out", "--no-config"], None), "native");
    // An output name or a flag does not conflict with a default.
    assert_eq!(seal(&["out.age"], Some("native")), "age");
    assert_eq!(seal(&["out", "--armor"], Some("native")), "age");
    assert_eq!(seal(&[], None), "age");
    assert!(dir.path("plain.age").exists());
    // Each cost applies to its own format; a typed cost selects the format.
    dir.write_secret("word", "a word");
    let word = ["--passphrase-file", "word"];
    let seal = |args: &[&str]| {
        command(&dir, &[&["encrypt", "plain", "out", "--force"], &word[..], args].concat())
    };
    seal(&[]).run().ok_and_silent();
    assert!(String::from_utf8_lossy(&dir.read("out")).contains("\n-> scrypt "));
    assert!(String::from_utf8_lossy(&dir.read("out")).lines().nth(1).unwrap().ends_with(" 16"));
    seal(&[CHEAP]).run().ok_and_silent();
    assert!(dir.read("out").starts_with(b"cryptstream"));
    seal(&["--format", "native"]).run().ok_and_silent();
    let show = command(&dir, &["inspect", "--json", "out"]).run().ok();
    assert!(show.stdout_text().contains("65536"), "{}", show.stdout_text());
}

#[test]
fn keys_of_several_places_are_never_mixed() {
    let dir = home("");
    let (me, you) = (recipient(&dir, "me"), recipient(&dir, "you"));
    dir.write_secret("word", "a word");
    let both = format!("recipients = [{you:?}]\nidentity = \"~/me\"\nargon2id = \"64MiB\"");
    let own = "identity = [\"~/me\"]";
    let files = "recipients-files = [\"../../you.pub\", \"~/me.pub\"]";
    let cheap = [("CRYPTSTREAM_ARGON2ID", "64MiB")];
    let mine = [("CRYPTSTREAM_IDENTITY", "me")];
    let word = [("CRYPTSTREAM_PASSPHRASE", "a word"), ("CRYPTSTREAM_RECIPIENT", &me)];
    let lines = format!("\n{me}\n\n  {you}\n");
    let lines = [("CRYPTSTREAM_RECIPIENT", &*lines)];
    type Variables<'a> = &'a [(&'a str, &'a str)];
    let cases: &[(&str, Variables<'_>, &[&str], &str)] = &[
        // Only the file: its recipients, or without any, the user's own identity.
        (&both, &[], &[], "you"),
        (own, &[], &[], "me"),
        (files, &[], &[], "me you"),
        // A flag overrides it.
        (&both, &[], &["-i", "me"], "me"),
        (&both, &[], &["-r", &me], "me"),
        (&both, &[], &["-R", "me.pub"], "me"),
        (&both, &[], &["--passphrase-file", "word"], "word"),
        (&both, &[], &["--key", "a word"], "word"),
        (own, &cheap, &["--passphrase-file", "word"], "word"),
        (&both, &lines, &["-r", &you], "you"),
        (&both, &word, &["-r", &you], "you"),
        // The environment overrides the file.
        (&both, &mine, &[], "me"),
        (own, &lines, &[], "me you"),
        (&both, &word, &[], "word"),
        (own, &lines, &["--no-config"], "me you"),
    ];
    for (config, variables, flags, expected) in cases {
        dir.write(FILE, config);
        let mut run = command(&dir, &[&["encrypt", "plain", "out", "--force"], *flags].concat());
        for (name, value) in *variables {
            run = run.env(name, value);
        }
        run.run().ok_and_silent();
        assert_eq!(keys_that_open(&dir, "out"), *expected, "{config} {variables:?} {flags:?}");
    }
}

#[test]
fn decryption_keys_come_from_the_first_source_too() {
    let dir = home("identity = \"~/me\"\nrecipients-files = \"~/you.pub\"");
    let seal = |flags: &[&str], out: &str| {
        command(&dir, &[&["encrypt", "plain", out], flags].concat()).run().ok_and_silent();
    };
    seal(&["-i", "me"], "for-me");
    seal(&["-i", "you"], "for-you");
    let verify = |file: &str, flags: &[&str]| command(&dir, &[&["verify", file], flags].concat());
    let code = |run: Run| run.run().code().unwrap();
    assert_eq!(code(verify("for-me", &[])), 0);
    assert_eq!(code(verify("for-you", &[])), 77);
    assert_eq!(code(verify("for-me", &["-i", "you"])), 77);
    assert_eq!(code(verify("for-you", &["-i", "you"])), 0);
    assert_eq!(code(verify("for-me", &["--key", "word"])), 77);
    assert_eq!(code(verify("for-me", &["--no-config"])), 64);
    let environment = |file, names: &str| verify(file, &[]).env("CRYPTSTREAM_IDENTITY", names);
    assert_eq!(code(environment("for-me", "you")), 77);
    assert_eq!(code(environment("for-me", "you:me")), 0);
    assert_eq!(code(verify("for-me", &[]).env("CRYPTSTREAM_PASSPHRASE", "word")), 77);
    let both = environment("for-me", "me").env("CRYPTSTREAM_PASSPHRASE", "word");
    assert_eq!(code(both), 0);
    // The other commands that decrypt.
    command(&dir, &["decrypt", "for-me", "decrypted"]).run().ok_and_silent();
    assert_eq!(dir.read("decrypted"), b"content");
    command(&dir, &["rekey", "for-me", "--new-identity", "you"]).run().ok_and_silent();
    assert_eq!(keys_that_open(&dir, "for-me"), "you");
    // New keys never come from the file.
    dir.fails(command(&dir, &["rekey", "-i", "you", "for-you"]), 64, &["help: "]);
}

#[test]
fn every_kind_of_bad_file_is_refused_with_its_line() {
    let dir = home("");
    let secret = String::from_utf8(dir.read("me")).unwrap();
    let secret = secret.lines().find(|line| line.starts_with("AGE-SECRET")).unwrap();
    let quoted = format!("recipients = [\n  {secret:?}]");
    let as_name = format!("\nidentity = {secret:?}");
    let as_key = format!("{secret} = 1");
    let cases: &[(&[u8], &str, &str)] = &[
        (b"\n\nformt = \"age\"", "line 3: there is no setting \"formt\"", "did you mean format?"),
        (b"Format = \"age\"", "line 1", "did you mean format?"),
        (b"[recipients]\na = 1", "line 1: recipients must be", "help: "),
        (b"[encrypt]\nformat = \"age\"", "line 1: there is no setting", "help: "),
        (
            b"passphrase = \"hush\"",
            "line 1: a configuration file cannot hold a passphrase",
            "--passphrase-file",
        ),
        (
            b"key = \"hush\"",
            "line 1: a configuration file cannot hold a passphrase",
            "--passphrase-file",
        ),
        (quoted.as_bytes(), "line 2: recipients", "move it to a file"),
        (as_name.as_bytes(), "line 2: identity", "a file that only you can read"),
        (
            as_key.as_bytes(),
            "line 1: a configuration file cannot hold a passphrase",
            "move it to a file",
        ),
        (b"recipients = [\"hush\"]", "line 1: recipients has a wrong entry", "help: "),
        (b"recipients = 3", "line 1: recipients must be", "help: "),
        (b"recipients = [\n\n3]", "line 3: recipients must be", "help: "),
        (b"identity = [\"-\"]", "line 1: identity", "standard input"),
        (b"identity = \"\"", "line 1: identity", "help: "),
        (b"format = 1", "line 1: format must be", "help: "),
        (b"format = \"nativ\"", "must be one of native, age", "did you mean native?"),
        (b"sandbox = true", "line 1: sandbox must be", "help: "),
        (b"processes = \"4\"", "line 1: processes must be a number", "help: "),
        (b"processes = 257", "line 1: processes must be a number from 0 to 256", "help: "),
        (b"processes = -1", "line 1: processes", "help: "),
        (b"processes = 1.5", "line 1: processes", "help: "),
        (b"scrypt = 15", "line 1: scrypt must be a number from 16 to 22", "help: "),
        (b"scrypt = 99999999999999999999999999999999999999999", "line 1: ", "help: "),
        (b"argon2id = \"1MiB\"", "line 1: argon2id", "64MiB"),
        (b"plugin-timeout = -1", "line 1: plugin-timeout", "help: "),
        (b"format = native", "line 1: is not valid TOML", "help: "),
        (b"scrypt = 16\nscrypt = 17", "line 2: is not valid TOML", "help: "),
        (b"scrypt = 16\n# \xff", "line 2: is not UTF-8 text", "UTF-8"),
        (&vec![b'\n'; (1 << 20) + 1], "larger than 1 MiB", "help: "),
    ];
    let commands = [&["encrypt", "-i", "me", "plain"][..], &["verify", "plain"], &["config"]];
    for ((content, wrong, help), args) in cases.iter().zip(commands.iter().cycle()) {
        dir.write(FILE, content);
        let shown = String::from_utf8_lossy(&content[..content.len().min(80)]);
        println!("{shown} {args:?}");
        let done = dir.fails(command(&dir, args), 78, &[FILE, wrong, help]);
        let text = done.stderr_text();
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(!text.contains("hush") && !text.contains(secret), "{text}");
    }
    let done = command(&dir, &["decrypt", "--json", "plain", "x"]).run();
    let error = &done.json(&done.stdout)["error"];
    assert_eq!((&error["code"], &error["kind"]), (&78.into(), &"config".into()));
    // It is not read with --no-config either, nor by commands that do not use it.
    command(&dir, &["encrypt", "--no-config", "-i", "me", "plain"]).run().ok_and_silent();
    command(&dir, &["keygen", "-y", "me"]).run().ok_and_silent();
    command(&dir, &["man"]).run().ok_and_silent();
    let measure = ["benchmark", "-q", "--runs", "1", "--processes", "1", "--file", "large"];
    dir.write("large", test_bytes(8 << 20));
    command(&dir, &measure).run().ok();
}

#[test]
fn a_key_file_that_is_gone_is_said_to_be_a_default() {
    let dir = home("identity = [\"~/gone\"]");
    let set = "`cryptstream config` shows where it is set";
    dir.fails(command(&dir, &["encrypt", "plain"]), 66, &["gone: cannot be read", set]);
    for typed in [&["-i", "gone"][..], &["-igone"], &["--identity=gone"]] {
        let args = [&["encrypt", "plain"], typed].concat();
        let done = dir.fails(command(&dir, &args), 66, &["gone: cannot be read"]);
        assert!(!done.stderr_text().contains(set), "{done:?}");
    }
}

#[test]
fn files_that_cannot_be_trusted_or_read_are_refused() {
    let dir = home("format = \"age\"");
    let chmod = |mode| {
        fs::set_permissions(dir.path(FILE), fs::Permissions::from_mode(mode)).unwrap();
    };
    chmod(0o666);
    dir.fails(
        command(&dir, &["config"]),
        78,
        &[FILE, "other users can change", "chmod go-w", "CRYPTSTREAM_CONFIG"],
    );
    if crate::common::has_private_group() {
        chmod(0o664);
        command(&dir, &["config"]).run().ok_and_silent();
    }
    chmod(0o644);
    command(&dir, &["config"]).run().ok_and_silent();
    if !rustix::process::geteuid().is_root() {
        chmod(0);
        dir.fails(command(&dir, &["config"]), 78, &[FILE, "permission denied", "--no-config"]);
    }
    fs::remove_file(dir.path(FILE)).unwrap();
    fs::create_dir(dir.path(FILE)).unwrap();
    dir.fails(command(&dir, &["config"]), 78, &[FILE, "cannot be read", "--no-config"]);
    // A missing file is fine, unless the user named it.
    fs::remove_dir(dir.path(FILE)).unwrap();
    command(&dir, &["encrypt", "-i", "me", "plain"]).run().ok_and_silent();
    fs::remove_dir(dir.path(".config/cryptstream")).unwrap();
    dir.write(".config/cryptstream", "no folder");
    command(&dir, &["config"]).run().ok_and_silent();
    let named = command(&dir, &["config"]).env("CRYPTSTREAM_CONFIG", "there.toml");
    dir.fails(named, 78, &["there.toml", "CRYPTSTREAM_CONFIG", "help: "]);
}

#[test]
fn a_pipe_is_read_only_where_it_is_named() {
    let dir = home("");
    fs::remove_file(dir.path(FILE)).unwrap();
    let made = std::process::Command::new("mkfifo").arg(dir.path(FILE)).status().unwrap();
    assert!(made.success());
    dir.fails(command(&dir, &["config"]), 78, &[FILE, "not a regular file", "--no-config"]);
    fs::remove_file(dir.path(FILE)).unwrap();
    for (named, is_age) in [
        ("<(printf 'format = \"age\"')", true),
        ("<(sleep 0.2; printf 'format = \"age\"')", true),
        ("<(true)", false),
        ("/dev/null", false),
        ("/dev/stdin <<< 'format = \"age\"'", true),
        ("$(mkfifo p; (sleep 0.2; printf 'format = \"age\"' > p) > /dev/null & echo p)", true),
    ] {
        let script = format!("f() {{ CRYPTSTREAM_CONFIG=$1 \"$CS\" config; }}; f {named}");
        let text = at_home(&dir, dir.shell(&script)).run().ok().stdout_text();
        let line = text.lines().find(|line| line.starts_with("format"));
        assert_eq!(line.unwrap().contains("age"), is_age, "{named}: {text}");
    }
    // A pipe of another user, for which the program does not wait.
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(dir.path("p"), Some(65_534), None).unwrap();
        let named = command(&dir, &["config"]).env("CRYPTSTREAM_CONFIG", "p");
        dir.fails(named, 78, &["another user"]);
    }
}

#[test]
fn bad_variables_are_refused_by_name() {
    let dir = home("");
    let variable = |name: &str, value: &[u8]| {
        command(&dir, &["encrypt", "-i", "me", "plain"]).env(name, OsStr::from_bytes(value))
    };
    for (name, value) in [
        ("CRYPTSTREAM_FORMAT", &b"AGE"[..]),
        ("CRYPTSTREAM_PROCESSES", b"many"),
        ("CRYPTSTREAM_SCRYPT", b"\xff"),
        ("CRYPTSTREAM_RECIPIENT", b"AGE-SECRET-KEY-1HUSH"),
        ("CRYPTSTREAM_RECIPIENT", b"\xff"),
        ("CRYPTSTREAM_IDENTITY", b"me:AGE-SECRET-KEY-1HUSH"),
        ("CRYPTSTREAM_IDENTITY", b"-"),
    ] {
        let done = dir.fails(variable(name, value), 78, &[name, "help: "]);
        assert!(!done.stderr_text().contains("HUSH"), "{done:?}");
    }
}

#[test]
fn the_file_is_found_where_xdg_says() {
    let dir = home("scrypt = 16");
    fs::create_dir_all(dir.path("xdg/cryptstream")).unwrap();
    dir.write("xdg/cryptstream/config.toml", "scrypt = 17");
    dir.write("named.toml", "scrypt = 18\nidentity = [\"me\", \"/me\", \"~/me\"]");
    let show = || command(&dir, &["config", "--json"]);
    assert_eq!(setting(show(), "scrypt").0, 16);
    let xdg = || show().env("XDG_CONFIG_HOME", dir.path("xdg"));
    assert_eq!(setting(xdg(), "scrypt").0, 17);
    // A relative path does not count.
    assert_eq!(setting(show().env("XDG_CONFIG_HOME", "xdg"), "scrypt").0, 16);
    let named = || xdg().env("CRYPTSTREAM_CONFIG", dir.path("named.toml"));
    assert_eq!(setting(named(), "scrypt").0, 18);
    let home = dir.path("me").to_str().unwrap().to_owned();
    assert_eq!(setting(named(), "identity").0, serde_json::json!([home, "/me", home]));
    let mut nowhere = show();
    nowhere.command.env_remove("HOME");
    assert_eq!(setting(nowhere, "scrypt").0, 18);
}

#[test]
fn the_effective_settings_are_shown_without_secrets() {
    let dir = home("identity = \"~/me\"\n\n\nprocesses = 2");
    let run = command(&dir, &["config"]).env("CRYPTSTREAM_FORMAT", "age");
    let text = run.run().ok_and_silent().stdout_text();
    let line = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
    };
    assert!(text.lines().next().unwrap().ends_with(FILE), "{text}");
    assert_eq!(line("format"), "age CRYPTSTREAM_FORMAT");
    assert_eq!(line("processes"), "2 config.toml:4");
    assert_eq!(line("scrypt"), "18 default");
    let identity = line("identity");
    assert!(identity.ends_with("config.toml:1 (used to encrypt and to decrypt)"), "{identity}");
    let run = || command(&dir, &["config"]).env("CRYPTSTREAM_PASSPHRASE", "hush hush");
    let text = run().run().ok_and_silent().stdout_text();
    assert!(text.contains("(not shown)") && text.contains("(unused"), "{text}");
    let mut json = run();
    json.command.arg("--json");
    let json = json.run().ok_and_silent().stdout_text();
    assert!(json.contains("CRYPTSTREAM_PASSPHRASE"), "{json}");
    assert!(!text.contains("hush") && !json.contains("hush"));
}

#[test]
fn defaults_reach_the_work() {
    let dir = home("processes = 0\nidentity = \"~/me\"\nprogress = \"json\"");
    dir.write("large", vec![7; 9 << 20]);
    let seal = |flags: &[&str]| {
        let run = command(&dir, &[&["encrypt", "--json", "large", "-f"], flags].concat());
        let done = run.run().ok();
        done.json(&done.stdout)["workers"].as_u64().unwrap()
    };
    assert_eq!(seal(&[]), 0);
    assert_eq!(seal(&["--processes", "1"]), 1);
    // For a folder too.
    fs::create_dir(dir.path("folder")).unwrap();
    dir.write("folder/a", "a");
    command(&dir, &["encrypt", "folder", "encrypted"]).run().ok();
    assert_eq!(keys_that_open(&dir, "encrypted/a.enc"), "me");
}
