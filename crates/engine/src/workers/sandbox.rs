//! The sandbox of processes that handle untrusted bytes. They can compute, and use the descriptors
//! that they were given. Their [`Profile`] says what else they can do.

mod calls;

use std::os::fd::BorrowedFd;
use std::path::PathBuf;

use cryptstream_protection::Protection;
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd,
    RestrictionStatus, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus,
    Scope, make_bitflags,
};
use rustix::process::{DumpableBehavior, Resource, Rlimit, Signal};

/// How well a process must be sandboxed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum SandboxMode {
    /// As far as the system supports it.
    Auto = 0,
    /// Fully, or the run fails.
    Require = 1,
    /// Not at all.
    Off = 2,
}

/// How well a process is sandboxed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum SandboxLevel {
    /// Not at all.
    None = 0,
    /// By a system call filter (seccomp), not by Landlock.
    FilterOnly = 1,
    /// By Landlock, not by a system call filter.
    LandlockOnly = 2,
    /// By both.
    Full = 3,
}

impl SandboxMode {
    /// The mode that was sent as this byte (`mode as u8`).
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        [Self::Auto, Self::Require, Self::Off].into_iter().find(|mode| *mode as u8 == byte)
    }
}

impl SandboxLevel {
    /// The level that was sent as this byte (`level as u8`).
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        let all = [Self::None, Self::FilterOnly, Self::LandlockOnly, Self::Full];
        all.into_iter().find(|level| *level as u8 == byte)
    }

    /// The level's name in reports: `none`, `partial` or `full`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::FilterOnly | Self::LandlockOnly => "partial",
            Self::Full => "full",
        }
    }
}

/// The task of a process, which determines what it may do.
#[derive(Clone, Copy, Debug)]
pub enum Profile<'a> {
    /// Encrypts and decrypts segments.
    Worker,
    /// Lists an archive.
    List,
    /// Unpacks an archive into this folder.
    Unpack(BorrowedFd<'a>),
    /// Talks to the network, and reads these files and folders, which name resolution and
    /// credentials need.
    Transport(&'a [PathBuf]),
}

/// Has the system kill this process when the thread that started it ends. Must be called before
/// anything else. The process must then check that its parent is still the same, which may have
/// ended before this call.
pub(crate) fn die_with_parent() {
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
}

/// Sandboxes this process for good. Returns how well it is sandboxed.
#[must_use]
pub fn restrict_process(mode: SandboxMode, profile: Profile<'_>) -> SandboxLevel {
    let is_off = match profile {
        Profile::Worker => false,
        Profile::List | Profile::Unpack(_) => !Protection::UnpackSandbox.is_on(),
        Profile::Transport(_) => !Protection::TransportSandbox.is_on(),
    };
    if mode == SandboxMode::Off || is_off {
        return SandboxLevel::None;
    }
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let _ = rustix::process::setrlimit(Resource::Core, none);
    // The transport starts threads, which the system counts as processes.
    if !matches!(profile, Profile::Transport(_)) {
        let _ = rustix::process::setrlimit(Resource::Nproc, none);
    }
    let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let allowed = match profile {
        Profile::Worker => calls::WORKER,
        Profile::List => calls::LIST,
        Profile::Unpack(_) => calls::UNPACK,
        Profile::Transport(_) => calls::TRANSPORT,
    };
    let has_landlock = restrict_files_and_network(profile);
    let has_seccomp = calls::filter(allowed).is_some();
    match (has_landlock, has_seccomp) {
        (true, true) => SandboxLevel::Full,
        (false, false) => SandboxLevel::None,
        (false, true) => SandboxLevel::FilterOnly,
        (true, false) => SandboxLevel::LandlockOnly,
    }
}

/// Takes the network away from this process, which may have started the transport before, and from
/// all that it starts from now on. Returns whether that has worked.
#[must_use]
pub fn forbid_network() -> bool {
    Protection::NoNetwork.is_on() && calls::forbid_network().is_some()
}

/// The rights below the folder of [`Profile::Unpack`]: to create files, folders and links, to
/// write, and to open folders, whose permission bits and times are set last. No file can be read or
/// removed.
const IN_FOLDER: BitFlags<AccessFs> = make_bitflags!(AccessFs::{
    MakeReg | MakeDir | MakeSym | Refer | WriteFile | Truncate | ReadDir
});

/// The rights of [`Profile::Transport`] to what it is given.
const READ: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | ReadDir});

/// Restricts this process with Landlock: it loses all rights that the kernel knows, and keeps
/// [`IN_FOLDER`] below the folder to unpack into, or [`READ`] and the network. Also sets
/// `no_new_privs`. Returns whether that has worked.
fn restrict_files_and_network(profile: Profile<'_>) -> bool {
    let restricted = (|| -> Result<RestrictionStatus, RulesetError> {
        let mut ruleset = Ruleset::default();
        if matches!(profile, Profile::Unpack(_)) {
            // The first version of Landlock forbids hard links between folders, which archives
            // contain.
            ruleset = ruleset
                .set_compatibility(CompatLevel::HardRequirement)
                .handle_access(AccessFs::Refer)?;
        }
        ruleset = ruleset
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(ABI::V6))?
            .scope(Scope::from_all(ABI::V6))?;
        if !matches!(profile, Profile::Transport(_)) {
            ruleset = ruleset.handle_access(AccessNet::from_all(ABI::V6))?;
        }
        let mut ruleset = ruleset.create()?;
        match profile {
            Profile::Unpack(folder) => {
                ruleset = ruleset.add_rule(PathBeneath::new(folder, IN_FOLDER))?;
            }
            Profile::Transport(paths) => {
                for path in paths {
                    // What does not exist need not be read.
                    let Ok(fd) = PathFd::new(path) else { continue };
                    let rights = if path.is_dir() { READ } else { AccessFs::ReadFile.into() };
                    ruleset = ruleset.add_rule(PathBeneath::new(fd, rights))?;
                }
            }
            Profile::Worker | Profile::List => {}
        }
        ruleset.restrict_self()
    })();
    match restricted {
        Ok(RestrictionStatus { ruleset, no_new_privs, .. }) => {
            ruleset != RulesetStatus::NotEnforced && no_new_privs
        }
        Err(_) => false,
    }
}
