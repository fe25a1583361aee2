//! The registry: the only place that names every backend. A value, not a global, so that a stranger's program can build
//! one, add its own backend and get every verb for it.

use std::any::Any;
use std::num::NonZeroUsize;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::layer::{Backend, Engine, Profile, Reason};
use crate::scalar::{Scalar, ScalarKind};

/// One registered backend, for `f32`, `f64` or both.
#[derive(Clone)]
pub struct Entry {
    name: String,
    profile: Profile,
    f32: Option<Arc<dyn Backend<f32>>>,
    f64: Option<Arc<dyn Backend<f64>>>,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Entry").field(&self.name).finish()
    }
}

impl Entry {
    /// A backend for both scalar types.
    pub fn both<B: Backend<f32> + Backend<f64> + 'static>(backend: B) -> Self {
        let backend = Arc::new(backend);
        let mut entry = Entry::single(Arc::clone(&backend) as Arc<dyn Backend<f64>>);
        entry.f32 = Some(backend);
        entry
    }

    /// A backend for `f32` only.
    pub fn f32(backend: impl Backend<f32> + 'static) -> Self {
        Entry::single(Arc::new(backend) as Arc<dyn Backend<f32>>)
    }

    /// A backend for `f64` only.
    pub fn f64(backend: impl Backend<f64> + 'static) -> Self {
        Entry::single(Arc::new(backend) as Arc<dyn Backend<f64>>)
    }

    fn single<T: Scalar>(backend: Arc<dyn Backend<T>>) -> Self {
        let mut entry = Entry { name: backend.name().to_owned(), profile: backend.profile(), f32: None, f64: None };
        *entry.slot_mut::<T>() = Some(backend);
        entry
    }

    /// The backend's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the backend says of itself.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Whether it computes in that scalar type at all.
    pub fn supports(&self, scalar: ScalarKind) -> bool {
        match scalar {
            ScalarKind::F32 => self.f32.is_some(),
            ScalarKind::F64 => self.f64.is_some(),
        }
    }

    /// Whether it can run on this machine, in whichever scalar type.
    ///
    /// # Errors
    /// The reason why not.
    pub fn available(&self) -> std::result::Result<(), Reason> {
        match (&self.f64, &self.f32) {
            (Some(backend), _) => backend.available(),
            (None, Some(backend)) => backend.available(),
            (None, None) => Err(Reason("it supports no scalar type".into())),
        }
    }

    /// The same as an error that names the backend.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub fn expect_available(&self) -> Result<()> {
        self.available().map_err(|reason| Error::Unavailable { name: self.name.clone(), reason: reason.to_string() })
    }

    /// The thread counts worth looking at on a machine with `cores`: one, and all if the backend can use them.
    pub fn thread_counts(&self, cores: NonZeroUsize) -> Vec<NonZeroUsize> {
        let mut counts = vec![NonZeroUsize::MIN];
        if self.profile.parallel && cores > NonZeroUsize::MIN {
            counts.push(cores);
        }
        counts
    }

    /// Opens an engine.
    ///
    /// # Errors
    /// [`Error::UnsupportedScalar`], [`Error::Unavailable`], or what the backend says of the thread count.
    pub fn open<T: Scalar>(&self, threads: NonZeroUsize) -> Result<Arc<dyn Engine<T>>> {
        let Some(backend) = self.slot::<T>() else {
            let other = if T::KIND == ScalarKind::F64 { ScalarKind::F32 } else { ScalarKind::F64 };
            return Err(Error::UnsupportedScalar { name: self.name.clone(), scalar: T::KIND, other });
        };
        backend
            .available()
            .map_err(|reason| Error::Unavailable { name: self.name.clone(), reason: reason.to_string() })?;
        if threads.get() > 1 && !self.profile.parallel {
            let (name, asked) = (self.name.clone(), threads.get());
            return Err(Error::Threads { name, asked, reason: "it is serial; ask for 1".into() });
        }
        backend.open(threads)
    }

    /// The same entry with another backend for `T`: one that answers for it.
    pub(crate) fn answered_by<T: Scalar>(&self, backend: Arc<dyn Backend<T>>) -> Self {
        let mut entry = self.clone();
        *entry.slot_mut::<T>() = Some(backend);
        entry
    }

    fn slot<T: Scalar>(&self) -> &Option<Arc<dyn Backend<T>>> {
        let slot: &dyn Any = match T::KIND {
            ScalarKind::F32 => &self.f32,
            ScalarKind::F64 => &self.f64,
        };
        slot.downcast_ref().expect("the slot of a kind holds a backend of its type")
    }

    fn slot_mut<T: Scalar>(&mut self) -> &mut Option<Arc<dyn Backend<T>>> {
        let slot: &mut dyn Any = match T::KIND {
            ScalarKind::F32 => &mut self.f32,
            ScalarKind::F64 => &mut self.f64,
        };
        slot.downcast_mut().expect("the slot of a kind holds a backend of its type")
    }
}

