//! Reads from web servers, of which nothing is known but a URL.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::ops::Range;
use std::sync::Arc;

use chrono::DateTime;
use cryptstream_engine::ObjectErrorKind;
use futures_util::StreamExt;
use object_store::client::{
    HttpError, HttpRequest, HttpRequestBody, HttpResponse, HttpResponseBody, HttpService,
};
use reqwest::Url;
use tokio::time::timeout;

use super::copy::{copy, fetch};
use super::counter::Counter;
use super::http::Connector;
use super::repeats::Repeats;
use super::settings::SettingsError;
use super::store::STALL_TIME;
use super::trace;
use super::translate::{explanation, translate_http};
use crate::protocol::Meta;

/// How many redirects are followed. Each leads to the next place, and none is remembered.
const MAX_REDIRECTS: usize = 5;
/// How much of the body of an error is read.
const MAX_ERROR_LEN: usize = 64 << 10;
/// A time in a header (RFC 9110, section 5.6.7).
const HTTP_DATE: &str = "%a, %d %b %Y %H:%M:%S GMT";

type Result<T> = std::result::Result<T, SettingsError>;

/// All web servers.
#[derive(Debug)]
pub(super) struct Web {
    connector: Connector,
    counter: Arc<Counter>,
}

/// What an answer says about the file.
struct Content {
    /// The first byte in the body.
    start: u64,
    is_part: bool,
    meta: Meta,
}

impl Web {
    pub(super) fn new(connector: Connector, counter: &Arc<Counter>) -> Self {
        Self { connector, counter: Arc::clone(counter) }
    }

    /// Fetches the first bytes. There is no request before that, since a presigned URL may be for
    /// GET alone.
    pub(super) async fn open(&self, url: &str, first: u64, file: &File) -> Result<Meta> {
        let response = self.get(url, Some(0..first), None).await?;
        let Content { start, is_part, mut meta } = content(&response)?;
        let is_recognizable = meta.etag.is_some() || meta.modified != 0;
        meta.is_stream = !is_part || !is_recognizable;
        if meta.is_stream || meta.len == 0 {
            return Ok(meta);
        }
        if start != 0 {
            return Err(other("the server has sent other bytes than were asked for"));
        }
        let end = first.min(meta.len);
        match copy(stream(response), 0, end, file, &self.counter).await {
            Ok(position) if position == end => Ok(meta),
            Ok(position) | Err((position, _)) => {
                self.fetch(url, &meta, position, end, file).await.map(|()| meta)
            }
        }
    }

    /// Says what the file is like, without HEAD, which may be forbidden.
    pub(super) async fn stat(&self, url: &str) -> Result<Meta> {
        let response = self.get(url, Some(0..1), None).await?;
        let Content { meta, .. } = content(&response)?;
        if meta.is_stream {
            return Err(other("the server does not say how long it is"));
        }
        Ok(meta)
    }

    /// Fetches bytes from `start` up to `end` of the file that `meta` describes.
    pub(super) async fn fetch(
        &self,
        url: &str,
        meta: &Meta,
        start: u64,
        end: u64,
        file: &File,
    ) -> Result<()> {
        let get = async |position| {
            let response = self.get(url, Some(position..end), Some(meta)).await?;
            let now = content(&response)?;
            // Some servers ignore the condition.
            if !now.is_part || now.start != position || !meta.is_same(&now.meta) {
                return Err((ObjectErrorKind::Changed, "the file has been replaced".to_owned()));
            }
            Ok(stream(response))
        };
        fetch(get, start, end, file, &self.counter).await
    }

    /// Passes the whole file on to `pipe`, once and in order.
    pub(super) async fn pass(&self, url: &str, mut pipe: &File) -> Result<()> {
        let response = self.get(url, None, None).await?;
        let len = number(&response, "content-length");
        if len.is_none() && header(&response, "transfer-encoding").is_none() {
            return Err(other("the server does not say where the content ends"));
        }
        let mut content = response.into_body().bytes_stream();
        let mut passed = 0;
        loop {
            match timeout(STALL_TIME, content.next()).await {
                Err(_) => return Err(stalled()),
                Ok(Some(Err(error))) => return Err(translate_http(&error)),
                Ok(Some(Ok(bytes))) => {
                    self.counter.received(bytes.len());
                    // The pipe is full as long as the content is not needed.
                    match tokio::task::block_in_place(|| pipe.write_all(&bytes)) {
                        Ok(()) => passed += bytes.len() as u64,
                        // No more of it is needed.
                        Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
                        Err(error) => return Err(other(&error.to_string())),
                    }
                }
                Ok(None) if len.is_some_and(|len| len != passed) => return Err(shorter()),
                Ok(None) => return Ok(()),
            }
        }
    }

