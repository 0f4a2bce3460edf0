//! The protections that attack tests rely on, each with a name.
//!
//! A test that has never been red proves little. So every protection that an attack
//! test is about asks [`Protection::is_on`] before it acts. In a normal build the
//! answer is the constant `true` and costs nothing. With the feature `switches`, which
//! only `ci/attacks.sh` uses, the environment variable [`SWITCH`] turns the named
//! protections off, and the script expects the attack's test to fail.

/// The environment variable that names the protections to turn off, separated by
/// commas. Read only with the feature `switches`.
pub const SWITCH: &str = "CRYPTSTREAM_WITHOUT";

macro_rules! protections {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// Something that stands between an attacker and what they want.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Protection {
            $($(#[$doc])* $variant,)*
        }

        impl Protection {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name in [`SWITCH`] and of the attack's test module.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

protections! {
    /// Paths in a tree are resolved relative to its root, without following links.
    BeneathRoot = "beneath_root",
    /// The same where openat2(2) is missing.
    BeneathByHand = "beneath_by_hand",
    /// A folder of a copy is closed to others until it is full.
    ClosedFolders = "closed_folders",
    /// `--remove-source` removes only the file that was read, in the folder it was read in.
    RemoveByDescriptor = "remove_by_descriptor",
    /// No descriptor of the caller reaches a worker.
    CloseDescriptors = "close_descriptors",
    /// A worker's standard error is a pipe, never the terminal.
    WorkerStderr = "worker_stderr",
    /// Outputs get no bits that the umask forbids.
    Umask = "umask",
    /// Memory of unpacking is bounded by distinct names and a budget.
    UnpackBudget = "unpack_budget",
    /// What unpacks an archive can reach the staging folder only.
    UnpackSandbox = "unpack_sandbox",
    /// An SSH identity stops at the first stanza that names it and does not open.
    SshStopsAtFirst = "ssh_stops_at_first",
    /// SSH points of low order are refused.
    SshLowOrder = "ssh_low_order",
    /// RSA keys outside the allowed sizes are refused when parsed.
    RsaSize = "rsa_size",
    /// Workers that retire no segment are given up after a while.
    WorkerDeadline = "worker_deadline",
    /// The length of the output is checked before it gets its name.
    OutputLength = "output_length",
    /// With `--remove-source`, the output is opened again before the source goes.
    VerifyBeforeRemove = "verify_before_remove",
    /// Main takes a segment from its own table, not from shared memory.
    OwnTable = "own_table",
    /// A file gets its name only when no worker can write to it any more.
    JobRevoked = "job_revoked",
    /// Plugins get neither the passphrase variable nor the caller's descriptors.
    PluginEnvironment = "plugin_environment",
    /// Only temporaries that are certainly ours are removed.
    OwnTemporaries = "own_temporaries",
    /// A pipe that somebody has planted under the output's name is refused.
    PlantedPipe = "planted_pipe",
    /// Every piece that goes to a terminal is checked, not only the first.
    TerminalText = "terminal_text",
    /// A header's memory does not multiply with its arguments.
    HeaderMemory = "header_memory",
    /// With `--sandbox require` no hostile bytes are parsed outside a worker.
    RequireMeansAll = "require_means_all",
    /// Files that others may write are not believed as keys or configuration.
    KeyFileMode = "key_file_mode",
    /// Main can neither be read by a debugger nor dumped by a core handler.
    NotDumpable = "not_dumpable",
    /// Secrets lie in locked memory.
    LockedMemory = "locked_memory",
}

impl Protection {
    /// Whether the protection is to act. Always, but for attack tests.
    #[must_use]
    #[inline]
    pub fn is_on(self) -> bool {
        #[cfg(feature = "switches")]
        return !std::env::var(SWITCH)
            .is_ok_and(|names| names.split(',').any(|name| name == self.name()));
        #[cfg(not(feature = "switches"))]
        true
    }
}

/// What a child process that gets no environment needs of it, so that switches hold
/// there too; nothing in a normal build.
#[must_use]
pub fn environment() -> Option<(&'static str, std::ffi::OsString)> {
    #[cfg(feature = "switches")]
    return std::env::var_os(SWITCH).map(|value| (SWITCH, value));
    #[cfg(not(feature = "switches"))]
    None
}

/// With the feature `switches`: while this environment variable is set, a process that
/// parses what strangers wrote, and is not locked in, ends with [`TRAP_STATUS`].
pub const TRAP: &str = "CRYPTSTREAM_TRAP_PARSING";

/// The exit status that tells of [`TRAP`], which is no other's.
pub const TRAP_STATUS: i32 = 99;

/// Whether this process is locked in.
#[cfg(feature = "switches")]
static IS_CONFINED: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

/// Says that this process is locked in from now on.
#[inline]
pub fn confined() {
    #[cfg(feature = "switches")]
    IS_CONFINED.store(true, std::sync::atomic::Ordering::Relaxed);
}

/// Says that `what` a stranger wrote is about to be parsed; nothing in a normal build.
#[inline]
pub fn parsing(what: &str) {
    #[cfg(feature = "switches")]
    if !IS_CONFINED.load(std::sync::atomic::Ordering::Relaxed) && std::env::var_os(TRAP).is_some() {
        eprintln!("{what} would be parsed by a process that is not locked in");
        std::process::exit(TRAP_STATUS);
    }
    let _ = what;
}
