//! Malformed HDF5 files through the guarded reader: whatever libhdf5 does with them, this process gets a set or an error, soon.
//! 500 of them; 10,000 with LAYERBENCH_SOAK=1, from another seed each time unless LAYERBENCH_SEED is set.

#![cfg(feature = "cli")]
#![cfg(feature = "hdf5")]

mod common;

use std::io::Write;
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use common::mutants::Mutants;
use layerbench::Error;
use layerbench::data::{PictureSet, guard};

/// Files read at the same time.
const ABREAST: usize = 2;
/// The guard ends a reader of so small a file after 2 s; a busy machine may take a while to notice.
const SOON: Duration = Duration::from_secs(20);
/// The guard allows 2.25 GiB of address space. So small a file must not come near it.
const PEAK_MIB: u64 = 512;

#[derive(Default)]
struct Tally {
    read: usize,
    refused: usize,
    crashed: usize,
    out_of_time: usize,
    slowest: Duration,
    /// What the guard is for.
    saved_from: Vec<String>,
    /// What must not be.
    problems: Vec<String>,
}

#[test]
fn every_mutant_is_a_set_or_an_error() {
    let _turn = common::alone();
    let soak = std::env::var_os("LAYERBENCH_SOAK").is_some();
    let count = if soak { 10_000 } else { 500 };
    let seed = match std::env::var("LAYERBENCH_SEED") {
        Ok(seed) => seed.parse().expect("LAYERBENCH_SEED is a number"),
        Err(_) if soak => std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_secs(),
        Err(_) => 1,
    };
    let folder = tempfile::tempdir().expect("a folder");
    let real = common::cat_dir().map(|dir| std::fs::read(dir.join("train_catvnoncat.h5")).expect("it is there"));
    let mut mutants = Mutants::new(seed, folder.path(), real.into_iter().collect());
    let whole = mutants.seeds().to_vec();
    assert!(whole.len() < count);
    let drawn = Mutex::new((0, std::iter::from_fn(move || Some(mutants.damaged()))));
    let draw = || {
        let mut drawn = drawn.lock().expect("nobody panics while drawing");
        let number = drawn.0;
        drawn.0 += 1;
        let bytes = whole.get(number).cloned().or_else(|| drawn.1.next()).expect("there is no end of them");
        (number < count).then_some((number, bytes))
    };

    let tally = Mutex::new(Tally::default());
    std::thread::scope(|scope| {
        for lane in 0..ABREAST {
            let (draw, tally, path) = (&draw, &tally, folder.path().join(format!("{lane}.h5")));
            scope.spawn(move || {
                while let Some((number, bytes)) = draw() {
                    std::fs::write(&path, bytes).expect("the folder is writable");
                    let mut reader = Command::new(env!("CARGO_BIN_EXE_layerbench"));
                    reader.args(["__read-pictures", "train"]).env("OPENBLAS_NUM_THREADS", "1");
                    let start = Instant::now();
                    let outcome = guard::read(&path, None, reader);
                    tally.lock().expect("nobody panics while counting").count(number, outcome, start.elapsed());
                }
            });
        }
    });

    let tally = tally.into_inner().expect("nobody panics while counting");
    let peak_mib = peak_of_children_mib();
    // Straight to the terminal: the test harness would swallow it.
    let _ = writeln!(
        std::io::stderr(),
        "{count} mutants (seed {seed}): {} read, {} refused, {} crashed their reader, {} ran out of time; slowest {:.2} s, \
         peak memory {peak_mib} MiB\n{}",
        tally.read,
        tally.refused,
        tally.crashed,
        tally.out_of_time,
        tally.slowest.as_secs_f64(),
        tally.saved_from.join("\n")
    );
    assert!(tally.problems.is_empty(), "seed {seed}: {:#?}", tally.problems);
    assert!(tally.slowest < SOON, "seed {seed}: the slowest took {:?}", tally.slowest);
    assert!(peak_mib < PEAK_MIB, "seed {seed}: a reader took {peak_mib} MiB");
    // Else the generator is too tame, or too wild, to show anything.
    assert!(tally.read > count / 50 && tally.refused > count / 4, "{} read, {} refused", tally.read, tally.refused);
    assert_eq!(tally.read + tally.refused + tally.crashed + tally.out_of_time, count);
}

#[test]
fn the_same_seed_gives_the_same_mutants() {
    // libhdf5's lock on a written file lives on for a moment in the children of the other test.
    let _turn = common::alone();
    let folder = tempfile::tempdir().expect("a folder");
    let some = |seed| {
        let mut mutants = Mutants::new(seed, folder.path(), vec![b"another".to_vec()]);
        (mutants.seeds().to_vec(), (0..50).map(|_| mutants.damaged()).collect::<Vec<_>>())
    };
    let first = some(3);
    // Across a change of the clock's seconds: libhdf5 likes to write times.
    std::thread::sleep(Duration::from_millis(1100));
    assert!(first == some(3));
    assert!(some(3).1 != some(4).1);
}

impl Tally {
    fn count(&mut self, number: usize, outcome: layerbench::Result<PictureSet>, took: Duration) {
        self.slowest = self.slowest.max(took);
        match outcome {
            Ok(set) => {
                self.read += 1;
                let sound = set.pixels.nrows() == set.len() && !set.is_empty() && set.features() > 0;
                let sound = sound && set.labels.iter().all(|&label| label <= 1) && set.classes[0] != set.classes[1];
                if !sound {
                    self.problems.push(format!("mutant {number} was read as {:?}", set.pixels.dim()));
                }
            }
            Err(Error::Data { problem, .. }) if problem.contains("crashed") || problem.contains("took") => {
                *(if problem.contains("crashed") { &mut self.crashed } else { &mut self.out_of_time }) += 1;
                self.saved_from.push(format!("  mutant {number}: {problem}"));
            }
            Err(Error::Data { problem, .. }) if !problem.contains("guarded reader") => self.refused += 1,
            Err(other) => self.problems.push(format!("mutant {number}: {other}")),
        }
    }
}

/// The largest resident set of any child so far.
fn peak_of_children_mib() -> u64 {
    // SAFETY: all zeros are a value of this struct of integers, and `getrusage` only writes into it.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        assert_eq!(libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage), 0);
        usage
    };
    usage.ru_maxrss as u64 / 1024
}
