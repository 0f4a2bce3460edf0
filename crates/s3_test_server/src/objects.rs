//! Reading, writing, copying and deleting objects.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::conditions::{check_read, check_write};
use crate::date::{http_date, iso_date};
use crate::error::ErrorCode;
use crate::options::Options;
use crate::request::{Request, percent_decode};
use crate::response::{Body, Response};
use crate::store::{Attributes, Object, Store};
use crate::{range, xml};

const METADATA_PREFIX: &str = "x-amz-meta-";

/// GetObject and HeadObject.
pub(crate) fn get(request: &Request, store: &mut Store) -> Result<Response, ErrorCode> {
    let object = store.bucket(&request.bucket)?.get(&request.key).ok_or(ErrorCode::NoSuchKey)?;
    check_read(request, object)?;
    let len = object.bytes.len();
    let range = match request.header("range").map(|header| range::parse(header, len)) {
        Some(Err(error)) => {
            let response = error.response(&format!("/{}/{}", request.bucket, request.key));
            return Ok(response.header("Content-Range", format!("bytes */{len}")));
        }
        Some(Ok(range)) => range,
        None => None,
    };
    let mut response = Response::empty(if range.is_some() { 206 } else { 200 })
        .header("ETag", &object.etag)
        .header("Last-Modified", http_date(object.last_modified))
        .header("Accept-Ranges", "bytes")
        .header("Content-Type", &object.content_type);
    for (name, value) in &object.metadata {
        response = response.header(&format!("{METADATA_PREFIX}{name}"), value);
    }
    if let Some(range) = &range {
        let header = format!("bytes {}-{}/{len}", range.start, range.end - 1);
        response = response.header("Content-Range", header);
    }
    response.body = Body { bytes: Arc::clone(&object.bytes), range: range.unwrap_or(0..len) };
    Ok(response)
}

/// PutObject.
pub(crate) fn put(
    request: Request,
    store: &mut Store,
    options: &Options,
) -> Result<Response, ErrorCode> {
    let bucket = store.bucket(&request.bucket)?;
    if request.body.len() > options.max_part_size {
        return Err(ErrorCode::EntityTooLarge);
    }
    check_write(&request, bucket.get(&request.key))?;
    let attributes = attributes(&request);
    let object = Object::new(request.body, attributes);
    let response = Response::empty(200).header("ETag", &object.etag);
    bucket.insert(request.key, object);
    Ok(response)
}

/// CopyObject.
pub(crate) fn copy(request: &Request, store: &mut Store) -> Result<Response, ErrorCode> {
    let mut object = copy_source(request, store)?;
    object.last_modified = std::time::SystemTime::now();
    if request.header("x-amz-metadata-directive") == Some("REPLACE") {
        let attributes = attributes(request);
        object.content_type = attributes.content_type;
        object.metadata = attributes.metadata;
    }
    let bucket = store.bucket(&request.bucket)?;
    check_write(request, bucket.get(&request.key))?;
    let document = format!(
        "<CopyObjectResult><LastModified>{}</LastModified><ETag>{}</ETag></CopyObjectResult>",
        iso_date(object.last_modified),
        xml::escape(&object.etag)
    );
    bucket.insert(request.key.clone(), object);
    Ok(Response::xml(200, &document))
}

/// DeleteObject, which succeeds if there is no such object, unless a certain one is meant.
pub(crate) fn delete(request: &Request, store: &mut Store) -> Result<Response, ErrorCode> {
    let bucket = store.bucket(&request.bucket)?;
    check_write(request, bucket.get(&request.key))?;
    bucket.remove(&request.key);
    Ok(Response::empty(204))
}

/// The object that `x-amz-copy-source` names, if it satisfies the condition on its ETag.
pub(crate) fn copy_source(request: &Request, store: &mut Store) -> Result<Object, ErrorCode> {
    let header = request.header("x-amz-copy-source").unwrap_or_default();
    let path = percent_decode(header).map_err(|_| ErrorCode::InvalidArgument)?;
    let (bucket, key) =
        path.trim_start_matches('/').split_once('/').ok_or(ErrorCode::InvalidArgument)?;
    let object = store.bucket(bucket)?.get(key).ok_or(ErrorCode::NoSuchKey)?.clone();
    match request.header("x-amz-copy-source-if-match") {
        Some(etag) if !crate::conditions::is_same_etag(etag, &object.etag) => {
            Err(ErrorCode::PreconditionFailed)
        }
        _ => Ok(object),
    }
}

/// The attributes in the headers of a request that creates an object.
pub(crate) fn attributes(request: &Request) -> Attributes {
    let metadata: BTreeMap<_, _> = request
        .headers
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix(METADATA_PREFIX)?, value)))
        .map(|(name, value)| (name.to_owned(), value.clone()))
        .collect();
    match request.header("content-type") {
        Some(content_type) => Attributes { content_type: content_type.to_owned(), metadata },
        None => Attributes { metadata, ..Attributes::default() },
    }
}
