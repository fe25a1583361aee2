//! `Momentum`: an update rule of one's own. `V <- beta V + dW`, `W <- W - rate V` (Polyak 1964), and the same for b.

use layerbench::Result;
use layerbench::model::{State, UpdateRule};
use ndarray::{Array2, ArrayView2, ArrayViewMut2};

/// The rule, with the velocities of the layers that it has seen.
#[derive(Clone, Debug)]
pub struct Momentum {
    rate: f64,
    beta: f64,
    /// Of W and b, by layer.
    velocities: Vec<[Array2<f64>; 2]>,
}

impl Momentum {
    /// With this learning rate; `beta` of a velocity is left after a step.
    pub fn new(rate: f64, beta: f64) -> Self {
        Momentum { rate, beta, velocities: Vec::new() }
    }

    fn step(rate: f64, beta: f64, velocity: &mut Array2<f64>, mut to: ArrayViewMut2<'_, f64>, by: ArrayView2<'_, f64>) {
        velocity.zip_mut_with(&by, |velocity, &by| *velocity = beta * *velocity + by);
        to.zip_mut_with(velocity, |to, &velocity| *to -= rate * velocity);
    }
}

impl UpdateRule<f64> for Momentum {
    fn description(&self) -> String {
        format!("momentum, rate {}, beta {}", self.rate, self.beta)
    }

    fn fresh(&self) -> Box<dyn UpdateRule<f64>> {
        Box::new(Momentum::new(self.rate, self.beta))
    }

    fn update(
        &mut self,
        index: usize,
        w: ArrayViewMut2<'_, f64>,
        b: ArrayViewMut2<'_, f64>,
        dw: ArrayView2<'_, f64>,
        db: ArrayView2<'_, f64>,
    ) {
        // Layers come in any order.
        while self.velocities.len() <= index {
            self.velocities.push([Array2::zeros((0, 0)), Array2::zeros((0, 0))]);
        }
        let [of_w, of_b] = &mut self.velocities[index];
        if of_w.dim() != w.dim() {
            (*of_w, *of_b) = (Array2::zeros(w.dim()), Array2::zeros(b.dim()));
        }
        Momentum::step(self.rate, self.beta, of_w, w, dw);
        Momentum::step(self.rate, self.beta, of_b, b, db);
    }

    fn save(&self, state: &mut State<f64>) {
        for (index, [w, b]) in self.velocities.iter().enumerate() {
            state.put_matrix(format!("velocity.W{}", index + 1), w.view());
            state.put_matrix(format!("velocity.b{}", index + 1), b.view());
        }
    }

    fn restore(&mut self, state: &State<f64>) -> Result<()> {
        // Before the first step there are none.
        let layers = state.tensors().filter(|(name, _)| name.starts_with("velocity.W")).count();
        let matrix = |name: String| Ok(state.matrix(&name)?.to_owned());
        self.velocities = (1..=layers)
            .map(|layer| Ok([matrix(format!("velocity.W{layer}"))?, matrix(format!("velocity.b{layer}"))?]))
            .collect::<Result<_>>()?;
        Ok(())
    }
}
