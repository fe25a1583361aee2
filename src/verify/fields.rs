//! Taking typed values out of the JSON objects of a fixture case. Knows the kinds of values, not the functions.

use ndarray::Array2;
use serde_json::{Map, Value};

use super::golden::{CacheCase, LayerCase};
use crate::layer::Activation;
use crate::model::{Architecture, Init};

/// A mistake in a case: at which key, and what.
#[derive(Debug)]
pub(super) struct Bad {
    pub key: String,
    pub problem: String,
}

impl Bad {
    pub fn new(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Bad { key: key.into(), problem: problem.into() }
    }
}

type Result<T> = std::result::Result<T, Bad>;

/// An object whose values are taken one by one; what is left at the end is unknown.
pub(super) struct Fields {
    path: String,
    rest: Map<String, Value>,
    taken: Vec<String>,
}

impl Fields {
    pub fn of(record: &mut Map<String, Value>, key: &str) -> Result<Self> {
        Fields::from_value(key.into(), record.remove(key))
    }

    fn from_value(path: String, value: Option<Value>) -> Result<Self> {
        match value {
            Some(Value::Object(rest)) => Ok(Fields { path, rest, taken: Vec::new() }),
            Some(_) => Err(Bad::new(path, "expected an object")),
            None => Err(Bad::new(path, "it is missing")),
        }
    }

    /// Everything that was not taken.
    pub fn into_rest(self) -> Map<String, Value> {
        self.rest
    }

    /// Nothing unknown may be left.
    pub fn finish(self) -> Result<()> {
        match self.rest.keys().next() {
            None => Ok(()),
            Some(key) => {
                let problem = format!("unknown; this function takes {}", self.taken.join(", "));
                Err(Bad::new(format!("{}.{key}", self.path), problem))
            }
        }
    }

    fn take(&mut self, key: &str) -> Result<(String, Value)> {
        let path = format!("{}.{key}", self.path);
        self.taken.push(key.into());
        match self.rest.remove(key) {
            Some(value) => Ok((path, value)),
            None => Err(Bad::new(path, "it is missing")),
        }
    }

    pub fn matrix(&mut self, key: &str) -> Result<Array2<f64>> {
        let (path, value) = self.take(key)?;
        matrix(&path, value)
    }

    pub fn matrix_of(&mut self, key: &str, dim: (usize, usize)) -> Result<Array2<f64>> {
        let found = self.matrix(key)?;
        if found.dim() == dim {
            return Ok(found);
        }
        Err(Bad::new(format!("{}.{key}", self.path), format!("has shape {:?}, expected {dim:?}", found.dim())))
    }

    pub fn number(&mut self, key: &str) -> Result<f64> {
        let (path, value) = self.take(key)?;
        number(&path, &value)
    }

    pub fn whole(&mut self, key: &str, least: usize) -> Result<usize> {
        let (path, value) = self.take(key)?;
        let found = value.as_u64().and_then(|n| usize::try_from(n).ok()).filter(|&n| n >= least);
        found.ok_or_else(|| Bad::new(path, format!("expected a whole number from {least}, found {value}")))
    }

    pub fn seed(&mut self) -> Result<u32> {
        let (path, value) = self.take("seed")?;
        let found = value.as_u64().and_then(|n| u32::try_from(n).ok());
        found.ok_or_else(|| Bad::new(path, format!("expected a whole number below 2^32, found {value}")))
    }

    pub fn activation(&mut self) -> Result<Activation> {
        let (path, value) = self.take("activation")?;
        match value.as_str() {
            Some("relu") => Ok(Activation::Relu),
            Some("sigmoid") => Ok(Activation::Sigmoid),
            _ => Err(Bad::new(path, format!("expected `relu` or `sigmoid`, found {value}"))),
        }
    }

    pub fn architecture(&mut self) -> Result<Architecture> {
        let (path, value) = self.take("layer_dims")?;
        let sizes = value.as_array().map(|sizes| sizes.iter().map(as_size).collect::<Option<Vec<_>>>());
        let Some(Some(sizes)) = sizes else {
            return Err(Bad::new(path, format!("expected a list of whole numbers, found {value}")));
        };
        Architecture::new(&sizes).map_err(|error| Bad::new(path, error.to_string()))
    }

    /// `{"kind": "zeros"}` or `{"kind": "normal", "scale": a number or a formula}`.
    pub fn init(&mut self) -> Result<Init> {
        let (path, value) = self.take("init")?;
        let (kind, scale) = (value.get("kind").and_then(Value::as_str), value.get("scale"));
        match (kind, scale) {
            (Some("zeros"), None) => Ok(Init::Zeros),
            (Some("normal"), Some(Value::String(formula))) if formula == "1/sqrt(n_prev)" => Ok(Init::InverseSqrt),
            (Some("normal"), Some(Value::String(formula))) if formula == "sqrt(2/n_prev)" => Ok(Init::He),
            (Some("normal"), Some(Value::Number(_))) => {
                Ok(Init::Normal(number(&format!("{path}.scale"), &value["scale"])?))
            }
            _ => {
                let formulas = "a number, \"1/sqrt(n_prev)\" or \"sqrt(2/n_prev)\"";
                let expected = format!("expected kind `zeros`, or `normal` with a scale: {formulas}; found {value}");
                Err(Bad::new(path, expected))
            }
        }
    }

