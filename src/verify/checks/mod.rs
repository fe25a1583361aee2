//! The named checks. A new check is one entry of [`all`] and one function; what it may see of a backend is its [`Entry`](crate::Entry), through
//! a [`Probe`]. Tolerances, shapes and seeds come from the shared tables.

mod alike;
mod bound;
mod calls;
mod determinism;
mod engine;
mod errors;
mod exact;
mod gradient;
mod growth;
mod layer;
mod memory;
mod nonfinite;
mod operation;
mod state;
mod threads;
mod trajectory;
mod whole;

mod probe;

pub use probe::{Findings, Probe};

use std::any::Any;
use std::fmt;

use crate::error::Result;
use crate::scalar::{Scalar, ScalarKind};

/// What kind of demand a check makes. T0 to T6 are those of the design; the others are the trait's remaining contracts.
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// Exact: integers, bit for bit.
    T0,
    /// One operation, within the bound of rounding.
    T1,
    /// Golden fixtures.
    T2,
    /// A layer through its activation, errors carried on.
    T3,
    /// Gradients against complex steps.
    T4,
    /// Training trajectories.
    T5,
    /// NaN, infinities, subnormals, floating-point state.
    T6,
    /// What may be read and written, and where.
    Memory,
    /// Which runs are bit-identical.
    Determinism,
    /// What one call may leave behind for the next.
    State,
    /// How many threads work, and when they rest.
    Threads,
}

impl Tier {
    /// All of them, in the order of reports.
    pub const ALL: [Tier; 11] = [
        Tier::T0,
        Tier::T1,
        Tier::T2,
        Tier::T3,
        Tier::T4,
        Tier::T5,
        Tier::T6,
        Tier::Memory,
        Tier::Determinism,
        Tier::State,
        Tier::Threads,
    ];
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Tier::T0 => "t0",
            Tier::T1 => "t1",
            Tier::T2 => "t2",
            Tier::T3 => "t3",
            Tier::T4 => "t4",
            Tier::T5 => "t5",
            Tier::T6 => "t6",
            Tier::Memory => "memory",
            Tier::Determinism => "determinism",
            Tier::State => "state",
            Tier::Threads => "threads",
        })
    }
}

type Run<T> = fn(&mut Probe<'_, T>) -> Result<()>;

/// A named property that every backend must have.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// Its name, which starts with its tier.
    pub name: &'static str,
    /// What kind of demand it makes.
    pub tier: Tier,
    /// What it demands, in one line.
    pub demand: &'static str,
    in_f32: Run<f32>,
    in_f64: Run<f64>,
}

impl Check {
    /// Whether a failure may depend on what ran before in the same process, or on luck: run again and alone, it may pass.
    pub fn by_luck(&self) -> bool {
        matches!(self.tier, Tier::Memory | Tier::Determinism | Tier::State | Tier::Threads)
    }

    /// Runs it on a probe of either scalar type.
    ///
    /// # Errors
    /// Of the backend.
    pub fn run<T: Scalar>(&self, probe: &mut Probe<'_, T>) -> Result<()> {
        let run: &dyn Any = match T::KIND {
            ScalarKind::F32 => &self.in_f32,
            ScalarKind::F64 => &self.in_f64,
        };
        run.downcast_ref::<Run<T>>().expect("the function of a kind takes a probe of its type")(probe)
    }
}

macro_rules! checks {
    ($($name:literal, $tier:ident, $function:path, $demand:literal;)*) => {
        &[$(Check {
            name: $name,
            tier: Tier::$tier,
            demand: $demand,
            in_f32: $function,
            in_f64: $function,
        }),*]
    };
}

/// Every check, in the order in which they run. Fixture cases (tier T2) come before them.
pub fn all() -> &'static [Check] {
    ALL
}