/// The backends that a program knows, in the order in which reports list them.
#[derive(Clone, Default)]
pub struct Registry {
    entries: Vec<Entry>,
}

impl Registry {
    /// No backends.
    pub fn empty() -> Self {
        Registry::default()
    }

    /// The backends of this crate.
    pub fn builtin() -> Self {
        let entries = vec![
            Entry::both(super::Naive),
            Entry::both(super::NdArray),
            #[cfg(feature = "openblas")]
            Entry::both(super::OpenBlas),
            Entry::both(super::Rayon),
            Entry::both(super::Simd),
        ];
        Registry { entries }
    }

    /// Adds a backend. Its name stands in cell ids, file names and commands: 1 to 40 letters, digits, `-`, `_` and `.`, the first of them a
    /// letter or a digit. (A `+` in an id begins a way of the first layer.)
    ///
    /// # Errors
    /// [`Error::BackendName`] for a name of another form, [`Error::DuplicateBackend`] where it is taken.
    pub fn add(&mut self, entry: Entry) -> Result<()> {
        if let Some(problem) = name_problem(&entry.name) {
            return Err(Error::BackendName { name: entry.name, problem });
        }
        if self.entries.iter().any(|e| e.name == entry.name) {
            return Err(Error::DuplicateBackend(entry.name));
        }
        self.entries.push(entry);
        Ok(())
    }

    /// All backends, available or not.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The backend of that name.
    ///
    /// # Errors
    /// [`Error::UnknownBackend`], listing the names there are; [`Error::Unavailable`] for a built-in that this build
    /// leaves out.
    pub fn get(&self, name: &str) -> Result<&Entry> {
        if let Some(entry) = self.entries.iter().find(|e| e.name == name) {
            return Ok(entry);
        }
        if let Some(reason) = left_out(name) {
            return Err(Error::Unavailable { name: name.into(), reason: reason.into() });
        }
        let known = self.entries.iter().map(Entry::name).collect::<Vec<_>>().join(", ");
        Err(Error::UnknownBackend { name: name.into(), known })
    }

    /// Opens an engine of the backend of that name: [`get`](Self::get), then [`Entry::open`].
    ///
    /// # Errors
    /// As those two; `threads = 0` is [`Error::Threads`].
    pub fn open<T: Scalar>(&self, name: &str, threads: usize) -> Result<Arc<dyn Engine<T>>> {
        let entry = self.get(name)?;
        let threads = NonZeroUsize::new(threads).ok_or_else(|| Error::Threads {
            name: name.into(),
            asked: 0,
            reason: "ask for at least 1".into(),
        })?;
        entry.open(threads)
    }

    /// Built-in backends that this build was made without, each with the reason.
    pub fn left_out(&self) -> Vec<(&'static str, Reason)> {
        LEFT_OUT.iter().map(|&(name, reason)| (name, Reason(reason.into()))).collect()
    }
}

#[cfg(feature = "openblas")]
const LEFT_OUT: &[(&str, &str)] = &[];
#[cfg(not(feature = "openblas"))]
const LEFT_OUT: &[(&str, &str)] = &[(
    "openblas",
    "built without the `openblas` feature; install libopenblas-pthread-dev and build with default features",
)];

fn left_out(name: &str) -> Option<&'static str> {
    LEFT_OUT.iter().find(|(left_out, _)| *left_out == name).map(|&(_, reason)| reason)
}

/// The most characters of a backend's name: a table shows it whole.
const LONGEST_NAME: usize = 40;

fn name_problem(name: &str) -> Option<String> {
    let plain = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    let problem = match (name.chars().next(), name.chars().find(|&c| !plain(c)), name.chars().count()) {
        (None, ..) => "it is empty".into(),
        (_, Some(c), _) => format!("`{}` is in it", c.escape_default()),
        (Some(first), ..) if !first.is_alphanumeric() => format!("it begins with `{first}`"),
        (.., count) if count > LONGEST_NAME => format!("it has {count} characters"),
        _ => return None,
    };
    let expected = "letters, digits, `-`, `_` or `.`, the first of them a letter or a digit";
    Some(format!("{problem}; expected 1 to {LONGEST_NAME} {expected}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words_of_a_command() {
        for name in ["x", "my-blas_0.3.avx2", "Größe", &"a".repeat(LONGEST_NAME)] {
            assert_eq!(name_problem(name), None, "{name}");
        }
        let long = "a".repeat(300);
        for (name, part) in [
            ("", "empty"),
            ("two words", "` ` is in it"),
            ("a/b", "`/`"),
            ("a+fused", "`+`"),
            ("a\tb", "\\t"),
            ("\u{1b}[31m", "\\u{1b}"),
            ("-x", "begins with `-`"),
            (".x", "begins with `.`"),
            (&long, "300 characters; expected 1 to 40"),
        ] {
            let problem = name_problem(name).expect("it is refused");
            assert!(problem.contains(part), "{problem}");
        }
    }
}
