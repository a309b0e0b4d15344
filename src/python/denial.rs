//! A denial as Python sees it: the exception that `acquire` raises, and the line in the log.

use pyo3::exceptions::{PyException, PyTypeError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyString, PyType};

use super::convert::seconds_up;
use super::exceeded::RateLimitExceeded;
use super::interpreter;
use super::rate_limiter::RateLimiter;
use super::refused::Told;
use crate::classes::ClassId;
use crate::decision::Reason;
use crate::limiter::Denial;
use crate::policy::Limit;

/// The class to raise, checked when the limiter is made; `None` is our own.
pub(super) fn exception_class(given: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Py<PyType>>> {
    let Some(given) = given else { return Ok(None) };
    match given.cast::<PyType>() {
        Ok(class) if class.is(given.py().get_type::<RateLimitExceeded>()) => Ok(None),
        Ok(class) if class.is_subclass_of::<PyException>()? => Ok(Some(class.clone().unbind())),
        _ => Err(PyTypeError::new_err(format!("exception must be a subclass of Exception, not {}", given.repr()?))),
    }
}

/// Everything needed to raise a denial later. Cheap to make: it is put into words only when somebody reads them.
pub(super) struct Refused {
    /// Who denied; it knows the limit by its number, and the class to raise.
    by: Py<RateLimiter>,
    pub(super) account_email: Py<PyString>,
    pub(super) retry_after_ns: u64,
    tokens: u64,
    reason: Reason,
    limit: Option<(ClassId, u8)>,
}

impl Refused {
    #[inline]
    pub(super) fn new(
        by: &Bound<'_, RateLimiter>,
        account_email: &Bound<'_, PyString>,
        tokens: u64,
        denial: &Denial<'_>,
    ) -> Self {
        Self {
            by: by.clone().unbind(),
            account_email: account_email.clone().unbind(),
            retry_after_ns: denial.retry_after_ns,
            tokens,
            reason: denial.reason,
            limit: denial.class.map(|class| (class, denial.by)),
        }
    }

    /// There is no bucket to give out: the table is full.
    pub(super) fn table_full(by: &Bound<'_, RateLimiter>, account_email: &Bound<'_, PyString>) -> Self {
        let (by, account_email) = (by.clone().unbind(), account_email.clone().unbind());
        Self { by, account_email, retry_after_ns: crate::NEVER, tokens: 0, reason: Reason::Full, limit: None }
    }

    /// Gives its references back here and now. Dropped outside of pyo3's own calls, they would wait for the next of them.
    pub(super) fn release(self, _py: Python<'_>) {
        interpreter::give_back(self.account_email.into_any());
        interpreter::give_back(self.by.into_any());
    }

    /// Raises the exception, made anew; one of our own class keeps what holds this, instead of a copy.
    #[inline]
    pub(super) fn raise(&self, py: Python<'_>, told: impl FnOnce() -> Told) {
        let Some(class) = self.by.get().exception() else {
            match Py::new(py, RateLimitExceeded::of(told())) {
                Ok(exception) => interpreter::raise_now(exception.into_bound(py).into_any()),
                Err(error) => error.restore(py),
            }
            return;
        };
        Python::attach(|py| self.of_class(class.bind(py)).restore(py));
    }

    /// A caller's own exception, constructed with a readable message alone.
    fn of_class(&self, class: &Bound<'_, PyType>) -> PyErr {
        let py = class.py();
        match class.call1((self.message(py),)) {
            Ok(exception) => {
                // A class may refuse attributes; the message says the same.
                let _ = exception.setattr("account_email", self.account_email.bind(py));
                let _ = exception.setattr("retry_after", seconds_up(self.retry_after_ns));
                interpreter::raised_in_context(&exception)
            }
            Err(error) => error,
        }
    }

    /// "Rate limit exceeded for a@example.org (100 per 3600 s): retry in 36.0 s"
    pub(super) fn message(&self, py: Python<'_>) -> String {
        let policy = self.limit.map(|(class, by)| (self.by.get().core().policy(class), by));
        let limit = policy.and_then(|(policy, by)| policy.limits().get(usize::from(by)));
        let is_open = policy.is_some_and(|(policy, _)| policy.capacity() > 0);
        let email = self.account_email.bind(py);
        message(email, self.tokens, limit, is_open, (self.reason, self.retry_after_ns))
    }
}

/// A denial in words; `is_open`: the account may send something.
fn message(
    account_email: &Bound<'_, PyString>,
    tokens: u64,
    limit: Option<&Limit>,
    is_open: bool,
    (reason, retry_after_ns): (Reason, u64),
) -> String {
    let limit = limit.map_or("table full", Limit::name);
    let when = match reason {
        Reason::Never if is_open => format!("{tokens} tokens are more than a full bucket holds"),
        Reason::Never | Reason::Closed => "this account may not send".into(),
        _ if retry_after_ns == crate::NEVER => "no account can make room".into(),
        _ => format!("retry in {:.1} s", (seconds_up(retry_after_ns) * 10.0).ceil() / 10.0),
    };
    format!("Rate limit exceeded for {} ({limit}): {when}", account_email.to_string_lossy())
}

/// Writes a line for the one denial in its interval that is to be told.
///
/// Runs after the decision, with no lock held. An error in a handler is reported where Python reports
/// errors that nobody can catch, and does not change the decision.
pub(super) fn log(account_email: &Bound<'_, PyString>, tokens: u64, denial: &Denial<'_>) {
    let Some(untold) = denial.tell else { return };
    let is_open = denial.policy.is_some_and(|policy| policy.capacity() > 0);
    let why = (denial.reason, denial.retry_after_ns);
    let mut line = message(account_email, tokens, denial.limit(), is_open, why);
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
