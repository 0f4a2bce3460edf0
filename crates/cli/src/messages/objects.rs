//! Messages about object stores.

use std::path::Path;
use std::time::Duration;

use cryptstream_engine::{Error, ObjectError, ObjectErrorKind, SandboxLevel, StoreRequest};
use cryptstream_remote::{
    ObjectUrl, RequestKind, Scheme, Traffic, TransportStats, UnfinishedUpload, UrlError,
    UrlProblem, without_secrets,
};
use indicatif::{HumanBytes, HumanCount, HumanDuration};
use serde_json::json;

use super::failure::{Failure, code};
use super::store_advice;
use super::text::{harmless, quoted};

/// What a store has reported, if the error is one of a store.
pub(super) fn of_store(error: &Error) -> Option<Failure> {
    let source = std::error::Error::source(error)?.downcast_ref::<std::io::Error>()?;
    let ObjectError { kind, message, request } = ObjectError::of(source)?;
    // The words are the store's.
    let message = harmless(message);
    if matches!(error, Error::Remove { .. }) {
        let help = "compare it with the output before you remove it by hand";
        let text = format!("the output is complete, but this input was not removed: {message}");
        let failure = Failure::new(code::IO, "remove", text, help);
        return Some(with_request(failure, error.path(), request.as_deref()));
    }
    let help = Help::of(error.path()?)?;
    let (code, word, help) = match kind {
        ObjectErrorKind::NotFound => (code::NO_INPUT, "input", help.not_found),
        ObjectErrorKind::Denied => (code::NO_KEY, "credentials", help.denied),
        ObjectErrorKind::Exists => {
            (code::CANNOT_CREATE, "exists", "choose another name, or replace it with --force")
        }
        ObjectErrorKind::Changed => (
            code::TRY_AGAIN,
            "changed",
            "try again when nothing writes to it; no partial output was left",
        ),
        ObjectErrorKind::Unavailable => (code::TRY_AGAIN, "unavailable", help.unavailable),
        ObjectErrorKind::Settings => (code::CONFIG, "settings", help.settings),
        _ => (code::IO, "store", "try again; no partial output was left"),
    };
    let help = match error {
        Error::NotReadBack { .. } => INPUT_KEPT,
        _ => help,
    };
    let what = match error {
        Error::NotReadBack { .. } => "is complete, but cannot be read back",
        Error::Open { .. } => "cannot be opened",
        Error::Create { .. } => "cannot be created",
        Error::Read { .. } => "cannot be read",
        _ => "cannot be written",
    };
    let failure = Failure::new(code, word, format!("{what}: {message}"), help);
    Some(with_request(failure, error.path(), request.as_deref()))
}

/// What to do if an output cannot be read back.
const INPUT_KEPT: &str =
    "the input was kept; `cryptstream verify` can try again to read the output";

/// The failure with the request to the store that has failed, and what to do about that one.
fn with_request(failure: Failure, url: Option<&Path>, request: Option<&StoreRequest>) -> Failure {
    let (Some(url), Some(request)) = (url, request) else { return failure };
    let url = without_secrets(url.as_os_str());
    let scheme = Scheme::of(&url);
    let is_web = scheme.is_some_and(Scheme::is_web);
    let text = |text: &Option<String>| text.as_deref().map(harmless);
    let store = json!({
        "url": url.to_string_lossy(),
        "operation": if is_web { "GET" } else { request.operation.as_str() },
        "status": request.status,
        "code": text(&request.code),
        "request_id": text(&request.request_id),
        "attempts": request.attempts,
    });
    let advice = ObjectUrl::parse(&url)
        .ok()
        // In the words of AWS.
        .filter(|_| scheme == Some(Scheme::S3))
        .and_then(|url| store_advice::advice(request, url.bucket()))
        // What to do about the input comes first.
        .filter(|_| failure.kind != "remove" && failure.help != INPUT_KEPT);
    let failure = Failure { store: Some(Box::new(store)), ..failure };
    match advice {
        Some(advice) => failure.helped_by(advice),
        None => failure,
    }
}

/// What to do about the errors of a kind of store.
struct Help {
    not_found: &'static str,
    denied: &'static str,
    unavailable: &'static str,
    settings: &'static str,
}

const S3: Help = Help {
    not_found: "check the bucket and the key; the region and the endpoint come from AWS_REGION and \
                AWS_ENDPOINT_URL",
    denied: "check the credentials of the store (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or \
             AWS_PROFILE), what they permit, and the clock of this machine",
    unavailable: "try again; check the connection, and the endpoint (AWS_ENDPOINT_URL)",
    settings: "check the settings of the store: AWS_REGION, AWS_ENDPOINT_URL",
};

