//! Inputs and outputs in object stores.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use cryptstream_engine::{
    CreateObject, Destination, Error, ObjectError, ObjectErrorKind, ObjectOutput, OpenObject,
    SandboxMode, Source, Target,
};
use cryptstream_remote::{
    AwsCredentials, AwsSettings, CredentialProcess, Listing, ObjectUrl, Opening, Removal, Renewals,
    Scheme, StoreOptions, StoreSources, TokenFile, Transport, TransportOptions, TransportStats,
    UnfinishedUpload, UrlError, is_no_option, is_url, object_len,
};
use rustix::fs::{Mode, OFlags};

mod clouds;

use crate::messages::{self, Failure};
use crate::write_access::{self, WriteAccess};

/// The name of the program that talks to the network.
const TRANSPORT_PROGRAM: &str = "cryptstream-transport";
/// An object that is not longer is fetched with one request, 1 MiB.
const MAX_AT_ONCE: u64 = 1 << 20;
/// Of longer ones the header comes first, 16 KiB.
const HEADER: u64 = 16 << 10;

/// The beginning of the names of variables that the transport gets.
const PREFIX: &str = "AWS_";

/// Variables that name files with tokens, and the settings by which the transport knows these.
const TOKEN_FILES: [(&str, &str); 2] = [
    ("AWS_WEB_IDENTITY_TOKEN_FILE", "WEB_IDENTITY_TOKEN"),
    ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "CONTAINER_AUTHORIZATION_TOKEN"),
];

/// Whether anything is in S3, so that the settings of AWS are needed.
static USES_S3: AtomicBool = AtomicBool::new(false);
static SANDBOX: OnceLock<SandboxMode> = OnceLock::new();
/// What the command line and the configuration file say of stores.
static OPTIONS: Mutex<(StoreOptions, StoreOptions)> =
    Mutex::new((StoreOptions::new(), StoreOptions::new()));
static TRANSPORT: OnceLock<Arc<Transport>> = OnceLock::new();

/// Says how the transport is to be sandboxed. Must come before anything is opened.
pub(crate) fn set_sandbox(mode: SandboxMode) {
    let _ = SANDBOX.set(mode);
}

/// Sets what the command line and the configuration file say of stores. Must come before anything is
/// opened.
pub(crate) fn set_options(flags: StoreOptions, file: StoreOptions) {
    *OPTIONS.lock().unwrap_or_else(PoisonError::into_inner) = (flags, file);
}

/// The URL that `path` is, where it has to be one.
pub(crate) fn required_url(path: &Path) -> Result<ObjectUrl, Failure> {
    let url = ObjectUrl::parse(path.as_os_str());
    note_url(&url);
    url.map_err(|error| messages::objects::bad_url(path, &error))
}

/// Takes note of the store that is used, for its settings.
fn note_url(url: &Result<ObjectUrl, UrlError>) {
    match url.as_ref().map(ObjectUrl::scheme) {
        Ok(Scheme::S3) => USES_S3.store(true, Ordering::Relaxed),
        Ok(scheme) => clouds::note(scheme),
        Err(_) => {}
    }
}

/// The URL that `path` is; `None` if it is a path.
pub(crate) fn url(path: &Path) -> Option<Result<ObjectUrl, UrlError>> {
    let url = is_url(path.as_os_str()).then(|| ObjectUrl::parse(path.as_os_str()))?;
    note_url(&url);
    Some(url)
}

/// The path that stands for a URL in messages.
pub(crate) fn shown(url: &ObjectUrl) -> PathBuf {
    PathBuf::from(url.to_string())
}

/// Opens an object for reading.
pub(crate) fn open(url: &ObjectUrl) -> Result<Source, Error> {
    match transport() {
        Ok(transport) => cryptstream_remote::open(transport, url),
        Err(source) => Err(Error::Open { path: url.to_string().into(), source }),
    }
}

/// Asks for an object and its first bytes, without waiting for them.
pub(crate) fn begin_open(url: &ObjectUrl, first: u64) -> Result<Opening, Error> {
    match transport() {
        Ok(transport) => Opening::begin(transport, url, first),
        Err(source) => Err(Error::Open { path: url.to_string().into(), source }),
    }
}

