//! Who is fastest? Ranks backends at their thread counts by the geometric mean of the ratios to the best, over the cells they share.

use std::num::NonZeroUsize;

use super::noise::{Kind, widened};
use super::{Results, per_pass, same_rounds};
use crate::layer::FirstLayer;
use crate::measure::contender_name;
use crate::measure::record::CellRecord;
use crate::measure::statistics::{geometric_mean, median, quantile};
use crate::model::NumpyRandom;
use crate::workload::Phase;

/// A backend at a thread count, with a way of the first layer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Contender {
    /// The backend's name.
    pub backend: String,
    /// How its first layer computes and updates.
    pub first_layer: FirstLayer,
    /// The number of threads.
    pub threads: NonZeroUsize,
    /// What computed, as its engine said.
    pub library: String,
}

/// A place in a ranking.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// Who.
    pub contender: Contender,
    /// The geometric mean of the ratios of its times to the best one's; 1 is best in every cell.
    pub score: f64,
    /// Time to that of the first, with an interval of 95% that allows for the noise.
    pub to_first: (f64, (f64, f64)),
}

impl Place {
    /// Whether the difference to the first is within the noise.
    pub fn is_tied(&self) -> bool {
        // Written so that NaN is a tie.
        let (low, high) = self.to_first.1;
        !(low > 1.0 || high < 1.0)
    }
}

/// A ranking, the fastest first.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranking {
    /// The phase; none for all of them.
    pub phase: Option<Phase>,
    /// The number of shared cells that it rests on.
    pub shared: usize,
    /// Cells that not all contenders have; they do not count.
    pub left_out: usize,
    /// From the fastest to the slowest.
    pub places: Vec<Place>,
}

/// How often rounds are drawn anew for an interval.
const RESAMPLES: usize = 1000;

/// The overall ranking, then one per phase that was measured. Empty where no cell was measured by all contenders. What is mistrusted counts as
/// not measured.
pub fn rank(results: &Results) -> Vec<Ranking> {
    let phases = [None].into_iter().chain(Phase::ALL.map(Some));
    let is_trusted = |cell: &&CellRecord| cell.measured().is_some() && results.mistrusted(cell).is_none();
    let trusted: Vec<&CellRecord> = results.cells.iter().filter(is_trusted).collect();
    let mut rankings: Vec<Ranking> = phases.filter_map(|phase| rank_phase(results, &trusted, phase)).collect();
    // With one phase the overall ranking says it all.
    if rankings.len() == 2 {
        rankings.truncate(1);
    }
    rankings
}

fn rank_phase<'a>(results: &Results, trusted: &[&'a CellRecord], phase: Option<Phase>) -> Option<Ranking> {
    let measured = || trusted.iter().copied();
    let mut contenders: Vec<Contender> = Vec::new();
    for record in measured() {
        let contender = Contender::of(record);
        if !contenders.iter().any(|other| other.is_same(&contender)) {
            contenders.push(contender);
        }
    }
    let mut groups: Vec<Vec<&CellRecord>> = Vec::new();
    for record in measured().filter(|record| phase.is_none_or(|phase| record.cell.phase == phase)) {
        match groups.iter_mut().find(|group| competes(group[0], record)) {
            Some(group) => group.push(record),
            None => groups.push(vec![record]),
        }
    }
    // Each group's members in the order of the contenders.
    let all = groups.len();
    let complete = |group: Vec<&'a CellRecord>| -> Option<Group<'a>> {
        let members = contenders
            .iter()
            .map(|contender| group.iter().copied().find(|record| contender.is_same(&Contender::of(record))));
        Some(Group::new(results, members.collect::<Option<Vec<_>>>()?))
    };
    let groups: Vec<Group<'_>> = groups.into_iter().filter_map(complete).collect();
    if groups.is_empty() {
        return None;
    }

    let scores = scores(groups.iter().map(Group::medians), contenders.len());
    let first = (0..scores.len()).min_by(|&a, &b| scores[a].total_cmp(&scores[b]))?;
    let mut random = NumpyRandom::new(1);
    let drawn: Vec<Vec<f64>> = (0..RESAMPLES)
        .map(|_| self::scores(groups.iter().map(|group| group.redrawn_medians(&mut random)), contenders.len()))
        .collect();
    let interval = |value: &dyn Fn(&[f64]) -> f64| {
        let values: Vec<f64> = drawn.iter().map(|scores| value(scores)).collect();
        (quantile(&values, 0.025), quantile(&values, 0.975))
    };
    // Each group has its own children: their deviations average out.
    let margin = |index: usize| {
        let squares: f64 = groups.iter().map(|group| group.margin(results, index, first).powi(2)).sum();
        squares.sqrt() / groups.len() as f64
    };
    let mut places: Vec<Place> = contenders
        .into_iter()
        .enumerate()
        .map(|(index, contender)| Place {
            contender,
            score: scores[index],
            to_first: if index == first {
                (1.0, (1.0, 1.0))
            } else {
                let ratio = scores[index] / scores[first];
                (ratio, widened(ratio, interval(&|scores| scores[index] / scores[first]), margin(index)))
            },
        })
        .collect();
    places.sort_by(|a, b| a.score.total_cmp(&b.score));
    Some(Ranking { phase, shared: groups.len(), left_out: all - groups.len(), places })
}