    /// Asks for the file, or a range of it, and repeats that if the server cannot answer now.
    async fn get(
        &self,
        url: &str,
        range: Option<Range<u64>>,
        pinned: Option<&Meta>,
    ) -> Result<HttpResponse> {
        let mut repeats = Repeats::new(self.connector.retries());
        loop {
            let result = self.follow(url, range.as_ref(), pinned).await?;
            if repeats.are_due(&result).await {
                continue;
            }
            return match result {
                Ok(response) if matches!(response.status().as_u16(), 200 | 206 | 416) => {
                    Ok(response)
                }
                Ok(response) => Err(refusal(response).await),
                Err(error) => Err(translate_http(&error)),
            };
        }
    }

    /// Sends one request, and follows where it leads.
    async fn follow(
        &self,
        url: &str,
        range: Option<&Range<u64>>,
        pinned: Option<&Meta>,
    ) -> Result<std::result::Result<HttpResponse, HttpError>> {
        let mut url = Url::parse(url).map_err(|_| settings("the URL is not valid"))?;
        for _ in 0..=MAX_REDIRECTS {
            let request = request(&url, range, pinned)?;
            let response = match url.scheme() {
                "https" => self.connector.call(request).await,
                _ => self.connector.allowing_http().call(request).await,
            };
            let Ok(answer) = &response else { return Ok(response) };
            let location = header(answer, "location").filter(|_| answer.status().is_redirection());
            let Some(location) = location else { return Ok(response) };
            url = redirected(&url, location)?;
        }
        Err(other("the server redirects too often"))
    }
}

/// Where a redirect leads: to a server with TLS, or from this machine to itself.
fn redirected(from: &Url, location: &str) -> Result<Url> {
    let is_local = |url: &Url| {
        matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"))
            && url.scheme() == "http"
    };
    let mut to = from.join(location).map_err(|_| other("the server redirects to no valid URL"))?;
    if to.scheme() != "https" && !(is_local(from) && is_local(&to)) {
        return Err(other(
            "the server redirects to where nothing is protected on the way (http://)",
        ));
    }
    // A server has no say in whom this machine logs in as.
    let _ = to.set_username("").and_then(|()| to.set_password(None));
    Ok(to)
}

fn request(url: &Url, range: Option<&Range<u64>>, pinned: Option<&Meta>) -> Result<HttpRequest> {
    let mut request = HttpRequest::new(HttpRequestBody::empty());
    *request.uri_mut() = url.as_str().parse().map_err(|_| settings("the URL is not valid"))?;
    let mut set = |name: &'static str, value: &str| -> Result<()> {
        let value = value.parse().map_err(|_| other("a value is not valid in a header"))?;
        request.headers_mut().insert(name, value);
        Ok(())
    };
    set("accept-encoding", "identity")?;
    if let Some(Range { start, end }) = range {
        set("range", &format!("bytes={start}-{}", end.saturating_sub(1)))?;
    }
    match pinned {
        Some(Meta { etag: Some(etag), .. }) => set("if-match", etag)?,
        Some(Meta { modified, .. }) if *modified != 0 => {
            let date = DateTime::from_timestamp_nanos(*modified).format(HTTP_DATE);
            set("if-unmodified-since", &date.to_string())?;
        }
        _ => {}
    }
    Ok(request)
}

/// What an answer means that is none.
pub(super) async fn refusal(response: HttpResponse) -> SettingsError {
    let status = response.status();
    let kind = match status.as_u16() {
        401 | 403 => ObjectErrorKind::Denied,
        404 | 410 => ObjectErrorKind::NotFound,
        412 => ObjectErrorKind::Changed,
        408 | 429 | 500.. => ObjectErrorKind::Unavailable,
        _ => ObjectErrorKind::Other,
    };
    if kind == ObjectErrorKind::Changed {
        return (kind, "the file has been replaced".to_owned());
    }
    // Stores explain themselves in XML.
    let mut body = Vec::new();
    let mut pieces = response.into_body().bytes_stream();
    while let Ok(Some(Ok(bytes))) = timeout(STALL_TIME, pieces.next()).await {
        body.extend_from_slice(&bytes);
        if body.len() > MAX_ERROR_LEN {
            break;
        }
    }
    trace::explained(&body);
    match explanation(&String::from_utf8_lossy(&body)) {
        Some((better_kind, message)) => (better_kind.unwrap_or(kind), message),
        None => (kind, format!("the server has answered {status}")),
    }
}

