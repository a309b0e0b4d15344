//! `InFlight`, `Closed` and `Jail`: limits as values, said once and checked at once; and what any limit becomes a policy by.

use std::hash::{Hash, Hasher};

use pyo3::PyClass;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::convert;
use super::rate::Rate;
use super::window::Window;
use crate::limit;
use crate::policy::{Limit, Policy};

/// What a value is made again by, in another process or as a copy: it is no budget.
pub(super) type Reduced<'py> = (Bound<'py, PyAny>, Bound<'py, PyTuple>);

/// A limit with the options that all of them take.
pub(super) fn said(limit: Limit, shadow: Option<&Bound<'_, PyAny>>, name: Option<&str>) -> PyResult<Limit> {
    let limit = limit.shadow(convert::flag("shadow", shadow)?);
    Ok(if let Some(name) = name { limit.named(name) } else { limit })
}

pub(super) fn reduced<'py, T: PyClass>(
    slf: &Bound<'py, T>,
    arguments: impl IntoPyObject<'py, Target = PyTuple, Output = Bound<'py, PyTuple>, Error: Into<PyErr>>,
    limit: &Limit,
    more: &[(&str, Bound<'py, PyAny>)],
) -> PyResult<Reduced<'py>> {
    let py = slf.py();
    let options = PyDict::new(py);
    options.set_item("shadow", limit.is_shadow())?;
    options.set_item("name", limit.name())?;
    for (name, value) in more {
        options.set_item(name, value)?;
    }
    let make = py.import("functools")?.getattr("partial")?.call((slf.as_any().get_type(),), Some(&options))?;
    Ok((make, arguments.into_pyobject(py).map_err(Into::into)?))
}

pub(super) fn shown_shadow(limit: &Limit) -> &'static str {
    if limit.is_shadow() { ", shadow=True" } else { "" }
}

/// The policy of one limit, or of several of them.
pub(super) fn policy(limits: &Bound<'_, PyAny>) -> PyResult<Policy> {
    if let Some(limit) = limit_of(limits) {
        return Ok(Policy::all([limit])?);
    }
    let several = limits.try_iter().map_err(|_| not_a_limit(limits))?;
    let each = several.map(|limit| {
        let limit = limit?;
        limit_of(&limit).ok_or_else(|| not_a_limit(&limit))
    });
    Ok(Policy::all(each.collect::<PyResult<Vec<_>>>()?)?)
}

/// The limits of a whole limiter: at least one, and none of 0, which is a limit for single keys.
pub(super) fn whole(limits: &Bound<'_, PyTuple>) -> PyResult<Policy> {
    if limits.is_empty() {
        return Err(PyValueError::new_err("limits must be at least one"));
    }
    for limit in limits.iter() {
        let is_zero = limit_of(&limit).is_some_and(|limit| limit.is_closed()) && !limit.is_instance_of::<Closed>();
        if is_zero {
            let message = format!("limit must be at least 1, not {}: use Closed() to let nothing pass", limit.repr()?);
            return Err(PyValueError::new_err(message));
        }
    }
    policy(limits.as_any())
}

/// A limit of 0, named as this one of 1 would be.
pub(super) fn closed_like(one: &Limit) -> Limit {
    Limit::closed().named(&one.name().replacen('1', "0", 1))
}

fn limit_of(object: &Bound<'_, PyAny>) -> Option<Limit> {
    if let Ok(rate) = object.cast::<Rate>() {
        return Some(rate.get().core().clone());
    }
    if let Ok(window) = object.cast::<Window>() {
        return Some(window.get().core().clone());
    }
    if let Ok(in_flight) = object.cast::<InFlight>() {
        return Some(in_flight.get().limit.clone());
    }
    if let Ok(closed) = object.cast::<Closed>() {
        return Some(closed.get().limit.clone());
    }
    object.cast::<Jail>().ok().map(|jail| jail.get().limit.clone())
}

fn not_a_limit(object: &Bound<'_, PyAny>) -> PyErr {
    let shown = object.repr().map_or_else(|_| "this".into(), |repr| repr.to_string());
    PyTypeError::new_err(format!("limits must be Rate, Window, InFlight, Jail or Closed objects, not {shown}"))
}

#[doc = stub!("InFlight")]
#[pyclass(frozen, eq, hash, module = "tollbar")]
#[derive(PartialEq, Hash)]
pub(super) struct InFlight {
    limit: Limit,
}

#[pymethods]
impl InFlight {
    #[new]
    #[pyo3(signature = (limit, *, shadow=None, name=None), text_signature = "(limit, *, shadow=False, name=None)")]
    fn new(limit: &Bound<'_, PyAny>, shadow: Option<&Bound<'_, PyAny>>, name: Option<&str>) -> PyResult<Self> {
        let limit = match convert::whole("limit", limit)? {
            0 => closed_like(&Limit::in_flight(1)?),
            most => Limit::in_flight(most)?,
        };
        Ok(Self { limit: said(limit, shadow, name)? })
    }

    #[doc = stub!("InFlight.limit")]
    #[getter]
    fn limit(&self) -> u64 {
        self.limit.capacity()
    }

    #[doc = stub!("InFlight.shadow")]
    #[getter]
    fn shadow(&self) -> bool {
        self.limit.is_shadow()
    }

