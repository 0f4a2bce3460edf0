//! The stores that objects are in.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cryptstream_engine::ObjectErrorKind;
use object_store::aws::{AmazonS3, AwsCredentialProvider};
use object_store::{BackoffConfig, RetryConfig};

use super::client::connector;
use super::counter::Counter;
use super::credentials::Credentials;
use super::http::Connector;
use super::settings::{RetryLimits, Settings, SettingsError};
use super::translate::translate;

/// How long content may fail to come before it is asked for again.
pub(super) const STALL_TIME: Duration = Duration::from_secs(30);
/// How often content is asked for again that does not come.
pub(super) const MAX_STALLS: usize = 5;

/// A bucket: for objects that may be replaced, and for those that may not.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    pub(super) replacing: Arc<AmazonS3>,
    pub(super) keeping: Arc<AmazonS3>,
}

/// All buckets that were used.
#[derive(Debug)]
pub(super) struct Stores {
    settings: Settings,
    pub(super) connector: Connector,
    /// Those that do not come from the machine in the cloud.
    credentials: Option<Arc<Credentials>>,
    buckets: Mutex<HashMap<String, Bucket>>,
}

impl Stores {
    pub(super) fn new(settings: Settings, counter: &Arc<Counter>) -> Result<Self, SettingsError> {
        let connector = connector(&settings, counter)?;
        let credentials = Credentials::new(&settings, &connector).map(Arc::new);
        Ok(Self { settings, connector, credentials, buckets: Mutex::default() })
    }

    /// Uses new credentials, or new tokens to get some.
    pub(super) fn renew(&self, values: Vec<(String, String)>) {
        if let Some(credentials) = &self.credentials {
            credentials.renew(values);
        }
    }

    /// The storage class of new objects, if it is not that of the bucket.
    pub(super) fn storage_class(&self) -> Option<&str> {
        self.settings.storage_class()
    }

    pub(super) fn connector(&self) -> &Connector {
        &self.connector
    }

    pub(super) fn bucket(&self, name: &str) -> Result<Bucket, SettingsError> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = buckets.get(name) {
            return Ok(bucket.clone());
        }
        let bucket = Bucket {
            replacing: self.build(name, self.connector.clone(), None)?,
            keeping: self.build(name, self.connector.keeping_existing(), None)?,
        };
        buckets.insert(name.to_owned(), bucket.clone());
        Ok(bucket)
    }

    /// The bucket for an upload in parts that replaces the object with this ETag and no other.
    pub(super) fn replacing_only(
        &self,
        name: &str,
        etag: &str,
    ) -> Result<Arc<AmazonS3>, SettingsError> {
        let bucket = self.bucket(name)?;
        let connector = self
            .connector
            .replacing_only(etag)
            .ok_or_else(|| (ObjectErrorKind::Other, "an ETag that cannot be sent".to_owned()))?;
        self.build(name, connector, Some(bucket.replacing.credentials()))
    }

    fn build(
        &self,
        name: &str,
        connector: Connector,
        credentials: Option<&AwsCredentialProvider>,
    ) -> Result<Arc<AmazonS3>, SettingsError> {
        let RetryLimits { max_retries, time } = self.settings.retries();
        let backoff = BackoffConfig::default();
        let retry = RetryConfig { backoff, max_retries, retry_timeout: time };
        let mut builder = self.settings.s3(name)?.with_retry(retry).with_http_connector(connector);
        if let Some(credentials) = credentials {
            builder = builder.with_credentials(Arc::clone(credentials));
        } else if let Some(credentials) = &self.credentials {
            builder = builder.with_credentials(Arc::clone(credentials) as AwsCredentialProvider);
        }
        builder.build().map(Arc::new).map_err(|error| translate(&error))
    }
}
