//! What is remembered of the last request that a store has refused, for the error that is reported.

use std::cell::RefCell;
use std::future::Future;

use chrono::{DateTime, Utc};
use cryptstream_engine::StoreRequest;
use object_store::client::{HttpRequest, HttpResponse};

use super::counter::kind_of;
use crate::protocol::MAX_DETAIL_LEN;
use crate::traffic::RequestKind;

/// Headers with the name of a request, in S3 and what is like it.
const REQUEST_IDS: [&str; 3] = ["x-amz-request-id", "x-goog-request-id", "x-ms-request-id"];

tokio::task_local! {
    static TRACE: RefCell<Trace>;
}

#[derive(Default)]
struct Trace {
    last: StoreRequest,
    /// Whether the last request has failed.
    has_failed: bool,
}

/// Runs a task, and returns the last of its requests if that has failed.
pub(super) async fn traced<F: Future>(task: F) -> (F::Output, Option<StoreRequest>) {
    let run = async {
        let output = task.await;
        let trace = TRACE.with(RefCell::take);
        (output, trace.has_failed.then_some(trace.last))
    };
    TRACE.scope(RefCell::default(), run).await
}

/// Runs a part of a task whose requests do not count.
pub(super) async fn untraced<F: Future>(part: F) -> F::Output {
    TRACE.scope(RefCell::default(), part).await
}

/// A request is about to be sent. Until it is answered, it has failed.
pub(super) fn sending(request: &HttpRequest) {
    change(|trace| {
        let operation = operation_of(request);
        let is_repeated = trace.has_failed && trace.last.operation == operation;
        let attempts = if is_repeated { trace.last.attempts + 1 } else { 1 };
        let operation = operation.to_owned();
        *trace = Trace {
            last: StoreRequest { operation, attempts, ..StoreRequest::default() },
            has_failed: true,
        };
    });
}

/// The head of an answer has come.
pub(super) fn answered(response: &HttpResponse) {
    let header = |name: &str| response.headers().get(name)?.to_str().ok().map(shortened);
    change(|trace| {
        let status = response.status();
        trace.has_failed = !status.is_success();
        trace.last.status = Some(status.as_u16());
        trace.last.request_id = REQUEST_IDS.iter().find_map(|name| header(name));
        trace.last.region = header("x-amz-bucket-region");
        let date = header("date").and_then(|text| DateTime::parse_from_rfc2822(&text).ok());
        trace.last.clock_ahead = date.map(|date| (date.to_utc() - Utc::now()).num_seconds());
    });
}

/// The store has explained why a request has failed, in XML.
pub(super) fn explained(body: &[u8]) {
    let Ok(text) = std::str::from_utf8(body) else { return };
    let Some((_, error)) = text.split_once("<Error>") else { return };
    let element = |name: &str| {
        let (_, rest) = error.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(content, _)| shortened(content))
    };
    change(|trace| {
        trace.has_failed = true;
        trace.last.code = element("Code");
        trace.last.request_id = trace.last.request_id.take().or_else(|| element("RequestId"));
        trace.last.region = trace.last.region.take().or_else(|| element("Region"));
        trace.last.action = element("Message").as_deref().and_then(refused_action);
    });
}

fn change(change: impl FnOnce(&mut Trace)) {
    // Outside of a task, nobody reports it.
    let _ = TRACE.try_with(|trace| change(&mut trace.borrow_mut()));
}

fn shortened(text: &str) -> String {
    let is_short = |(at, letter): &(usize, char)| at + letter.len_utf8() <= MAX_DETAIL_LEN;
    text.char_indices().take_while(is_short).map(|(_, letter)| letter).collect()
}

/// The action in a message such as `… is not authorized to perform: kms:GenerateDataKey on …`.
fn refused_action(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("not authorized to perform: ")?;
    let action = rest.split_whitespace().next()?;
    let is_action = |letter: char| letter.is_ascii_alphanumeric() || letter == ':' || letter == '-';
    action.chars().all(is_action).then(|| action.to_owned())
}

/// The operation by its name in the documentation of S3.
fn operation_of(request: &HttpRequest) -> &'static str {
    match kind_of(request) {
        RequestKind::Head => "HeadObject",
        RequestKind::Get => "GetObject",
        RequestKind::List if request.uri().query().is_some_and(|it| it.contains("uploads")) => {
            "ListMultipartUploads"
        }
        RequestKind::List => "ListObjectsV2",
        RequestKind::Put => "PutObject",
        RequestKind::CreateUpload => "CreateMultipartUpload",
        RequestKind::UploadPart => "UploadPart",
        RequestKind::CopyPart => "UploadPartCopy",
        RequestKind::CompleteUpload => "CompleteMultipartUpload",
        RequestKind::AbortUpload => "AbortMultipartUpload",
        RequestKind::Delete => "DeleteObject",
        RequestKind::Other => "Other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_action_is_found_in_the_words_of_aws() {
        let message = "User: arn:aws:iam::1:user/me is not authorized to perform: \
                       kms:GenerateDataKey on resource: arn:aws:kms:…";
        assert_eq!(refused_action(message).as_deref(), Some("kms:GenerateDataKey"));
        assert_eq!(refused_action("Access Denied"), None);
        assert_eq!(refused_action("not authorized to perform: \u{1b}[2J"), None);
    }
}
