//! The options of object stores.

use std::ffi::OsString;

use clap::Args;

#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Object stores")]
pub(crate) struct StorageOptions {
    /// Set an option of the object store, such as region=eu-central-1 or
    /// endpoint=https://minio.example; repeatable; see `cryptstream store --help`
    #[arg(long = "storage-option", value_name = "KEY=VALUE")]
    pub(crate) storage_options: Vec<OsString>,
}
