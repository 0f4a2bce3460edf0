//! An S3 server in memory, for tests.
//!
//! ```
//! use cryptstream_s3_test_server::{Options, Server};
//!
//! let server = Server::start(Options::default());
//! server.put("bucket", "key", "content");
//! // A client is given `server.endpoint()`, any credentials, and path style.
//! assert_eq!(server.keys("bucket"), ["key"]);
//! assert_eq!(*server.get("bucket", "key").unwrap().bytes, b"content");
//! assert!(server.uploads().is_empty());
//! assert!(server.requests().is_empty());
//! ```
//!
//! Faults happen by rules, each to certain requests or at random from a seed:
//!
//! ```
//! # use cryptstream_s3_test_server::{ErrorCode, Fault, Faults, Operation, Options, Rule, Server};
//! # let server = Server::start(Options::default());
//! server.set_faults(
//!     Faults::seeded(7)
//!         .rule(Rule::nth(3, Fault::ResetBody { after: 1000 }).on(Operation::GetObject))
//!         .rule(Rule::random(0.1, Fault::Error(ErrorCode::InternalError))),
//! );
//! ```
//!
//! It answers as S3 does, or as the XML API of Google Cloud Storage, with the same codes, and checks
//! no signatures. Contents are shared, never
//! copied on reading, so objects may have hundreds of megabytes.

mod conditions;
mod connection;
mod connections;
mod date;
mod error;
mod faults;
mod google;
mod handler;
mod list;
mod multipart;
mod objects;
mod operation;
mod options;
mod range;
mod request;
mod request_log;
mod response;
mod server;
mod services;
mod shared;
mod store;
mod xml;

pub use error::ErrorCode;
pub use faults::{Fault, Faults, Rule};
pub use operation::Operation;
pub use options::Options;
pub use request::VIRTUAL_HOSTS;
pub use request_log::LoggedRequest;
pub use server::Server;
pub use store::{Object, Part, Upload};
