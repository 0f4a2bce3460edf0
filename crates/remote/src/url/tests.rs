use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::signer::Signer;
use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Result<ObjectUrl, UrlProblem> {
    ObjectUrl::parse(text.as_ref()).map_err(|error| error.problem())
}

fn url(text: &str) -> ObjectUrl {
    parse(text).unwrap()
}

fn not_utf8() -> &'static OsStr {
    OsStr::from_bytes(b"s3://b/\xff")
}

#[test]
fn only_a_known_scheme_and_two_slashes_make_a_url() {
    for text in [
        "s3://b/k",
        "S3://b",
        "s3://",
        "gs://b",
        "az://c/b",
        "azure://c/b",
        "abfs://x",
        "abfss://x",
    ] {
        assert!(is_url(text.as_ref()), "{text}");
    }
    for text in ["https://h/x", "http://h", "file:///x"] {
        assert!(is_url(text.as_ref()), "{text}");
    }
    for text in
        ["", "a", "a:b", "C:\\x", "s3:foo", "s3:/b/k", "./s3://b/k", "/s3://b", " s3://b", "://b"]
    {
        assert!(!is_url(text.as_ref()), "{text}");
    }
    assert!(!is_url("b2://bucket/key".as_ref()));
    assert!(is_url(not_utf8()));
}

#[test]
fn a_url_has_a_bucket_and_a_key_as_typed() {
    let typed = "s3://My_old.bucket-1/a b/100%20+?x=1#y*[z]{ü}\\~'\"&=;,@:$";
    let url = url(typed);
    assert_eq!(url.scheme(), Scheme::S3);
    assert_eq!(url.bucket(), "My_old.bucket-1");
    assert_eq!(url.key(), "a b/100%20+?x=1#y*[z]{ü}\\~'\"&=;,@:$");
    assert_eq!(url.to_string(), typed);
    assert!(!url.is_prefix());
}

#[test]
fn containers_of_azure_may_name_their_account() {
    for (text, shown) in [
        ("az://c/a b", "az://c/a b"),
        ("Azure://c/k", "az://c/k"),
        ("abfs://c/k", "abfs://c/k"),
        ("abfss://c@acc1.dfs.core.windows.net/k", "abfss://c@acc1.dfs.core.windows.net/k"),
    ] {
        let url = url(text);
        assert!(url.scheme().is_azure());
        assert_eq!(url.to_string(), shown);
        assert_eq!(Container::parse(url.bucket()).map(|it| it.name), Some("c"));
    }
    assert_eq!(url("gs://b.example.org/k").bucket(), "b.example.org");
}

#[test]
fn buckets_and_folders_are_prefixes() {
    for (text, key, name) in [
        ("s3://b", "", None),
        ("s3://b/", "", None),
        ("S3://b/p/", "p/", Some("p")),
        ("s3://b/p/q/", "p/q/", Some("q")),
    ] {
        let url = url(text);
        assert!(url.is_prefix(), "{text}");
        assert_eq!((url.key(), url.file_name()), (key, name), "{text}");
    }
    assert_eq!(url("s3://b/p/q.enc").file_name(), Some("q.enc"));
    assert_eq!(url("s3://b").to_string(), "s3://b/");
}

