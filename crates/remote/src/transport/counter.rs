//! Counts requests and bytes.

use std::sync::{Mutex, PoisonError};

use object_store::client::HttpRequest;

use crate::traffic::{RequestKind, Traffic};

/// Where machines in the cloud ask for credentials: link-local addresses.
const METADATA_HOSTS: &str = "169.254.";

/// What this process has asked stores for.
#[derive(Debug, Default)]
pub(super) struct Counter(Mutex<Traffic>);

impl Counter {
    pub(super) fn traffic(&self) -> Traffic {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request that is about to be sent.
    pub(super) fn sending(&self, request: &HttpRequest) {
        let (kind, len) = (kind_of(request), request.body().content_length() as u64);
        self.change(|traffic| {
            *traffic = traffic.with(kind, 1);
            traffic.bytes_sent += len;
        });
    }

    pub(super) fn received(&self, len: usize) {
        self.change(|traffic| traffic.bytes_received += len as u64);
    }

    pub(super) fn retrying(&self) {
        self.change(|traffic| traffic.retries += 1);
    }

    fn change(&self, change: impl FnOnce(&mut Traffic)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// What a request asks for, in the protocols of S3, Google Cloud Storage and Azure.
pub(super) fn kind_of(request: &HttpRequest) -> RequestKind {
    let query = request.uri().query().unwrap_or_default();
    let has = |name: &str| {
        query.split('&').any(|pair| pair.split('=').next() == Some(name) || pair == name)
    };
    if request.uri().host().is_some_and(|host| host.starts_with(METADATA_HOSTS)) {
        return RequestKind::Other;
    }
    match request.method().as_str() {
        "HEAD" => RequestKind::Head,
        "GET" if has("list-type") || has("uploads") || has("comp=list") => RequestKind::List,
        "GET" => RequestKind::Get,
        "PUT" if has("uploadId") && request.headers().contains_key("x-amz-copy-source") => {
            RequestKind::CopyPart
        }
        "PUT" if has("uploadId") || has("comp=block") => RequestKind::UploadPart,
        "PUT" if has("comp=blocklist") => RequestKind::CompleteUpload,
        "PUT" => RequestKind::Put,
        "POST" if has("uploads") => RequestKind::CreateUpload,
        "POST" if has("uploadId") => RequestKind::CompleteUpload,
        "POST" if has("delete") => RequestKind::Delete,
        "DELETE" if has("uploadId") => RequestKind::AbortUpload,
        "DELETE" => RequestKind::Delete,
        _ => RequestKind::Other,
    }
}
