//! `Decision`: the full answer, true when allowed.

use pyo3::prelude::*;

use super::convert::seconds_up;
use crate::decision;
use crate::policy::Policy;

/// The answer to one request.
#[pyclass(frozen, module = "tollbar")]
pub(super) struct Decision {
    decision: decision::Decision,
    limit: Option<String>,
}

impl Decision {
    /// `policy` is asked for only if a limit denied: its name goes into the answer.
    pub(super) fn new<'a>(
        decision: decision::Decision,
        policy: impl FnOnce() -> PyResult<&'a Policy>,
    ) -> PyResult<Self> {
        let by_limit = matches!(decision.reason, Some(reason) if reason != decision::Reason::Full);
        let limit = if by_limit || decision.shadowed { Some(policy()?.name().to_owned()) } else { None };
        Ok(Self { decision, limit })
    }
}

#[pymethods]
impl Decision {
    #[getter]
    fn allowed(&self) -> bool {
        self.decision.allowed
    }

    #[getter]
    fn reason(&self) -> Option<&'static str> {
        self.decision.reason.map(decision::Reason::as_str)
    }

    #[getter]
    fn retry_after(&self) -> f64 {
        seconds_up(self.decision.retry_after_ns)
    }

    #[getter]
    fn remaining(&self) -> u64 {
        self.decision.remaining
    }

    #[getter]
    fn reset_after(&self) -> f64 {
        seconds_up(self.decision.reset_after_ns)
    }

    #[getter]
    fn limit(&self) -> Option<&str> {
        self.limit.as_deref()
    }

    #[getter]
    fn shadowed(&self) -> bool {
        self.decision.shadowed
    }

    fn __bool__(&self) -> bool {
        self.decision.allowed
    }

    fn __repr__(&self) -> String {
        let reason = self.reason().map_or_else(|| "None".into(), |word| format!("'{word}'"));
        let limit = self.limit().map_or_else(|| "None".into(), |name| format!("{name:?}"));
        format!(
            "Decision(allowed={}, reason={reason}, retry_after={:?}, remaining={}, reset_after={:?}, limit={limit})",
            if self.decision.allowed { "True" } else { "False" },
            self.retry_after(),
            self.remaining(),
            self.reset_after(),
        )
    }
}
