//! The CPU time and memory of a process, as the kernel reports them.

use std::collections::BTreeMap;
use std::fs::{read_dir, read_to_string};
use std::path::Path;

/// CPU time and memory of a process at a moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Usage {
    /// CPU time of its present threads together, by name, in nanoseconds.
    pub threads_ns: BTreeMap<String, u64>,
    /// Memory that it holds in RAM, in bytes.
    pub resident_bytes: u64,
}

impl Usage {
    /// Reads it from `/proc`; what can't be read counts as nothing, as of a process that is gone.
    pub fn of(process: u32) -> Self {
        let folder = format!("/proc/{process}");
        let mut usage = Self { resident_bytes: resident_bytes(&folder), ..Self::default() };
        let tasks = read_dir(format!("{folder}/task")).into_iter().flatten().flatten();
        for task in tasks {
            if let Some((name, ns)) = thread(&task.path()) {
                *usage.threads_ns.entry(name).or_default() += ns;
            }
        }
        usage
    }

    /// CPU time of all threads, in seconds.
    pub fn cpu_s(&self) -> f64 {
        self.threads_ns.values().sum::<u64>() as f64 / 1e9
    }

    /// CPU time since `before`, by thread, in seconds.
    pub fn threads_since(&self, before: &Self) -> Vec<(String, f64)> {
        let used = |name: &String, ns: u64| ns.saturating_sub(before.threads_ns.get(name).copied().unwrap_or(0));
        self.threads_ns.iter().map(|(name, &ns)| (name.clone(), used(name, ns) as f64 / 1e9)).collect()
    }
}

fn thread(folder: &Path) -> Option<(String, u64)> {
    let name = read_to_string(folder.join("comm")).ok()?;
    // Time on a core, time waited for one, and how often it got one; the first two in nanoseconds.
    let times = read_to_string(folder.join("schedstat")).ok()?;
    Some((name.trim().to_owned(), times.split(' ').next()?.parse().ok()?))
}

fn resident_bytes(folder: &str) -> u64 {
    kib_field(&format!("{folder}/status"), "VmRSS:") * 1024
}

/// Memory that the kernel itself holds (sockets, among other things), in bytes. Of the whole machine.
pub(super) fn kernel_bytes() -> u64 {
    kib_field("/proc/meminfo", "Slab:") * 1024
}

fn kib_field(file: &str, field: &str) -> u64 {
    let text = read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_something_and_more_later() {
        let own = std::process::id();
        let before = Usage::of(own);
        assert!(before.resident_bytes > 100_000 && kernel_bytes() > 0);
        let mut sum = 0u64;
        let after = loop {
            (0..1_000_000).for_each(|n| sum = std::hint::black_box(sum.wrapping_add(n)));
            let now = Usage::of(own);
            if now.threads_since(&before).iter().any(|(_, used_s)| *used_s > 0.0) {
                break now;
            }
        };
        assert!(after.cpu_s() > 0.0);
    }

    #[test]
    fn a_process_that_is_gone_uses_nothing() {
        assert_eq!(Usage::of(u32::MAX), Usage::default());
    }
}
