//! The HTTP client of all stores, which adds what `object_store` leaves out.

use std::sync::Arc;

use async_trait::async_trait;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};
use object_store::signer::HeaderValue;

use super::counter::Counter;
use super::list::PageCatcher;

/// The header that has a request fail unless the object has this ETag.
pub(super) const IF_MATCH: &str = "if-match";

/// Gives every store the same client, which was created before this process was sandboxed.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    client: HttpClient,
    counter: Arc<Counter>,
    /// A header of the request that completes an upload in parts: what it may replace.
    condition: Option<(&'static str, HeaderValue)>,
}

impl Connector {
    pub(super) fn new(
        options: &ClientOptions,
        counter: &Arc<Counter>,
    ) -> object_store::Result<Self> {
        let client = ReqwestConnector::default().connect(options)?;
        Ok(Self { client, counter: Arc::clone(counter), condition: None })
    }

    /// The same, for uploads that must not replace an object.
    pub(super) fn keeping_existing(&self) -> Self {
        let condition = Some(("if-none-match", HeaderValue::from_static("*")));
        Self { condition, ..self.clone() }
    }

    /// The same, for uploads that replace the object with this ETag and no other.
    pub(super) fn replacing_only(&self, etag: &str) -> Option<Self> {
        let condition = Some((IF_MATCH, HeaderValue::from_str(etag).ok()?));
        Some(Self { condition, ..self.clone() })
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
        if is_completion && let Some((name, value)) = &self.condition {
            request.headers_mut().insert(*name, value.clone());
        }
        self.counter.sending(&request);
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
        if is_repeated {
            self.counter.retrying();
        }
        result
    }
}
