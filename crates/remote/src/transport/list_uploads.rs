//! Lists of unfinished uploads, which `object_store` does not ask for.

use chrono::DateTime;
use cryptstream_engine::ObjectErrorKind;
use object_store::path::Path;
use object_store::signer::Method;
use serde::Deserialize;

use super::settings::SettingsError;
use super::signed::SignedRequest;
use crate::protocol::{Answer, Upload};

/// How many uploads are listed at once: as many as fit into an answer to main, even if all names
/// are long.
const PAGE: &str = "20";

/// The request for a page of the uploads whose keys begin with `prefix`.
pub(super) fn page(prefix: &str, after: Option<(String, String)>) -> SignedRequest {
    let request = SignedRequest::new(Method::GET, Path::default())
        .query("uploads", "")
        .query("max-uploads", PAGE)
        .query("prefix", prefix);
    match after {
        // SeaweedFS tells no key, and would list only uploads of the one that it gets.
        Some((key, id)) if key.is_empty() => request.query("upload-id-marker", id),
        Some((key, id)) => request.query("key-marker", key).query("upload-id-marker", id),
        None => request,
    }
}

/// The element `ListMultipartUploadsResult`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listing {
    #[serde(default)]
    is_truncated: bool,
    next_key_marker: Option<String>,
    next_upload_id_marker: Option<String>,
    #[serde(default, rename = "Upload")]
    uploads: Vec<ListedUpload>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListedUpload {
    key: String,
    upload_id: String,
    initiated: Option<String>,
}

/// What the store has answered.
pub(super) fn parse(xml: &str) -> Result<Answer, SettingsError> {
    let listing: Listing = quick_xml::de::from_str(xml)
        .map_err(|error| (ObjectErrorKind::Other, format!("an odd list of uploads: {error}")))?;
    let seconds = |time: String| Some(DateTime::parse_from_rfc3339(&time).ok()?.timestamp());
    let next = match listing.next_upload_id_marker {
        _ if !listing.is_truncated => None,
        Some(id) => Some((listing.next_key_marker.unwrap_or_default(), id)),
        None => {
            let message = "the store lists only a part of the uploads".to_owned();
            return Err((ObjectErrorKind::Other, message));
        }
    };
    let uploads = listing.uploads.into_iter().map(|upload| Upload {
        key: upload.key,
        id: upload.upload_id,
        started: upload.initiated.and_then(seconds),
    });
    Ok(Answer::Uploads { uploads: uploads.collect(), next })
}

/// The answer to whoever wants a list of unfinished uploads.
pub(super) fn no_uploads() -> SettingsError {
    let message = "Azure has no list of unfinished uploads; it removes their blocks a week after the \
                   last one was put";
    (ObjectErrorKind::Unsupported, message.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read() {
        let xml = "<?xml version=\"1.0\"?>
            <ListMultipartUploadsResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">
            <Bucket>b</Bucket><KeyMarker/>
            <NextKeyMarker>a/b &amp; c</NextKeyMarker><NextUploadIdMarker>x&amp;y</NextUploadIdMarker>
            <MaxUploads>20</MaxUploads><IsTruncated>true</IsTruncated>
            <Upload><Key>a/b%20+</Key><UploadId>1</UploadId><Owner><ID>o</ID></Owner>
            <Initiated>2026-01-02T03:04:05.000Z</Initiated></Upload>
            <Upload><Key>a/b &amp; c</Key><UploadId>x&amp;y</UploadId></Upload>
            </ListMultipartUploadsResult>";
        let Ok(Answer::Uploads { uploads, next }) = parse(xml) else { panic!("{xml}") };
        assert_eq!(next, Some(("a/b & c".to_owned(), "x&y".to_owned())));
        let found: Vec<_> =
            uploads.iter().map(|it| (it.key.as_str(), it.id.as_str(), it.started)).collect();
        assert_eq!(found, [("a/b%20+", "1", Some(1_767_323_045)), ("a/b & c", "x&y", None)]);
        assert!(parse("").is_err());
        assert!(parse(&xml.replace("NextUploadIdMarker", "Other")).is_err());
        let Ok(Answer::Uploads { next, .. }) = parse(&xml.replace("NextKeyMarker", "Other")) else {
            panic!("without a key")
        };
        assert_eq!(next, Some((String::new(), "x&y".to_owned())));
    }
}
