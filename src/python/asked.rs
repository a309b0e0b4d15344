//! The arguments of requests that wait or hold: priorities, timeouts, leases.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyString};

use super::convert::{self, Priority};
use crate::limiter::Ask;
use crate::policy;

/// What is waited for, and for how long at most. A key that is refused is refused here.
pub(super) fn asked(
    key: &Bound<'_, PyString>,
    cost: &policy::Cost,
    timeout: Option<&Bound<'_, PyAny>>,
    priority: Priority,
) -> PyResult<Ask<'static>> {
    convert::key(key)?;
    asked_of_all(cost, timeout, priority)
}

/// The same for keys that were looked at before.
pub(super) fn asked_of_all(
    cost: &policy::Cost,
    timeout: Option<&Bound<'_, PyAny>>,
    priority: Priority,
) -> PyResult<Ask<'static>> {
    let timeout = match timeout {
        Some(timeout) if !is_infinite(timeout) => Some(convert::duration("timeout", timeout)?),
        _ => None,
    };
    Ok(Ask::new(cost.each()).timeout_ns(timeout).priority(priority.0)?)
}

pub(super) fn is_infinite(value: &Bound<'_, PyAny>) -> bool {
    value.cast::<PyFloat>().is_ok_and(|float| float.value() == f64::INFINITY)
}

/// How long a reservation lasts (`None`: until it is ended), and whether it is given back then.
pub(super) fn terms(lease: Option<&Bound<'_, PyAny>>, lost: &str) -> PyResult<(Option<u64>, bool)> {
    let gives_back = match lost {
        "sent" => false,
        "returned" => true,
        other => return Err(PyValueError::new_err(format!("lost must be 'sent' or 'returned', not {other:?}"))),
    };
    Ok((lease_ns(lease)?, gives_back))
}

/// The argument `lease` in nanoseconds; None and infinity: until the reservation is ended.
pub(super) fn lease_ns(lease: Option<&Bound<'_, PyAny>>) -> PyResult<Option<u64>> {
    lease.filter(|lease| !is_infinite(lease)).map(|lease| convert::duration("lease", lease)).transpose()
}
