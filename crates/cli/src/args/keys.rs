//! The flags that name keys.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use cryptstream_format::argon2id::Cost;

/// How to encrypt.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Keys")]
pub(crate) struct EncryptionArgs {
    #[command(flatten)]
    pub(crate) recipients: RecipientArgs,
    /// Passphrase cost: memory, passes, lanes; at least 64MiB,3,4 [default: 256MiB,3,4]
    #[arg(long, value_name = "MEM[,T[,P]]", allow_hyphen_values = true)]
    pub(crate) argon2id: Option<String>,
    /// Passphrase cost in age files: log2 of N, 16 to 22 (64 MiB to 4 GiB) [default: 18]
    #[arg(long, value_name = "LOG_N", value_parser = parse_log_n, allow_negative_numbers = true)]
    pub(crate) scrypt: Option<u8>,
    /// Abort if a plugin stays silent for this many seconds; 0 to wait forever [default: 120]
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds, allow_negative_numbers = true)]
    pub(crate) plugin_timeout: Option<u64>,
    #[command(flatten)]
    pub(crate) key_passphrase: KeyPassphrase,
    /// The cost if no flag sets one.
    #[arg(skip)]
    pub(crate) default_cost: DefaultCost,
}

impl EncryptionArgs {
    /// Whether any of these flags names a key.
    pub(crate) fn names_key(&self) -> bool {
        self.recipients.names_key()
    }
}

/// Whom to encrypt to.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Keys")]
pub(crate) struct RecipientArgs {
    /// Encrypt to this recipient (age1…, age1pq1…, age1tag1…, ssh-ed25519 …, ssh-rsa …, or a
    /// plugin's); repeatable
    #[arg(short, long, value_name = "RECIPIENT")]
    pub(crate) recipient: Vec<String>,
    /// Encrypt to the recipients in FILE, one per line; repeatable
    #[arg(short = 'R', long, value_name = "FILE")]
    pub(crate) recipients_file: Vec<PathBuf>,
    /// Encrypt to the owner of this identity file or SSH key; repeatable
    #[arg(short, long, value_name = "FILE")]
    pub(crate) identity: Vec<PathBuf>,
}

impl RecipientArgs {
    /// Whether any of these flags names a key.
    pub(crate) fn names_key(&self) -> bool {
        let Self { recipient, recipients_file, identity } = self;
        !(recipient.is_empty() && recipients_file.is_empty() && identity.is_empty())
    }
}

/// The passphrase costs of the configuration. Unlike flags, they may both be set: each applies to
/// its own format.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct DefaultCost {
    pub(crate) argon2id: Option<Cost>,
    pub(crate) scrypt: Option<u8>,
}

/// What to decrypt with.
#[derive(Args, Debug)]
#[command(next_help_heading = "Keys")]
pub(crate) struct DecryptionArgs {
    #[command(flatten)]
    pub(crate) passphrase: Passphrase,
    /// Decrypt with the identities in FILE, or with this SSH key; repeatable
    #[arg(short, long, value_name = "FILE")]
    pub(crate) identity: Vec<PathBuf>,
    /// Raise the highest passphrase cost to accept from a file [default: 2GiB,16,16, and memory
    /// times passes 8GiB]
    #[arg(long, value_name = "MEM[,T[,P]]", allow_hyphen_values = true)]
    pub(crate) argon2id_limit: Option<String>,
    /// Abort if a plugin stays silent for this many seconds; 0 to wait forever [default: 120]
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds, allow_negative_numbers = true)]
    pub(crate) plugin_timeout: Option<u64>,
    #[command(flatten)]
    pub(crate) key_passphrase: KeyPassphrase,
}

impl DecryptionArgs {
    /// Whether any of these flags names a key.
    pub(crate) fn names_key(&self) -> bool {
        self.passphrase.is_given() || !self.identity.is_empty()
    }
}

/// Where a passphrase comes from.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Keys")]
#[group(multiple = false)]
pub(crate) struct Passphrase {
    /// Passphrase on the command line, which other users can see for a moment; for real use prefer
    /// -p, --passphrase-file or a key pair
    // The value itself was taken away before parsing.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) key: Option<OsString>,
    /// Ask for the passphrase on the terminal
    #[arg(short, long)]
    pub(crate) passphrase: bool,
    /// Read the passphrase from FILE (one trailing newline is dropped)
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Read the passphrase from file descriptor N
    #[arg(long, value_name = "N", value_parser = parse_descriptor, allow_negative_numbers = true)]
    pub(crate) passphrase_fd: Option<u32>,
}

impl Passphrase {
    /// Whether any of these flags was typed.
    pub(crate) fn is_given(&self) -> bool {
        let Self { key, passphrase, passphrase_file, passphrase_fd } = self;
        key.is_some() || *passphrase || passphrase_file.is_some() || passphrase_fd.is_some()
    }
}

/// Where the passphrase of protected keys comes from, for jobs without a terminal.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Keys")]
#[group(multiple = false)]
pub(crate) struct KeyPassphrase {
    /// Read the passphrase of protected identity files and SSH keys from FILE (one trailing newline
    /// is dropped)
    #[arg(long, value_name = "FILE")]
    pub(crate) identity_passphrase_file: Option<PathBuf>,
    /// Read the passphrase of protected identity files and SSH keys from file descriptor N
    #[arg(long, value_name = "N", value_parser = parse_descriptor, allow_negative_numbers = true)]
    pub(crate) identity_passphrase_fd: Option<u32>,
}

pub(crate) fn parse_log_n(text: &str) -> Result<u8, String> {
    let (least, most) = (cryptstream_keys::MIN_LOG_N, cryptstream_keys::MAX_LOG_N);
    let in_range = |log_n: &u8| (least..=most).contains(log_n);
    text.parse().ok().filter(in_range).ok_or_else(|| format!("a number from {least} to {most}"))
}

fn parse_seconds(text: &str) -> Result<u64, &'static str> {
    text.parse().map_err(|_| "a number of seconds, such as 120; 0 waits forever")
}

fn parse_descriptor(text: &str) -> Result<u32, &'static str> {
    text.parse().map_err(|_| "the number of a file descriptor, such as 3")
}
