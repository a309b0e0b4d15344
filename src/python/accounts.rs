//! What a proxy's account object says about its limit.

use pyo3::prelude::*;

use super::convert::whole;
use crate::error::Error;
use crate::limit::Rate;
use crate::policy::Policy;

const HOUR: u64 = 3_600_000_000_000;

/// Which parts of an account's configuration are followed, and how a limit is to be kept: the options of
/// the constructor, each on or off by itself.
#[allow(clippy::struct_excessive_bools)]
pub(super) struct Reading {
    pub(super) burst_size: Option<u64>,
    pub(super) account_burst: bool,
    pub(super) account_enabled: bool,
    pub(super) strict: bool,
    pub(super) shadow: bool,
}

impl Reading {
    /// The policy of so many messages an hour. None at all means that the account may not send.
    pub(super) fn hourly(&self, messages_per_hour: u64, burst: Option<u64>) -> Result<Policy, Error> {
        if messages_per_hour == 0 {
            return Ok(Policy::closed().shadow(self.shadow));
        }
        let mut rate = Rate::new(messages_per_hour, HOUR);
        if let Some(burst) = burst.or(self.burst_size) {
            rate = rate.burst(burst);
        }
        if self.strict {
            rate = rate.strict();
        }
        Policy::rate(rate).map(|policy| policy.shadow(self.shadow))
    }

    /// Asks the account. `None` means that it has no limit of its own.
    ///
    /// Runs the proxy's code: no lock is held, and what it raises goes to the caller.
    pub(super) fn account(&self, account: &Bound<'_, PyAny>) -> PyResult<Option<Policy>> {
        let config = account.call_method0("get_rate_limiting_config")?;
        if config.is_none() {
            return Ok(None);
        }
        let messages_per_hour = whole("messages_per_hour", &config.getattr("messages_per_hour")?)?;
        let mut burst = None;
        if self.account_burst
            && let Some(size) = config.getattr_opt("burst_size")?.filter(|size| !size.is_none())
        {
            burst = Some(whole("burst_size", &size)?);
        }
        let policy = self.hourly(messages_per_hour, burst)?;
        if self.account_enabled
            && let Some(enabled) = config.getattr_opt("enabled")?
            && !enabled.is_truthy()?
        {
            return Ok(Some(policy.unlimited()));
        }
        Ok(Some(policy))
    }
}