/// Begins to write an object.
pub(crate) fn create(url: &ObjectUrl, force: bool) -> Result<Target, Error> {
    begin_create(url, force, false)
}

fn begin_create(url: &ObjectUrl, force: bool, is_free: bool) -> Result<Target, Error> {
    match transport() {
        Ok(transport) => cryptstream_remote::create(transport, url, force, is_free),
        Err(source) => Err(Error::Create { path: url.to_string().into(), source }),
    }
}

/// Lists what is below a prefix.
pub(crate) fn list(prefix: &ObjectUrl) -> Result<Listing, Error> {
    let listing = transport().and_then(|transport| Listing::new(transport, prefix));
    listing.map_err(|source| Error::Open { path: prefix.to_string().into(), source })
}

/// Asks for an object to be deleted, without waiting for it.
pub(crate) fn begin_remove(url: &ObjectUrl) -> io::Result<Removal> {
    transport().and_then(|transport| Removal::begin(transport, url))
}

/// An object that exists.
#[derive(Debug)]
struct StoredObject {
    url: ObjectUrl,
    len: u64,
}

impl OpenObject for StoredObject {
    fn open(&self) -> Result<Source, Error> {
        let first = if self.len <= MAX_AT_ONCE { self.len.max(1) } else { HEADER };
        begin_open(&self.url, first)?.finish()
    }
}

/// An object of this length that is opened when its turn comes.
pub(crate) fn stored(url: ObjectUrl, len: u64) -> Arc<dyn OpenObject> {
    Arc::new(StoredObject { url, len })
}

/// An object that is to be written.
#[derive(Debug)]
struct NewObject {
    url: ObjectUrl,
    force: bool,
}

impl CreateObject for NewObject {
    fn create(&self) -> Result<Target, Error> {
        begin_create(&self.url, self.force, !self.force)
    }
}

/// An object that is written when its turn comes. Without `force`, it did not exist a moment ago.
pub(crate) fn new_object(url: ObjectUrl, force: bool) -> Destination {
    let path = url.to_string().into();
    Destination::Object { object: Arc::new(NewObject { url, force }), path, force }
}

/// Opens an object, and begins to write one that replaces it.
pub(crate) fn open_to_rekey(url: &ObjectUrl) -> Result<(Source, Arc<dyn ObjectOutput>), Error> {
    match transport() {
        Ok(transport) => cryptstream_remote::open_to_rekey(transport, url),
        Err(source) => Err(Error::Open { path: url.to_string().into(), source }),
    }
}

/// The length of an object in bytes.
pub(crate) fn len(url: &ObjectUrl) -> Result<u64, Error> {
    match transport() {
        Ok(transport) => object_len(transport, url),
        Err(source) => Err(Error::Open { path: url.to_string().into(), source }),
    }
}

/// Passes unfinished uploads to `each` until it returns `false`.
pub(crate) fn list_uploads(
    url: &ObjectUrl,
    each: impl FnMut(UnfinishedUpload) -> bool,
) -> Result<(), Error> {
    match transport() {
        Ok(transport) => cryptstream_remote::list_uploads(transport, url, each),
        Err(source) => Err(Error::Open { path: url.to_string().into(), source }),
    }
}

/// Gives an upload up.
pub(crate) fn abort_upload(upload: &UnfinishedUpload) -> io::Result<()> {
    cryptstream_remote::abort_upload(transport()?, upload)
}

/// What stores were asked for; `None` if there was no store.
pub(crate) fn stats() -> Option<TransportStats> {
    TRANSPORT.get().map(|transport| transport.stats()).filter(|stats| stats.sandbox.is_some())
}

/// The process that talks to the network, which is started when it is needed.
fn transport() -> io::Result<&'static Arc<Transport>> {
    if let Some(transport) = TRANSPORT.get() {
        return Ok(transport);
    }
    let (settings, renewals) = settings()?;
    let transport = Transport::new(TransportOptions {
        program: transport_program()?,
        settings,
        renewals,
        on_failed_renewal: |reason| messages::warn(&messages::objects::not_renewed(reason)),
        sandbox: SANDBOX.get().copied().unwrap_or(SandboxMode::Auto),
        forbids_network: true,
        on_left_upload: |upload| messages::warn(&messages::objects::left_upload(upload)),
    });
    Ok(TRANSPORT.get_or_init(|| transport))
}

