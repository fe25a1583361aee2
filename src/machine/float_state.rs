//! The floating-point modes of a thread.

use std::hint::black_box;

use serde::{Deserialize, Serialize};

use crate::scalar::Scalar;

/// The modes of this thread that arithmetic shows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FloatState {
    /// Flush-to-zero: a subnormal result becomes zero.
    pub flushes_results: bool,
    /// Denormals-are-zero: a subnormal operand counts as zero.
    pub flushes_operands: bool,
    /// 1 + u, 1 + 3u, and their negatives; each rounding mode gives four other results.
    pub rounded: [f64; 4],
}

impl FloatState {
    /// Found out by arithmetic, not by reading a register: it is the same on every processor, and needs no unsafe code.
    pub fn of_this_thread() -> Self {
        let u = f64::UNIT_ROUNDOFF;
        let sum = |a: f64, b: f64| black_box(a) + black_box(b);
        FloatState {
            flushes_results: black_box(f64::MIN_POSITIVE) * black_box(0.5) == 0.0,
            flushes_operands: black_box(f64::from_bits(1)) * black_box(2.0_f64.powi(1000)) == 0.0,
            rounded: [sum(1.0, u), sum(1.0, 3.0 * u), sum(-1.0, -u), sum(-1.0, -3.0 * u)],
        }
    }

    /// Of this thread; inside a rayon pool of all its workers.
    pub fn here() -> Vec<Self> {
        let of_this = FloatState::of_this_thread;
        if rayon::current_thread_index().is_some() { rayon::broadcast(|_| of_this()) } else { vec![of_this()] }
    }

    /// Modes that differ from `before`, as a number.
    pub fn changes_since(self, before: Self) -> f64 {
        f64::from(u8::from(self.flushes_results != before.flushes_results))
            + f64::from(u8::from(self.flushes_operands != before.flushes_operands))
            + f64::from(u8::from(self.rounded != before.rounded))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordinary_thread_rounds_to_nearest_and_keeps_subnormals() {
        let state = FloatState::of_this_thread();
        let u = f64::UNIT_ROUNDOFF;
        let expected = FloatState {
            flushes_results: false,
            flushes_operands: false,
            rounded: [1.0, 1.0 + 4.0 * u, -1.0, -1.0 - 4.0 * u],
        };
        assert_eq!(state, expected);
        assert_eq!(state.changes_since(FloatState { flushes_results: true, ..state }), 1.0);
    }
}
