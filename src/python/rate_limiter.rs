//! `RateLimiter`: the drop-in for a mail proxy's per-account limiter.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDateTime, PyDict, PyString, PyType};

use super::accounts::Reading;
use super::awaitable::Ready;
use super::convert::{self, Email, Tokens};
use super::denial::{self, Refused};
use super::fork;
use super::inherited::{Home, Made};
use super::refused;
use super::token_bucket::{TokenBucket, state_dict};
use crate::error::Error;
use crate::limiter::{ClassId, Denial, Limiter, Outcome};

#[doc = stub!("RateLimiter")]
#[pyclass(frozen, subclass, weakref, module = "tollbar")]
pub(super) struct RateLimiter {
    limiter: Arc<Limiter>,
    reading: Reading,
    /// The class to raise; `None` is our own.
    exception: Option<Py<PyType>>,
    messages_per_hour: u64,
    max_buckets: usize,
    track_created: bool,
    home: Home,
}

impl Made for RateLimiter {
    fn home(&self) -> Home {
        self.home
    }
}

type Account<'a, 'py> = Option<&'a Bound<'py, PyAny>>;

impl RateLimiter {
    pub(super) fn core(&self) -> &Arc<Limiter> {
        &self.limiter
    }

    /// The class of an account that is seen for the first time. Runs the proxy's code.
    fn class(&self, account: Account<'_, '_>) -> PyResult<ClassId> {
        let policy = match account {
            Some(account) => self.reading.account(account)?,
            None => None,
        };
        Ok(policy.map_or(Ok(self.limiter.default_class()), |policy| self.limiter.class(policy))?)
    }

    /// Charges an account that is known, or one of which nothing is but its name, so that its limit is the default.
    /// `None`: the key is refused; pyo3's own path says how.
    #[inline]
    pub(super) fn charged(&self, key: &[u8], tokens: u64, has_account: bool) -> Option<Outcome<'_>> {
        let known = if fork::is_alone() {
            match self.limiter.take_alone(key, tokens) {
                Ok(()) => return Some(Outcome::Allowed),
                Err(trace) => self.limiter.charge_known_after(trace, key, tokens),
            }
        } else {
            self.charged_beside_others(key, tokens)
        };
        match known {
            Ok(Outcome::Unknown) if !has_account => self.charged_first(key, tokens),
            known => known.ok(),
        }
    }

    #[cfg_attr(not(Py_GIL_DISABLED), cold)]
    #[cfg_attr(not(Py_GIL_DISABLED), inline(never))]
    #[cfg_attr(Py_GIL_DISABLED, inline)]
    fn charged_beside_others(&self, key: &[u8], tokens: u64) -> Result<Outcome<'_>, Error> {
        self.limiter.charge_known(key, tokens)
    }

    #[cold]
    fn charged_first(&self, key: &[u8], tokens: u64) -> Option<Outcome<'_>> {
        let outcome = self.limiter.charge_as(key, tokens, self.limiter.default_class());
        if self.limiter.newly_forgiven() {
            Python::attach(|py| self.tell_forgiven(py));
        }
        outcome.ok()
    }

    /// Charges the account, made first if it is new. Runs the proxy's code then.
    fn charge(&self, email: &Bound<'_, PyString>, account: Account<'_, '_>, tokens: u64) -> PyResult<Outcome<'_>> {
        let key = convert::key(email)?;
        match self.limiter.charge_known(key, tokens)? {
            Outcome::Unknown => {
                let outcome = self.limiter.charge_as(key, tokens, self.class(account)?)?;
                self.watch_forgiven(email.py());
                Ok(outcome)
            }
            known => Ok(known),
        }
    }

    /// The class to raise; `None` is our own.
    pub(super) fn exception(&self) -> Option<&Py<PyType>> {
        self.exception.as_ref()
    }

    /// What `acquire` answers to a denial.
    pub(super) fn denied(
        slf: &Bound<'_, Self>,
        email: &Bound<'_, PyString>,
        tokens: u64,
        denial: &Denial<'_>,
    ) -> PyResult<Py<PyAny>> {
        denial::log(email, tokens, denial);
        if denial.shadow {
            return Ready::yes(slf.py());
        }
        refused::refused(slf.py(), Refused::new(slf, email, tokens, denial))
    }

    /// The account's bucket, made first if it is new; `None` if the table is full and `when_full` denies.
    fn bucket(&self, email: &Bound<'_, PyString>, account: Account<'_, '_>) -> PyResult<Option<TokenBucket>> {
        self.home.heed(email.py());
        let key = convert::key(email)?;
        if let Some(bucket) = self.limiter.bucket(key)? {
            return Ok(Some(TokenBucket::of(bucket, self.home)));
        }
        let bucket = self.limiter.bucket_as(key, self.class(account)?)?;
        self.watch_forgiven(email.py());
        Ok(bucket.map(|bucket| TokenBucket::of(bucket, self.home)))
    }

    fn watch_forgiven(&self, py: Python<'_>) {
        if self.limiter.newly_forgiven() {
            self.tell_forgiven(py);
        }
    }

    fn tell_forgiven(&self, py: Python<'_>) {
        let max = self.max_buckets;
        let line = format!(
            "More accounts are sending than max_buckets={max}: those that owe least are dropped and start \
             full when they come back. Raise max_buckets. (Said once.)"
        );
        denial::warn(py, &line);
    }
}

