//! Axes: which values are labelled, what the labels say, and where a value lies, from 0 to 1. Nothing is drawn here.

/// A labelled place on an axis.
pub(super) struct Tick {
    /// From 0 to 1.
    pub position: f64,
    pub label: String,
}

/// The horizontal axis: from the first to the last iteration of all curves.
pub(super) struct IterationAxis {
    first: usize,
    last: usize,
}

impl IterationAxis {
    pub fn new(first: usize, last: usize) -> Self {
        IterationAxis { first, last }
    }

    /// Where an iteration lies, from 0 to 1; in the middle if there is only one.
    pub fn position(&self, iteration: usize) -> f64 {
        if self.first == self.last {
            return 0.5;
        }
        // Whole numbers as far as possible: huge iterations would be the same floating-point number.
        (iteration - self.first) as f64 / (self.last - self.first) as f64
    }

    pub fn ticks(&self) -> Vec<Tick> {
        let longest = with_commas(self.last).len();
        let most = (60 / longest).clamp(2, 8);
        let steps = (0..u64::MAX.ilog10()).flat_map(|exponent| [1, 2, 5].map(|digit| digit * 10_usize.pow(exponent)));
        let step = steps.into_iter().find(|step| (self.last - self.first) / step < most).unwrap_or(usize::MAX);
        let Some(start) = self.first.div_ceil(step).checked_mul(step) else { return Vec::new() };
        let tick = |value| Tick { position: self.position(value), label: with_commas(value) };
        (start..=self.last).step_by(step).map(tick).collect()
    }
}

/// `2500`, `25,000`.
fn with_commas(value: usize) -> String {
    let digits = value.to_string();
    if digits.len() < 5 {
        return digits;
    }
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().map(|g| str::from_utf8(g).expect("digits")).collect();
    groups.join(",")
}

/// The vertical axis: ends on a tick above and below every cost.
pub(super) struct CostAxis {
    log: bool,
    /// The ends, as logarithms to base 10 on a logarithmic axis.
    low: f64,
    high: f64,
    pub ticks: Vec<Tick>,
}

/// A number that is short in decimal, so that its label is exact: digits x 10^exponent.
#[derive(Clone, Copy)]
struct Decimal {
    digits: i64,
    exponent: i32,
}

impl Decimal {
    /// Rounded correctly; infinite where it is beyond f64's range.
    fn value(self) -> f64 {
        format!("{}e{}", self.digits, self.exponent).parse().expect("a decimal number")
    }

    fn log10(self) -> f64 {
        (self.digits as f64).log10() + f64::from(self.exponent)
    }
}

impl CostAxis {
    /// For finite costs from `min` to `max`, which are positive on a logarithmic axis.
    pub fn new(min: f64, max: f64, log: bool) -> Self {
        let decades = if log { max.log10() - min.log10() } else { 0.0 };
        // On a fraction of a decade, powers of ten label too little.
        if log && (decades > 0.5 || min < TINY) { Self::decades(min, max) } else { Self::even(min, max, log) }
    }

    /// Ticks at even distances in the cost.
    fn even(min: f64, max: f64, log: bool) -> Self {
        let (min, max) = widened(min, max);
        // Halves, because the difference of two finite numbers can overflow.
        let step = nice_step((0.5 * max - 0.5 * min) / 2.5);
        let (first, last) = ((min / step.value()).floor() as i64, (max / step.value()).ceil() as i64);
        let values = (first..=last).map(|count| Decimal { digits: count * step.digits, exponent: step.exponent });
        let place = |tick: Decimal| if log { tick.log10() } else { tick.value().clamp(f64::MIN, f64::MAX) };
        let labelled = values.map(|tick| (place(tick), even_label(tick, step, min.abs().max(max.abs()))));
        Self::labelled(labelled.collect(), log)
    }

    /// Ticks at powers of ten; at their double and fivefold too where there is room.
    fn decades(min: f64, max: f64) -> Self {
        let digits: &[i64] = match max.log10() - min.log10() {
            few if few <= 1.5 => &[1, 2, 3, 5, 7],
            several if several <= 3.0 => &[1, 2, 5],
            _ => &[1],
        };
        let (first, last) = (min.log10().floor() as i32, max.log10().ceil() as i32);
        let every = ((last - first) as usize).div_ceil(8).max(1);
        let all: Vec<Decimal> = (first..=last + every as i32)
            .step_by(every)
            .flat_map(|exponent| digits.iter().map(move |&digits| Decimal { digits, exponent }))
            .collect();
        let start = all.iter().rposition(|tick| tick.log10() <= min.log10()).unwrap_or(0);
        let end = all.iter().position(|tick| tick.log10() >= max.log10()).unwrap_or(all.len() - 1).max(start + 1);
        Self::labelled(all[start..=end].iter().map(|&tick| (tick.log10(), short_label(tick))).collect(), true)
    }

    fn labelled(ticks: Vec<(f64, String)>, log: bool) -> Self {
        let (low, high) = (ticks[0].0, ticks[ticks.len() - 1].0);
        let mut axis = CostAxis { log, low, high, ticks: Vec::new() };
        axis.ticks =
            ticks.into_iter().map(|(value, label)| Tick { position: axis.between_ends(value), label }).collect();
        axis
    }

    /// Where a cost lies, from 0 to 1.
    pub fn position(&self, cost: f64) -> f64 {
        self.between_ends(if self.log { cost.log10() } else { cost })
    }

