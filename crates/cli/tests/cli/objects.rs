//! Objects in stores as inputs and outputs.

use std::ffi::OsStr;
use std::fs;
use std::process::Child;
use std::time::Duration;

use crate::common::group::wait_until;
use crate::common::{CHUNK, Dir, Run, header_len, test_bytes, wait};
use cryptstream_s3_test_server::{ErrorCode, Fault, Faults, Operation, Options, Rule, Server};
use rustix::process::{Pid, Signal, kill_process};

const MIB: usize = 1 << 20;
/// The fewest bytes of a part, but for the last.
const PART: usize = 8 * MIB;

/// A folder with the identity `id`, and a store with the bucket `bucket`.
pub(crate) struct Setup {
    pub(crate) dir: Dir,
    pub(crate) server: Server,
}

impl Setup {
    pub(crate) fn new() -> Self {
        Self::with(Options::default())
    }

    pub(crate) fn with(options: Options) -> Self {
        let (dir, server) = (Dir::new(), Server::start(options));
        dir.keygen("id");
        server.create_bucket("bucket");
        Self { dir, server }
    }

    /// The program, which knows how to reach the store.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, args: &[S]) -> Run {
        with_store(self.dir.command(args), &self.server.endpoint())
    }

    /// Encrypts the file `plain` with this content to the key, and returns the object.
    pub(crate) fn encrypted(&self, key: &str, content: &[u8]) -> Vec<u8> {
        self.dir.write("plain", content);
        self.command(&["encrypt", "-i", "id", "plain", &url(key)]).run().ok_and_silent();
        self.object(key)
    }

    pub(crate) fn object(&self, key: &str) -> Vec<u8> {
        self.server.get("bucket", key).unwrap().bytes.to_vec()
    }

    /// The run fails with this status and these words, and the store has only these keys after it
    /// and no upload.
    fn fails(&self, run: Run, code: i32, words: &[&str], keys: &[&str]) {
        self.dir.fails(run, code, words);
        assert_eq!(self.server.keys("bucket"), keys);
        assert!(self.server.uploads().is_empty());
    }
}

pub(crate) fn url(key: &str) -> String {
    format!("s3://bucket/{key}")
}

/// The program, which knows how to reach this store.
pub(crate) fn with_store(run: Run, endpoint: &str) -> Run {
    run.env("AWS_ENDPOINT_URL", endpoint)
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "someone")
        .env("AWS_SECRET_ACCESS_KEY", "something")
}

/// The processes that talk to the network for `child`.
fn transports(child: &Child) -> Vec<Pid> {
    let children = fs::read_dir(format!("/proc/{}/task", child.id())).into_iter().flatten();
    let children =
        children.flatten().filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let pids: Vec<i32> = children
        .flat_map(|list| {
            list.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<_>>()
        })
        .filter(|pid| {
            fs::read(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|line| line.windows(11).any(|part| part == b"__transport"))
        })
        .collect();
    pids.into_iter().filter_map(Pid::from_raw).collect()
}

#[test]
fn every_length_comes_back() {
    let setup = Setup::new();
    let header = header_len(&setup.encrypted("first", &test_bytes(2 * MIB)));
    // Such a file has a padded header, and fills the first part exactly with 511 chunks and a bit.
    let overhead = |len: usize| header + 32 + 24 + len.div_ceil(CHUNK) * 16;
    let full = (0..PART).rev().find(|len| overhead(*len) + len <= PART).unwrap();
    for len in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, MIB, full - 1, full, full + 1, 20 * MIB] {
        let content = test_bytes(len);
        let key = format!("folder/{len} äö%20+?#.enc");
        let object = setup.encrypted(&key, &content);
        assert!(object.len() > len);
        let decrypt = ["decrypt", "-i", "id", &url(&key), "back"];
        setup.command(&decrypt).run().ok_and_silent();
        assert!(setup.dir.read("back") == content, "{len}");
        fs::remove_file(setup.dir.path("back")).unwrap();
        setup.command(&["verify", "-i", "id", &url(&key)]).run().ok();
    }
    assert!(setup.server.uploads().is_empty());
}

