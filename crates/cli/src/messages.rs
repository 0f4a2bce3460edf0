//! All messages to the user.
//!
//! One line says what happened, to which file, and where; the next line says what to do about it.
//! Plain words, no blame, no exclamation mark, no secret. A file name that could confuse a terminal
//! is shown escaped.

pub(crate) mod archive;
mod benchmark;
pub(crate) mod config;
mod engine;
mod failure;
mod inputs_outputs;
pub(crate) mod inspect_verify;
pub(crate) mod job;
mod key_files;
mod keys;
pub(crate) mod manual;
pub(crate) mod objects;
pub(crate) mod other_programs;
mod outputs;
mod printing;
mod range;
pub(crate) mod rekey;
mod run;
pub(crate) mod storage_options;
mod store_advice;
pub(crate) mod submit;
mod system;
mod text;
pub(crate) mod tree;
mod usage;

pub(crate) use benchmark::{benchmark, report_written};
pub(crate) use engine::{Context, engine, high_cost_note};
pub(crate) use failure::{Failure, Shared, code};
pub(crate) use inputs_outputs::*;
pub(crate) use key_files::{identities_invalid, recipients_invalid};
pub(crate) use keys::*;
pub(crate) use outputs::*;
pub(crate) use printing::*;
pub(crate) use range::{range_note, range_of_stdin};
pub(crate) use run::{interrupted, interruption, set_retried_on_term, worker_note};
pub(crate) use system::{cannot_start, internal};
pub(crate) use text::{escaped_json, quoted};
pub(crate) use usage::*;

use system::{reason, shortage};
