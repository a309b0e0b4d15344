//! `Waiting`: one wait for a key's turn, however it is parked.
//!
//! Whose turn it is when is decided in the core; here a thread is parked, or a callable is called that lets a task go on.

use std::sync::Arc;
use std::task::Waker;

use parking_lot::Mutex;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyString;

use super::convert;
use super::inherited::Made;
use super::leaving;
use super::limiter::Limiter;
use super::parked::{CHUNK_NS, Call};
use super::reservation::Reservation;
use crate::decision::Reason;
use crate::limiter::{Ask, ClassId, Place, Reservation as Held, Turn};
use crate::parker::Parker;
use crate::policy::Cost;

/// The part of the face that is Python: how tasks are parked.
pub(super) fn module(py: Python<'_>) -> PyResult<&Bound<'_, PyModule>> {
    static MODULE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    Ok(MODULE.get_or_try_init(py, || py.import("tollbar._waiting").map(Bound::unbind))?.bind(py))
}

#[doc = stub!("Waiting")]
#[pyclass(frozen, weakref, module = "tollbar")]
pub(super) struct Waiting {
    limiter: Py<Limiter>,
    key: Py<PyString>,
    ask: Ask<'static>,
    cost: Cost,
    stage: Mutex<Stage>,
}

enum Stage {
    New,
    At(Place, ClassId, Arc<Call>),
    Come(Option<Held>),
    Over,
}

impl Waiting {
    pub(super) fn new(limiter: Py<Limiter>, key: Py<PyString>, ask: Ask<'static>, cost: Cost) -> Self {
        Self { limiter, key, ask, cost, stage: Mutex::new(Stage::New) }
    }

    fn ask(&self) -> Ask<'_> {
        if self.cost.named().is_empty() { self.ask } else { self.ask.costs(&self.cost) }
    }

    /// Enters a stage. The one before is dropped after the lock: that may run Python code.
    fn set(&self, stage: Stage) -> Stage {
        std::mem::replace(&mut self.stage.lock(), stage)
    }

    fn join(&self, py: Python<'_>, class: ClassId, waker: Waker, group: u64) -> PyResult<Turn> {
        Ok(self.limiter.get().core().join(convert::key(self.key.bind(py))?, self.ask().group(group), class, waker)?)
    }

    /// The nanoseconds to park for at most, or `None` when its turn has come.
    fn noted(&self, py: Python<'_>, turn: Turn, class: ClassId, call: &Arc<Call>) -> PyResult<Option<u64>> {
        let mut turn = turn;
        loop {
            turn = match turn {
                Turn::Come(held) => {
                    self.set(Stage::Come(held));
                    return Ok(None);
                }
                Turn::Wait(place, nanos) => {
                    self.set(Stage::At(place, class, call.clone()));
                    return Ok(Some(nanos.unwrap_or(u64::MAX)));
                }
                Turn::TooLate(wait) => {
                    self.set(Stage::Over);
                    return Err(self.too_late(py, wait));
                }
                Turn::Never => {
                    self.set(Stage::Over);
                    return Err(self.never(py, class));
                }
                Turn::Gone => self.join(py, class, call.clone().into(), 0)?,
            };
        }
    }

    /// Begins, once: the class that an unknown key gets.
    fn begin(&self, py: Python<'_>) -> PyResult<ClassId> {
        self.limiter.get().home().heed(py);
        if !matches!(*self.stage.lock(), Stage::New) {
            return Err(PyRuntimeError::new_err("a slot serves one block; make another"));
        }
        let class = self.limiter.get().class(self.key.bind(py))?;
        self.set(Stage::Over);
        Ok(class)
    }

    fn start(&self, py: Python<'_>, call: &Arc<Call>, group: u64) -> PyResult<Option<u64>> {
        let class = self.begin(py)?;
        let turn = self.join(py, class, call.clone().into(), group)?;
        self.noted(py, turn, class, call)
    }

    fn look(&self, py: Python<'_>) -> PyResult<Option<u64>> {
        let (place, class, call) = match &*self.stage.lock() {
            Stage::At(place, class, call) => (*place, *class, call.clone()),
            _ => return Ok(None),
        };
        let turn = self.limiter.get().core().look(convert::key(self.key.bind(py))?, self.ask(), place)?;
        self.noted(py, turn, class, &call)
    }

    /// The exception for a turn that would come in so many nanoseconds.
    fn too_late(&self, py: Python<'_>, wait: u64) -> PyErr {
        let make = || {
            let class = py.import("tollbar._late")?.getattr("AcquireTimeout")?;
            Ok(PyErr::from_value(class.call1((self.key.bind(py), seconds(wait)))?))
        };
        make().unwrap_or_else(|error: PyErr| error)
    }

    /// The exception for a cost that no wait helps.
    fn never(&self, py: Python<'_>, class: ClassId) -> PyErr {
        let make = || {
            let (module, key) = (py.import("tollbar._late")?, self.key.bind(py));
            let core = self.limiter.get().core();
            let Some((limit, cost)) = core.too_small(convert::key(key)?, self.ask(), class)? else {
                return Ok(self.too_late(py, u64::MAX));
            };
            let measure = if limit.reason() == Reason::Rate { "burst" } else { "limit" };
            let arguments = (key, cost, limit.name(), limit.capacity(), measure);
            Ok(PyErr::from_value(module.getattr("NeverFits")?.call1(arguments)?))
        };
        make().unwrap_or_else(|error: PyErr| error)
    }

    fn leave(&self, py: Python<'_>) {
        let stage = self.set(Stage::Over);
        if let (Stage::At(place, ..), Ok(key)) = (stage, convert::key(self.key.bind(py))) {
            // A key that was let in is one.
            let _ = self.limiter.get().core().leave(key, place);
        }
    }
}

