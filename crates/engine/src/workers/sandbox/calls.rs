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
    libc::SYS_fadvise64,
    libc::SYS_fdatasync,
    libc::SYS_fchmod,
];

/// What talking to the network needs in addition: sockets, waiting for them, threads (clone is
/// below), and opening the files that Landlock leaves open. [`transport_restrictions`] restricts
/// some of these.
pub(super) const TRANSPORT: &[i64] = &[
    libc::SYS_socket,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_shutdown,
    libc::SYS_sendto,
    libc::SYS_recvfrom,
    libc::SYS_sendmsg,
    libc::SYS_recvmsg,
    libc::SYS_sendmmsg,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_eventfd2,
    libc::SYS_ppoll,
    libc::SYS_fcntl,
    libc::SYS_ioctl,
    libc::SYS_pread64,
    libc::SYS_readv,
    libc::SYS_lseek,
    libc::SYS_openat,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_uname,
    libc::SYS_prctl,
    libc::SYS_rseq,
    libc::SYS_set_robust_list,
    libc::SYS_sched_getaffinity,
    libc::SYS_prlimit64,
];

/// The same, where the system has older calls too.
#[cfg(target_arch = "x86_64")]
const TRANSPORT_OLD: &[i64] = &[libc::SYS_poll, libc::SYS_epoll_wait];
#[cfg(not(target_arch = "x86_64"))]
const TRANSPORT_OLD: &[i64] = &[];

/// The flag of clone(2) for a thread of this process.
const CLONE_THREAD: u64 = libc::CLONE_THREAD as u64;

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
/// There are three filters, and the strictest result counts. The first kills the process if it
/// makes a call that is on no list; the others fail calls, as if the system did not have them or as
/// not permitted.
pub(super) fn filter(allowed: &[i64]) -> Option<()> {
    let arch = std::env::consts::ARCH.try_into().ok()?;
    let mut refused: BTreeMap<i64, Vec<SeccompRule>> = REFUSED
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
    let mut missing = BTreeMap::new();
    if allowed == TRANSPORT {
        known.extend(TRANSPORT_OLD.iter().map(|call| (*call, vec![])));
        // Threads, no processes. A filter cannot see the flags of clone3.
        known.insert(
            libc::SYS_clone,
            vec![argument(0, SeccompCmpOp::MaskedEq(CLONE_THREAD), CLONE_THREAD)?],
        );
        known.insert(libc::SYS_clone3, vec![]);
        missing.insert(libc::SYS_clone3, vec![]);
        refused.extend(transport_restrictions()?);
    }
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
    let enosys = u32::try_from(libc::ENOSYS).ok()?;
    let miss =
        SeccompFilter::new(missing, SeccompAction::Allow, SeccompAction::Errno(enosys), arch);
    // In this order: installing the last filter needs calls that it refuses.
    for filter in [kill.ok()?, miss.ok()?, refuse.ok()?] {
        let program: seccompiler::BpfProgram = filter.try_into().ok()?;
        apply_filter(&program).ok()?;
    }
    Some(())
}

/// Of the calls in [`TRANSPORT`], what is refused: sockets that lead to other programs of this
/// machine (a service manager or a key agent would do what this process cannot) or to its network
/// settings, and what changes files, other processes or this one's own protection.
fn transport_restrictions() -> Option<BTreeMap<i64, Vec<SeccompRule>>> {
    let not_internet = none_of(0, &[libc::AF_INET as u64, libc::AF_INET6 as u64])?;
    let raw = |kind| argument(1, SeccompCmpOp::MaskedEq(SOCKET_KIND), kind);
    let read_only = [libc::O_WRONLY, libc::O_RDWR, libc::O_CREAT, libc::O_TRUNC];
    let not_read_only = |flag| argument(2, SeccompCmpOp::MaskedEq(flag as u64), flag as u64);
    Some(BTreeMap::from([
        (libc::SYS_socket, vec![not_internet, raw(libc::SOCK_RAW as u64)?, raw(SOCK_PACKET)?]),
        (libc::SYS_openat, read_only.into_iter().map(not_read_only).collect::<Option<_>>()?),
        (libc::SYS_fcntl, vec![none_of(1, FCNTL)?]),
        (libc::SYS_ioctl, vec![none_of(1, IOCTL)?]),
        (libc::SYS_prctl, vec![none_of(0, PRCTL)?]),
        // Only this process's own limits, and only to read them.
        (
            libc::SYS_prlimit64,
            vec![argument(0, SeccompCmpOp::Ne, 0)?, argument(2, SeccompCmpOp::Ne, 0)?],
        ),
    ]))
}

/// The bits of a socket's type without its flags, `SOCK_TYPE_MASK` of the kernel.
const SOCKET_KIND: u64 = 0xf;
/// An old type of raw sockets.
const SOCK_PACKET: u64 = 10;
/// Not those that have signals sent to other processes.
const FCNTL: &[u64] = &[
    libc::F_GETFD as u64,
    libc::F_SETFD as u64,
    libc::F_GETFL as u64,
    libc::F_SETFL as u64,
    libc::F_DUPFD_CLOEXEC as u64,
];
const IOCTL: &[u64] = &[libc::FIONBIO, libc::FIONREAD];
/// Names of threads and of memory.
const PRCTL: &[u64] = &[libc::PR_SET_NAME as u64, libc::PR_SET_VMA as u64];

/// Argument `index` is none of these 32-bit values.
fn none_of(index: u8, values: &[u64]) -> Option<SeccompRule> {
    let differs = |value: &u64| {
        SeccompCondition::new(index, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, *value).ok()
    };
    SeccompRule::new(values.iter().map(differs).collect::<Option<_>>()?).ok()
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

/// Takes the network away from all threads of this process, and from all processes that it starts
/// from now on: they get no sockets but pairs and those of the Unix domain. Also sets
/// `no_new_privs`. Returns whether that has worked.
pub(super) fn forbid_network() -> Option<()> {
    let arch = std::env::consts::ARCH.try_into().ok()?;
    let other_domain = argument(0, SeccompCmpOp::Ne, libc::AF_UNIX as u64)?;
    let calls = BTreeMap::from([
        (libc::SYS_socket, vec![other_domain]),
        // It has operations that create and connect sockets, which a filter does not see.
        (libc::SYS_io_uring_setup, vec![]),
    ]);
    let eacces = u32::try_from(libc::EACCES).ok()?;
    let filter =
        SeccompFilter::new(calls, SeccompAction::Allow, SeccompAction::Errno(eacces), arch).ok()?;
    let program: seccompiler::BpfProgram = filter.try_into().ok()?;
    seccompiler::apply_filter_all_threads(&program).ok()
}
