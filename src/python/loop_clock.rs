//! `LoopClock`: the time of an event loop, which a test may make virtual.
//!
//! The core reads an [`ExternalClock`]. Every Python call of a limiter that goes by a loop first asks the loop for its time
//! and writes it there (`Home::heed`), so no Python code runs while a stripe is locked.

use std::sync::Arc;

use parking_lot::Mutex;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use super::convert;
use crate::clock::{Clock, ExternalClock};
use crate::ticks;

#[doc = stub!("LoopClock")]
#[pyclass(frozen, module = "tollbar")]
pub(super) struct LoopClock(Arc<Follower>);

/// What brings the core's clock to the loop's time.
pub(super) struct Follower {
    core: Arc<ExternalClock>,
    /// The loop that was given; `None` takes the one that runs at the first use.
    given: Option<Py<PyAny>>,
    unix: Option<u64>,
    source: Mutex<Option<Arc<Source>>>,
}

/// A loop's time, and what the clock read when it began to follow that loop.
struct Source {
    time: Py<PyAny>,
    /// Whether the loop has ended; `None` for a loop that was given.
    is_over: Option<Py<PyAny>>,
    began_at: i64,
    now: u64,
    unix: u64,
}

impl LoopClock {
    pub(super) fn clock(&self) -> Clock {
        Clock::External(self.0.core.clone())
    }

    pub(super) fn follower(&self) -> Arc<Follower> {
        self.0.clone()
    }
}

/// What a loop's `time` reads, in nanoseconds.
fn reading(time: &Bound<'_, PyAny>) -> PyResult<i64> {
    let read = time.call0()?;
    match read.extract::<f64>().ok().and_then(ticks::nanos) {
        Some(nanos) => Ok(nanos),
        None => Err(PyValueError::new_err(format!("loop.time() must be a number of seconds, not {}", read.repr()?))),
    }
}

impl Follower {
    /// Brings the core's clock to the loop's time. Runs the loop's code.
    pub(super) fn follow(&self, py: Python<'_>) -> PyResult<()> {
        let source = self.source(py)?;
        let passed = reading(source.time.bind(py))?.saturating_sub(source.began_at);
        // A loop whose time goes back, or has not begun, stands still here.
        let passed = u64::try_from(passed).unwrap_or(0);
        self.core.set(source.now.saturating_add(passed), source.unix.saturating_add(passed));
        Ok(())
    }

    /// The loop to ask. Where the last one has ended, the one that runs now goes on from the last reading.
    fn source(&self, py: Python<'_>) -> PyResult<Arc<Source>> {
        let before = self.source.lock().clone();
        let (time, is_over) = match (&before, &self.given) {
            (Some(source), _) if !source.is_over(py)? => return Ok(source.clone()),
            (_, Some(given)) => (given.bind(py).getattr("time")?, None),
            (None, None) => running(py)?,
            // Between two loops its time stands still.
            (Some(source), None) => match running(py) {
                Ok(running) => running,
                Err(_) => return Ok(source.clone()),
            },
        };
        let began_at = reading(&time)?;
        let (now, unix) = match &before {
            Some(_) => (self.core.now_ns(), self.core.unix_ns()),
            None => (u64::try_from(began_at).unwrap_or(0), self.unix.unwrap_or_else(|| Clock::Monotonic.unix_ns())),
        };
        let (time, is_over) = (time.unbind(), is_over.map(Bound::unbind));
        let source = Arc::new(Source { time, is_over, began_at, now, unix });
        let mut kept = self.source.lock();
        // Of several threads that notice, one is first.
        let is_first = match (&*kept, &before) {
            (Some(kept), Some(before)) => Arc::ptr_eq(kept, before),
            (kept, before) => kept.is_none() && before.is_none(),
        };
        if !is_first {
            return kept.clone().map_or_else(|| Ok(source), Ok);
        }
        *kept = Some(source.clone());
        Ok(source)
    }
}

impl Source {
    fn is_over(&self, py: Python<'_>) -> PyResult<bool> {
        self.is_over.as_ref().map_or(Ok(false), |is_over| is_over.call0(py)?.is_truthy(py))
    }
}

/// The running loop's time, and what tells that it has ended.
fn running(py: Python<'_>) -> PyResult<(Bound<'_, PyAny>, Option<Bound<'_, PyAny>>)> {
    static RUNNING: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let running =
        RUNNING.get_or_try_init(py, || Ok::<_, PyErr>(py.import("tollbar._loops")?.getattr("running")?.unbind()))?;
    let (time, is_over) = running.bind(py).call0()?.extract()?;
    Ok((time, Some(is_over)))
}

#[pymethods]
impl LoopClock {
    #[new]
    #[pyo3(signature = (r#loop=None, *, unix=None), text_signature = "(loop=None, *, unix=None)")]
    fn new(r#loop: Option<Bound<'_, PyAny>>, unix: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        if let Some(given) = &r#loop
            && !given.getattr_opt("time")?.is_some_and(|time| time.is_callable())
        {
            let message = format!("loop must be an event loop, whose time() is read, or None, not {}", given.repr()?);
            return Err(PyTypeError::new_err(message));
        }
        let unix = unix.map(|unix| convert::duration("unix", unix)).transpose()?;
        let (core, given) = (Arc::default(), r#loop.map(Bound::unbind));
        Ok(Self(Arc::new(Follower { core, given, unix, source: Mutex::new(None) })))
    }

    #[doc = stub!("LoopClock.now")]
    fn now(&self, py: Python<'_>) -> PyResult<f64> {
        Ok(self.now_ns(py)? as f64 / 1e9)
    }

    #[doc = stub!("LoopClock.now_ns")]
    fn now_ns(&self, py: Python<'_>) -> PyResult<u64> {
        self.0.follow(py)?;
        Ok(self.0.core.now_ns())
    }

    #[doc = stub!("LoopClock.unix")]
    fn unix(&self, py: Python<'_>) -> PyResult<f64> {
        self.0.follow(py)?;
        Ok(self.0.core.unix_ns() as f64 / 1e9)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        match &self.0.given {
            Some(given) => Ok(format!("LoopClock({})", given.bind(py).repr()?)),
            None => Ok("LoopClock()".to_owned()),
        }
    }
}
