//! `SlidingWindow`: what `tollbar.sliding_window.RateLimiter` is made of, the drop-in for a dispatcher's limiter.

use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyInt, PyString};
use pyo3::{Borrowed, intern};

use super::answered::{Usual, answered};
use super::awaitable::Ready;
use super::convert::{self, AccountId};
use super::inherited::Home;
use crate::history::{Limits, Plan, Planned, SendHistory};
use crate::limit::Runs;

#[doc = stub!("SlidingWindow")]
#[pyclass(frozen, subclass, weakref, module = "tollbar")]
pub(super) struct SlidingWindow(SendHistory, Home);

/// An account as it is handed over: a dict as a rule, or any other mapping.
struct Account<'a, 'py> {
    mapping: &'a Bound<'py, PyAny>,
    dict: Option<Borrowed<'a, 'py, PyDict>>,
}

impl<'a, 'py> Account<'a, 'py> {
    #[inline]
    fn new(mapping: &'a Bound<'py, PyAny>) -> Self {
        Self { mapping, dict: mapping.cast_exact::<PyDict>().ok().map(Bound::as_borrowed) }
    }

    #[inline]
    fn get(&self, name: &Bound<'py, PyString>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let value = match self.dict {
            Some(dict) => dict.get_item(name)?,
            None => Some(self.mapping.call_method1(intern!(name.py(), "get"), (name,))?),
        };
        Ok(value.filter(|value| !value.is_none()))
    }

    #[inline]
    fn id(&self) -> PyResult<Bound<'py, PyString>> {
        let id = self.mapping.get_item(intern!(self.mapping.py(), "id"))?;
        id.cast_into().map_err(|error| convert::wrong_type("id", "text", &error.into_inner()))
    }

    #[inline]
    fn limits(&self) -> PyResult<Limits> {
        let py = self.mapping.py();
        Ok(Limits([
            self.limit("limit_per_minute", intern!(py, "limit_per_minute"))?,
            self.limit("limit_per_hour", intern!(py, "limit_per_hour"))?,
            self.limit("limit_per_day", intern!(py, "limit_per_day"))?,
        ]))
    }

    /// A limit, 0 if there is none.
    #[inline]
    fn limit(&self, name: &str, key: &Bound<'py, PyString>) -> PyResult<u64> {
        let Some(value) = self.get(key)? else { return Ok(0) };
        match value.cast_exact::<PyInt>() {
            Ok(int) => int.extract::<i64>().map_or_else(|_| huge(int), |limit| Ok(u64::try_from(limit).unwrap_or(0))),
            Err(_) => text_limit(name, &value),
        }
    }

    #[cold]
    fn rejects(&self) -> PyResult<bool> {
        let py = self.mapping.py();
        let behavior = self.get(intern!(py, "limit_behavior"))?;
        behavior.map_or(Ok(false), |behavior| behavior.eq(intern!(py, "reject")))
    }
}

/// A limit beyond 63 bits: it can as well be 64, or none.
#[cold]
fn huge(int: &Bound<'_, PyInt>) -> PyResult<u64> {
    Ok(if int.gt(0)? { u64::MAX } else { 0 })
}

/// Numeric text, and whatever else `int` takes.
#[cold]
fn text_limit(name: &str, value: &Bound<'_, PyAny>) -> PyResult<u64> {
    let py = value.py();
    let number = py.get_type::<PyInt>().call1((value,)).and_then(|int| Ok(int.cast_into::<PyInt>()?));
    match number {
        Ok(int) => int.extract::<i64>().map_or_else(|_| huge(&int), |limit| Ok(u64::try_from(limit).unwrap_or(0))),
        Err(error) => {
            let message = format!("{name} must be a whole number or None, not {}", value.repr()?);
            let named = if error.is_instance_of::<PyTypeError>(py) {
                PyTypeError::new_err(message)
            } else if error.is_instance_of::<PyValueError>(py) || error.is_instance_of::<PyOverflowError>(py) {
                PyValueError::new_err(message)
            } else {
                return Err(error);
            };
            named.set_cause(py, Some(error));
            Err(named)
        }
    }
}

/// `(None, False)`.
static MAY_SEND: Usual = Usual::new();
/// `None`.
static DONE: Usual = Usual::new();

fn texts(keys: &[Box<[u8]>]) -> Vec<String> {
    keys.iter().map(|key| convert::text(key).into_owned()).collect()
}

#[inline]
fn done(py: Python<'_>) -> PyResult<Py<PyAny>> {
    DONE.answered(py, || Ok(py.None()))
}

impl SlidingWindow {
    #[inline]
    fn planned(&self, account: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let py = account.py();
        let account = Account::new(account);
        let (id, limits) = (account.id()?, account.limits()?);
        match self.0.check(convert::key(&id)?, &limits)? {
            Planned::Now => MAY_SEND.answered(py, || Ok((py.None(), false).into_pyobject(py)?.into_any().unbind())),
            Planned::Later(until) => answered(py, (until, account.rejects()?).into_pyobject(py)?.into_any().unbind()),
        }
    }
}

