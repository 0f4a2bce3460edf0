//! The system calls of each profile. `docs/sandbox.md` gives the reason for each.

use std::collections::BTreeMap;

use seccompiler::{
    SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter,
};

/// What every process needs to compute, to read and write its descriptors, and to exit.
const COMMON: &[i64] = &[
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_pwrite64,
    libc::SYS_close,
    libc::SYS_futex,
    // Memory, for the allocator. mmap and mprotect are below.
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
    // Signals and exit. tgkill is below.
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigaction,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// What a worker needs in addition: to read segments, to keep the page cache free of them, and the
/// control socket.
pub(super) const WORKER: &[i64] = &[
    libc::SYS_pread64,
    libc::SYS_sync_file_range,
    libc::SYS_fadvise64,
    libc::SYS_recvmsg,
    libc::SYS_sendmsg,
    libc::SYS_poll,
    libc::SYS_ppoll,
];

/// What listing an archive needs in addition.
pub(super) const LIST: &[i64] = &[];

/// What unpacking an archive needs in addition: to create files, folders and links. Landlock
/// decides where; it does not cover permission bits and times, which are restricted below. openat2
/// is missing, since a filter cannot see its permission bits; paths are then resolved component by
/// component.
pub(super) const UNPACK: &[i64] = &[
    libc::SYS_openat,
    libc::SYS_mkdirat,
    libc::SYS_symlinkat,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_ftruncate,
    libc::SYS_fchmod,
];

/// What libraries try but can do without. These calls fail; they do not kill the process.
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

/// Restricts this process to the common calls and those in `allowed`, permanently.
///
/// There are two filters, and the stricter result counts. The first kills the process if it makes a
/// call that is on no list; the second fails the calls on the list of refused ones.
pub(super) fn filter(allowed: &[i64]) -> Option<()> {
    let arch = std::env::consts::ARCH.try_into().ok()?;
    let refused: BTreeMap<i64, Vec<SeccompRule>> = REFUSED
        .iter()
        .chain(REFUSED_OLD)
        .filter(|call| !allowed.contains(call))
        .map(|call| (*call, vec![]))
        .collect();
    let mut known = refused.clone();
    known.extend(COMMON.iter().chain(allowed).map(|call| (*call, vec![])));
    // Executable memory would defeat the sandbox.
    let not_executable = argument(2, SeccompCmpOp::MaskedEq(PROT_EXEC), 0)?;
    known.insert(libc::SYS_mmap, vec![not_executable.clone()]);
    known.insert(libc::SYS_mprotect, vec![not_executable]);
    // Abort sends a signal to this process. No other process may be signaled.
    let own_pid = u64::from(std::process::id());
    known.insert(libc::SYS_tgkill, vec![argument(0, SeccompCmpOp::Eq, own_pid)?]);
    if allowed == UNPACK {
        // Without a path: only the times of the descriptor's own file.
        known.insert(libc::SYS_utimensat, vec![argument(1, SeccompCmpOp::Eq, 0)?]);
        // Without flags: no link is followed, and no descriptor is linked.
        known.insert(libc::SYS_linkat, vec![argument(4, SeccompCmpOp::Eq, 0)?]);
        // No special bits, and no bits of the umask where the kernel does not apply it.
        let umask = u64::from(crate::umask::umask());
        for (call, place, forbidden) in [
            (libc::SYS_openat, 3, SPECIAL),
            (libc::SYS_mkdirat, 2, SPECIAL),
            (libc::SYS_fchmod, 1, SPECIAL | umask),
        ] {
            known.insert(call, vec![mode_without(place, forbidden)?]);
        }
    }

    let kill = SeccompFilter::new(known, SeccompAction::KillProcess, SeccompAction::Allow, arch);
    let eperm = u32::try_from(libc::EPERM).ok()?;
    let refuse =
        SeccompFilter::new(refused, SeccompAction::Allow, SeccompAction::Errno(eperm), arch);
    // In this order: installing the second filter needs calls that it refuses.
    for filter in [kill.ok()?, refuse.ok()?] {
        let program: seccompiler::BpfProgram = filter.try_into().ok()?;
        apply_filter(&program).ok()?;
    }
    Some(())
}

const PROT_EXEC: u64 = libc::PROT_EXEC as u64;

/// The permission bits setuid, setgid and sticky.
const SPECIAL: u64 = 0o7000;

/// Permission bits in argument `index` without any of these. The upper half of the register is
/// ignored.
fn mode_without(index: u8, forbidden: u64) -> Option<SeccompRule> {
    let operator = SeccompCmpOp::MaskedEq(forbidden);
    let condition = SeccompCondition::new(index, SeccompCmpArgLen::Dword, operator, 0).ok()?;
    SeccompRule::new(vec![condition]).ok()
}

fn argument(index: u8, operator: SeccompCmpOp, value: u64) -> Option<SeccompRule> {
    let condition = SeccompCondition::new(index, SeccompCmpArgLen::Qword, operator, value).ok()?;
    SeccompRule::new(vec![condition]).ok()
}
