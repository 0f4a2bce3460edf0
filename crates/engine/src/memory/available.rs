//! How much memory this process can still get before the system kills it for want of it.
//! What is allocated is given at once and only taken away when it is touched, so a large
//! piece of work asks before it begins.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{Resource, getrlimit};

/// What limits the memory of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryLimit {
    /// What the machine has free, or can make free.
    Machine,
    /// A control group, such as a container's or that of a job of a scheduler.
    ControlGroup,
    /// The limit on the address space (`ulimit -v`).
    AddressSpace,
}

/// Bytes that this process can still get, and what limits them; `None` where the system
/// does not tell.
#[must_use]
pub fn available_memory() -> Option<(u64, MemoryLimit)> {
    let groups = Path::new("/sys/fs/cgroup");
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| in_machine(&text));
    let limits = [
        (machine, MemoryLimit::Machine),
        (in_groups(groups, &own), MemoryLimit::ControlGroup),
        (in_address_space(), MemoryLimit::AddressSpace),
    ];
    let known = limits.into_iter().filter_map(|(bytes, limit)| Some((bytes?, limit)));
    known.min_by_key(|(bytes, _)| *bytes)
}

/// From `/proc/meminfo`: what programs can get without swapping, and the free swap.
fn in_machine(text: &str) -> Option<u64> {
    Some((kib(text, "MemAvailable:")? + kib(text, "SwapFree:").unwrap_or(0)) << 10)
}

fn kib(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.trim().strip_suffix(" kB")?.parse().ok()
}

fn in_address_space() -> Option<u64> {
    let limit = getrlimit(Resource::As).current?;
    let status = fs::read_to_string("/proc/self/status").ok()?;
    Some(limit.saturating_sub(kib(&status, "VmSize:")? << 10))
}

/// The least room in this process's control groups, of which `own` is the list as in
/// `/proc/self/cgroup`, below `root`.
fn in_groups(root: &Path, own: &str) -> Option<u64> {
    let rooms = own.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (number, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let has_memory = controllers.split(',').any(|name| name == "memory");
        let version = match number {
            "0" if controllers.is_empty() => &V2,
            _ if has_memory => &V1,
            _ => return None,
        };
        let mount = root.join(version.mount);
        // In a container that shares the names of its host, the group itself is the mount.
        let own = mount.join(path.trim_start_matches('/'));
        let own = if own.is_dir() { own } else { mount.clone() };
        let groups = own.ancestors().take_while(|group| group.starts_with(&mount));
        groups.filter_map(|group| version.room(group)).min()
    });
    rooms.min()
}

/// The files of a version of control groups.
struct Version {
    mount: &'static str,
    limit: &'static str,
    usage: &'static str,
    /// What the group uses for the content of files, which is given up first.
    cache: [&'static str; 2],
}

const V1: Version = Version {
    mount: "memory",
    limit: "memory.limit_in_bytes",
    usage: "memory.usage_in_bytes",
    cache: ["total_inactive_file ", "total_active_file "],
};
const V2: Version = Version {
    mount: "",
    limit: "memory.max",
    usage: "memory.current",
    cache: ["inactive_file ", "active_file "],
};

impl Version {
    fn room(&self, group: &Path) -> Option<u64> {
        let number = |file: PathBuf| fs::read_to_string(file).ok()?.trim().parse::<u64>().ok();
        // "max" where there is none.
        let limit = number(group.join(self.limit))?;
        let usage = number(group.join(self.usage))?;
        let stat = fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
        let cache = |name: &&str| {
            let of = stat.lines().find_map(|line| line.strip_prefix(*name));
            of.and_then(|bytes| bytes.trim().parse::<u64>().ok()).unwrap_or(0)
        };
        let cache: u64 = self.cache.iter().map(cache).sum();
        Some(limit.saturating_sub(usage.saturating_sub(cache)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_tells_what_it_can_make_free() {
        let text = "MemTotal: 100 kB\nMemAvailable:     30 kB\nSwapFree:  4 kB\n";
        assert_eq!(in_machine(text), Some(34 << 10));
        assert_eq!(in_machine("MemTotal: 100 kB\n"), None);
    }

    #[test]
    fn the_narrowest_control_group_counts() {
        let dir = tempfile::tempdir().unwrap();
        let group = |path: &str, files: &[(&str, &str)]| {
            let group = dir.path().join(path);
            fs::create_dir_all(&group).unwrap();
            for (name, text) in files {
                fs::write(group.join(name), text).unwrap();
            }
        };
        let stat = "anon 50\ninactive_file 20\nactive_file 10\n";
        group("", &[("memory.max", "max\n"), ("memory.current", "7")]);
        group("a", &[("memory.max", "1000\n"), ("memory.current", "950"), ("memory.stat", stat)]);
        group("a/b", &[("memory.max", "max"), ("memory.current", "100")]);
        group("a/b/c", &[("memory.max", "500"), ("memory.current", "100")]);
        let room = |own: &str| in_groups(dir.path(), own);
        assert_eq!(room("0::/a/b/c\n"), Some(80));
        assert_eq!(room("0::/\n"), None);
        assert_eq!(room("0::/elsewhere/d\n"), None);
        assert_eq!(room("3:cpuset:/a\n"), None);
        let stat = "total_inactive_file 5\ntotal_active_file 0\n";
        let v1 = |limit| {
            [
                ("memory.limit_in_bytes", limit),
                ("memory.usage_in_bytes", "60"),
                ("memory.stat", stat),
            ]
        };
        group("memory", &v1("9223372036854771712"));
        group("memory/job", &v1("100"));
        assert_eq!(room("4:memory:/job\n0::/\n"), Some(45));
        // The group's own folder is mounted there, under no name.
        assert!(room("4:memory:/of/the/host\n").unwrap() > 1 << 60);
    }
}
