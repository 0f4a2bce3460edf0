//! The HTTP client of all stores, which adds what `object_store` leaves out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};

use super::list::PageCatcher;

/// Gives every store the same client, which was created before this process was sandboxed.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    client: HttpClient,
    retries: Arc<AtomicU64>,
    /// Whether an upload in parts must not replace an object.
    keeps_existing: bool,
}

impl Connector {
    pub(super) fn new(options: &ClientOptions) -> object_store::Result<Self> {
        let client = ReqwestConnector::default().connect(options)?;
        Ok(Self { client, retries: Arc::default(), keeps_existing: false })
    }

    /// The same, for uploads that must not replace an object.
    pub(super) fn keeping_existing(&self) -> Self {
        Self { keeps_existing: true, ..self.clone() }
    }

    /// How many requests were answered in a way that has them repeated.
    pub(super) fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }
}

impl HttpConnector for Connector {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Connector {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        // The request that completes an upload. The header need not be signed.
        let is_completion = request.method().as_str() == "POST"
            && request.uri().query().is_some_and(|query| query.contains("uploadId="));
        if is_completion
            && self.keeps_existing
            && let Ok(any) = "*".parse()
        {
            request.headers_mut().insert("if-none-match", any);
        }
        let catcher = request.extensions().get::<PageCatcher>().cloned();
        let result = match (self.client.execute(request).await, catcher) {
            (Ok(response), Some(catcher)) => catcher.catch(response).await,
            (result, _) => result,
        };
        let is_repeated = match &result {
            Ok(response) => {
                response.status().is_server_error() || response.status().as_u16() == 429
            }
            Err(_) => true,
        };
        self.retries.fetch_add(u64::from(is_repeated), Ordering::Relaxed);
        result
    }
}
