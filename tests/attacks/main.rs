//! Attackers as programs: each does what somebody who owns the input, the folder or a
//! worker could do, and must get nothing.
//!
//! A module is named after the protection that it attacks (`crates/protection`).
//! `ci/attacks.sh` runs all of them with every protection on, then each module with its
//! protection turned off, and expects a failure: an attack that does not succeed then
//! proves nothing. [`rounds`] is how often an attack that needs luck is tried.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod beneath_by_hand;
mod beneath_root;
mod bounded_answers;
mod close_descriptors;
mod closed_folders;
#[path = "../../crates/cli/tests/common/mod.rs"]
mod common;
mod exchange;
mod header_memory;
mod job_revoked;
mod key_file_mode;
mod locked_memory;
mod memory;
mod neighbour;
mod no_network;
mod not_dumpable;
mod output_length;
mod own_table;
mod own_temporaries;
mod planted_pipe;
mod plugin_environment;
mod remove_by_descriptor;
mod require_means_all;
mod rsa_size;
mod ssh_low_order;
mod ssh_stops_at_first;
mod terminal_text;
mod transport_sandbox;
mod umask;
mod unpack_budget;
mod unpack_sandbox;
mod verify_before_remove;
mod worker_deadline;
mod worker_stderr;

/// How often an attack that depends on a lucky moment is tried: as often as
/// `CRYPTSTREAM_ATTACK_ROUNDS` says, in `ci/attacks.sh` 20 times, otherwise 5 times.
fn rounds() -> usize {
    let given = std::env::var("CRYPTSTREAM_ATTACK_ROUNDS").ok();
    given.and_then(|rounds| rounds.parse().ok()).unwrap_or(5)
}
