//! The XML API of Google Cloud Storage, which is that of S3 with other names of headers, with
//! generations, and without conditions for uploads in parts.
//!
//! <https://cloud.google.com/storage/docs/xml-api/overview>

use std::time::UNIX_EPOCH;

use crate::error::ErrorCode;
use crate::operation::Operation;
use crate::request::Request;
use crate::response::Response;
use crate::store::{Object, Store};

const GENERATION: &str = "x-goog-generation";
const GENERATION_MATCH: &str = "x-goog-if-generation-match";
/// How requests of this store begin, and those that they become.
const METADATA: (&str, &str) = ("x-goog-meta-", "x-amz-meta-");

/// Makes a request of Google Cloud Storage one of S3.
pub(crate) fn translate(
    operation: Operation,
    request: &mut Request,
    store: &mut Store,
) -> Result<(), ErrorCode> {
    if request.headers.iter().any(|(name, _)| name.starts_with("x-amz-")) {
        return Err(ErrorCode::InvalidArgument);
    }
    if !request.header("authorization").is_some_and(|value| value.starts_with("Bearer ")) {
        return Err(ErrorCode::AccessDenied);
    }
    // Google refuses all conditions of uploads in parts.
    let is_upload = request.parameter("uploadId").or(request.parameter("uploads")).is_some();
    let writes = !matches!(operation, Operation::GetObject | Operation::HeadObject);
    let has_condition = ["if-match", "if-none-match", GENERATION_MATCH]
        .iter()
        .any(|name| request.header(name).is_some());
    if is_upload && has_condition || matches!(operation, Operation::UploadPartCopy) {
        return Err(ErrorCode::NotImplemented);
    }
    // Conditions on ETags are for requests that read.
    if writes && (request.header("if-match").or(request.header("if-none-match"))).is_some() {
        return Err(ErrorCode::InvalidArgument);
    }
    let current = store.bucket(&request.bucket)?.get(&request.key).map(generation);
    if request.parameter("generation").is_some_and(|wanted| current.as_deref() != Some(wanted)) {
        return Err(ErrorCode::NoSuchKey);
    }
    if let Some(wanted) = request.header(GENERATION_MATCH)
        && current.as_deref().unwrap_or("0") != wanted
    {
        return Err(ErrorCode::PreconditionFailed);
    }
    for (name, _) in &mut request.headers {
        if let Some(rest) = name.strip_prefix(METADATA.0) {
            *name = format!("{}{rest}", METADATA.1);
        }
    }
    Ok(())
}

/// Makes an answer of S3 one of Google Cloud Storage.
pub(crate) fn answer(mut response: Response, object: Option<&Object>) -> Response {
    for (name, _) in &mut response.headers {
        if let Some(rest) = name.strip_prefix(METADATA.1) {
            *name = format!("{}{rest}", METADATA.0);
        }
    }
    match object {
        Some(object) if response.status < 300 => response.header(GENERATION, generation(object)),
        _ => response,
    }
}

/// The number of this version of the object.
fn generation(object: &Object) -> String {
    let since = object.last_modified.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_nanos().to_string()
}