#[test]
fn the_transport_is_found_beside_the_program_or_in_libexec() {
    let setup = Setup::new();
    setup.encrypted("key", b"content");
    // A link in the same file system, as the programs are large here.
    let installed = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let at = |name: &str| installed.path().join(name);
    for folder in ["bin", "libexec", "libexec/cryptstream"] {
        fs::create_dir(at(folder)).unwrap();
    }
    fs::hard_link(env!("CARGO_BIN_EXE_cryptstream"), at("bin/cryptstream")).unwrap();
    let decrypt = || {
        let program = at("bin/cryptstream");
        let script = format!("'{}' decrypt -i id {} -", program.display(), url("key"));
        with_store(setup.dir.shell(&script), &setup.server.endpoint())
    };
    setup.dir.fails(decrypt(), 78, &["cryptstream-transport", "is not in", "install it together"]);
    let transport = env!("CARGO_BIN_EXE_cryptstream-transport");
    fs::hard_link(transport, at("libexec/cryptstream/cryptstream-transport")).unwrap();
    assert_eq!(decrypt().run().ok().stdout, b"content");
    // By hand, it does nothing.
    setup.dir.fails(setup.dir.shell(transport), 64, &["cryptstream starts this program itself"]);
}

#[test]
fn streams_and_stores_can_be_combined() {
    let setup = Setup::new();
    let content = test_bytes(18 * MIB + 5);
    let encrypt = ["encrypt", "-i", "id", "-", &url("piped")];
    setup.command(&encrypt).input(&content).run().ok_and_silent();
    // The first 500 parts have 8 MiB.
    let puts = |request: &&_| is_request(request, Operation::UploadPart);
    assert_eq!(setup.server.requests().iter().filter(puts).count(), 3);
    let decrypted = setup.command(&["decrypt", "-i", "id", &url("piped"), "-"]).run().ok();
    assert!(decrypted.stdout == content);
    // Another store would do as well: this one encrypts what is encrypted already.
    setup.command(&["encrypt", "-i", "id", &url("piped"), &url("twice")]).run().ok_and_silent();
    setup.command(&["decrypt", "-i", "id", &url("twice"), &url("once")]).run().ok_and_silent();
    assert!(setup.object("once") == setup.object("piped"));
    let armored = ["encrypt", "--armor", "-i", "id", &url("once"), &url("armored.age")];
    setup.command(&armored).run().ok_and_silent();
    let back = setup.command(&["decrypt", "-i", "id", &url("armored.age"), "-"]).run().ok();
    assert!(back.stdout == setup.object("once"));
}

fn is_request(request: &cryptstream_s3_test_server::LoggedRequest, operation: Operation) -> bool {
    request.operation == operation
}

/// The default names are those of files, beside the object.
#[test]
fn outputs_have_default_names() {
    let setup = Setup::new();
    setup.server.put("bucket", "a/notes.txt", "content");
    setup.command(&["encrypt", "-i", "id", &url("a/notes.txt")]).run().ok_and_silent();
    setup.server.delete("bucket", "a/notes.txt");
    setup.command(&["decrypt", "-i", "id", &url("a/notes.txt.enc")]).run().ok_and_silent();
    assert_eq!(setup.object("a/notes.txt"), b"content");
}

/// Nothing is fetched twice.
#[test]
fn reading_all_of_an_object_fetches_it_once() {
    let setup = Setup::new();
    let content = test_bytes(60 * MIB);
    let object = setup.encrypted("large", &content);
    let before = setup.server.requests().len();
    setup.command(&["decrypt", "-i", "id", &url("large"), "back"]).run().ok_and_silent();
    assert!(setup.dir.read("back") == content);
    let body: u64 = setup.server.requests()[before..].iter().map(|it| it.body_sent).sum();
    assert_eq!(body, object.len() as u64);
}

/// 4 KiB out of a large object take three requests and 64 KiB.
#[test]
fn a_range_fetches_only_what_it_needs() {
    let setup = Setup::new();
    let content = test_bytes(40 * MIB);
    setup.encrypted("large", &content);
    for (start, len) in [(0, 4096), (20 * MIB + 77, 4096), (40 * MIB - 4096, 4096)] {
        let before = setup.server.requests().len();
        let range = format!("--range={start}+{len}");
        let done = setup.command(&["decrypt", "-i", "id", &range, &url("large")]).run().ok();
        assert!(done.stdout == content[start..start + len], "{start}");
        let requests = &setup.server.requests()[before..];
        let body: u64 = requests.iter().map(|request| request.body_sent).sum();
        assert!(requests.len() <= 3 && body <= 65_536, "{} requests, {body} bytes", requests.len());
    }
    let before = setup.server.requests().len();
    setup.command(&["inspect", &url("large")]).run().ok();
    assert_eq!(setup.server.requests()[before..].len(), 1);
}

