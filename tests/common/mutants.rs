//! A generator of malformed HDF5 files: good and bad structures as libhdf5 writes them, then damage to their bytes. The same
//! seed gives the same mutants.

use std::path::Path;

use super::sets::{self, GOOD, Write};

/// Structures that a reader must refuse, or that are good and unusual.
const STRUCTURES: &[(&str, Write)] = &[
    ("train_set_x", sets::soft_link),
    ("train_set_x", sets::soft_circle),
    ("train_set_x", sets::external_link),
    ("train_set_x", sets::external_storage),
    ("train_set_x", sets::virtual_set),
    ("train_set_x", sets::group),
    ("train_set_x", sets::claim_3_tib),
    ("train_set_x", sets::claim_804_mib),
    ("train_set_x", sets::a_chunk_is_missing),
    ("train_set_x", sets::nothing_written),
    ("train_set_x", |f| sets::x(f, sets::pixels().mapv(f64::from))),
    ("train_set_y", |f| sets::put(f, "train_set_y", sets::pixels())),
    ("train_set_y", |_| ()),
    ("list_classes", sets::latin_1),
];

/// Draws mutants.
pub struct Mutants {
    random: Random,
    /// The files that are damaged.
    seeds: Vec<Vec<u8>>,
}

impl Mutants {
    /// From the structures above, in the oldest and in the newest format, and from `others`. Needs a folder to work in.
    pub fn new(seed: u64, folder: &Path, others: Vec<Vec<u8>>) -> Self {
        let path = folder.join("seed.h5");
        let mut seeds = others;
        for (replaced, writer) in GOOD.iter().chain(STRUCTURES) {
            for write in [sets::write, sets::write_latest] {
                write(&path, replaced, *writer);
                seeds.push(std::fs::read(&path).expect("just written"));
            }
        }
        Mutants { random: Random(seed), seeds }
    }

    /// The first mutants are the seeds themselves.
    pub fn seeds(&self) -> &[Vec<u8>] {
        &self.seeds
    }

    /// A seed with one to three damages.
    pub fn damaged(&mut self) -> Vec<u8> {
        let random = &mut self.random;
        let mut bytes = self.seeds[random.below(self.seeds.len())].clone();
        for _ in 0..=random.below(3) {
            // Most often what comes furthest, past signatures and into what is trusted; seldom what is noticed at once.
            match random.below(12) {
                0 => bytes.truncate(random.below(bytes.len() + 1)),
                1 => insert_or_delete(random, &mut bytes),
                2 => fill(random, &mut bytes),
                3..=4 => (0..=random.below(8)).for_each(|_| flip_bit(random, &mut bytes)),
                5..=6 => splice(random, &mut bytes, &self.seeds),
                _ => put_number(random, &mut bytes),
            }
        }
        bytes
    }
}

fn flip_bit(random: &mut Random, bytes: &mut [u8]) {
    let range = random.range(bytes.len(), 1);
    bytes[range].iter_mut().for_each(|byte| *byte ^= 1 << random.below(8));
}

fn fill(random: &mut Random, bytes: &mut [u8]) {
    let range = random.range(bytes.len(), 64);
    let with = [0, 0xff, random.below(256) as u8][random.below(3)];
    bytes[range].fill(with);
}

/// Bytes of a seed over other bytes, at another place.
fn splice(random: &mut Random, bytes: &mut [u8], seeds: &[Vec<u8>]) {
    let from = &seeds[random.below(seeds.len())];
    let source = random.range(from.len(), 256);
    let target = random.range(bytes.len(), source.len());
    let count = source.len().min(target.len());
    bytes[target.start..][..count].copy_from_slice(&from[source.start..][..count]);
}

fn insert_or_delete(random: &mut Random, bytes: &mut Vec<u8>) {
    let range = random.range(bytes.len(), 16);
    if random.below(2) == 0 {
        bytes.drain(range);
    } else {
        let copy = bytes[range.clone()].to_vec();
        bytes.splice(range.start..range.start, copy);
    }
}

/// A number that matters where addresses, lengths, versions and counts are: borders, and values of the file itself.
fn put_number(random: &mut Random, bytes: &mut [u8]) {
    let width = [1, 2, 4, 8][random.below(4)];
    if bytes.len() < width {
        return;
    }
    let at = random.place(bytes.len() - width + 1) / width * width;
    let old = bytes[at..at + width].iter().rev().fold(0_u64, |number, &byte| number << 8 | u64::from(byte));
    let new = match random.below(9) {
        0 => 0,
        1 => 1,
        2 => u64::MAX,
        3 => 1 << (8 * width - 1),
        4 => (1 << (8 * width - 1)) - 1,
        5 => bytes.len() as u64,
        6 => old.wrapping_add(1),
        7 => old.wrapping_sub(1),
        _ => random.place(bytes.len()) as u64,
    };
    bytes[at..at + width].copy_from_slice(&new.to_le_bytes()[..width]);
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// `0..limit`, or 0.
    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    /// An index below `limit`: mostly near the start, where headers are; large files are almost all pixels.
    fn place(&mut self, limit: usize) -> usize {
        match self.below(4) {
            0 => self.below(limit),
            _ => self.below(limit.min(4096)),
        }
    }

    /// Up to `longest` bytes of `0..limit`.
    fn range(&mut self, limit: usize, longest: usize) -> std::ops::Range<usize> {
        let start = self.place(limit);
        let end = limit.min(start + 1 + self.below(longest));
        start.min(end)..end
    }
}
