//! Where credentials come from that neither variables nor files have, and how they are renewed.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::thread;
use std::time::Duration;

use crate::common::group::wait_until;
use crate::common::{Run, test_bytes, wait};
use crate::objects::{Setup, url};
use cryptstream_s3_test_server::{LoggedRequest, Operation, Options};

/// The program without credentials.
fn command(setup: &Setup, args: &[&str]) -> Run {
    let mut run = setup.command(args).env("HOME", setup.dir.root());
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "NO_PROXY", "no_proxy"] {
        run.command.env_remove(name);
    }
    run.env("AWS_EC2_METADATA_DISABLED", "true")
}

/// The names of the keys that requests for objects were signed with.
fn ids(setup: &Setup) -> Vec<String> {
    let requests = setup.server.requests();
    let of_objects = requests.iter().filter_map(|request| request.header("authorization"));
    let ids = of_objects.filter_map(|text| text.split_once("Credential=")?.1.split('/').next());
    ids.map(str::to_owned).collect()
}

fn with(run: Run, variables: &[(&str, &str)]) -> Run {
    variables.iter().fold(run, |run, (name, value)| run.env(name, value))
}

#[test]
fn services_give_credentials() {
    let endpoint = |setup: &Setup| setup.server.endpoint();
    let machine = |setup: &Setup| {
        // By another name than the store, which is reached through the proxy.
        let service = format!("{}/", endpoint(setup).replace("127.0.0.1", "localhost"));
        vec![
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", service),
            ("AWS_EC2_METADATA_DISABLED", "false".to_owned()),
        ]
    };
    let container = |setup: &Setup| {
        let url = format!("{}/container-credentials", endpoint(setup));
        vec![("AWS_CONTAINER_CREDENTIALS_FULL_URI", url)]
    };
    type Variables = Vec<(&'static str, String)>;
    let with_token = |setup: &Setup| -> Variables {
        let token = [("AWS_CONTAINER_AUTHORIZATION_TOKEN", "t".to_owned())];
        container(setup).into_iter().chain(token).collect()
    };
    let with_file = |setup: &Setup| -> Variables {
        let path = setup.dir.write_secret("token", "of-file\n").to_str().unwrap().to_owned();
        let token = [("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", path)];
        container(setup).into_iter().chain(token).collect()
    };
    let web = |setup: &Setup| -> Variables {
        let path = setup.dir.write_secret("token", "a-web+token/=").to_str().unwrap().to_owned();
        vec![
            ("AWS_WEB_IDENTITY_TOKEN_FILE", path),
            ("AWS_ROLE_ARN", "arn:role".to_owned()),
            ("AWS_ENDPOINT_URL_STS", endpoint(setup)),
        ]
    };
    type Source<'a> = (&'a dyn Fn(&Setup) -> Variables, &'a str);
    let sources: [Source<'_>; 5] = [
        (&machine, "of-machine"),
        (&container, "of-container-none"),
        (&with_token, "of-container-t"),
        (&with_file, "of-container-of-file"),
        (&web, "of-a-web+token"),
    ];
    for (variables, id) in sources {
        let setup = Setup::new();
        setup.dir.write("plain", "content");
        let variables = variables(&setup);
        let encrypt = command(&setup, &["encrypt", "-i", "id", "plain", &url("key")]);
        let run = variables.iter().fold(encrypt, |run, (name, value)| run.env(name, value));
        // The services are not reached through a proxy, and the store is.
        run.env("HTTP_PROXY", setup.server.endpoint()).run().ok_and_silent();
        assert!(ids(&setup).iter().all(|found| found == id), "{id}: {:?}", ids(&setup));
        let is_service = |request: &&LoggedRequest| {
            matches!(
                request.operation,
                Operation::InstanceMetadata | Operation::ContainerCredentials
            )
        };
        let requests = setup.server.requests();
        assert!(requests.iter().filter(is_service).all(|it| it.proxied_to.is_none()));
        assert!(requests.iter().any(|it| it.proxied_to.is_some()));
    }
}

#[test]
fn missing_credentials_are_explained() {
    let setup = Setup::new();
    let fails = |variables: &[(&str, &str)], code: i32, words: &[&str]| {
        let inspect =
            command(&setup, &["inspect", "--storage-option", "max-attempts=1", &url("x")]);
        setup.dir.fails(with(inspect, variables), code, words);
    };
    fails(&[], 77, &["there are no credentials", "AWS_EC2_METADATA_DISABLED"]);
    let elsewhere = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://elsewhere.test/x");
    fails(&[elsewhere], 77, &["needs https://", "on this machine"]);
    let missing = format!("{}/latest/nothing", setup.server.endpoint());
    fails(
        &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &missing)],
        77,
        &["the container has no credentials", "401"],
    );
    let no_file = ("AWS_WEB_IDENTITY_TOKEN_FILE", "/nonexistent/token");
    fails(&[no_file, ("AWS_ROLE_ARN", "r")], 78, &["AWS_WEB_IDENTITY_TOKEN_FILE", "/nonexistent"]);
}

