//! URLs of objects, as users type them.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path};

use serde::{Deserialize, Serialize};

mod azure;
mod bucket;
mod file;
mod web;

pub(crate) use azure::{Account, Container};
pub use bucket::may_share_bucket;
pub use file::file_path;

/// The longest key that S3 allows, in bytes of UTF-8.
pub const MAX_KEY_LEN: usize = 1024;

/// The longest name of a bucket. Today's rules of S3 allow 63 bytes, those that it had for the
/// oldest buckets allowed this many.
const MAX_BUCKET_LEN: usize = 255;

/// The scheme of a URL that this crate recognises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Scheme {
    /// Amazon S3, and every store that speaks its protocol.
    S3,
    /// Google Cloud Storage.
    Gs,
    /// Azure Blob Storage.
    Az,
    /// Azure Data Lake Storage: the same, and the URL may name the account.
    Abfs,
    /// The same. There is no difference, since TLS is used with both.
    Abfss,
    /// A web server.
    Https,
    /// A web server, without TLS.
    Http,
    /// A local file.
    File,
}

impl Scheme {
    /// All schemes by their names in lower case. `azure` is what some programs write for `az`.
    const NAMES: [(&str, Self); 9] = [
        ("s3", Self::S3),
        ("gs", Self::Gs),
        ("az", Self::Az),
        ("azure", Self::Az),
        ("abfs", Self::Abfs),
        ("abfss", Self::Abfss),
        ("https", Self::Https),
        ("http", Self::Http),
        ("file", Self::File),
    ];

    /// The scheme of `text`, or `None` if `text` is a path: it is a URL if it begins with a known
    /// scheme, in any case (RFC 3986, section 3.1), and `://`. So `a:b`, `C:\x` and `s3:foo` are
    /// paths, and a file whose path looks like a URL can be named `./s3://…`.
    pub fn of(text: &OsStr) -> Option<Self> {
        Self::split(text.as_bytes()).map(|(scheme, _)| scheme)
    }

    /// The scheme in lower case, without `://`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Gs => "gs",
            Self::Az => "az",
            Self::Abfs => "abfs",
            Self::Abfss => "abfss",
            Self::Https => "https",
            Self::Http => "http",
            Self::File => "file",
        }
    }

    /// Whether it is that of Azure Blob Storage, by any name.
    pub fn is_azure(self) -> bool {
        matches!(self, Self::Az | Self::Abfs | Self::Abfss)
    }

    /// Whether it is that of a web server.
    pub fn is_web(self) -> bool {
        matches!(self, Self::Https | Self::Http)
    }

    /// The scheme, and what follows `://`.
    fn split(text: &[u8]) -> Option<(Self, &[u8])> {
        let colon = text.iter().position(|&byte| byte == b':')?;
        let rest = text[colon..].strip_prefix(b"://")?;
        let is_named = |name: &str| text[..colon].eq_ignore_ascii_case(name.as_bytes());
        let (_, scheme) = Self::NAMES.into_iter().find(|(name, _)| is_named(name))?;
        Some((scheme, rest))
    }
}

/// Whether `text` is a URL and not a path. See [`Scheme::of`].
pub fn is_url(text: &OsStr) -> bool {
    Scheme::of(text).is_some()
}

/// `text` as it can be shown: if it is a URL, without credentials before an `@`, and if it is one of
/// the web, without its query, which may be a secret.
pub fn without_secrets(text: &OsStr) -> Cow<'_, OsStr> {
    let Some((scheme, rest)) = Scheme::split(text.as_bytes()) else { return text.into() };
    let scheme_len = text.len() - rest.len();
    let is_end = |byte: &u8| matches!(byte, b'/' | b'?' | b'#');
    let server_len = rest.iter().position(is_end).unwrap_or(rest.len());
    // In `abfss://CONTAINER@ACCOUNT` it is no secret.
    let has_credentials = !matches!(scheme, Scheme::Abfs | Scheme::Abfss | Scheme::File);
    let at = rest[..server_len].iter().rposition(|byte| *byte == b'@' && has_credentials);
    let query = rest.iter().position(|byte| *byte == b'?' && scheme.is_web());
    if at.is_none() && query.is_none() {
        return text.into();
    }
    let hidden = "…".as_bytes();
    let (before, start) = at.map_or((&b""[..], 0), |at| (hidden, at));
    let (end, after) = query.map_or((rest.len(), &b""[..]), |query| (query + 1, hidden));
    let scheme = &text.as_bytes()[..scheme_len];
    OsString::from_vec([scheme, before, &rest[start..end], after].concat()).into()
}

