//! `doctor`'s findings as text, on one screen.

use std::fmt::Write;

use super::table::three_digits;
use crate::doctor::{Blas, Count, Report, Status, Trial, Trials};
use crate::machine::{CacheKind, Facts, Pages, Point, Roofline};
use crate::scalar::ScalarKind;
use crate::simd::Isa;

/// The whole screen.
pub fn doctor(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut text, report);
    text
}

/// The machine and its limits in one line, the BLAS in another, and the warnings: what stands above the main job's table.
pub fn doctor_in_short(report: &Report, scalar: ScalarKind) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_short(&mut text, report, scalar);
    text
}

fn write_short(out: &mut String, report: &Report, scalar: ScalarKind) -> std::fmt::Result {
    let facts = &report.machine;
    let usable = facts.cores.usable;
    let cores = if usable == 1 { "1 core".to_owned() } else { format!("{usable} cores") };
    write!(out, "{}, {cores} for this program", facts.cpu.as_deref().unwrap_or("unknown CPU"))?;
    let mut counts = vec![1, usable];
    counts.dedup();
    for count in counts {
        let of = |rate: Option<f64>| rate.map_or("unknown".into(), three_digits);
        let [near, far] = [0, u64::MAX].map(|bytes| report.roofline.bandwidth_at(bytes, count));
        let peak = of(report.roofline.peak(scalar, count));
        write!(
            out,
            "; on {} at most {peak} GFLOP/s and, near to far, {} to {} GB/s",
            super::threads(count),
            of(near),
            of(far)
        )?;
    }
    writeln!(out)?;
    for library in &report.blas {
        writeln!(out, "{}, kernel {}, threads by {}", library.version, library.kernel, library.thread_model)?;
    }
    warnings(out, report)
}

fn warnings(out: &mut String, report: &Report) -> std::fmt::Result {
    for told in &report.warnings {
        writeln!(out, "warning   {}: {}\n          -> {}", told.code(), told.message, told.hint)?;
    }
    Ok(())
}

fn write(out: &mut String, report: &Report) -> std::fmt::Result {
    machine(out, &report.machine)?;
    let nested = match &report.threads.blas {
        Some(blas) => format!(" x BLAS {}", count(blas)),
        None => String::new(),
    };
    writeln!(
        out,
        "threads   rayon {}{nested}, {} usable; layerbench never nests them",
        count(&report.threads.rayon),
        report.threads.usable
    )?;
    roofline(out, &report.roofline)?;
    if report.blas.is_empty() {
        writeln!(out, "BLAS      none in this build")?;
    }
    for library in &report.blas {
        blas(out, library)?;
    }
    match &report.hdf5 {
        Some(hdf5) => writeln!(out, "HDF5      {}, {}", hdf5.version, path(&hdf5.path))?,
        None => writeln!(out, "HDF5      not in this build")?,
    }
    if report.warnings.is_empty() {
        return writeln!(out, "\nno warnings");
    }
    writeln!(out)?;
    warnings(out, report)
}

fn machine(out: &mut String, machine: &Facts) -> std::fmt::Result {
    let unknown = || "unknown".to_owned();
    let cpu = machine.cpu.clone().unwrap_or_else(unknown);
    let guest = if machine.virtual_machine == Some(true) { ", virtual machine" } else { "" };
    writeln!(out, "CPU       {cpu}, {}{guest}", machine.architecture)?;
    let names: Vec<&str> = machine.instruction_sets.iter().map(String::as_str).collect();
    for (row, names) in names.chunks(12).enumerate() {
        writeln!(out, "{:<10}{}", if row == 0 { "usable" } else { "" }, names.join(" "))?;
    }
    let number = |n: Option<usize>| n.map_or_else(unknown, |n| n.to_string());
    let cores = &machine.cores;
    let quota = cores.quota.map_or("none".into(), |quota| format!("{quota:.2}"));
    writeln!(
        out,
        "cores     {} usable: {} online, {} physical, {} by affinity, quota {quota}; governor {}",
        cores.usable,
        number(cores.online),
        number(cores.physical),
        number(cores.affinity),
        machine.governor.as_deref().unwrap_or("not readable")
    )?;
    let caches = machine.caches.iter().filter(|cache| cache.kind != CacheKind::Instruction).map(|cache| {
        let shared = if cache.shared_by > 1 { format!(" for {}", cache.shared_by) } else { String::new() };
        format!("L{} {}{shared}, ", cache.level, size(cache.bytes))
    });
    let memory = machine.memory_bytes.map_or_else(unknown, size);
    writeln!(out, "memory    {}{memory} in all", caches.collect::<String>())?;
    let system = [&machine.system, &machine.kernel].into_iter().flatten().cloned().collect::<Vec<_>>();
    writeln!(out, "system    {}", if system.is_empty() { unknown() } else { system.join(", ") })
}

