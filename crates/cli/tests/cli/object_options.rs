//! The options of object stores: from the command line, the environment, the configuration file and
//! the files of AWS, and what becomes of them.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::common::{Done, Run};
use crate::objects::{Setup, url};
use cryptstream_s3_test_server::{LoggedRequest, Operation, VIRTUAL_HOSTS};

/// The program without settings of a store but for its endpoint and credentials.
fn command(setup: &Setup, args: &[&str]) -> Run {
    let mut run = setup.command(args).env("HOME", setup.dir.root());
    for name in ["AWS_REGION", "HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy"] {
        run.command.env_remove(name);
    }
    run
}

/// Encrypts an object with these options, and returns the requests for that.
fn encrypt(
    setup: &Setup,
    options: &[&str],
    change: impl Fn(Run) -> Run,
) -> (Done, Vec<LoggedRequest>) {
    setup.dir.write("plain", "content");
    let to = url("key");
    let mut args = vec!["encrypt", "--force", "-i", "id", "plain", &to];
    args.extend(options.iter().flat_map(|option| ["--storage-option", option]));
    let before = setup.server.requests().len();
    let done = change(command(setup, &args)).run();
    (done, setup.server.requests().split_off(before))
}

/// Writes a configuration file with these options of stores, and has a command use it.
fn with_file(setup: &Setup, run: Run, options: &str, mode: u32) -> Run {
    let path = setup.dir.write("config.toml", format!("# one\n[storage-options]\n{options}"));
    fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
    run.env("CRYPTSTREAM_CONFIG", path)
}

/// The region and the key that a request was signed for.
fn signed_for(request: &LoggedRequest) -> (String, String) {
    let authorization = request.header("authorization").unwrap();
    let (_, credential) = authorization.split_once("Credential=").unwrap();
    let mut parts = credential.split('/');
    let (id, region) = (parts.next().unwrap(), parts.nth(1).unwrap());
    (id.to_owned(), region.to_owned())
}

#[test]
fn each_source_comes_before_the_next() {
    let setup = Setup::new();
    fs::create_dir(setup.dir.path(".aws")).unwrap();
    let profiles = "[default]\nregion = of-default\n[profile other]\nregion = of-other\n\
                    [profile keys]\nregion = of-keys\naws_access_key_id = k\n\
                    aws_secret_access_key = s\n";
    setup.dir.write(".aws/config", profiles);
    type Pairs = &'static [(&'static str, &'static str)];
    let region: Pairs = &[("AWS_REGION", "of-environment")];
    let other: Pairs = &[("AWS_PROFILE", "other")];
    let none: Pairs = &[];
    let file = "region = 'of-file'";
    // Flags, environment, configuration file: region, key.
    let table: [(&[&str], Pairs, &str, &str, &str); 11] = [
        (&["region=of-flag"], region, file, "of-flag", "someone"),
        (&["AWS_DEFAULT_REGION=of-flag"], region, file, "of-flag", "someone"),
        (&[], region, file, "of-environment", "someone"),
        (&[], &[("AWS_DEFAULT_REGION", "second")], file, "second", "someone"),
        (&[], none, file, "of-file", "someone"),
        (&[], other, file, "of-file", "someone"),
        (&[], other, "", "of-other", "someone"),
        (&["profile=keys"], other, "", "of-keys", "k"),
        (&["profile=keys", "region=of-flag"], region, file, "of-flag", "k"),
        (&[], none, "profile = 'other'", "of-other", "someone"),
        (&[], none, "", "of-default", "someone"),
    ];
    for (flags, environment, file, region, id) in table {
        let (done, requests) = encrypt(&setup, flags, |run| {
            let run = with_file(&setup, run, file, 0o644);
            environment.iter().fold(run, |run, (name, value)| run.env(name, value))
        });
        done.ok_and_silent();
        let wanted = (id.to_owned(), region.to_owned());
        assert_eq!(signed_for(&requests[0]), wanted, "{flags:?} {environment:?} {file:?}");
    }
}