const GOOGLE: Help = Help {
    not_found: "check the bucket and the key",
    denied: "check the credentials (GOOGLE_APPLICATION_CREDENTIALS, or `gcloud auth \
             application-default login`), and that their roles permit this in the bucket (Storage \
             Object User)",
    unavailable: "try again; check the connection",
    settings: "check GOOGLE_APPLICATION_CREDENTIALS and other variables that begin with GOOGLE_",
};

const AZURE: Help = Help {
    not_found: "check the account, the container and the key (AZURE_STORAGE_ACCOUNT, or \
                abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/KEY)",
    denied: "check the credentials (AZURE_STORAGE_KEY, AZURE_STORAGE_SAS_TOKEN, \
             AZURE_STORAGE_CONNECTION_STRING, or AZURE_CLIENT_ID, AZURE_TENANT_ID and \
             AZURE_CLIENT_SECRET), what they permit (Storage Blob Data Contributor), and the clock \
             of this machine",
    unavailable: "try again; check the connection, and the account (AZURE_STORAGE_ACCOUNT)",
    settings: "check the variables that begin with AZURE_",
};

const WEB: Help = Help {
    not_found: "check the URL",
    denied: "ask for a new URL if this one was signed for a limited time, and check the clock of \
             this machine; credentials are not sent to web servers",
    unavailable: "try again; check the connection, and the proxy if there is one (HTTPS_PROXY)",
    settings: "check the URL, SSL_CERT_FILE and HTTPS_PROXY",
};

impl Help {
    fn of(url: &Path) -> Option<&'static Self> {
        Some(match Scheme::of(url.as_os_str())? {
            Scheme::Https | Scheme::Http => &WEB,
            Scheme::Gs => &GOOGLE,
            scheme if scheme.is_azure() => &AZURE,
            _ => &S3,
        })
    }
}