    fn between_ends(&self, value: f64) -> f64 {
        (0.5 * value - 0.5 * self.low) / (0.5 * self.high - 0.5 * self.low)
    }
}

/// Below this, arithmetic with steps and tenths of steps leaves the normal numbers.
const TINY: f64 = 1e-290;

/// A range with room in it: costs that agree to a millionth are a flat line, not a picture of their rounding.
fn widened(min: f64, max: f64) -> (f64, f64) {
    let largest = min.abs().max(max.abs());
    if largest < TINY {
        (0.0, 1.0)
    } else if 0.5 * max - 0.5 * min < 0.5e-6 * largest {
        ((min - 0.05 * largest).max(f64::MIN), (max + 0.05 * largest).min(f64::MAX))
    } else {
        (min, max)
    }
}

/// The first of 1, 2, 5 x 10^n from `at_least`, which is a positive normal number.
fn nice_step(at_least: f64) -> Decimal {
    let exponent = at_least.log10().floor() as i32;
    let steps = [1, 2, 5].map(|digits| Decimal { digits, exponent });
    steps.into_iter().find(|step| step.value() >= at_least).unwrap_or(Decimal { digits: 1, exponent: exponent + 1 })
}

/// As many decimals as tell one step from the next; with an exponent where the numbers are huge or tiny.
fn even_label(value: Decimal, step: Decimal, largest: f64) -> String {
    let magnitude = largest.log10().floor() as i32;
    if value.digits == 0 {
        return "0".into();
    }
    if (-4..6).contains(&magnitude) {
        return format!("{:.*}", (-step.exponent).max(0) as usize, value.value());
    }
    let value = value.value().clamp(f64::MIN, f64::MAX);
    let digits = value.abs().log10().floor() as i32 - step.exponent;
    format!("{:.*e}", digits.max(0) as usize, value)
}

fn short_label(tick: Decimal) -> String {
    if (-4..6).contains(&tick.exponent) {
        tick.value().to_string()
    } else {
        format!("{}e{}", tick.digits, tick.exponent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(ticks: &[Tick]) -> Vec<&str> {
        ticks.iter().map(|tick| tick.label.as_str()).collect()
    }

    #[test]
    fn ticks_are_round_numbers() {
        assert_eq!(labels(&IterationAxis::new(0, 2499).ticks()), ["0", "500", "1000", "1500", "2000"]);
        assert_eq!(labels(&IterationAxis::new(0, 3).ticks()), ["0", "1", "2", "3"]);
        assert_eq!(labels(&IterationAxis::new(7, 7).ticks()), ["7"]);
        let large = IterationAxis::new(0, 300_000).ticks();
        assert_eq!(labels(&large), ["0", "50,000", "100,000", "150,000", "200,000", "250,000", "300,000"]);
        assert_eq!(labels(&CostAxis::new(0.05, 0.77, false).ticks), ["0", "0.2", "0.4", "0.6", "0.8"]);
        let close = CostAxis::new(0.69301, 0.69309, false);
        assert_eq!(labels(&close.ticks), ["0.69300", "0.69302", "0.69304", "0.69306", "0.69308", "0.69310"]);
        assert_eq!(labels(&CostAxis::new(2e-9, 9e-9, false).ticks), ["2e-9", "4e-9", "6e-9", "8e-9", "1.0e-8"]);
        assert_eq!(
            labels(&CostAxis::new(0.03, 0.77, true).ticks),
            ["0.03", "0.05", "0.07", "0.1", "0.2", "0.3", "0.5", "0.7", "1"]
        );
        assert_eq!(labels(&CostAxis::new(1e-7, 0.5, true).ticks)[..2], ["1e-7", "1e-6"]);
    }

    #[test]
    fn every_range_has_ticks_that_rise_and_enclose_it() {
        let mut extremes = vec![
            0.0,
            5e-324,
            1e-310,
            1e-290,
            1e-7,
            0.5,
            0.731_058_578_630_004_9,
            0.731_058_578_630_005,
            1.0,
            1e6,
            1e300,
        ];
        extremes.extend([f64::MAX, f64::MIN, -1.0, -1e-300]);
        for &min in &extremes {
            for &max in extremes.iter().filter(|&&max| max >= min) {
                for log in [false, true] {
                    if log && min <= 0.0 {
                        continue;
                    }
                    let axis = CostAxis::new(min, max, log);
                    let place = format!("{min:e} to {max:e}, log {log}: {:?}", labels(&axis.ticks));
                    assert!((2..=12).contains(&axis.ticks.len()), "{place}");
                    assert!(axis.ticks.windows(2).all(|pair| pair[0].position < pair[1].position), "{place}");
                    assert!(axis.ticks.iter().all(|tick| (0.0..=1.0).contains(&tick.position)), "{place}");
                    assert!(axis.ticks.iter().all(|tick| tick.label.len() <= 9), "{place}");
                    for cost in [min, max] {
                        assert!((-1e-9..=1.0 + 1e-9).contains(&axis.position(cost)), "{place}");
                    }
                }
            }
        }
    }

    #[test]
    fn huge_iterations_stay_apart() {
        let axis = IterationAxis::new(usize::MAX - 1, usize::MAX);
        assert_eq!((axis.position(usize::MAX - 1), axis.position(usize::MAX)), (0.0, 1.0));
        assert!(axis.ticks().len() <= 2);
        assert!((1..=3).contains(&IterationAxis::new(0, usize::MAX).ticks().len()));
    }
}
