//! What `rekey` can be told.

use std::path::PathBuf;

use clap::Args;

use super::{Opening, Passphrase, Sealing, parse_log_n};

const AFTER_HELP: &str = "\
Rekeying gives a file another header; its content stays as it is. That takes no
longer for a large file, as long as the new header fits into the old one's place
(files from 1 MiB on have room for 41 public keys, age files for as many as they
had) or the file system can share blocks (Btrfs, XFS). Otherwise, and where it is
small, the file is written anew; -v and --json say which it was. Whenever it is
interrupted, the old file or the new one is there.

It is not revocation. Whoever could read the file can still read a copy that was
kept, and the key that the content is sealed with stays the same; the old header
may also live on in snapshots, backups and freed blocks. With --reencrypt the
content is sealed anew under another key, which takes as long as encrypting it.";

#[derive(Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Rekey {
    /// Sealed file to change
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) opening: Opening,
    #[command(flatten)]
    pub(crate) new: NewKeys,
    /// Seal the content anew as well, under another file key
    #[arg(long)]
    pub(crate) reencrypt: bool,
}

/// Whom the file is to be sealed for from now on.
#[derive(Args, Debug)]
#[command(next_help_heading = "New keys")]
pub(crate) struct NewKeys {
    /// Seal for this recipient from now on; repeatable
    #[arg(long, value_name = "RECIPIENT")]
    new_recipient: Vec<String>,
    /// Seal for the recipients in this file from now on; repeatable
    #[arg(long, value_name = "FILE")]
    new_recipients_file: Vec<PathBuf>,
    /// Seal for the owner of this identity file or SSH key from now on; repeatable
    #[arg(long, value_name = "FILE")]
    new_identity: Vec<PathBuf>,
    /// Ask for a new passphrase on the terminal
    #[arg(long, conflicts_with = "new_passphrase_file")]
    new_passphrase: bool,
    /// Read the new passphrase from a file (without one newline at its end)
    #[arg(long, value_name = "FILE")]
    new_passphrase_file: Option<PathBuf>,
    /// Cost of a new passphrase: memory, passes, lanes; 64MiB,3,4 or more [default: 256MiB,3,4]
    #[arg(long, value_name = "MEM[,T[,P]]")]
    argon2id: Option<String>,
    /// Cost of a new passphrase in files of age: binary logarithm of N, 16 to 22
    /// (64 MiB to 4 GiB) [default: 18]
    #[arg(long, value_name = "LOG_N", value_parser = parse_log_n)]
    scrypt: Option<u8>,
}

impl NewKeys {
    /// The same, as the flags of `encrypt` would say it; `None` if no flag
    /// names a key.
    pub(crate) fn into_flags(self, plugin_timeout: u64) -> Option<(Passphrase, Sealing)> {
        let passphrase = Passphrase {
            key: None,
            passphrase: self.new_passphrase,
            passphrase_file: self.new_passphrase_file,
            passphrase_fd: None,
        };
        let sealing = Sealing {
            recipient: self.new_recipient,
            recipients_file: self.new_recipients_file,
            identity: self.new_identity,
            argon2id: self.argon2id,
            scrypt: self.scrypt,
            plugin_timeout,
        };
        let is_public = !(sealing.recipient.is_empty()
            && sealing.recipients_file.is_empty()
            && sealing.identity.is_empty());
        (is_public || passphrase.is_given()).then_some((passphrase, sealing))
    }
}
