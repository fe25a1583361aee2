//! How far two children of the same cell lie apart, from the A/A pairs of the records: what no child's samples can show.

use std::collections::{BTreeMap, BTreeSet};

use super::{same, same_rounds, time};
use crate::measure::record::{CellRecord, Child, Host, Measured, RunId};
use crate::measure::statistics::t_quantile;

/// The two kinds of A/A pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// In the same rounds: for cells that ran together.
    Twins,
    /// At different times: for cells that did not, and for different runs.
    Echoes,
}

/// What was measured alike: its noise is alike. Cells on several threads are noisier than those on one, often by far.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Class {
    machine: String,
    node: String,
    cold_cache: bool,
    several_threads: bool,
}

impl Class {
    fn of(record: &CellRecord) -> Self {
        let several_threads = record.cell.threads.get() > 1;
        let Host { machine, node } = record.host();
        Class { machine: machine.to_owned(), node: node.to_owned(), cold_cache: record.cold_cache, several_threads }
    }

    fn with_other_threads(&self) -> Self {
        Class { several_threads: !self.several_threads, ..self.clone() }
    }
}

/// Deviations of one class.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Spread {
    /// Of squares of logarithms of ratios of two children.
    sum: f64,
    /// How many.
    pairs: usize,
    /// How many of them are independent.
    degrees_of_freedom: usize,
}

impl Spread {
    /// The standard deviation of the natural logarithm of the ratio of the times of two children of one cell.
    fn deviation(&self) -> f64 {
        (self.sum / self.pairs as f64).sqrt()
    }

    /// The logarithm of the ratio that two children of one cell keep below with a probability of 95%. The logarithms are taken as normal, with
    /// one variance for the class; Student's t allows for how well that is known.
    fn reach(&self) -> f64 {
        t_quantile(self.degrees_of_freedom) * self.deviation()
    }

    fn add(&mut self, other: &Spread) {
        self.sum += other.sum;
        self.pairs += other.pairs;
        self.degrees_of_freedom += other.degrees_of_freedom;
    }
}

/// The noise that the A/A pairs of one kind show.
#[derive(Clone, Debug, PartialEq)]
pub struct Noise {
    kind: Kind,
    spreads: BTreeMap<Class, Spread>,
    /// What is behind the spreads of echoes: the square of the logarithm of each one's ratio to its cell.
    echoes: BTreeMap<Echo, f64>,
}

/// Which echo: one that stands in two files is one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Echo {
    class: Class,
    run: RunId,
    rounds: u64,
    cell: String,
    /// A cell may have several in the same rounds.
    number: usize,
}

impl Noise {
    /// Of all children of the records. `cells` are first children, `further` all others.
    pub(super) fn of(kind: Kind, cells: &[CellRecord], further: &[CellRecord]) -> Self {
        let mut spreads = BTreeMap::<Class, Spread>::new();
        let mut echoes = BTreeMap::new();
        for cell in cells {
            let Some(measured) = cell.measured() else { continue };
            let of_kind = further.iter().filter(|other| other.child == kind.child() && same(cell, other));
            let of_kind = of_kind.filter_map(|other| Some((other, other.measured()?)));
            let log = |other: &Measured| (time(&[other]) / time(&[measured])).ln();
            match kind {
                Kind::Twins => {
                    let twins = of_kind.filter(|(twin, _)| same_rounds(cell, twin));
                    spreads.entry(Class::of(cell)).or_default().add(&among(twins.map(|(_, twin)| log(twin))));
                }
                Kind::Echoes => {
                    for (echo, again) in of_kind {
                        if !same_rounds(cell, echo) && nothing_changed((cell, measured), (echo, again)) {
                            let (class, name) = (Class::of(cell), cell.cell.to_string());
                            let mut echo = Echo { class, run: echo.run, rounds: echo.rounds, cell: name, number: 0 };
                            while echoes.contains_key(&echo) {
                                echo.number += 1;
                            }
                            echoes.insert(echo, log(again).powi(2));
                        }
                    }
                }
            }
        }
        spreads.retain(|_, spread| spread.pairs > 0);
        match kind {
            Kind::Twins => Noise { kind, spreads, echoes },
            Kind::Echoes => Noise::of_echoes(echoes),
        }
    }

