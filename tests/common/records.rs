//! Records of made-up measurements.

use std::num::NonZeroUsize;
use std::path::Path;

use layerbench::layer::FirstLayer;
use layerbench::machine::{Facts, Peak, Roofline};
use layerbench::measure::record::{
    CellRecord, Child, Library, Limits, LimitsRecord, Machine, Measured, Outcome, Record, RunId, Tool,
};
use layerbench::measure::{Cell, journal};
use layerbench::simd::Isa;
use layerbench::workload::{Phase, Workload};
use layerbench::{Error, ScalarKind};

/// The run of all these records, unless they say otherwise.
pub fn run() -> RunId {
    "0123456789abcdef0123456789abcdef".parse().expect("32 digits")
}

pub fn record(backend: &str, workload: usize, wall_ns: Vec<u64>, child: Child) -> Record {
    let cell = Cell {
        phase: Phase::Step,
        backend: backend.into(),
        workload: Workload::embedded().swap_remove(workload),
        scalar: ScalarKind::F64,
        threads: NonZeroUsize::MIN,
        first_layer: FirstLayer::Plain,
    };
    let measured = Measured {
        library: Library::of(format!("{backend} 1.0"), None),
        threads_got: 1,
        data_sha256: "ab".repeat(32),
        start_ns: 1,
        open_ns: 2,
        plan_ns: 3,
        first_ns: 4,
        peak_memory_bytes: None,
        repeats: 10,
        cpu_ns: wall_ns.clone(),
        wall_ns,
        restless: 0,
        digest: None,
        error_over_bound: None,
    };
    Record::Cell(CellRecord {
        run: run(),
        rounds: workload as u64,
        started_unix_ms: 0,
        machine: Machine::id_of(&Facts::read()),
        node: "node \"ü\"".into(),
        cell,
        child,
        cold_cache: false,
        tool: Tool::this(),
        command: vec!["layerbench".into(), "measure \"ü\"\n".into()],
        environment: [("OMP_NUM_THREADS".to_owned(), "1".to_owned())].into(),
        outcome: Outcome::Measured(measured),
    })
}

pub fn cell(index: usize) -> Record {
    record("a", index, vec![1000; 6], Child::First)
}

pub fn measured(record: &mut CellRecord) -> &mut Measured {
    match &mut record.outcome {
        Outcome::Measured(measured) => measured,
        Outcome::Failed(failure) => panic!("{failure:?}"),
    }
}

/// A further child of [`cell`], slower by so many percent.
pub fn further(index: usize, percent: f64, child: Child, time: u64) -> Record {
    at(record("a", index, vec![(1000.0 * (percent / 100.0).exp()).round() as u64; 6], Child::First), child, time)
}

/// As a child of another kind, in rounds that began at `time`.
pub fn at(record: Record, child: Child, time: u64) -> Record {
    match record {
        Record::Cell(cell) => Record::Cell(CellRecord { child, rounds: time, ..cell }),
        machine => machine,
    }
}

/// A machine of that run with a roofline that tells it from others.
pub fn machine(run: RunId, gflops: f64) -> Machine {
    let peak = Peak { isa: Isa::Portable, scalar: ScalarKind::F64, threads: 1, gflops };
    let roofline = Roofline { peaks: vec![peak], ..Roofline::default() };
    Machine { run, ..Machine::new("node \"ü\"".into(), Facts::read(), roofline) }
}

pub fn limits(run: RunId, rounds: u64, peak_gflops: Vec<f64>) -> Record {
    let limits = Limits {
        scalar: ScalarKind::F64,
        threads: NonZeroUsize::MIN,
        bytes_per_thread: 1 << 20,
        gb_per_s: vec![2.5; peak_gflops.len()],
        peak_gflops,
    };
    let machine = Machine::id_of(&Facts::read());
    Record::Limits(LimitsRecord { run, rounds, machine, node: "node \"ü\"".into(), limits })
}

pub fn lines(records: &[Record]) -> Vec<u8> {
    records.iter().map(journal::line).collect::<String>().into_bytes()
}

pub fn read(text: &[u8]) -> Result<Vec<Record>, Error> {
    journal::parse(Path::new("records.jsonl"), text)
}
