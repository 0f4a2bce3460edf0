//! Listings of objects, of multipart uploads and of their parts.

use std::ops::Bound;

use crate::date::iso_date;
use crate::error::ErrorCode;
use crate::options::Options;
use crate::request::{Request, percent_decode, percent_encode};
use crate::response::Response;
use crate::store::{Bucket, Object, Store};
use crate::xml;

/// ListObjectsV2.
pub(crate) fn objects(
    request: &Request,
    store: &mut Store,
    options: &Options,
) -> Result<Response, ErrorCode> {
    let bucket = store.bucket(&request.bucket)?;
    let query = Query::parse(request, options)?;
    let page = query.page(bucket);

    let text = |text: &str| {
        let is_encoded = request.parameter("encoding-type") == Some("url");
        if is_encoded { percent_encode(text) } else { xml::escape(text) }
    };
    let mut document = format!(
        "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>{}</Name>\
         <Prefix>{}</Prefix><KeyCount>{}</KeyCount><MaxKeys>{}</MaxKeys><IsTruncated>{}\
         </IsTruncated>",
        xml::escape(&request.bucket),
        text(&query.prefix),
        page.objects.len() + page.prefixes.len(),
        query.max_keys,
        page.next.is_some(),
    );
    if !query.delimiter.is_empty() {
        document += &format!("<Delimiter>{}</Delimiter>", text(&query.delimiter));
    }
    if request.parameter("encoding-type") == Some("url") {
        document += "<EncodingType>url</EncodingType>";
    }
    if let Some(next) = page.next {
        let token = token_after(&next);
        document += &format!("<NextContinuationToken>{token}</NextContinuationToken>");
    }
    for (key, object) in page.objects {
        document += &format!(
            "<Contents><Key>{}</Key><LastModified>{}</LastModified><ETag>{}</ETag>\
             <Size>{}</Size><StorageClass>STANDARD</StorageClass></Contents>",
            text(key),
            iso_date(object.last_modified),
            xml::escape(&object.etag),
            object.bytes.len()
        );
    }
    for prefix in page.prefixes {
        let prefix = text(&prefix);
        document += &format!("<CommonPrefixes><Prefix>{prefix}</Prefix></CommonPrefixes>");
    }
    Ok(Response::xml(200, &(document + "</ListBucketResult>")))
}

struct Query {
    prefix: String,
    delimiter: String,
    /// The last key or common prefix of the page before.
    after: String,
    max_keys: usize,
}

struct Page<'a> {
    objects: Vec<(&'a str, &'a Object)>,
    prefixes: Vec<String>,
    /// The last key or common prefix of this page, if there is another one.
    next: Option<String>,
}

impl Query {
    fn parse(request: &Request, options: &Options) -> Result<Self, ErrorCode> {
        let text = |name| request.parameter(name).unwrap_or_default().to_owned();
        let max_keys = match request.parameter("max-keys") {
            Some(number) => number.parse().map_err(|_| ErrorCode::InvalidArgument)?,
            None => options.max_keys,
        };
        let after = match request.parameter("continuation-token") {
            Some(token) => after_token(token)?,
            None => text("start-after"),
        };
        Ok(Self {
            prefix: text("prefix"),
            delimiter: text("delimiter"),
            after,
            max_keys: max_keys.min(options.max_keys),
        })
    }