fn roofline(out: &mut String, roofline: &Roofline) -> std::fmt::Result {
    let of_curve = roofline.curve.iter().map(|point| point.threads);
    let mut threads: Vec<usize> = roofline.peaks.iter().map(|peak| peak.threads).chain(of_curve).collect();
    threads.sort_unstable();
    threads.dedup();
    let heads: Vec<String> = threads.iter().map(|&count| format!("{:>10} ", super::threads(count))).collect();
    writeln!(out, "\n{:<26}{}", "peak, GFLOP/s", heads.concat().trim_end())?;
    let mut sets: Vec<Isa> = roofline.peaks.iter().map(|peak| peak.isa).collect();
    sets.sort_unstable();
    sets.dedup();
    for isa in sets {
        for scalar in ScalarKind::ALL {
            let rate = |&count: &usize| {
                let is_it =
                    |peak: &&crate::machine::Peak| (peak.isa, peak.scalar, peak.threads) == (isa, scalar, count);
                let rate =
                    roofline.peaks.iter().find(is_it).map_or_else(String::new, |peak| format!("{:.1} ", peak.gflops));
                format!("{rate:>11}")
            };
            writeln!(out, "  {:<24}{}", format!("{isa} {scalar}"), threads.iter().map(rate).collect::<String>())?;
        }
    }
    writeln!(out, "reading, GB/s; *: huge pages")?;
    let mut sets: Vec<u64> = roofline.curve.iter().map(|point| point.bytes).collect();
    sets.sort_unstable();
    sets.dedup();
    for bytes in sets {
        let rate = |&count: &usize| {
            let is_it = |point: &&Point| (point.bytes, point.threads) == (bytes, count);
            let shown =
                |point: &Point| format!("{:.1}{}", point.gb_per_s, if point.pages == Pages::Huge { "*" } else { " " });
            format!("{:>11}", roofline.curve.iter().find(is_it).map_or_else(String::new, shown))
        };
        let rates: String = threads.iter().map(rate).collect();
        writeln!(out, "{}", format!("  {:<24}{rates}", format!("{} per thread", size(bytes))).trim_end())?;
    }
    writeln!(out)
}

fn blas(out: &mut String, blas: &Blas) -> std::fmt::Result {
    writeln!(out, "BLAS      {}, kernel {}, {}", blas.version, blas.kernel, path(&blas.path))?;
    writeln!(out, "          {}", blas.config)?;
    if !blas.environment.is_empty() {
        let set: Vec<String> = blas.environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
        writeln!(out, "          set here: {}", set.join(" "))?;
    }
    write!(out, "          threads by {}", blas.thread_model)?;
    match &blas.threads {
        Some(threads) => {
            writeln!(out, ": {} asked for, {} obtained, {:.2} used", threads.asked, threads.obtained, threads.used)?;
        }
        None => writeln!(out)?,
    }
    match &blas.trials {
        Some(trials) => kernels(out, trials),
        None => Ok(()),
    }
}

fn kernels(out: &mut String, trials: &Trials) -> std::fmt::Result {
    let heads: String = trials.products.iter().map(|name| format!("{name:>14}")).collect();
    writeln!(
        out,
        "\nkernels of this library that the CPU can run: how many times as fast as now, and GFLOP/s; f64, {}, {} rounds",
        super::threads(trials.threads),
        trials.rounds
    )?;
    writeln!(out, "{:<18}{:<16}{:<19}{heads}", "OPENBLAS_CORETYPE", "kernel", "speed")?;
    trial(out, "as it is", &trials.now)?;
    for other in &trials.others {
        trial(out, other.coretype.as_deref().unwrap_or("unset"), other)?;
    }
    writeln!(out)
}

fn trial(out: &mut String, name: &str, trial: &Trial) -> std::fmt::Result {
    let kernel = trial.kernel.as_deref().unwrap_or("-");
    let rest = match &trial.status {
        Status::Timed => {
            let speed = trial.speedup.map_or("1".into(), |ratio| ratio.to_string());
            let rates: String = trial.gflops.iter().map(|rate| format!("{rate:>14.1}")).collect();
            format!("{speed:<19}{rates}")
        }
        Status::Ignored => "ignored by the library".into(),
        Status::Wrong(detail) => format!("WRONG: {detail}"),
        Status::Crashed(reason) => format!("CRASHED: {reason}"),
        Status::TimedOut(reason) => format!("TIMED OUT: {reason}"),
    };
    writeln!(out, "  {name:<14}  {kernel:<14}  {rest}")
}

fn count(count: &Count) -> String {
    match count.set_by {
        Some(variable) => format!("{} ({variable})", count.threads),
        None => count.threads.to_string(),
    }
}

fn path(path: &Option<std::path::PathBuf>) -> String {
    path.as_ref().map_or("path unknown".into(), |path| crate::text::visible(path.display()))
}

/// `48 KiB`, `32 MiB`, `23.5 GiB`.
fn size(bytes: u64) -> String {
    let mut value = bytes as f64 / 1024.0;
    let mut unit = "KiB";
    for larger in ["MiB", "GiB"] {
        if value >= 1024.0 {
            (value, unit) = (value / 1024.0, larger);
        }
    }
    let decimals = if value.fract() == 0.0 { 0 } else { 1 };
    format!("{value:.decimals$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        assert_eq!([48 << 10, 32 << 20, 24_684_092 << 10].map(size), ["48 KiB", "32 MiB", "23.5 GiB"]);
    }
}
