//! Medians and intervals of small samples, without assumptions about their distribution; and Student's t, which makes one.

/// The median; NaN of nothing.
pub fn median(samples: &[f64]) -> f64 {
    let sorted = sorted(samples);
    match (sorted.len(), sorted.len() / 2) {
        (0, _) => f64::NAN,
        (n, half) if n % 2 == 1 => sorted[half],
        (_, half) => 0.5 * (sorted[half - 1] + sorted[half]),
    }
}

/// Half the distance between the quartiles, as a share of the median: how far a typical sample is off.
pub fn relative_spread(samples: &[f64]) -> f64 {
    let sorted = sorted(samples);
    if sorted.is_empty() {
        return f64::NAN;
    }
    let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share).round() as usize];
    0.5 * (at(0.75) - at(0.25)) / median(samples)
}

/// An interval that contains the median of the population with at least 95% probability, from order statistics (the sign test);
/// `None` for fewer than six samples, which cannot give one.
pub fn median_interval(samples: &[f64]) -> Option<(f64, f64)> {
    let sorted = sorted(samples);
    let n = sorted.len();
    // The largest number of samples that may be left out at each end: P(Binomial(n, 1/2) < cut) <= 2.5%.
    // The terms as logarithms: 2^-n is zero from n = 1075 on, and so would be all that follow from it.
    let (mut cut, mut tail, mut log_term) = (0, 0.0, n as f64 * 0.5_f64.ln());
    loop {
        tail += log_term.exp();
        if tail > 0.025 {
            break;
        }
        log_term += ((n - cut) as f64 / (cut + 1) as f64).ln();
        cut += 1;
    }
    (cut > 0).then(|| (sorted[cut - 1], sorted[n - cut]))
}

/// The median distance from the median.
pub fn median_deviation(samples: &[f64]) -> f64 {
    let centre = median(samples);
    median(&samples.iter().map(|sample| (sample - centre).abs()).collect::<Vec<_>>())
}

/// The number below which a `share` of the values lies, interpolated; NaN of nothing.
pub fn quantile(values: &[f64], share: f64) -> f64 {
    let sorted = sorted(values);
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let place = share * last as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    below + (above - below) * place.fract()
}

/// The number within which, on either side of 0, 95% of Student's t distribution with that many degrees of freedom lie.
pub fn t_quantile(degrees_of_freedom: usize) -> f64 {
    const NORMAL: f64 = 1.959_963_984_540_054;
    match degrees_of_freedom {
        0 => f64::INFINITY,
        // These two have closed forms.
        1 => (0.475 * std::f64::consts::PI).tan(),
        2 => 0.95 * (2.0_f64 / (1.0 - 0.95 * 0.95)).sqrt(),
        // The expansion of Cornish and Fisher (Abramowitz and Stegun 26.7.5): off by 0.8% at three degrees, by 0.1% from five on.
        _ => {
            let (z, n) = (NORMAL, degrees_of_freedom as f64);
            z + (z.powi(3) + z) / (4.0 * n)
                + (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / (96.0 * n.powi(2))
                + (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / (384.0 * n.powi(3))
        }
    }
}

/// The geometric mean of positive numbers; NaN of nothing.
pub fn geometric_mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let (sum, count) = values.into_iter().fold((0.0, 0), |(sum, count), value| (sum + value.ln(), count + 1));
    (sum / f64::from(count)).exp()
}

fn sorted(samples: &[f64]) -> Vec<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn medians() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
        assert_relative_eq!(relative_spread(&[1.0, 2.0, 3.0, 4.0, 5.0]), 1.0 / 3.0);
        assert_relative_eq!(geometric_mean([1.0, 4.0]), 2.0, max_relative = 1e-15);
    }

    #[test]
    fn deviations_and_quantiles() {
        assert_eq!(median_deviation(&[1.0, 2.0, 4.0, 100.0, 3.0]), 1.0);
        assert!(median_deviation(&[]).is_nan());
        assert_eq!(quantile(&[3.0, 1.0, 2.0], 0.25), 1.5);
        assert_eq!((quantile(&[5.0], 0.975), quantile(&[1.0, 2.0], 1.0)), (5.0, 2.0));
        assert!(quantile(&[], 0.5).is_nan());
    }

    #[test]
    fn quantiles_of_t_are_those_of_the_tables() {
        for (freedom, expected) in
            [(1, 12.706), (2, 4.3027), (3, 3.182), (5, 2.571), (10, 2.228), (30, 2.042), (1000, 1.962)]
        {
            assert_relative_eq!(t_quantile(freedom), expected, max_relative = 8e-3);
        }
        assert_relative_eq!(t_quantile(6), 2.4469, max_relative = 1e-3);
        assert_eq!(t_quantile(0), f64::INFINITY);
    }

    #[test]
    fn intervals_are_those_of_the_sign_test() {
        let samples: Vec<f64> = (1..=9).map(f64::from).collect();
        // 1 - 2 (1 + 9) / 512 = 96.1%.
        assert_eq!(median_interval(&samples), Some((2.0, 8.0)));
        assert_eq!(median_interval(&samples[..6]), Some((1.0, 6.0)));
        assert_eq!(median_interval(&samples[..5]), None);
        let many: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(median_interval(&many), Some((40.0, 61.0)));
        // 2^-n is no longer a number that is not zero. From n/2 - 1.96 sqrt(n)/2 on.
        let thousands: Vec<f64> = (1..=10_000).map(f64::from).collect();
        assert_eq!(median_interval(&thousands), Some((4902.0, 5099.0)));
        assert_eq!(median_interval(&[]), None);
    }
}