#[pymethods]
impl RateLimiter {
    #[new]
    #[pyo3(
        signature = (
            messages_per_hour=None, max_buckets=None, *, exception=None, burst_size=None, account_burst=None,
            account_enabled=None, strict=None, shadow=None, track_created=None, when_full="evict_least",
            log_interval=convert::Interval::DEFAULT, clock=None
        ),
        text_signature = "(messages_per_hour=10000, max_buckets=10000, *, exception=None, burst_size=None, \
            account_burst=False, account_enabled=False, strict=False, shadow=False, track_created=False, \
            when_full='evict_least', log_interval=60.0, clock=None)"
    )]
    #[allow(clippy::too_many_arguments)]
    fn new(
        messages_per_hour: Option<&Bound<'_, PyAny>>,
        max_buckets: Option<&Bound<'_, PyAny>>,
        exception: Option<&Bound<'_, PyAny>>,
        burst_size: Option<&Bound<'_, PyAny>>,
        account_burst: Option<&Bound<'_, PyAny>>,
        account_enabled: Option<&Bound<'_, PyAny>>,
        strict: Option<&Bound<'_, PyAny>>,
        shadow: Option<&Bound<'_, PyAny>>,
        track_created: Option<&Bound<'_, PyAny>>,
        when_full: &str,
        log_interval: convert::Interval,
        clock: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let messages_per_hour = convert::at_least_one("messages_per_hour", messages_per_hour, 10_000)?;
        let max_buckets = convert::max_keys("max_buckets", max_buckets, 10_000)?;
        let burst_size = burst_size.map(|size| convert::whole("burst_size", size)).transpose()?;
        let reading = Reading {
            burst_size,
            account_burst: convert::flag("account_burst", account_burst)?,
            account_enabled: convert::flag("account_enabled", account_enabled)?,
            strict: convert::flag("strict", strict)?,
            shadow: convert::flag("shadow", shadow)?,
        };
        let track_created = convert::flag("track_created", track_created)?;
        let policy = reading
            .hourly(messages_per_hour, None)
            .map_err(|error| convert::renamed(error, "limit", "messages_per_hour"))?;
        let limiter = Limiter::builder(policy)
            .max_keys(max_buckets)
            .when_full(convert::when_full(when_full)?)
            .notice_every_ms(log_interval.0)
            .track_created(track_created)
            .clock(convert::clock(clock)?)
            .build()
            .map_err(|error| convert::renamed(error, "max_keys", "max_buckets"))?;
        let exception = denial::exception_class(exception)?;
        let (limiter, home) = (Arc::new(limiter), Home::here());
        Ok(Self { limiter, reading, exception, messages_per_hour, max_buckets, track_created, home })
    }

    #[doc = stub!("RateLimiter.acquire")]
    #[pyo3(signature = (account_email, account=None, tokens=Tokens(1)),
           text_signature = "($self, account_email, account=None, tokens=1)")]
    fn acquire(
        slf: &Bound<'_, Self>,
        account_email: Email<'_, '_>,
        account: Account<'_, '_>,
        tokens: Tokens,
    ) -> PyResult<Py<PyAny>> {
        match slf.get().charge(&account_email, account, tokens.0) {
            Ok(Outcome::Denied(denial)) => Self::denied(slf, &account_email, tokens.0, &denial),
            Ok(_) => Ready::yes(slf.py()),
            Err(error) => Ready::failed(slf.py(), error),
        }
    }

    #[doc = stub!("RateLimiter.try_acquire")]
    #[pyo3(signature = (account_email, tokens=Tokens(1), account=None),
           text_signature = "($self, account_email, tokens=1, account=None)")]
    fn try_acquire(&self, account_email: Email<'_, '_>, tokens: Tokens, account: Account<'_, '_>) -> PyResult<bool> {
        let outcome = self.charge(&account_email, account, tokens.0)?;
        if let Outcome::Denied(denial) = &outcome {
            denial::log(&account_email, tokens.0, denial);
        }
        Ok(outcome.passes())
    }

    #[doc = stub!("RateLimiter.check_rate_limit")]
    #[pyo3(signature = (account_email, account=None, tokens=Tokens(1)),
           text_signature = "($self, account_email, account=None, tokens=1)")]
    fn check_rate_limit(
        &self,
        account_email: Email<'_, '_>,
        account: Account<'_, '_>,
        tokens: Tokens,
    ) -> PyResult<Py<PyAny>> {
        let py = account_email.py();
        match self.bucket(&account_email, account) {
            Ok(Some(bucket)) => Ready::value(py, bucket.0.peek(tokens.0).allowed),
            Ok(None) => Ready::value(py, self.reading.shadow),
            Err(error) => Ready::failed(py, error),
        }
    }

    #[doc = stub!("RateLimiter.get_or_create_bucket")]
    #[pyo3(signature = (account_email, account=None))]
    fn get_or_create_bucket(
        slf: &Bound<'_, Self>,
        account_email: Email<'_, '_>,
        account: Account<'_, '_>,
    ) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        match slf.get().bucket(&account_email, account) {
            Ok(Some(bucket)) => Ready::value(py, bucket),
            Ok(None) => refused::refused(py, Refused::table_full(slf, &account_email)),
            Err(error) => Ready::failed(py, error),
        }
    }

    #[doc = stub!("RateLimiter.reconfigure")]
    #[pyo3(signature = (account_email, account=None, *, migration="as_is"))]
    fn reconfigure(&self, account_email: Email<'_, '_>, account: Account<'_, '_>, migration: &str) -> PyResult<bool> {
        let how = convert::migration(migration)?;
        let key = convert::key(&account_email)?;
        if !self.limiter.contains(key)? {
            return Ok(false);
        }
        Ok(self.limiter.configure(key, self.class(account)?, how)?)
    }

    #[doc = stub!("RateLimiter.get_stats")]
    fn get_stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let mut states = Vec::with_capacity(self.limiter.len());
        self.limiter.for_each(|key, state| states.push((Box::<[u8]>::from(key), state)));
        let (dict, buckets) = (PyDict::new(py), PyDict::new(py));
        for (key, state) in &states {
            buckets.set_item(convert::text(key), state_dict(py, state)?)?;
        }
        dict.set_item("accounts", buckets.len())?;
        dict.set_item("buckets", buckets)?;
        Ok(dict)
    }

    #[doc = stub!("RateLimiter.buckets")]
    #[getter]
    fn buckets<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        static VIEW: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        VIEW.import(slf.py(), "tollbar._views", "Buckets")?.call1((slf,))
    }

    #[doc = stub!("RateLimiter.bucket_created_at")]
    #[getter]
    fn bucket_created_at<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        static VIEW: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        if !slf.get().track_created {
            let message = "bucket_created_at is kept only by a RateLimiter with track_created=True";
            return Err(pyo3::exceptions::PyAttributeError::new_err(message));
        }
        VIEW.import(slf.py(), "tollbar._views", "CreatedAt")?.call1((slf,))
    }

    // What the views ask. A key that could never be in the table is simply not there, as in a dict.

    fn _bucket(&self, account_email: Email<'_, '_>) -> PyResult<Option<TokenBucket>> {
        let bucket = self.limiter.bucket(convert::key(&account_email)?).ok().flatten();
        Ok(bucket.map(|bucket| TokenBucket::of(bucket, self.home)))
    }

    fn _created_at<'py>(&self, account_email: Email<'_, 'py>) -> PyResult<Option<Bound<'py, PyDateTime>>> {
        let created = self.limiter.created_ns(convert::key(&account_email)?);
        created.map(|unix_ns| convert::datetime(account_email.py(), unix_ns)).transpose()
    }

    fn _knows(&self, account_email: Email<'_, '_>) -> PyResult<bool> {
        Ok(self.limiter.contains(convert::key(&account_email)?).unwrap_or(false))
    }

    fn _emails(&self) -> Vec<String> {
        let mut emails = Vec::with_capacity(self.limiter.len());
        self.limiter.for_each(|key, _| emails.push(convert::text(key).into_owned()));
        emails
    }

    fn _count(&self) -> usize {
        self.limiter.len()
    }

    #[doc = stub!("RateLimiter.default_messages_per_hour")]
    #[getter]
    fn default_messages_per_hour(&self) -> u64 {
        self.messages_per_hour
    }

    #[doc = stub!("RateLimiter.default_refill_rate")]
    #[getter]
    fn default_refill_rate(&self) -> f64 {
        self.messages_per_hour as f64 / 3600.0
    }

    #[doc = stub!("RateLimiter.max_buckets")]
    #[getter]
    fn max_buckets(&self) -> usize {
        self.max_buckets
    }

    fn __repr__(&self) -> String {
        let Self { messages_per_hour, max_buckets, limiter, .. } = self;
        format!(
            "RateLimiter(messages_per_hour={messages_per_hour}, max_buckets={max_buckets}, accounts={})",
            limiter.len()
        )
    }
}