fn content(response: &HttpResponse) -> Result<Content> {
    let is_part = response.status().as_u16() != 200;
    let (start, len) = match header(response, "content-range") {
        Some(text) if is_part => {
            let (range, len) = parse_content_range(text)
                .ok_or_else(|| other("the server does not say which bytes it sends"))?;
            (range, len)
        }
        _ => (0, number(response, "content-length")),
    };
    // Weak ones may be the same for other bytes.
    let etag = header(response, "etag").filter(|etag| etag.starts_with('"')).map(str::to_owned);
    let modified = header(response, "last-modified")
        .and_then(|text| DateTime::parse_from_rfc2822(text).ok()?.timestamp_nanos_opt());
    let meta = Meta {
        len: len.unwrap_or_default(),
        etag,
        version: None,
        modified: modified.unwrap_or_default(),
        mode: None,
        mark: None,
        is_stream: len.is_none(),
    };
    Ok(Content { start, is_part: is_part && len.is_some(), meta })
}

/// The first byte and the length of the file, if it is known: `bytes 0-9/100`, `bytes 0-9/*`, or
/// `bytes */0`, of a file without that range (RFC 9110, section 14.4).
fn parse_content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, len) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let start = match range {
        "*" => 0,
        range => range.split_once('-')?.0.parse().ok()?,
    };
    let len = if len == "*" { None } else { Some(len.parse().ok()?) };
    Some((start, len))
}

fn header<'r>(response: &'r HttpResponse, name: &str) -> Option<&'r str> {
    response.headers().get(name)?.to_str().ok()
}

fn number(response: &HttpResponse, name: &str) -> Option<u64> {
    header(response, name)?.trim().parse().ok()
}

fn stream(
    response: HttpResponse,
) -> impl futures_util::Stream<Item = Result<bytes::Bytes>> + Unpin {
    let body: HttpResponseBody = response.into_body();
    body.bytes_stream().map(|piece| piece.map_err(|error| translate_http(&error)))
}

fn other(message: &str) -> SettingsError {
    (ObjectErrorKind::Other, message.to_owned())
}

fn settings(message: &str) -> SettingsError {
    (ObjectErrorKind::Settings, message.to_owned())
}

fn shorter() -> SettingsError {
    (ObjectErrorKind::Unavailable, "the answer was shorter than announced".to_owned())
}

fn stalled() -> SettingsError {
    (ObjectErrorKind::Unavailable, "the server has stopped sending".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_answers_are_understood() {
        assert_eq!(parse_content_range("bytes 0-9/100"), Some((0, Some(100))));
        assert_eq!(parse_content_range("bytes 7-9/*"), Some((7, None)));
        assert_eq!(parse_content_range("bytes */0"), Some((0, Some(0))));
        for wrong in ["", "bytes", "bytes 0-9", "bytes x-9/10", "items 0-9/10", "bytes 0-9/x"] {
            assert_eq!(parse_content_range(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn redirects_keep_tls_and_carry_no_credentials() {
        let to = |from: &str, location: &str| {
            redirected(&Url::parse(from).unwrap(), location).map(|url| url.to_string()).ok()
        };
        let next = to("https://a/x?secret", "/y").unwrap();
        assert_eq!(next, "https://a/y");
        assert_eq!(to("https://a/x", "https://u:p@b/y?z").unwrap(), "https://b/y?z");
        assert_eq!(to("https://a/x", "http://b/y"), None);
        assert_eq!(to("https://a/x", "http://localhost/y"), None);
        assert_eq!(
            to("http://localhost:1/x", "http://127.0.0.1:2/y").unwrap(),
            "http://127.0.0.1:2/y"
        );
        assert_eq!(to("http://localhost/x", "http://b/y"), None);
        assert_eq!(to("https://a/x", "file:///etc/passwd"), None);
    }
}