const ALL: &[Check] = checks! {
    "t0_forward", T0, exact::forward, "Z and A of odd integers are exact, at every shape";
    "t0_backward", T0, exact::backward, "dW, db and dA_prev of odd integers are exact, from dA and from dZ";
    "t0_scale", T0, exact::scale, "a scale that is a power of two multiplies dW and db exactly, and nothing else";
    "t0_empty", T0, exact::empty, "sizes of zero: no inputs give Z = b, no examples give zero gradients";
    "t0_workload", T0, exact::workload, "every layer of the workloads, at the batch that it is measured at, is exact both ways";
    "t0_alike", T0, alike::alike, "data that look alike and are not, exact zeros of both signs, repeated rows: exact";
    "t1_forward", T1, operation::forward, "Z of random data is within 2 u sqrt(k + 2) (|W| |A_prev| + |b|)";
    "t1_backward", T1, operation::backward, "dW, db and dA_prev of random data are within the same bound";
    "t1_workload", T1, operation::workload, "every layer of the workloads on random data, within the bound of rounding";
    "t1_one_sign", T1, operation::one_sign, "all-positive and constant data stay within the hard bound (k + 2) u";
    "t3_layer", T3, layer::layer, "a layer through each activation, forward and backward, with the bounds carried on";
    "t3_bound_layer", T3, bound::descent, "the bound first layer gives Z, W and b of descent after steps with and without decay";
    "t3_implicit_layer", T3, bound::implicit, "the same of a first layer that never forms W, on this backend's products";
    "t4_gradient", T4, gradient::complex_step, "dW, db and dA_prev of a two-layer network are its derivatives";
    "t5_trajectory", T5, trajectory::small, "1, 10 and 100 training steps give the costs and parameters of plain f64 loops";
    "t5_cat_curve", T5, trajectory::cat, "2,500 steps on the real pictures give NumPy's costs (LAYERBENCH_CAT_DIR, --full)";
    "t6_nonfinite", T6, nonfinite::inputs, "NaN and infinities in each input land where the arithmetic puts them, and nowhere else";
    "t6_magnitudes", T6, nonfinite::magnitudes, "integers times very large and very small powers of two are exact";
    "t6_sigmoid", T6, nonfinite::sigmoid, "sigmoid is within 4 u of its value, and its slope of dA, at Z of every magnitude";
    "t6_subnormals", T6, nonfinite::subnormals, "subnormal results and operands are kept, in every thread, unless the backend says otherwise";
    "t6_float_state", T6, nonfinite::float_state, "flush-to-zero, denormals-are-zero and rounding are left as they were by every pass";
    "memory_windows", Memory, memory::windows, "windows of larger matrices, at any alignment: exact, nothing around them is read";
    "memory_bound_windows", Memory, memory::bound_windows, "a bound layer's X, Z, A, W and b within larger matrices: exact, twice, nothing around them is read";
    "memory_guards", Memory, memory::guards, "nothing around an output is written";
    "memory_inputs", Memory, memory::inputs, "no input is changed, the upstream gradient included";
    "memory_allocations", Memory, growth::allocations, "a pass allocates no more than the backend declares for its products";
    "memory_growth", Memory, growth::growth, "neither passes nor layers that are dropped leave behind as much as half of Z each";
    "determinism_repeated", Determinism, determinism::repeated, "the same call gives the same bits, on the same layer, a new one, and a new engine";
    "determinism_threads", Determinism, determinism::threads, "where the backend promises it: the same bits on one thread and on this many";
    "determinism_processes", Determinism, determinism::processes, "another process gives the same bits for the same calls";
    "determinism_concurrent", Determinism, determinism::concurrent, "8 engines at once, on the same layer and on others, give the bits of one alone";
    "state_changing_inputs", State, state::changing_inputs, "a used layer computes from its arguments alone";
    "state_forward_twice", State, state::forward_twice, "backward uses the Z and A_prev it is given, not those of the last forward pass";
    "state_other_layers", State, state::other_layers, "layers of other shapes may run in between";
    "state_equivalent_calls", State, state::equivalent_calls, "dZ for dA, and no dA_prev, leave dW and db as they are";
    "state_bound_import", State, bound::import, "a bound layer gives back what was imported, and forgets what it did before";
    "state_engine", State, engine::as_asked, "an engine has the threads it was asked for and says the same of itself each time";
    "state_many_calls", State, calls::many, "one layer called hundreds of times over changing data is right every time";
    "state_equal_layers", State, calls::equal_layers, "layers of the same shape on one engine share nothing";
    "state_plan_order", State, calls::plan_order, "layers do not depend on what else was planned, before or after, smaller or larger";
    "state_fewer_examples", State, calls::fewer, "a layer takes as many examples as it was planned for, half, one, none: exact";
    "state_one_argument", State, calls::one_argument, "a call that differs from the last in one argument alone, a scale of 0 among them: exact";
    "state_same_buffers", State, calls::same_buffers, "other contents in the same memory give other results, one element or all";
    "state_other_threads", State, engine::other_threads, "a layer may be planned, called and dropped by different threads";
    "state_nested", State, engine::nested, "plan, bind and run work inside the run of the same engine";
    "state_refusals", State, errors::refusals, "a wrong shape or layout of any argument is refused by name, and nothing is written";
    "state_after_error", State, errors::after, "right calls after refused ones give the right numbers";
    "threads_used", Threads, threads::used, "no more threads work than the engine has, and of several more than one";
    "threads_quiet", Threads, threads::quiet, "threads rest after the last call, and after the engine is gone";
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_start_with_their_tier() {
        for (i, check) in all().iter().enumerate() {
            assert!(check.name.starts_with(&format!("{}_", check.tier)), "{}", check.name);
            assert!(all()[..i].iter().all(|other| other.name != check.name), "{} twice", check.name);
            assert!(!check.demand.is_empty() && check.demand.len() < 100, "{}", check.name);
        }
    }
}
