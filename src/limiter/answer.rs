//! What the facade answers with: short for the hot path, full on request, and totals.

use std::sync::Arc;

use crate::account::{NO_END, Ruling, Wait};
use crate::classes::ClassId;
use crate::decision::{Decision, NEVER, Reason};
use crate::limit::Verdict;
use crate::policy::{Limit, Policy};
use crate::ticks::{Ticks, to_nanos_up};

/// The short answer: no division, nothing computed that an allowed request does not need.
#[derive(Clone, Copy, Debug)]
pub enum Outcome<'a> {
    /// The cost was charged.
    Allowed,
    /// A limit said no. Unless [`Denial::shadow`], nothing passes.
    Denied(Denial<'a>),
    /// The key was never seen (or has been evicted), and the caller wanted to know.
    Unknown,
}

/// What a denied caller needs to act on it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Denial<'a> {
    /// Why.
    pub reason: Reason,
    /// How long until the same request would pass, in nanoseconds; [`NEVER`] never.
    pub retry_after_ns: u64,
    /// The policy that denied, or `None` if the table was full.
    pub policy: Option<&'a Policy>,
    /// The policy's number, where it is one of a limiter's.
    #[cfg_attr(not(feature = "python"), allow(dead_code))] // for who puts it into words when asked to
    pub(crate) class: Option<ClassId>,
    /// The number of the limit, among those of the policy, that has to wait longest.
    pub by: u8,
    /// This denial is the one to log in its interval; so many before it were not logged.
    pub tell: Option<u32>,
    /// The limit only counts: the request passes all the same.
    pub shadow: bool,
}

impl<'a> Denial<'a> {
    /// The limit that has to wait longest; `None` if the table was full.
    #[must_use]
    pub fn limit(&self) -> Option<&'a Limit> {
        self.policy.and_then(|policy| policy.limits().get(usize::from(self.by)))
    }
}

impl Outcome<'_> {
    /// Whether the request passes.
    #[inline]
    #[must_use]
    pub const fn passes(&self) -> bool {
        match self {
            Self::Allowed => true,
            Self::Denied(denial) => denial.shadow,
            Self::Unknown => false,
        }
    }
}

/// The answer to a request about several keys.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Joint {
    /// One answer for all: the least that remains, the longest wait.
    pub decision: Decision,
    /// The number, among the keys asked about, of the one that has to wait longest.
    pub denied_by: Option<usize>,
}

/// What an account holds at a reading.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct State {
    /// Tokens, with their fraction.
    pub tokens: f64,
    /// The most tokens it can hold.
    pub capacity: u64,
    /// Tokens a second that flow back in.
    pub refill_per_second: f64,
    /// First sight on the wall clock, in nanoseconds since 1970, where that is tracked.
    pub created_ns: Option<u64>,
}

/// What one limit of a key counts at a reading.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitState {
    /// The limit's name.
    pub name: Arc<str>,
    /// What kind of limit it is: the reason that it denies for.
    pub kind: Reason,
    /// What passes at most: a rate's burst, a window's limit, places, denials of a jail.
    pub limit: u64,
    /// Tokens owed, requests in the window, places taken; of a jail, 1 while it holds.
    pub used: u64,
    /// What could pass at once, by this limit alone.
    pub remaining: u64,
    /// How long until the limit counts nothing; [`NEVER`] while a reservation without an end is counted.
    pub reset_after_ns: u64,
    /// How long until the limit lets the request pass that was asked about.
    pub retry_after_ns: u64,
    /// The wait is an upper bound: it is shorter if a reservation ends before its lease is over.
    pub estimated: bool,
    /// Whether the request can ever pass.
    pub can_pass: bool,
    /// The limit only counts.
    pub shadow: bool,
}

/// Totals since the limiter was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Requests that passed.
    pub allowed: u64,
    /// Requests that were refused, those by a full table included.
    pub denied: u64,
    /// Requests that a shadow limit would have refused.
    pub shadow_denied: u64,
    /// Requests of unknown keys that met a full table.
    pub full: u64,
    /// Accounts dropped to make room.
    pub evicted: u64,
    /// Those among them that still owed something.
    pub forgiven: u64,
    /// Accounts now in the table.
    pub keys: u64,
    /// Keys that have limits of their own.
    pub own_limits: u64,
    /// The most accounts that any one insertion looked at.
    pub most_looks: u32,
}

