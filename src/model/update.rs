//! How gradients become new parameters: the trait, and gradient descent. Every other rule is a file of its own.

use std::fmt;

use ndarray::{ArrayView2, ArrayViewMut2};

use super::State;
use crate::error::{Error, Result};
use crate::scalar::Scalar;

/// An update rule with what it remembers between steps.
///
/// A rule sees each layer's parameters and gradients once a step, the layers in any order.
pub trait UpdateRule<T: Scalar>: fmt::Debug + Send + Sync {
    /// What it is, with its settings, for reports and errors.
    fn description(&self) -> String;

    /// The same rule before its first step.
    fn fresh(&self) -> Box<dyn UpdateRule<T>>;

    /// A step begins: all its layers follow. For rules that count.
    fn begin_step(&mut self) {}

    /// New parameters of layer `index` (from 0) from its gradients. `w` and `dw` are (n, n_prev), `b` and `db` are (n, 1).
    fn update(
        &mut self,
        index: usize,
        w: ArrayViewMut2<'_, T>,
        b: ArrayViewMut2<'_, T>,
        dw: ArrayView2<'_, T>,
        db: ArrayView2<'_, T>,
    );

    /// Plain gradient descent with these numbers, where this rule is no more than that. A first layer that never forms its gradients asks.
    fn as_descent(&self) -> Option<Descent<T>> {
        None
    }

    /// Adds what it remembers; the default remembers nothing.
    fn save(&self, _state: &mut State<T>) {}

    /// Takes over what it remembered.
    ///
    /// # Errors
    /// [`Error::Mismatch`] where it is not in the state.
    fn restore(&mut self, _state: &State<T>) -> Result<()> {
        Ok(())
    }
}

/// Gradient descent: `W <- (1 - rate * decay) W - rate * dW`, `b <- b - rate * db` (notebook equations 16 and 17 for decay = 0).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Descent<T> {
    /// The learning rate alpha.
    pub rate: T,
    /// The L2 coefficient lambda/m; 0 in the notebook. Biases do not decay.
    pub decay: T,
}

impl<T: Scalar> Descent<T> {
    /// Without decay.
    pub fn plain(rate: T) -> Self {
        Descent { rate, decay: T::zero() }
    }

    /// Updates one layer's parameters from its gradients.
    pub fn apply(
        &self,
        mut w: ArrayViewMut2<'_, T>,
        mut b: ArrayViewMut2<'_, T>,
        dw: ArrayView2<'_, T>,
        db: ArrayView2<'_, T>,
    ) {
        // With decay = 0 this is exactly 1, and 1 * w is w: the plain step keeps its bits.
        let keep = T::one() - self.rate * self.decay;
        w.zip_mut_with(&dw, |w, &dw| *w = keep * *w - self.rate * dw);
        b.zip_mut_with(&db, |b, &db| *b -= self.rate * db);
    }
}

impl<T: Scalar> UpdateRule<T> for Descent<T> {
    fn description(&self) -> String {
        let decay = self.decay.widen();
        let decay = if decay == 0.0 { String::new() } else { format!(", decay {decay}") };
        format!("gradient descent, rate {}{decay}", self.rate.widen())
    }

    fn fresh(&self) -> Box<dyn UpdateRule<T>> {
        Box::new(*self)
    }

    fn update(
        &mut self,
        _: usize,
        w: ArrayViewMut2<'_, T>,
        b: ArrayViewMut2<'_, T>,
        dw: ArrayView2<'_, T>,
        db: ArrayView2<'_, T>,
    ) {
        self.apply(w, b, dw, db);
    }

    fn as_descent(&self) -> Option<Descent<T>> {
        Some(*self)
    }
}

/// Learning rates that make sense.
///
/// # Errors
/// [`Error::Setting`] for anything but a finite positive number.
pub fn check_rate(rate: f64) -> Result<()> {
    if rate.is_finite() && rate > 0.0 {
        return Ok(());
    }
    Err(Error::Setting { what: "the learning rate", found: rate.to_string(), expected: "a finite positive number" })
}
