//! The options of stores: their names, what their values may be, and which source of them counts.

mod sources;
mod value;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;

use zeroize::Zeroizing;

pub use sources::StoreSources;
pub use value::StoreValueError;

use value::Kind;

/// An option of a store, which flags, the environment and the configuration file can set.
#[derive(Debug)]
pub struct StoreOption {
    /// Its name, as the configuration file has it.
    pub name: &'static str,
    /// Other names, which object stores and other programs use. Those after `!` mean the opposite.
    aliases: &'static [&'static str],
    /// The variables that set it. The first one that is set counts; the transport gets the value
    /// under the name of the first.
    variables: &'static [&'static str],
    kind: Kind,
}

/// All options.
pub static STORE_OPTIONS: [StoreOption; 25] = [
    option("endpoint", &["endpoint-url", "endpoint-url-s3", "url"], &ENDPOINT, Kind::Url),
    option("region", &["default-region"], &["AWS_REGION", "AWS_DEFAULT_REGION"], Kind::Word),
    option("profile", &[], &["AWS_DEFAULT_PROFILE", "AWS_PROFILE"], Kind::Text),
    option("access-key-id", &["access-key"], &[KEYS[0]], Kind::Secret),
    option("secret-access-key", &["secret-key", "secret"], &[KEYS[1]], Kind::Secret),
    option("session-token", &["token", "security-token"], &[KEYS[2], KEYS[3]], Kind::Secret),
    option(
        "skip-signature",
        &["anonymous", "no-sign-request", "anon"],
        &["AWS_SKIP_SIGNATURE"],
        Kind::Switch,
    ),
    option(
        "virtual-host",
        &[
            "virtual-hosted-style",
            "virtual-hosted-style-request",
            "!path-style",
            "!force-path-style",
        ],
        &["AWS_VIRTUAL_HOSTED_STYLE_REQUEST"],
        Kind::Switch,
    ),
    option("request-payer", &["requester-pays"], &["AWS_REQUEST_PAYER"], Kind::Payer),
    option("allow-http", &[], &["AWS_ALLOW_HTTP"], Kind::Switch),
    option("ca-bundle", &["ssl-cert-file"], &["AWS_CA_BUNDLE", "SSL_CERT_FILE"], Kind::Path),
    option("proxy", &["proxy-url", "https-proxy"], &PROXY, Kind::Proxy),
    option("no-proxy", &["proxy-excludes"], &["NO_PROXY", "no_proxy"], Kind::Text),
    option("sse", &["server-side-encryption"], &["AWS_SERVER_SIDE_ENCRYPTION"], ENCRYPTIONS),
    option("sse-kms-key-id", &["kms-key-id"], &["AWS_SSE_KMS_KEY_ID"], Kind::Word),
    option(
        "sse-bucket-key",
        &["sse-bucket-key-enabled", "bucket-key-enabled"],
        &["AWS_SSE_BUCKET_KEY_ENABLED"],
        Kind::Switch,
    ),
    option("storage-class", &[], &["AWS_STORAGE_CLASS"], Kind::Word),
    option(
        "checksum-algorithm",
        &["checksum"],
        &["AWS_CHECKSUM_ALGORITHM"],
        Kind::OneOf(&["sha256", "crc64nvme"]),
    ),
    option("unsigned-payload", &[], &["AWS_UNSIGNED_PAYLOAD"], Kind::Switch),
    option("max-attempts", &[], &["AWS_MAX_ATTEMPTS"], Kind::Number { max: 100 }),
    option("retry-timeout", &[], &["AWS_RETRY_TIMEOUT"], Kind::Seconds),
    option("connect-timeout", &[], &["AWS_CONNECT_TIMEOUT"], Kind::Seconds),
    option("timeout", &["read-timeout", "request-timeout"], &["AWS_TIMEOUT"], Kind::Seconds),
    option("sts-endpoint", &["endpoint-url-sts"], &["AWS_ENDPOINT_URL_STS"], Kind::Url),
    option(
        "ec2-metadata-disabled",
        &["imds-disabled"],
        &["AWS_EC2_METADATA_DISABLED"],
        Kind::Switch,
    ),
];

