//! Objects in stores as inputs and outputs.
//!
//! The process that talks to the network, the *transport*, has no key, and the processes that
//! have keys do not talk to the network.

mod client;
mod input;
mod listing;
mod memory_file;
mod options;
mod output;
mod parts;
mod plan;
mod profile;
mod protocol;
mod removal;
mod renewal;
mod stat;
mod traffic;
mod transport;
mod unfinished_upload;
mod upload;
mod uploads;
mod url;

pub use client::{TRANSPORT_ARGUMENT, Transport, TransportOptions, TransportStats};
pub use input::{Opening, open};
pub use listing::Listing;
pub use options::{
    STORE_OPTIONS, StoreOption, StoreOptionError, StoreOptions, StoreSources, StoreValueError,
    is_no_option,
};
pub use output::{create, open_to_rekey};
pub use parts::{MAX_OBJECT_LEN, MAX_PART_SIZE, MAX_PARTS, ObjectTooLong, Part, PartLayout};
pub use plan::{plan_read, plan_rekey, plan_write};
pub use profile::{AwsCredentials, AwsSettings, ProfileError, ProfileProblem};
pub use protocol::ListedObject;
pub use removal::Removal;
pub use renewal::{CREDENTIALS_ARGUMENT, CredentialProcess, Renewals, TokenFile, credentials_main};
pub use stat::object_len;
pub use traffic::{RequestKind, Traffic};
pub use transport::transport_main;
pub use unfinished_upload::UnfinishedUpload;
pub use uploads::{abort_upload, list_uploads};
pub use url::{
    MAX_KEY_LEN, ObjectUrl, Scheme, UrlError, UrlProblem, file_path, is_url, may_share_bucket,
    without_secrets,
};
