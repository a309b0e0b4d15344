//! `Decision`: the full answer, true when allowed.

use pyo3::prelude::*;

use super::convert::seconds_up;
use crate::decision;

#[doc = stub!("Decision")]
#[pyclass(frozen, module = "tollbar")]
pub(super) struct Decision {
    answer: decision::Decision,
    denied_by: Option<String>,
}

impl Decision {
    pub(super) fn new(answer: decision::Decision) -> Self {
        Self { answer, denied_by: None }
    }

    /// The same, about several keys: this one denied.
    pub(super) fn by(self, key: Option<&str>) -> Self {
        Self { denied_by: key.map(str::to_owned), ..self }
    }
}

#[pymethods]
impl Decision {
    #[doc = stub!("Decision.allowed")]
    #[getter]
    fn allowed(&self) -> bool {
        self.answer.allowed
    }

    #[doc = stub!("Decision.reason")]
    #[getter]
    fn reason(&self) -> Option<&'static str> {
        self.answer.reason.map(decision::Reason::as_str)
    }

    #[doc = stub!("Decision.retry_after")]
    #[getter]
    fn retry_after(&self) -> f64 {
        seconds_up(self.answer.retry_after_ns)
    }

    #[doc = stub!("Decision.estimated")]
    #[getter]
    fn estimated(&self) -> bool {
        self.answer.estimated
    }

    #[doc = stub!("Decision.remaining")]
    #[getter]
    fn remaining(&self) -> u64 {
        self.answer.remaining
    }

    #[doc = stub!("Decision.reset_after")]
    #[getter]
    fn reset_after(&self) -> f64 {
        seconds_up(self.answer.reset_after_ns)
    }

    #[doc = stub!("Decision.limit")]
    #[getter]
    fn limit(&self) -> Option<&str> {
        self.answer.limit.as_deref()
    }

    #[doc = stub!("Decision.key")]
    #[getter]
    fn key(&self) -> Option<&str> {
        self.denied_by.as_deref()
    }

    #[doc = stub!("Decision.shadowed")]
    #[getter]
    fn shadowed(&self) -> bool {
        self.answer.shadowed
    }

    fn __bool__(&self) -> bool {
        self.answer.allowed
    }

    fn __repr__(&self) -> String {
        let reason = self.reason().map_or_else(|| "None".into(), |word| format!("'{word}'"));
        let limit = self.limit().map_or_else(|| "None".into(), |name| format!("{name:?}"));
        let key = self.key().map_or_else(String::new, |key| format!(", key={key:?}"));
        format!(
            "Decision(allowed={}, reason={reason}, retry_after={:?}, remaining={}, reset_after={:?}, limit={limit}{key})",
            if self.answer.allowed { "True" } else { "False" },
            self.retry_after(),
            self.remaining(),
            self.reset_after(),
        )
    }
}
