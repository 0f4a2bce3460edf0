//! Google Cloud Storage, and what is told of Azure's settings without a server.

use std::fs;

use crate::common::{Run, test_bytes};
use crate::objects::Setup;
use cryptstream_s3_test_server::{ErrorCode, Fault, Operation, Options, Rule};

const MIB: usize = 1 << 20;

fn setup() -> Setup {
    Setup::with(Options { is_google: true, ..Options::default() })
}

fn url(key: &str) -> String {
    format!("gs://bucket/{key}")
}

/// The program, which knows how to reach the store.
fn command(setup: &Setup, args: &[&str]) -> Run {
    // The server refuses requests without a token.
    setup
        .dir
        .command(args)
        .env("STORAGE_EMULATOR_HOST", setup.server.endpoint())
        .env("GOOGLE_OAUTH_ACCESS_TOKEN", "token")
}

fn encrypt(setup: &Setup, key: &str, content: &[u8]) {
    setup.dir.write("plain", content);
    command(setup, &["encrypt", "-i", "id", "plain", &url(key)]).run().ok_and_silent();
}

#[test]
fn files_of_every_length_come_back_with_times_as_rclone_writes_them() {
    let setup = setup();
    for len in [0, 1, MIB, 20 * MIB] {
        let (content, key) = (test_bytes(len), format!("folder/{len} äö%20+?#.enc"));
        encrypt(&setup, &key, &content);
        command(&setup, &["decrypt", "-i", "id", &url(&key), "back"]).run().ok_and_silent();
        assert!(setup.dir.read("back") == content, "{len}");
        fs::remove_file(setup.dir.path("back")).unwrap();
        let object = setup.server.get("bucket", &key).unwrap();
        let time = &object.metadata["mtime"];
        assert!(time.ends_with('Z') && time.contains('T'), "{time}");
        assert!(object.metadata["mode"].starts_with("100"));
    }
    let key = url(&format!("folder/{} äö%20+?#.enc", 20 * MIB));
    let range = ["decrypt", "-i", "id", "--range", "1000000+7", &key, "-"];
    let part = command(&setup, &range).run().ok();
    assert_eq!(part.stdout, test_bytes(20 * MIB)[1_000_000..][..7]);
    command(&setup, &["verify", "-i", "id", &key]).run().ok();
    command(&setup, &["inspect", &key]).run().ok();
    assert!(setup.server.uploads().is_empty());
}

#[test]
fn an_object_is_replaced_only_with_force() {
    let setup = setup();
    setup.server.put("bucket", "taken", "precious");
    let args = ["encrypt", "-i", "id", "plain", "gs://bucket/taken"];
    setup.dir.write("plain", "x");
    setup.dir.fails(command(&setup, &args), 73, &["taken", "already exists", "--force"]);
    // One that appears while it is written.
    for (len, operation) in [(20 * MIB, Operation::UploadPart), (5, Operation::PutObject)] {
        setup.server.delete("bucket", "taken");
        setup.dir.write("plain", test_bytes(len));
        setup.server.set_faults(Rule::first(1, Fault::Replace(b"precious".to_vec())).on(operation));
        setup.dir.fails(command(&setup, &args), 73, &["taken", "--force"]);
        assert_eq!(setup.object("taken"), b"precious");
        assert!(setup.server.uploads().is_empty());
    }
    for len in [20 * MIB, 5] {
        setup.dir.write("plain", test_bytes(len));
        command(&setup, &[&args[..], &["--force"]].concat()).run().ok_and_silent();
        let back = command(&setup, &["decrypt", "-i", "id", "gs://bucket/taken", "-"]).run().ok();
        assert!(back.stdout == test_bytes(len));
    }
}

#[test]
fn an_answer_that_is_lost_is_no_failure() {
    let setup = setup();
    for (len, operation) in
        [(20 * MIB, Operation::CompleteMultipartUpload), (5, Operation::PutObject)]
    {
        setup.server.set_faults(Rule::first(1, Fault::LoseAnswer).on(operation));
        encrypt(&setup, &format!("{len}"), &test_bytes(len));
    }
}

#[test]
fn an_object_that_is_replaced_is_not_mixed_with_the_other() {
    let setup = setup();
    encrypt(&setup, "object", &test_bytes(20 * MIB));
    let replace = Fault::Replace(setup.object("object"));
    setup.server.set_faults(Rule::nth(2, replace).on(Operation::GetObject));
    let run = command(&setup, &["decrypt", "-i", "id", "gs://bucket/object", "back"]);
    setup.dir.fails(run, 75, &["gs://bucket/object", "replaced"]);
}

#[test]
fn objects_are_rekeyed_and_removed() {
    let setup = setup();
    setup.dir.keygen("new");
    for len in [5, 20 * MIB] {
        let content = test_bytes(len);
        encrypt(&setup, "object", &content);
        let object = url("object");
        let rekey = ["rekey", "-q", "-i", "id", "--new-identity", "new", &object];
        command(&setup, &rekey).run().ok();
        let decrypt = ["decrypt", "-i", "new", "--remove-source", &object, "back"];
        command(&setup, &decrypt).run().ok_and_silent();
        assert!(setup.dir.read("back") == content);
        fs::remove_file(setup.dir.path("back")).unwrap();
        assert!(setup.server.keys("bucket").is_empty() && setup.server.uploads().is_empty());
    }
}

