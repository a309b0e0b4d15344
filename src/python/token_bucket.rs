//! `TokenBucket`: one bucket, of its own or an account of a `RateLimiter`.

use pyo3::prelude::*;
use pyo3::types::{PyDateTime, PyDict};

use super::awaitable::Ready;
use super::convert::{self, Tokens};
use super::fork;
use super::inherited::{Home, Made};
use crate::bucket::Bucket;
use crate::limit::Rate;
use crate::limiter::State;
use crate::policy::Policy;

#[doc = stub!("TokenBucket")]
#[pyclass(frozen, subclass, weakref, eq, hash, module = "tollbar")]
#[derive(PartialEq)]
pub(super) struct TokenBucket(pub(super) Bucket, Home);

impl Made for TokenBucket {
    fn home(&self) -> Home {
        self.1
    }
}

impl std::hash::Hash for TokenBucket {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.identity().hash(state);
    }
}

/// What an account holds, as the original's `get_state` shows it.
pub(super) fn state_dict<'py>(py: Python<'py>, state: &State) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("tokens", state.tokens)?;
    dict.set_item("capacity", state.capacity)?;
    dict.set_item("refill_rate", state.refill_per_second)?;
    Ok(dict)
}

impl TokenBucket {
    /// An account of a limiter that was made there.
    pub(super) fn of(bucket: Bucket, home: Home) -> Self {
        Self(bucket, home)
    }

    /// Takes tokens in a call from the interpreter.
    #[inline]
    pub(super) fn charged(&self, tokens: u64) -> bool {
        if fork::is_alone() { self.0.try_acquire_alone(tokens) } else { self.0.try_acquire(tokens) }
    }
}

#[pymethods]
impl TokenBucket {
    #[new]
    #[pyo3(signature = (capacity, refill_rate, *, clock=None))]
    fn new(
        capacity: &Bound<'_, PyAny>,
        refill_rate: &Bound<'_, PyAny>,
        clock: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let capacity = convert::whole("capacity", capacity)?;
        let rate = Rate::per_second(convert::number("refill_rate", refill_rate)?, capacity)?;
        let policy = Policy::rate(rate).map_err(|error| convert::renamed(error, "burst", "capacity"))?;
        Ok(Self(Bucket::new(policy, convert::clock(clock)?), Home::here()))
    }

    #[doc = stub!("TokenBucket.acquire")]
    #[pyo3(signature = (tokens=Tokens(1), timeout=None), text_signature = "($self, tokens=1, timeout=1.0)")]
    fn acquire(&self, py: Python<'_>, tokens: Tokens, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Py<PyAny>> {
        let _ = timeout; // the original takes one and answers at once; so does this
        if self.0.try_acquire(tokens.0) { Ready::yes(py) } else { Ready::no(py) }
    }

    #[doc = stub!("TokenBucket.try_acquire")]
    #[pyo3(signature = (tokens=Tokens(1)), text_signature = "($self, tokens=1)")]
    fn try_acquire(&self, tokens: Tokens) -> bool {
        self.0.try_acquire(tokens.0)
    }

    #[doc = stub!("TokenBucket._refill")]
    fn _refill(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ready::value(py, py.None())
    }

    #[doc = stub!("TokenBucket.get_state")]
    fn get_state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        state_dict(py, &self.0.state())
    }

    #[doc = stub!("TokenBucket.tokens")]
    #[getter]
    fn tokens(&self) -> f64 {
        self.0.state().tokens
    }

    #[doc = stub!("TokenBucket.capacity")]
    #[getter]
    fn capacity(&self) -> u64 {
        self.0.state().capacity
    }

    #[doc = stub!("TokenBucket.refill_rate")]
    #[getter]
    fn refill_rate(&self) -> f64 {
        self.0.state().refill_per_second
    }

    #[doc = stub!("TokenBucket.last_refill")]
    #[getter]
    fn last_refill<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDateTime>> {
        convert::datetime(py, self.0.clock().unix_ns())
    }

    fn __repr__(&self) -> String {
        let state = self.0.state();
        format!(
            "TokenBucket(capacity={}, refill_rate={:?}, tokens={:.3})",
            state.capacity, state.refill_per_second, state.tokens
        )
    }
}
