//! How a run measures, as its caller wants it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use super::judge::Judge;
use crate::child::Program;

/// The fewest rounds that give an interval for a median; a group that the deadline cuts below is not kept.
pub const FEWEST_ROUNDS: usize = 6;

/// How a run measures.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The executable whose children are measured; it must answer to this library's command line.
    pub program: Program,
    /// Who says whether what a cell times is right; what is not is never timed.
    pub judge: Arc<dyn Judge>,
    /// Samples of each cell.
    pub rounds: usize,
    /// How long a sample should take, about; a pass that takes longer is a sample.
    pub sample: Duration,
    /// How long a child may take to get ready, or for a sample.
    pub timeout: Duration,
    /// Bytes to write before each sample, for cold caches; more than the last-level cache has.
    pub flush_bytes: Option<usize>,
    /// When the run must end.
    pub deadline: Option<Instant>,
    /// Set from outside to end the run after the sample that is being taken.
    pub stop: Arc<AtomicBool>,
}
