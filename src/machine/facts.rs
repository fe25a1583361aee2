//! What the system says of this computer. Nothing is measured; what cannot be read is `None` or empty, never an error.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::parse::{self, CpuGroup};
use crate::simd;

/// The computer, as a program that runs here sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// The CPU's name for itself.
    pub cpu: Option<String>,
    /// The architecture that this program was built for, such as `x86_64`.
    pub architecture: String,
    /// What the CPU has and the operating system allows; names as in [`instruction_sets`](crate::simd::instruction_sets).
    pub instruction_sets: Vec<String>,
    /// What the CPU announces and the operating system does not let programs use.
    pub refused_by_system: Vec<String>,
    /// Whether a hypervisor says that it is there.
    pub virtual_machine: Option<bool>,
    /// How many cores there are, and how many may be used.
    pub cores: Cores,
    /// The frequency governor of the first CPU, such as `performance`.
    pub governor: Option<String>,
    /// Main memory in bytes.
    pub memory_bytes: Option<u64>,
    /// The caches of the first CPU, nearest first.
    pub caches: Vec<Cache>,
    /// The operating system's name and release.
    pub system: Option<String>,
    /// The kernel's name and release.
    pub kernel: Option<String>,
}

/// How many cores there are, and how many a program may use. Each source on its own, since they disagree in containers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cores {
    /// Logical CPUs that are switched on.
    pub online: Option<usize>,
    /// Physical cores behind them: fewer where cores run two threads each.
    pub physical: Option<usize>,
    /// CPUs that the process may be scheduled on (`sched_getaffinity`).
    pub affinity: Option<usize>,
    /// The control group's quota of CPU time, in cores; `None` where there is no quota.
    pub quota: Option<f64>,
    /// The number of threads that can really run at once: affinity and quota together, at least 1.
    pub usable: usize,
}

/// One cache.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cache {
    /// 1 for the nearest.
    pub level: u8,
    /// What it holds.
    pub kind: CacheKind,
    /// Its size.
    pub bytes: u64,
    /// Logical CPUs that share it.
    pub shared_by: usize,
}

/// What makes two computers one class of machine: measurements of both may stand side by side. Coarse on purpose: another kernel, governor or
/// start of the same computer, whose memory then is some MB more or less, leaves it the same.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Class<'a> {
    /// [`Facts::cpu`].
    pub cpu: Option<&'a str>,
    /// [`Facts::architecture`].
    pub architecture: &'a str,
    /// [`Facts::instruction_sets`], in alphabetical order.
    pub instruction_sets: Vec<&'a str>,
    /// [`Facts::caches`].
    pub caches: &'a [Cache],
    /// [`Cores::online`].
    pub online: Option<usize>,
    /// [`Cores::physical`].
    pub physical: Option<usize>,
    /// [`Cores::affinity`].
    pub affinity: Option<usize>,
    /// [`Cores::quota`].
    pub quota: Option<f64>,
    /// Main memory in GiB, rounded up to eighths of a power of two, and to whole ones.
    pub memory_gib: Option<u64>,
}

/// What a cache holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CacheKind {
    /// Data only.
    Data,
    /// Instructions only.
    Instruction,
    /// Both.
    Unified,
}

impl Facts {
    /// Reads everything.
    pub fn read() -> Self {
        let cpuinfo = text("/proc/cpuinfo").unwrap_or_default();
        let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
        Facts {
            cpu: parse::field(&cpuinfo, "model name").map(str::to_owned),
            architecture: std::env::consts::ARCH.to_owned(),
            instruction_sets: owned(simd::instruction_sets()),
            refused_by_system: owned(simd::refused_by_system()),
            virtual_machine: parse::field(&cpuinfo, "flags")
                .map(|flags| flags.split_whitespace().any(|flag| flag == "hypervisor")),
            cores: Cores::read(),
            governor: text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").map(|text| text.trim().to_owned()),
            memory_bytes: text("/proc/meminfo").and_then(|text| parse::bytes_of(&text, "MemTotal")),
            caches: caches(Path::new("/sys/devices/system/cpu/cpu0/cache")),
            system: text("/etc/os-release").and_then(|text| Some(parse::assignment(&text, "PRETTY_NAME")?.to_owned())),
            kernel: kernel(),
        }
    }

    /// The class of this machine.
    pub fn class(&self) -> Class<'_> {
        let mut instruction_sets: Vec<&str> = self.instruction_sets.iter().map(String::as_str).collect();
        instruction_sets.sort_unstable();
        Class {
            cpu: self.cpu.as_deref(),
            architecture: &self.architecture,
            instruction_sets,
            caches: &self.caches,
            online: self.cores.online,
            physical: self.cores.physical,
            affinity: self.cores.affinity,
            quota: self.cores.quota,
            memory_gib: self.memory_bytes.map(rounded_gib),
        }
    }

    /// The cache of that level that data goes through.
    pub fn data_cache(&self, level: u8) -> Option<&Cache> {
        self.caches.iter().find(|cache| cache.level == level && cache.kind != CacheKind::Instruction)
    }
}

