//! `Pacing` and `Turn`: what `tollbar.pacing.RateLimiter` and `ThreadSafeRateLimiter` are made of.
//!
//! A turn is one `with` block. Whose turn it is when is decided in the core; here a thread is parked, or a callable is
//! called that lets a task go on.

use std::sync::Arc;
use std::task::Waker;

use parking_lot::Mutex;
use pyo3::exceptions::{PyException, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{IntoPyDict, PyByteArray, PyBytes, PyDict, PyInt, PyString, PyType};

use super::convert;
use super::inherited::Home;
use super::leaving;
use super::parked::{CHUNK_NS, Call};
use crate::clock::Clock;
use crate::pacing::{Joined, Look, Pacer, Permit, Ticket};
use crate::parker::Parker;
use crate::ticks;

/// The drop-in has no keys.
const KEY: &[u8] = b"";

#[doc = stub!("Pacing")]
#[pyclass(frozen, subclass, weakref, module = "tollbar.pacing")]
pub(super) struct Pacing(Pacer, Home);

#[pymethods]
impl Pacing {
    #[new]
    #[pyo3(
        signature = (per_second_rate, min_duration_ms_between_requests=None, *, enforce_spacing=None, headroom_ms=None,
                     clock=None),
        text_signature = "(per_second_rate, min_duration_ms_between_requests=0, *, enforce_spacing=False, \
                          headroom_ms=50.0, clock=None)"
    )]
    fn new(
        per_second_rate: &Bound<'_, PyAny>,
        min_duration_ms_between_requests: Option<&Bound<'_, PyAny>>,
        enforce_spacing: Option<&Bound<'_, PyAny>>,
        headroom_ms: Option<&Bound<'_, PyAny>>,
        clock: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let rate = convert::whole("per_second_rate", per_second_rate)?;
        let spacing = min_duration_ms_between_requests
            .map_or(Ok(0), |spacing| milliseconds("min_duration_ms_between_requests", spacing))?;
        let pacer = Pacer::new(rate, 1_000_000_000, convert::clock(clock)?);
        let mut pacer = pacer.map_err(|error| convert::renamed(error, "permits", "per_second_rate"))?;
        if convert::flag("enforce_spacing", enforce_spacing)? {
            pacer = pacer.spacing(spacing);
        }
        if let Some(headroom) = headroom_ms {
            pacer = pacer.headroom(milliseconds("headroom_ms", headroom)?);
        }
        Ok(Self(pacer, Home::here()))
    }

    fn _turn(slf: &Bound<'_, Self>, timeout_ms: &Bound<'_, PyAny>) -> PyResult<Turn> {
        slf.get().1.heed(slf.py());
        let timeout = timeout("timeout_ms", timeout_ms)?;
        Ok(Turn { limiter: slf.clone().unbind(), timeout, stage: Mutex::new(Stage::New) })
    }

    #[doc = stub!("Pacing.record_latency")]
    fn record_latency(&self, latency_ms: &Bound<'_, PyAny>) -> PyResult<()> {
        Ok(self.0.record_latency(KEY, milliseconds("latency_ms", latency_ms)?)?)
    }

    #[doc = stub!("Pacing.record_rejected")]
    #[pyo3(signature = (retry_after=None))]
    fn record_rejected(&self, retry_after: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let retry_after = retry_after.map(|said| seconds_or_text(said, self.0.clock())).transpose()?;
        Ok(self.0.record_rejected(KEY, retry_after.flatten())?)
    }

    #[doc = stub!("Pacing.stats")]
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = self.0.stats(KEY)?;
        let dict = [
            ("granted", stats.granted),
            ("refused", stats.refused),
            ("timed_out", stats.timed_out),
            ("waiting", stats.waiting as u64),
            ("in_flight", stats.in_flight as u64),
            ("in_use", stats.in_use as u64),
        ]
        .into_py_dict(py)?;
        dict.set_item("headroom", stats.headroom_ns as f64 / 1e9)?;
        dict.set_item("blocked", convert::seconds_up(stats.blocked_ns))?;
        Ok(dict)
    }
}

/// Milliseconds of at least 0 as whole nanoseconds.
fn milliseconds(name: &str, value: &Bound<'_, PyAny>) -> PyResult<u64> {
    let number = convert::number(name, value)?;
    let nanos = ticks::nanos(number / 1e3).and_then(|nanos| u64::try_from(nanos).ok());
    nanos.map_or_else(
        || {
            Err(PyValueError::new_err(format!(
                "{name} must be a finite number of at least 0 ms, not {}",
                value.repr()?
            )))
        },
        Ok,
    )
}

