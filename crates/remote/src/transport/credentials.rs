//! The credentials of requests to S3: those that main passes on, or those that a service gives for a
//! token.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use object_store::client::{HttpRequest, HttpRequestBody, HttpService};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Url;
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::answers::BoundedAnswers;
use super::http::{Connector, METADATA_SERVICES};
use super::no_credentials::NoCredentials;
use super::repeats::Repeats;
use super::settings::Settings;

/// The settings with tokens, which main has read from files.
const WEB_TOKEN: &str = "web_identity_token";
const CONTAINER_TOKEN: &str = "container_authorization_token";
/// The setting with a token that is in the environment.
const CONTAINER_VARIABLE: &str = "aws_container_authorization_token";
const KEYS: [&str; 3] = ["aws_access_key_id", "aws_secret_access_key", "aws_session_token"];
/// Credentials are asked for again so long before they expire.
const MARGIN: Duration = Duration::from_secs(300);
/// Where containers ask for credentials if they know a path alone.
const CONTAINER_SERVICE: &str = "http://169.254.170.2";
/// What names the session if the user does not.
const SESSION: &str = "cryptstream";

/// The credentials of all buckets.
pub(super) struct Credentials {
    source: Source,
    connector: Connector,
    /// What main may change.
    values: RwLock<BTreeMap<String, String>>,
    /// What a service has given, and when to ask again.
    given: Mutex<Option<(Arc<AwsCredential>, Instant)>>,
}

/// Where credentials come from.
#[derive(Debug)]
enum Source {
    Main,
    WebIdentity { url: String, role: String, session: String },
    Container { url: String },
    None,
}

impl Credentials {
    /// The credentials with these settings; `None` if the machine in the cloud is to be asked.
    pub(super) fn new(settings: &Settings, connector: &Connector) -> Option<Self> {
        let get = |name: &str| settings.get(&[name]).map(str::to_owned);
        let source = if get(KEYS[0]).is_some() {
            Source::Main
        } else if let (Some(role), Some(_)) = (get("aws_role_arn"), get(WEB_TOKEN)) {
            let region = get("aws_region").unwrap_or_else(|| "us-east-1".to_owned());
            let url = get("aws_endpoint_url_sts")
                .unwrap_or_else(|| format!("https://sts.{region}.amazonaws.com"));
            let session = get("aws_role_session_name").unwrap_or_else(|| SESSION.to_owned());
            Source::WebIdentity { url, role, session }
        } else if let Some(path) = get("aws_container_credentials_relative_uri") {
            Source::Container { url: format!("{CONTAINER_SERVICE}{path}") }
        } else if let Some(url) = get("aws_container_credentials_full_uri") {
            Source::Container { url }
        } else if get("aws_ec2_metadata_disabled").as_deref() == Some("true") {
            Source::None
        } else {
            return None;
        };
        let names = KEYS.iter().chain(&[WEB_TOKEN, CONTAINER_TOKEN, CONTAINER_VARIABLE]);
        let values = names.filter_map(|name| Some(((*name).to_owned(), get(name)?)));
        Some(Self {
            source,
            connector: connector.clone(),
            values: RwLock::new(values.collect()),
            given: Mutex::default(),
        })
    }

