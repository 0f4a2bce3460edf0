//! The names of the protections that the tests of attacks are about.
//!
//! A test that has never failed proves little. So every such protection asks [`Protection::is_on`]
//! before it acts. In a normal build the answer is the constant `true` and costs nothing. With the
//! feature `switches`, which only `ci/attacks.sh` uses, the environment variable [`SWITCH`] turns
//! protections off, and the script expects the test of the attack to fail.

/// The environment variable with the names of the protections to turn off, separated by commas. It
/// is read only with the feature `switches`.
pub const SWITCH: &str = "CRYPTSTREAM_WITHOUT";

macro_rules! protections {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A protection against an attack.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Protection {
            $($(#[$doc])* $variant,)*
        }

        impl Protection {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name in [`SWITCH`], which is also that of the test module.
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
    /// The same if openat2(2) is missing.
    BeneathByHand = "beneath_by_hand",
    /// A folder of a copy is closed to others until it is complete.
    ClosedFolders = "closed_folders",
    /// `--remove-source` removes only the file that was read, in the folder in which it was read.
    RemoveByDescriptor = "remove_by_descriptor",
    /// A worker inherits no descriptor of the caller.
    CloseDescriptors = "close_descriptors",
    /// A worker's standard error is a pipe, never the terminal.
    WorkerStderr = "worker_stderr",
    /// Outputs get no permission bits that the umask forbids.
    Umask = "umask",
    /// The memory for unpacking is limited.
    UnpackBudget = "unpack_budget",
    /// The process that unpacks an archive can only write to the staging folder.
    UnpackSandbox = "unpack_sandbox",
    /// An SSH identity stops at the first stanza that names it but cannot be decrypted.
    SshStopsAtFirst = "ssh_stops_at_first",
    /// SSH points of low order are refused.
    SshLowOrder = "ssh_low_order",
    /// RSA keys of unusual sizes are refused when they are parsed.
    RsaSize = "rsa_size",
    /// Workers that complete no segment are stopped after a while.
    WorkerDeadline = "worker_deadline",
    /// The length of the output is checked before it gets its name.
    OutputLength = "output_length",
    /// With `--remove-source`, the output is verified before the source is removed.
    VerifyBeforeRemove = "verify_before_remove",
    /// Main reads the data of a segment from its own table, not from shared memory.
    OwnTable = "own_table",
    /// An output gets its name only when no worker can write to it any more.
    JobRevoked = "job_revoked",
    /// Plugins inherit neither the passphrase variable nor descriptors.
    PluginEnvironment = "plugin_environment",
    /// Only temporary files that this program has certainly created are removed.
    OwnTemporaries = "own_temporaries",
    /// A pipe that another user has created under the name of the output is refused.
    PlantedPipe = "planted_pipe",
    /// Everything that is written to a terminal is checked, not only the beginning.
    TerminalText = "terminal_text",
    /// The memory for a header does not grow with the number of its arguments.
    HeaderMemory = "header_memory",
    /// With `--sandbox require`, untrusted bytes are parsed only in a sandbox.
    RequireMeansAll = "require_means_all",
    /// Files that others can write to are not used as keys or configuration.
    KeyFileMode = "key_file_mode",
    /// The memory of main can be read neither by a debugger nor in a core dump.
    NotDumpable = "not_dumpable",
    /// Secrets are in locked memory.
    LockedMemory = "locked_memory",
    /// The process that talks to the network can do nothing else.
    TransportSandbox = "transport_sandbox",
    /// No process that has keys can use the network while there is a transport.
    NoNetwork = "no_network",
    /// What a store answers is limited in length, but for content.
    BoundedAnswers = "bounded_answers",
}

impl Protection {
    /// Whether the protection is on: always, except in tests of attacks.
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

/// The variable for a child process with an empty environment, so that the switches apply there
/// too; `None` in a normal build.
#[must_use]
pub fn environment() -> Option<(&'static str, std::ffi::OsString)> {
    #[cfg(feature = "switches")]
    return std::env::var_os(SWITCH).map(|value| (SWITCH, value));
    #[cfg(not(feature = "switches"))]
    None
}

/// With the feature `switches`: if this environment variable is set, a process that parses
/// untrusted bytes outside a sandbox exits with [`TRAP_STATUS`].
pub const TRAP: &str = "CRYPTSTREAM_TRAP_PARSING";

/// The exit status of [`TRAP`], which nothing else uses.
pub const TRAP_STATUS: i32 = 99;

/// Whether this process is sandboxed.
#[cfg(feature = "switches")]
static IS_CONFINED: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

/// Marks this process as sandboxed.
#[inline]
pub fn confined() {
    #[cfg(feature = "switches")]
    IS_CONFINED.store(true, std::sync::atomic::Ordering::Relaxed);
}

/// Announces that untrusted bytes, described by `what`, are parsed next. Does nothing in a normal
/// build.
#[inline]
pub fn parsing(what: &str) {
    #[cfg(feature = "switches")]
    if !IS_CONFINED.load(std::sync::atomic::Ordering::Relaxed) && std::env::var_os(TRAP).is_some() {
        eprintln!("{what} would be parsed by a process that is not sandboxed");
        std::process::exit(TRAP_STATUS);
    }
    let _ = what;
}
