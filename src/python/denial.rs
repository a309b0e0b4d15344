//! A denial as Python sees it: the exception that `acquire` raises, and the line in the log.

use pyo3::exceptions::{PyException, PyTypeError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyString, PyType};

use super::convert::seconds_up;
use super::interpreter;
use crate::decision::Reason;
use crate::limiter::Denial;

pyo3::create_exception!(
    tollbar,
    RateLimitExceeded,
    PyException,
    "Raised by RateLimiter.acquire when an account may not send now.\n\n\
     `account_email` is the account, `retry_after` the seconds until the same request would pass\n\
     (infinity: never). Both are None on an exception that tollbar did not raise."
);

pub(super) fn add_exception(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let class = module.py().get_type::<RateLimitExceeded>();
    class.setattr("account_email", module.py().None())?;
    class.setattr("retry_after", module.py().None())?;
    module.add("RateLimitExceeded", class)
}

/// The class to raise, checked when the limiter is made.
pub(super) fn exception_class(given: Option<&Bound<'_, PyAny>>, py: Python<'_>) -> PyResult<Py<PyType>> {
    let Some(given) = given else { return Ok(py.get_type::<RateLimitExceeded>().unbind()) };
    match given.cast::<PyType>() {
        Ok(class) if class.is_subclass_of::<PyException>()? => Ok(class.clone().unbind()),
        _ => Err(PyTypeError::new_err(format!("exception must be a subclass of Exception, not {}", given.repr()?))),
    }
}

/// Everything needed to raise a denial later.
pub(super) struct Refused {
    class: Py<PyType>,
    message: String,
    account_email: Py<PyString>,
    retry_after_ns: u64,
}

impl Refused {
    pub(super) fn new(
        class: &Py<PyType>,
        account_email: &Bound<'_, PyString>,
        tokens: u64,
        denial: &Denial<'_>,
    ) -> Self {
        let py = account_email.py();
        Self {
            class: class.clone_ref(py),
            message: message(account_email, tokens, denial),
            account_email: account_email.clone().unbind(),
            retry_after_ns: denial.retry_after_ns,
        }
    }

    /// There is no bucket to give out: the table is full.
    pub(super) fn table_full(class: &Py<PyType>, account_email: &Bound<'_, PyString>) -> Self {
        let denial =
            Denial { reason: Reason::Full, retry_after_ns: crate::NEVER, policy: None, tell: None, shadow: false };
        Self::new(class, account_email, 0, &denial)
    }

    /// The exception, constructed with a readable message alone, as callers' own classes expect.
    pub(super) fn exception(&self, py: Python<'_>) -> PyErr {
        match self.class.bind(py).call1((self.message.as_str(),)) {
            Ok(exception) => {
                // A class may refuse attributes; the message says the same.
                let _ = exception.setattr("account_email", self.account_email.bind(py));
                let _ = exception.setattr("retry_after", seconds_up(self.retry_after_ns));
                interpreter::raised_in_context(&exception)
            }
            Err(error) => error,
        }
    }
}

/// "Rate limit exceeded for a@example.org (100 per 3600 s): retry in 36.0 s"
fn message(account_email: &Bound<'_, PyString>, tokens: u64, denial: &Denial<'_>) -> String {
    let limit = denial.policy.map_or_else(|| "table full".into(), |policy| format!("{policy}"));
    let when = match denial.reason {
        Reason::Never if denial.policy.is_some_and(|policy| policy.capacity() > 0) => {
            format!("{tokens} tokens are more than a full bucket holds")
        }
        Reason::Never => "this account may not send".into(),
        _ if denial.retry_after_ns == crate::NEVER => "no account can make room".into(),
        _ => format!("retry in {:.1} s", (seconds_up(denial.retry_after_ns) * 10.0).ceil() / 10.0),
    };
    format!("Rate limit exceeded for {} ({limit}): {when}", account_email.to_string_lossy())
}

/// Writes a line for the one denial in its interval that is to be told.
///
/// Runs after the decision, with no lock held. An error in a handler is reported where Python reports
/// errors that nobody can catch, and does not change the decision.
pub(super) fn log(account_email: &Bound<'_, PyString>, tokens: u64, denial: &Denial<'_>) {
    let Some(untold) = denial.tell else { return };
    let mut line = message(account_email, tokens, denial);
    if denial.shadow {
        line.insert_str(0, "Shadow limit, let through: ");
    }
    if untold > 0 {
        line = format!("{line} ({untold} more since the last such line)");
    }
    warn(account_email.py(), &line);
}

/// A warning on the logger `tollbar`.
pub(super) fn warn(py: Python<'_>, line: &str) {
    static LOGGER: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let logger =
        LOGGER.get_or_try_init(py, || py.import("logging")?.call_method1("getLogger", ("tollbar",)).map(Bound::unbind));
    if let Err(error) = logger.and_then(|logger| logger.call_method1(py, "warning", (line,))) {
        error.write_unraisable(py, None);
    }
}
