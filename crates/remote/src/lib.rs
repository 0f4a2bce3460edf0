//! Objects in stores as inputs and outputs.
//!
//! The process that talks to the network, the *transport*, has no key, and the processes that
//! have keys do not talk to the network.

mod parts;
mod profile;
mod url;

pub use parts::{MAX_OBJECT_LEN, MAX_PART_SIZE, MAX_PARTS, ObjectTooLong, Part, PartLayout};
pub use profile::{AwsCredentials, AwsSettings, ProfileError, ProfileProblem};
pub use url::{MAX_KEY_LEN, ObjectUrl, Scheme, UrlError, UrlProblem, is_url};
