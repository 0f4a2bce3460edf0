//! The HTTP client of all stores, which adds what `object_store` leaves out.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use object_store::signer::HeaderValue;
use object_store::{ClientConfigKey, ClientOptions};

use super::answers::BoundedAnswers;
use super::counter::Counter;
use super::pace::Pace;
use super::settings::RetryLimits;
use super::trace;

/// Where machines in the cloud ask for credentials. They answer at once and without TLS, or not at
/// all.
pub(super) const METADATA_SERVICES: [&str; 6] = [
    "169.254.169.254",
    "169.254.170.2",
    "169.254.170.23",
    "[fd00:ec2::23]",
    "[fd00:ec2::254]",
    "metadata.google.internal",
];

/// The header that has a request fail unless the object has this ETag.
pub(super) const IF_MATCH: &str = "if-match";

/// Gives every store the same client, which was created before this process was sandboxed.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    client: HttpClient,
    /// For [`METADATA_SERVICES`], which are not reached through a proxy.
    metadata_client: HttpClient,
    pace: Arc<Pace>,
    counter: Arc<Counter>,
    /// A header of the request that completes an upload in parts: what it may replace.
    condition: Option<(&'static str, HeaderValue)>,
    /// Whether servers are reached without TLS.
    allows_http: bool,
    /// Another server that is asked as [`METADATA_SERVICES`] are: its name and port.
    metadata_server: Option<Arc<str>>,
    /// Whether all servers are.
    is_of_metadata: bool,
    retries: RetryLimits,
}

impl Connector {
    pub(super) fn new(
        client: reqwest::Client,
        metadata_client: reqwest::Client,
        counter: &Arc<Counter>,
        metadata_service: Option<&str>,
        retries: RetryLimits,
    ) -> Self {
        let metadata_server = metadata_service
            .and_then(|url| url.split_once("://")?.1.split('/').next())
            .map(Arc::from);
        Self {
            client: HttpClient::new(client),
            metadata_client: HttpClient::new(metadata_client),
            pace: Arc::default(),
            counter: Arc::clone(counter),
            condition: None,
            allows_http: false,
            metadata_server,
            is_of_metadata: false,
            retries,
        }
    }

    /// How often and how long requests are repeated.
    pub(super) fn retries(&self) -> RetryLimits {
        self.retries
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

    /// The same, for a server without TLS.
    pub(super) fn allowing_http(&self) -> Self {
        Self { allows_http: true, ..self.clone() }
    }

    /// The same, for servers that a machine or a container in the cloud asks for credentials.
    pub(super) fn of_metadata(&self) -> Self {
        Self { is_of_metadata: true, ..self.clone() }
    }

    /// Sends a request to where machines in the cloud ask for credentials. Who is not there is not
    /// asked again.
    async fn ask_metadata_service(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let result = self.metadata_client.execute(request).await;
        result.map_err(|error| match error.kind() {
            HttpErrorKind::Connect => HttpError::new(HttpErrorKind::Unknown, error),
            _ => error,
        })
    }
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let allows_http = options.get_config_value(&ClientConfigKey::AllowHttp);
        let allows_http = self.allows_http || allows_http.as_deref() == Some("true");
        Ok(HttpClient::new(BoundedAnswers(Self { allows_http, ..self.clone() })))
    }
}

#[async_trait]
impl HttpService for Connector {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let is_metadata = self.is_of_metadata
            || request.uri().host().is_some_and(|host| METADATA_SERVICES.contains(&host))
            || self.metadata_server.as_deref().is_some_and(|server| {
                request.uri().authority().is_some_and(|authority| authority.as_str() == server)
            });
        if is_metadata {
            return self.ask_metadata_service(request).await;
        }
        if request.uri().scheme_str() != Some("https") && !self.allows_http {
            let error = std::io::Error::other("the server is to be reached without TLS");
            return Err(HttpError::new(HttpErrorKind::Unknown, error));
        }
        // The request that completes an upload. The header need not be signed.
        let is_completion = request.method().as_str() == "POST"
            && request.uri().query().is_some_and(|query| query.contains("uploadId="));
        if is_completion && let Some((name, value)) = &self.condition {
            request.headers_mut().insert(*name, value.clone());
        }
        let _under_way = self.pace.begin().await;
        self.counter.sending(&request);
        trace::sending(&request);
        let result = self.client.execute(request).await;
        result.iter().for_each(trace::answered);
        match &result {
            Ok(response) if matches!(response.status().as_u16(), 429 | 503) => {
                self.pace.slow_down(retry_after(response));
            }
            Ok(response) if !response.status().is_server_error() => {
                self.pace.succeeded();
                return result;
            }
            _ => {}
        }
        self.counter.retrying();
        result
    }
}

/// How long the server wants no requests, if it says so: seconds, or a date (RFC 9110, section
/// 10.2.3).
fn retry_after(response: &HttpResponse) -> Option<Duration> {
    let text = response.headers().get("retry-after")?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTime::parse_from_rfc2822(text).ok()?;
    date.signed_duration_since(Utc::now()).to_std().ok()
}