#[test]
fn an_existing_object_is_replaced_only_with_force() {
    let setup = Setup::new();
    setup.dir.write("plain", test_bytes(20 * MIB));
    setup.server.put("bucket", "taken", "precious");
    let args = ["encrypt", "-i", "id", "plain", &url("taken")];
    setup.fails(setup.command(&args), 73, &["taken", "already exists", "--force"], &["taken"]);
    // One that appears while it is written, large or small.
    for (len, operation) in [(20 * MIB, Operation::UploadPart), (5, Operation::PutObject)] {
        setup.server.delete("bucket", "taken");
        setup.dir.write("plain", test_bytes(len));
        let replace = Fault::Replace(b"precious".to_vec());
        setup.server.set_faults(Rule::first(1, replace).on(operation));
        setup.fails(setup.command(&args), 73, &["taken", "--force"], &["taken"]);
        assert_eq!(setup.object("taken"), b"precious");
    }
    let forced = ["encrypt", "-f", "-i", "id", "plain", &url("taken")];
    setup.command(&forced).run().ok_and_silent();
    assert!(setup.object("taken").len() > 5);
}

#[test]
fn what_the_store_refuses_is_explained() {
    let setup = Setup::new();
    setup.encrypted("there", b"content");
    let keys = ["there"];
    let open = |key: &str| setup.command(&["decrypt", "-i", "id", key, "-"]);
    setup.fails(open(&url("missing")), 66, &["s3://bucket/missing", "key does not exist"], &keys);
    setup.fails(open("s3://nobucket/x"), 66, &["bucket does not exist"], &keys);
    setup.dir.write("plain", "x");
    let create = |to: &str| setup.command(&["encrypt", "-i", "id", "plain", to]);
    setup.fails(create("s3://nobucket/x"), 66, &["bucket does not exist"], &keys);
    for (error, to_read, to_write) in [
        (ErrorCode::AccessDenied, "s3:GetObject for the bucket bucket", "s3:PutObject"),
        (ErrorCode::ExpiredToken, "have expired", "AWS_SESSION_TOKEN"),
        (ErrorCode::SignatureDoesNotMatch, "AWS_SECRET_ACCESS_KEY does not belong", "set both"),
        (ErrorCode::InvalidAccessKeyId, "does not know AWS_ACCESS_KEY_ID", "AWS_ENDPOINT_URL"),
        (ErrorCode::RequestTimeTooSkewed, "clock of this machine", "timedatectl"),
    ] {
        setup.server.set_faults(Rule::all(Fault::Error(error)));
        setup.fails(open(&url("there")), 77, &["s3://bucket/there", to_read], &keys);
        setup.server.set_faults(Rule::all(Fault::Error(error)).on(Operation::PutObject));
        setup.fails(create(&url("new")), 77, &["s3://bucket/new", to_write], &keys);
    }
    setup.server.set_faults(Rule::all(Fault::WrongRegion("eu-west-9".into())));
    setup.fails(open(&url("there")), 78, &["set AWS_REGION=eu-west-9", "region=eu-west-9"], &keys);
    setup.server.set_faults(Rule::all(Fault::Skewed { ahead: 7200 }));
    setup.fails(create(&url("new")), 77, &["120 minutes behind", "timedatectl"], &keys);
    let kms = "User: me is not authorized to perform: kms:GenerateDataKey on resource: key";
    setup.server.set_faults(Rule::all(Fault::Denied(kms)).on(Operation::PutObject));
    setup.fails(create(&url("new")), 77, &["lack kms:GenerateDataKey", "the key that"], &keys);
    setup.server.set_faults(Faults::default());
    let nowhere = with_store(setup.dir.command(&["inspect", &url("x")]), "http://127.0.0.1:9");
    setup.dir.fails(nowhere, 75, &["s3://bucket/x", "cannot be reached", "AWS_ENDPOINT_URL"]);
}

#[test]
fn urls_that_cannot_be_objects_are_refused() {
    let setup = Setup::new();
    setup.dir.write("plain", "x");
    for wrong in ["s3://", "s3://bucket", "s3://bucket/", "s3://bucket/a/", "s3://bucket/a/../b"] {
        setup.dir.fails(setup.command(&["encrypt", "-i", "id", "plain", wrong]), 64, &[wrong]);
        setup.dir.fails(setup.command(&["decrypt", "-i", "id", wrong, "-"]), 64, &[wrong]);
    }
    for wrong in ["gs://", "az://", "gs://user@bucket/key", "az://container/a/../b"] {
        setup.dir.fails(setup.command(&["inspect", wrong]), 64, &["://"]);
    }
    // Other schemes are none, so this is a path.
    setup.dir.fails(setup.command(&["inspect", "ftp://bucket/key"]), 66, &["ftp://bucket/key"]);
    // A path is a path if it says so.
    fs::create_dir_all(setup.dir.path("s3:/bucket")).unwrap();
    setup.command(&["encrypt", "-i", "id", "plain", "./s3://bucket/x"]).run().ok_and_silent();
    assert!(setup.dir.path("s3:/bucket/x").exists());
}