/// The options that also concern web servers.
const WEB: [&str; 7] = [
    "ca-bundle",
    "connect-timeout",
    "max-attempts",
    "no-proxy",
    "proxy",
    "retry-timeout",
    "timeout",
];
const ENDPOINT: [&str; 3] = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"];
/// The variables of credentials.
const KEYS: [&str; 4] =
    ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"];
/// The first name is not one of the environment: it stands for all others.
const PROXY: [&str; 7] = [
    "CRYPTSTREAM_STORE_PROXY",
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
];
const ENCRYPTIONS: Kind = Kind::OneOf(&["AES256", "aws:kms", "aws:kms:dsse"]);

const fn option(
    name: &'static str,
    aliases: &'static [&'static str],
    variables: &'static [&'static str],
    kind: Kind,
) -> StoreOption {
    StoreOption { name, aliases, variables, kind }
}

impl StoreOption {
    /// The option with this name, or one of its other names. Capitals, underscores for hyphens and a
    /// prefix `aws_` do not matter. Also returns whether the name means the opposite.
    fn find(name: &str) -> Option<(&'static Self, bool)> {
        let name = name.to_ascii_lowercase().replace('_', "-");
        let name = name.strip_prefix("aws-").unwrap_or(&name);
        let is_it = |alias: &&&str| alias.strip_prefix('!').unwrap_or(alias) == name;
        STORE_OPTIONS.iter().find_map(|option| {
            if option.name == name {
                return Some((option, false));
            }
            option.aliases.iter().find(is_it).map(|alias| (option, alias.starts_with('!')))
        })
    }

    /// Whether it also concerns web servers.
    fn is_of_web(&self) -> bool {
        WEB.contains(&self.name)
    }

    /// The variable of the environment that sets it, and its value, unless that is a secret.
    pub fn in_environment(
        &self,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Option<(&'static str, Option<String>)> {
        let found = self.variables.iter().find_map(|name| {
            let value = variable(name).filter(|value| !value.is_empty())?;
            Some((*name, value.to_string_lossy().into_owned()))
        });
        let (name, value) = found?;
        let is_shown = !self.is_secret() && !value::has_password(&value);
        Some((name, is_shown.then_some(value)))
    }

    /// Whether nobody else may see its value.
    pub fn is_secret(&self) -> bool {
        matches!(self.kind, Kind::Secret)
    }
}

/// Whether no option is set by the variable `name`, nor a credential or the name of a profile.
pub fn is_no_option(name: &str) -> bool {
    STORE_OPTIONS.iter().all(|option| !option.variables.contains(&name))
}

/// What one source, a command line or a configuration file, says of stores.
#[derive(Clone, Default)]
pub struct StoreOptions(BTreeMap<&'static str, Zeroizing<String>>);

/// Why an option cannot be set.
#[derive(Debug)]
pub enum StoreOptionError {
    /// There is no such option.
    Unknown,
    /// The option has been set before. Contains its name.
    Twice(&'static str),
    /// The value is not valid for the option with this name.
    Value(&'static str, StoreValueError),
}

impl StoreOptions {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Sets an option. Returns it, and whether the value is a secret.
    ///
    /// # Errors
    ///
    /// If there is no such option, if it is set already, or if the value is not valid.
    pub fn set(
        &mut self,
        name: &str,
        value: &str,
    ) -> Result<(&'static StoreOption, bool), StoreOptionError> {
        let (option, is_opposite) = StoreOption::find(name).ok_or(StoreOptionError::Unknown)?;
        let value = option
            .kind
            .normalized(value, is_opposite)
            .map_err(|error| StoreOptionError::Value(option.name, error))?;
        let is_secret = option.is_secret() || value::has_password(&value);
        if self.0.contains_key(option.name) {
            return Err(StoreOptionError::Twice(option.name));
        }
        self.0.insert(option.name, Zeroizing::new(value));
        Ok((option, is_secret))
    }

    /// The value of the option with this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.as_str())
    }
}

/// Without the values, which may be secret.
impl fmt::Debug for StoreOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