/// The URL of an object, of a prefix (the objects whose keys begin with it), or of a file on a web
/// server.
///
/// The bucket ends at the first `/`. All that follows is the key, byte for byte as the store has
/// it: `%20`, `+`, `?`, `#` and `*` stand for themselves. The AWS CLI takes keys in the same way,
/// and so does s5cmd, apart from its wildcards.
///
/// Keys that `object_store` cannot send unchanged are refused:
///
/// - those with an empty component (`/a`, `a//b`, `a//`). The AWS CLI allows them, s5cmd removes
///   leading slashes, and rclone confuses `a//b` with `a/b`;
/// - those with a component `.` or `..`, which the path of an HTTP request cannot contain;
/// - those with ASCII control characters, most of which the XML of a store cannot contain;
/// - those that are not UTF-8, which S3 does not allow.
///
/// A URL of the web is what RFC 3986 says: its path and query are sent as they are, and what follows
/// `#` is not. The query may contain a signature that lets whoever has it read the file, so nothing
/// shows it.
///
/// ```
/// use cryptstream_remote::ObjectUrl;
///
/// # fn main() -> Result<(), cryptstream_remote::UrlError> {
/// let url = ObjectUrl::parse("s3://bucket/2026/100%.txt".as_ref())?;
/// assert_eq!(url.bucket(), "bucket");
/// assert_eq!(url.key(), "2026/100%.txt");
/// assert_eq!(url.with_suffix(".enc")?.to_string(), "s3://bucket/2026/100%.txt.enc");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectUrl {
    scheme: Scheme,
    bucket: String,
    key: String,
    query: Query,
}

/// The query of a URL of the web, without its `?`. It may be a secret.
#[derive(Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Query(Option<String>);

impl Query {
    /// A URL with this query.
    pub(crate) fn after(&self, url: String) -> String {
        match &self.0 {
            Some(query) => format!("{url}?{query}"),
            None => url,
        }
    }
}

impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "…" } else { "none" })
    }
}

impl ObjectUrl {
    /// Parses a URL.
    ///
    /// # Errors
    ///
    /// If `text` is no URL, or has a scheme that is not supported, or its bucket or key is not
    /// allowed.
    pub fn parse(text: &OsStr) -> Result<Self, UrlError> {
        let error = |problem| UrlError { url: text.to_string_lossy().into_owned(), problem };
        let (scheme, rest) =
            Scheme::split(text.as_bytes()).ok_or_else(|| error(UrlProblem::NoUrl))?;
        match scheme {
            Scheme::Https | Scheme::Http => return Self::parse_web(scheme, rest),
            Scheme::File => return Err(error(UrlProblem::Scheme(scheme))),
            _ => {}
        }
        let bucket_len = rest.iter().position(|&byte| byte == b'/').unwrap_or(rest.len());
        let (bucket, key) = rest.split_at(bucket_len);
        let may_name_account = matches!(scheme, Scheme::Abfs | Scheme::Abfss);
        let at = bucket.iter().rposition(|&byte| byte == b'@' && !may_name_account);
        if let Some(at) = at {
            let rest = String::from_utf8_lossy(&rest[at..]);
            let url = format!("{}://…{rest}", scheme.as_str());
            return Err(UrlError { url, problem: UrlProblem::Credentials });
        }
        let container_len = bucket.iter().position(|&byte| byte == b'@').unwrap_or(bucket.len());
        check_bucket(&bucket[..container_len]).map_err(error)?;
        let (bucket, key) = std::str::from_utf8(bucket)
            .and_then(|bucket| Ok((bucket, std::str::from_utf8(key)?)))
            .map_err(|_| error(UrlProblem::NotUtf8))?;
        Container::parse(bucket).ok_or_else(|| error(UrlProblem::Account))?;
        let url = Self { scheme, bucket: bucket.to_owned(), ..Self::empty(scheme) };
        url.with_key(key.strip_prefix('/').unwrap_or_default().to_owned())
    }

    /// Parses what follows `https://` or `http://`.
    fn parse_web(scheme: Scheme, rest: &[u8]) -> Result<Self, UrlError> {
        // A fragment is for the reader of a page, and is not sent.
        let rest = rest.split(|byte| *byte == b'#').next().unwrap_or_default();
        let rest = String::from_utf8_lossy(rest);
        let (place, query) = match rest.split_once('?') {
            Some((place, query)) => (place, Some(query.to_owned())),
            None => (&*rest, None),
        };
        let (server, path) = place.split_once('/').unwrap_or((place, ""));
        let (has_credentials, server) = match server.rsplit_once('@') {
            Some((_, server)) => (true, server),
            None => (false, server),
        };
        let (bucket, key) = (server.to_owned(), path.to_owned());
        let url = Self { scheme, bucket, key, query: Query(query) };
        let problem = if has_credentials {
            UrlProblem::Credentials
        } else if !web::is_server(server) {
            UrlProblem::Server
        } else if scheme == Scheme::Http && !web::is_this_machine(server) {
            UrlProblem::NoTls
        } else if !rest.bytes().all(|byte| byte.is_ascii_graphic()) {
            UrlProblem::NotEscaped
        } else {
            return Ok(url);
        };
        Err(UrlError { url: url.to_string(), problem })
    }

