//! Requests that `object_store` has no methods for. It signs them.

use std::time::Duration;

use cryptstream_engine::ObjectErrorKind;
use object_store::Error;
use object_store::client::{HttpRequest, HttpRequestBody, HttpService};
use object_store::path::Path;
use object_store::signer::{HeaderMap, HeaderName, HeaderValue, Method, SignedUrlOptions, Signer};
use reqwest::Url;

use super::answers::BoundedAnswers;
use super::http::Connector;
use super::settings::SettingsError;
use super::store::Bucket;
use super::translate::translate;

/// How long a signature is valid.
const VALID: Duration = Duration::from_secs(15 * 60);
/// How long is waited before the first repetition. Each next one comes after twice that.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(15);

/// A request.
#[derive(Debug)]
pub(super) struct SignedRequest {
    method: Method,
    path: Path,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    body: String,
    /// A header that no store can have got: its value has bytes that headers cannot have.
    bad_header: Option<String>,
}

impl SignedRequest {
    pub(super) fn new(method: Method, path: Path) -> Self {
        Self {
            method,
            path,
            query: Vec::new(),
            headers: HeaderMap::new(),
            body: String::new(),
            bad_header: None,
        }
    }

    pub(super) fn query(mut self, name: &str, value: impl Into<String>) -> Self {
        self.query.push((name.to_owned(), value.into()));
        self
    }

    /// A header, which is signed too.
    pub(super) fn header(mut self, name: &str, value: &str) -> Self {
        match (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
            (Ok(name), Ok(value)) => {
                self.headers.insert(name, value);
            }
            _ => self.bad_header = Some(name.to_owned()),
        }
        self
    }

    pub(super) fn body(self, body: String) -> Self {
        Self { body, ..self }
    }

    /// Sends it, and again if that may help. Returns the body of the answer.
    pub(super) async fn send(
        &self,
        bucket: &Bucket,
        connector: &Connector,
    ) -> Result<String, SettingsError> {
        if let Some(name) = &self.bad_header {
            return Err((ObjectErrorKind::Other, format!("an impossible value of {name}")));
        }
        let (mut pause, mut retries) = (FIRST_PAUSE, 0);
        loop {
            match self.send_once(bucket, connector).await {
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
        bucket: &Bucket,
        connector: &Connector,
    ) -> Result<String, SettingsError> {
        let request = self.signed(bucket).await?;
        // The URL holds the signature, so it must not get into messages.
        let unreachable = || {
            let message = "the store cannot be reached".to_owned();
            (ObjectErrorKind::Unavailable, message)
        };
        // Main names such a server only if the user has named it.
        let connector = match request.uri().scheme_str() {
            Some("http") => connector.allowing_http(),
            _ => connector.clone(),
        };
        let answer = BoundedAnswers(connector).call(request).await;
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
            401 => Error::Unauthenticated { path, source },
            403 => Error::PermissionDenied { path, source },
            404 => Error::NotFound { path, source },
            412 => Error::Precondition { path, source },
            _ => Error::Generic { store: "store", source },
        }))
    }

    /// The request as the store of this bucket wants it.
    async fn signed(&self, bucket: &Bucket) -> Result<HttpRequest, SettingsError> {
        let mut request = HttpRequest::new(HttpRequestBody::from(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.headers_mut() = self.headers.clone();
        let mut set = |name: &'static str, value: String| {
            let value = HeaderValue::from_str(&value).map_err(|_| impossible())?;
            request.headers_mut().insert(HeaderName::from_static(name), value);
            Ok::<_, SettingsError>(())
        };
        let url = match bucket {
            Bucket::S3 { replacing, .. } => {
                let mut options = SignedUrlOptions::new().with_query(self.query.iter().cloned());
                options.signed_headers = self.headers.clone();
                let signed =
                    replacing.signed_url_opts(self.method.clone(), &self.path, VALID, &options);
                signed.await.map_err(|error| translate(&error))?
            }
            Bucket::Google(bucket) => {
                let (url, token) = bucket.place(&self.path).await?;
                set("authorization", format!("Bearer {token}"))?;
                set("content-length", self.body.len().to_string())?;
                self.with_query(url.parse().map_err(|_| impossible())?)
            }
            Bucket::Azure(container) => {
                set("content-length", self.body.len().to_string())?;
                self.with_query(container.place(&self.path))
            }
        };
        *request.uri_mut() = url.as_str().parse().map_err(|_| impossible())?;
        if let Bucket::Azure(container) = bucket {
            container.authorize(&mut request).await?;
        }
        Ok(request)
    }

    fn with_query(&self, mut url: Url) -> Url {
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        url
    }
}

fn impossible() -> SettingsError {
    (ObjectErrorKind::Settings, "an impossible address".to_owned())
}