/// Runs a program with an input that does not end before `is_so`, so that the run is still under way.
fn run_until(run: Run, what: &str, is_so: impl Fn() -> bool) {
    let mut child = run.spawn();
    let mut input = child.stdin.take().unwrap();
    let piece = test_bytes(8 << 20);
    wait_until(what, || {
        // A program that has failed is reported below.
        let is_taken = input.write_all(&piece).is_ok();
        thread::sleep(Duration::from_millis(100));
        is_so() || !is_taken
    });
    drop(input);
    wait(child).ok();
    assert!(is_so(), "{what}");
}

#[test]
fn a_token_that_is_replaced_is_used() {
    // Credentials that are no longer good at once, so that each request asks for others.
    let options = Options { credentials_lifetime: Duration::ZERO, ..Options::default() };
    let setup = Setup::with(options);
    let at = |name: &str| setup.dir.path(name);
    for folder in ["one", "two"] {
        fs::create_dir(at(folder)).unwrap();
        fs::write(at(folder).join("token"), folder).unwrap();
    }
    symlink("one", at("..data")).unwrap();
    symlink("..data/token", at("token")).unwrap();
    let encrypt = command(&setup, &["encrypt", "-i", "id", "-", &url("key")])
        .env("AWS_WEB_IDENTITY_TOKEN_FILE", at("token"))
        .env("AWS_ROLE_ARN", "r")
        .env("AWS_ENDPOINT_URL_STS", setup.server.endpoint());
    run_until(encrypt, "the second token", || {
        if ids(&setup).contains(&"of-one".to_owned()) && at("one").exists() {
            symlink("two", at("..new")).unwrap();
            fs::rename(at("..new"), at("..data")).unwrap();
            fs::remove_dir_all(at("one")).unwrap();
        }
        ids(&setup).contains(&"of-two".to_owned())
    });
}

#[test]
fn a_credential_process_is_run_again_without_the_programs_keys() {
    let setup = Setup::new();
    let count = setup.dir.path("count");
    let seen = setup.dir.path("seen");
    // Reports what it has: whether it reaches the network, and its descriptors.
    let script = format!(
        "#!/bin/bash\necho >> '{count}'\nnumber=$(wc -l < '{count}')\n\
         if exec 9<>/dev/tcp/127.0.0.1/{port}; then echo network; fi >> '{seen}' 2>&1\n\
         exec 9>&-\nls -l /proc/self/fd >> '{seen}'\nenv >> '{seen}'\n\
         expires=$(date -u -d '+2 seconds' +%Y-%m-%dT%H:%M:%SZ)\n\
         echo '{{\"Version\": 1, \"AccessKeyId\": \"id-'$number'\", \"SecretAccessKey\": \"s\", \
         \"SessionToken\": \"t\", \"Expiration\": \"'$expires'\"}}'\n",
        count = count.display(),
        seen = seen.display(),
        port = setup.server.address().port(),
    );
    let process = setup.dir.write("process", script);
    fs::set_permissions(&process, PermissionsExt::from_mode(0o755)).unwrap();
    let config = format!("[default]\ncredential_process = {}\n", process.display());
    let config = setup.dir.write("aws-config", config);
    fs::set_permissions(&config, PermissionsExt::from_mode(0o600)).unwrap();
    setup.dir.write_secret("word", "a secret word");
    let encrypt = command(&setup, &["encrypt", "-", &url("key")])
        .env("CRYPTSTREAM_PASSPHRASE", "a secret word")
        .env("AWS_CONFIG_FILE", config);
    run_until(encrypt, "new credentials", || {
        ids(&setup).contains(&"id-1".to_owned())
            && ids(&setup).iter().any(|id| id.starts_with("id-") && id != "id-1")
    });
    let seen = fs::read_to_string(seen).unwrap();
    assert!(seen.matches("network").count() >= 2, "{seen}");
    assert!(!seen.contains("a secret word"), "{seen}");
    assert!(!seen.contains("memfd:cryptstream"), "{seen}");
    let decrypt = command(&setup, &["verify", "--passphrase-file", "word", &url("key")]);
    let keys = [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b")];
    with(decrypt, &keys).run().ok();
}