fn seconds(nanos: u64) -> f64 {
    if nanos == u64::MAX { f64::INFINITY } else { convert::seconds_up(nanos) }
}

#[pymethods]
impl Waiting {
    fn _start(&self, py: Python<'_>, wake: Py<PyAny>, group: u64) -> PyResult<Option<f64>> {
        Ok(self.start(py, &Arc::new(Call(wake)), group)?.map(seconds))
    }

    fn _look(&self, py: Python<'_>) -> PyResult<Option<f64>> {
        Ok(self.look(py)?.map(seconds))
    }

    fn _leave(&self, py: Python<'_>) {
        self.leave(py);
    }

    /// Parks this thread until the turn has come. Signals are looked at in between.
    fn _block(&self, py: Python<'_>) -> PyResult<()> {
        let (parker, key) = (Arc::new(Parker::new()), convert::key(self.key.bind(py))?);
        let (class, core) = (self.begin(py)?, self.limiter.get().core());
        let mut turn = core.join(key, self.ask(), class, parker.clone().into())?;
        loop {
            turn = match turn {
                Turn::Come(held) => {
                    self.set(Stage::Come(held));
                    return Ok(());
                }
                Turn::TooLate(wait) => return Err(self.too_late(py, wait)),
                Turn::Never => return Err(self.never(py, class)),
                Turn::Gone => core.join(key, self.ask(), class, parker.clone().into())?,
                Turn::Wait(place, nanos) => {
                    leaving::outside(py, || parker.park(Some(nanos.unwrap_or(u64::MAX).min(CHUNK_NS))));
                    py.check_signals().inspect_err(|_| drop(core.leave(key, place)))?;
                    core.look(key, self.ask(), place)?
                }
            };
        }
    }

    /// What is held since the turn has come, once.
    fn _held(&self) -> Option<Reservation> {
        let stage = self.set(Stage::Over);
        if let Stage::Come(held) = stage { held.map(Reservation::new) } else { None }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if matches!(*self.stage.get_mut(), Stage::At(..)) {
            Python::try_attach(|py| self.leave(py));
        }
    }
}
