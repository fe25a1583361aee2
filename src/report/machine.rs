//! The machine in one line, above the main job's table. All there is to know of it is `doctor`'s to show.

use super::table::three_digits;
use crate::measure::record::Machine;
use crate::scalar::ScalarKind;

/// CPU and cores, then peak and memory bandwidth for each of the thread counts.
pub fn machine(machine: &Machine, scalar: ScalarKind, threads: &[usize]) -> String {
    let facts = &machine.facts;
    let cpu = facts.cpu.as_deref().unwrap_or("unknown CPU");
    let limits = threads.iter().map(|&count| {
        let of = |rate: Option<f64>| rate.map_or("unknown".into(), three_digits);
        let (peak, memory) = (machine.roofline.peak(scalar, count), machine.roofline.read_bandwidth(count));
        format!("; on {} at most {} GFLOP/s and {} GB/s", super::threads(count), of(peak), of(memory))
    });
    format!("{cpu}, {} for this program{}", cores(facts.cores.usable), limits.collect::<String>())
}

fn cores(count: usize) -> String {
    if count == 1 { "1 core".into() } else { format!("{count} cores") }
}
