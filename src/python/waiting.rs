//! `Waiting`: one wait for a turn, however it is parked.
//!
//! Whose turn it is when is decided in the core; here a thread is parked, or a callable is called that lets a task go on.

use std::sync::Arc;
use std::task::Waker;

use parking_lot::Mutex;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use super::awaited::{Awaited, Classes};
use super::convert;
use super::inherited::Made;
use super::leaving;
use super::limiter::Limiter;
use super::parked::{CHUNK_NS, Call};
use super::reservation::Reservation;
use crate::limiter::{Ask, JointTurn, Place, Reservation as Held, Turn};
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
    keys: Awaited,
    ask: Ask<'static>,
    cost: Cost,
    stage: Mutex<Stage>,
}

enum Stage {
    New,
    At(Place, Classes, Arc<Call>),
    Come(Option<Held>),
    Over,
}

impl Waiting {
    pub(super) fn new(limiter: Py<Limiter>, keys: Awaited, ask: Ask<'static>, cost: Cost) -> Self {
        Self { limiter, keys, ask, cost, stage: Mutex::new(Stage::New) }
    }

    fn ask(&self) -> Ask<'_> {
        if self.cost.named().is_empty() { self.ask } else { self.ask.costs(&self.cost) }
    }

    /// Enters a stage. The one before is dropped after the lock: that may run Python code.
    fn set(&self, stage: Stage) -> Stage {
        std::mem::replace(&mut self.stage.lock(), stage)
    }

    fn join(&self, py: Python<'_>, classes: &Classes, waker: Waker, group: u64) -> PyResult<JointTurn> {
        self.keys.join(py, self.limiter.get(), self.ask().group(group), classes, waker)
    }

    /// The nanoseconds to park for at most, or `None` when its turn has come.
    fn noted(&self, py: Python<'_>, turn: JointTurn, classes: &Classes, call: &Arc<Call>) -> PyResult<Option<u64>> {
        let mut joint = turn;
        loop {
            let by = joint.denied_by.unwrap_or(0);
            joint = match joint.turn {
                Turn::Come(held) => {
                    self.set(Stage::Come(held));
                    return Ok(None);
                }
                Turn::Wait(place, nanos) => {
                    self.set(Stage::At(place, classes.clone(), call.clone()));
                    let timer = self.limiter.get().core().clock().timer_ns(nanos);
                    return Ok(Some(timer.unwrap_or(u64::MAX)));
                }
                Turn::TooLate(wait) => {
                    self.set(Stage::Over);
                    return Err(self.keys.too_late(py, by, seconds(wait)));
                }
                Turn::Never => {
                    self.set(Stage::Over);
                    return Err(self.never(py, classes, by));
                }
                Turn::Gone => self.join(py, classes, call.clone().into(), 0)?,
            };
        }
    }

    /// Begins, once: the classes that unknown keys get.
    fn begin(&self, py: Python<'_>) -> PyResult<Classes> {
        if !matches!(*self.stage.lock(), Stage::New) {
            return Err(PyRuntimeError::new_err("a slot serves one block; make another"));
        }
        let classes = self.keys.classes(py, self.limiter.get())?;
        self.set(Stage::Over);
        Ok(classes)
    }

    fn start(&self, py: Python<'_>, call: &Arc<Call>, group: u64) -> PyResult<Option<u64>> {
        let classes = self.begin(py)?;
        let turn = self.join(py, &classes, call.clone().into(), group)?;
        self.noted(py, turn, &classes, call)
    }

    fn look(&self, py: Python<'_>) -> PyResult<Option<u64>> {
        let (place, classes, call) = match &*self.stage.lock() {
            Stage::At(place, classes, call) => (*place, classes.clone(), call.clone()),
            _ => return Ok(None),
        };
        self.limiter.get().home().heed(py)?;
        let turn = self.keys.look(py, self.limiter.get(), self.ask(), &classes, place)?;
        self.noted(py, turn, &classes, &call)
    }

    /// The exception for a cost that no wait helps.
    fn never(&self, py: Python<'_>, classes: &Classes, by: usize) -> PyErr {
        self.keys.never(py, self.limiter.get(), self.ask(), (classes, by))
    }

    fn leave(&self, py: Python<'_>) {
        let stage = self.set(Stage::Over);
        if let Stage::At(place, ..) = stage {
            self.limiter.get().home().heed_if_possible(py);
            // Keys that were let in are no error.
            let _ = self.keys.leave(py, self.limiter.get(), place);
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
        let (parker, limiter) = (Arc::new(Parker::new()), self.limiter.get());
        let classes = self.begin(py)?;
        let mut joint = self.join(py, &classes, parker.clone().into(), 0)?;
        loop {
            let by = joint.denied_by.unwrap_or(0);
            joint = match joint.turn {
                Turn::Come(held) => {
                    self.set(Stage::Come(held));
                    return Ok(());
                }
                Turn::TooLate(wait) => return Err(self.keys.too_late(py, by, seconds(wait))),
                Turn::Never => return Err(self.never(py, &classes, by)),
                Turn::Gone => self.join(py, &classes, parker.clone().into(), 0)?,
                Turn::Wait(place, nanos) => {
                    let timer = limiter.core().clock().timer_ns(nanos).unwrap_or(u64::MAX);
                    leaving::outside(py, || parker.park(Some(timer.min(CHUNK_NS))));
                    let go_on = py.check_signals().and_then(|()| limiter.home().heed(py));
                    go_on.inspect_err(|_| drop(self.keys.leave(py, limiter, place)))?;
                    self.keys.look(py, limiter, self.ask(), &classes, place)?
                }
            };
        }
    }

    /// What is held since the turn has come, once.
    fn _held(&self) -> Option<Reservation> {
        let (stage, home) = (self.set(Stage::Over), self.limiter.get().home());
        if let Stage::Come(held) = stage { held.map(|held| Reservation::new(held, home.clone())) } else { None }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if matches!(*self.stage.get_mut(), Stage::At(..)) {
            Python::try_attach(|py| self.leave(py));
        }
    }
}