#[pymethods]
impl SlidingWindow {
    #[new]
    #[pyo3(
        signature = (smtp_sender=None, *, plan="boundary", lease=None, log_unlimited=None, clock=None),
        text_signature = "(smtp_sender=None, *, plan='boundary', lease=None, log_unlimited=False, clock=None)"
    )]
    fn new(
        smtp_sender: Option<&Bound<'_, PyAny>>,
        plan: &str,
        lease: Option<&Bound<'_, PyAny>>,
        log_unlimited: Option<&Bound<'_, PyAny>>,
        clock: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let _ = smtp_sender; // the Python class keeps it
        let plan = match plan {
            "boundary" => Plan::Boundary,
            "exact" => Plan::Exact,
            other => {
                return Err(PyValueError::new_err(format!("plan must be 'boundary' or 'exact', not {other:?}")));
            }
        };
        // In whole seconds, as all time here.
        let lease = lease.map(|lease| convert::duration("lease", lease)).transpose()?;
        let lease = lease.map(|nanos| nanos.div_ceil(1_000_000_000));
        let log_unlimited = convert::flag("log_unlimited", log_unlimited)?;
        Ok(Self(SendHistory::new(convert::clock(clock)?, plan, lease, log_unlimited)?, Home::here()))
    }

    #[doc = stub!("SlidingWindow.check_and_plan")]
    fn check_and_plan(&self, account: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let py = account.py();
        self.1.heed(py);
        self.planned(account).or_else(|error| Ready::failed(py, error))
    }

    #[doc = stub!("SlidingWindow.log_send")]
    fn log_send(&self, account_id: AccountId<'_, '_>) -> PyResult<Py<PyAny>> {
        self.0.log(convert::key(&account_id)?)?;
        done(account_id.py())
    }

    #[doc = stub!("SlidingWindow.release_slot")]
    fn release_slot(&self, account_id: AccountId<'_, '_>) -> PyResult<Py<PyAny>> {
        self.0.release(convert::key(&account_id)?);
        done(account_id.py())
    }

    #[doc = stub!("SlidingWindow.purge_for_account")]
    fn purge_for_account(&self, account_id: AccountId<'_, '_>) -> PyResult<Py<PyAny>> {
        let purged = self.0.purge(convert::key(&account_id)?);
        answered(account_id.py(), purged.into_pyobject(account_id.py())?.into_any().unbind())
    }

    #[doc = stub!("SlidingWindow.clear")]
    fn clear(&self) {
        self.0.clear();
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        Ok(format!("{}(accounts={})", slf.get_type().name()?, slf.get().0.len()))
    }

    // What the mappings ask. A key that could never be there is simply not there, as in a dict.

    fn _sent_ids(&self) -> Vec<String> {
        texts(&self.0.sent_keys())
    }

    fn _sent_count(&self, account_id: AccountId<'_, '_>) -> PyResult<Option<u64>> {
        Ok(self.0.sent(convert::key(&account_id)?, Runs::len))
    }

    fn _sent_nth(&self, account_id: AccountId<'_, '_>, number: u64) -> PyResult<Option<i64>> {
        Ok(self.0.sent(convert::key(&account_id)?, |sent| sent.nth(number)).flatten())
    }

    fn _sent(&self, account_id: AccountId<'_, '_>) -> PyResult<Option<Vec<i64>>> {
        Ok(self.0.sent(convert::key(&account_id)?, |sent| sent.seconds().collect()))
    }

    fn _set_sent(&self, account_id: AccountId<'_, '_>, seconds: Vec<i64>) -> PyResult<()> {
        Ok(self.0.set_sent(convert::key(&account_id)?, seconds)?)
    }

    fn _add_sent(&self, account_id: AccountId<'_, '_>, second: i64) -> PyResult<()> {
        Ok(self.0.add_sent(convert::key(&account_id)?, second)?)
    }

    fn _forget_sent(&self, account_id: AccountId<'_, '_>) -> PyResult<bool> {
        Ok(self.0.forget_sent(convert::key(&account_id)?))
    }

    fn _forget_all_sent(&self) {
        self.0.forget_all_sent();
    }

    fn _in_flight_ids(&self) -> Vec<String> {
        texts(&self.0.in_flight_keys())
    }

    fn _in_flight_count(&self, account_id: AccountId<'_, '_>) -> PyResult<Option<u64>> {
        Ok(self.0.in_flight(convert::key(&account_id)?))
    }

    fn _set_in_flight(&self, account_id: AccountId<'_, '_>, count: &Bound<'_, PyAny>) -> PyResult<()> {
        Ok(self.0.set_in_flight(convert::key(&account_id)?, convert::whole("in-flight sends", count)?)?)
    }

    fn _forget_in_flight(&self, account_id: AccountId<'_, '_>) -> PyResult<bool> {
        Ok(self.0.forget_in_flight(convert::key(&account_id)?))
    }

    fn _forget_all_in_flight(&self) {
        self.0.forget_all_in_flight();
    }
}