    /// Takes what main has renewed.
    pub(super) fn renew(&self, values: Vec<(String, String)>) {
        let values = values.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value));
        self.values.write().unwrap_or_else(PoisonError::into_inner).extend(values);
    }

    fn value(&self, name: &str) -> Option<String> {
        let values = self.values.read().unwrap_or_else(PoisonError::into_inner);
        values.get(name).filter(|value| !value.is_empty()).cloned()
    }

    /// What main has passed on.
    fn of_main(&self) -> Result<AwsCredential, NoCredentials> {
        let [id, key, token] = KEYS.map(|name| self.value(name));
        match (id, key) {
            (Some(key_id), Some(secret_key)) => Ok(AwsCredential { key_id, secret_key, token }),
            _ => Err(NoCredentials("an access key without its secret key".to_owned())),
        }
    }

    /// Exchanges the token that is in a file for credentials.
    async fn of_web_identity(
        &self,
        url: &str,
        role: &str,
        session: &str,
    ) -> Result<Given, NoCredentials> {
        let token = self.value(WEB_TOKEN).unwrap_or_default();
        let pairs = [
            ("Action", "AssumeRoleWithWebIdentity"),
            ("Version", "2011-06-15"),
            ("DurationSeconds", "3600"),
            ("RoleArn", role),
            ("RoleSessionName", session),
            ("WebIdentityToken", &token),
        ];
        let pairs = pairs.map(|(name, value)| {
            format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC))
        });
        // Not in the URL, which messages and logs show.
        let body = pairs.join("&");
        let connector = match is_on_this_machine(url) {
            true => self.connector.allowing_http(),
            false => self.connector.clone(),
        };
        let what = "the token in AWS_WEB_IDENTITY_TOKEN_FILE was not exchanged for credentials";
        let text = ask(&connector, "POST", url, &[], &body).await;
        let text = text.map_err(|reason| NoCredentials(format!("{what}: {reason}")))?;
        let answer: StsAnswer = quick_xml::de::from_str(&text)
            .map_err(|_| NoCredentials(format!("{what}: the answer is no XML of this service")))?;
        Ok(answer.result.credentials)
    }

    /// Asks the service of a container.
    async fn of_container(&self, url: &str) -> Result<Given, NoCredentials> {
        let what = "the container has no credentials for this program";
        if !is_container_service(url) {
            let message = "AWS_CONTAINER_CREDENTIALS_FULL_URI needs https://, or a server on this \
                           machine or of a container service";
            return Err(NoCredentials(message.to_owned()));
        }
        let token = self.value(CONTAINER_TOKEN);
        let token = token.or_else(|| self.value(CONTAINER_VARIABLE));
        let headers: Vec<_> = token.iter().map(|token| ("authorization", token.as_str())).collect();
        let text = ask(&self.connector.of_metadata(), "GET", url, &headers, "").await;
        let text = text.map_err(|reason| NoCredentials(format!("{what}: {reason}")))?;
        serde_json::from_str(&text)
            .map_err(|_| NoCredentials(format!("{what}: the answer is not JSON of this service")))
    }
}

#[async_trait]
impl CredentialProvider for Credentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let failed = |error: NoCredentials| object_store::Error::Generic {
            store: "S3",
            source: Box::new(error),
        };
        if let Source::Main = self.source {
            return self.of_main().map(Arc::new).map_err(failed);
        }
        let mut given = self.given.lock().await;
        if let Some((credentials, until)) = &*given
            && *until > Instant::now()
        {
            return Ok(Arc::clone(credentials));
        }
        let new = match &self.source {
            Source::WebIdentity { url, role, session } => {
                self.of_web_identity(url, role, session).await
            }
            Source::Container { url } => self.of_container(url).await,
            Source::Main | Source::None => Err(NoCredentials(
                "there are no credentials, neither in the environment nor in a profile, and \
                 AWS_EC2_METADATA_DISABLED forbids to ask the machine for some"
                    .to_owned(),
            )),
        };
        let new = new.map_err(failed)?;
        let left = (new.expiration - Utc::now()).to_std().unwrap_or_default();
        let until = Instant::now() + left.saturating_sub(MARGIN.min(left / 2));
        let credentials = Arc::new(AwsCredential {
            key_id: new.access_key_id,
            secret_key: new.secret_access_key,
            token: Some(new.token),
        });
        *given = Some((Arc::clone(&credentials), until));
        Ok(credentials)
    }
}

/// Without the secrets.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("source", &self.source).finish_non_exhaustive()
    }
}

/// What a service gives: as JSON in containers, as XML for a web identity.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Given {
    access_key_id: String,
    secret_access_key: String,
    #[serde(alias = "SessionToken")]
    token: String,
    expiration: DateTime<Utc>,
}

