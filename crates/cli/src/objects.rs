//! Inputs and outputs in object stores.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use cryptstream_engine::{Error, ObjectError, ObjectErrorKind, SandboxMode, Source, Target};
use cryptstream_remote::{
    AwsCredentials, AwsSettings, ObjectUrl, TRANSPORT_ARGUMENT, Transport, TransportOptions,
    UrlError, is_url, transport_main,
};

use crate::system;

/// The beginning of the names of variables that the transport gets.
const PREFIX: &str = "AWS_";
/// Other variables that it gets: how to get to the network.
const VARIABLES: [&str; 7] = [
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "https_proxy",
    "http_proxy",
    "no_proxy",
];

static SANDBOX: OnceLock<SandboxMode> = OnceLock::new();
static TRANSPORT: OnceLock<Arc<Transport>> = OnceLock::new();

/// Says how the transport is to be sandboxed. Must come before anything is opened.
pub(crate) fn set_sandbox(mode: SandboxMode) {
    let _ = SANDBOX.set(mode);
}

/// The URL that `path` is; `None` if it is a path.
pub(crate) fn url(path: &Path) -> Option<Result<ObjectUrl, UrlError>> {
    is_url(path.as_os_str()).then(|| ObjectUrl::parse(path.as_os_str()))
}

/// Opens an object for reading.
pub(crate) fn open(url: &ObjectUrl) -> Result<Source, Error> {
    match transport() {
        Ok(transport) => cryptstream_remote::open(transport, url),
        Err(source) => Err(Error::Open { path: url.to_string().into(), source }),
    }
}

/// Begins to write an object.
pub(crate) fn create(url: &ObjectUrl, force: bool) -> Result<Target, Error> {
    match transport() {
        Ok(transport) => cryptstream_remote::create(transport, url, force),
        Err(source) => Err(Error::Create { path: url.to_string().into(), source }),
    }
}

/// The process that talks to the network, which is started when it is needed.
fn transport() -> io::Result<&'static Arc<Transport>> {
    if let Some(transport) = TRANSPORT.get() {
        return Ok(transport);
    }
    let transport = Transport::new(TransportOptions {
        program: PathBuf::from(system::own_program()),
        settings: settings()?,
        sandbox: SANDBOX.get().copied().unwrap_or(SandboxMode::Auto),
        forbids_network: true,
    });
    Ok(TRANSPORT.get_or_init(|| transport))
}

/// The settings of the environment, and of the profile that it names.
fn settings() -> io::Result<Vec<(String, String)>> {
    let is_for_store = |name: &str| name.starts_with(PREFIX) || VARIABLES.contains(&name);
    let text = |(name, value): (OsString, OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    let variables = std::env::vars_os().filter_map(text);
    let mut settings: Vec<_> = variables.filter(|(name, _)| is_for_store(name)).collect();
    let profile = AwsSettings::load(|name| std::env::var_os(name)).map_err(|error| {
        let help = error.help().map_or_else(String::new, |help| format!("; {help}"));
        let message = format!("{error}{help}");
        io::Error::from(ObjectError { kind: ObjectErrorKind::Settings, message })
    })?;
    let AwsSettings { credentials, region, endpoint } = profile;
    let mut set = |name: &str, value: Option<String>| {
        settings.extend(value.map(|value| (name.to_owned(), value)));
    };
    set("AWS_REGION", region);
    set("AWS_ENDPOINT_URL_S3", endpoint);
    if let Some(AwsCredentials { access_key_id, secret_access_key, session_token, .. }) =
        credentials
    {
        set("AWS_ACCESS_KEY_ID", Some(access_key_id));
        set("AWS_SECRET_ACCESS_KEY", Some(secret_access_key.to_string()));
        set("AWS_SESSION_TOKEN", session_token.map(|token| token.to_string()));
    }
    Ok(settings)
}

/// Runs as the transport if this process was started as one.
pub(crate) fn init_transport() {
    if std::env::args_os().nth(1).is_some_and(|first| first == TRANSPORT_ARGUMENT) {
        system::survive_size_limit();
        // Whoever has started it notices how it ends.
        std::process::exit(i32::from(transport_main() != std::process::ExitCode::SUCCESS));
    }
}
