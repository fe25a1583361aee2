//! What a run of the same products with several kernels gave.

use std::fmt;

use serde::Serialize;

/// The kernels that were tried, in rounds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trials {
    /// Threads of each run.
    pub threads: usize,
    /// Rounds that were done; whoever was clearly slower was in the first three only.
    pub rounds: usize,
    /// The products that were timed.
    pub products: Vec<&'static str>,
    /// The run with the environment as it is.
    pub now: Trial,
    /// The others.
    pub others: Vec<Trial>,
}

/// One kernel.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trial {
    /// The value of `OPENBLAS_CORETYPE` in the child's environment; `None` for none.
    pub coretype: Option<String>,
    /// The kernel that the library reads back; `None` where the child said nothing.
    pub kernel: Option<String>,
    /// How it went.
    pub status: Status,
    /// 10^9 floating-point operations per second in each product, medians over the rounds; empty where nothing was timed.
    pub gflops: Vec<f64>,
    /// How many times as fast as `now`: geometric mean over the products, round by round.
    pub speedup: Option<Ratio>,
}

/// What the library runs where `OPENBLAS_CORETYPE` is unset, as a child found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OwnChoice {
    /// The kernel that it reads back.
    pub kernel: String,
    /// How many times as fast as the kernel that runs now; `None` where it was not timed.
    pub speedup: Option<Ratio>,
}

/// How a kernel's trial went.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "status", content = "detail", rename_all = "kebab-case")]
pub enum Status {
    /// Its results are right, and it was timed.
    Timed,
    /// The library runs another kernel than it was asked for.
    Ignored,
    /// It computes wrong results: never timed, never recommended.
    Wrong(String),
    /// The child ended without an answer.
    Crashed(String),
    /// The child did not end in time.
    TimedOut(String),
}

/// A ratio and the interval of its median.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Ratio {
    /// The median over the rounds.
    pub median: f64,
    /// An interval that contains the median with at least 95% probability; `None` where there were too few rounds for one.
    pub interval: Option<(f64, f64)>,
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2}", self.median)?;
        match self.interval {
            Some((low, high)) => write!(f, " ({low:.2}-{high:.2})"),
            None => Ok(()),
        }
    }
}