#[test]
fn trees_go_there_and_come_back() {
    let setup = Setup::with(Options { is_google: true, max_keys: 2, ..Options::default() });
    fs::create_dir_all(setup.dir.path("tree/a/b")).unwrap();
    for name in ["a/b/c", "a/d", "e", "f & <g>"] {
        setup.dir.write(format!("tree/{name}"), name);
    }
    let encrypt = ["encrypt", "-i", "id", "tree", "gs://bucket/t/"];
    command(&setup, &encrypt).run().ok();
    command(&setup, &["decrypt", "-i", "id", "gs://bucket/t/", "back"]).run().ok();
    assert_eq!(setup.dir.read("back/f & <g>"), b"f & <g>");
    assert_eq!(setup.dir.read("back/a/b/c"), b"a/b/c");
    // Nothing has changed, and what went is deleted.
    fs::remove_file(setup.dir.path("tree/e")).unwrap();
    let before = setup.server.requests().len();
    command(&setup, &[&encrypt[..], &["--newer", "--delete"]].concat()).run().ok();
    let requests = setup.server.requests();
    let put = requests[before..].iter().filter(|it| it.operation == Operation::PutObject).count();
    assert_eq!((put, setup.server.keys("bucket").len()), (0, 3));
}

#[test]
fn unfinished_uploads_are_aborted() {
    let setup = setup();
    setup.server.begin_upload("bucket", "a/x");
    let args = ["store", "uploads", "gs://bucket/a/", "--abort", "--older-than", "0s"];
    let done = command(&setup, &args).run().ok();
    assert!(done.stdout_text().contains("gs://bucket/a/x"));
    assert!(setup.server.uploads().is_empty());
}

#[test]
fn what_is_refused_is_explained() {
    let setup = setup();
    encrypt(&setup, "there", b"content");
    let open = |key: &str| command(&setup, &["decrypt", "-i", "id", key, "-"]);
    setup.dir.fails(open("gs://bucket/missing"), 66, &["key does not exist"]);
    setup.dir.fails(open("gs://nobucket/x"), 66, &["bucket does not exist"]);
    setup.server.set_faults(Rule::all(Fault::Error(ErrorCode::AccessDenied)));
    let words = ["gs://bucket/there", "AccessDenied", "GOOGLE_APPLICATION_CREDENTIALS"];
    setup.dir.fails(open("gs://bucket/there"), 77, &words);
    let with_file = |content: &str| {
        setup.dir.write("key.json", content);
        open("gs://bucket/there")
            .env("GOOGLE_OAUTH_ACCESS_TOKEN", "")
            .env("GOOGLE_APPLICATION_CREDENTIALS", "key.json")
    };
    let secret = r#"{"type": "service_account", "private_key": "hidden", "private_key_id": "x",
                     "client_email": "y"}"#;
    for (content, word) in [
        (r#"{"type": "external_account", "token": "hidden"}"#, "external_account"),
        (secret, "key.json"),
        ("hidden", "key.json"),
        (r#"{"type": "service_account", "private_key": ["hidden"]}"#, "key.json"),
    ] {
        let done = setup.dir.fails(with_file(content), 78, &[word]);
        assert!(!done.stderr_text().contains("hidden"));
    }
    let missing = open("gs://bucket/there")
        .env("GOOGLE_OAUTH_ACCESS_TOKEN", "")
        .env("GOOGLE_APPLICATION_CREDENTIALS", "none.json");
    setup.dir.fails(missing, 78, &["none.json", "No such file"]);
}

#[test]
fn settings_of_azure_that_cannot_be_used_are_explained() {
    let setup = setup();
    let open = |url: &str| setup.dir.command(&["decrypt", "-i", "id", url, "-"]);
    setup.dir.fails(open("az://container/key"), 78, &["AZURE_STORAGE_ACCOUNT"]);
    setup.dir.fails(open("abfss://c@example.org/key"), 64, &["names no account of Azure"]);
    setup.dir.fails(open("az://c@acc1.dfs.core.windows.net/key"), 64, &["abfss://"]);
    let wrong = |name: &str, value: &str| {
        open("az://container/key").env("AZURE_STORAGE_ACCOUNT", "acc1").env(name, value)
    };
    for (name, value, word) in [
        ("AZURE_STORAGE_KEY", "hidden!", "base64"),
        ("AZURE_STORAGE_CONNECTION_STRING", "hidden", "AZURE_STORAGE_CONNECTION_STRING"),
        ("AZURE_STORAGE_ENDPOINT", "ftp://hidden", "endpoint"),
    ] {
        let done = setup.dir.fails(wrong(name, value), 78, &[word]);
        assert!(!done.stderr_text().contains("hidden"));
    }
    let uploads = setup.dir.command(&["store", "uploads", "az://container"]);
    setup.dir.fails(uploads, 64, &["Azure removes", "after a week"]);
    // Keys are those of one account.
    let other = open("abfss://c@acc2.dfs.core.windows.net/key")
        .env("AZURE_STORAGE_ACCOUNT", "acc1")
        .env("AZURE_STORAGE_KEY", "aGlkZGVu");
    setup.dir.fails(other, 78, &["another account"]);
}