#[test]
fn options_reach_the_store() {
    let setup = Setup::new();
    let header = |options: &[&str], name: &str| {
        let (done, requests) = encrypt(&setup, options, |run| run);
        done.ok_and_silent();
        let put = requests.iter().find(|request| request.operation == Operation::PutObject);
        put.unwrap().header(name).map(str::to_owned)
    };
    for (options, name, value) in [
        (&[] as &[&str], "x-amz-storage-class", None),
        (&["storage-class=STANDARD_IA"], "x-amz-storage-class", Some("STANDARD_IA")),
        (&["sse=AES256"], "x-amz-server-side-encryption", Some("AES256")),
        (&["sse-kms-key-id=k"], "x-amz-server-side-encryption", Some("aws:kms")),
        (&["sse-kms-key-id=k"], "x-amz-server-side-encryption-aws-kms-key-id", Some("k")),
        (
            &["sse=aws:kms", "sse-bucket-key=yes"],
            "x-amz-server-side-encryption-bucket-key-enabled",
            Some("true"),
        ),
        (&["request-payer=requester"], "x-amz-request-payer", Some("requester")),
        (&["unsigned-payload=true"], "x-amz-content-sha256", Some("UNSIGNED-PAYLOAD")),
        (&["skip-signature=true"], "authorization", None),
    ] {
        assert_eq!(header(options, name).as_deref(), value, "{options:?}");
    }
    assert!(header(&["checksum=sha256"], "x-amz-checksum-sha256").is_some());
    // An object in parts is treated alike.
    setup.dir.write("plain", vec![1; 20 << 20]);
    let to = url("large");
    let class = ["--storage-option", "storage-class=GLACIER"];
    let args = [&["encrypt", "-i", "id", "plain", &to], &class[..]].concat();
    command(&setup, &args).run().ok_and_silent();
    let requests = setup.server.requests();
    let created = |request: &&LoggedRequest| request.operation == Operation::CreateMultipartUpload;
    let created = requests.iter().find(created).unwrap();
    assert_eq!(created.header("x-amz-storage-class"), Some("GLACIER"));
}

#[test]
fn a_proxy_and_virtual_hosts_are_used_as_asked() {
    let setup = Setup::new();
    let (proxy, endpoint) = (setup.server.endpoint(), format!("http://{VIRTUAL_HOSTS}"));
    let options =
        [format!("proxy={proxy}"), format!("endpoint={endpoint}"), "virtual-host=true".into()];
    let options: Vec<_> = options.iter().map(String::as_str).collect();
    let (done, requests) = encrypt(&setup, &options, |run| run);
    done.ok_and_silent();
    let host = format!("bucket.{VIRTUAL_HOSTS}");
    assert!(requests.iter().all(|request| request.proxied_to.as_deref() == Some(&host)));
    assert_eq!(setup.server.keys("bucket"), ["key"]);
    // The variables do it too, and the exceptions are counted.
    for (excepted, is_proxied) in [("example", true), ("127.0.0.1,example", false)] {
        let (done, requests) = encrypt(&setup, &[], |run| {
            run.env("HTTP_PROXY", setup.server.endpoint()).env("NO_PROXY", excepted)
        });
        done.ok_and_silent();
        assert!(requests.iter().all(|request| request.proxied_to.is_some() == is_proxied));
    }
}

