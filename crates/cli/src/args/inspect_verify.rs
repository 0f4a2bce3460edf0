//! The flags of the commands that only read.

use std::path::PathBuf;

use clap::Args;

use super::{DecryptionArgs, FileList, Reading, StorageOptions, Workers};

#[derive(Args, Debug)]
pub(crate) struct Inspect {
    /// Files to describe; in a folder, all files named *.enc and *.age; - or nothing for standard
    /// input, of which only the header is read
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) file_list: FileList,
    #[command(flatten)]
    pub(crate) reading: Reading,
    #[command(flatten)]
    pub(crate) storage: StorageOptions,
}

/// What `verify` and `list` decrypt.
#[derive(Args, Debug)]
pub(crate) struct DecryptInputs {
    /// Files to check; in a folder, all files named *.enc and *.age; - or nothing for standard
    /// input
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) file_list: FileList,
    #[command(flatten)]
    pub(crate) decryption: DecryptionArgs,
    #[command(flatten)]
    pub(crate) workers: Workers,
    #[command(flatten)]
    pub(crate) storage: StorageOptions,
}

/// The help of `list` for FILE, in place of that of `verify`.
pub(super) const ARCHIVES_TO_LIST: &str = "Archives to list; in a folder, all files named *.enc \
     and *.age; - or nothing for standard input";