impl Cores {
    fn read() -> Self {
        Cores {
            online: text("/sys/devices/system/cpu/online").and_then(|text| parse::cpu_list(&text)),
            physical: physical_cores(),
            affinity: affinity(),
            quota: text("/proc/self/cgroup")
                .and_then(|text| parse::cpu_group(&text))
                .and_then(|group| quota(Path::new("/sys/fs/cgroup"), &group)),
            usable: super::cores().get(),
        }
    }
}

#[cfg(target_os = "linux")]
fn affinity() -> Option<usize> {
    let set = rustix::thread::sched_getaffinity(None).ok()?;
    Some(set.count() as usize).filter(|&count| count > 0)
}

#[cfg(not(target_os = "linux"))]
fn affinity() -> Option<usize> {
    None
}

/// Distinct pairs of package and core among the CPUs that have a topology.
fn physical_cores() -> Option<usize> {
    let cpus = fs::read_dir("/sys/devices/system/cpu").ok()?;
    let cores: BTreeSet<(String, String)> = cpus
        .filter_map(|entry| {
            let topology = entry.ok()?.path().join("topology");
            Some((text(topology.join("physical_package_id"))?, text(topology.join("core_id"))?))
        })
        .collect();
    Some(cores.len()).filter(|&count| count > 0)
}

/// The tightest quota from the group up to the root of its hierarchy: each level limits those below it.
fn quota(root: &Path, group: &CpuGroup) -> Option<f64> {
    let (mounts, path): (&[&str], _) = match group {
        CpuGroup::V1(path) => (&["cpu", "cpu,cpuacct"], path),
        CpuGroup::V2(path) => (&[""], path),
    };
    let at = |folder: PathBuf| match group {
        CpuGroup::V1(_) => {
            parse::quota_in_cores(&text(folder.join("cpu.cfs_quota_us"))?, &text(folder.join("cpu.cfs_period_us"))?)
        }
        CpuGroup::V2(_) => parse::cpu_max(&text(folder.join("cpu.max"))?),
    };
    mounts
        .iter()
        .flat_map(|mount| path.ancestors().map(move |group| root.join(mount).join(group)))
        .filter_map(at)
        .min_by(f64::total_cmp)
}

fn caches(folder: &Path) -> Vec<Cache> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut caches: Vec<Cache> = entries.filter_map(|entry| cache(&entry.ok()?.path())).collect();
    caches.sort_by_key(|cache| (cache.level, cache.kind as u8));
    caches
}

fn cache(folder: &Path) -> Option<Cache> {
    let kind = match text(folder.join("type"))?.trim() {
        "Data" => CacheKind::Data,
        "Instruction" => CacheKind::Instruction,
        "Unified" => CacheKind::Unified,
        _ => return None,
    };
    Some(Cache {
        level: text(folder.join("level"))?.trim().parse().ok()?,
        kind,
        bytes: parse::bytes(&text(folder.join("size"))?).filter(|&bytes| bytes > 0)?,
        shared_by: parse::cpu_list(&text(folder.join("shared_cpu_list"))?).unwrap_or(1),
    })
}

/// What is told is the installed memory less what the kernel keeps for itself, up to some percent. Installed is a multiple of an eighth of a power of
/// two, nearly always: rounding up finds it again, and no reservation of another kernel moves it.
fn rounded_gib(bytes: u64) -> u64 {
    let gib = bytes.div_ceil(1 << 30).max(1);
    let power = 1 << gib.ilog2();
    gib.next_multiple_of((power / 8).max(1))
}

/// What this computer is called among others (`uname -n`); in containers such names repeat, and change.
#[cfg(unix)]
pub fn node() -> Option<String> {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    Some(name).filter(|name| !name.is_empty())
}

/// What this computer is called among others; the system does not tell.
#[cfg(not(unix))]
pub fn node() -> Option<String> {
    None
}

#[cfg(unix)]
fn kernel() -> Option<String> {
    let name = rustix::system::uname();
    Some(format!("{} {}", name.sysname().to_string_lossy(), name.release().to_string_lossy()))
}

#[cfg(not(unix))]
fn kernel() -> Option<String> {
    None
}