    fn empty(scheme: Scheme) -> Self {
        Self { scheme, bucket: String::new(), key: String::new(), query: Query::default() }
    }

    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Whether it names a file on a web server, which can only be read.
    pub fn is_web(&self) -> bool {
        self.scheme.is_web()
    }

    pub(crate) fn query(&self) -> &Query {
        &self.query
    }

    /// The name of the bucket, or of the container, with the account if the URL names it, or of the
    /// web server.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The key, exactly as it was typed. It is empty if the URL names a whole bucket.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether this is a prefix, as opposed to an object: the key is empty or ends in `/`. Web
    /// servers have no prefixes.
    pub fn is_prefix(&self) -> bool {
        !self.is_web() && (self.key.is_empty() || self.key.ends_with('/'))
    }

    /// The last component of the key, without a `/` at its end. `None` for a whole bucket.
    pub fn file_name(&self) -> Option<&str> {
        let name = self.trimmed_key().rsplit('/').next().unwrap_or_default();
        (!name.is_empty()).then_some(name)
    }

    /// The URL of `relative` below this one, with one `/` between them.
    ///
    /// # Errors
    ///
    /// If `relative` is absolute, contains `..` or is not UTF-8, or if the key would be too long
    /// or have control characters.
    pub fn join(&self, relative: &Path) -> Result<Self, UrlError> {
        let mut key = self.key.clone();
        for component in relative.components() {
            let name = match component {
                Component::CurDir => continue,
                Component::Normal(name) => name.to_str(),
                _ => return Err(self.error_below(relative, UrlProblem::NotBelow)),
            };
            if !key.is_empty() && !key.ends_with('/') {
                key.push('/');
            }
            key += name.ok_or_else(|| self.error_below(relative, UrlProblem::NotUtf8))?;
        }
        self.with_key(key)
    }

    /// The URL with `suffix` after the last component, such as `.enc`. A `/` at the end goes.
    ///
    /// # Errors
    ///
    /// If this is a whole bucket, or the key would be too long.
    pub fn with_suffix(&self, suffix: &str) -> Result<Self, UrlError> {
        if self.key.is_empty() {
            return Err(UrlError { url: self.to_string(), problem: UrlProblem::NoKey });
        }
        self.with_key(self.trimmed_key().to_owned() + suffix)
    }

    /// The URL without `suffix`, which the last component has to end in, and begin with something
    /// else.
    pub fn without_suffix(&self, suffix: &str) -> Option<Self> {
        let name = self.file_name()?.strip_suffix(suffix)?;
        let parent = self.trimmed_key().strip_suffix(self.file_name()?)?;
        (!name.is_empty()).then(|| self.with_key(format!("{parent}{name}")).ok())?
    }

    /// The prefix of what is below this URL: with a `/` at the end, unless it is a whole bucket.
    #[must_use]
    pub fn to_prefix(&self) -> Self {
        let slash = if self.is_prefix() { "" } else { "/" };
        Self { key: format!("{}{slash}", self.key), ..self.clone() }
    }

    /// The URL of another object in the bucket, with a key that the store has told.
    ///
    /// # Errors
    ///
    /// If it is empty, or not allowed.
    pub fn at(&self, key: &str) -> Result<Self, UrlError> {
        if key.is_empty() {
            return Err(UrlError { url: self.to_string(), problem: UrlProblem::NoKey });
        }
        self.with_key(key.to_owned())
    }

    fn trimmed_key(&self) -> &str {
        self.key.strip_suffix('/').unwrap_or(&self.key)
    }

    fn with_key(&self, key: String) -> Result<Self, UrlError> {
        let url = Self { key, ..self.clone() };
        match check_key(&url.key) {
            Ok(()) => Ok(url),
            Err(problem) => Err(UrlError { url: url.to_string(), problem }),
        }
    }

    fn error_below(&self, relative: &Path, problem: UrlProblem) -> UrlError {
        let slash = if self.is_prefix() { "" } else { "/" };
        UrlError { url: format!("{self}{slash}{}", relative.display()), problem }
    }
}

