//! Ctrl-C, `kill` and a lost terminal: the first asks for a clean end where a verb can have one, the second ends at once. Nothing temporary
//! stays.

use std::io;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level;

use crate::files;
use crate::panics::locked;

/// What shells report for a program that SIGINT ended.
pub(crate) const EXIT_CODE: u8 = 130;

/// Signals so close together are one request: `timeout` and a lost terminal send theirs to the process and to its group.
const ONE_REQUEST: Duration = Duration::from_millis(200);

/// Whether an end was asked for.
#[derive(Clone)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// From now on the first signal only asks.
    pub fn watch() -> io::Result<Self> {
        listen()?;
        let asked = Arc::new(AtomicBool::new(false));
        *watcher() = Some(Arc::clone(&asked));
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

/// The verb that wants to be asked; without one, the first signal ends the program.
static WATCHER: Mutex<Option<Arc<AtomicBool>>> = Mutex::new(None);

fn watcher() -> MutexGuard<'static, Option<Arc<AtomicBool>>> {
    locked(&WATCHER)
}

/// From now on the signals are noticed, by a thread of their own: it may remove files, which a signal handler may not. What `nohup` did to
/// the one of a lost terminal stands. To be called before anything temporary is made; again at will.
pub(crate) fn listen() -> io::Result<()> {
    static LISTENS: Mutex<bool> = Mutex::new(false);
    let mut listens = locked(&LISTENS);
    if *listens {
        return Ok(());
    }
    let hang_up = (!is_ignored(SIGHUP)).then_some(SIGHUP);
    let mut signals = Signals::new([SIGINT, SIGTERM].into_iter().chain(hang_up))?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        let mut first = None;
        for _ in signals.forever() {
            let is_asked = watcher().as_ref().map(|asked| asked.store(true, Ordering::Relaxed)).is_some();
            if !is_asked || first.get_or_insert_with(Instant::now).elapsed() > ONE_REQUEST {
                // Destructors of libraries would run into the threads that still compute.
                files::remove_all_and(|| low_level::exit(EXIT_CODE.into()));
            }
        }
    })?;
    *listens = true;
    Ok(())
}

fn is_ignored(signal: i32) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: without a new action this only writes the present one into memory of its own size.
    let failed = unsafe { libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) };
    // SAFETY: zeros are a valid action, and so is what the system wrote.
    failed == 0 && unsafe { action.assume_init() }.sa_sigaction == libc::SIG_IGN
}
