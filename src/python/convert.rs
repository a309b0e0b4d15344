//! Python values into core values: whole numbers, costs, seconds, keys; core errors into exceptions.

use std::borrow::Cow;
use std::sync::Arc;

use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDateTime, PyDict, PyFloat, PyInt, PyString, PyTzInfo};

use crate::clock::Clock;
use crate::error::Error;
use crate::limit::Migration;
use crate::policy;
use crate::python::clock::ManualClock;
use crate::table::WhenFull;
use crate::ticks;

/// A refused call becomes a `ValueError` with the core's own words.
impl From<Error> for PyErr {
    fn from(error: Error) -> Self {
        PyValueError::new_err(error.to_string())
    }
}

/// A key's bytes, as they are: no normalisation, no case folding. Lone surrogates are no text and
/// raise `UnicodeEncodeError`.
#[inline]
pub(super) fn key<'a>(key: &'a Bound<'_, PyString>) -> PyResult<&'a [u8]> {
    key.to_str().map(str::as_bytes)
}

/// The arguments that name an account. Each is a `str`, or a `TypeError` that says which argument is none.
macro_rules! names {
    ($($kind:ident = $argument:literal),*) => {$(
        #[doc = concat!("The argument `", $argument, "`.")]
        pub(super) struct $kind<'a, 'py>(Borrowed<'a, 'py, PyString>);

        impl<'py> std::ops::Deref for $kind<'_, 'py> {
            type Target = Bound<'py, PyString>;

            fn deref(&self) -> &Self::Target {
                &self.0
            }
        }

        impl<'a, 'py> FromPyObject<'a, 'py> for $kind<'a, 'py> {
            type Error = PyErr;

            fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
                value.cast().map(Self).map_err(|_| wrong_type($argument, "str", &value))
            }
        }
    )*};
}
names!(Key = "key", Email = "account_email", Client = "client_id", AccountId = "account_id");

/// A whole number of at least 0: an int, a float without a fraction, or what has `__index__`. No bool.
pub(super) fn whole(name: &str, value: &Bound<'_, PyAny>) -> PyResult<u64> {
    let refuse = |rule: &str| match value.repr() {
        Ok(repr) => PyValueError::new_err(format!("{name} must be {rule}, not {repr}")),
        Err(error) => error,
    };
    if value.is_instance_of::<PyBool>() {
        return Err(wrong_type(name, "a whole number", value));
    }
    if let Ok(float) = value.cast::<PyFloat>() {
        let number = float.value();
        if number.fract() != 0.0 || !number.is_finite() {
            return Err(refuse("a whole number"));
        }
        return match number {
            ..0.0 => Err(refuse("at least 0")),
            // 2^64 as a float; everything below it fits.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            ..18_446_744_073_709_551_616.0 => Ok(number as u64),
            _ => Err(refuse("below 2**64")),
        };
    }
    if !value.is_instance_of::<PyInt>() && !value.hasattr("__index__")? {
        return Err(wrong_type(name, "a whole number", value));
    }
    value.extract::<u64>().map_err(|error| {
        if !error.is_instance_of::<PyOverflowError>(value.py()) {
            return error;
        }
        match value.lt(0) {
            Ok(true) => refuse("at least 0"),
            Ok(false) => refuse("below 2**64"),
            Err(error) => error,
        }
    })
}

/// A cost too large for 64 bits is just that: more than any bucket can hold.
pub(super) fn cost(name: &str, value: &Bound<'_, PyAny>) -> PyResult<u64> {
    match value.cast_exact::<PyInt>() {
        Ok(int) => match int.extract::<u64>() {
            Ok(cost) => Ok(cost),
            Err(_) if int.gt(0)? => Ok(u64::MAX),
            Err(_) => whole(name, value),
        },
        Err(_) => whole(name, value),
    }
}

/// The argument `cost`.
pub(super) struct Cost(pub(super) u64);

/// The argument `costs` (or `actuals`): a cost of their own for limits that are named.
pub(super) struct Costs(Vec<(Arc<str>, u64)>);

