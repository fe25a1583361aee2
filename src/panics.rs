//! Panics of others: what they said, and that they spoil no lock whose content is right after every statement.

use std::any::Any;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The content of a mutex, also where somebody panicked who held it.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a panic said.
pub(crate) fn panic_text(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str).or(payload.downcast_ref::<&str>().copied());
    text.unwrap_or("without a message")
}
