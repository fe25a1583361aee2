//! Whether the times that a child states can be true, by what the parent saw of them. No processes here.
//!
//! The child's own wall time is the precise figure: no wake-up of a sleeping process is in it. The parent sees it from outside, from before the
//! request until after the answer, so an honest figure is never larger than what the parent saw, and smaller by two wake-ups, the
//! handing over to the engine's threads, and whatever kept one of the two from running meanwhile.

use super::protocol::{Cause, Failure};

/// What an undisturbed request may take beside its passes: two wake-ups of some 50 us, the handing over to a pool of threads, and a
/// time slice (3 ms on Linux, seldom a whole one) for a neighbour who has the core.
const LATENCY_NS: f64 = 2e6;
/// And of a long sample this share: during it the process that waits loses its place in the caches, and the core falls asleep.
const LATENCY_SHARE: f64 = 0.02;
/// Two readings of one clock do not contradict each other; this is for their rounding.
const READING_NS: f64 = 1e4;
/// Of CPU time: the system counts it by another clock, which may be off where the core changes its speed.
const COUNTING_SHARE: f64 = 0.05;

/// The times of one sample, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Times {
    /// Wall time as the child states it.
    pub stated: u64,
    /// Wall time as the parent saw it.
    pub seen: u64,
    /// CPU time of all threads of the child, as the system counts it, during what the parent saw.
    pub cpu: u64,
}

impl Times {
    /// How much less is stated than was seen.
    fn gap(&self) -> f64 {
        self.seen as f64 - self.stated as f64
    }

    /// How much less may be stated.
    fn latency(&self) -> f64 {
        LATENCY_NS + LATENCY_SHARE * self.seen as f64
    }
}

/// Whether less time is stated than was seen, each time.
///
/// A busy machine widens the gap of a sample without limit: a parent that is woken late sees more. It does not widen every gap, so the
/// smallest one counts, and where there are few, or none is small, the parent looks further before it judges. Who states too little in some samples
/// and the truth in others is found by the CPU time, which is a sum.
pub(super) fn states_too_little(times: &[Times]) -> bool {
    !times.is_empty() && times.iter().all(|times| times.gap() > times.latency())
}

/// Judges the samples of a child on so many threads; `further` were taken for the clocks alone.
///
/// # Errors
/// [`Cause::Clock`], with both numbers.
pub(super) fn judge(times: &[Times], further: &[Times], threads: usize) -> Result<(), Failure> {
    let ms = |ns: f64| format!("{:.3} ms", ns / 1e6);
    let fail = |message: String| Err(Failure { cause: Cause::Clock, message });
    let all = [times, further].concat();
    if states_too_little(&all) {
        let closest = all.iter().min_by(|a, b| a.gap().total_cmp(&b.gap())).expect("it is not empty");
        return fail(format!(
            "it states {} for passes that took {} from outside, which is the smallest difference in {} samples; expected {} at the most. \
             Its clock is slow, or it does not time all that it does",
            ms(closest.stated as f64),
            ms(closest.seen as f64),
            all.len(),
            ms(closest.latency()),
        ));
    }
    if let Some(odd) = times.iter().find(|times| -times.gap() > READING_NS) {
        let (stated, seen) = (ms(odd.stated as f64), ms(odd.seen as f64));
        return fail(format!(
            "it states {stated} for passes that took {seen} from outside; expected no more than that"
        ));
    }
    // After the last pass a library's other threads may spin until the parent looks: as long as an undisturbed request's latency, each.
    let (stated, cpu) =
        times.iter().fold((0.0, 0.0), |sum, times| (sum.0 + times.stated as f64, sum.1 + times.cpu as f64));
    let latency: f64 = times.iter().map(Times::latency).sum();
    let possible = threads as f64 * ((1.0 + COUNTING_SHARE) * stated + latency);
    if cpu > possible {
        return fail(format!(
            "it used {} of CPU time in {} samples for which it states {}; {} can have had {} at the most. Its clock is slow, or it has more \
             threads than it was opened with",
            ms(cpu),
            times.len(),
            ms(stated),
            if threads == 1 { "1 thread".to_owned() } else { format!("{threads} threads") },
            ms(possible),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn times(stated: u64, seen: u64, cpu: u64) -> Times {
        Times { stated, seen, cpu }
    }

    fn message(times: &[Times], threads: usize) -> String {
        let failure = judge(times, &[], threads).expect_err("it cannot be true");
        assert_eq!(failure.cause, Cause::Clock);
        failure.message
    }

    #[test]
    fn late_parents_and_spinning_workers_are_honest() {
        for (all, threads) in [
            // As it is on an idle machine, and for very short and very long samples.
            (vec![times(20 * MS, 20 * MS + 80_000, 20 * MS + 60_000); 6], 1),
            (vec![times(100, 90_000, 70_000); 6], 1),
            (vec![times(60_000 * MS, 60_900 * MS, 60_100 * MS)], 1),
            // The parent, or the child before its first pass, was kept from running in all samples but one, for up to a second.
            (
                vec![
                    times(20 * MS, 1020 * MS, 20 * MS),
                    times(20 * MS, 24 * MS, 20 * MS),
                    times(20 * MS, 22 * MS, 20 * MS),
                ],
                1,
            ),
            // The child was kept from running during its passes: it states the truth, and used less.
            (vec![times(90 * MS, 91 * MS, 20 * MS); 6], 2),
            // One of two threads spins until the parent looks.
            (vec![times(20 * MS, 24 * MS, 44 * MS), times(20 * MS, 20 * MS, 40 * MS)], 2),
        ] {
            assert_eq!(judge(&all, &[], threads), Ok(()), "{all:?}");
        }
        // A single sample that was disturbed says nothing: others are looked at.
        let disturbed = [times(20 * MS, 29 * MS, 20 * MS)];
        assert!(states_too_little(&disturbed) && !states_too_little(&[]));
        assert_eq!(judge(&disturbed, &[times(20 * MS, 21 * MS, 20 * MS)], 1), Ok(()));
    }

    #[test]
    fn a_clock_that_is_slow_or_fast_is_told_with_both_numbers() {
        // 4.48 times too slow; the smallest difference counts, however many others are larger.
        let slow = [times(5 * MS, 23 * MS, 22 * MS), times(5 * MS, 22 * MS, 22 * MS), times(5 * MS, 90 * MS, 22 * MS)];
        let told = message(&slow, 1);
        assert!(told.contains("states 5.000 ms for passes that took 22.000 ms"), "{told}");
        // Barely more than what latency explains.
        let told = message(&[times(20 * MS, 24 * MS, 10 * MS); 20], 1);
        assert!(told.contains("20 samples; expected 2.480 ms at the most"), "{told}");
        let told = message(&[times(20 * MS, 20 * MS, 20 * MS), times(30 * MS, 20 * MS, 20 * MS)], 1);
        assert!(told.contains("states 30.000 ms for passes that took 20.000 ms"), "{told}");
    }

    #[test]
    fn cpu_time_betrays_who_lies_in_all_samples_but_one() {
        let mut lying = vec![times(5 * MS, 22 * MS, 22 * MS); 14];
        lying.push(times(20 * MS, 20 * MS, 20 * MS));
        let told = message(&lying, 1);
        assert!(
            told.contains("it used 328.000 ms of CPU time in 15 samples for which it states 90.000 ms; 1 thread"),
            "{told}"
        );
        // More threads than it says.
        let two = vec![times(20 * MS, 20 * MS, 39 * MS); 6];
        assert!(message(&two, 1).contains("more threads"));
        assert_eq!(judge(&two, &[], 2), Ok(()));
    }
}
