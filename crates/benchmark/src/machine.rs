//! What the numbers were measured on.

use std::fs;
use std::path::Path;

/// Features of processors that the cipher, its hash or copying can make use of.
const RELEVANT: [&str; 14] = [
    "aes",
    "vaes",
    "pclmulqdq",
    "vpclmulqdq",
    "avx",
    "avx2",
    "avx512f",
    "sha_ni",
    "erms",
    "fsrm",
    // And of ARM's.
    "pmull",
    "sha2",
    "sha3",
    "sve",
];

/// See the module's description.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    pub(super) processor: String,
    /// Whether it says that it is a virtual one.
    pub(super) is_virtual: bool,
    pub(super) features: Vec<&'static str>,
    /// Whether it says that it has features, but no instructions for AES.
    pub(super) lacks_aes: bool,
    /// Cores that this process may use.
    pub(super) cores: usize,
    /// Bytes.
    pub(super) memory: u64,
    pub(super) available_memory: u64,
    pub(super) kernel: String,
    pub(super) architecture: &'static str,
}

impl Machine {
    pub(super) fn look() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let (cpuinfo, meminfo) = (read("/proc/cpuinfo"), read("/proc/meminfo"));
        let flags: Vec<_> = field(&cpuinfo, &["flags", "Features"])
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        let unknown = format!("unknown ({})", std::env::consts::ARCH);
        Self {
            processor: field(&cpuinfo, &["model name", "Model", "Hardware", "uarch"])
                .map_or(unknown, ToOwned::to_owned),
            is_virtual: flags.contains(&"hypervisor"),
            lacks_aes: !flags.is_empty() && !flags.contains(&"aes"),
            features: RELEVANT.into_iter().filter(|feature| flags.contains(feature)).collect(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory: kibibytes(&meminfo, "MemTotal"),
            available_memory: kibibytes(&meminfo, "MemAvailable"),
            kernel: format!("Linux {}", read("/proc/sys/kernel/osrelease").trim()),
            architecture: std::env::consts::ARCH,
        }
    }
}

/// The first field of one of these names, in a file of `name : value` lines.
fn field<'a>(text: &'a str, names: &[&str]) -> Option<&'a str> {
    let fields = || text.lines().filter_map(|line| line.split_once(':'));
    names.iter().find_map(|name| {
        let (_, value) =
            fields().find(|(field, value)| field.trim() == *name && !value.trim().is_empty())?;
        Some(value.trim())
    })
}

fn kibibytes(meminfo: &str, name: &str) -> u64 {
    let number = |value: &str| value.trim_end_matches("kB").trim().parse::<u64>().ok();
    field(meminfo, &[name]).and_then(number).unwrap_or(0) << 10
}

/// A folder's file system.
#[derive(Clone, Debug)]
pub(super) struct FileSystem {
    pub(super) name: String,
    /// Bytes that this process may still write.
    pub(super) free: u64,
    /// Whether what is written there takes memory.
    pub(super) is_memory: bool,
}

impl FileSystem {
    pub(super) fn of(folder: &Path) -> std::io::Result<Self> {
        let stat = rustix::fs::statfs(folder)?;
        // The type's width and sign depend on the processor.
        let name = file_system_name(stat.f_type as u32);
        let free = (stat.f_bavail as u64).saturating_mul(stat.f_bsize as u64);
        Ok(Self { is_memory: matches!(name.as_str(), "tmpfs" | "ramfs"), name, free })
    }
}

/// By its magic number, as statfs(2) has them.
fn file_system_name(magic: u32) -> String {
    match magic {
        0xef53 => "ext4",
        0x5846_5342 => "xfs",
        0x9123_683e => "btrfs",
        0x0102_1994 => "tmpfs",
        0x8584_58f6 => "ramfs",
        0x794c_7630 => "overlayfs",
        0x2fc1_2fc1 => "zfs",
        0xf2f5_2010 => "f2fs",
        0xca45_1a4e => "bcachefs",
        0x6969 => "nfs",
        0x6573_5546 => "fuse",
        0xff53_4d42 | 0xfe53_4d42 => "smb",
        0x0102_1997 => "9p",
        0x4d44 => "vfat",
        0x2011_bab0 => "exfat",
        0x7366_746e => "ntfs3",
        0xf15f => "ecryptfs",
        other => return format!("of type {other:#x}"),
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found() {
        let text =
            "processor\t: 0\nmodel name\t: Some CPU: fast\nflags\t\t: aes avx\nMemTotal:  24 kB\n";
        assert_eq!(field(text, &["Model", "model name"]), Some("Some CPU: fast"));
        assert_eq!(field(text, &["Features"]), None);
        assert_eq!(kibibytes(text, "MemTotal"), 24 << 10);
        assert_eq!(kibibytes(text, "MemAvailable"), 0);
    }

    #[test]
    fn file_systems_have_names() {
        assert_eq!(file_system_name(0xef53), "ext4");
        assert_eq!(file_system_name(0x1234), "of type 0x1234");
        assert!(FileSystem::of(Path::new("/")).is_ok());
    }
}