impl Costs {
    /// What is in a dict of this name.
    pub(super) fn named(argument: &str, value: &Bound<'_, PyAny>) -> PyResult<Self> {
        let Ok(costs) = value.cast::<PyDict>() else {
            return Err(wrong_type(argument, "a dict of limits' names and costs", value));
        };
        let each = costs.iter().map(|(name, n)| {
            let Ok(text) = name.cast::<PyString>() else {
                return Err(wrong_type(argument, "a dict whose keys are limits' names", &name));
            };
            let name: Arc<str> = text.to_str()?.into();
            let n = cost(&format!("{argument}[{name:?}]"), &n)?;
            Ok((name, n))
        });
        Ok(Self(each.collect::<PyResult<_>>()?))
    }

    /// The cost of a request: this one number, but for the limits that are named.
    pub(super) fn beside(each: u64, named: Option<Self>) -> policy::Cost {
        policy::Cost::new(each).with(named.map_or_else(Vec::new, |named| named.0))
    }
}

impl<'py> FromPyObject<'_, 'py> for Costs {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        Self::named("costs", &value)
    }
}

/// The argument `tokens`, the drop-ins' word for a cost.
pub(super) struct Tokens(pub(super) u64);

impl<'py> FromPyObject<'_, 'py> for Cost {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        cost("cost", &value).map(Self)
    }
}

impl<'py> FromPyObject<'_, 'py> for Tokens {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        cost("tokens", &value).map(Self)
    }
}

/// The argument `priority`: lower ones are served first.
pub(super) struct Priority(pub(super) u8);

impl<'py> FromPyObject<'_, 'py> for Priority {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        match u8::try_from(whole("priority", &value)?) {
            Ok(priority) if priority < 128 => Ok(Self(priority)),
            _ => Err(PyValueError::new_err(format!("priority must be at most 127, not {}", value.repr()?))),
        }
    }
}

/// Seconds as whole nanoseconds, signed, rounded to the nearest; an int or a float, no bool.
pub(super) fn nanos(name: &str, value: &Bound<'_, PyAny>) -> PyResult<i64> {
    if value.is_instance_of::<PyBool>() || !(value.is_instance_of::<PyInt>() || value.is_instance_of::<PyFloat>()) {
        return Err(wrong_type(name, "a number of seconds", value));
    }
    let refuse = || -> PyResult<PyErr> {
        let repr = value.repr()?;
        Ok(PyValueError::new_err(format!("{name} must be a number of seconds below 2**63 ns, not {repr}")))
    };
    if value.is_instance_of::<PyInt>() {
        let exact = value.extract::<i64>().ok().and_then(|seconds| seconds.checked_mul(1_000_000_000));
        return exact.map_or_else(|| Err(refuse()?), Ok);
    }
    ticks::nanos(value.extract::<f64>()?).map_or_else(|| Err(refuse()?), Ok)
}

/// A duration: seconds of at least 0, as whole nanoseconds.
pub(super) fn duration(name: &str, value: &Bound<'_, PyAny>) -> PyResult<u64> {
    u64::try_from(nanos(name, value)?)
        .map_err(|_| PyValueError::new_err(format!("{name} must be at least 0 seconds, not {value}")))
}

/// Nanoseconds as seconds, never less than they are; `NEVER` is infinity.
pub(super) fn seconds_up(nanos: u64) -> f64 {
    if nanos == crate::NEVER {
        return f64::INFINITY;
    }
    let seconds = nanos as f64 / 1e9;
    if seconds * 1e9 < nanos as f64 { seconds.next_up() } else { seconds }
}

/// A time in nanoseconds as seconds that are never read as an earlier one.
pub(super) fn time_up(nanos: i64) -> f64 {
    let seconds = nanos as f64 / 1e9;
    let is_before = |seconds| ticks::nanos(seconds).is_some_and(|read| read < nanos);
    if is_before(seconds) { seconds.next_up() } else { seconds }
}

