//! The one table of tolerances, each with its derivation. What is held against them is elsewhere.
//!
//! `u` is the unit roundoff (2^-24 or 2^-53), `size` the same sum of products with absolute values, `abs(A) abs(B) + abs(C0)`.
//!
//! | what | bound on abs(got - expected) | why |
//! | --- | --- | --- |
//! | T0, memory, determinism, state | 0, bit for bit | every partial sum is an integer below 2^p; or it is the same computation twice |
//! | T1, any data: sum of k products and C0 | `(k + 2) u size + k * smallest subnormal` | each term passes k + 1 roundings in any order of summation, and one spare for the scale; no second-order term is needed (Jeannerod and Rump, SIAM J. Matrix Anal. Appl. 34, 2013) |
//! | T1, random zero-mean data | `2 u sqrt(k + 2) size + k * smallest subnormal` | the roundings are as good as independent and cancel: their sum grows with the root (Higham and Mary 2019); twice the deviation |
//! | scale on dW and db | `2 u size` more | one rounding of each term, or of the sum, and one of `scale` times an operand |
//! | operands that carry errors | `abs(w) err(x) + err(w) (abs(x) + err(x))` for each product | exact product rule |
//! | ReLU | the operand's error | Lipschitz constant 1 |
//! | sigmoid | a quarter of the operand's, plus `4 u abs(a)` | Lipschitz constant 1/4; exp, sum, quotient round |
//! | dA s'(Z) | `s' err(dA) + 0.0963 abs(dA) err(Z) + 4 u abs(dA)` | 0.0963 bounds abs(s'') |
//! | ReLU's mask | abs(dA) where abs(Z) is within its own error, else as dA | there either answer is right |
//! | u in sigmoid, slope, scale and update, T3 to T6 | u + u(f64) | outside of its compensated sums the reference rounds in `f64` too |
//! | update | `err(W) + rate err(dW) + u (abs(W) + 3 rate abs(dW))` | a product and a difference |
//! | T2, f64 | twice the running error bound | the fixture's numbers are rounded too |
//! | T2, f32 | once that bound, against values recomputed from the rounded inputs | the f64 error is negligible |
//! | T2 with `tolerance` t | `t + t abs(expected)` | the author's word, as NumPy's `allclose` has it |
//! | T2, printed digits, f64 | half a unit of the last printed decimal, plus the above | the text was rounded |
//! | T3, the bound layer after s steps | see [`bound_layer`] | it also holds for the algebra that never forms W |
//! | T4, gradient by complex steps | the 2-norm of T3's bounds for the network, plus 64 u(f64) of the gradient's norm | complex steps have no truncation error; the reference itself rounds |
//! | T5, f64 | 1e-9 relative at every step | a change of 1e-12 in W1 moves 2,500 costs by 1.2e-11 at most: a hundred times that |
//! | T5, f32, to step 20 | 1e-4 relative | later ReLU kinks part correct trajectories |
//! | T5, f32, after that | the outcome: right answers, but for examples within 0.01 of one half | as above |
//! | mistrust | more than nine tenths of the expected numbers are zero | zero is what forgotten work leaves too |

/// Roundings of a sigmoid or of its slope, in units of u.
pub const SIGMOID_ROUNDINGS: f64 = 4.0;
/// Bounds abs(s'') of the sigmoid: 1 / (6 sqrt 3), rounded up.
pub const SIGMOID_CURVATURE: f64 = 0.0963;
/// Relative error of each cost of an `f64` trajectory.
pub const TRAJECTORY_F64: f64 = 1e-9;
/// Relative error of the first [`TRAJECTORY_F32_STEPS`] costs of an `f32` trajectory.
pub const TRAJECTORY_F32: f64 = 1e-4;
/// How long an `f32` trajectory follows that of `f64` on correct code.
pub const TRAJECTORY_F32_STEPS: usize = 20;
/// How close to one half a probability may be for its answer to count as undecided after a long `f32` run.
pub const UNDECIDED: f64 = 0.01;
/// The share of zeros above which agreement means little.
pub const MISTRUSTED_ZEROS: f64 = 0.9;
/// Roundings of the complex-step reference, in units of the roundoff of `f64`.
pub const COMPLEX_STEP_ROUNDINGS: f64 = 64.0;

/// How the error of a sum grows with its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth {
    /// The bound that no order of summation exceeds, whatever the data.
    Hard,
    /// The bound for random data of zero mean. On data of one sign a correct sequential sum in `f32` exceeds it.
    Statistical,
}

impl Growth {
    /// The error of a sum of `k` products from a starting value, in units of `u size`.
    pub fn factor(self, k: usize) -> f64 {
        let roundings = (k + 2) as f64;
        match self {
            Growth::Hard => roundings,
            Growth::Statistical => 2.0 * roundings.sqrt(),
        }
    }
}

/// Z = W X + b of a bound layer after `steps` steps of descent, in units of u times
/// `abs(W) abs(X) + abs(b) + sum of rate scale abs(dZ) (abs(X)^T abs(X) + 1)`, the size of all that was ever added up.
///
/// A product has k + 2 roundings, each step adds one of m + 2 and the update's 3. The implicit way has the same terms in another
/// order: G = X^T X of k roundings, dZ G of m, one addition for each step.
pub fn bound_layer(inputs: usize, batch: usize, steps: usize) -> f64 {
    (inputs + batch + 4 + 5 * steps) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_those_of_the_table() {
        assert_eq!(Growth::Hard.factor(7), 9.0);
        assert_eq!(Growth::Statistical.factor(7), 6.0);
        assert_eq!(bound_layer(10, 20, 3), 49.0);
    }
}