#[test]
fn what_cannot_be_sent_unchanged_is_refused() {
    let long = format!("s3://b/{}", "ä".repeat(MAX_KEY_LEN / 2));
    assert!(parse(&long).is_ok());
    let long_bucket = format!("s3://{}/k", "b".repeat(256));
    for (text, problem) in [
        ("b/k", UrlProblem::NoUrl),
        ("file:///k", UrlProblem::Scheme(Scheme::File)),
        ("gs://a@b/k", UrlProblem::Credentials),
        ("az://c@acc1.dfs.core.windows.net/k", UrlProblem::Credentials),
        ("abfss://c@example.org/k", UrlProblem::Account),
        ("abfss://@acc1.dfs.core.windows.net/k", UrlProblem::NoBucket),
        ("s3://", UrlProblem::NoBucket),
        ("s3:///k", UrlProblem::NoBucket),
        ("s3://../k", UrlProblem::Bucket),
        ("s3://b%41/k", UrlProblem::Bucket),
        ("s3://b?x/k", UrlProblem::Bucket),
        ("s3://bücher/k", UrlProblem::Bucket),
        (&long_bucket, UrlProblem::Bucket),
        ("s3://localhost:8333/b/k", UrlProblem::BucketColon),
        ("s3://arn:aws:s3:eu-west-1:123456789012:accesspoint/x/k", UrlProblem::BucketColon),
        ("s3://b//k", UrlProblem::EmptyComponent),
        ("s3://b//", UrlProblem::EmptyComponent),
        ("s3://b/a//k", UrlProblem::EmptyComponent),
        ("s3://b/a//", UrlProblem::EmptyComponent),
        ("s3://b/./k", UrlProblem::DotComponent),
        ("s3://b/a/..", UrlProblem::DotComponent),
        ("s3://b/a/../", UrlProblem::DotComponent),
        ("s3://b/a\nb", UrlProblem::Control('\n')),
        ("s3://b/a\0", UrlProblem::Control('\0')),
        ("s3://b/a\x7f", UrlProblem::Control('\x7f')),
        (&(long.clone() + "k"), UrlProblem::KeyTooLong(1025)),
    ] {
        assert_eq!(parse(text), Err(problem), "{text}");
    }
    assert_eq!(ObjectUrl::parse(not_utf8()).unwrap_err().problem(), UrlProblem::NotUtf8);
}

#[test]
fn messages_begin_with_the_url_but_never_show_credentials() {
    let message = |text: &str| ObjectUrl::parse(text.as_ref()).unwrap_err().to_string();
    assert_eq!(
        message("s3://b/a\tb"),
        "s3://b/a\tb: has the control character U+0009 in its key, which cannot be sent"
    );
    for text in ["s3://AKIA:hidden@b/k", "s3://AKIA:hid@den@b/k", "s3://hidden@:1/k"] {
        let message = message(text);
        assert!(!message.contains("hid") && !message.contains("den@"), "{message}");
        assert!(message.contains("@"), "{message}");
    }
    assert!(parse("s3://b/user@host").is_ok());
}

#[test]
fn urls_of_the_web_are_sent_as_they_are_and_shown_without_their_query() {
    let signed = url("https://h.example:8443/a%20b/c.enc?X-Sig=hidden&x=1#fragment");
    assert!(signed.is_web() && !signed.is_prefix());
    assert_eq!(signed.file_name(), Some("c.enc"));
    assert_eq!(signed.to_string(), "https://h.example:8443/a%20b/c.enc?…");
    assert!(!format!("{signed:?}").contains("hidden"));
    let whole = crate::protocol::Location::of(&signed).web_url().unwrap();
    assert_eq!(whole, "https://h.example:8443/a%20b/c.enc?X-Sig=hidden&x=1");
    assert_eq!(url("https://h").to_string(), "https://h/");
    assert_eq!(url("https://h?q").to_string(), "https://h/?…");
    for text in ["http://localhost/x", "http://127.0.0.1:80/x", "http://[::1]:80/x"] {
        assert_eq!(url(text).to_string(), text);
    }
    for (text, problem) in [
        ("https://", UrlProblem::Server),
        ("https:///x", UrlProblem::Server),
        ("https://h ost/x", UrlProblem::Server),
        ("https://user:hidden@h/x", UrlProblem::Credentials),
        ("https://h/a b", UrlProblem::NotEscaped),
        ("https://h/ä", UrlProblem::NotEscaped),
        ("http://h/x", UrlProblem::NoTls),
        ("http://localhost.h/x", UrlProblem::NoTls),
        ("http://127.0.0.1:80.h/x", UrlProblem::NoTls),
    ] {
        assert_eq!(parse(text), Err(problem), "{text}");
        assert!(!ObjectUrl::parse(text.as_ref()).unwrap_err().to_string().contains("hidden"));
    }
}

#[test]
fn what_is_shown_has_no_secrets() {
    for (text, shown) in [
        ("a?b@c", "a?b@c"),
        ("s3://b/a@b?c", "s3://b/a@b?c"),
        ("s3://id:hidden@b/k", "s3://…@b/k"),
        ("https://u:hidden@h/k?hidden", "https://…@h/k?…"),
        ("HTTPS://h/k?hidden#x", "HTTPS://h/k?…"),
        ("https://h/@?hidden", "https://h/@?…"),
        ("abfss://c@a.dfs.core.windows.net/k", "abfss://c@a.dfs.core.windows.net/k"),
    ] {
        assert_eq!(without_secrets(text.as_ref()), OsStr::new(shown), "{text}");
    }
}