#[test]
fn what_needs_files_is_refused() {
    let setup = Setup::new();
    setup.encrypted("object", b"content");
    let salvage = ["decrypt", "--salvage", "-i", "id", &url("object"), &url("new")];
    setup.fails(setup.command(&salvage), 64, &["needs a local file"], &["object"]);
}

#[test]
fn a_folder_goes_there_as_an_archive() {
    let setup = Setup::new();
    fs::create_dir(setup.dir.path("in")).unwrap();
    setup.dir.write("in/file", "content");
    let pack = ["encrypt", "--archive", "-q", "-i", "id", "in", &url("in.tar.enc")];
    setup.command(&pack).run().ok();
    let listed = setup.command(&["list", "-i", "id", &url("in.tar.enc")]).run().ok();
    assert!(listed.stdout_text().contains("file"));
    let extract = ["decrypt", "--extract", "-q", "-i", "id", &url("in.tar.enc"), "out"];
    setup.command(&extract).run().ok();
    assert_eq!(setup.dir.read("out/file"), b"content");
    let run = ["decrypt", &url("in.tar.enc"), "--output-dir", "copy", "-i", "id"];
    setup.fails(setup.command(&run), 64, &["s3://bucket/in.tar.enc"], &["in.tar.enc"]);
}

#[test]
fn damage_leaves_nothing() {
    let setup = Setup::new();
    let mut object = setup.encrypted("good", &test_bytes(12 * MIB));
    setup.server.put("bucket", "cut", object[..10 * MIB].to_vec());
    object[11 * MIB] ^= 1;
    setup.server.put("bucket", "flipped", object);
    let keys = ["cut", "flipped", "good"];
    for key in ["cut", "flipped"] {
        for to in ["out".to_owned(), url("out")] {
            let run = setup.command(&["decrypt", "-i", "id", &url(key), &to]);
            setup.fails(run, 65, &[key], &keys);
        }
    }
    setup.dir.keygen("other");
    let run = setup.command(&["decrypt", "-i", "other", &url("good"), "out"]);
    setup.fails(run, 77, &["good"], &keys);
}

#[test]
fn an_object_that_is_replaced_is_not_mixed_with_the_other() {
    let setup = Setup::new();
    let object = setup.encrypted("object", &test_bytes(30 * MIB));
    for operation in [2, 3, 4] {
        setup.server.put("bucket", "object", object.clone());
        let replace = Fault::Replace(vec![7; object.len()]);
        setup
            .server
            .set_faults(Rule::nth(operation, replace).on(Operation::GetObject).key("object"));
        let run = setup.command(&["decrypt", "-i", "id", &url("object"), "out"]);
        setup.fails(run, 75, &["s3://bucket/object", "replaced"], &["object"]);
        // The same, of a store that ignores conditions.
        setup.server.put("bucket", "object", object.clone());
        let replace = Fault::Replace(vec![7; object.len()]);
        let faults = Faults::default().rule(Rule::all(Fault::IgnoreConditions));
        let replace = Rule::nth(operation, replace).on(Operation::GetObject).key("object");
        setup.server.set_faults(faults.rule(replace));
        let run = setup.command(&["encrypt", "-i", "id", &url("object"), &url("new")]);
        setup.fails(run, 75, &["s3://bucket/object", "replaced"], &["object"]);
    }
}

/// The fifth request of this kind is answered late, so that no run ends before.
fn held_up(operation: Operation) -> Rule {
    Rule::nth(5, Fault::Delay(Duration::from_secs(4))).on(operation)
}

/// Waits until parts are under way.
fn wait_for_parts(setup: &Setup, count: usize) {
    wait_until("at work", || {
        setup.server.uploads().iter().any(|upload| upload.parts.len() >= count)
    });
}

