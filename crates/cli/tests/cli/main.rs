//! The program as its users run it: every test runs the real binary.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod abandoned;
mod advice;
mod age;
mod archive;
mod archive_refused;
mod armor;
mod benchmark;
mod closed_streams;
#[path = "../common/mod.rs"]
mod common;
mod config;
mod descriptors;
mod everyday;
mod faults;
mod filesystems;
mod full_disk;
mod guide;
mod habits;
mod histories;
mod inspect;
mod interrupted;
mod json;
mod key_files;
mod keys;
mod mirror;
mod output_place;
mod page_cache;
mod patterns;
mod plugin;
mod range;
mod refused_data;
mod refused_files;
mod rekey;
mod rekey_interrupted;
mod rekey_many;
mod salvage;
mod several;
mod shortages;
mod terminal;
mod testkit;
mod tree;
mod tree_refused;
mod verify;
mod words;
mod workers;