#[test]
fn relative_paths_are_joined_with_one_slash() {
    for base in ["s3://b/p", "s3://b/p/"] {
        assert_eq!(url(base).join("x/y z".as_ref()).unwrap(), url("s3://b/p/x/y z"));
    }
    assert_eq!(url("s3://b").join("./x".as_ref()).unwrap(), url("s3://b/x"));
    assert_eq!(url("s3://b/p").join("".as_ref()).unwrap(), url("s3://b/p"));
    for (path, problem) in [
        ("../x", UrlProblem::NotBelow),
        ("x/../../y", UrlProblem::NotBelow),
        ("/x", UrlProblem::NotBelow),
        ("x\n", UrlProblem::Control('\n')),
        (&"x".repeat(1023), UrlProblem::KeyTooLong(1025)),
    ] {
        let error = url("s3://b/p").join(path.as_ref()).unwrap_err();
        assert_eq!(error.problem(), problem, "{path}");
        assert!(error.to_string().starts_with("s3://b/p/"), "{error}");
    }
    let error = url("s3://b/p").join(Path::new(OsStr::from_bytes(b"\xff"))).unwrap_err();
    assert_eq!(error.problem(), UrlProblem::NotUtf8);
}

#[test]
fn suffixes_belong_to_the_last_component() {
    assert_eq!(url("s3://b/a/x").with_suffix(".enc").unwrap(), url("s3://b/a/x.enc"));
    assert_eq!(url("s3://b/a/").with_suffix(".enc").unwrap(), url("s3://b/a.enc"));
    let whole = url("s3://b").with_suffix(".enc").unwrap_err();
    assert_eq!(whole.problem(), UrlProblem::NoKey);
    let long = url(&format!("s3://b/{}", "x".repeat(1021)));
    assert_eq!(long.with_suffix(".enc").unwrap_err().problem(), UrlProblem::KeyTooLong(1025));

    let without = |text| url(text).without_suffix(".enc");
    assert_eq!(without("s3://b/a/x.enc"), Some(url("s3://b/a/x")));
    assert_eq!(without("s3://b/a.enc/"), Some(url("s3://b/a")));
    assert_eq!(without("s3://b/a/.enc"), None);
    assert_eq!(without("s3://b/a/x"), None);
    assert_eq!(without("s3://b/...enc"), None);
    assert_eq!(without("s3://b"), None);
}

proptest! {
    #[test]
    fn a_key_is_accepted_if_object_store_keeps_it(key in "[/.a%?#\n\u{7f}ä\u{9b}]{0,12}") {
        let kept = object_store::path::Path::parse(&key).is_ok_and(|path| {
            key.strip_suffix('/').unwrap_or(&key) == path.as_ref() && key != "/"
        });
        prop_assert_eq!(check_key(&key).is_ok(), kept);
    }
}

#[test]
fn a_key_reaches_the_store_as_typed() {
    let store = AmazonS3Builder::new()
        .with_bucket_name("bucket")
        .with_region("us-east-1")
        .with_access_key_id("id")
        .with_secret_access_key("secret")
        .build()
        .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let keys = "[ -~ä\u{9b}\u{fffe}😀]{1,20}".prop_filter("allowed", |key| check_key(key).is_ok());
    proptest!(|(key in keys)| {
        let path = object_store::path::Path::parse(&key).unwrap();
        let signed = store.signed_url(Default::default(), &path, Duration::from_secs(1));
        let sent = percent_decoded(runtime.block_on(signed).unwrap().path());
        let key = key.strip_suffix('/').unwrap_or(&key);
        prop_assert_eq!(sent, format!("/bucket/{key}").into_bytes());
    });
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let mut pieces = text.split('%');
    let mut decoded = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        decoded.push(u8::from_str_radix(&piece[..2], 16).unwrap());
        decoded.extend_from_slice(&piece.as_bytes()[2..]);
    }
    decoded
}