#[test]
fn what_is_no_option_is_refused() {
    let setup = Setup::new();
    let fails = |option: &str, words: &[&str]| {
        let (done, requests) = encrypt(&setup, &[option], |run| run);
        let text = done.stderr_text();
        assert_eq!((done.code(), requests.len()), (Some(64), 0), "{text}");
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
        assert!(!text.contains("hidden"), "{text}");
    };
    fails("regoin=x", &["no storage option \"regoin\"", "did you mean region?"]);
    fails("AWS_STORAGE_CLAS=x", &["did you mean storage-class?"]);
    fails("zzz=x", &["store --help"]);
    fails("hidden", &["KEY=VALUE"]);
    fails("endpoint=localhost", &["endpoint must be a URL"]);
    fails("sse=hidden", &["sse must be one of AES256, aws:kms"]);
    fails("max-attempts=0", &["a number from 1 to 100"]);
    fails("allow-http=maybe", &["true or false"]);
    for secret in ["secret-access-key", "AWS_SECRET_ACCESS_KEY", "access_key_id", "token"] {
        let words =
            ["can be seen by all users", "AWS_SECRET_ACCESS_KEY", "profile=NAME", "chmod 600"];
        fails(&format!("{secret}=hidden"), &words);
    }
    fails("proxy=http://me:hidden@proxy:1", &["can be seen by all users", "HTTPS_PROXY"]);
    let twice = encrypt(&setup, &["region=a", "default_region=b"], |run| run).0;
    assert!(twice.stderr_text().contains("region is set twice"));
    let http = encrypt(&setup, &["allow-http=false"], |run| run).0;
    assert_eq!(http.code(), Some(78));
    assert!(http.stderr_text().contains("allow-http is false"), "{}", http.stderr_text());
    let (variable, _) = encrypt(&setup, &[], |run| run.env("AWS_MAX_ATTEMPTS", "many"));
    assert_eq!(variable.code(), Some(78));
    assert!(variable.stderr_text().contains("AWS_MAX_ATTEMPTS must be a number"));
}

#[test]
fn secrets_may_be_in_a_file_that_is_private() {
    let setup = Setup::new();
    let keys = "access-key-id = 'of-file'\nsecret-access-key = 'hidden'\n";
    let run = |mode, own: bool| {
        encrypt(&setup, &["region=r"], |run| {
            let mut run = with_file(&setup, run, keys, mode);
            if !own {
                run.command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
            }
            run.env("AWS_SESSION_TOKEN", "of-environment")
        })
    };
    let (done, requests) = run(0o600, false);
    done.ok_and_silent();
    assert_eq!(signed_for(&requests[0]).0, "of-file");
    // The token of other credentials does not belong to these.
    assert_eq!(requests[0].header("x-amz-security-token"), None);
    let (done, requests) = run(0o600, true);
    done.ok_and_silent();
    assert_eq!(signed_for(&requests[0]).0, "someone");
    assert_eq!(requests[0].header("x-amz-security-token"), Some("of-environment"));
    let (done, requests) = run(0o644, false);
    assert_eq!((done.code(), requests.len()), (Some(78), 0));
    let text = done.stderr_text();
    assert!(text.contains("line 3: ") && text.contains("chmod 600"), "{text}");
    assert!(!text.contains("hidden"), "{text}");
}

#[test]
fn errors_in_the_file_name_the_line() {
    let setup = Setup::new();
    for (options, words) in [
        ("region = 'r'\nend-point = 'x'", &["line 4: ", "did you mean endpoint?"] as &[_]),
        ("region = ''", &["line 3: ", "region must be a word"]),
        ("\nmax-attempts = 0", &["line 4: ", "from 1 to 100"]),
        ("region = ['r']", &["line 3: ", "region must be a string"]),
    ] {
        let (done, _) = encrypt(&setup, &[], |run| with_file(&setup, run, options, 0o644));
        let text = done.stderr_text();
        assert_eq!(done.code(), Some(78), "{text}");
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
    }
    let options = "region = 'r'\nmax-attempts = 3\nunsigned-payload = false\n\
                   secret-access-key = 'hidden'\n";
    let mut config = command(&setup, &["config"]);
    config.command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    let config = with_file(&setup, config, options, 0o600).run().ok();
    let text = config.stdout_text();
    let has =
        |words: [&str; 3]| text.lines().any(|line| words.iter().all(|word| line.contains(word)));
    assert!(has(["storage-options.region", " r ", "config.toml:3"]), "{text}");
    assert!(has(["storage-options.secret-access-key", "(not shown)", "config.toml:6"]), "{text}");
    assert!(has(["storage-options.endpoint", "127.0.0.1", "AWS_ENDPOINT_URL"]), "{text}");
    assert!(!text.contains("hidden"), "{text}");
}
