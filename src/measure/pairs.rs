//! Which cells are measured more than once: A/A pairs, which show how far apart two measurements of the same thing are. Nothing is measured
//! here, and nothing judged.

use std::collections::BTreeSet;

use rand_mt::Mt;

use super::Cell;
use super::record::{CellRecord, Child, Record};

/// A run has at least so many twins: half of them on one thread and half on several, where there are such cells.
const FEWEST_TWINS: usize = 8;
/// Cells on one thread and cells on several echo at so many different times each at least, in a run and those that it resumes.
const FEWEST_ECHO_TIMES: usize = 6;

/// The further children of the groups of one run. Picked at random, so that no phase, backend or thread count is always or never among
/// them; with a fixed seed, so that a run can be repeated.
pub struct Pairs {
    twins_per_group: usize,
    random: Mt,
    earlier: Earlier,
    /// Twins so far: the next one's turn.
    twins: usize,
}

/// What the same program has measured before, in this run or an earlier one.
#[derive(Clone, Debug, Default)]
pub struct Earlier {
    /// What echoes are taken from.
    pub cells: Vec<Cell>,
    /// At how many different times cells on one thread echoed, and cells on several.
    pub echo_times: [usize; 2],
}

impl Pairs {
    /// For a run over so many groups.
    pub fn new(groups: usize, earlier: Earlier) -> Self {
        let twins_per_group = FEWEST_TWINS.div_ceil(groups.max(1));
        Pairs { twins_per_group, random: Mt::new(1), earlier, twins: 0 }
    }

    /// How many further children a run over so many groups will have, about.
    pub fn about(&self, groups: usize, with_echoes: bool) -> usize {
        let fewest = self.earlier.echo_times.iter().copied().min().unwrap_or_default();
        let echoes = if with_echoes { 2 * groups.max(FEWEST_ECHO_TIMES.saturating_sub(fewest)) } else { 0 };
        groups * self.twins_per_group + echoes
    }

    /// The twins of a group of cells.
    pub fn twins(&mut self, group: &[Cell]) -> Vec<(Cell, Child)> {
        let turns = self.twins..self.twins + self.twins_per_group;
        self.twins = turns.end;
        turns.filter_map(|turn| Some((self.pick(group, turn)?, Child::Twin))).collect()
    }

    /// What echoes in the rounds of the next group: a cell on one thread and one on several.
    pub fn echoes(&mut self) -> Vec<(Cell, Child)> {
        let cells = std::mem::take(&mut self.earlier.cells);
        let echoes: Vec<_> = (0..2).filter_map(|echo| Some((self.pick(&cells, echo)?, Child::Echo))).collect();
        self.earlier.cells = cells;
        for (several, times) in self.earlier.echo_times.iter_mut().enumerate() {
            *times += usize::from(echoes.iter().any(|(cell, _)| is_on_several(cell) == (several == 1)));
        }
        echoes
    }

    /// Tells what of a group was measured.
    pub fn measured(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.earlier.cells.extend(cells);
    }

    /// Whether echoes have come at too few times, and can still come.
    pub fn lacks_echoes(&self) -> bool {
        self.earlier.lacks_echoes()
    }

    /// One of the cells, by turns of those on one thread and of those on several, where there are both.
    fn pick(&mut self, cells: &[Cell], turn: usize) -> Option<Cell> {
        let fitting: Vec<&Cell> = cells.iter().filter(|cell| is_on_several(cell) == (turn % 2 == 1)).collect();
        let cells = if fitting.is_empty() { cells.iter().collect() } else { fitting };
        let place = self.random.next_u32() as usize;
        cells.get(place % cells.len().max(1)).map(|&cell| cell.clone())
    }
}

impl Earlier {
    /// Of the records of a file, those that `is_ours` takes.
    pub fn of(records: &[Record], is_ours: impl Fn(&CellRecord) -> bool) -> Self {
        let mut cells = Vec::new();
        let mut times = [BTreeSet::new(), BTreeSet::new()];
        for record in records {
            match record {
                Record::Cell(record) if !is_ours(record) => {}
                // One that failed would fail again, and keep every run from its end.
                Record::Cell(record) if record.child == Child::Echo => {
                    times[usize::from(is_on_several(&record.cell))].insert((record.run, record.rounds));
                }
                Record::Cell(record) if record.child == Child::First && record.measured().is_some() => {
                    cells.push(record.cell.clone());
                }
                _ => {}
            }
        }
        Earlier { cells, echo_times: times.map(|times| times.len()) }
    }

