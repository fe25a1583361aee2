//! The order of the children in a round: balanced, so that nobody always follows the same neighbour. No processes here.

/// The order of `count` children in round `round`: a Williams design. Over `count` rounds (twice as many where it is odd) each child
/// comes at each place equally often, and directly after each other child equally often.
pub(super) fn of_round(round: usize, count: usize) -> Vec<usize> {
    // 0, 1, n-1, 2, n-2, ...: all distances between neighbours differ. Each round shifts it by one.
    let mut order: Vec<usize> = (0..count)
        .map(|place| {
            let half = place.div_ceil(2);
            let start = if place % 2 == 1 { half } else { (count - half) % count };
            (start + round) % count
        })
        .collect();
    // An odd number needs the mirror images too.
    if count % 2 == 1 && (round / count) % 2 == 1 {
        order.reverse();
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_neighbours_are_balanced() {
        for count in 1..=12 {
            let rounds = if count % 2 == 0 { count } else { 2 * count };
            let mut places = vec![vec![0; count]; count];
            let mut follows = vec![vec![0; count]; count];
            for round in 0..rounds {
                let order = of_round(round, count);
                for (place, &child) in order.iter().enumerate() {
                    places[child][place] += 1;
                }
                for pair in order.windows(2) {
                    follows[pair[0]][pair[1]] += 1;
                }
            }
            let expected = rounds / count;
            for a in 0..count {
                assert!(places[a].iter().all(|&times| times == expected), "{count}: {places:?}");
                for b in (0..count).filter(|&b| b != a) {
                    assert_eq!(follows[a][b], expected, "{count} children: {b} after {a}");
                }
            }
        }
    }
}
