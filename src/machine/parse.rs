//! Reading the texts of `/proc`, `/sys` and control groups. Pure functions: what cannot be understood is `None`.

use std::path::{Path, PathBuf};

/// The value of the first line `key : value` (`/proc/cpuinfo`, `/proc/meminfo`).
pub fn field<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find_map(|(name, value)| (name.trim() == key).then(|| value.trim()))
        .filter(|value| !value.is_empty())
}

/// The value of `KEY=value` or `KEY="value"` (`/etc/os-release`).
pub fn assignment<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines()
        .filter_map(|line| line.split_once('='))
        .find_map(|(name, value)| (name.trim() == key).then(|| value.trim().trim_matches('"')))
        .filter(|value| !value.is_empty())
}

/// `16 kB` of `/proc/meminfo`, `48K`, `1024K`, `32M` of `/sys`, in bytes.
pub fn bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let factor: u64 = match text[digits..].trim() {
        "" => 1,
        "K" | "kB" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        _ => return None,
    };
    text[..digits].parse::<u64>().ok()?.checked_mul(factor)
}

/// The value of a field in bytes.
pub fn bytes_of(text: &str, key: &str) -> Option<u64> {
    bytes(field(text, key)?)
}

/// How many CPUs a list such as `0-3,8,10-11` names.
pub fn cpu_list(text: &str) -> Option<usize> {
    let mut count = 0_usize;
    for part in text.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        count = count.checked_add(last.checked_sub(first)?.checked_add(1)?)?;
    }
    Some(count)
}

/// The quota of version 2's `cpu.max` (`200000 100000`) in cores; `None` for `max`.
pub fn cpu_max(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    quota_in_cores(quota, period)
}

/// Version 1's `cpu.cfs_quota_us` and `cpu.cfs_period_us` in cores; `None` for -1, no quota.
pub fn quota_in_cores(quota: &str, period: &str) -> Option<f64> {
    let (quota, period): (i64, i64) = (quota.trim().parse().ok()?, period.trim().parse().ok()?);
    (quota > 0 && period > 0).then(|| quota as f64 / period as f64)
}

/// Where a process's CPU control group is, from `/proc/self/cgroup`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CpuGroup {
    /// Version 1: the `cpu` controller has a hierarchy of its own.
    V1(PathBuf),
    /// Version 2.
    V2(PathBuf),
}

/// The group that limits CPU time: version 1's where the `cpu` controller is in use there, else version 2's.
pub fn cpu_group(text: &str) -> Option<CpuGroup> {
    let mut unified = None;
    for line in text.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else { continue };
        let path = Path::new(path).strip_prefix("/").ok()?.to_owned();
        if controllers.is_empty() {
            unified = Some(CpuGroup::V2(path));
        } else if controllers.split(',').any(|name| name == "cpu") {
            return Some(CpuGroup::V1(path));
        }
    }
    unified
}

#[cfg(test)]
mod tests {
    use super::*;

    const GARBAGE: [&str; 7] = ["", " ", "\n\n", ":", "=", "\u{fffd}\0x", "-1-2-3,,"];

    #[test]
    fn fields() {
        let text = "processor\t: 0\nmodel name\t: AMD EPYC\nflags\t\t: fpu vme\nempty :\nmodel name : other\n";
        assert_eq!(field(text, "model name"), Some("AMD EPYC"));
        assert_eq!(field(text, "flags"), Some("fpu vme"));
        assert_eq!(field(text, "empty"), None);
        assert_eq!(field(text, "model"), None);
        assert_eq!(assignment("NAME=x\nPRETTY_NAME=\"A System 12\"\n", "PRETTY_NAME"), Some("A System 12"));
        for garbage in GARBAGE {
            assert_eq!(field(garbage, "model name"), None);
            assert_eq!(assignment(garbage, "PRETTY_NAME"), None);
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(bytes("48K\n"), Some(48 << 10));
        assert_eq!(bytes("32M"), Some(32 << 20));
        assert_eq!(bytes("24684092 kB"), Some(24_684_092 << 10));
        assert_eq!(bytes("17"), Some(17));
        for garbage in GARBAGE.into_iter().chain(["K", "-3K", "12Q", "99999999999999999999", "99999999999999999G"]) {
            assert_eq!(bytes(garbage), None, "{garbage:?}");
        }
    }

    #[test]
    fn cpu_lists() {
        assert_eq!(cpu_list("0\n"), Some(1));
        assert_eq!(cpu_list("0-1"), Some(2));
        assert_eq!(cpu_list("0-3,8,10-11"), Some(7));
        for garbage in GARBAGE.into_iter().chain(["3-1", "0-", "a-b", "0-18446744073709551615"]) {
            assert_eq!(cpu_list(garbage), None, "{garbage:?}");
        }
    }

    #[test]
    fn quotas() {
        assert_eq!(cpu_max("200000 100000\n"), Some(2.0));
        assert_eq!(cpu_max("150000 100000"), Some(1.5));
        assert_eq!(cpu_max("max 100000\n"), None);
        assert_eq!(quota_in_cores("-1\n", "100000\n"), None);
        assert_eq!(quota_in_cores("50000\n", "100000\n"), Some(0.5));
        for garbage in GARBAGE.into_iter().chain(["100000", "100000 0", "100000 -5", "1 x"]) {
            assert_eq!(cpu_max(garbage), None, "{garbage:?}");
        }
    }

    #[test]
    fn groups() {
        assert_eq!(cpu_group("0::/user.slice/x\n"), Some(CpuGroup::V2("user.slice/x".into())));
        let mixed = "9:name=systemd:/\n3:cpuset:/a\n1:cpu,cpuacct:/b:c\n0::/\n";
        assert_eq!(cpu_group(mixed), Some(CpuGroup::V1("b:c".into())));
        assert_eq!(cpu_group("2:cpuacct:/\n3:cpuset:/\n"), None);
        for garbage in GARBAGE {
            assert_eq!(cpu_group(garbage), None, "{garbage:?}");
        }
    }
}
