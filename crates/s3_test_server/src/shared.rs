//! What all connections share.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::connections::Connections;
use crate::faults::FaultState;
use crate::options::Options;
use crate::request_log::RequestLog;
use crate::store::{Object, Store};

pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) log: RequestLog,
    pub(crate) connections: Connections,
    store: Mutex<Store>,
    faults: Mutex<FaultState>,
}

impl Shared {
    pub(crate) fn new(options: Options) -> Self {
        Self {
            options,
            log: RequestLog::new(),
            connections: Connections::default(),
            store: Mutex::default(),
            faults: Mutex::default(),
        }
    }

    pub(crate) fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores an object, in a new bucket if need be.
    pub(crate) fn put(&self, bucket: &str, key: &str, object: Object) {
        let mut store = self.store();
        store.buckets.entry(bucket.to_owned()).or_default().insert(key.to_owned(), object);
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, FaultState> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
