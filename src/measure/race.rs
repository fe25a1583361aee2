//! Rounds of balanced order among contestants of any kind. No clock and no process here: what a turn is each contestant knows, and who is to stay
//! is its driver's decision.
//!
//! ```
//! use layerbench::measure::{Contestant, Race};
//!
//! /// Counts its turns.
//! struct Counter(usize);
//!
//! impl Contestant for Counter {
//!     fn turn(&mut self, _: usize) {
//!         self.0 += 1;
//!     }
//!     fn forget_after(&mut self, rounds: usize) {
//!         self.0 = self.0.min(rounds);
//!     }
//! }
//!
//! let mut race = Race::new(vec![Counter(0), Counter(0)]);
//! assert!(race.round(&|| false, &mut |_| ()));
//! race.dismiss(1);
//! assert!(race.round(&|| false, &mut |_| ()));
//! assert_eq!(race.contestants().map(|counter| counter.0).collect::<Vec<_>>(), [2, 1]);
//! ```

use super::order;

/// One that takes a turn in every round that it is in.
pub trait Contestant {
    /// Its turn in a round, from 0.
    fn turn(&mut self, round: usize);

    /// Forgets what its turns gave after so many rounds: a round that is not whole is none.
    fn forget_after(&mut self, rounds: usize);
}

/// Contestants, and the rounds that they have had.
#[derive(Debug)]
pub struct Race<C> {
    entrants: Vec<Entrant<C>>,
    rounds: usize,
}

#[derive(Debug)]
struct Entrant<C> {
    contestant: C,
    is_in: bool,
}

impl<C: Contestant> Race<C> {
    /// Before the first round. Contestants go by their places here.
    pub fn new(contestants: Vec<C>) -> Self {
        let entrant = |contestant| Entrant { contestant, is_in: true };
        Race { entrants: contestants.into_iter().map(entrant).collect(), rounds: 0 }
    }

    /// Rounds that were whole.
    pub fn rounds(&self) -> usize {
        self.rounds
    }

    /// One round of all who are in; `after` sees each after its turn. Whether it was whole: `is_stopped` is asked before each turn, and a round that it
    /// ends is forgotten.
    pub fn round(&mut self, is_stopped: &dyn Fn() -> bool, after: &mut dyn FnMut(&C)) -> bool {
        let there: Vec<usize> = (0..self.entrants.len()).filter(|&index| self.entrants[index].is_in).collect();
        for place in order::of_round(self.rounds, there.len()) {
            if is_stopped() {
                self.entrants.iter_mut().for_each(|entrant| entrant.contestant.forget_after(self.rounds));
                return false;
            }
            let contestant = &mut self.entrants[there[place]].contestant;
            contestant.turn(self.rounds);
            after(contestant);
        }
        self.rounds += 1;
        true
    }

    /// Takes one out: it keeps what it has, and has no further turn.
    pub fn dismiss(&mut self, index: usize) {
        self.entrants[index].is_in = false;
    }

    /// How many are in.
    pub fn there(&self) -> usize {
        self.entrants.iter().filter(|entrant| entrant.is_in).count()
    }

    /// All, those that were dismissed too.
    pub fn contestants(&self) -> impl Iterator<Item = &C> {
        self.entrants.iter().map(|entrant| &entrant.contestant)
    }

    /// The same, to be kept.
    pub fn into_contestants(self) -> impl Iterator<Item = C> {
        self.entrants.into_iter().map(|entrant| entrant.contestant)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    /// Plays given times and writes down who came when.
    struct Player<'a> {
        name: usize,
        time: fn(usize) -> u32,
        times: Vec<u32>,
        log: &'a RefCell<Vec<(usize, usize)>>,
    }

    impl Contestant for Player<'_> {
        fn turn(&mut self, round: usize) {
            self.times.push((self.time)(round));
            self.log.borrow_mut().push((round, self.name));
        }

        fn forget_after(&mut self, rounds: usize) {
            self.times.truncate(rounds);
        }
    }

    fn race(log: &RefCell<Vec<(usize, usize)>>) -> Race<Player<'_>> {
        let player = |(name, time)| Player { name, time, times: Vec::new(), log };
        let times: [fn(usize) -> u32; 3] = [|_| 10, |round| 10 + round as u32, |_| 30];
        Race::new(times.into_iter().enumerate().map(player).collect())
    }

    #[test]
    fn whoever_is_dismissed_keeps_what_it_has_and_the_order_stays_balanced() {
        let log = RefCell::default();
        let mut race = race(&log);
        for round in 0..9 {
            assert!(race.round(&|| false, &mut |_| ()));
            // The driver's rule: whoever took twice as long as the first in each of three rounds goes.
            if round == 2 {
                race.dismiss(2);
            }
        }
        assert_eq!((race.rounds(), race.there()), (9, 2));
        let lengths: Vec<usize> = race.contestants().map(|player| player.times.len()).collect();
        assert_eq!(lengths, [9, 9, 3]);
        assert_eq!(race.contestants().nth(1).expect("three").times[8], 18, "its drift is in its samples");
        // Of two, each goes first as often as the other.
        let first = |name| log.borrow()[9..].chunks(2).filter(|pair| pair[0].1 == name).count();
        assert_eq!((first(0), first(1)), (3, 3));
    }

    #[test]
    fn a_round_that_is_not_whole_is_none() {
        let log = RefCell::default();
        let mut race = race(&log);
        let (turns, seen) = (Cell::new(0), Cell::new(0));
        let is_stopped = || {
            turns.set(turns.get() + 1);
            turns.get() > 5
        };
        let mut after = |_: &Player<'_>| seen.set(seen.get() + 1);
        assert!(race.round(&is_stopped, &mut after));
        assert!(!race.round(&is_stopped, &mut after));
        assert_eq!((race.rounds(), seen.get()), (1, 5));
        assert!(race.into_contestants().all(|player| player.times.len() == 1));
    }

    #[test]
    fn nobody_left_is_no_error() {
        let log = RefCell::default();
        let mut race = race(&log);
        (0..3).for_each(|index| race.dismiss(index));
        assert!(race.round(&|| true, &mut |_| ()));
        assert!(log.borrow().is_empty());
    }
}