/// The URL as it was typed, with the scheme in lower case, a `/` after the bucket, and `…` in place
/// of a query.
impl fmt::Display for ObjectUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let query = if self.query.0.is_some() { "?…" } else { "" };
        write!(f, "{}://{}/{}{query}", self.scheme.as_str(), self.bucket, self.key)
    }
}

/// Liberal, since other stores have other rules than S3: what could change the meaning of a
/// request is refused, and the store judges the rest.
fn check_bucket(bucket: &[u8]) -> Result<(), UrlProblem> {
    let is_allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b".-_".contains(byte);
    if bucket.is_empty() {
        Err(UrlProblem::NoBucket)
    } else if bucket.contains(&b':') {
        Err(UrlProblem::BucketColon)
    } else if bucket.len() > MAX_BUCKET_LEN
        || !bucket.iter().all(is_allowed)
        || !bucket.iter().any(u8::is_ascii_alphanumeric)
    {
        Err(UrlProblem::Bucket)
    } else {
        Ok(())
    }
}

fn check_key(key: &str) -> Result<(), UrlProblem> {
    if key.len() > MAX_KEY_LEN {
        return Err(UrlProblem::KeyTooLong(key.len()));
    }
    if let Some(control) = key.chars().find(char::is_ascii_control) {
        return Err(UrlProblem::Control(control));
    }
    if key.is_empty() {
        return Ok(());
    }
    for component in key.strip_suffix('/').unwrap_or(key).split('/') {
        match component {
            "" => return Err(UrlProblem::EmptyComponent),
            "." | ".." => return Err(UrlProblem::DotComponent),
            _ => {}
        }
    }
    Ok(())
}

/// A URL that cannot be used, and why. The message begins with the URL, without credentials that
/// were typed into it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{url}: {problem}")]
pub struct UrlError {
    url: String,
    problem: UrlProblem,
}

impl UrlError {
    /// What is wrong with the URL.
    pub fn problem(&self) -> UrlProblem {
        self.problem
    }
}

/// What is wrong with a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlProblem {
    /// It is a path.
    #[error("is not the URL of an object")]
    NoUrl,
    /// This crate does not support the scheme.
    #[error("{}:// is not the URL of an object", .0.as_str())]
    Scheme(Scheme),
    /// Nothing stands between `s3://` and the key.
    #[error("has no bucket (s3://BUCKET/KEY)")]
    NoBucket,
    /// What follows the `@` is no account of Azure.
    #[error("names no account of Azure (abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/KEY)")]
    Account,
    /// There is something before an `@`.
    #[error("has credentials before the bucket, which belong into the environment or a profile")]
    Credentials,
    /// The bucket contains a colon, as the address of a server or an ARN does.
    #[error(
        "has a colon in the bucket; AWS_ENDPOINT_URL sets the address of a server, \
         and an access point is named by its alias"
    )]
    BucketColon,
    /// There is no web server between `https://` and the path, or its name is impossible.
    #[error("has no valid name of a server")]
    Server,
    /// A URL of the web contains a space or a character that is not in ASCII.
    #[error("has a character that is not allowed in URLs, and has to be written with %")]
    NotEscaped,
    /// A `file://` URL with the name of a machine.
    #[error("names a file on another machine")]
    OtherMachine,
    /// A web server elsewhere, without TLS.
    #[error("is not protected on the way; http:// is supported for this machine only (localhost)")]
    NoTls,
    /// No store allows such a name of a bucket.
    #[error("has an invalid bucket: allowed are up to 255 letters, digits, `.`, `-` and `_`")]
    Bucket,
    /// It has to name an object, and names a bucket.
    #[error("names a bucket, not an object")]
    NoKey,
    /// The key is longer than [`MAX_KEY_LEN`]. Contains the length in bytes.
    #[error("has a key of {0} bytes; stores allow {MAX_KEY_LEN}")]
    KeyTooLong(usize),
    /// The key has an ASCII control character, such as a newline.
    #[error("has the control character U+{:04X} in its key, which cannot be sent", u32::from(*.0))]
    Control(char),
    /// The key begins with `/`, contains `//`, or ends in it.
    #[error("has an empty component in its key (two slashes in succession), which cannot be sent")]
    EmptyComponent,
    /// A component of the key is `.` or `..`.
    #[error("has a component `.` or `..` in its key, which cannot be sent")]
    DotComponent,
    /// A path that is not below the URL.
    #[error("leads out of the prefix")]
    NotBelow,
    /// The bucket or the key is not UTF-8.
    #[error("is not UTF-8, as keys must be")]
    NotUtf8,
}

#[cfg(test)]
mod tests;
