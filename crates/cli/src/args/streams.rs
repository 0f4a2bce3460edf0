//! Names that stand for standard input, standard output or another descriptor.

use std::ffi::OsStr;
use std::path::Path;

/// Whether an input's name stands for standard input.
pub(crate) fn is_stdin(path: &Path) -> bool {
    is_dash(path.as_os_str()) || descriptor(path) == Some(0)
}

/// Whether an output's name stands for standard output.
pub(crate) fn is_stdout(path: &Path) -> bool {
    is_dash(path.as_os_str()) || descriptor(path) == Some(1)
}

/// Whether a name stands for standard input or output.
pub(crate) fn is_dash(path: &OsStr) -> bool {
    path == "-"
}

/// The descriptor of this process that a path stands for, as `/dev/fd/63` does, which is
/// what shells write for `<(command)`.
pub(crate) fn descriptor(path: &Path) -> Option<u32> {
    let names = ["/dev/stdin", "/dev/stdout", "/dev/stderr"];
    if let Some(number) = names.iter().position(|name| path == Path::new(name)) {
        return u32::try_from(number).ok();
    }
    let name = path.strip_prefix("/dev/fd").or_else(|_| path.strip_prefix("/proc/self/fd")).ok()?;
    name.to_str()?.parse().ok()
}
