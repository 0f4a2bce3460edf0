//! The machine and the file system that the benchmark runs on.

use std::fs;
use std::path::Path;

use cryptstream_engine::chacha20_poly1305_library;

/// Processor features that the cipher, its hash or a copy can use.
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
    // On ARM.
    "pmull",
    "sha2",
    "sha3",
    "sve",
];

/// The machine that the benchmark runs on.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    /// Whether it reports that it is virtual.
    pub(crate) is_virtual: bool,
    pub(crate) features: Vec<&'static str>,
    /// Whether it reports its features, and AES instructions are not among them.
    pub(crate) lacks_aes: bool,
    /// Cores that this process may use.
    pub(crate) cores: usize,
    /// In bytes.
    pub(crate) memory: u64,
    pub(crate) available_memory: u64,
    pub(crate) kernel: String,
    pub(crate) architecture: &'static str,
    /// What computes the cipher of large age files.
    pub(crate) chacha20_poly1305: &'static str,
}

impl Machine {
    pub(crate) fn detect() -> Self {
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
            chacha20_poly1305: chacha20_poly1305_library(),
        }
    }

    /// The cipher of age files, and what computes it.
    pub(crate) fn age_cipher(&self) -> String {
        format!("ChaCha20-Poly1305 of {}, in large files", self.chacha20_poly1305)
    }
}

/// The first field that has one of these names, in a file of `name : value` lines.
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
pub(crate) struct FileSystem {
    pub(crate) name: String,
    /// Bytes that this process may still write.
    pub(crate) free: u64,
    /// Whether files there are kept in memory.
    pub(crate) is_memory: bool,
}

impl FileSystem {
    pub(crate) fn of(folder: &Path) -> std::io::Result<Self> {
        let stat = rustix::fs::statfs(folder)?;
        // The type's width and sign depend on the architecture.
        let name = file_system_name(stat.f_type as u32);
        let free = (stat.f_bavail as u64).saturating_mul(stat.f_bsize as u64);
        Ok(Self { is_memory: matches!(name.as_str(), "tmpfs" | "ramfs"), name, free })
    }
}

/// The name that belongs to a magic number of statfs(2).
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
