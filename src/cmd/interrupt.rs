//! Ctrl-C, `kill` and a lost terminal: the first asks for a clean end, the second ends at once. Nothing temporary stays.

use std::io;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level;

use crate::cmd::output;

/// What shells report for a program that SIGINT ended.
pub(crate) const EXIT_CODE: u8 = 130;

/// Signals so close together are one request: `timeout` and a lost terminal send theirs to the process and to its group.
const ONE_REQUEST: Duration = Duration::from_millis(200);

/// Whether an end was asked for.
#[derive(Clone)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// From now on the signals are noticed, by a thread of their own: it may remove files, which a signal handler may not. What `nohup`
    /// did to the one of a lost terminal stands.
    pub fn watch() -> io::Result<Self> {
        let asked = Arc::new(AtomicBool::new(false));
        let hang_up = (!is_ignored(SIGHUP)).then_some(SIGHUP);
        let mut signals = Signals::new([SIGINT, SIGTERM].into_iter().chain(hang_up))?;
        let flag = Arc::clone(&asked);
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            let mut first = None;
            for _ in signals.forever() {
                flag.store(true, Ordering::Relaxed);
                if first.get_or_insert_with(Instant::now).elapsed() > ONE_REQUEST {
                    // Destructors of libraries would run into the threads that still compute.
                    output::remove_all_and(|| low_level::exit(EXIT_CODE.into()));
                }
            }
        })?;
        Ok(Interrupt(asked))
    }

    pub fn asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// For whoever knows no signals.
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}

fn is_ignored(signal: i32) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: without a new action this only writes the present one into memory of its own size.
    let failed = unsafe { libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) };
    // SAFETY: zeros are a valid action, and so is what the system wrote.
    failed == 0 && unsafe { action.assume_init() }.sa_sigaction == libc::SIG_IGN
}
