//! Puts the fast entries in the place of pyo3's; in a forked child, for a while, such as look first whose limiter it is, and
//! for good where a limiter follows an event loop's time.
//!
//! When the module is imported, a method's descriptor is replaced by a copy in which only the entry point differs. The
//! interpreter reads the entry point anew at every call, so it can be exchanged later.
//!
//! SAFETY, for the whole file: see the head of `entry`; all entries of a method have the same C signature.

#![allow(unsafe_code)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};

use pyo3::ffi;
use pyo3::prelude::*;

use super::entry::{self, Entry, Method, Object};
use super::inherited::Made;

/// A method's definition, made here and never freed, and the entries that it may have.
struct Installed {
    definition: *mut ffi::PyMethodDef,
    usual: Entry,
    watched: Entry,
}

// SAFETY: of the definition only the entry point is written, by `enter`, as an atomic.
unsafe impl Send for Installed {}
// SAFETY: as above.
unsafe impl Sync for Installed {}

static INSTALLED: OnceLock<Vec<Installed>> = OnceLock::new();

impl Installed {
    fn enter(&self, entry: Entry) {
        // SAFETY: the definition lives for ever; a union of function pointers is as large as one, and aligned as one. An
        // interpreter without a lock reads a whole pointer, the old one or the new one, and either will do.
        unsafe {
            let entry_point = AtomicPtr::from_ptr((&raw mut (*self.definition).ml_meth).cast::<*mut ()>());
            entry_point.store(entry as *mut (), Ordering::SeqCst);
        }
    }
}

/// The entry in a forked child in which nothing was said yet, and beside limiters that follow a loop: looks first whose limiter
/// it is. A limiter that follows a loop has pyo3's entry, which asks for the loop's time.
unsafe extern "C" fn watched<M: Method>(slf: Object, args: *const Object, count: isize, keywords: Object) -> Object {
    let look = || {
        Python::attach(|py| {
            // SAFETY: an interpreter calls its functions attached; see the head of `entry` for the instance.
            let this = unsafe { Borrowed::from_ptr(py, slf).cast_unchecked::<M::Class>() };
            let home = this.get().home();
            home.compare(py);
            home.follows()
        })
    };
    // Whatever comes of the line, the decision is made.
    let follows = catch_unwind(AssertUnwindSafe(look)).unwrap_or(false);
    let entry = if follows { *M::slow().get().expect("set before this entry is installed") } else { entry::entry::<M> };
    // SAFETY: the same call, to an entry that was made for it.
    unsafe { entry(slf, args, count, keywords) }
}

/// Replaces the descriptor of one method; `None` if pyo3 made it in some way that is not known here.
fn install<M: Method>(py: Python<'_>) -> PyResult<Option<Installed>> {
    let class = py.get_type::<M::Class>();
    let old = class.getattr(M::NAME)?;
    // SAFETY: comparing the types of live objects; a method descriptor's layout is public, its definition was made
    // by pyo3 and lives for ever, and so does the copy made here.
    unsafe {
        if !std::ptr::eq(old.get_type().as_type_ptr(), &raw const ffi::PyMethodDescr_Type) {
            return Ok(None);
        }
        let definition = *(*old.as_ptr().cast::<ffi::PyMethodDescrObject>()).d_method;
        if definition.ml_flags != ffi::METH_FASTCALL | ffi::METH_KEYWORDS {
            return Ok(None);
        }
        if M::slow().set(definition.ml_meth.PyCFunctionFastWithKeywords).is_err() {
            return Ok(None);
        }
        let mut copy = Box::new(definition);
        copy.ml_meth = ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: entry::entry::<M> };
        let copy = Box::into_raw(copy);
        let made = ffi::PyDescr_NewMethod(class.as_type_ptr(), copy);
        class.setattr(M::NAME, Bound::from_owned_ptr_or_err(py, made)?)?;
        Ok(Some(Installed { definition: copy, usual: entry::entry::<M>, watched: watched::<M> }))
    }
}

/// Installs every fast entry and returns how many there are: one that is missing would only be slower, which no
/// answer shows.
pub(super) fn install_all(py: Python<'_>) -> PyResult<usize> {
    if INSTALLED.get().is_none() {
        let installed = [
            install::<entry::AcquireAccount>(py)?,
            install::<entry::TryAcquireAccount>(py)?,
            install::<entry::TryAcquireKey>(py)?,
            install::<entry::AcquireBucket>(py)?,
            install::<entry::TryAcquireBucket>(py)?,
            install::<entry::IsAllowed>(py)?,
            install::<entry::IsAllowedInCamelCase>(py)?,
        ];
        // Whoever imports a second time finds the same classes, entries and all.
        let _ = INSTALLED.set(installed.into_iter().flatten().collect());
    }
    Ok(INSTALLED.get().map_or(0, Vec::len))
}

/// Lets every method with a fast entry look first whose limiter it is, or no longer.
pub(super) fn watch_all(watch: bool) {
    for method in INSTALLED.get().into_iter().flatten() {
        method.enter(if watch { method.watched } else { method.usual });
    }
}
