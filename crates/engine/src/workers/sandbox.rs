//! What a worker may do: read and write the descriptors that it was given, and
//! compute. `docs/sandbox.md` has the reason for every call that is allowed.

use std::collections::BTreeMap;

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, RestrictionStatus, Ruleset,
    RulesetAttr, RulesetStatus, Scope,
};
use rustix::process::{DumpableBehavior, Resource, Rlimit, Signal};
use seccompiler::{
    SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter,
};

/// How well workers must be locked in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum SandboxMode {
    /// As well as the system can.
    Auto = 0,
    /// Fully, or the run fails.
    Require = 1,
    /// Not at all.
    Off = 2,
}

/// How well a worker is locked in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum SandboxLevel {
    /// Not at all.
    None = 0,
    /// By one of the two mechanisms.
    Partial = 1,
    /// By system call filter (seccomp) and Landlock.
    Full = 2,
}

impl SandboxMode {
    pub(super) fn from_byte(byte: u8) -> Option<Self> {
        [Self::Auto, Self::Require, Self::Off].into_iter().find(|mode| *mode as u8 == byte)
    }
}

impl SandboxLevel {
    pub(super) fn from_byte(byte: u8) -> Option<Self> {
        [Self::None, Self::Partial, Self::Full].into_iter().find(|level| *level as u8 == byte)
    }

    /// The word for reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Partial => "partial",
            Self::Full => "full",
        }
    }
}

/// Has the system kill this process when the thread that started it ends. The
/// first thing that a worker does; afterwards it must compare its parent.
pub(super) fn die_with_parent() {
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
}

/// Locks this process in, for good.
pub(super) fn enter(mode: SandboxMode) -> SandboxLevel {
    if mode == SandboxMode::Off {
        return SandboxLevel::None;
    }
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let _ = rustix::process::setrlimit(Resource::Core, none);
    let _ = rustix::process::setrlimit(Resource::Nproc, none);
    let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let has_landlock = restrict_files_and_network();
    let has_seccomp = filter_system_calls().is_some();
    match (has_landlock, has_seccomp) {
        (true, true) => SandboxLevel::Full,
        (false, false) => SandboxLevel::None,
        _ => SandboxLevel::Partial,
    }
}

/// Landlock with every right that the kernel knows handled, and no rule that
/// gives one back. Sets `no_new_privs` too.
fn restrict_files_and_network() -> bool {
    let restricted = (|| {
        Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(ABI::V6))?
            .handle_access(AccessNet::from_all(ABI::V6))?
            .scope(Scope::from_all(ABI::V6))?
            .create()?
            .restrict_self()
    })();
    match restricted {
        Ok(RestrictionStatus { ruleset, no_new_privs, .. }) => {
            ruleset != RulesetStatus::NotEnforced && no_new_privs
        }
        Err(_) => false,
    }
}

/// What a worker needs, and nothing else.
const ALLOWED: &[i64] = &[
    // The work: segments in, segments out, and waiting for more.
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_futex,
    // The control socket, and standard error for a last word.
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_recvmsg,
    libc::SYS_sendmsg,
    libc::SYS_poll,
    libc::SYS_ppoll,
    libc::SYS_close,
    // Memory, as the allocator asks for it; mmap and mprotect see below.
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    // Time, and the random seed of hash maps.
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_sched_yield,
    libc::SYS_getrandom,
    libc::SYS_getpid,
    libc::SYS_gettid,
    // Signals and the end; tgkill see below.
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigaction,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// What libraries try in passing and can do without: refused, not punished.
const REFUSED: &[i64] = &[
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_newfstatat,
    libc::SYS_fstat,
    libc::SYS_statx,
    libc::SYS_readlinkat,
    libc::SYS_faccessat,
    libc::SYS_ioctl,
    libc::SYS_fcntl,
    libc::SYS_prctl,
    libc::SYS_seccomp,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_prlimit64,
    libc::SYS_sched_getaffinity,
];

#[cfg(target_arch = "x86_64")]
const REFUSED_OLD: &[i64] =
    &[libc::SYS_open, libc::SYS_stat, libc::SYS_lstat, libc::SYS_access, libc::SYS_readlink];
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_OLD: &[i64] = &[];

/// Two filters, of which the stricter answer counts: the first kills whoever
/// asks for anything that is on neither list, the second refuses what is on
/// the list of the refused.
fn filter_system_calls() -> Option<()> {
    let arch = std::env::consts::ARCH.try_into().ok()?;
    let refused = || REFUSED.iter().chain(REFUSED_OLD).map(|call| (*call, vec![]));
    let mut known: BTreeMap<i64, Vec<SeccompRule>> =
        ALLOWED.iter().map(|call| (*call, vec![])).chain(refused()).collect();
    // Memory that can be executed would be the way around all of this.
    let not_executable = argument(2, SeccompCmpOp::MaskedEq(PROT_EXEC), 0)?;
    known.insert(libc::SYS_mmap, vec![not_executable.clone()]);
    known.insert(libc::SYS_mprotect, vec![not_executable]);
    // An abort is a signal to oneself, and to nobody else.
    let own_pid = u64::from(std::process::id());
    known.insert(libc::SYS_tgkill, vec![argument(0, SeccompCmpOp::Eq, own_pid)?]);

    let kill = SeccompFilter::new(known, SeccompAction::KillProcess, SeccompAction::Allow, arch);
    let eperm = u32::try_from(libc::EPERM).ok()?;
    let refuse = SeccompFilter::new(
        refused().collect(),
        SeccompAction::Allow,
        SeccompAction::Errno(eperm),
        arch,
    );
    // In this order: applying the second takes calls that it refuses.
    for filter in [kill.ok()?, refuse.ok()?] {
        let program: seccompiler::BpfProgram = filter.try_into().ok()?;
        apply_filter(&program).ok()?;
    }
    Some(())
}

const PROT_EXEC: u64 = libc::PROT_EXEC as u64;

fn argument(index: u8, operator: SeccompCmpOp, value: u64) -> Option<SeccompRule> {
    let condition = SeccompCondition::new(index, SeccompCmpArgLen::Qword, operator, value).ok()?;
    SeccompRule::new(vec![condition]).ok()
}
