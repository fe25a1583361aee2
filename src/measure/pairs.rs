//! Which cells are measured more than once: A/A pairs, which show how far apart two measurements of the same thing are. Nothing is measured
//! here, and nothing judged.

use rand_mt::Mt;

use super::Cell;
use super::record::Child;

/// A run has at least so many twins: half of them on one thread and half on several, where there are such cells.
const FEWEST_TWINS: usize = 8;
/// Echoes come at so many different times at least.
const FEWEST_ECHO_TIMES: usize = 6;

/// The further children of the groups of one run. Picked at random, so that no phase, backend or thread count is always or never among
/// them; with a fixed seed, so that a run can be repeated.
pub struct Pairs {
    twins_per_group: usize,
    random: Mt,
    /// What echoes are taken from: cells that were measured before.
    earlier: Vec<Cell>,
    echo_times: usize,
    /// Twins so far: the next one's turn.
    twins: usize,
}

impl Pairs {
    /// For a run over so many groups; `earlier` was measured by an earlier run of the same program.
    pub fn new(groups: usize, earlier: Vec<Cell>) -> Self {
        let twins_per_group = FEWEST_TWINS.div_ceil(groups.max(1));
        Pairs { twins_per_group, random: Mt::new(1), earlier, echo_times: 0, twins: 0 }
    }

    /// How many further children a run over so many groups will have, about.
    pub fn about(&self, groups: usize, with_echoes: bool) -> usize {
        let echoes = if with_echoes { 2 * groups.max(FEWEST_ECHO_TIMES) } else { 0 };
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
        let earlier = std::mem::take(&mut self.earlier);
        let echoes: Vec<_> = (0..2).filter_map(|echo| Some((self.pick(&earlier, echo)?, Child::Echo))).collect();
        self.earlier = earlier;
        self.echo_times += usize::from(!echoes.is_empty());
        echoes
    }

    /// Tells what of a group was measured.
    pub fn measured(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.earlier.extend(cells);
    }

    /// Whether echoes have come at too few times, and can still come.
    pub fn lacks_echoes(&self) -> bool {
        self.echo_times < FEWEST_ECHO_TIMES && !self.earlier.is_empty()
    }

    /// One of the cells, by turns of those on one thread and of those on several, where there are both.
    fn pick(&mut self, cells: &[Cell], turn: usize) -> Option<Cell> {
        let several = turn % 2 == 1;
        let is_of = |cell: &&Cell| (cell.threads.get() > 1) == several;
        let fitting: Vec<&Cell> = cells.iter().filter(is_of).collect();
        let cells = if fitting.is_empty() { cells.iter().collect() } else { fitting };
        let place = self.random.next_u32() as usize;
        cells.get(place % cells.len().max(1)).map(|&cell| cell.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::num::NonZeroUsize;

    use super::super::{Filter, cells, groups};
    use super::*;
    use crate::backend::Registry;
    use crate::workload::Workload;

    #[test]
    fn twins_and_echoes_are_of_every_kind() {
        let two = NonZeroUsize::new(2).expect("not zero");
        let cells = cells(&Registry::builtin(), &Workload::embedded(), &Filter::default(), two);
        let mut pairs = Pairs::new(groups(&cells).count(), Vec::new());
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
        let mut pairs = Pairs::new(1, Vec::new());
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
        // Where nothing could be measured there is nothing to wait for.
        assert!(!Pairs::new(1, Vec::new()).lacks_echoes());
        assert!(Pairs::new(1, Vec::new()).twins(&[]).is_empty());
    }
}
