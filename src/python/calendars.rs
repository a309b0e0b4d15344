//! What `Window(1000, per="month", zone="Europe/Rome")` says: a unit of the calendar, a time zone, and the periods of both.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTzInfo};

use super::convert;
use crate::error::Error;
use crate::limit::Periods;
use crate::policy::Limit;

const UNITS: [&str; 4] = ["day", "week", "month", "year"];

/// A unit of the calendar in a time zone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Calendar {
    pub(super) per: &'static str,
    pub(super) zone: String,
}

/// The periods that have been found; each is found once in a process.
static KNOWN: Mutex<Option<HashMap<Calendar, Arc<Periods>>>> = Mutex::new(None);

impl Calendar {
    /// The unit that `per` names; `None` if it is no text.
    pub(super) fn named(per: &Bound<'_, PyAny>, zone: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Self>> {
        let Ok(word) = per.cast::<PyString>() else {
            return match zone {
                None => Ok(None),
                Some(_) => Err(PyValueError::new_err(
                    "zone must be left out where per is a number of seconds: only 'day', 'week', 'month' and 'year' have one",
                )),
            };
        };
        let word = word.to_str()?;
        let Some(per) = UNITS.into_iter().find(|unit| *unit == word) else {
            let message = format!("per must be a number of seconds, 'day', 'week', 'month' or 'year', not {word:?}");
            return Err(PyValueError::new_err(message));
        };
        Ok(Some(Self { per, zone: zone.map_or_else(|| Ok("UTC".to_owned()), name_of)? }))
    }

    /// The limit of this name and size.
    pub(super) fn limit(&self, py: Python<'_>, count: u64) -> PyResult<Limit> {
        let each = format!("{} in {}", self.per, self.zone);
        Ok(Limit::calendar(count, self.periods(py)?, &each)?)
    }

    fn periods(&self, py: Python<'_>) -> PyResult<Arc<Periods>> {
        if let Some(known) = KNOWN.lock().as_ref().and_then(|known| known.get(self)) {
            return Ok(known.clone());
        }
        // Python code runs here, so the lock is free: two threads may find the same twice, and one of them is kept.
        let seconds = py.import("tollbar._calendars")?.call_method1("beginnings", (self.per, self.zone.as_str()))?;
        let moments: Vec<i64> =
            seconds.extract::<Vec<i64>>()?.into_iter().map(|s| s.saturating_mul(1_000_000_000)).collect();
        let found = Arc::new(Periods::new(&moments).map_err(|error: Error| PyErr::from(error))?);
        Ok(KNOWN.lock().get_or_insert_default().entry(self.clone()).or_insert(found).clone())
    }
}

/// The name of a time zone: itself, or that of a `ZoneInfo`.
fn name_of(zone: &Bound<'_, PyAny>) -> PyResult<String> {
    let py = zone.py();
    if let Ok(name) = zone.cast::<PyString>() {
        return Ok(name.to_str()?.to_owned());
    }
    if zone.is(PyTzInfo::utc(py)?) {
        return Ok("UTC".to_owned());
    }
    if !zone.is_instance(&py.import("zoneinfo")?.getattr("ZoneInfo")?)? {
        return Err(convert::wrong_type("zone", "the name of a time zone or a ZoneInfo", zone));
    }
    let key = zone.getattr("key")?;
    key.extract().map_err(|_| PyValueError::new_err(format!("zone must be a ZoneInfo with a key, not {zone}")))
}