    #[doc = stub!("InFlight.name")]
    #[getter]
    fn name(&self) -> &str {
        self.limit.name()
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Reduced<'py>> {
        reduced(slf, (slf.get().limit(),), &slf.get().limit, &[])
    }

    fn __repr__(&self) -> String {
        format!("InFlight({}{})", self.limit(), shown_shadow(&self.limit))
    }
}

#[doc = stub!("Closed")]
#[pyclass(frozen, eq, hash, module = "tollbar")]
#[derive(PartialEq, Hash)]
pub(super) struct Closed {
    limit: Limit,
}

#[pymethods]
impl Closed {
    #[new]
    #[pyo3(signature = (*, shadow=None, name=None), text_signature = "(*, shadow=False, name=None)")]
    fn new(shadow: Option<&Bound<'_, PyAny>>, name: Option<&str>) -> PyResult<Self> {
        Ok(Self { limit: said(Limit::closed(), shadow, name)? })
    }

    #[doc = stub!("Closed.shadow")]
    #[getter]
    fn shadow(&self) -> bool {
        self.limit.is_shadow()
    }

    #[doc = stub!("Closed.name")]
    #[getter]
    fn name(&self) -> &str {
        self.limit.name()
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Reduced<'py>> {
        reduced(slf, PyTuple::empty(slf.py()), &slf.get().limit, &[])
    }

    fn __repr__(&self) -> String {
        format!("Closed({})", shown_shadow(&self.limit).trim_start_matches(", "))
    }
}

#[doc = stub!("Jail")]
#[pyclass(frozen, eq, hash, module = "tollbar")]
#[derive(PartialEq)]
pub(super) struct Jail {
    rule: limit::Jail,
    limit: Limit,
}

impl Hash for Jail {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { rule, limit } = self;
        (rule.longest(), rule.factor().to_bits(), limit).hash(state);
    }
}

impl Jail {
    /// Its times are nanoseconds.
    pub(super) fn rule(&self) -> limit::Jail {
        self.rule
    }

    pub(super) fn core(&self) -> &Limit {
        &self.limit
    }
}

#[pymethods]
impl Jail {
    #[new]
    #[pyo3(signature = (denials, within, duration, *, factor=None, longest=None, shadow=None, name=None),
           text_signature = "(denials, within, duration, *, factor=1.0, longest=None, shadow=False, name=None)")]
    fn new(
        denials: &Bound<'_, PyAny>,
        within: &Bound<'_, PyAny>,
        duration: &Bound<'_, PyAny>,
        factor: Option<&Bound<'_, PyAny>>,
        longest: Option<&Bound<'_, PyAny>>,
        shadow: Option<&Bound<'_, PyAny>>,
        name: Option<&str>,
    ) -> PyResult<Self> {
        let denials = convert::whole("denials", denials)?;
        let (within, duration) = (convert::duration("within", within)?, convert::duration("duration", duration)?);
        let factor = factor.map_or(Ok(1.0), |factor| convert::number("factor", factor))?;
        let longest = longest.map(|longest| convert::duration("longest", longest)).transpose()?;
        let rule = limit::Jail::new(denials, within, duration)?.escalating(factor, longest)?;
        Ok(Self { rule, limit: said(Limit::jail(rule)?, shadow, name)? })
    }

    #[doc = stub!("Jail.denials")]
    #[getter]
    fn denials(&self) -> u64 {
        self.rule.denials()
    }

    #[doc = stub!("Jail.within")]
    #[getter]
    fn within(&self) -> f64 {
        self.rule.within() as f64 / 1e9
    }

    #[doc = stub!("Jail.duration")]
    #[getter]
    fn duration(&self) -> f64 {
        self.rule.duration() as f64 / 1e9
    }

    #[doc = stub!("Jail.factor")]
    #[getter]
    fn factor(&self) -> f64 {
        self.rule.factor()
    }

    #[doc = stub!("Jail.longest")]
    #[getter]
    fn longest(&self) -> Option<f64> {
        self.rule.longest().map(|longest| longest as f64 / 1e9)
    }

    #[doc = stub!("Jail.shadow")]
    #[getter]
    fn shadow(&self) -> bool {
        self.limit.is_shadow()
    }

    #[doc = stub!("Jail.name")]
    #[getter]
    fn name(&self) -> &str {
        self.limit.name()
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Reduced<'py>> {
        let (py, this) = (slf.py(), slf.get());
        let more = [
            ("factor", this.factor().into_pyobject(py)?.into_any()),
            ("longest", this.longest().into_pyobject(py)?.into_any()),
        ];
        reduced(slf, (this.denials(), this.within(), this.duration()), &this.limit, &more)
    }

    fn __repr__(&self) -> String {
        let factor = if self.factor() > 1.0 { format!(", factor={:?}", self.factor()) } else { String::new() };
        let longest = self.longest().map_or_else(String::new, |longest| format!(", longest={longest:?}"));
        let (denials, within, duration) = (self.denials(), self.within(), self.duration());
        let shadow = shown_shadow(&self.limit);
        format!("Jail({denials}, within={within:?}, duration={duration:?}{factor}{longest}{shadow})")
    }
}
