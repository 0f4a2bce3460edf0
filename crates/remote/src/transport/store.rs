//! The stores that objects are in.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use object_store::aws::AmazonS3;
use object_store::{BackoffConfig, RetryConfig};

use super::http::Connector;
use super::settings::{Settings, SettingsError};
use super::translate::translate;

/// How long content may fail to come before it is asked for again.
pub(super) const STALL_TIME: Duration = Duration::from_secs(30);
/// How long a request is repeated before it is given up.
const RETRY_TIME: Duration = Duration::from_secs(120);
const MAX_RETRIES: usize = 8;

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
    connector: Connector,
    buckets: Mutex<HashMap<String, Bucket>>,
}

impl Stores {
    pub(super) fn new(settings: Settings) -> Result<Self, SettingsError> {
        let connector =
            Connector::new(&settings.client_options()?).map_err(|error| translate(&error))?;
        Ok(Self { settings, connector, buckets: Mutex::default() })
    }

    pub(super) fn token_folder(&self) -> Option<PathBuf> {
        self.settings.token_folder()
    }

    pub(super) fn retries(&self) -> u64 {
        self.connector.retries()
    }

    pub(super) fn bucket(&self, name: &str) -> Result<Bucket, SettingsError> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = buckets.get(name) {
            return Ok(bucket.clone());
        }
        let build = |connector: Connector| {
            let retry = RetryConfig {
                backoff: BackoffConfig::default(),
                max_retries: MAX_RETRIES,
                retry_timeout: RETRY_TIME,
            };
            let builder = self.settings.s3(name)?.with_retry(retry).with_http_connector(connector);
            builder.build().map(Arc::new).map_err(|error| translate(&error))
        };
        let bucket = Bucket {
            replacing: build(self.connector.clone())?,
            keeping: build(self.connector.keeping_existing())?,
        };
        buckets.insert(name.to_owned(), bucket.clone());
        Ok(bucket)
    }
}
