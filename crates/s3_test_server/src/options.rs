//! What a test can set when it starts a server.

use std::time::Duration;

/// The limits of a server, which are those of S3 unless a test lowers them.
#[derive(Clone, Debug)]
pub struct Options {
    /// The least length of a part that is not the last, in bytes.
    pub min_part_size: usize,
    /// The greatest length of a part, and of an object that is put at once, in bytes.
    pub max_part_size: usize,
    /// The greatest number of parts.
    pub max_parts: u32,
    /// The greatest number of keys and prefixes in one answer to a listing.
    pub max_keys: usize,
    /// The region of all buckets.
    pub region: String,
    /// How long the credentials are valid that this server gives.
    pub credentials_lifetime: Duration,
    /// Whether it is Google Cloud Storage, with its XML API.
    pub is_google: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            min_part_size: 5 << 20,
            max_part_size: 5 << 30,
            max_parts: 10_000,
            max_keys: 1000,
            region: "us-east-1".to_owned(),
            credentials_lifetime: Duration::from_secs(3600),
            is_google: false,
        }
    }
}
