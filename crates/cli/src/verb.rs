//! What the user asked for. Messages choose their advice by it.

/// A command, or one of the modes of `encrypt` and `decrypt`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Encrypt,
    /// `encrypt --archive`
    Pack,
    Decrypt,
    /// `decrypt --extract`
    Extract,
    /// `decrypt --range`
    Range,
    /// `decrypt --salvage`
    Salvage,
    Verify,
    List,
    Inspect,
    Rekey,
    Keygen,
    Benchmark,
    Man,
}

impl Verb {
    /// Whether a new file or stream is encrypted.
    pub(crate) fn encrypts(self) -> bool {
        matches!(self, Self::Encrypt | Self::Pack)
    }

    /// Whether the input is only read.
    pub(crate) fn is_read_only(self) -> bool {
        matches!(self, Self::Verify | Self::List | Self::Inspect)
    }
}