/// What looks like a URL cannot be used as one.
pub(crate) fn bad_url(path: &Path, error: &UrlError) -> Failure {
    let help = match error.problem() {
        UrlProblem::Scheme(_) => "name an object: s3://BUCKET/KEY, gs://… or az://…",
        UrlProblem::Account => {
            "write abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/KEY, or az://CONTAINER/KEY with \
             the account in AZURE_STORAGE_ACCOUNT"
        }
        UrlProblem::Credentials if Scheme::of(path.as_os_str()).is_some_and(Scheme::is_web) => {
            "name a presigned URL, or fetch the file with another program (curl -u … | cryptstream)"
        }
        UrlProblem::Credentials => match Scheme::of(path.as_os_str()) {
            Some(Scheme::Gs) => "use GOOGLE_APPLICATION_CREDENTIALS",
            Some(Scheme::Az) => {
                "name the account with AZURE_STORAGE_ACCOUNT, or write \
                 abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/KEY"
            }
            _ => "use AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        },
        UrlProblem::NoTls => "use https://",
        UrlProblem::NotEscaped => "put the URL in quotes as you have got it; a space is %20",
        UrlProblem::Server => "write https://SERVER/PATH",
        UrlProblem::OtherMachine => "write file:///PATH, or the path alone",
        _ => "write s3://BUCKET/KEY; a local file of this name can be written with ./ before it",
    };
    Failure::new(code::USAGE, "usage", error.problem().to_string(), help).about(path)
}

/// A URL of the web as an output.
pub(crate) fn read_only(path: &Path) -> Failure {
    Failure::new(
        code::USAGE,
        "usage",
        "is on a web server, which can only be read",
        "name an output, such as a local file, - or s3://BUCKET/KEY",
    )
    .about(path)
}

/// A command that cannot do this with an object.
pub(crate) fn needs_file(path: &Path) -> Failure {
    Failure::new(
        code::USAGE,
        "usage",
        "is an object in a store, and this needs a local file",
        "copy it to a file first",
    )
    .about(path)
}

/// An object among several inputs, or with a flag for folders.
pub(crate) fn no_folders(path: &Path) -> Failure {
    Failure::new(
        code::USAGE,
        "usage",
        "is in a store, and can neither be one of several inputs nor a single object with a flag \
         for folders",
        "name one object, or one prefix with all that is below it: s3://BUCKET/PREFIX/",
    )
    .about(path)
}

/// A flag that needs local files.
pub(crate) fn flag_needs_files(path: &Path, flag: &str) -> Failure {
    let message = format!("is in a store, and {flag} needs local files");
    Failure::new(code::USAGE, "usage", message, "leave the flag out").about(path)
}

/// A prefix that contains the other one, or is the same.
pub(crate) fn overlap(path: &Path) -> Failure {
    Failure::new(
        code::USAGE,
        "usage",
        "is the input as well, contains it, or lies in it",
        "nothing was written; name a prefix outside of it",
    )
    .about(path)
}

/// A prefix without objects.
pub(crate) fn nothing_below(path: &Path) -> Failure {
    Failure::new(
        code::NO_INPUT,
        "input",
        "has no objects",
        match Scheme::of(path.as_os_str()) {
            Some(Scheme::S3) | None => {
                "check the bucket and the prefix; the region and the endpoint come from AWS_REGION \
                 and AWS_ENDPOINT_URL"
            }
            Some(scheme) if scheme.is_azure() => "check the container, the prefix and the account",
            _ => "check the bucket and the prefix",
        },
    )
    .about(path)
}

/// Why an object has no name for a file.
pub(crate) const NO_FILE_NAME: &str = "has a key that ends in a slash, but content";

/// An object that is not processed because of its key.
pub(crate) fn bad_key(path: &Path, problem: &str) -> Failure {
    let help = "it was skipped; copy it to another key with another program";
    Failure::new(code::NO_INPUT, "key", problem, help).about(path)
}

/// A file whose name cannot be part of a key.
pub(crate) fn bad_output_key(path: &Path, problem: &str) -> Failure {
    let message = format!("cannot be put into the store: its object {problem}");
    let help = "it was skipped; rename it, or put the folder into an archive with --archive";
    Failure::new(code::CANNOT_CREATE, "key", message, help).about(path)
}

/// An object whose output would be that of another one, or lie in it.
pub(crate) fn clash(path: &Path, output: &Path) -> Failure {
    let message = format!(
        "would become {}, which another object of this prefix becomes too, as a file or as a \
         folder",
        quoted(output)
    );
    let help = "it was skipped; decrypt it on its own, under another name";
    Failure::new(code::CANNOT_CREATE, "collision", message, help).about(path)
}

/// Why something in a folder is skipped.
pub(crate) const LINK: &str = "is a link, which a store cannot hold (an archive can: --archive)";
pub(crate) const EMPTY_FOLDER: &str =
    "is an empty folder, which a store cannot hold (an archive can: --archive)";

/// A URL that names no single object.
pub(crate) fn is_prefix(path: &Path) -> Failure {
    Failure::new(
        code::USAGE,
        "usage",
        "names a bucket or the beginning of keys, and this needs one object",
        "name the object: s3://BUCKET/KEY",
    )
    .about(path)
}

/// A command for stores that got a path.
pub(crate) fn no_url(path: &Path) -> Failure {
    let help = "write s3://BUCKET or s3://BUCKET/KEY";
    Failure::new(code::USAGE, "usage", "is not the URL of a bucket or an object", help).about(path)
}

/// A file with a token that cannot be used.
pub(crate) fn unreadable_token(variable: &str, path: &Path, error: &std::io::Error) -> String {
    format!("{variable} names {}, which cannot be read: {error}", quoted(path))
}

/// Credentials that a program should have fetched again.
pub(crate) fn not_renewed(reason: &str) -> String {
    format!(
        "the credentials of the store expire soon, and were not renewed: {}; it is tried again",
        harmless(reason)
    )
}

/// Uploads of a store that has no list of them.
pub(crate) fn no_uploads_in_azure(path: &Path) -> Failure {
    Failure::new(
        code::USAGE,
        "usage",
        "is in Azure, which has no list of unfinished uploads",
        "nothing needs to be done: Azure removes what they have left after a week",
    )
    .about(path)
}

/// An upload that stays in its store.
pub(crate) fn left_upload(upload: &UnfinishedUpload) -> String {
    format!(
        "an unfinished upload of {upload} could not be aborted and stays in the store, which may \
         charge for it: upload ID {}; `cryptstream store uploads {upload} --abort --older-than 0s` \
         aborts it, and so does a lifecycle rule (AbortIncompleteMultipartUpload)",
        harmless(upload.id())
    )
}

/// An upload that could not be aborted.
pub(crate) fn not_aborted(upload: &UnfinishedUpload, error: &std::io::Error) -> Failure {
    let message = format!(
        "upload {} was not aborted: {}",
        harmless(upload.id()),
        harmless(&error.to_string())
    );
    let help = "check what the credentials permit (s3:AbortMultipartUpload); a lifecycle rule of \
                the bucket (AbortIncompleteMultipartUpload) aborts uploads as well";
    Failure::new(code::IO, "upload", message, help).about(Path::new(&upload.to_string()))
}

/// One unfinished upload, as a line.
pub(crate) fn upload_line(
    upload: &UnfinishedUpload,
    age: Option<Duration>,
    is_aborted: bool,
) -> String {
    let name = quoted(Path::new(&upload.to_string()));
    let begun =
        age.map_or("at an unknown time".to_owned(), |age| format!("{} ago", HumanDuration(age)));
    let aborted = if is_aborted { ": aborted" } else { "" };
    format!("{name}: upload {}, begun {begun}{aborted}\n", harmless(upload.id()))
}

/// How many uploads there were.
pub(crate) fn uploads_found(uploads: u64, aborted: u64, abort: bool) -> String {
    let noun = if uploads == 1 { "upload" } else { "uploads" };
    match abort {
        true => format!("{} unfinished {noun}, {aborted} aborted", HumanCount(uploads)),
        false => format!("{} unfinished {noun}", HumanCount(uploads)),
    }
}

/// What a line of progress says of stores.
pub(crate) fn progress(stats: &TransportStats) -> Vec<String> {
    let (done, known) = stats.parts;
    let parts = (known > 0).then(|| format!("{done} of {known} parts"));
    parts.into_iter().chain(retries(&stats.traffic)).collect()
}

/// What a verbose run says of stores at the end.
pub(crate) fn traffic_note(stats: &TransportStats) -> String {
    let TransportStats { sandbox, traffic, deaths, .. } = stats;
    let retries = retries(traffic).map_or_else(String::new, |text| format!(", {text}"));
    let died = if *deaths > 0 { format!("; {deaths} died") } else { String::new() };
    format!(
        "store: {}{retries}, {} sent, {} received (sandbox of the transport: {}{died})",
        requests(traffic),
        HumanBytes(traffic.bytes_sent),
        HumanBytes(traffic.bytes_received),
        sandbox.unwrap_or(SandboxLevel::None).name(),
    )
}

/// The lines of a dry run: names and lengths, and what it takes to read and to write. The length
/// of the output is an estimate.
pub(crate) fn plan(
    command: &str,
    (input, input_len): (&Path, Option<u64>),
    (output, output_len): (&Path, Option<u64>),
    read: Option<Traffic>,
    written: Option<(Traffic, usize)>,
) -> String {
    let len = |len: Option<u64>, prefix: &str| {
        len.map_or("an unknown length".to_owned(), |len| format!("{prefix}{}", HumanBytes(len)))
    };
    let with = |traffic: Traffic| format!(" with {}", requests(&traffic));
    let parts = match written {
        Some((_, parts @ 2..)) => format!(" in {} parts", HumanCount(parts as u64)),
        _ => String::new(),
    };
    let (read, written) = (
        read.map_or_else(String::new, with),
        written.map_or_else(String::new, |(traffic, _)| with(traffic)),
    );
    format!(
        "{command} {} -> {}\n  reads {}{read}\n  writes {}{parts}{written}\n",
        quoted(input),
        quoted(output),
        len(input_len, ""),
        len(output_len, "about "),
    )
}

/// What rekeying an object will take. The store copies so many bytes itself.
pub(crate) fn rekey_cost(path: &Path, traffic: &Traffic, copied: u64) -> String {
    let copies = match copied {
        0 => String::new(),
        copied => format!(", while the store copies {}", HumanBytes(copied)),
    };
    format!(
        "{}: replacing the object fetches about {} and uploads {}{copies}: {}",
        quoted(path),
        HumanBytes(traffic.bytes_received),
        HumanBytes(traffic.bytes_sent),
        requests(traffic),
    )
}

fn retries(traffic: &Traffic) -> Option<String> {
    match traffic.retries {
        0 => None,
        1 => Some("1 retry".to_owned()),
        retries => Some(format!("{} retries", HumanCount(retries))),
    }
}

/// The number of requests, and of which kinds, by their names in the documentation of S3.
pub(crate) fn requests(traffic: &Traffic) -> String {
    let kinds = RequestKind::ALL.iter().filter_map(|kind| {
        let count = traffic.requests(*kind);
        (count > 0).then(|| format!("{} {}", HumanCount(count), name(*kind)))
    });
    let all = traffic.all_requests();
    let noun = if all == 1 { "request" } else { "requests" };
    format!("{} {noun} ({})", HumanCount(all), kinds.collect::<Vec<_>>().join(", "))
}

fn name(kind: RequestKind) -> &'static str {
    match kind {
        RequestKind::Head => "HEAD",
        RequestKind::Get => "GET",
        RequestKind::List => "LIST",
        RequestKind::Put => "PUT",
        RequestKind::CreateUpload => "CreateMultipartUpload",
        RequestKind::UploadPart => "UploadPart",
        RequestKind::CopyPart => "UploadPartCopy",
        RequestKind::CompleteUpload => "CompleteMultipartUpload",
        RequestKind::AbortUpload => "AbortMultipartUpload",
        RequestKind::Delete => "DELETE",
        RequestKind::Other => "other",
    }
}
