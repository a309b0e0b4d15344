//! `ManualClock`: time that a test moves by hand.

use std::sync::Arc;

use pyo3::prelude::*;

use super::convert;
use crate::clock::{self, Clock};

#[doc = stub!("ManualClock")]
#[pyclass(frozen, module = "tollbar")]
pub(super) struct ManualClock(Arc<clock::ManualClock>);

impl ManualClock {
    pub(super) fn clock(&self) -> Clock {
        Clock::Manual(self.0.clone())
    }
}

#[pymethods]
impl ManualClock {
    #[new]
    #[pyo3(signature = (start=None, unix=None), text_signature = "(start=0.0, unix=0.0)")]
    fn new(start: Option<&Bound<'_, PyAny>>, unix: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let read = |name, value: Option<&Bound<'_, PyAny>>| value.map_or(Ok(0), |value| convert::duration(name, value));
        Ok(Self(Arc::new(clock::ManualClock::new(read("start", start)?, read("unix", unix)?))))
    }

    #[doc = stub!("ManualClock.advance")]
    fn advance(&self, seconds: &Bound<'_, PyAny>) -> PyResult<()> {
        self.0.advance_ns(convert::nanos("seconds", seconds)?);
        Ok(())
    }

    #[doc = stub!("ManualClock.advance_ns")]
    fn advance_ns(&self, nanoseconds: i64) {
        self.0.advance_ns(nanoseconds);
    }

    #[doc = stub!("ManualClock.now")]
    fn now(&self) -> f64 {
        self.0.now_ns() as f64 / 1e9
    }

    #[doc = stub!("ManualClock.now_ns")]
    fn now_ns(&self) -> u64 {
        self.0.now_ns()
    }

    #[doc = stub!("ManualClock.unix")]
    fn unix(&self) -> f64 {
        self.0.unix_ns() as f64 / 1e9
    }

    fn __repr__(&self) -> String {
        format!("ManualClock(start={:?}, unix={:?})", self.now(), self.unix())
    }
}
