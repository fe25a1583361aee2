//! What the rounds that are drawn must give, from a child that is never timed: started the same way, asked the same things, with another past
//! ([`Task::seed`](super::protocol::Task)). What a backend remembers, or leaves where it was, is not the same in both.

use ndarray::Array2;

use super::cell::Cell;
use super::change::draw;
use super::process::Child;
use super::protocol::{Failure, Passes};
use super::sampling::{Shown, digest, go, rest};
use super::settings::{FEWEST_ROUNDS, Settings};

/// The results of a cell in the rounds that were drawn.
pub(super) struct Replay {
    /// By round.
    digests: Vec<(usize, String)>,
}

impl Replay {
    /// Draws rounds and replays them; `seeds` are those of all rounds.
    pub fn of(cell: &Cell, passes: u64, seeds: &[u64], settings: &Settings) -> Result<Self, Failure> {
        let (mut child, ..) = Child::prepare(cell, settings)?;
        let mut digests = Vec::new();
        for round in drawn(seeds.len()) {
            go(&mut child, Passes { seed: seeds[round], count: passes }, settings.timeout, || true)?;
            digests.push((round, digest(&mut child, settings.timeout)?));
            rest(&mut child, settings.timeout)?;
        }
        Ok(Replay { digests })
    }

    /// What must come out in this round, where it was drawn.
    pub fn digest_of(&self, round: usize) -> Option<&str> {
        self.digests.iter().find(|(drawn, _)| *drawn == round).map(|(_, digest)| digest.as_str())
    }
}

/// The same parts, from another child that replays its sample.
pub(super) fn show(cell: &Cell, shown: &Shown, settings: &Settings) -> Result<Vec<Array2<f64>>, Failure> {
    let (mut child, ..) = Child::prepare(cell, settings)?;
    go(&mut child, shown.passes, settings.timeout, || true)?;
    child.show(&shown.parts, settings.timeout)
}

/// Two rounds of so many, where there are two: one among the first, which every run that is kept has, and any other.
fn drawn(rounds: usize) -> Vec<usize> {
    let mut left: Vec<usize> = (0..rounds).collect();
    let mut take = |among: usize| match among.min(left.len()) {
        0 => None,
        count => Some(left.swap_remove((draw() % count as u64) as usize)),
    };
    let mut drawn: Vec<usize> = [take(FEWEST_ROUNDS), take(rounds)].into_iter().flatten().collect();
    drawn.sort_unstable();
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_round_is_drawn_among_those_that_every_run_has() {
        for rounds in [1, 5, 6, 7, 100] {
            for _ in 0..100 {
                let drawn = drawn(rounds);
                assert_eq!(drawn.len(), rounds.min(2), "{drawn:?}");
                assert!(drawn[0] < rounds.min(FEWEST_ROUNDS) && drawn.iter().all(|&round| round < rounds), "{drawn:?}");
                assert!(drawn.windows(2).all(|pair| pair[0] < pair[1]), "{drawn:?}");
            }
        }
        assert!(drawn(0).is_empty());
    }
}