/// A wall-clock time as an aware UTC datetime.
pub(super) fn datetime(py: Python<'_>, unix_ns: u64) -> PyResult<Bound<'_, PyDateTime>> {
    let utc = PyTzInfo::utc(py)?;
    PyDateTime::from_timestamp(py, unix_ns as f64 / 1e9, Some(&utc))
}

/// `None` is the system's monotonic clock.
pub(super) fn clock(clock: Option<&Bound<'_, PyAny>>) -> PyResult<Clock> {
    let Some(clock) = clock else { return Ok(Clock::Monotonic) };
    let manual = clock.cast::<ManualClock>().map_err(|_| wrong_type("clock", "a ManualClock or None", clock))?;
    Ok(manual.get().clock())
}

/// True or False, and nothing that merely counts as one of them; False if nothing is given.
pub(super) fn flag(name: &str, value: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
    let Some(value) = value else { return Ok(false) };
    value.extract().map_err(|_| wrong_type(name, "True or False", value))
}

pub(super) fn when_full(word: &str) -> PyResult<WhenFull> {
    match word {
        "deny" => Ok(WhenFull::Deny),
        "allow" => Ok(WhenFull::Allow),
        "evict_least" => Ok(WhenFull::EvictLeast),
        other => {
            let message = format!("when_full must be 'deny', 'allow' or 'evict_least', not {other:?}");
            Err(PyValueError::new_err(message))
        }
    }
}

/// The size of a table; `default` if nothing is given.
pub(super) fn max_keys(name: &str, value: Option<&Bound<'_, PyAny>>, default: usize) -> PyResult<usize> {
    let Some(value) = value else { return Ok(default) };
    usize::try_from(whole(name, value)?).map_err(|error| PyValueError::new_err(format!("{name}: {error}")))
}

/// A whole number of at least 1; `default` if nothing is given.
pub(super) fn at_least_one(name: &str, value: Option<&Bound<'_, PyAny>>, default: u64) -> PyResult<u64> {
    match value.map_or(Ok(default), |value| whole(name, value))? {
        0 => Err(PyValueError::new_err(format!("{name} must be at least 1, not 0"))),
        number => Ok(number),
    }
}

/// A finite or infinite float, or an int; no bool. The core says which values it takes.
pub(super) fn number(name: &str, value: &Bound<'_, PyAny>) -> PyResult<f64> {
    let is_number = value.is_instance_of::<PyInt>() || value.is_instance_of::<PyFloat>();
    if !is_number || value.is_instance_of::<PyBool>() {
        return Err(wrong_type(name, "a number", value));
    }
    // An int beyond every float is beyond every rate too.
    Ok(value.extract::<f64>().unwrap_or(f64::INFINITY))
}

/// The argument `log_interval`: milliseconds, `None` for silence.
pub(super) struct Interval(pub(super) Option<u32>);

impl Interval {
    pub(super) const DEFAULT: Self = Self(Some(60_000));
}

impl<'py> FromPyObject<'_, 'py> for Interval {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if value.is_none() {
            return Ok(Self(None));
        }
        // Half of what a 32-bit count of milliseconds can tell apart: 24 days.
        let longest = u64::from(u32::MAX / 2);
        let millis = duration("log_interval", &value)?.div_ceil(1_000_000);
        match u32::try_from(millis) {
            Ok(fits) if millis <= longest => Ok(Self(Some(fits))),
            _ => Err(PyValueError::new_err(format!("log_interval must be at most 24 days, not {} s", value.repr()?))),
        }
    }
}

pub(super) fn migration(word: &str) -> PyResult<Migration> {
    match word {
        "as_is" => Ok(Migration::AsIs),
        "proportional" => Ok(Migration::Proportional),
        "reset" => Ok(Migration::Reset),
        other => {
            let message = format!("migration must be 'as_is', 'proportional' or 'reset', not {other:?}");
            Err(PyValueError::new_err(message))
        }
    }
}

/// The same error about the argument as this face calls it.
pub(super) fn renamed(error: Error, from: &str, to: &'static str) -> Error {
    match error {
        Error::Invalid { argument, value, rule } if argument == from => Error::Invalid { argument: to, value, rule },
        other => other,
    }
}

/// A key that came in as text, as text again.
pub(super) fn text(key: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(key)
}

pub(super) fn wrong_type(name: &str, wanted: &str, value: &Bound<'_, PyAny>) -> PyErr {
    let given = value.get_type().name().map_or_else(|_| "this object".into(), |name| name.to_string());
    PyTypeError::new_err(format!("{name} must be {wanted}, not {given}"))
}
