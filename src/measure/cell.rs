//! Cells: what one measurement is of, how it is called, and which ones a run takes. Nothing is measured here.

use std::fmt;
use std::num::NonZeroUsize;

use regex_lite::Regex;
use serde::{Deserialize, Serialize};

use crate::backend::Registry;
use crate::layer::FirstLayer;
use crate::machine::most_bytes;
use crate::scalar::ScalarKind;
use crate::workload::{Phase, Workload};

/// One measured combination.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// What is timed.
    pub phase: Phase,
    /// The backend's name.
    pub backend: String,
    /// The network and its data.
    pub workload: Workload,
    /// The scalar type.
    pub scalar: ScalarKind,
    /// The number of threads asked for.
    pub threads: NonZeroUsize,
    /// How the first layer computes and updates.
    #[serde(default)]
    pub first_layer: FirstLayer,
}

/// The cell's id, `<phase>/<backend>[+way]/<workload>-<scalar>-<threads>`, as criterion's benches call it. The plain first layer is not named.
impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cell { phase, workload, scalar, threads, .. } = self;
        let contender = contender_name(&self.backend, self.first_layer);
        f.pad(&format!("{}/{contender}/{}-{scalar}-{threads}", phase.name(), workload.name))
    }
}

/// The backend, and its way of the first layer where that is not the plain one: `openblas`, `openblas+fused`.
pub fn contender_name(backend: &str, first_layer: FirstLayer) -> String {
    match first_layer {
        FirstLayer::Plain => backend.to_owned(),
        FirstLayer::Implicit => format!("{backend}+{first_layer}"),
    }
}

impl Cell {
    /// Whether the two do the same work, each in its own way: such cells are measured in the same rounds and compared.
    pub fn competes_with(&self, other: &Cell) -> bool {
        self.phase == other.phase && self.scalar == other.scalar && self.workload == other.workload
    }

    /// The working set at whose bandwidth each thread is expected to find its data: its part of the footprint, since threads share out X
    /// and what is made from it. With flushed caches everything comes from beyond them.
    pub fn bytes_per_thread(&self, cold_cache: bool) -> u64 {
        let threads = self.threads.get();
        if cold_cache {
            return most_bytes(threads);
        }
        let footprint = match self.scalar {
            ScalarKind::F32 => self.workload.footprint_by::<f32>(self.first_layer),
            ScalarKind::F64 => self.workload.footprint_by::<f64>(self.first_layer),
        };
        (footprint / threads as f64) as u64
    }
}

/// Which cells: a cell is taken where each list is empty or has an entry that fits.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// On the id.
    pub ids: Vec<Regex>,
    /// On the backend's name.
    pub backends: Vec<Regex>,
    /// On the phase's name.
    pub phases: Vec<Regex>,
    /// On the workload's name.
    pub workloads: Vec<Regex>,
    /// The scalar types.
    pub scalars: Vec<ScalarKind>,
    /// The thread counts; empty for what each backend is worth looking at with.
    pub threads: Vec<NonZeroUsize>,
    /// The ways of the first layer, in phases that train; empty for the plain one.
    pub first_layers: Vec<FirstLayer>,
}

impl Filter {
    /// Whether the cell is taken.
    pub fn takes(&self, cell: &Cell) -> bool {
        fits(&self.backends, &cell.backend)
            && fits(&self.phases, cell.phase.name())
            && fits(&self.workloads, &cell.workload.name)
            && (self.scalars.is_empty() || self.scalars.contains(&cell.scalar))
            && (self.threads.is_empty() || self.threads.contains(&cell.threads))
            && (self.first_layers.is_empty() || self.first_layers.contains(&cell.first_layer))
            && (self.ids.is_empty() || fits(&self.ids, &cell.to_string()))
    }
}

fn fits(expressions: &[Regex], text: &str) -> bool {
    expressions.is_empty() || expressions.iter().any(|expression| expression.is_match(text))
}

