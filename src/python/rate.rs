//! `Rate`: so many in a period, said once and checked at once.

use std::hash::{Hash, Hasher};

use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::convert;
use crate::limit;
use crate::policy::Policy;

/// At most `limit` in every `per` seconds, of which up to `burst` at once.
#[pyclass(frozen, eq, hash, module = "tollbar")]
pub(super) struct Rate {
    spec: limit::Rate,
    strict: bool,
    policy: Policy,
}

impl PartialEq for Rate {
    /// A burst that was left out equals the same burst given.
    fn eq(&self, other: &Self) -> bool {
        let said = |rate: &Self| (rate.spec.limit(), rate.spec.period_ns(), rate.strict);
        said(self) == said(other) && self.policy == other.policy
    }
}

impl Hash for Rate {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.policy.hash(state);
    }
}

impl Rate {
    pub(super) fn policy(&self) -> Policy {
        self.policy.clone()
    }
}

#[pymethods]
impl Rate {
    #[new]
    #[pyo3(signature = (limit, per, burst=None, strict=None, *, shadow=None, name=None),
           text_signature = "(limit, per, burst=None, strict=False, *, shadow=False, name=None)")]
    fn new(
        limit: &Bound<'_, PyAny>,
        per: &Bound<'_, PyAny>,
        burst: Option<&Bound<'_, PyAny>>,
        strict: Option<&Bound<'_, PyAny>>,
        shadow: Option<&Bound<'_, PyAny>>,
        name: Option<&str>,
    ) -> PyResult<Self> {
        let mut rate = limit::Rate::new(convert::whole("limit", limit)?, convert::duration("per", per)?);
        if let Some(burst) = burst {
            rate = rate.burst(convert::whole("burst", burst)?);
        }
        let strict = convert::flag("strict", strict)?;
        if strict {
            rate = rate.strict();
        }
        let mut policy = Policy::rate(rate)?.shadow(convert::flag("shadow", shadow)?);
        if let Some(name) = name {
            policy = policy.named(name);
        }
        Ok(Self { spec: rate, strict, policy })
    }

    #[getter]
    fn limit(&self) -> u64 {
        self.spec.limit()
    }

    #[getter]
    fn per(&self) -> f64 {
        self.spec.period_ns() as f64 / 1e9
    }

    #[getter]
    fn burst(&self) -> u64 {
        self.policy.capacity()
    }

    #[getter]
    fn strict(&self) -> bool {
        self.strict
    }

    #[getter]
    fn shadow(&self) -> bool {
        self.policy.is_shadow()
    }

    #[getter]
    fn name(&self) -> &str {
        self.policy.name()
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        // A rate is a value, not a budget: it may be copied and sent to other processes.
        let py = slf.py();
        let this = slf.get();
        let options = pyo3::types::PyDict::new(py);
        options.set_item("shadow", this.shadow())?;
        options.set_item("name", this.name())?;
        let make = py.import("functools")?.getattr("partial")?.call((slf.get_type(),), Some(&options))?;
        let per = this.spec.period_ns() as f64 / 1e9;
        Ok((make, (this.limit(), per, this.burst(), this.strict).into_pyobject(py)?))
    }

    fn __repr__(&self) -> String {
        let Self { spec, strict, policy } = self;
        let mut text = format!("Rate({}, per={:?}, burst={}", spec.limit(), self.per(), policy.capacity());
        if *strict {
            text += ", strict=True";
        }
        if policy.is_shadow() {
            text += ", shadow=True";
        }
        text + ")"
    }
}
