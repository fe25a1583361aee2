//! What a backend can do to the process that it runs in. Everything here is meant for children.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::bug::Bug;

/// The call of a layer in which a process ends late.
const LATE: usize = 150;

/// At the start of a layer's forward pass number `call`, from one. Returns whether the pass shall go on.
pub(super) fn at_forward(bug: Bug, call: usize) -> bool {
    match bug {
        Bug::ExitLate if call == LATE => std::process::exit(0),
        Bug::Abort => std::process::abort(),
        Bug::Segfault => segfault(),
        Bug::Deadlock => wait_for_ever(),
        Bug::ClosesDescriptors => close_descriptors(),
        Bug::Chatty => talk(),
        Bug::WorkerPanic => {
            let worker = std::thread::spawn(|| panic!("a worker's mistake"));
            // And nobody looks at how it ended.
            let _ = worker.join();
            return false;
        }
        _ => {}
    }
    true
}

/// Whether the process's first caller is at work on what all use, which takes it a while; others do not wait for it.
pub(super) fn is_making_a_table() -> bool {
    static BEGUN: AtomicBool = AtomicBool::new(false);
    static MADE: AtomicBool = AtomicBool::new(false);
    if BEGUN.swap(true, Ordering::SeqCst) {
        return !MADE.load(Ordering::SeqCst);
    }
    std::thread::sleep(Duration::from_millis(200));
    MADE.store(true, Ordering::SeqCst);
    false
}

/// As a lock does that is never given back.
pub(super) fn wait_for_ever() -> ! {
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

/// A thread that looks for work without end; one for each process is enough.
pub(super) fn leave_a_thread_spinning() {
    static SPINNER: std::sync::Once = std::sync::Once::new();
    SPINNER.call_once(|| {
        std::thread::spawn(|| {
            loop {
                std::hint::spin_loop();
            }
        });
    });
}

/// The signal of a wrong address, without one.
fn segfault() -> ! {
    loop {
        // The first is taken by the standard library, which looks for an overflow of the stack and then lets the next one through.
        // SAFETY: raises a signal in this thread; no memory is touched.
        unsafe { libc::raise(libc::SIGSEGV) };
    }
}

/// As a program does that makes itself a daemon.
fn close_descriptors() {
    for descriptor in 3..=20 {
        // SAFETY: whoever owns it gets an error at its next use, which is what is tried here. No memory is touched, and nothing is opened
        // by this backend that could get the number.
        unsafe { libc::close(descriptor) };
    }
}

/// In bulk, and past the standard library's buffer. It is no fault.
fn talk() {
    for line in 0..8 {
        println!("line {line} of what a library tells about itself at every call, whether somebody asks for it or not");
    }
    let _ = std::io::stdout().flush();
    let _ = rustix::io::write(rustix::stdio::stdout(), b"\"done\"\n{\"lane\":0,\"reply\":\"done\"}\n");
}
