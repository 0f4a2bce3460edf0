//! The answers of stores, which may be hostile.

use async_trait::async_trait;
use cryptstream_protection::Protection;
use futures_util::StreamExt;
use object_store::client::{
    HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};

use super::list::PageCatcher;
use super::trace;

/// The status of an answer with a part of an object (RFC 9110, section 15.3.7).
const PARTIAL_CONTENT: u16 = 206;
/// The longest other answer, 16 MiB. The longest that a store has reason to send lists 1,000
/// objects.
const MAX_ANSWER_LEN: usize = 16 << 20;

/// The longest answer with status 200 in which an error is looked for.
const MAX_EXPLANATION_LEN: usize = 16 << 10;

/// Bounds all answers but content, which `object_store` would read without a limit.
#[derive(Debug)]
pub(super) struct BoundedAnswers<S>(pub(super) S);

#[async_trait]
impl<S: HttpService> HttpService for BoundedAnswers<S> {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let catcher = request.extensions().get::<PageCatcher>().cloned();
        let response = self.0.call(request).await?;
        if response.status().as_u16() == PARTIAL_CONTENT {
            return Ok(response);
        }
        let (parts, body) = response.into_parts();
        let mut body = whole(body).await?;
        if !parts.status.is_success() || body.len() <= MAX_EXPLANATION_LEN {
            trace::explained(&body);
        }
        if let Some(catcher) = catcher
            && parts.status.is_success()
        {
            body = catcher.catch(body);
        }
        Ok(HttpResponse::from_parts(parts, body.into()))
    }
}

async fn whole(body: HttpResponseBody) -> Result<Vec<u8>, HttpError> {
    let (mut pieces, mut bytes) = (body.bytes_stream(), Vec::new());
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        if bytes.len() + piece.len() > MAX_ANSWER_LEN && Protection::BoundedAnswers.is_on() {
            return Err(HttpError::new(HttpErrorKind::Decode, TooLong));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

#[derive(Debug, thiserror::Error)]
#[error("the answer of the store is too long")]
struct TooLong;
