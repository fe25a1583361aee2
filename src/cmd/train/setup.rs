//! What a run is: from the flags of a new run, or from a checkpoint.

use std::path::Path;

use anyhow::Context;

use super::Args;
use crate::cmd::output::previous;
use crate::error::Error;
use crate::network::{Architecture, Init};
use crate::scalar::{Scalar, ScalarKind};
use crate::store::{Checkpoint, Container, Provenance, provenance};
use crate::train::check_rate;
use crate::workload::Workload;

/// The definition of a run.
pub(super) struct Setup {
    pub architecture: Architecture,
    pub init: Init,
    pub seed: u32,
    pub rate: f64,
    pub scalar: ScalarKind,
    pub backend: String,
    pub planned: usize,
    /// The checkpoint to go on from.
    pub resumed: Option<Resumed>,
}

pub(super) struct Resumed {
    container: Container,
    pub provenance: Provenance,
}

impl Resumed {
    pub fn checkpoint<T: Scalar>(&self) -> Result<Checkpoint<T>, Error> {
        Checkpoint::from_container(&self.container)
    }
}

/// Steps of a run that says nothing else: the course's.
const ITERATIONS: usize = 2500;

impl Setup {
    pub fn new(args: &Args) -> anyhow::Result<Self> {
        let setup = match &args.resume {
            Some(path) => Setup::resumed(path, args)?,
            None => Setup::fresh(args),
        };
        check_rate(setup.rate)?;
        if setup.architecture.outputs() != 1 {
            let problem = "the labels are 0 and 1: the last layer must have one unit".into();
            return Err(Error::Architecture { found: setup.architecture.to_string(), problem }.into());
        }
        Ok(setup)
    }

    fn fresh(args: &Args) -> Self {
        let (architecture, init) = match &args.arch {
            Some(architecture) => (architecture.clone(), Init::InverseSqrt),
            None => {
                let workload = Workload::find(&args.model).expect("the parser allows the models' names only");
                (workload.architecture, workload.init)
            }
        };
        Setup {
            architecture,
            init: args.init.unwrap_or(init),
            seed: args.seed,
            rate: args.lr,
            scalar: args.scalar,
            backend: args.backend.clone().expect("the parser demands it without --resume"),
            planned: args.iterations.unwrap_or(ITERATIONS),
            resumed: None,
        }
    }

    fn resumed(path: &Path, args: &Args) -> anyhow::Result<Self> {
        let container = Container::read(path).with_context(|| match previous(path) {
            older if older.exists() => format!("cannot resume (the checkpoint before it is {})", older.display()),
            _ => "cannot resume".into(),
        })?;
        let provenance = provenance(&container)?;
        let planned = match provenance.scalar {
            ScalarKind::F32 => Checkpoint::<f32>::from_container(&container)?.planned,
            ScalarKind::F64 => Checkpoint::<f64>::from_container(&container)?.planned,
        };
        let planned = args.iterations.unwrap_or(planned);
        if planned < provenance.iterations {
            return Err(Error::Setting {
                what: "the number of iterations",
                found: planned.to_string(),
                expected: "at least as many as the checkpoint has done",
            }
            .into());
        }
        Ok(Setup {
            architecture: provenance.architecture.parse()?,
            init: provenance.init.parse()?,
            seed: provenance.seed,
            rate: provenance.rate,
            scalar: provenance.scalar,
            backend: args.backend.clone().unwrap_or_else(|| provenance.backend.clone()),
            planned,
            resumed: Some(Resumed { container, provenance }),
        })
    }
}
