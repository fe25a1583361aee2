//! A program whose backends misbehave, each in its way, over correct arithmetic:
//!
//! - `steady` does not misbehave: the others are held against it;
//! - `wasteful` does 10% of the work once more, with the same result;
//! - `wrong` is off by one part in a thousand;
//! - `crashing` aborts, `hanging` sleeps for ever, `babbling` writes to standard output, `failing` reports an error. These four pass
//!   verification: they behave for a while, and on all batches but one;
//! - `remembering` keeps products by a few elements of their operands and returns them again, `skipping` leaves a result as it is where it
//!   has written one before. Both pass verification in the same way, and both are right for as long as nothing changes;
//! - `leaving` ends the process with exit code 0 when it is asked whether it can run;
//! - `exiting` does so in its first pass; `chatty` prints in each what reports look like, and is right.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use layerbench::layer::{
    Backend, Dense, Dependency, Determinism, Engine, Kernels, Layer, LayerSpec, Op, Profile, Reason,
};
use layerbench::{Entry, Error, Registry, Result, Scalar};
use ndarray::{Array2, ArrayView2, ArrayViewMut2, s};

fn main() -> std::process::ExitCode {
    let mut registry = Registry::empty();
    for manner in [
        Manner::Steady,
        Manner::Wasteful,
        Manner::Wrong,
        Manner::Crashing,
        Manner::Hanging,
        Manner::Babbling,
        Manner::Failing,
        Manner::Remembering,
        Manner::Skipping,
        Manner::Exiting,
        Manner::Chatty,
        Manner::Leaving,
    ] {
        registry.add(Entry::both(manner)).expect("the names differ");
    }
    layerbench::cli::main_with(registry)
}

#[derive(Clone, Copy, PartialEq)]
enum Manner {
    Steady,
    Wasteful,
    Wrong,
    Crashing,
    Hanging,
    Babbling,
    Failing,
    Remembering,
    Skipping,
    Exiting,
    Chatty,
    Leaving,
}

impl Manner {
    fn name(self) -> &'static str {
        match self {
            Manner::Steady => "steady",
            Manner::Wasteful => "wasteful",
            Manner::Wrong => "wrong",
            Manner::Crashing => "crashing",
            Manner::Hanging => "hanging",
            Manner::Babbling => "babbling",
            Manner::Failing => "failing",
            Manner::Remembering => "remembering",
            Manner::Skipping => "skipping",
            Manner::Exiting => "exiting",
            Manner::Chatty => "chatty",
            Manner::Leaving => "leaving",
        }
    }
}

impl<T: Scalar> Backend<T> for Manner {
    fn name(&self) -> &str {
        Manner::name(*self)
    }

    fn profile(&self) -> Profile {
        Profile {
            summary: "an example of what can go wrong".into(),
            dependency: Dependency::None,
            parallel: false,
            determinism: Determinism::AnyThreads,
            allocations_per_product: 0,
            keeps_subnormals: true,
        }
    }

    fn available(&self) -> std::result::Result<(), Reason> {
        if *self == Manner::Leaving {
            std::process::exit(0);
        }
        Ok(())
    }

    fn open(&self, _: NonZeroUsize) -> Result<Arc<dyn Engine<T>>> {
        Ok(Arc::new(*self))
    }
}

impl<T: Scalar> Engine<T> for Manner {
    fn threads(&self) -> usize {
        1
    }

    fn description(&self) -> String {
        format!("{} loops", Manner::name(*self))
    }

    fn plan(&self, spec: LayerSpec) -> Result<Box<dyn Layer<T>>> {
        let patience = match (spec.batch == UNCHECKED_BATCH, self) {
            // The first time each is right.
            (true, Manner::Remembering | Manner::Skipping) => 0,
            (true, _) => PATIENCE,
            (false, _) => u64::MAX,
        };
        Ok(Box::new(Dense::new(Product { manner: *self, patience, calls: 0, known: HashMap::new() }, spec)))
    }
}

/// The products of one layer.
struct Product<T> {
    manner: Manner,
    /// Calls before it shows what it is like.
    patience: u64,
    calls: u64,
    /// Results by [`key`](Self::key).
    known: HashMap<u64, Array2<T>>,
}