    fn of_echoes(echoes: BTreeMap<Echo, f64>) -> Self {
        let mut spreads = BTreeMap::<Class, Spread>::new();
        let mut times = BTreeSet::new();
        for (Echo { class, run, rounds, .. }, &square) in &echoes {
            // Echoes of one class that ran in the same rounds saw the same drift: they are one.
            let degrees_of_freedom = usize::from(times.insert((class, run, rounds)));
            spreads.entry(class.clone()).or_default().add(&Spread { sum: square, pairs: 1, degrees_of_freedom });
        }
        Noise { kind: Kind::Echoes, spreads, echoes }
    }

    /// What the echoes of two runs show together.
    pub(super) fn and(mut self, other: &Noise) -> Self {
        self.echoes.extend(other.echoes.iter().map(|(echo, &square)| (echo.clone(), square)));
        Noise::of_echoes(self.echoes)
    }

    /// What kind of pairs it is of.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// On how many pairs it rests.
    pub fn pairs(&self) -> usize {
        self.spreads.values().map(|spread| spread.pairs).sum()
    }

    /// For cells on one thread, then for those on several: the standard deviation of the natural logarithm of the ratio of two children of one
    /// cell, where it is known; the larger one where several machines or cold caches are in it.
    pub fn deviations(&self) -> [Option<f64>; 2] {
        [false, true].map(|several| {
            let of_class = self.spreads.iter().filter(|(class, _)| class.several_threads == several);
            of_class.map(|(_, spread)| spread.deviation()).max_by(f64::total_cmp)
        })
    }

    /// How far the logarithm of the ratio of two cells' times may be off for the noise alone, with a probability of 95%; their times are
    /// geometric means over so many children each. Infinite where nothing is known.
    pub(super) fn margin(&self, cells: [(&CellRecord, usize); 2]) -> f64 {
        let of_cell = |(cell, children): (&CellRecord, usize)| {
            let class = Class::of(cell);
            let spread = self.spreads.get(&class).or_else(|| self.spreads.get(&class.with_other_threads()));
            // Half the variance of a ratio is one child's.
            spread.map_or(f64::INFINITY, |spread| spread.reach().powi(2) / 2.0 / children as f64)
        };
        cells.map(of_cell).iter().sum::<f64>().sqrt()
    }
}

impl Kind {
    fn child(self) -> Child {
        match self {
            Kind::Twins => Child::Twin,
            Kind::Echoes => Child::Echo,
        }
    }
}

/// Whether an echo is of the very thing that its cell was: another program, environment or library may take another time.
fn nothing_changed((cell, measured): (&CellRecord, &Measured), (echo, again): (&CellRecord, &Measured)) -> bool {
    echo.tool == cell.tool
        && echo.environment == cell.environment
        && again.library.is_same(&measured.library)
        && again.data_sha256 == measured.data_sha256
}

/// Of a child, whose logarithm is 0, and its twins: as many degrees of freedom as twins.
fn among(logs: impl Iterator<Item = f64>) -> Spread {
    let logs: Vec<f64> = logs.collect();
    let children = logs.len() + 1;
    let squares = logs.iter().map(|log| log * log).sum::<f64>() - logs.iter().sum::<f64>().powi(2) / children as f64;
    // The variance of one child, twice: a ratio has two.
    Spread { sum: 2.0 * squares, pairs: logs.len(), degrees_of_freedom: logs.len() }
}

/// Widens the interval of a ratio, which knows of deviations from sample to sample, by those from child to child.
pub(super) fn widened(ratio: f64, (low, high): (f64, f64), margin: f64) -> (f64, f64) {
    let further = |of: f64| of.ln().max(0.0).hypot(margin).exp();
    (ratio / further(ratio / low), ratio * further(high / ratio))
}