#[test]
fn an_interruption_gives_the_upload_up() {
    let setup = Setup::new();
    setup.dir.write("plain", test_bytes(120 * MIB));
    for signal in [Signal::INT, Signal::TERM] {
        setup.server.set_faults(held_up(Operation::UploadPart));
        let child = setup.command(&["encrypt", "-i", "id", "plain", &url("new")]).spawn();
        wait_for_parts(&setup, 2);
        kill_process(Pid::from_child(&child), signal).unwrap();
        assert!(wait(child).code().is_none());
        assert!(setup.server.keys("bucket").is_empty());
        wait_until("given up", || setup.server.uploads().is_empty());
    }
    // Before the store has said what the upload is called.
    let late = Fault::Delay(Duration::from_secs(1));
    setup.server.set_faults(Rule::nth(1, late).on(Operation::CreateMultipartUpload));
    let before = setup.server.requests().len();
    let child = setup.command(&["encrypt", "-i", "id", "plain", &url("new")]).spawn();
    wait_until("begun", || {
        let requests = setup.server.requests();
        requests[before..].iter().any(|it| is_request(it, Operation::CreateMultipartUpload))
    });
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert!(wait(child).code().is_none());
    wait_until("given up", || setup.server.uploads().is_empty());
    // Nobody can give it up then, but there is no object either.
    setup.server.set_faults(held_up(Operation::UploadPart));
    let child = setup.command(&["encrypt", "-i", "id", "plain", &url("new")]).spawn();
    wait_for_parts(&setup, 2);
    kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
    wait(child);
    assert!(setup.server.keys("bucket").is_empty());
}

/// A store that does not answer holds nobody up who is in a hurry.
#[test]
fn a_second_interruption_does_not_wait_for_the_store() {
    let setup = Setup::new();
    setup.dir.write("plain", test_bytes(20 * MIB));
    let late = Fault::Delay(Duration::from_secs(600));
    setup.server.set_faults(Rule::all(late).on(Operation::CreateMultipartUpload));
    let mut child = setup.command(&["encrypt", "-i", "id", "plain", &url("new")]).spawn();
    wait_until("begun", || {
        setup.server.requests().iter().any(|it| is_request(it, Operation::CreateMultipartUpload))
    });
    // The first one may not have been dealt with when the second comes.
    while child.try_wait().unwrap().is_none() {
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(wait(child).code().is_none());
}

/// Another one takes over from where it was.
#[test]
fn the_transport_may_be_killed() {
    let setup = Setup::new();
    let content = test_bytes(60 * MIB);
    setup.dir.write("plain", &content);
    setup.server.set_faults(held_up(Operation::UploadPart));
    let child = setup.command(&["encrypt", "-i", "id", "plain", &url("new")]).spawn();
    wait_for_parts(&setup, 2);
    assert_eq!(transports(&child).len(), 2);
    kill_busy_transport(&child);
    wait(child).ok_and_silent();
    setup.server.set_faults(held_up(Operation::GetObject));
    let child = setup.command(&["decrypt", "-i", "id", &url("new"), "back"]).spawn();
    wait_until("at work", || {
        setup.server.requests().iter().filter(|it| is_request(it, Operation::GetObject)).count() > 2
    });
    kill_busy_transport(&child);
    wait(child).ok_and_silent();
    assert!(setup.dir.read("back") == content);
    // When both are gone, that is the end.
    setup.server.set_faults(held_up(Operation::UploadPart));
    let child = setup.command(&["encrypt", "-i", "id", "plain", &url("other")]).spawn();
    wait_for_parts(&setup, 1);
    for transport in transports(&child) {
        kill_process(transport, Signal::KILL).unwrap();
    }
    let done = wait(child);
    assert_eq!(done.code(), Some(75), "{done:?}");
    assert_eq!(setup.server.keys("bucket"), ["new"]);
}

/// The first one, which was started before the other.
pub(crate) fn kill_busy_transport(child: &Child) {
    let first = transports(child).into_iter().min_by_key(|pid| pid.as_raw_nonzero()).unwrap();
    kill_process(first, Signal::KILL).unwrap();
}

/// Where the system has no sandbox, or only half of one, `require` refuses.
#[test]
fn the_transport_is_sandboxed() {
    let setup = Setup::new();
    setup.dir.write("plain", test_bytes(20 * MIB));
    let args = ["encrypt", "--sandbox", "require", "-i", "id", "plain", &url("new")];
    setup.command(&args).run().ok_and_silent();
    setup
        .server
        .set_faults(Rule::nth(2, Fault::Delay(Duration::from_secs(3))).on(Operation::GetObject));
    let child = setup.command(&["decrypt", "-i", "id", &url("new"), "back"]).spawn();
    let mut seen = Vec::new();
    wait_until("sandboxed", || {
        seen = transports(&child);
        seen.len() == 2 && seen.iter().all(|pid| status(*pid, "Seccomp:") == "2")
    });
    assert_eq!(status(Pid::from_child(&child), "NoNewPrivs:"), "1");
    for pid in seen {
        let environment = fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero()));
        assert!(environment.is_ok_and(|environment| environment.is_empty()));
    }
    wait(child).ok_and_silent();
}

/// A value in the status of a process.
fn status(pid: Pid, name: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero()));
    let line = text.unwrap_or_default();
    let value = line.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    value.trim().to_owned()
}