impl State {
    /// What an account of this policy holds when its word is `tat`.
    pub(crate) fn of(policy: &Policy, tat: Ticks, now: Ticks) -> Self {
        let metered = policy.rule().burst() > 0;
        let full = if policy.is_unlimited() { policy.capacity() as f64 } else { 0.0 };
        Self {
            tokens: if metered { policy.rule().balance(tat, now).tokens } else { full },
            capacity: policy.capacity(),
            refill_per_second: policy.refill_per_second(),
            created_ns: None,
        }
    }
}

/// The full answer of a single limit.
pub(crate) fn decision(policy: &Policy, verdict: Verdict, tat: Ticks, now: Ticks) -> Decision {
    let (balance, shadow) = (policy.rule().balance(tat, now), policy.is_shadow());
    let (reason, wait) = match verdict {
        Verdict::Allow(_) => (None, 0),
        verdict => {
            let (reason, wait) = charged_reason(policy, verdict);
            (Some(reason), wait)
        }
    };
    Decision {
        allowed: reason.is_none() || shadow,
        reason: if shadow { None } else { reason },
        retry_after_ns: if shadow { 0 } else { wait },
        remaining: balance.remaining,
        reset_after_ns: to_nanos_up(balance.reset_after),
        shadowed: shadow && reason.is_some(),
        estimated: false,
        limit: policy.limits().first().filter(|_| reason.is_some()).map(|limit| limit.name.clone()),
    }
}

/// Why a single limit denies, and for how long.
pub(super) fn charged_reason(policy: &Policy, verdict: Verdict) -> (Reason, u64) {
    match verdict {
        Verdict::Deny(wait) => (Reason::Rate, to_nanos_up(wait)),
        // The door is closed, or more is asked for than the limit ever lets pass.
        _ if policy.limits().iter().any(Limit::is_closed) => (Reason::Closed, NEVER),
        _ => (Reason::Never, NEVER),
    }
}

/// The full answer of several limits.
pub(super) fn ruled_decision(policy: &Policy, ruling: &Ruling) -> Decision {
    Decision {
        allowed: ruling.passes(),
        reason: (!ruling.passes()).then(|| ruled_reason(policy, ruling)),
        retry_after_ns: wait_ns(ruling.wait),
        estimated: ruling.estimated,
        remaining: ruling.remaining,
        reset_after_ns: reset_ns(ruling.reset_after),
        shadowed: ruling.passes() && ruling.shadowed != 0,
        limit: denying(policy, ruling).map(|limit| limit.name.clone()),
    }
}

/// Why several limits deny, or a shadow among them would.
pub(super) fn ruled_reason(policy: &Policy, ruling: &Ruling) -> Reason {
    match denying(policy, ruling) {
        _ if ruling.blocked => Reason::Blocked,
        Some(limit) if ruling.wait != Wait::Never || limit.is_closed() => limit.reason(),
        _ => Reason::Never,
    }
}

/// The limit that denies for longest, or would.
pub(super) fn denying<'a>(policy: &'a Policy, ruling: &Ruling) -> Option<&'a Limit> {
    ruling.by.and_then(|by| policy.limits().get(usize::from(by)))
}

pub(super) fn wait_ns(wait: Wait) -> u64 {
    match wait {
        Wait::Now => 0,
        Wait::For(ticks) => to_nanos_up(ticks),
        Wait::Open | Wait::Never => NEVER,
    }
}

/// Until all is as good as new; a reservation without an end is counted for as long as it lasts.
pub(super) fn reset_ns(ticks: Ticks) -> u64 {
    if ticks >= NO_END { NEVER } else { to_nanos_up(ticks) }
}

pub(super) fn full_decision(outcome: &Outcome<'_>) -> Decision {
    let passes = outcome.passes();
    let wait = if let Outcome::Denied(denial) = outcome { denial.retry_after_ns } else { 0 };
    Decision {
        allowed: passes,
        reason: (!passes).then_some(Reason::Full),
        retry_after_ns: if passes { 0 } else { wait },
        shadowed: passes && matches!(outcome, Outcome::Denied(_)),
        ..Decision::default()
    }
}
