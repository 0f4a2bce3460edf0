//! The settings of stores, as they come from the environment and from the command line.

use std::collections::BTreeMap;
use std::path::PathBuf;

use cryptstream_engine::ObjectErrorKind;
use object_store::ClientOptions;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};

/// Why there can be no store.
pub(super) type SettingsError = (ObjectErrorKind, String);

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
        let bundle = values.get("aws_ca_bundle").or_else(|| values.get("ssl_cert_file"));
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

    /// The folder of the token that is exchanged for credentials, which is read again when they
    /// expire.
    pub(super) fn token_folder(&self) -> Option<PathBuf> {
        let file = self.get(&["aws_web_identity_token_file"])?;
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

    /// Whether the user has named a server that has no TLS.
    pub(super) fn is_http_allowed(&self) -> bool {
        self.endpoint().is_some_and(|endpoint| endpoint.starts_with("http://"))
    }

    /// A store of S3 with these settings.
    pub(super) fn s3(&self, bucket: &str) -> Result<AmazonS3Builder, SettingsError> {
        let mut builder = AmazonS3Builder::new().with_bucket_name(bucket);
        for (name, value) in &self.values {
            if let Ok(key) = name.parse::<AmazonS3ConfigKey>() {
                builder = builder.with_config(key, value);
            }
        }
        if let Some(endpoint) = self.endpoint() {
            if !["http://", "https://"].iter().any(|scheme| endpoint.starts_with(scheme)) {
                let message = "the endpoint does not begin with https:// or http://".to_owned();
                return Err((ObjectErrorKind::Settings, message));
            }
            builder = builder.with_endpoint(endpoint);
        }
        if let Some(region) = self.get(&["aws_region", "aws_default_region", "region"]) {
            builder = builder.with_region(region);
        }
        // TLS protects the content already; without it the signature does.
        Ok(builder
            .with_unsigned_payload(!self.is_http_allowed())
            .with_client_options(ClientOptions::new().with_allow_http(self.is_http_allowed())))
    }
}
