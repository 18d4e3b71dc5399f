//! How much memory this process can still get.
//!
//! The compiler takes some fifty times what a program's functions take, and the kernel's answer to an agent that
//! takes more than its container may have is to kill it, again at each start. So it is looked at before.

use std::fs;
use std::path::Path;

/// Bytes that this process can still get; `None` where nothing says. What others take meanwhile nobody knows.
pub fn bytes() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let read = |path: &Path| fs::read_to_string(path).ok();
    let group = Version::BOTH.iter().filter_map(|version| version.free(&groups, read));
    let machine = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory = group.chain(kilobytes(&machine, "MemAvailable:")).min()?;
    // A group may be kept from swapping; then this is too much, and nothing worse than not to have looked.
    let with_swap = memory + kilobytes(&machine, "SwapFree:").unwrap_or(0);
    Some(address_space().into_iter().chain(data()).fold(with_swap, u64::min))
}

/// What `ulimit -v` leaves; `None` without such a limit.
pub fn address_space() -> Option<u64> {
    left_of("Max address space", "VmSize:")
}

/// What `ulimit -d` leaves.
fn data() -> Option<u64> {
    left_of("Max data size", "VmData:")
}

/// What is left of a limit; the keys of both in `/proc/self`.
fn left_of(limit: &str, used: &str) -> Option<u64> {
    // Not by the call, which a sandbox of the host's may refuse.
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let limit = soft_limit(&limits, limit)?;
    let status = fs::read_to_string("/proc/self/status").ok()?;
    Some(limit.saturating_sub(kilobytes(&status, used)?))
}

/// The first number in a line `key   soft   hard   unit`, or none for `unlimited`.
fn soft_limit(limits: &str, key: &str) -> Option<u64> {
    limits.lines().find_map(|line| line.strip_prefix(key))?.split_whitespace().next()?.parse().ok()
}

/// The bytes in a line `key   123 kB`.
fn kilobytes(text: &str, key: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(key))?;
    Some(value.trim().strip_suffix("kB")?.trim_end().parse::<u64>().ok()? * 1024)
}

/// A version of the kernel's control groups, which is how a container's memory is limited.
struct Version {
    /// What its line in `/proc/self/cgroup` has between its colons.
    controller: &'static str,
    /// Where its groups are.
    mount: &'static str,
    limit: &'static str,
    usage: &'static str,
    /// In `memory.stat`: what would be given back before anybody is killed, caches of files above all.
    reclaimable: &'static [&'static str],
}

impl Version {
    const BOTH: [Self; 2] = [
        Self {
            controller: "",
            mount: "/sys/fs/cgroup",
            limit: "memory.max",
            usage: "memory.current",
            reclaimable: &["active_file", "inactive_file", "slab_reclaimable"],
        },
        Self {
            controller: "memory",
            mount: "/sys/fs/cgroup/memory",
            limit: "memory.limit_in_bytes",
            usage: "memory.usage_in_bytes",
            reclaimable: &["total_active_file", "total_inactive_file"],
        },
    ];

    /// What the tightest of our group and those around it leaves. From within a container our group's path may be
    /// the outer world's and lead nowhere; its mount is our group then.
    fn free(&self, groups: &str, read: impl Fn(&Path) -> Option<String>) -> Option<u64> {
        let path = groups.lines().find_map(|line| {
            let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
            controllers.split(',').any(|controller| controller == self.controller).then_some(path)
        })?;
        let around = Path::new(path.trim_start_matches('/')).ancestors();
        around.filter_map(|group| self.free_in(&Path::new(self.mount).join(group), &read)).min()
    }

    fn free_in(&self, group: &Path, read: impl Fn(&Path) -> Option<String>) -> Option<u64> {
        // "max" is no number, and no limit.
        let number = |name| read(&group.join(name))?.trim().parse::<u64>().ok();
        let (limit, usage) = (number(self.limit)?, number(self.usage)?);
        let statistics = read(&group.join("memory.stat")).unwrap_or_default();
        let reclaimable = statistics.lines().filter_map(|line| {
            let (name, bytes) = line.split_once(' ')?;
            self.reclaimable.contains(&name).then(|| bytes.parse::<u64>().ok()).flatten()
        });
        Some(limit.saturating_sub(usage.saturating_sub(reclaimable.sum())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn free(version: &Version, groups: &str, files: &[(&str, &str)]) -> Option<u64> {
        let read = |path: &Path| {
            let file = files.iter().find(|(name, _)| Path::new(name) == path);
            file.map(|(_, content)| (*content).to_owned())
        };
        version.free(groups, read)
    }

    #[test]
    fn this_machine_says_something() {
        assert!(bytes().is_some_and(|bytes| bytes > 1 << 20), "{:?}", bytes());
    }

    #[test]
    fn the_tightest_group_counts_without_what_it_would_give_back() {
        let [two, _] = &Version::BOTH;
        let files = [
            ("/sys/fs/cgroup/a/b/memory.max", "max\n"),
            ("/sys/fs/cgroup/a/b/memory.current", "100\n"),
            ("/sys/fs/cgroup/a/memory.max", "5000\n"),
            ("/sys/fs/cgroup/a/memory.current", "1000\n"),
            ("/sys/fs/cgroup/a/memory.stat", "anon 5\nactive_file 6\ninactive_file 300\n"),
        ];
        assert_eq!(free(two, "0::/a/b\n", &files), Some(4306));
        assert_eq!(free(two, "0::/a\n", &files), Some(4306));
        assert_eq!(free(two, "0::/\n", &files), None);
        assert_eq!(free(two, "", &files), None);
        let full = [("/sys/fs/cgroup/memory.max", "5"), ("/sys/fs/cgroup/memory.current", "9")];
        assert_eq!(free(two, "0::/\n", &full), Some(0));
    }

    #[test]
    fn the_first_version_is_read_at_its_mount_where_the_path_is_not_ours() {
        let [_, one] = &Version::BOTH;
        let files = [
            ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "700"),
            ("/sys/fs/cgroup/memory/memory.usage_in_bytes", "300"),
            ("/sys/fs/cgroup/memory/memory.stat", "inactive_file 9\ntotal_inactive_file 100\n"),
        ];
        let groups = "9:cpu,cpuacct:/x\n4:hugetlb,memory:/docker/0123\n0::/\n";
        assert_eq!(free(one, groups, &files), Some(500));
    }

    #[test]
    fn a_limit_is_the_soft_one() {
        let text = "Max stack size   8388608   unlimited   bytes\nMax address space   1000   2000   bytes\n";
        assert_eq!(soft_limit(text, "Max address space"), Some(1000));
        assert_eq!(
            soft_limit("Max address space   unlimited   unlimited   bytes", "Max address space"),
            None
        );
    }

    #[test]
    fn sizes_of_proc_are_kilobytes() {
        let text = "MemTotal:       24 kB\nMemAvailable:    7 kB\nHugePages_Total:   3\n";
        assert_eq!(kilobytes(text, "MemAvailable:"), Some(7 * 1024));
        assert_eq!(kilobytes(text, "HugePages_Total:"), None);
        assert_eq!(kilobytes(text, "SwapFree:"), None);
    }
}
