//! The settings of stores, as they come from the environment and from the command line.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use cryptstream_engine::ObjectErrorKind;
use object_store::ClientOptions;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};

/// Why there can be no store.
pub(super) type SettingsError = (ObjectErrorKind, String);

/// How long a request is repeated before it is given up.
const RETRY_TIME: Duration = Duration::from_secs(120);
const MAX_RETRIES: usize = 8;

/// Where machines in the cloud are asked for credentials by IPv6.
const METADATA_SERVICE_IPV6: &str = "http://[fd00:ec2::254]";

/// How often and how long a request is repeated before it is given up.
#[derive(Clone, Copy, Debug)]
pub(super) struct RetryLimits {
    pub(super) max_retries: usize,
    pub(super) time: Duration,
}

/// The settings, by name in lower case.
#[derive(Debug)]
pub(super) struct Settings {
    values: BTreeMap<String, String>,
    /// Certificates of authorities to trust besides the system's.
    certificates: Vec<u8>,
}

impl Settings {
    /// Also reads the files that they name.
    pub(super) fn read(settings: Vec<(String, String)>) -> Result<Self, SettingsError> {
        let values: BTreeMap<_, _> =
            settings.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
        let bundle = values.get("aws_ca_bundle");
        let certificates = match bundle.map(|path| (path, std::fs::read(path))) {
            None => Vec::new(),
            Some((_, Ok(bytes))) => bytes,
            Some((path, Err(error))) => {
                let message = format!("the certificates in '{path}' cannot be read: {error}");
                return Err((ObjectErrorKind::Settings, message));
            }
        };
        Ok(Self { values, certificates })
    }

    pub(super) fn get(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.values.get(*name)).map(String::as_str)
    }

    /// Where the machine in the cloud is asked for credentials, if the user says where.
    pub(super) fn metadata_service(&self) -> Option<&str> {
        let is_ipv6 = self
            .get(&["aws_ec2_metadata_service_endpoint_mode"])
            .is_some_and(|mode| mode.eq_ignore_ascii_case("ipv6"));
        self.get(&["aws_ec2_metadata_service_endpoint", "aws_metadata_endpoint"])
            .map(|url| url.trim_end_matches('/'))
            .or(is_ipv6.then_some(METADATA_SERVICE_IPV6))
    }

    /// Those whose names begin with this.
    pub(super) fn of(&self, prefix: &str) -> impl Iterator<Item = (&str, &str)> {
        let is_of = move |(name, _): &(&String, &String)| name.starts_with(prefix);
        self.values.iter().filter(is_of).map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The folder of the token that is exchanged for credentials of Azure, and is read again when
    /// these expire.
    pub(super) fn token_folder(&self) -> Option<PathBuf> {
        let file = self.get(&["azure_federated_token_file"])?;
        PathBuf::from(file).parent().map(PathBuf::from)
    }

    /// Certificates of authorities to trust besides the system's, in PEM.
    pub(super) fn certificates(&self) -> &[u8] {
        &self.certificates
    }

    fn endpoint(&self) -> Option<&str> {
        let names = ["aws_endpoint_url_s3", "aws_endpoint_url", "aws_endpoint", "endpoint"];
        self.get(&names)
    }

    /// Whether the user has named a server that has no TLS, and does not want TLS all the same.
    pub(super) fn is_http_allowed(&self) -> bool {
        self.get(&["aws_allow_http"]) != Some("false")
            && self.endpoint().is_some_and(|endpoint| endpoint.starts_with("http://"))
    }

    /// How often and how long a request is repeated.
    pub(super) fn retries(&self) -> RetryLimits {
        let attempts =
            self.number("aws_max_attempts").and_then(|number| usize::try_from(number).ok());
        let time = self.number("aws_retry_timeout").map(Duration::from_secs);
        RetryLimits {
            max_retries: attempts.map_or(MAX_RETRIES, |attempts| attempts.saturating_sub(1)),
            time: time.unwrap_or(RETRY_TIME),
        }
    }

    /// A time in seconds.
    pub(super) fn time(&self, name: &str) -> Option<Duration> {
        self.number(name).map(Duration::from_secs)
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.get(&[name])?.parse().ok()
    }

    /// The storage class of new objects.
    pub(super) fn storage_class(&self) -> Option<&str> {
        self.get(&["aws_storage_class"])
    }

    /// The endpoint, with the bucket in the name of the server if that is wanted.
    fn endpoint_of(&self, bucket: &str, endpoint: &str) -> Result<String, SettingsError> {
        let Some((scheme, server)) =
            endpoint.split_once("://").filter(|(scheme, _)| ["http", "https"].contains(scheme))
        else {
            let message = "the endpoint does not begin with https:// or http://".to_owned();
            return Err((ObjectErrorKind::Settings, message));
        };
        if scheme == "http" && !self.is_http_allowed() {
            let message = "the endpoint has no TLS (http://), and allow-http is false".to_owned();
            return Err((ObjectErrorKind::Settings, message));
        }
        Ok(match self.get(&["aws_virtual_hosted_style_request"]) {
            Some("true") => format!("{scheme}://{bucket}.{server}"),
            _ => endpoint.to_owned(),
        })
    }

    /// A store of S3 with these settings.
    pub(super) fn s3(&self, bucket: &str) -> Result<AmazonS3Builder, SettingsError> {
        let mut builder = AmazonS3Builder::new();
        for (name, value) in &self.values {
            match name.parse::<AmazonS3ConfigKey>() {
                // They are set below.
                Ok(AmazonS3ConfigKey::Endpoint | AmazonS3ConfigKey::S3Endpoint) | Err(_) => {}
                Ok(key) => builder = builder.with_config(key, value),
            }
        }
        // No variable names another bucket than the user has.
        builder = builder.with_bucket_name(bucket);
        if let Some(endpoint) = self.endpoint() {
            builder = builder.with_endpoint(self.endpoint_of(bucket, endpoint)?);
        }
        if let Some(url) = self.metadata_service() {
            builder = builder.with_metadata_endpoint(url);
        }
        if let Some(key) = self.get(&["aws_sse_kms_key_id"])
            && self.get(&["aws_server_side_encryption"]).is_none()
        {
            // Without this, the key would not be used.
            builder = builder.with_sse_kms_encryption(key);
        }
        if let Some(region) = self.get(&["aws_region", "aws_default_region", "region"]) {
            builder = builder.with_region(region);
        }
        // TLS protects the content already; without it the signature does.
        Ok(builder
            .with_unsigned_payload(
                self.get(&["aws_unsigned_payload"])
                    .map_or(!self.is_http_allowed(), |value| value == "true"),
            )
            .with_client_options(ClientOptions::new().with_allow_http(self.is_http_allowed())))
    }
}
