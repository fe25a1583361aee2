//! A small hash that tells two inputs apart. No protection against malice.

/// Mixes one word in: the multiplier spreads a bit upwards, the rotation brings the top bits (the signs of numbers!) down again.
pub(crate) fn mixed(hash: u64, word: u64) -> u64 {
    (hash.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Of words in a row.
pub(crate) fn of_words(words: impl Iterator<Item = u64>) -> u64 {
    words.fold(0, mixed)
}

/// Of bytes in a row.
pub(crate) fn of_bytes(bytes: &[u8]) -> u64 {
    of_words(bytes.iter().map(|&byte| u64::from(byte)).chain([bytes.len() as u64]))
}