/// A file's text, `None` where it cannot be read.
fn text(path: impl AsRef<Path>) -> Option<String> {
    fs::read(path).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_survive_json() {
        let facts = Facts::read();
        assert!(facts.cores.usable >= 1);
        let json = serde_json::to_string(&facts).expect("plain data");
        assert_eq!(serde_json::from_str::<Facts>(&json).expect("what was written"), facts);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn linux_tells_the_essentials() {
        let facts = Facts::read();
        assert!(facts.kernel.is_some_and(|kernel| kernel.starts_with("Linux ")));
        assert!(facts.memory_bytes.is_some_and(|bytes| bytes > 1 << 20));
        let affinity = facts.cores.affinity.expect("Linux has affinities");
        assert!(facts.cores.usable <= affinity, "{:?}", facts.cores);
    }

    #[test]
    fn a_class_outlives_kernels_and_tells_machines_apart() {
        let facts = Facts { memory_bytes: Some(25_276_510_208), ..Facts::read() };
        let mut later = facts.clone();
        later.kernel = Some("Linux 99.1".into());
        later.governor = Some("powersave".into());
        later.system = None;
        later.instruction_sets.reverse();
        later.memory_bytes = facts.memory_bytes.map(|bytes| bytes - (5 << 20));
        assert_eq!(later.class(), facts.class());
        let changes: [fn(&mut Facts); 6] = [
            |facts| facts.cpu = Some("another".into()),
            |facts| facts.instruction_sets.push("another".into()),
            |facts| facts.caches.push(Cache { level: 9, kind: CacheKind::Unified, bytes: 1, shared_by: 1 }),
            |facts| facts.cores.quota = Some(0.125),
            |facts| facts.cores.affinity = Some(12345),
            |facts| facts.memory_bytes = facts.memory_bytes.map(|bytes| 3 * bytes),
        ];
        for (index, change) in changes.iter().enumerate() {
            let mut other = facts.clone();
            change(&mut other);
            assert_ne!(other.class(), facts.class(), "change {index}");
        }
    }

    #[test]
    fn a_kernel_that_keeps_more_memory_leaves_the_size() {
        for installed in [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 40, 48, 64, 96, 128, 192, 256, 384, 512, 1024, 1536, 2048] {
            for per_mille in [0, 5, 15, 25, 40, 55] {
                let bytes = (installed << 30) / 1000 * (1000 - per_mille);
                assert_eq!(rounded_gib(bytes), installed, "{installed} GiB less {per_mille} per mille");
            }
        }
        assert_eq!(rounded_gib(0), 1);
    }

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a folder");
        for (path, content) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("below the root")).expect("made");
            fs::write(path, content).expect("written");
        }
        root
    }

    #[test]
    fn the_tightest_quota_of_all_levels_counts() {
        let root =
            tree(&[("a/cpu.max", "150000 100000"), ("a/b/cpu.max", "400000 100000"), ("a/b/c/cpu.max", "max 100000")]);
        assert_eq!(quota(root.path(), &CpuGroup::V2("a/b/c".into())), Some(1.5));
        assert_eq!(quota(root.path(), &CpuGroup::V2("x".into())), None);
        let root = tree(&[("cpu/g/cpu.cfs_quota_us", "250000\n"), ("cpu/g/cpu.cfs_period_us", "100000\n")]);
        assert_eq!(quota(root.path(), &CpuGroup::V1("g".into())), Some(2.5));
        // A container that sees only its own group's files, at the root.
        let root = tree(&[("cpu/cpu.cfs_quota_us", "50000\n"), ("cpu/cpu.cfs_period_us", "100000\n")]);
        assert_eq!(quota(root.path(), &CpuGroup::V1("docker/123".into())), Some(0.5));
    }

    #[test]
    fn caches_are_sorted_and_broken_ones_left_out() {
        let root = tree(&[
            ("index3/level", "3\n"),
            ("index3/type", "Unified\n"),
            ("index3/size", "32768K\n"),
            ("index3/shared_cpu_list", "0-1\n"),
            ("index0/level", "1\n"),
            ("index0/type", "Data\n"),
            ("index0/size", "48K\n"),
            ("index0/shared_cpu_list", "0\n"),
            ("index1/level", "one\n"),
            ("index1/type", "Data\n"),
            ("index1/size", "48K\n"),
            ("index1/shared_cpu_list", "0\n"),
            ("index2/level", "2\n"),
            ("index2/type", "Mystery\n"),
            ("index4/level", "4\n"),
            ("index4/type", "Unified\n"),
            ("index4/size", "0K\n"),
            ("index4/shared_cpu_list", "0\n"),
        ]);
        let found = caches(root.path());
        let levels: Vec<_> = found.iter().map(|cache| (cache.level, cache.bytes, cache.shared_by)).collect();
        assert_eq!(levels, [(1, 48 << 10, 1), (3, 32 << 20, 2)]);
        assert!(caches(Path::new("/no/such/folder")).is_empty());
    }
}