    /// `W` and `b` of a layer with that many inputs.
    pub fn layer(&mut self, inputs: usize) -> Result<LayerCase> {
        let w = self.matrix("W")?;
        if w.ncols() != inputs {
            let problem = format!("has {} columns, expected {inputs}, one per input", w.ncols());
            return Err(Bad::new(format!("{}.W", self.path), problem));
        }
        Ok(LayerCase { b: self.matrix_of("b", (w.nrows(), 1))?, w })
    }

    /// An object of W1, b1, W2, ... (each with `prefix` before it) for a network with that many inputs.
    pub fn layers(&mut self, key: &str, prefix: &str, inputs: usize) -> Result<Vec<LayerCase>> {
        let layers = self.any_layers(key, prefix)?;
        if layers[0].w.ncols() == inputs {
            return Ok(layers);
        }
        let problem = format!("has {} columns, expected {inputs}, one per input", layers[0].w.ncols());
        Err(Bad::new(format!("{}.{key}.{prefix}W1", self.path), problem))
    }

    /// The same for whatever number of inputs.
    pub fn chained_layers(&mut self, key: &str) -> Result<Vec<LayerCase>> {
        self.any_layers(key, "")
    }

    fn any_layers(&mut self, key: &str, prefix: &str) -> Result<Vec<LayerCase>> {
        let (path, value) = self.take(key)?;
        let mut fields = Fields::from_value(path, Some(value))?;
        let mut layers: Vec<LayerCase> = Vec::new();
        while layers.is_empty() || !fields.rest.is_empty() {
            let number = layers.len() + 1;
            let name = format!("{prefix}W{number}");
            if !layers.is_empty() && !fields.rest.contains_key(&name) {
                break;
            }
            let w = fields.matrix(&name)?;
            if let Some(below) = layers.last()
                && below.w.nrows() != w.ncols()
            {
                let problem = format!("has {} columns, expected {}, one per unit below", w.ncols(), below.w.nrows());
                return Err(Bad::new(format!("{}.{name}", fields.path), problem));
            }
            layers.push(LayerCase { b: fields.matrix_of(&format!("{prefix}b{number}"), (w.nrows(), 1))?, w });
        }
        fields.finish()?;
        Ok(layers)
    }

    /// `A_prev`, `W`, `b` and `Z`; A_prev has the given number of columns where there is one.
    pub fn cache(&mut self, columns: Option<usize>) -> Result<CacheCase> {
        let a_prev = self.matrix("A_prev")?;
        if columns.is_some_and(|columns| columns != a_prev.ncols()) {
            let problem = "has another number of columns than the cache before it";
            return Err(Bad::new(format!("{}.A_prev", self.path), problem));
        }
        let layer = self.layer(a_prev.nrows())?;
        let z = self.matrix_of("Z", (layer.w.nrows(), a_prev.ncols()))?;
        Ok(CacheCase { a_prev, layer, z })
    }

    /// A list of caches whose shapes chain.
    pub fn caches(&mut self) -> Result<Vec<CacheCase>> {
        let (path, value) = self.take("caches")?;
        let Value::Array(values) = value else {
            return Err(Bad::new(path, "expected a list of caches"));
        };
        let mut caches: Vec<CacheCase> = Vec::new();
        for (index, value) in values.into_iter().enumerate() {
            let mut fields = Fields::from_value(format!("{path}[{index}]"), Some(value))?;
            let cache = fields.cache(caches.last().map(|below| below.z.ncols()))?;
            if caches.last().is_some_and(|below| below.z.nrows() != cache.a_prev.nrows()) {
                let problem = "has another number of rows than Z of the cache before it";
                return Err(Bad::new(format!("{path}[{index}].A_prev"), problem));
            }
            fields.finish()?;
            caches.push(cache);
        }
        if caches.is_empty() {
            return Err(Bad::new(path, "expected at least one cache"));
        }
        Ok(caches)
    }
}

fn as_size(value: &Value) -> Option<usize> {
    value.as_u64().and_then(|size| usize::try_from(size).ok())
}

/// A number; JSON has no NaN and no infinity.
pub(super) fn number(path: &str, value: &Value) -> Result<f64> {
    value.as_f64().ok_or_else(|| Bad::new(path, format!("expected a number, found {value}")))
}

/// A list of rows of one length. A number is (1, 1), a list of numbers (1, n).
pub(super) fn matrix(path: &str, value: Value) -> Result<Array2<f64>> {
    let rows = match value {
        Value::Number(_) => vec![Value::Array(vec![value])],
        Value::Array(values) if values.first().is_some_and(Value::is_number) => vec![Value::Array(values)],
        Value::Array(rows) => rows,
        _ => return Err(Bad::new(path, "expected a list of rows")),
    };
    let (mut numbers, mut columns) = (Vec::new(), None);
    for (i, row) in rows.iter().enumerate() {
        let Value::Array(row) = row else {
            return Err(Bad::new(path, format!("row {i} is no list")));
        };
        if *columns.get_or_insert(row.len()) != row.len() {
            return Err(Bad::new(path, format!("row {i} has {} numbers, the first has others", row.len())));
        }
        for value in row {
            numbers.push(number(path, value)?);
        }
    }
    match columns {
        None | Some(0) => Err(Bad::new(path, "it is empty")),
        Some(columns) => Ok(Array2::from_shape_vec((rows.len(), columns), numbers).expect("all rows have this length")),
    }
}
