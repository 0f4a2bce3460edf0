//! Requests that `object_store` has no methods for. It signs them.

use std::time::Duration;

use cryptstream_engine::ObjectErrorKind;
use object_store::Error;
use object_store::aws::AmazonS3;
use object_store::client::{HttpRequest, HttpRequestBody, HttpService};
use object_store::path::Path;
use object_store::signer::{HeaderMap, HeaderName, HeaderValue, Method, SignedUrlOptions, Signer};

use super::answers::BoundedAnswers;
use super::http::Connector;
use super::settings::SettingsError;
use super::translate::translate;

/// How long a signature is valid.
const VALID: Duration = Duration::from_secs(15 * 60);
/// How long is waited before the first repetition. Each next one comes after twice that.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(15);

/// A request without a body.
#[derive(Debug)]
pub(super) struct SignedRequest {
    method: Method,
    path: Path,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    /// A header that no store can have got: its value has bytes that headers cannot have.
    bad_header: Option<&'static str>,
}

impl SignedRequest {
    pub(super) fn new(method: Method, path: Path) -> Self {
        Self { method, path, query: Vec::new(), headers: HeaderMap::new(), bad_header: None }
    }

    pub(super) fn query(mut self, name: &str, value: impl Into<String>) -> Self {
        self.query.push((name.to_owned(), value.into()));
        self
    }

    /// A header, which is signed too.
    pub(super) fn header(mut self, name: &'static str, value: &str) -> Self {
        match HeaderValue::from_str(value) {
            Ok(value) => {
                self.headers.insert(HeaderName::from_static(name), value);
            }
            Err(_) => self.bad_header = Some(name),
        }
        self
    }

    /// Sends it, and again if that may help. Returns the body of the answer.
    pub(super) async fn send(
        &self,
        store: &AmazonS3,
        connector: &Connector,
    ) -> Result<String, SettingsError> {
        if let Some(name) = self.bad_header {
            return Err((ObjectErrorKind::Other, format!("an impossible value of {name}")));
        }
        let (mut pause, mut retries) = (FIRST_PAUSE, 0);
        loop {
            match self.send_once(store, connector).await {
                Err((ObjectErrorKind::Unavailable, _))
                    if retries < connector.retries().max_retries => {}
                result => return result,
            }
            tokio::time::sleep(pause).await;
            pause = (2 * pause).min(MAX_PAUSE);
            retries += 1;
        }
    }

    async fn send_once(
        &self,
        store: &AmazonS3,
        connector: &Connector,
    ) -> Result<String, SettingsError> {
        let mut options = SignedUrlOptions::new().with_query(self.query.iter().cloned());
        options.signed_headers = self.headers.clone();
        let url = store
            .signed_url_opts(self.method.clone(), &self.path, VALID, &options)
            .await
            .map_err(|error| translate(&error))?;
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = url
            .as_str()
            .parse()
            .map_err(|_| (ObjectErrorKind::Settings, "an impossible address".to_owned()))?;
        *request.headers_mut() = self.headers.clone();
        // The URL holds the signature, so it must not get into messages.
        let unreachable = || {
            let message = "the store cannot be reached".to_owned();
            (ObjectErrorKind::Unavailable, message)
        };
        let answer = BoundedAnswers(connector.clone()).call(request).await;
        let response = answer.map_err(|_| unreachable())?;
        let status = response.status();
        let body = response.into_body().bytes().await.map_err(|_| unreachable())?;
        let body = String::from_utf8_lossy(&body).into_owned();
        // Some requests are answered before it is known whether they succeed.
        if status.is_success() && !body.contains("<Error>") {
            return Ok(body);
        }
        let source = format!("status code: {}: {body}", status.as_u16()).into();
        let path = self.path.to_string();
        Err(translate(&match status.as_u16() {
            404 => Error::NotFound { path, source },
            412 => Error::Precondition { path, source },
            _ => Error::Generic { store: "S3", source },
        }))
    }
}
