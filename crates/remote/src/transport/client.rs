//! Makes the client of all servers.

use std::sync::Arc;
use std::time::Duration;

use cryptstream_engine::ObjectErrorKind;
use reqwest::redirect::Policy;
use reqwest::{Certificate, ClientBuilder, NoProxy, Proxy};

use super::counter::Counter;
use super::http::Connector;
use super::settings::{Settings, SettingsError};

/// How long a connection may take to be made.
const CONNECT_TIME: Duration = Duration::from_secs(10);
/// How long the answer to a request may take, which includes sending a part: 5 minutes.
const ANSWER_TIME: Duration = Duration::from_secs(300);

/// The same for [`METADATA_SERVICES`](super::http::METADATA_SERVICES), which are near or missing.
const METADATA_CONNECT_TIME: Duration = Duration::from_secs(1);
const USER_AGENT: &str = concat!("cryptstream/", env!("CARGO_PKG_VERSION"));

/// The client of all servers. It follows no redirects: none may take credentials, or the
/// signature in a URL, to another server.
pub(super) fn connector(
    settings: &Settings,
    counter: &Arc<Counter>,
) -> Result<Connector, SettingsError> {
    let bundle = Certificate::from_pem_bundle(settings.certificates()).map_err(in_settings)?;
    let mut client = ClientBuilder::new()
        .user_agent(USER_AGENT)
        .http1_only()
        .redirect(Policy::none())
        .referer(false)
        .no_proxy()
        .tls_certs_merge(bundle)
        // Content takes the time that it takes; that nothing comes is noticed elsewhere.
        .connect_timeout(settings.time("aws_connect_timeout").unwrap_or(CONNECT_TIME))
        .read_timeout(settings.time("aws_timeout").unwrap_or(ANSWER_TIME));
    for proxy in proxies(settings)? {
        client = client.proxy(proxy);
    }
    let metadata_client = ClientBuilder::new()
        .user_agent(USER_AGENT)
        .redirect(Policy::none())
        .no_proxy()
        .connect_timeout(METADATA_CONNECT_TIME)
        .read_timeout(ANSWER_TIME);
    let build = |client: ClientBuilder| client.build().map_err(in_settings);
    let connector = Connector::new(
        build(client)?,
        build(metadata_client)?,
        counter,
        settings.metadata_service(),
        settings.retries(),
    );
    Ok(if settings.is_http_allowed() { connector.allowing_http() } else { connector })
}

/// The proxies that the user has named, and the servers that are reached without them.
fn proxies(settings: &Settings) -> Result<Vec<Proxy>, SettingsError> {
    let excluded = settings.get(&["no_proxy"]).and_then(NoProxy::from_string);
    let one = settings.get(&["cryptstream_store_proxy"]);
    let all = settings.get(&["all_proxy"]);
    let named = [
        one.or_else(|| settings.get(&["https_proxy"])).or(all).map(Proxy::https),
        one.or_else(|| settings.get(&["http_proxy"])).or(all).map(Proxy::http),
    ];
    // The error may contain the password.
    let wrong = |_| in_settings("the URL of the proxy is not valid");
    let named = named.into_iter().flatten();
    named.map(|proxy| Ok(proxy.map_err(wrong)?.no_proxy(excluded.clone()))).collect()
}

fn in_settings(error: impl std::fmt::Display) -> SettingsError {
    (ObjectErrorKind::Settings, error.to_string())
}
