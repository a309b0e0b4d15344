//! What a wait is for: the turn of one key, or that of several keys.

use std::sync::Arc;
use std::task::Waker;

use pyo3::prelude::*;
use pyo3::types::PyString;

use super::limiter::Limiter;
use super::{batch, convert};
use crate::decision::Reason;
use crate::limiter::{Ask, ClassId, JointTurn, Place, check_all};

/// The keys of a wait.
pub(super) enum Awaited {
    One(Py<PyString>),
    All(Vec<Py<PyString>>),
}

/// The classes that unknown ones of them get.
#[derive(Clone)]
pub(super) enum Classes {
    One(ClassId),
    All(Arc<[ClassId]>),
}

impl Classes {
    fn of(&self, number: usize) -> ClassId {
        match self {
            Self::One(class) => *class,
            Self::All(classes) => classes[number],
        }
    }
}

impl Awaited {
    /// Several keys, each once. Keys that are refused are refused here.
    pub(super) fn all(keys: &Bound<'_, PyAny>) -> PyResult<Self> {
        let keys = batch::texts(keys)?;
        let names = keys.iter().map(convert::key).collect::<PyResult<Vec<_>>>()?;
        check_all(&names).map_err(|error| batch::located(error, &names))?;
        drop(names);
        Ok(Self::All(keys.into_iter().map(Bound::unbind).collect()))
    }

    /// The key of this number.
    pub(super) fn key<'a, 'py>(&'a self, py: Python<'py>, number: usize) -> &'a Bound<'py, PyString> {
        match self {
            Self::One(key) => key.bind(py),
            Self::All(keys) => keys[number].bind(py),
        }
    }

    /// Runs the caller's code, so never under a lock.
    pub(super) fn classes(&self, py: Python<'_>, limiter: &Limiter) -> PyResult<Classes> {
        Ok(match self {
            Self::One(key) => Classes::One(limiter.class(key.bind(py))?),
            Self::All(keys) => {
                Classes::All(keys.iter().map(|key| limiter.class(key.bind(py))).collect::<PyResult<_>>()?)
            }
        })
    }

    pub(super) fn join(
        &self,
        py: Python<'_>,
        limiter: &Limiter,
        ask: Ask<'_>,
        classes: &Classes,
        waker: Waker,
    ) -> PyResult<JointTurn> {
        let core = limiter.core();
        Ok(match self {
            Self::One(key) => core.join(convert::key(key.bind(py))?, ask, classes.of(0), waker)?.into(),
            Self::All(keys) => core.join_all(&names(py, keys)?, ask, |number| classes.of(number), waker)?,
        })
    }

    pub(super) fn look(
        &self,
        py: Python<'_>,
        limiter: &Limiter,
        ask: Ask<'_>,
        classes: &Classes,
        place: Place,
    ) -> PyResult<JointTurn> {
        let core = limiter.core();
        Ok(match self {
            Self::One(key) => core.look(convert::key(key.bind(py))?, ask, place)?.into(),
            Self::All(keys) => core.look_all(&names(py, keys)?, |number| classes.of(number), place)?,
        })
    }

    /// Keys that were let in are no error.
    pub(super) fn leave(&self, py: Python<'_>, limiter: &Limiter, place: Place) -> PyResult<bool> {
        let core = limiter.core();
        Ok(match self {
            Self::One(key) => core.leave(convert::key(key.bind(py))?, place)?,
            Self::All(keys) => core.leave_all(&names(py, keys)?, place)?,
        })
    }

    /// The exception for the turn of this key that would come in so many seconds.
    pub(super) fn too_late(&self, py: Python<'_>, number: usize, seconds: f64) -> PyErr {
        let make = || {
            let class = py.import("tollbar._late")?.getattr("AcquireTimeout")?;
            Ok(PyErr::from_value(class.call1((self.key(py, number), seconds))?))
        };
        make().unwrap_or_else(|error: PyErr| error)
    }

    /// The exception for a cost that no wait for this key helps.
    pub(super) fn never(
        &self,
        py: Python<'_>,
        limiter: &Limiter,
        ask: Ask<'_>,
        (classes, number): (&Classes, usize),
    ) -> PyErr {
        let make = || {
            let (module, key) = (py.import("tollbar._late")?, self.key(py, number));
            let Some((limit, cost)) = limiter.core().too_small(convert::key(key)?, ask, classes.of(number))? else {
                return Ok(self.too_late(py, number, f64::INFINITY));
            };
            let measure = if limit.reason() == Reason::Rate { "burst" } else { "limit" };
            let arguments = (key, cost, limit.name(), limit.capacity(), measure);
            Ok(PyErr::from_value(module.getattr("NeverFits")?.call1(arguments)?))
        };
        make().unwrap_or_else(|error: PyErr| error)
    }
}

fn names<'a>(py: Python<'a>, keys: &'a [Py<PyString>]) -> PyResult<Vec<&'a [u8]>> {
    keys.iter().map(|key| convert::key(key.bind(py))).collect()
}