    /// Lets only these cells echo. The echoes that have come count all the same.
    pub fn retain(&mut self, may_echo: impl FnMut(&Cell) -> bool) {
        self.cells.retain(may_echo);
    }

    /// Whether echoes have come at too few times, and can still come.
    pub fn lacks_echoes(&self) -> bool {
        let lacks = |several: usize| {
            self.echo_times[several] < FEWEST_ECHO_TIMES
                && self.cells.iter().any(|cell| is_on_several(cell) == (several == 1))
        };
        lacks(0) || lacks(1)
    }
}

fn is_on_several(cell: &Cell) -> bool {
    cell.threads.get() > 1
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::super::{Filter, cells, groups};
    use super::*;
    use crate::backend::Registry;
    use crate::workload::Workload;

    #[test]
    fn twins_and_echoes_are_of_every_kind() {
        let two = NonZeroUsize::new(2).expect("not zero");
        let cells = cells(&Registry::builtin(), &Workload::embedded(), &Filter::default(), two);
        let mut pairs = Pairs::new(groups(&cells).count(), Earlier::default());
        let (mut twins, mut echoes) = (Vec::new(), Vec::new());
        for group in groups(&cells) {
            echoes.extend(pairs.echoes());
            twins.extend(pairs.twins(group));
            pairs.measured(group.to_vec());
        }
        assert!(!pairs.lacks_echoes());
        // By the luck of the draw a phase of one backend or another may lack, but no backend, no phase and no thread count.
        let kinds = |found: &[(Cell, Child)]| -> BTreeSet<String> {
            let kinds = |(cell, _): &(Cell, Child)| {
                [format!("{} {}", cell.backend, cell.threads), cell.phase.name().into(), cell.scalar.to_string()]
            };
            found.iter().flat_map(kinds).collect()
        };
        let all: Vec<_> = cells.iter().map(|cell| (cell.clone(), Child::First)).collect();
        assert_eq!(kinds(&twins), kinds(&all));
        assert_eq!(kinds(&echoes), kinds(&all));
        let on_several = |found: &[(Cell, Child)]| found.iter().filter(|(cell, _)| cell.threads.get() > 1).count();
        assert_eq!((2 * on_several(&twins), 2 * on_several(&echoes)), (twins.len(), echoes.len()));
    }

    #[test]
    fn a_short_run_has_enough_of_both() {
        let two = NonZeroUsize::new(2).expect("not zero");
        let cells = cells(&Registry::builtin(), &Workload::reference(), &Filter::default(), two);
        let group = groups(&cells).next().expect("a group");
        let mut pairs = Pairs::new(1, Earlier::default());
        assert!(pairs.echoes().is_empty(), "nothing was measured");
        let twins = pairs.twins(group);
        assert_eq!(twins.len(), FEWEST_TWINS);
        assert_eq!(twins.iter().filter(|(cell, _)| cell.threads.get() > 1).count(), FEWEST_TWINS / 2);
        pairs.measured(group.to_vec());
        let mut times = 0;
        while pairs.lacks_echoes() {
            assert_eq!(pairs.echoes().len(), 2);
            times += 1;
        }
        assert_eq!(times, FEWEST_ECHO_TIMES);
        // What an earlier run had counts, for one thread and for several on its own.
        let cells = group.to_vec();
        for (echo_times, lacks) in [([6, 6], false), ([6, 5], true), ([0, 6], true)] {
            assert_eq!(Earlier { cells: cells.clone(), echo_times }.lacks_echoes(), lacks, "{echo_times:?}");
        }
        let serial: Vec<Cell> = cells.into_iter().filter(|cell| cell.threads.get() == 1).collect();
        assert!(!Earlier { cells: serial, echo_times: [6, 0] }.lacks_echoes());
        // Where nothing could be measured there is nothing to wait for.
        assert!(!Pairs::new(1, Earlier::default()).lacks_echoes());
        assert!(Pairs::new(1, Earlier::default()).twins(&[]).is_empty());
    }
}
