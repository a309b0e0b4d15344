//! `Rate`: so many in a period, said once and checked at once.

use std::hash::{Hash, Hasher};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::{convert, limits, suggest};
use crate::limit;
use crate::policy::Limit;

#[doc = stub!("Rate")]
#[pyclass(frozen, eq, hash, module = "tollbar")]
pub(super) struct Rate {
    spec: limit::Rate,
    strict: bool,
    limit: Limit,
}

impl PartialEq for Rate {
    /// A burst that was left out equals the same burst given.
    fn eq(&self, other: &Self) -> bool {
        let said = |rate: &Self| (rate.spec.limit(), rate.spec.period_ns(), rate.strict);
        said(self) == said(other) && self.limit == other.limit
    }
}

impl Hash for Rate {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.limit.hash(state);
    }
}

impl Rate {
    pub(super) fn core(&self) -> &Limit {
        &self.limit
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
        let per_ns = convert::duration("per", per)?;
        let burst = burst.map(|burst| convert::whole("burst", burst)).transpose()?;
        let strict = convert::flag("strict", strict)?;
        let count = suggest::limit(limit, per_ns, burst, strict)?;
        let mut rate = limit::Rate::new(count, per_ns);
        if count == 0 {
            let like = Limit::rate(limit::Rate::new(1, per_ns))?;
            return Ok(Self { spec: rate, strict, limit: limits::said(limits::closed_like(&like), shadow, name)? });
        }
        if let Some(burst) = burst {
            rate = rate.burst(burst);
        }
        if strict {
            rate = rate.strict();
        }
        let core = Limit::rate(rate).map_err(|error| match suggest::larger_unit(count, per_ns, burst, strict) {
            Some(advice) => PyValueError::new_err(format!("{error}: {advice}")),
            None => error.into(),
        });
        Ok(Self { spec: rate, strict, limit: limits::said(core?, shadow, name)? })
    }

    #[doc = stub!("Rate.limit")]
    #[getter]
    fn limit(&self) -> u64 {
        self.spec.limit()
    }

    #[doc = stub!("Rate.per")]
    #[getter]
    fn per(&self) -> f64 {
        self.spec.period_ns() as f64 / 1e9
    }

    #[doc = stub!("Rate.burst")]
    #[getter]
    fn burst(&self) -> u64 {
        self.limit.capacity()
    }

    #[doc = stub!("Rate.strict")]
    #[getter]
    fn strict(&self) -> bool {
        self.strict
    }

    #[doc = stub!("Rate.shadow")]
    #[getter]
    fn shadow(&self) -> bool {
        self.limit.is_shadow()
    }

    #[doc = stub!("Rate.name")]
    #[getter]
    fn name(&self) -> &str {
        self.limit.name()
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<limits::Reduced<'py>> {
        let (this, per) = (slf.get(), slf.get().spec.period_ns() as f64 / 1e9);
        limits::reduced(slf, (this.limit(), per, this.burst(), this.strict), &this.limit, &[])
    }

    fn __repr__(&self) -> String {
        let Self { spec, strict, limit } = self;
        let strict = if *strict { ", strict=True" } else { "" };
        format!(
            "Rate({}, per={:?}, burst={}{strict}{})",
            spec.limit(),
            self.per(),
            limit.capacity(),
            limits::shown_shadow(limit)
        )
    }
}
