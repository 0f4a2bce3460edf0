//! What all connections share.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::connections::Connections;
use crate::options::Options;
use crate::request_log::RequestLog;
use crate::store::Store;

pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) log: RequestLog,
    pub(crate) connections: Connections,
    store: Mutex<Store>,
}

impl Shared {
    pub(crate) fn new(options: Options) -> Self {
        Self {
            options,
            log: RequestLog::new(),
            connections: Connections::default(),
            store: Mutex::default(),
        }
    }

    pub(crate) fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
