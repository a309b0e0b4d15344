//! What a limiter shows: its totals, the state of each limit of a key, and the keys themselves.

use std::collections::VecDeque;

use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyDict};

use super::convert::{self, seconds_up};
use super::limiter::Limiter;
use crate::decision::NEVER;
use crate::limiter;

/// Totals of a limiter.
pub(super) fn stats<'py>(limiter: &limiter::Limiter, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
    let stats = limiter.stats();
    [
        ("allowed", stats.allowed),
        ("denied", stats.denied),
        ("shadow_denied", stats.shadow_denied),
        ("evicted", stats.evicted),
        ("forgiven", stats.forgiven),
        ("full", stats.full),
        ("keys", stats.keys),
        ("own_limits", stats.own_limits),
        ("most_looks", stats.most_looks.into()),
    ]
    .into_py_dict(py)
}

#[doc = stub!("LimitState")]
#[pyclass(frozen, module = "tollbar")]
pub(super) struct LimitState(limiter::LimitState);

impl LimitState {
    pub(super) fn new(state: limiter::LimitState) -> Self {
        Self(state)
    }
}

#[pymethods]
impl LimitState {
    #[doc = stub!("LimitState.name")]
    #[getter]
    fn name(&self) -> &str {
        &self.0.name
    }

    #[doc = stub!("LimitState.kind")]
    #[getter]
    fn kind(&self) -> &'static str {
        self.0.kind.as_str()
    }

    #[doc = stub!("LimitState.limit")]
    #[getter]
    fn limit(&self) -> u64 {
        self.0.limit
    }

    #[doc = stub!("LimitState.used")]
    #[getter]
    fn used(&self) -> u64 {
        self.0.used
    }

    #[doc = stub!("LimitState.remaining")]
    #[getter]
    fn remaining(&self) -> u64 {
        self.0.remaining
    }

    #[doc = stub!("LimitState.reset_after")]
    #[getter]
    fn reset_after(&self) -> f64 {
        seconds(self.0.reset_after_ns)
    }

    #[doc = stub!("LimitState.retry_after")]
    #[getter]
    fn retry_after(&self) -> f64 {
        seconds(self.0.retry_after_ns)
    }

    #[doc = stub!("LimitState.estimated")]
    #[getter]
    fn estimated(&self) -> bool {
        self.0.estimated
    }

    #[doc = stub!("LimitState.can_pass")]
    #[getter]
    fn can_pass(&self) -> bool {
        self.0.can_pass
    }

    #[doc = stub!("LimitState.shadow")]
    #[getter]
    fn shadow(&self) -> bool {
        self.0.shadow
    }

    fn __repr__(&self) -> String {
        format!(
            "LimitState(name={:?}, kind='{}', limit={}, used={}, remaining={}, reset_after={:?}, retry_after={:?}{})",
            self.name(),
            self.kind(),
            self.limit(),
            self.used(),
            self.remaining(),
            self.reset_after(),
            self.retry_after(),
            if self.shadow() { ", shadow=True" } else { "" },
        )
    }
}

fn seconds(nanos: u64) -> f64 {
    if nanos == NEVER { f64::INFINITY } else { seconds_up(nanos) }
}

/// An iterator over the keys of a limiter: a part of the table at a time.
#[pyclass(frozen, module = "tollbar")]
pub(super) struct Keys {
    limiter: Py<Limiter>,
    walk: Mutex<Walk>,
}

#[derive(Default)]
struct Walk {
    next_part: usize,
    listed: VecDeque<Vec<u8>>,
}

impl Keys {
    pub(super) fn new(limiter: Py<Limiter>) -> Self {
        Self { limiter, walk: Mutex::default() }
    }
}

#[pymethods]
impl Keys {
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self) -> Option<String> {
        let (mut walk, core) = (self.walk.lock(), self.limiter.get().core());
        while walk.listed.is_empty() && walk.next_part < core.parts() {
            walk.listed = core.keys_in(walk.next_part).into();
            walk.next_part += 1;
        }
        walk.listed.pop_front().map(|key| convert::text(&key).into_owned())
    }
}