    fn page<'a>(&self, bucket: &'a Bucket) -> Page<'a> {
        let mut page = Page { objects: Vec::new(), prefixes: Vec::new(), next: None };
        if self.max_keys == 0 {
            return page;
        }
        let mut last = self.after.clone();
        let start = self.after.as_str().max(self.prefix.as_str());
        for (key, object) in bucket.range::<str, _>((Bound::Included(start), Bound::Unbounded)) {
            if !key.starts_with(&self.prefix) {
                break;
            }
            let common = self.common_prefix(key);
            let entry = common.unwrap_or(key);
            // The keys below a common prefix sort after it.
            if entry <= last.as_str() {
                continue;
            }
            if page.objects.len() + page.prefixes.len() == self.max_keys {
                page.next = Some(last);
                break;
            }
            match common {
                Some(prefix) => page.prefixes.push(prefix.to_owned()),
                None => page.objects.push((key, object)),
            }
            last = entry.to_owned();
        }
        page
    }

    /// The key up to the first delimiter behind the prefix.
    fn common_prefix<'a>(&self, key: &'a str) -> Option<&'a str> {
        if self.delimiter.is_empty() {
            return None;
        }
        let at = key[self.prefix.len()..].find(&self.delimiter)?;
        Some(&key[..self.prefix.len() + at + self.delimiter.len()])
    }
}

/// A token that clients cannot mistake for a key, as that of S3.
fn token_after(last: &str) -> String {
    format!("1.{}", percent_encode(last))
}

fn after_token(token: &str) -> Result<String, ErrorCode> {
    let encoded = token.strip_prefix("1.").ok_or(ErrorCode::InvalidArgument)?;
    percent_decode(encoded).map_err(|_| ErrorCode::InvalidArgument)
}

/// ListMultipartUploads.
pub(crate) fn uploads(request: &Request, store: &mut Store) -> Result<Response, ErrorCode> {
    store.bucket(&request.bucket)?;
    let prefix = request.parameter("prefix").unwrap_or_default();
    let max = request.parameter("max-uploads").and_then(|max| max.parse().ok()).unwrap_or(1000);
    let after = request.parameter("key-marker").zip(request.parameter("upload-id-marker"));
    let mut uploads: Vec<_> = store
        .uploads
        .values()
        .filter(|upload| upload.bucket == request.bucket && upload.key.starts_with(prefix))
        .filter(|upload| after.is_none_or(|after| (&*upload.key, &*upload.id) > after))
        .collect();
    uploads.sort_by(|one, other| (&one.key, &one.id).cmp(&(&other.key, &other.id)));
    let is_truncated = uploads.len() > max;
    uploads.truncate(max);
    let mut document = format!(
        "<ListMultipartUploadsResult><Bucket>{}</Bucket><Prefix>{}</Prefix>\
         <IsTruncated>{is_truncated}</IsTruncated>",
        xml::escape(&request.bucket),
        xml::escape(prefix)
    );
    if let Some(last) = uploads.last().filter(|_| is_truncated) {
        document += &format!(
            "<NextKeyMarker>{}</NextKeyMarker><NextUploadIdMarker>{}</NextUploadIdMarker>",
            xml::escape(&last.key),
            last.id
        );
    }
    for upload in uploads {
        document += &format!(
            "<Upload><Key>{}</Key><UploadId>{}</UploadId><Initiated>{}</Initiated></Upload>",
            xml::escape(&upload.key),
            upload.id,
            iso_date(upload.initiated)
        );
    }
    Ok(Response::xml(200, &(document + "</ListMultipartUploadsResult>")))
}

/// ListParts, in one page.
pub(crate) fn parts(request: &Request, store: &mut Store) -> Result<Response, ErrorCode> {
    let id = request.parameter("uploadId").unwrap_or_default();
    let upload = store.upload(&request.bucket, &request.key, id)?;
    let mut document = format!(
        "<ListPartsResult><Bucket>{}</Bucket><Key>{}</Key><UploadId>{id}</UploadId>\
         <IsTruncated>false</IsTruncated>",
        xml::escape(&request.bucket),
        xml::escape(&request.key)
    );
    for (number, part) in &upload.parts {
        document += &format!(
            "<Part><PartNumber>{number}</PartNumber><LastModified>{}</LastModified>\
             <ETag>{}</ETag><Size>{}</Size></Part>",
            iso_date(part.last_modified),
            xml::escape(&part.etag),
            part.bytes.len()
        );
    }
    Ok(Response::xml(200, &(document + "</ListPartsResult>")))
}
