//! Buckets, objects and multipart uploads, in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use crate::error::ErrorCode;

/// An object. Clones share the content.
#[derive(Clone, Debug)]
pub struct Object {
    /// The content.
    pub bytes: Arc<Vec<u8>>,
    /// With its quotes. It depends on the content alone, or on that of the parts.
    pub etag: String,
    /// The media type.
    pub content_type: String,
    /// The names and values of the headers `x-amz-meta-NAME`.
    pub metadata: BTreeMap<String, String>,
    /// When it was written.
    pub last_modified: SystemTime,
}

impl Object {
    pub(crate) fn new(bytes: Vec<u8>, attributes: Attributes) -> Self {
        Self {
            etag: format!("\"{}\"", content_hash(&bytes)),
            bytes: Arc::new(bytes),
            content_type: attributes.content_type,
            metadata: attributes.metadata,
            last_modified: SystemTime::now(),
        }
    }
}

impl From<Vec<u8>> for Object {
    /// An object with the attributes that S3 gives to one of which nothing is said.
    fn from(bytes: Vec<u8>) -> Self {
        Self::new(bytes, Attributes::default())
    }
}

/// What a client says of an object beside its content.
#[derive(Clone, Debug)]
pub(crate) struct Attributes {
    pub(crate) content_type: String,
    pub(crate) metadata: BTreeMap<String, String>,
}

impl Default for Attributes {
    fn default() -> Self {
        Self { content_type: "binary/octet-stream".to_owned(), metadata: BTreeMap::new() }
    }
}

/// A multipart upload that is neither completed nor aborted. Clones share the content.
#[derive(Clone, Debug)]
pub struct Upload {
    /// The `UploadId`.
    pub id: String,
    /// Where the object will be.
    pub bucket: String,
    /// Its key.
    pub key: String,
    /// The parts so far, by their numbers, which start with 1.
    pub parts: BTreeMap<u32, Part>,
    /// When it was created.
    pub initiated: SystemTime,
    pub(crate) attributes: Attributes,
}

/// A part of a multipart upload.
#[derive(Clone, Debug)]
pub struct Part {
    /// The content.
    pub bytes: Arc<Vec<u8>>,
    /// With its quotes.
    pub etag: String,
    /// When it was written.
    pub last_modified: SystemTime,
}

pub(crate) type Bucket = BTreeMap<String, Object>;

#[derive(Default)]
pub(crate) struct Store {
    pub(crate) buckets: BTreeMap<String, Bucket>,
    /// By their identifiers.
    pub(crate) uploads: BTreeMap<String, Upload>,
    uploads_created: u64,
}

impl Store {
    pub(crate) fn bucket(&mut self, name: &str) -> Result<&mut Bucket, ErrorCode> {
        self.buckets.get_mut(name).ok_or(ErrorCode::NoSuchBucket)
    }

    pub(crate) fn create_upload(
        &mut self,
        bucket: &str,
        key: &str,
        attributes: Attributes,
    ) -> Result<String, ErrorCode> {
        self.bucket(bucket)?;
        self.uploads_created += 1;
        let id = format!("upload-{:06}", self.uploads_created);
        let upload = Upload {
            id: id.clone(),
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            parts: BTreeMap::new(),
            initiated: SystemTime::now(),
            attributes,
        };
        self.uploads.insert(id.clone(), upload);
        Ok(id)
    }

    /// An upload, if it is one of this key.
    pub(crate) fn upload(
        &mut self,
        bucket: &str,
        key: &str,
        id: &str,
    ) -> Result<&mut Upload, ErrorCode> {
        self.bucket(bucket)?;
        self.uploads
            .get_mut(id)
            .filter(|upload| upload.bucket == bucket && upload.key == key)
            .ok_or(ErrorCode::NoSuchUpload)
    }
}

/// A hash that differs for different contents unless someone makes an effort: 32 hexadecimal
/// digits, as long as the MD5 that S3 has in its place, and far faster.
pub(crate) fn content_hash(bytes: &[u8]) -> String {
    const ODD: [u64; 4] = [
        0x9e37_79b9_7f4a_7c15,
        0xbf58_476d_1ce4_e5b9,
        0x94d0_49bb_1331_11eb,
        0xd6e8_feb8_6659_fd93,
    ];
    let step = |lane: u64, word: [u8; 8], odd: u64| {
        (lane ^ u64::from_le_bytes(word)).wrapping_mul(odd).rotate_left(29)
    };
    let [mut a, mut b, mut c, mut d] = ODD;
    let (words, rest) = bytes.as_chunks::<8>();
    let (blocks, words) = words.as_chunks::<4>();
    for block in blocks {
        a = step(a, block[0], ODD[0]);
        b = step(b, block[1], ODD[1]);
        c = step(c, block[2], ODD[2]);
        d = step(d, block[3], ODD[3]);
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    for word in words.iter().chain([&last]) {
        a = step(a, *word, ODD[0]);
    }

    let mix = |state: u64, word: u64| {
        let mixed = (state ^ word).wrapping_mul(ODD[0]);
        mixed ^ (mixed >> 32)
    };
    let first = [a, b, c, d].into_iter().fold(bytes.len() as u64, mix);
    let second = [d, c, b, a].into_iter().fold(first, mix);
    format!("{first:016x}{second:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_and_the_length_change_the_hash() {
        let bytes = vec![0; 100];
        let mut seen = vec![content_hash(&bytes), content_hash(&bytes[..99]), content_hash(&[])];
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] = 1;
            seen.push(content_hash(&changed));
        }
        let count = seen.len();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), count);
        assert!(seen.iter().all(|hash| hash.len() == 32));
    }

    #[test]
    fn an_upload_belongs_to_its_key() {
        let mut store = Store::default();
        assert_eq!(
            store.create_upload("b", "k", Attributes::default()).unwrap_err(),
            ErrorCode::NoSuchBucket
        );
        store.buckets.insert("b".to_owned(), Bucket::new());
        let id = store.create_upload("b", "k", Attributes::default()).unwrap();
        assert!(store.upload("b", "k", &id).is_ok());
        assert_eq!(store.upload("b", "l", &id).unwrap_err(), ErrorCode::NoSuchUpload);
        assert_eq!(store.upload("b", "k", "other").unwrap_err(), ErrorCode::NoSuchUpload);
    }
}