/// Milliseconds to wait at most; 0, less and infinity are no limit.
fn timeout(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Option<u64>> {
    let number = convert::number(name, value)?;
    if number.is_nan() {
        return Err(PyValueError::new_err(format!("{name} must be a number of milliseconds, not nan")));
    }
    // What is too long for a count of nanoseconds is longer than anybody waits.
    Ok((number > 0.0).then(|| ticks::nanos(number / 1e3)).flatten().and_then(|nanos| u64::try_from(nanos).ok()))
}

/// What a server asked for, as a number of seconds or as the text of a header; `None` for a text that cannot be read. A number
/// is the caller's own, so a bad one is an error; a text is the server's.
fn seconds_or_text(value: &Bound<'_, PyAny>, clock: &Clock) -> PyResult<Option<u64>> {
    let module = value.py().import("tollbar._retry_after")?;
    let is_text = value.is_instance_of::<PyString>() || value.is_instance_of::<PyBytes>();
    if is_text || value.is_instance_of::<PyByteArray>() {
        let unix = clock.unix_ns() as f64 / 1e9;
        let seconds = module.call_method1("seconds", (value, unix))?;
        return if seconds.is_none() { Ok(None) } else { convert::duration("retry_after", &seconds).map(Some) };
    }
    let number = convert::number("retry_after", value)?;
    let longest = module.getattr("LONGEST")?;
    let is_long = (number.is_finite() || value.is_instance_of::<PyInt>()) && value.gt(&longest)?;
    convert::duration("retry_after", if is_long { &longest } else { value }).map(Some)
}

/// The exception, made once.
pub(super) fn timeout_class(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let make = || {
        let base = py.get_type::<PyException>();
        let class = PyErr::new_type(py, c"tollbar.pacing.RateLimiterTimeout", None, Some(&base), None)?;
        class.setattr(py, "__doc__", stub!("RateLimiterTimeout"))?;
        class.setattr(py, "retry_after", py.None())?;
        Ok::<_, PyErr>(class)
    };
    Ok(CLASS.get_or_try_init(py, make)?.bind(py))
}

/// The exception for a turn that would come in so many nanoseconds.
fn too_late(py: Python<'_>, timeout: Option<u64>, wait: u64) -> PyErr {
    let retry_after = convert::seconds_up(wait);
    let waited = timeout.unwrap_or(0) as f64 / 1e6;
    let message = format!("no permit within {waited} ms: the turn would come in {retry_after:.3} s");
    let make = || {
        let exception = timeout_class(py)?.call1((message,))?;
        exception.setattr("retry_after", retry_after)?;
        Ok(PyErr::from_value(exception))
    };
    make().unwrap_or_else(|error: PyErr| error)
}

#[doc = stub!("Turn")]
#[pyclass(frozen, module = "tollbar.pacing")]
pub(super) struct Turn {
    limiter: Py<Pacing>,
    timeout: Option<u64>,
    stage: Mutex<Stage>,
}

#[derive(Clone, Copy)]
enum Stage {
    New,
    Waiting(Ticket),
    Holding(Permit),
    Over,
}

impl Turn {
    fn core(&self) -> &Pacer {
        &self.limiter.get().0
    }

    fn set(&self, stage: Stage) -> Stage {
        std::mem::replace(&mut self.stage.lock(), stage)
    }

    /// Takes a permit, or joins the queue; true for a permit.
    fn start(&self, py: Python<'_>, waker: impl FnOnce() -> Waker) -> PyResult<bool> {
        {
            let mut stage = self.stage.lock();
            if !matches!(*stage, Stage::New) {
                return Err(PyRuntimeError::new_err("a turn is entered once; call acquire() again"));
            }
            *stage = Stage::Over;
        }
        if let Some(permit) = self.core().try_acquire(KEY)? {
            self.set(Stage::Holding(permit));
            return Ok(true);
        }
        match self.core().join(KEY, self.timeout, waker())? {
            Joined::Waiting(ticket) => {
                self.set(Stage::Waiting(ticket));
                Ok(false)
            }
            Joined::TooLate(wait) => Err(too_late(py, self.timeout, wait)),
        }
    }

    /// `None`: the permit is here; else in how many nanoseconds to look again, if not woken before.
    fn check(&self, py: Python<'_>) -> PyResult<Option<u64>> {
        let stage = *self.stage.lock();
        let Stage::Waiting(ticket) = stage else {
            return Err(PyRuntimeError::new_err("this turn does not wait"));
        };
        match self.core().look(KEY, ticket)? {
            Look::Granted(permit) => {
                self.set(Stage::Holding(permit));
                Ok(None)
            }
            Look::Wait(nanos) => Ok(Some(nanos.unwrap_or(u64::MAX))),
            Look::TooLate(wait) => {
                self.set(Stage::Over);
                Err(too_late(py, self.timeout, wait))
            }
            Look::Gone => {
                self.set(Stage::Over);
                Err(PyRuntimeError::new_err("the place in the queue was lost in a fork"))
            }
        }
    }

    /// Gives back whatever there is, on every way out.
    fn finish(&self, answered: bool) {
        // A key that was taken is one that can be given back.
        let _ = match self.set(Stage::Over) {
            Stage::Waiting(ticket) => self.core().leave(KEY, ticket),
            Stage::Holding(permit) => self.core().end(KEY, permit, answered),
            Stage::New | Stage::Over => Ok(false),
        };
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.finish(false);
    }
}

#[pymethods]
impl Turn {
    fn __enter__(&self, py: Python<'_>) -> PyResult<Py<Pacing>> {
        let parker = Arc::new(Parker::new());
        if !self.start(py, || parker.clone().into())? {
            while let Some(nanos) = self.check(py)? {
                leaving::outside(py, || parker.park(Some(nanos.min(CHUNK_NS))));
                py.check_signals().inspect_err(|_| self.finish(false))?;
            }
        }
        Ok(self.limiter.clone_ref(py))
    }

    fn __exit__(&self, kind: &Bound<'_, PyAny>, _value: &Bound<'_, PyAny>, _traceback: &Bound<'_, PyAny>) {
        self.finish(kind.is_none());
    }

    fn _start(&self, py: Python<'_>, wake: Py<PyAny>) -> PyResult<bool> {
        self.start(py, || Arc::new(Call(wake)).into())
    }

    fn _look(&self, py: Python<'_>) -> PyResult<Option<f64>> {
        let seconds = |nanos| if nanos == u64::MAX { f64::INFINITY } else { convert::seconds_up(nanos) };
        Ok(self.check(py)?.map(seconds))
    }

    fn _finish(&self, answered: bool) {
        self.finish(answered);
    }
}
