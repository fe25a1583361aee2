//! Verification as JSON. The schema is in `docs/verify.md`; its version is [`FORMAT`].

use serde::Serialize;

use super::{Totals, Verification, promise, reason};
use crate::scalar::ScalarKind;
use crate::verify::cases::Depth;
use crate::verify::checks::Tier;
use crate::verify::compare::Worst;
use crate::verify::{Outcome, Place};

/// Goes up when a key changes its meaning or goes away; new keys may come at any time.
const FORMAT: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    format: u32,
    kind: &'static str,
    layerbench: &'static str,
    depth: Depth,
    draw: u32,
    totals: Totals,
    backends: Vec<Backend<'a>>,
    outcomes: Vec<Record<'a>>,
    /// Cases in which the file is alone against all backends, with what its number looks like.
    disputes: Vec<String>,
}

#[derive(Serialize)]
struct Backend<'a> {
    name: &'a str,
    scalar: ScalarKind,
    same_bits_for: &'static str,
    worst_ratio: Number,
    worst_check: Option<&'a str>,
}

#[derive(Serialize)]
struct Record<'a> {
    backend: &'a str,
    scalar: ScalarKind,
    check: &'a str,
    tier: Option<Tier>,
    status: String,
    reason: Option<String>,
    executed: usize,
    worst: Option<Largest>,
    at: Option<Case>,
    repeat: String,
    /// The whole run of that backend, where the case alone may pass.
    repeat_whole: Option<String>,
}

#[derive(Serialize)]
struct Largest {
    output: String,
    row: usize,
    column: usize,
    got: Number,
    expected: Number,
    error: Number,
    bound: Number,
    ratio: Number,
}

#[derive(Serialize)]
struct Case {
    threads: usize,
    shape: Option<String>,
    seed: Option<u32>,
}

/// JSON has no NaN and no infinities: those are the texts `NaN`, `inf` and `-inf`.
struct Number(f64);

impl Serialize for Number {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_finite() { serializer.serialize_f64(self.0) } else { serializer.collect_str(&self.0) }
    }
}

impl Verification {
    /// The whole as JSON, with a line break at the end.
    ///
    /// # Panics
    /// Never: the document is made of texts and numbers.
    pub fn to_json(&self) -> String {
        let backends = self.summaries().into_iter().map(|summary| Backend {
            name: summary.backend,
            scalar: summary.scalar,
            same_bits_for: promise(summary.determinism),
            worst_ratio: Number(summary.worst.map_or(0.0, Outcome::worst_ratio)),
            worst_check: summary.worst.map(|outcome| outcome.check.as_str()),
        });
        let document = Document {
            format: FORMAT,
            kind: "layerbench-verify",
            layerbench: env!("CARGO_PKG_VERSION"),
            depth: self.depth,
            draw: self.draw,
            totals: self.totals(),
            backends: backends.collect(),
            outcomes: self.outcomes.iter().map(|outcome| self.record(outcome)).collect(),
            disputes: self.disputes.iter().map(ToString::to_string).collect(),
        };
        let mut text = serde_json::to_string_pretty(&document).expect("texts and numbers");
        text.push('\n');
        text
    }

    fn record<'a>(&self, outcome: &'a Outcome) -> Record<'a> {
        let Outcome { check, tier, backend, scalar, status, executed, worst, at, .. } = outcome;
        Record {
            backend,
            scalar: *scalar,
            check,
            tier: *tier,
            status: status.to_string(),
            reason: reason(outcome),
            executed: *executed,
            worst: worst.as_ref().map(|worst| {
                let Worst { what, index, got, expected, error, bound } = worst;
                Largest {
                    output: what.clone(),
                    // A single number has no place.
                    row: index.map_or(0, |(row, _)| row),
                    column: index.map_or(0, |(_, column)| column),
                    got: Number(*got),
                    expected: Number(*expected),
                    error: Number(*error),
                    bound: Number(*bound),
                    ratio: Number(worst.ratio()),
                }
            }),
            at: at.as_ref().map(|Place { threads, shape, seed }| Case {
                threads: *threads,
                shape: shape.map(|shape| shape.to_string()),
                seed: *seed,
            }),
            repeat: self.command(outcome),
            repeat_whole: self.whole_command(outcome),
        }
    }
}