/// The cells of the available backends of `registry` on `workloads` that `filter` takes, competitors side by side.
pub fn cells(registry: &Registry, workloads: &[Workload], filter: &Filter, cores: NonZeroUsize) -> Vec<Cell> {
    // Each is asked once, and only those that are wanted: the answer may take a process.
    let wanted = registry.entries().iter().filter(|entry| fits(&filter.backends, entry.name()));
    let available: Vec<_> = wanted.filter(|entry| entry.available().is_ok()).collect();
    let mut cells = Vec::new();
    for workload in workloads {
        for scalar in ScalarKind::ALL {
            for phase in Phase::ALL {
                for &entry in &available {
                    if !entry.supports(scalar) {
                        continue;
                    }
                    let mut counts: Vec<NonZeroUsize> = match filter.threads.as_slice() {
                        [] => entry.thread_counts(cores),
                        // A serial backend can do nothing with a second thread.
                        asked => asked.iter().copied().filter(|n| n.get() == 1 || entry.profile().parallel).collect(),
                    };
                    counts.sort_unstable();
                    counts.dedup();
                    let of_way = |first_layer| {
                        counts.iter().map(move |&threads| Cell {
                            phase,
                            backend: entry.name().to_owned(),
                            workload: workload.clone(),
                            scalar,
                            threads,
                            first_layer,
                        })
                    };
                    // Only what trains binds its first layer.
                    let ways = match filter.first_layers.as_slice() {
                        asked if !asked.is_empty() && matches!(phase, Phase::Step | Phase::Train) => asked,
                        _ => &[FirstLayer::Plain],
                    };
                    cells.extend(ways.iter().flat_map(|&way| of_way(way)));
                }
            }
        }
    }
    cells.retain(|cell| filter.takes(cell));
    cells
}

/// Splits cells into runs of neighbours that compete with each other.
pub fn groups(cells: &[Cell]) -> impl Iterator<Item = &[Cell]> {
    cells.chunk_by(|a, b| a.competes_with(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(filter: &Filter) -> Vec<String> {
        let two = NonZeroUsize::new(2).expect("not zero");
        cells(&Registry::builtin(), &Workload::reference(), filter, two).iter().map(Cell::to_string).collect()
    }

    fn regex(text: &str) -> Vec<Regex> {
        vec![Regex::new(text).expect("a good expression")]
    }

    #[test]
    fn every_combination_is_there_once() {
        let mut ids = all(&Filter::default());
        // Serial: naive, ndarray. On one and two threads: rayon, simd and, where it is built in, openblas.
        let contenders = if cfg!(feature = "openblas") { 8 } else { 6 };
        assert_eq!(ids.len(), 2 * 2 * 4 * contenders);
        assert!(ids.contains(&"backward/rayon/l-layer-f32-2".into()), "{ids:?}");
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 2 * 2 * 4 * contenders);
    }

    #[test]
    fn filters_narrow_each_on_its_part() {
        let filter = Filter { backends: regex("^n"), phases: regex("step|train"), ..Filter::default() };
        assert!(all(&filter).iter().all(|id| id.starts_with("step/n") || id.starts_with("train/n")));
        assert_eq!(all(&filter).len(), 2 * 2 * 2 * 2);
        let filter = Filter { ids: regex("^forward/rayon/two-layer-f64-"), ..Filter::default() };
        assert_eq!(all(&filter), ["forward/rayon/two-layer-f64-1", "forward/rayon/two-layer-f64-2"]);
        let threads = vec![NonZeroUsize::new(3).expect("not zero")];
        let filter = Filter { threads, scalars: vec![ScalarKind::F32], workloads: regex("l-"), ..Filter::default() };
        assert!(all(&filter).contains(&"train/rayon/l-layer-f32-3".into()));
        assert!(!all(&filter).iter().any(|id| id.contains("naive") || id.contains("f64") || id.contains("two-layer")));
    }

    #[test]
    fn competitors_form_a_group() {
        let two = NonZeroUsize::new(2).expect("not zero");
        let cells = cells(&Registry::builtin(), &Workload::reference(), &Filter::default(), two);
        assert_eq!(groups(&cells).count(), 2 * 2 * 4);
        for group in groups(&cells) {
            assert!(group.iter().all(|cell| cell.competes_with(&group[0])));
        }
    }
}