/// The program that talks to the network. It is in the folder of this one, or in
/// `../libexec/cryptstream` from there.
fn transport_program() -> io::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folder = own.parent().unwrap_or(Path::new("/"));
    let places = [folder.to_owned(), folder.join("../libexec/cryptstream")];
    let mut programs = places.iter().map(|place| place.join(TRANSPORT_PROGRAM));
    let reason = match programs.find(|program| program.is_file()) {
        Some(program) if is_as_trusted_as(&own, &program)? => return Ok(program),
        Some(program) => format!("{} can be changed by another user", program.display()),
        None => format!("it is not in {}", folder.display()),
    };
    let message = format!(
        "the program {TRANSPORT_PROGRAM}, which talks to object stores, cannot be used: {reason}; \
         install it together with cryptstream"
    );
    Err(ObjectError::new(ObjectErrorKind::Settings, message).into())
}

/// Whether nobody can change `program` but those who can change `own`. In a folder such as `/tmp`,
/// another user may have put it there.
fn is_as_trusted_as(own: &Path, program: &Path) -> io::Result<bool> {
    let file =
        File::from(rustix::fs::open(program, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?);
    let WriteAccess { is_writable, other_owner } = write_access::of(program, &file)?;
    let owner = own.metadata()?.uid();
    Ok(!is_writable && other_owner.is_none_or(|other| other == owner))
}

/// The settings of stores, from all sources, and what has to be renewed.
fn settings() -> io::Result<(Vec<(String, String)>, Renewals)> {
    let (flags, file) = OPTIONS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let sources = StoreSources::new(flags, |name| std::env::var_os(name), file);
    let uses_s3 = USES_S3.load(Ordering::Relaxed);
    let wrong =
        |message: String| io::Error::from(ObjectError::new(ObjectErrorKind::Settings, message));
    let mut settings = sources
        .settings(!uses_s3)
        .map_err(|(name, error)| wrong(messages::storage_options::in_variable(name, &error)))?;
    settings.extend(clouds::settings());
    if !uses_s3 {
        return Ok((settings, Renewals::default()));
    }
    let text = |(name, value): (OsString, OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    let others = std::env::vars_os().filter_map(text);
    settings.extend(others.filter(|(name, _)| {
        name.starts_with(PREFIX) && is_no_option(name) && sources.variable(name).is_some()
    }));
    let is_trusted = |path: &Path, file: &File| {
        write_access::of(path, file).is_ok_and(|access| access == WriteAccess::default())
    };
    let profile = AwsSettings::load(|name| sources.variable(name), is_trusted);
    let profile = profile.map_err(|error| {
        let help = error.help().map_or_else(String::new, |help| format!("; {help}"));
        wrong(format!("{error}{help}"))
    })?;
    let AwsSettings { credentials, region, endpoint, credential_process } = profile;
    let mut renewals = Renewals::default();
    let mut set = |name: &str, value: Option<String>| {
        settings.retain(|(other, _)| other != name);
        settings.extend(value.map(|value| (name.to_owned(), value)));
    };
    set("AWS_REGION", region);
    // The command line is not what is ignored if configured endpoints are.
    set("AWS_ENDPOINT_URL_S3", sources.flag_endpoint().map(ToOwned::to_owned).or(endpoint));
    let Some(credentials) = credentials else {
        for (variable, setting) in TOKEN_FILES {
            let Some(path) = sources.variable(variable).map(PathBuf::from) else { continue };
            let (file, token) = TokenFile::read(setting, &path).map_err(|error| {
                wrong(messages::objects::unreadable_token(variable, &path, &error))
            })?;
            settings.push((setting.to_owned(), token.to_string()));
            renewals.token_files.push(file);
        }
        return Ok((settings, renewals));
    };
    let AwsCredentials { access_key_id, secret_access_key, session_token, expires } = credentials;
    set("AWS_ACCESS_KEY_ID", Some(access_key_id));
    set("AWS_SECRET_ACCESS_KEY", Some(secret_access_key.to_string()));
    set("AWS_SESSION_TOKEN", session_token.map(|token| token.to_string()));
    renewals.credential_process = credential_process
        .zip(expires)
        .map(|(command, expires)| CredentialProcess { command, expires });
    Ok((settings, renewals))
}
