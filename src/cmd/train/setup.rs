//! What a run is: from the flags of a new run, or from a checkpoint.

use std::path::Path;

use anyhow::{Context, bail};

use super::{Args, Way};
use crate::cmd::output::previous;
use crate::error::Error;
use crate::layer::FirstLayer;
use crate::machine::{Asked, ThreadLibrary};
use crate::model::{Architecture, Init, check_rate};
use crate::report;
use crate::scalar::{Scalar, ScalarKind};
use crate::store::{Checkpoint, Container, Provenance, provenance};
use crate::workload::{LEARNING_RATE, SEED, Workload};

/// The definition of a run.
pub(super) struct Setup {
    pub architecture: Architecture,
    pub init: Init,
    pub seed: u32,
    pub rate: f64,
    pub scalar: ScalarKind,
    pub backend: String,
    pub planned: usize,
    /// As asked for, or as the checkpoint has it.
    way: Way,
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
        let (architecture, init) = match &args.layers {
            Some(architecture) => (architecture.clone(), Init::InverseSqrt),
            None => of_model(args.model.as_deref().unwrap_or("l-layer")),
        };
        Setup {
            architecture,
            init: args.init.unwrap_or(init),
            seed: args.seed.unwrap_or(SEED),
            rate: args.lr.unwrap_or(LEARNING_RATE),
            scalar: args.scalar.unwrap_or(ScalarKind::F64),
            backend: args.backend.clone().expect("the parser demands it without --resume"),
            planned: args.iterations.unwrap_or(ITERATIONS),
            way: args.first_layer.unwrap_or(Way::This(FirstLayer::Plain)),
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
        expect_agreement(path, args, &provenance)?;
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
            way: Way::This(provenance.first_layer),
            resumed: Some(Resumed { container, provenance }),
        })
    }
}

impl Setup {
    /// The way of the first layer for so many pictures.
    pub fn first_layer(&self, pictures: usize) -> FirstLayer {
        match self.way {
            Way::This(first_layer) => first_layer,
            Way::Auto => FirstLayer::cheapest(self.architecture.layer(0, pictures), self.planned),
        }
    }

    /// What there is to say of it: nothing of the plain way that nobody asked to choose.
    pub fn words_of_first_layer(&self, pictures: usize) -> String {
        let first_layer = self.first_layer(pictures);
        match self.way {
            Way::This(FirstLayer::Plain) => String::new(),
            Way::This(_) => format!(", first layer {first_layer}"),
            Way::Auto => {
                let spec = self.architecture.layer(0, pictures);
                let [plain, implicit] = FirstLayer::ALL.map(|way| 2e-9 * way.multiply_adds(spec, self.planned));
                format!(
                    ", first layer {first_layer} (chosen: {plain:.1} GFLOP plain, {implicit:.1} implicit, {} inputs, {pictures} pictures)",
                    spec.inputs
                )
            }
        }
    }
}

/// The sizes and the initial weights of one of the course's models.
fn of_model(name: &str) -> (Architecture, Init) {
    let workload = Workload::find(name).expect("the parser allows the models' names only");
    (workload.architecture, workload.init)
}

/// What defines a run comes from its checkpoint. The options of its start may be given again, so that a command can be repeated with
/// `--resume`, but not others.
fn expect_agreement(path: &Path, args: &Args, before: &Provenance) -> anyhow::Result<()> {
    // A model stands for its sizes.
    let model = args.model.as_deref().map(|name| {
        let sizes = of_model(name).0.to_string();
        (format!("{name} ({sizes})"), sizes)
    });
    let plain = |given: Option<String>| given.map(|given| (given.clone(), given));
    // `auto` stands for what it took.
    let first_layer = match args.first_layer {
        Some(Way::This(first_layer)) => Some(first_layer.to_string()),
        Some(Way::Auto) | None => None,
    };
    let given = [
        ("--model", model, &before.architecture),
        ("--layers", plain(args.layers.as_ref().map(ToString::to_string)), &before.architecture),
        ("--init", plain(args.init.map(|init| init.to_string())), &before.init),
        ("--seed", plain(args.seed.map(|seed| seed.to_string())), &before.seed.to_string()),
        ("--lr", plain(args.lr.map(|rate| rate.to_string())), &before.rate.to_string()),
        ("--scalar", plain(args.scalar.map(|scalar| scalar.to_string())), &before.scalar.to_string()),
        ("--first-layer", plain(first_layer), &before.first_layer.to_string()),
    ];
    for (option, given, recorded) in given {
        if let Some((given, _)) = given.filter(|(_, value)| value != recorded) {
            bail!(
                "{option} is {given}, and the run of the checkpoint {} has {recorded}; leave the option out, or start a new run without \
                 --resume",
                path.display()
            );
        }
    }
    Ok(())
}

/// A variable that asks the library for another number of threads than the engine has, in words.
pub(super) fn ignored_variable(
    library: Option<ThreadLibrary>,
    threads: usize,
    value_of: impl Fn(&str) -> Option<String>,
) -> Option<String> {
    let Asked { threads: count, variable, .. } = library?.asked(value_of).filter(|asked| asked.threads != threads)?;
    let used = report::threads(threads);
    Some(format!("{variable} asks for {count}, and this run has {used}: only --threads sets the number (default: all)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_is_overruled_is_named_once() {
        let note = |environment: &[(&str, &str)], threads| {
            let value_of =
                |name: &str| environment.iter().find(|(set, _)| *set == name).map(|(_, value)| value.to_string());
            ignored_variable(Some(ThreadLibrary::OpenBlas), threads, value_of)
        };
        assert_eq!(note(&[], 2), None);
        assert_eq!(note(&[("OMP_NUM_THREADS", "2")], 2), None);
        let told = note(&[("OMP_NUM_THREADS", "1,4"), ("OPENBLAS_NUM_THREADS", "none")], 2).expect("1 is not 2");
        assert!(told.starts_with("OMP_NUM_THREADS asks for 1, and this run has 2 threads"), "{told}");
        let told = note(&[("OMP_NUM_THREADS", "2"), ("OPENBLAS_NUM_THREADS", " 3")], 2).expect("the first counts");
        assert!(told.starts_with("OPENBLAS_NUM_THREADS asks for 3"), "{told}");
        // 0 and what is no number are the library's own choice.
        assert_eq!(note(&[("OMP_NUM_THREADS", "0"), ("OPENBLAS_NUM_THREADS", "-1")], 2), None);
        assert_eq!(note(&[("RAYON_NUM_THREADS", "1")], 2), None);
    }
}
