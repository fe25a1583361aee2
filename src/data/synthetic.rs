//! placeholder
pub(super) const SIDE: usize = 64;
pub(super) const CLASSES: [&str; 2] = ["a", "b"];
pub(super) struct Pictures {
    pub pixels: Vec<u8>,
    pub labels: Vec<u8>,
}
pub(super) fn train() -> Pictures {
    Pictures { pixels: vec![1; 209 * SIDE * SIDE * 3], labels: vec![0; 209] }
}
pub(super) fn test() -> Pictures {
    Pictures { pixels: vec![1; 50 * SIDE * SIDE * 3], labels: vec![0; 50] }
}
