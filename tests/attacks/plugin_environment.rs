//! A plugin, which may be anybody's program, looks for what it was not given.

use std::os::unix::fs::PermissionsExt;

use bech32::{Bech32, Hrp};

use crate::common::Dir;

const MARKER: &str = "marker-of-a-passphrase-9f2c";

/// A plugin that writes down what it can see, into the folder `seen` beside it.
const SPY: &str = r#"#!/bin/sh
tr '\0' '\n' < /proc/$$/environ > "$SEEN/environment"
env >> "$SEEN/environment"
ls -l /proc/$$/fd > "$SEEN/descriptors"
exit 1
"#;

fn identity() -> String {
    let hrp = Hrp::parse("age-plugin-spy-").unwrap();
    bech32::encode::<Bech32>(hrp, b"token").unwrap().to_uppercase()
}

/// A folder with the plugin in `folder`, and an identity of it.
fn dir(folder: &str) -> Dir {
    let dir = Dir::new();
    for folder in [folder, "seen"] {
        std::fs::create_dir_all(dir.path(folder)).unwrap();
    }
    let plugin = dir.write(format!("{folder}/age-plugin-spy"), SPY);
    std::fs::set_permissions(plugin, std::fs::Permissions::from_mode(0o755)).unwrap();
    let id = dir.write("id", identity());
    std::fs::set_permissions(id, std::fs::Permissions::from_mode(0o600)).unwrap();
    dir.write("plain", "secret");
    dir
}

#[test]
fn a_plugin_gets_neither_the_passphrase_nor_descriptors() {
    let dir = dir("bin");
    dir.write("private", MARKER);
    let script =
        r#"exec 9< private; PATH=$PWD/bin:$PATH; export PATH; $CS encrypt -i id plain out"#;
    let run = dir.shell(script);
    let run = run.env("CRYPTSTREAM_PASSPHRASE", MARKER).env("SEEN", dir.path("seen"));
    assert_eq!(run.run().code(), Some(77));
    let seen = |name: &str| String::from_utf8(dir.read(format!("seen/{name}"))).unwrap();
    assert!(seen("environment").contains("SEEN="), "the plugin ran");
    assert!(!seen("environment").contains(MARKER), "{}", seen("environment"));
    assert!(!seen("environment").contains("CRYPTSTREAM_PASSPHRASE"));
    assert!(!seen("descriptors").contains("/private"), "{}", seen("descriptors"));
}

#[test]
fn a_plugin_in_the_current_folder_is_not_started() {
    for (folder, before) in [(".", ":"), (".", ".:"), (".", "./:"), ("sub", "sub:")] {
        let dir = dir(folder);
        let script = format!("PATH={before}$PATH; export PATH; exec $CS encrypt -i id plain out");
        let run = dir.shell(&script).env("SEEN", dir.path("seen"));
        let done = run.run();
        assert_eq!(done.code(), Some(78), "{before}: {done:?}");
        assert!(done.stderr_text().contains("age-plugin-spy"), "{done:?}");
        assert!(!dir.path("seen/environment").exists(), "{before}: it was started");
    }
}
