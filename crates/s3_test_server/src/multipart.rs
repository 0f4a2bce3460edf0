//! Multipart uploads.

use std::sync::Arc;
use std::time::SystemTime;

use crate::conditions::{check_write, is_same_etag};
use crate::date::iso_date;
use crate::error::ErrorCode;
use crate::objects::{attributes, copy_source};
use crate::options::Options;
use crate::request::Request;
use crate::response::Response;
use crate::store::{Object, Part, Store, content_hash};
use crate::{range, xml};

/// CreateMultipartUpload.
pub(crate) fn create(request: &Request, store: &mut Store) -> Result<Response, ErrorCode> {
    let id = store.create_upload(&request.bucket, &request.key, attributes(request))?;
    let document = format!(
        "<InitiateMultipartUploadResult><Bucket>{}</Bucket><Key>{}</Key><UploadId>{id}</UploadId>\
         </InitiateMultipartUploadResult>",
        xml::escape(&request.bucket),
        xml::escape(&request.key)
    );
    Ok(Response::xml(200, &document))
}

/// UploadPart. A part that exists is replaced.
pub(crate) fn put_part(
    mut request: Request,
    store: &mut Store,
    options: &Options,
) -> Result<Response, ErrorCode> {
    let bytes = std::mem::take(&mut request.body);
    let part = insert_part(&request, bytes, store, options)?;
    Ok(Response::empty(200).header("ETag", part.etag))
}

/// UploadPartCopy.
pub(crate) fn copy_part(
    request: &Request,
    store: &mut Store,
    options: &Options,
) -> Result<Response, ErrorCode> {
    let source = copy_source(request, store)?;
    let bytes = match request.header("x-amz-copy-source-range") {
        None => source.bytes.to_vec(),
        Some(header) => {
            let range = range::parse(header, source.bytes.len())?;
            source.bytes[range.ok_or(ErrorCode::InvalidArgument)?].to_vec()
        }
    };
    let part = insert_part(request, bytes, store, options)?;
    let document = format!(
        "<CopyPartResult><LastModified>{}</LastModified><ETag>{}</ETag></CopyPartResult>",
        iso_date(part.last_modified),
        xml::escape(&part.etag)
    );
    Ok(Response::xml(200, &document))
}

fn insert_part(
    request: &Request,
    bytes: Vec<u8>,
    store: &mut Store,
    options: &Options,
) -> Result<Part, ErrorCode> {
    let number = request
        .parameter("partNumber")
        .and_then(|number| number.parse().ok())
        .filter(|number| (1..=options.max_parts).contains(number))
        .ok_or(ErrorCode::InvalidArgument)?;
    if bytes.len() > options.max_part_size {
        return Err(ErrorCode::EntityTooLarge);
    }
    let upload = store.upload(&request.bucket, &request.key, upload_id(request))?;
    let part = Part {
        etag: format!("\"{}\"", content_hash(&bytes)),
        bytes: Arc::new(bytes),
        last_modified: SystemTime::now(),
    };
    upload.parts.insert(number, part.clone());
    Ok(part)
}

/// CompleteMultipartUpload. An upload that cannot be completed stays open.
pub(crate) fn complete(
    request: &Request,
    store: &mut Store,
    options: &Options,
) -> Result<Response, ErrorCode> {
    let upload = store.upload(&request.bucket, &request.key, upload_id(request))?;
    let listed = listed_parts(&request.body)?;
    let mut wanted = Vec::with_capacity(listed.len());
    for (number, etag) in &listed {
        let part = upload.parts.get(number).ok_or(ErrorCode::InvalidPart)?;
        if !is_same_etag(etag, &part.etag) {
            return Err(ErrorCode::InvalidPart);
        }
        wanted.push(part.clone());
    }
    let all_but_last = &wanted[..wanted.len() - 1];
    if all_but_last.iter().any(|part| part.bytes.len() < options.min_part_size) {
        return Err(ErrorCode::EntityTooSmall);
    }
    let existing = store.bucket(&request.bucket)?.get(&request.key);
    check_write(request, existing)?;

    let Some(upload) = store.uploads.remove(upload_id(request)) else {
        return Err(ErrorCode::NoSuchUpload);
    };
    let etags: String = wanted.iter().map(|part| part.etag.as_str()).collect();
    let etag = format!("\"{}-{}\"", content_hash(etags.as_bytes()), wanted.len());
    drop(upload.parts);
    let object = Object {
        bytes: Arc::new(concatenate(wanted)),
        etag,
        content_type: upload.attributes.content_type,
        metadata: upload.attributes.metadata,
        last_modified: SystemTime::now(),
    };
    let document = format!(
        "<CompleteMultipartUploadResult><Location>/{bucket}/{key}</Location>\
         <Bucket>{bucket}</Bucket><Key>{key}</Key><ETag>{}</ETag></CompleteMultipartUploadResult>",
        xml::escape(&object.etag),
        bucket = xml::escape(&request.bucket),
        key = xml::escape(&request.key)
    );
    store.bucket(&request.bucket)?.insert(request.key.clone(), object);
    Ok(Response::xml(200, &document))
}

/// Numbers and ETags in ascending order, at least one.
fn listed_parts(body: &[u8]) -> Result<Vec<(u32, String)>, ErrorCode> {
    let body = std::str::from_utf8(body).map_err(|_| ErrorCode::MalformedXML)?;
    let mut parts = Vec::new();
    for part in xml::elements(body, "Part") {
        let (&[number], &[etag]) =
            (&xml::elements(part, "PartNumber")[..], &xml::elements(part, "ETag")[..])
        else {
            return Err(ErrorCode::MalformedXML);
        };
        let number = number.parse().map_err(|_| ErrorCode::MalformedXML)?;
        parts.push((number, xml::unescape(etag)));
    }
    if parts.is_empty() {
        return Err(ErrorCode::MalformedXML);
    }
    if !parts.is_sorted_by(|(one, _), (next, _)| one < next) {
        return Err(ErrorCode::InvalidPartOrder);
    }
    Ok(parts)
}

/// Frees each part as soon as it is copied.
fn concatenate(parts: Vec<Part>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(parts.iter().map(|part| part.bytes.len()).sum());
    for part in parts {
        bytes.extend_from_slice(&part.bytes);
    }
    bytes
}

/// AbortMultipartUpload.
pub(crate) fn abort(request: &Request, store: &mut Store) -> Result<Response, ErrorCode> {
    let id = upload_id(request);
    store.upload(&request.bucket, &request.key, id)?;
    store.uploads.remove(id);
    Ok(Response::empty(204))
}

fn upload_id(request: &Request) -> &str {
    request.parameter("uploadId").unwrap_or_default()
}