#[derive(Deserialize)]
struct StsAnswer {
    #[serde(rename = "AssumeRoleWithWebIdentityResult")]
    result: StsResult,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StsResult {
    credentials: Given,
}

/// Sends a request, and again if that may help. Returns the body of the answer, or why there is none.
async fn ask(
    connector: &Connector,
    method: &str,
    url: &str,
    headers: &[(&'static str, &str)],
    body: &str,
) -> Result<String, String> {
    let service = BoundedAnswers(connector.clone());
    let mut repeats = Repeats::new(connector.retries());
    loop {
        let mut request = HttpRequest::new(HttpRequestBody::from(body.to_owned()));
        *request.method_mut() = method.parse().map_err(|_| "an odd method".to_owned())?;
        *request.uri_mut() = url.parse().map_err(|_| "its URL is not valid".to_owned())?;
        if !body.is_empty() {
            let form = "application/x-www-form-urlencoded";
            let form = form.parse().map_err(|_| "an odd type".to_owned())?;
            request.headers_mut().insert("content-type", form);
        }
        for (name, value) in headers {
            let value = value.parse().map_err(|_| "the token cannot be sent".to_owned())?;
            request.headers_mut().insert(*name, value);
        }
        let result = service.call(request).await;
        if repeats.are_due(&result).await {
            continue;
        }
        let response = result.map_err(|_| "the service cannot be reached".to_owned())?;
        let status = response.status();
        let body = response.into_body().bytes().await.map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&body).into_owned();
        if status.is_success() {
            return Ok(text);
        }
        let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
        return Err(match code {
            Some((code, _)) => format!("the service has answered {status} ({code})"),
            None => format!("the service has answered {status}"),
        });
    }
}

fn is_on_this_machine(url: &str) -> bool {
    let url = Url::parse(url);
    url.is_ok_and(|url| matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]")))
}

/// Whether a URL names a server that may be asked for credentials, as AWS's own programs see it.
fn is_container_service(url: &str) -> bool {
    let is_known = |url: &Url| {
        url.scheme() == "https"
            || url.host_str().is_some_and(|host| METADATA_SERVICES.contains(&host))
    };
    is_on_this_machine(url) || Url::parse(url).is_ok_and(|url| is_known(&url))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_both_services_are_understood() {
        let json = r#"{"RoleArn": "r", "AccessKeyId": "id", "SecretAccessKey": "key", "Token": "t",
            "Expiration": "2030-01-02T03:04:05Z"}"#;
        let given: Given = serde_json::from_str(json).unwrap();
        assert_eq!((given.access_key_id.as_str(), given.token.as_str()), ("id", "t"));
        let xml = "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
            <AssumeRoleWithWebIdentityResult><Credentials><SessionToken>t</SessionToken>\
            <SecretAccessKey>key</SecretAccessKey><Expiration>2030-01-02T03:04:05Z</Expiration>\
            <AccessKeyId>id</AccessKeyId></Credentials></AssumeRoleWithWebIdentityResult>\
            <ResponseMetadata/></AssumeRoleWithWebIdentityResponse>";
        let answer: StsAnswer = quick_xml::de::from_str(xml).unwrap();
        assert_eq!(answer.result.credentials.secret_access_key, "key");
    }

    #[test]
    fn only_services_of_containers_are_asked_without_tls() {
        for (url, is_asked) in [
            ("http://169.254.170.2/v2", true),
            ("http://169.254.170.23/v1/credentials", true),
            ("http://[fd00:ec2::23]/v1", true),
            ("http://localhost:51679/x", true),
            ("https://elsewhere/x", true),
            ("http://elsewhere/x", false),
            ("ftp://elsewhere/x", false),
            ("nonsense", false),
        ] {
            assert_eq!(is_container_service(url), is_asked, "{url}");
        }
    }
}
