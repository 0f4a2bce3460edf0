//! The stores that objects are in.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cryptstream_engine::ObjectErrorKind;
use object_store::aws::{AmazonS3, AwsCredentialProvider};
use object_store::list::PaginatedListStore;
use object_store::multipart::MultipartStore;
use object_store::{BackoffConfig, ObjectStore, RetryConfig};

use super::azure::AzureContainer;
use super::azure_settings;
use super::client::connector;
use super::counter::Counter;
use super::credentials::Credentials;
use super::google::{Google, GoogleBucket};
use super::http::Connector;
use super::settings::{RetryLimits, Settings, SettingsError};
use super::translate::translate;
use crate::protocol::Location;
use crate::url::Scheme;

/// How long content may fail to come before it is asked for again.
pub(super) const STALL_TIME: Duration = Duration::from_secs(30);
/// How often content is asked for again that does not come.
pub(super) const MAX_STALLS: usize = 5;

/// A bucket, or what a store calls so.
#[derive(Clone, Debug)]
pub(super) enum Bucket {
    S3 {
        /// For objects that may be replaced.
        replacing: Arc<AmazonS3>,
        /// For those that may not.
        keeping: Arc<AmazonS3>,
    },
    Google(GoogleBucket),
    Azure(AzureContainer),
}

impl Bucket {
    pub(super) fn objects(&self) -> &dyn ObjectStore {
        match self {
            Self::S3 { replacing, .. } => &**replacing,
            Self::Google(bucket) => &*bucket.store,
            Self::Azure(container) => &*container.store,
        }
    }

    pub(super) fn uploads(&self) -> &dyn MultipartStore {
        match self {
            Self::S3 { replacing, .. } => &**replacing,
            Self::Google(bucket) => &*bucket.store,
            Self::Azure(container) => &*container.store,
        }
    }

    pub(super) fn pages(&self) -> &dyn PaginatedListStore {
        match self {
            Self::S3 { replacing, .. } => &**replacing,
            Self::Google(bucket) => &*bucket.store,
            Self::Azure(container) => &*container.store,
        }
    }
}

/// All buckets that were used.
#[derive(Debug)]
pub(super) struct Stores {
    settings: Settings,
    pub(super) connector: Connector,
    /// Those of AWS that do not come from the machine in the cloud.
    credentials: Option<Arc<Credentials>>,
    google: Result<Google, SettingsError>,
    buckets: Mutex<HashMap<(Scheme, String), Bucket>>,
}

impl Stores {
    /// Reads the files that are needed.
    pub(super) fn new(settings: Settings, counter: &Arc<Counter>) -> Result<Self, SettingsError> {
        let connector = connector(&settings, counter)?;
        let credentials = Credentials::new(&settings, &connector).map(Arc::new);
        let google = Google::new(&settings, &connector);
        Ok(Self { settings, connector, credentials, google, buckets: Mutex::default() })
    }

    /// Uses new credentials, or new tokens to get some.
    pub(super) fn renew(&self, values: Vec<(String, String)>) {
        if let Some(credentials) = &self.credentials {
            credentials.renew(values);
        }
    }

    /// The folder of a token that is read again when credentials for Azure expire.
    pub(super) fn token_folder(&self) -> Option<PathBuf> {
        self.settings.token_folder()
    }

    /// The storage class of new objects, if it is not that of the bucket. The setting is one of
    /// S3.
    pub(super) fn storage_class(&self, scheme: Scheme) -> Option<&str> {
        self.settings.storage_class().filter(|_| scheme == Scheme::S3)
    }

    pub(super) fn connector(&self) -> &Connector {
        &self.connector
    }

    pub(super) fn bucket(&self, location: &Location) -> Result<Bucket, SettingsError> {
        let (scheme, name) = (location.scheme, location.bucket.as_str());
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (scheme, name.to_owned());
        if let Some(bucket) = buckets.get(&key) {
            return Ok(bucket.clone());
        }
        let bucket = match scheme {
            Scheme::S3 => Bucket::S3 {
                replacing: self.s3(name, self.connector.clone(), None)?,
                keeping: self.s3(name, self.connector.keeping_existing(), None)?,
            },
            Scheme::Gs => {
                let google = self.google.as_ref().map_err(Clone::clone)?;
                let connector = match google.is_http_allowed() {
                    true => self.connector.allowing_http(),
                    false => self.connector.clone(),
                };
                Bucket::Google(google.bucket(name, self.retry(), connector)?)
            }
            Scheme::Az | Scheme::Abfs | Scheme::Abfss => Bucket::Azure(azure_settings::container(
                &self.settings,
                name,
                self.retry(),
                self.connector.clone(),
            )?),
            Scheme::Https | Scheme::Http | Scheme::File => {
                let message = "a web server can only be read".to_owned();
                return Err((ObjectErrorKind::Unsupported, message));
            }
        };
        buckets.insert(key, bucket.clone());
        Ok(bucket)
    }

    /// The bucket of S3 for an upload in parts that replaces the object with this ETag and no
    /// other.
    pub(super) fn replacing_only(
        &self,
        name: &str,
        etag: &str,
        like: &AmazonS3,
    ) -> Result<Arc<AmazonS3>, SettingsError> {
        let connector = self
            .connector
            .replacing_only(etag)
            .ok_or_else(|| (ObjectErrorKind::Other, "an ETag that cannot be sent".to_owned()))?;
        self.s3(name, connector, Some(like.credentials()))
    }

    fn s3(
        &self,
        name: &str,
        connector: Connector,
        credentials: Option<&AwsCredentialProvider>,
    ) -> Result<Arc<AmazonS3>, SettingsError> {
        let mut builder =
            self.settings.s3(name)?.with_retry(self.retry()).with_http_connector(connector);
        if let Some(credentials) = credentials {
            builder = builder.with_credentials(Arc::clone(credentials));
        } else if let Some(credentials) = &self.credentials {
            builder = builder.with_credentials(Arc::clone(credentials) as AwsCredentialProvider);
        }
        builder.build().map(Arc::new).map_err(|error| translate(&error))
    }

    fn retry(&self) -> RetryConfig {
        let RetryLimits { max_retries, time } = self.settings.retries();
        RetryConfig { backoff: BackoffConfig::default(), max_retries, retry_timeout: time }
    }
}
