//! A plugin, which gets file keys, tries to send them away.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use bech32::{Bech32, Hrp};
use cryptstream_s3_test_server::{Options, Server};

use crate::common::{Dir, Run};

/// A plugin that writes down whether it has reached another machine.
const SENDER: &str = r#"#!/bin/bash
if exec 3<>"/dev/tcp/127.0.0.1/$PORT"; then echo sent; else echo refused; fi >> "$SEEN"
exit 1
"#;

/// Where there are objects, the program has given up the network before it starts a plugin.
#[test]
fn what_main_starts_has_no_network() {
    let dir = Dir::new();
    dir.keygen("id");
    dir.write("plain", "content");
    std::fs::create_dir(dir.path("bin")).unwrap();
    let hrp = Hrp::parse("age-plugin-sender-").unwrap();
    let id = dir.write("plugin", bech32::encode::<Bech32>(hrp, b"token").unwrap().to_uppercase());
    let plugin = dir.write("bin/age-plugin-sender", SENDER);
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    };
    mode(&plugin, 0o755);
    mode(&id, 0o600);
    dir.run(&["encrypt", "-i", "id", "plain", "file"]).ok_and_silent();
    let server = Server::start(Options::default());
    server.create_bucket("bucket");
    server.put("bucket", "object", dir.read("file"));

    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = elsewhere.local_addr().unwrap().port().to_string();
    let path = format!("{}:{}", dir.path("bin").display(), std::env::var("PATH").unwrap());
    let decrypt = |input: &str| -> Run {
        dir.command(&["decrypt", "-i", "plugin", input, "-"])
            .env("PATH", &path)
            .env("PORT", &port)
            .env("SEEN", dir.path("seen"))
            .env("AWS_ENDPOINT_URL", server.endpoint())
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "someone")
            .env("AWS_SECRET_ACCESS_KEY", "something")
    };
    assert_eq!(decrypt("file").run().code(), Some(77));
    assert_eq!(dir.read("seen"), b"sent\n", "without objects, plugins have the network");
    assert_eq!(decrypt("s3://bucket/object").run().code(), Some(77));
    assert_eq!(dir.read("seen"), b"sent\nrefused\n");
}