impl Contender {
    fn of(record: &CellRecord) -> Self {
        Contender {
            backend: record.cell.backend.clone(),
            first_layer: record.cell.first_layer,
            threads: record.cell.threads,
            library: record.measured().map_or(String::new(), |measured| measured.library.description.clone()),
        }
    }

    fn is_same(&self, other: &Contender) -> bool {
        self.backend == other.backend && self.first_layer == other.first_layer && self.threads == other.threads
    }

    /// As in a cell's id: `openblas`, `openblas+fused`.
    pub fn name(&self) -> String {
        contender_name(&self.backend, self.first_layer)
    }
}

fn competes(a: &CellRecord, b: &CellRecord) -> bool {
    let data = |record: &CellRecord| record.measured().map(|measured| measured.data_sha256.clone());
    a.cell.competes_with(&b.cell) && a.cold_cache == b.cold_cache && a.host() == b.host() && data(a) == data(b)
}

/// Cells that compete, one of each contender.
struct Group<'a> {
    members: Vec<&'a CellRecord>,
    /// For each contender, for each of its children, the time of each sample.
    times: Vec<Vec<Vec<f64>>>,
    /// Whether the n-th samples of all were taken in the same round.
    paired: bool,
}

impl<'a> Group<'a> {
    fn new(results: &Results, members: Vec<&'a CellRecord>) -> Self {
        let of = |record: &&CellRecord| results.children(record).into_iter().map(per_pass).collect();
        let times = members.iter().map(of).collect();
        let paired = members.windows(2).all(|pair| same_rounds(pair[0], pair[1]));
        Group { members, times, paired }
    }

    /// Of the ratio of two contenders: [`Noise::margin`](super::Noise).
    fn margin(&self, results: &Results, a: usize, b: usize) -> f64 {
        if self.paired {
            let of = |index: usize| (self.members[index], self.times[index].len());
            results.noise(Kind::Twins).margin([of(a), of(b)])
        } else {
            results.noise(Kind::Echoes).margin([(self.members[a], 1), (self.members[b], 1)])
        }
    }

    /// For each contender the geometric mean over its children of the median.
    fn medians(&self) -> Vec<f64> {
        let of = |children: &Vec<Vec<f64>>| geometric_mean(children.iter().map(|times| median(times)));
        self.times.iter().map(of).collect()
    }

    /// The same of rounds drawn with replacement; the same rounds for all where they are the same.
    fn redrawn_medians(&self, random: &mut NumpyRandom) -> Vec<f64> {
        let mut draw =
            |count: usize| -> Vec<usize> { (0..count).map(|_| (random.uniform() * count as f64) as usize).collect() };
        let mut common = draw(self.times[0][0].len());
        let mut redrawn = Vec::with_capacity(self.times.len());
        for children in &self.times {
            if !self.paired {
                common = draw(children[0].len());
            }
            // All children of the same rounds have as many samples; a file that was edited may have fewer.
            let of = |times: &Vec<f64>| {
                median(&common.iter().filter_map(|&round| times.get(round).copied()).collect::<Vec<_>>())
            };
            redrawn.push(geometric_mean(children.iter().map(of)));
        }
        redrawn
    }
}

/// For each contender the geometric mean over all groups of its median to the group's best.
fn scores(groups: impl Iterator<Item = Vec<f64>>, contenders: usize) -> Vec<f64> {
    let ratios: Vec<Vec<f64>> = groups
        .map(|medians| {
            let best = medians.iter().copied().fold(f64::INFINITY, f64::min);
            medians.into_iter().map(|median| median / best).collect()
        })
        .collect();
    (0..contenders).map(|index| geometric_mean(ratios.iter().map(|ratios| ratios[index]))).collect()
}
