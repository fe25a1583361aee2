//! Fewer points, the same picture: what a curve shows within a column of pixels is its first, lowest, highest and last point.

/// The points of `curve` that a picture `columns` wide needs; (x, y) with x rising from 0 to 1.
pub(super) fn thinned(curve: &[(f64, f64)], columns: u32) -> Vec<(f64, f64)> {
    let column = |point: &(f64, f64)| (point.0 * f64::from(columns)) as u32;
    curve.chunk_by(|a, b| column(a) == column(b)).flat_map(corners).collect()
}

fn corners(points: &[(f64, f64)]) -> impl Iterator<Item = (f64, f64)> {
    let by_height = |a: &usize, b: &usize| points[*a].1.total_cmp(&points[*b].1);
    let lowest = (0..points.len()).min_by(by_height).unwrap_or(0);
    let highest = (0..points.len()).max_by(by_height).unwrap_or(0);
    let mut kept = vec![0, lowest, highest, points.len() - 1];
    kept.sort_unstable();
    kept.dedup();
    kept.into_iter().map(|index| points[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes_and_ends_survive() {
        let spike = 123_456;
        let height = |i: usize| if i == spike { 1.0 } else { 0.5 + 1e-6 * (i % 7) as f64 };
        let curve: Vec<(f64, f64)> = (0..=300_000).map(|i| (i as f64 / 300_000.0, height(i))).collect();
        let few = thinned(&curve, 800);
        assert!(few.len() <= 4 * 801, "{}", few.len());
        assert_eq!((few.first(), few.last()), (curve.first(), curve.last()));
        assert!(few.contains(&curve[spike]));
        assert!(few.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn a_short_curve_is_left_alone() {
        let curve = [(0.0, 3.0), (0.5, 1.0), (1.0, 2.0)];
        assert_eq!(thinned(&curve, 800), curve);
        assert_eq!(thinned(&[], 800), []);
    }
}