/// The batch of the workload `planar` and of the tests' own, which no check of the verification has.
const UNCHECKED_BATCH: usize = 400;
/// Fewer calls than a calibration makes.
const PATIENCE: u64 = 100;

impl<T: Scalar> Kernels<T> for Product<T> {
    fn gemm(
        &mut self,
        alpha: T,
        (a_op, a): (Op, ArrayView2<'_, T>),
        (b_op, b): (Op, ArrayView2<'_, T>),
        mut c: ArrayViewMut2<'_, T>,
    ) -> Result<()> {
        let (a, b) = (oriented(a_op, a), oriented(b_op, b));
        self.calls += 1;
        if self.calls > self.patience {
            match (self.manner, self.known.get(&self.key(a, b, c.view()))) {
                (Manner::Remembering, Some(known)) => {
                    c.assign(known);
                    return Ok(());
                }
                (Manner::Skipping, Some(_)) => return Ok(()),
                _ => {}
            }
        }
        multiply(alpha, a, b, c.view_mut());
        match self.manner {
            Manner::Remembering => drop(self.known.insert(self.key(a, b, c.view()), c.to_owned())),
            // What it was does not matter, only that it was written.
            Manner::Skipping => drop(self.known.insert(self.key(a, b, c.view()), Array2::zeros((0, 0)))),
            _ => {}
        }
        match self.manner {
            Manner::Wasteful => {
                // The first tenth of the rows once more.
                let rows = a.nrows().div_ceil(10);
                multiply(alpha, a.slice(s![..rows, ..]), b, c.slice_mut(s![..rows, ..]));
            }
            Manner::Wrong => c.mapv_inplace(|c| c * T::of(1.001)),
            Manner::Exiting => std::process::exit(0),
            Manner::Chatty => {
                println!("chatty: <testcase name=\"all\"/> {{\"status\": \"PASSED\"}}");
                eprintln!("chatty: PASSED");
                std::io::stdout().write_all(b"{}\n\0\xff").expect("somebody listens");
            }
            _ if self.calls < self.patience => {}
            Manner::Crashing => {
                eprintln!("crashing: as announced");
                std::process::abort();
            }
            Manner::Hanging => std::thread::sleep(Duration::MAX),
            Manner::Babbling => println!("babbling: call {}", self.calls),
            Manner::Failing => {
                return Err(Error::Backend { name: "failing".into(), reason: "the device was lost".into() });
            }
            Manner::Steady | Manner::Leaving | Manner::Remembering | Manner::Skipping => {}
        }
        Ok(())
    }
}

fn multiply<T: Scalar>(alpha: T, a: ArrayView2<'_, T>, b: ArrayView2<'_, T>, mut c: ArrayViewMut2<'_, T>) {
    for (a, mut c) in a.rows().into_iter().zip(c.rows_mut()) {
        c.fill(T::zero());
        for (&a, b) in a.iter().zip(b.rows()) {
            c.zip_mut_with(&b, |c, &b| *c += alpha * a * b);
        }
    }
}

impl<T: Scalar> Product<T> {
    /// Where operands and result are and, for one who remembers, 61 elements of each operand: what might be thought of as telling products apart.
    fn key(&self, a: ArrayView2<'_, T>, b: ArrayView2<'_, T>, c: ArrayView2<'_, T>) -> u64 {
        let mut hash = DefaultHasher::new();
        (a.as_ptr() as usize, b.as_ptr() as usize, c.as_ptr() as usize).hash(&mut hash);
        for operand in [a, b].iter().filter(|_| self.manner == Manner::Remembering) {
            let step = operand.len().div_ceil(61).max(1);
            operand.iter().step_by(step).for_each(|element| element.widen().to_bits().hash(&mut hash));
        }
        hash.finish()
    }
}

/// The operand as it enters the product: transposing a view costs nothing.
fn oriented<T>(op: Op, view: ArrayView2<'_, T>) -> ArrayView2<'_, T> {
    if op == Op::Plain { view } else { view.reversed_axes() }
}
