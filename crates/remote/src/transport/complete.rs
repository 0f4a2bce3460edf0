//! Makes objects of uploads in parts.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cryptstream_engine::ObjectErrorKind;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::signer::Method;
use object_store::{Attribute, Attributes};

use super::http::IF_MATCH;
use super::settings::SettingsError;
use super::signed::SignedRequest;
use super::store::{Bucket, Stores};
use super::translate::translate;
use crate::protocol::{NewObject, Replaces};

/// Makes an object of the parts with these names. `attributes` are only used if the store did not
/// get them at the beginning.
pub(super) async fn complete(
    stores: &Stores,
    object: &NewObject,
    path: Path,
    upload: &String,
    parts: Vec<String>,
    attributes: &Attributes,
) -> Result<(), SettingsError> {
    let bucket = stores.bucket(&object.location)?;
    let store = match (&bucket, &object.replaces) {
        (Bucket::Azure(_), replaces) => {
            let request = commit(path, &parts, attributes);
            let request = match replaces {
                Replaces::Anything => request,
                Replaces::Nothing => request.header("if-none-match", "*"),
                Replaces::Only(meta) => {
                    request.header(IF_MATCH, meta.etag.as_deref().unwrap_or_default())
                }
            };
            return request.send(&bucket, &stores.connector).await.map(drop);
        }
        // Google allows no condition here. The caller has looked at the object before.
        (Bucket::Google(_), _) | (Bucket::S3 { .. }, Replaces::Anything) => None,
        (Bucket::S3 { keeping, .. }, Replaces::Nothing) => Some(Arc::clone(keeping)),
        (Bucket::S3 { replacing, .. }, Replaces::Only(meta)) => {
            let etag = meta.etag.as_deref().unwrap_or_default();
            Some(stores.replacing_only(&object.location.bucket, etag, replacing)?)
        }
    };
    let parts = parts.into_iter().map(|content_id| PartId { content_id }).collect();
    let completed = match &store {
        Some(store) => store.complete_multipart(&path, upload, parts).await,
        None => bucket.uploads().complete_multipart(&path, upload, parts).await,
    };
    completed.map(drop).map_err(|error| translate(&error))
}

/// The request that makes a blob of blocks, with its properties and metadata.
fn commit(path: Path, blocks: &[String], attributes: &Attributes) -> SignedRequest {
    let mut body = String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>");
    for block in blocks {
        body += &format!("<Latest>{}</Latest>", STANDARD.encode(block));
    }
    body += "</BlockList>";
    let request = SignedRequest::new(Method::PUT, path).query("comp", "blocklist").body(body);
    attributes.iter().fold(request, |request, (attribute, value)| match attribute {
        Attribute::CacheControl => request.header("x-ms-blob-cache-control", value),
        Attribute::ContentDisposition => request.header("x-ms-blob-content-disposition", value),
        Attribute::ContentEncoding => request.header("x-ms-blob-content-encoding", value),
        Attribute::ContentLanguage => request.header("x-ms-blob-content-language", value),
        Attribute::ContentType => request.header("x-ms-blob-content-type", value),
        Attribute::Metadata(name) => request.header(&format!("x-ms-meta-{name}"), value),
        _ => request,
    })
}

/// What it means that an object is there which must not be replaced.
pub(super) fn exists() -> SettingsError {
    (ObjectErrorKind::Exists, "there is an object of this name".to_owned())
}
