//! The embedded picture set: an upright (class 1) or a lying (class 0) soft spot on a coloured, clouded, noisy ground.
//! No files, and no floating point: integers give the same bytes on every machine.
//!
//! Both classes draw colour, place and size from the same ranges and differ only in which way the spot is long, so that
//! neither the mean brightness nor any one pixel tells them apart.

use std::array;

/// Height and width of a picture.
pub(super) const SIDE: usize = 64;
/// What 0 and 1 stand for.
pub(super) const CLASSES: [&str; 2] = ["lying", "upright"];

/// Pictures one behind the other, each in the order row, column, channel; one label per picture.
pub(super) struct Pictures {
    pub pixels: Vec<u8>,
    pub labels: Vec<u8>,
}

/// 209 pictures, 75 of them upright.
pub(super) fn train() -> Pictures {
    pictures(1, 209, 75)
}

/// 50 other pictures, 30 of them upright: as in the course's set, the majority is the other class here.
pub(super) fn test() -> Pictures {
    pictures(2, 50, 30)
}

/// Distance of the nodes between which the clouds are interpolated. It divides [`SIDE`].
const GAP: usize = 8;
/// Nodes per row and per column.
const NODES: usize = SIDE / GAP + 1;

/// `seed` differs between sets; `upright` of `count` pictures are of class 1, in random order.
fn pictures(seed: u64, count: usize, upright: usize) -> Pictures {
    let mut random = Random(seed);
    let mut labels: Vec<u8> = (0..count).map(|i| u8::from(i < upright)).collect();
    for last in (1..count).rev() {
        labels.swap(last, random.between(0, last as i64) as usize);
    }
    let mut pixels = Vec::with_capacity(count * SIDE * SIDE * 3);
    for &label in &labels {
        draw(&mut random, label == 1, &mut pixels);
    }
    Pictures { pixels, labels }
}

/// Appends one picture. The ranges are tuned so that both of the course's models learn over the whole of their 2,500
/// steps and get some of the test pictures wrong.
fn draw(random: &mut Random, upright: bool, pixels: &mut Vec<u8>) {
    let ground: [i64; 3] = array::from_fn(|_| random.between(50, 130));
    let glow: [i64; 3] = array::from_fn(|_| random.between(40, 120));
    let centre: [i64; 2] = array::from_fn(|_| SIDE as i64 / 2 + random.between(-8, 8));
    let (long, short) = (random.between(18, 24), random.between(7, 10));
    let axes = if upright { [long, short] } else { [short, long] };
    let clouds: [[i64; NODES]; NODES] = array::from_fn(|_| array::from_fn(|_| random.between(-50, 50)));
    for row in 0..SIDE {
        for column in 0..SIDE {
            let [y, x] = [row as i64 - centre[0], column as i64 - centre[1]];
            // 1 - (y/a)^2 - (x/b)^2 inside the ellipse, times `full` to stay whole.
            let full = axes[0].pow(2) * axes[1].pow(2);
            let inside = (full - (y * axes[1]).pow(2) - (x * axes[0]).pow(2)).max(0);
            let cloud = cloud(&clouds, row, column);
            for channel in 0..3 {
                let spot = glow[channel] * inside / full;
                let value = ground[channel] + cloud + spot + random.between(-20, 20);
                pixels.push(value.clamp(0, 255) as u8);
            }
        }
    }
}

/// Bilinear between the four nodes around a pixel.
fn cloud(nodes: &[[i64; NODES]; NODES], row: usize, column: usize) -> i64 {
    let along = |from: i64, to: i64, step: usize| from * (GAP - step) as i64 + to * step as i64;
    let (i, j) = (row / GAP, column / GAP);
    let above = along(nodes[i][j], nodes[i][j + 1], column % GAP);
    let below = along(nodes[i + 1][j], nodes[i + 1][j + 1], column % GAP);
    along(above, below, row % GAP) / (GAP * GAP) as i64
}

/// SplitMix64 (Steele, Lea and Flood 2014): the whole state is a counter, so every seed is as good as any other.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// `low..=high` from the upper 32 bits; the bias of at most 2^-24 for these small ranges is harmless here.
    fn between(&mut self, low: i64, high: i64) -> i64 {
        low + (((self.next() >> 32) as i64 * (high - low + 1)) >> 32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_splitmix64() {
        let mut random = Random(1_234_567);
        let expected = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!(expected, array::from_fn(|_| random.next()));
    }
}
