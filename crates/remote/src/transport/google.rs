//! Buckets of Google Cloud Storage, and the settings for them.

use std::sync::Arc;

use cryptstream_engine::ObjectErrorKind;
use object_store::gcp::{GcpCredential, GcpCredentialProvider};
use object_store::gcp::{GoogleCloudStorage, GoogleCloudStorageBuilder};
use object_store::path::Path;
use object_store::{ClientOptions, RetryConfig, StaticCredentialProvider};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::http::Connector;
use super::settings::{Settings, SettingsError};
use super::translate::translate;

const GOOGLE: &str = "https://storage.googleapis.com";
/// Access tokens, as several programs call them.
const TOKENS: [&str; 3] =
    ["google_bearer_token", "google_oauth_access_token", "cloudsdk_auth_access_token"];
/// A service account as JSON.
const KEYS: [&str; 2] = ["google_service_account_key", "google_credentials_json"];
/// The file of a service account, or of a login with gcloud.
const FILES: [&str; 4] = [
    "google_application_credentials",
    "google_service_account",
    "google_service_account_path",
    "google_default_credentials",
];

/// A bucket.
#[derive(Clone, Debug)]
pub(super) struct GoogleBucket {
    pub(super) store: Arc<GoogleCloudStorage>,
    url: String,
}

impl GoogleBucket {
    /// The URL of an object, or of the bucket if the path is empty, and the token for it.
    pub(super) async fn place(&self, path: &Path) -> Result<(String, String), SettingsError> {
        let credential = self.store.credentials().get_credential().await;
        let token = credential.map_err(|error| translate(&error))?.bearer.clone();
        let key = utf8_percent_encode(path.as_ref(), NON_ALPHANUMERIC);
        let slash = if path.as_ref().is_empty() { "" } else { "/" };
        Ok((format!("{}{slash}{key}", self.url), token))
    }
}

/// How buckets are reached.
#[derive(Debug)]
pub(super) struct Google {
    base: String,
    credentials: GcpCredentialProvider,
    is_anonymous: bool,
}

impl Google {
    /// Reads the files that the settings name.
    pub(super) fn new(settings: &Settings, connector: &Connector) -> Result<Self, SettingsError> {
        let emulator = settings.get(&["storage_emulator_host"]).map(|host| match host {
            host if host.contains("://") => host.to_owned(),
            host => format!("http://{host}"),
        });
        let named = settings.get(&["google_base_url"]).map(str::to_owned);
        let base = named.or(emulator).unwrap_or_else(|| GOOGLE.to_owned());
        let base = base.trim_end_matches('/').to_owned();
        if !["http://", "https://"].iter().any(|scheme| base.starts_with(scheme)) {
            return Err(wrong("GOOGLE_BASE_URL does not begin with https:// or http://"));
        }
        // The login of the user is not for an emulator.
        let is_emulator = settings.get(&["storage_emulator_host"]).is_some();
        let has_no_credentials = settings.get(&TOKENS).is_none()
            && settings.get(&KEYS).is_none()
            && settings.get(&FILES[..3]).is_none();
        let is_anonymous = settings.get(&["google_skip_signature"]).is_some_and(|it| it == "true")
            || is_emulator && has_no_credentials;
        let credentials: GcpCredentialProvider = if is_anonymous {
            Arc::new(StaticCredentialProvider::new(GcpCredential { bearer: String::new() }))
        } else {
            // The name does not matter to credentials.
            let mut builder = builder(&base, "bucket").with_http_connector(connector.clone());
            let mut source = "the metadata service";
            if let Some(token) = settings.get(&TOKENS) {
                (builder, source) = (builder.with_bearer_token(token), "the token");
            } else if let Some(key) = settings.get(&KEYS) {
                source = "GOOGLE_SERVICE_ACCOUNT_KEY";
                builder = builder.with_service_account_key(key);
            } else if let Some(file) = settings.get(&FILES) {
                source = file;
                check_file(file)?;
                builder = builder.with_application_credentials(file);
            }
            // The parser's own words might show a part of the key.
            let failed = |_| {
                wrong(&format!("{source} holds neither a service account nor a login with gcloud"))
            };
            Arc::clone(builder.build().map_err(failed)?.credentials())
        };
        Ok(Self { base, credentials, is_anonymous })
    }

    pub(super) fn bucket(
        &self,
        name: &str,
        retry: RetryConfig,
        connector: Connector,
    ) -> Result<GoogleBucket, SettingsError> {
        let store = builder(&self.base, name)
            .with_credentials(Arc::clone(&self.credentials))
            .with_skip_signature(self.is_anonymous)
            .with_retry(retry)
            .with_http_connector(connector)
            .build()
            .map_err(|error| translate(&error))?;
        let url = format!("{}/{}", self.base, utf8_percent_encode(name, NON_ALPHANUMERIC));
        Ok(GoogleBucket { store: Arc::new(store), url })
    }

    /// Whether the user has named a server that has no TLS.
    pub(super) fn is_http_allowed(&self) -> bool {
        self.base.starts_with("http://")
    }
}

fn builder(base: &str, bucket: &str) -> GoogleCloudStorageBuilder {
    let options = ClientOptions::new().with_allow_http(base.starts_with("http://"));
    GoogleCloudStorageBuilder::new()
        .with_base_url(base)
        .with_bucket_name(bucket)
        .with_client_options(options)
}

/// Whether the file with credentials can be read, and is of a supported kind.
fn check_file(path: &str) -> Result<(), SettingsError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| wrong(&format!("the credentials in '{path}' cannot be read: {error}")))?;
    let text = zeroize::Zeroizing::new(text);
    #[derive(serde::Deserialize)]
    struct Kind {
        r#type: String,
    }
    match serde_json::from_str::<Kind>(&text) {
        Ok(Kind { r#type }) if ["service_account", "authorized_user"].contains(&&*r#type) => Ok(()),
        Ok(Kind { r#type }) if r#type.len() < 64 => Err(wrong(&format!(
            "the credentials in '{path}' are of the type {type}, which is not supported; use a \
             service account, `gcloud auth application-default login`, or \
             GOOGLE_OAUTH_ACCESS_TOKEN=$(gcloud auth print-access-token)"
        ))),
        _ => Err(wrong(&format!("'{path}' holds no credentials of Google Cloud"))),
    }
}

fn wrong(message: &str) -> SettingsError {
    (ObjectErrorKind::Settings, message.to_owned())
}
