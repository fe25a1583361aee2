//! The main job's measurement: every backend at every thread count in rounds, so that a slow minute of the machine hits all alike.

use std::num::NonZeroUsize;
use std::time::Duration;

use super::{Job, wait_until_quiet};
use crate::backend::Entry;
use crate::data::{PictureSet, Split};
use crate::error::Result;
use crate::scalar::Scalar;
use crate::workload::{Phase, Workload};

/// What is measured, and how long.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The workloads.
    pub workloads: Vec<Workload>,
    /// How often everything is gone through.
    pub rounds: usize,
    /// A sample repeats its phase until it takes about this long.
    pub sample: Duration,
}

impl Plan {
    /// The reference workloads; nine rounds give an interval of 96% for a median.
    pub fn reference() -> Self {
        Plan { workloads: Workload::all().into(), rounds: 9, sample: Duration::from_millis(20) }
    }

    /// Every workload with every phase, in the order of the samples.
    pub fn cells(&self) -> impl Iterator<Item = (&Workload, Phase)> {
        self.workloads.iter().flat_map(|workload| Phase::ALL.map(|phase| (workload, phase)))
    }
}

/// A backend at a thread count, with what was measured of it.
#[derive(Clone, Debug)]
pub struct Contender {
    /// The backend's name.
    pub name: String,
    /// The number of threads.
    pub threads: NonZeroUsize,
    /// What computed, as the engine says.
    pub description: String,
    /// Seconds per pass: one list per cell, one sample per round.
    pub samples: Vec<Vec<f64>>,
}

/// Longest wait for spinning threads of a library: OpenBLAS's spin for about 100 ms.
const QUIET_LIMIT: Duration = Duration::from_millis(500);

/// Measures every entry at every thread count. `progress` is called after each turn with the turns done and all turns.
///
/// # Errors
/// Of an engine: nothing is measured beside an error.
pub fn run<T: Scalar>(
    entries: &[(&Entry, Vec<NonZeroUsize>)],
    plan: &Plan,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Vec<Contender>> {
    let pictures = PictureSet::synthetic(Split::Train);
    let cells = plan.cells().count();
    let mut contenders = Vec::new();
    let mut owners = Vec::new();
    for (entry, counts) in entries {
        for &threads in counts {
            owners.push(*entry);
            contenders.push(Contender {
                name: entry.name().into(),
                threads,
                description: String::new(),
                samples: vec![Vec::with_capacity(plan.rounds); cells],
            });
        }
    }
    let turns = plan.rounds * contenders.len();
    for round in 0..plan.rounds {
        for position in 0..contenders.len() {
            // Another one starts each round, and every other round runs backwards: nobody always follows the same one.
            let mut turn = (round + position) % contenders.len();
            if round % 2 == 1 {
                turn = contenders.len() - 1 - turn;
            }
            sample::<T>(owners[turn], &mut contenders[turn], plan, &pictures)?;
            progress(round * contenders.len() + position + 1, turns);
        }
    }
    Ok(contenders)
}

/// One sample of each cell. The engine lives for this turn only: OpenBLAS has one thread count per process.
fn sample<T: Scalar>(entry: &Entry, contender: &mut Contender, plan: &Plan, pictures: &PictureSet) -> Result<()> {
    let engine = entry.open::<T>(contender.threads)?;
    contender.description = engine.description();
    let mut cell = contender.samples.iter_mut();
    for workload in &plan.workloads {
        let mut job = Job::new(&engine, workload, pictures)?;
        for (phase, samples) in Phase::ALL.into_iter().zip(&mut cell) {
            // The first pass warms caches and threads up, and tells how many fill the sample's time.
            let first = job.run(phase, 1)?.as_secs_f64();
            let repeats = (plan.sample.as_secs_f64() / first).ceil().clamp(1.0, 1e6) as u64;
            job.reset()?;
            samples.push(job.run(phase, repeats)?.as_secs_f64() / repeats as f64);
        }
    }
    drop(engine);
    wait_until_quiet(QUIET_LIMIT);
    Ok(())
}
