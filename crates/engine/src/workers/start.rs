//! Starts the processes that will be sandboxed.

use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use cryptstream_shm::Channel;

/// The command that starts `program` with the hidden `argument`, and with the other end of the
/// control socket as standard input.
///
/// There is no `pre_exec`, so the standard library may use posix_spawn. The environment is empty,
/// since ours may contain a passphrase. Output and errors are discarded.
pub(crate) fn sandboxed(program: &Path, argument: &str, control: Channel) -> Command {
    let mut command = Command::new(program);
    command
        .arg0("cryptstream")
        .arg(argument)
        .env_clear()
        .envs(cryptstream_protection::environment())
        .stdin(OwnedFd::from(control))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}
