//! The flags of `rekey`.

use std::path::PathBuf;

use clap::Args;

use super::{
    CacheMode, DecryptionArgs, DefaultCost, EncryptionArgs, FileList, KeyPassphrase, Passphrase,
    Reading, RecipientArgs, StorageOptions, parse_log_n,
};

#[derive(Args, Debug)]
pub(crate) struct Rekey {
    /// Files to rekey; in a folder, all files named *.enc and *.age
    #[arg(value_name = "FILE", required_unless_present = "files_from")]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) file_list: FileList,
    #[command(flatten)]
    pub(crate) decryption: DecryptionArgs,
    #[command(flatten)]
    pub(crate) new: NewKeys,
    /// Also re-encrypt the content, under a new file key
    #[arg(long)]
    pub(crate) reencrypt: bool,
    #[command(flatten)]
    pub(crate) reading: Reading,
    /// Keep files of 8 MiB and more that must be rewritten in the page cache, or drop them; auto
    /// drops them, since they are made durable [default: auto]
    #[arg(long, value_name = "MODE", help_heading = "Processes")]
    pub(crate) cache: Option<CacheMode>,
    #[command(flatten)]
    pub(crate) storage: StorageOptions,
}

/// Whom the file is encrypted to from now on.
#[derive(Args, Debug)]
#[command(next_help_heading = "New keys")]
pub(crate) struct NewKeys {
    /// Encrypt to this recipient from now on; repeatable
    #[arg(long, value_name = "RECIPIENT")]
    new_recipient: Vec<String>,
    /// Encrypt to the recipients in FILE from now on; repeatable
    #[arg(long, value_name = "FILE")]
    new_recipients_file: Vec<PathBuf>,
    /// Encrypt to the owner of this identity file or SSH key from now on; repeatable
    #[arg(long, value_name = "FILE")]
    new_identity: Vec<PathBuf>,
    /// Ask for the new passphrase on the terminal
    #[arg(long, conflicts_with = "new_passphrase_file")]
    new_passphrase: bool,
    /// Read the new passphrase from FILE (one trailing newline is dropped)
    #[arg(long, value_name = "FILE")]
    new_passphrase_file: Option<PathBuf>,
    /// Cost of the new passphrase: memory, passes, lanes; at least 64MiB,3,4 [default: 256MiB,3,4]
    #[arg(long, value_name = "MEM[,T[,P]]", allow_hyphen_values = true)]
    argon2id: Option<String>,
    /// Cost of the new passphrase in age files: log2 of N, 16 to 22 (64 MiB to 4 GiB) [default: 18]
    #[arg(long, value_name = "LOG_N", value_parser = parse_log_n, allow_negative_numbers = true)]
    scrypt: Option<u8>,
    /// The cost if no flag sets one.
    #[arg(skip)]
    pub(crate) default_cost: DefaultCost,
}

impl NewKeys {
    /// Converts to the flags of `encrypt`; `None` if no flag names a key.
    pub(crate) fn into_flags(
        self,
        plugin_timeout: Option<u64>,
    ) -> Option<(Passphrase, EncryptionArgs)> {
        let passphrase = Passphrase {
            key: None,
            passphrase: self.new_passphrase,
            passphrase_file: self.new_passphrase_file,
            passphrase_fd: None,
        };
        let encryption = EncryptionArgs {
            recipients: RecipientArgs {
                recipient: self.new_recipient,
                recipients_file: self.new_recipients_file,
                identity: self.new_identity,
            },
            argon2id: self.argon2id,
            scrypt: self.scrypt,
            plugin_timeout,
            // The same as for the old keys, which have taken it.
            key_passphrase: KeyPassphrase::default(),
            default_cost: self.default_cost,
        };
        (encryption.names_key() || passphrase.is_given()).then_some((passphrase, encryption))
    }
}
