//! The answer to one question: may this key do this much now?

use std::sync::Arc;

/// Why a decision was "no". The numbers are stable and never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum Reason {
    /// The bucket holds too few tokens.
    Rate = 1,
    /// A window holds too many requests.
    Window = 2,
    /// Too much is reserved and neither committed nor cancelled.
    InFlight = 3,
    /// The key is in a timeout, for it was denied too often.
    Jail = 4,
    /// More was asked than the bucket can ever hold, or the account may not send at all.
    Never = 5,
    /// The table holds `max_keys` accounts, none of them could go, and this key is not among them.
    Full = 6,
    /// A limit of the key lets nothing pass at all.
    Closed = 7,
    /// The program has blocked the key until some time.
    Blocked = 8,
}

impl Reason {
    /// The word used for it in every language.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Window => "window",
            Self::InFlight => "in_flight",
            Self::Jail => "jail",
            Self::Never => "never",
            Self::Full => "full",
            Self::Closed => "closed",
            Self::Blocked => "blocked",
        }
    }
}

/// [`Decision::retry_after_ns`] of a request that can never pass.
pub const NEVER: u64 = u64::MAX;

/// One answer, with what the asker needs to act on it. Durations are nanoseconds, rounded up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Decision {
    /// Whether the cost was charged (or, for a peek, would have been).
    pub allowed: bool,
    /// Why not; `None` when allowed.
    pub reason: Option<Reason>,
    /// How long until the same request would pass if nobody else asks: 0 when allowed, [`NEVER`] never.
    pub retry_after_ns: u64,
    /// The wait is an upper bound: it is shorter if a reservation ends before its lease is over.
    pub estimated: bool,
    /// What could still pass at once after this decision.
    pub remaining: u64,
    /// How long until the key equals one never seen: the bucket is full, nothing is in a window or in flight.
    pub reset_after_ns: u64,
    /// A shadow limit would have said no; it let the request pass and charged nothing.
    pub shadowed: bool,
    /// The name of the limit that denied, or would have: of several, the one that has to wait longest.
    pub limit: Option<Arc<str>>,
}

/// When a request should be made: what a planner does about a [`Decision`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Now.
    Now,
    /// After so many nanoseconds, and not one sooner unless the wait is estimated; [`NEVER`]: when a reservation without an
    /// end ends.
    After(u64),
    /// Never.
    Never,
}

impl Decision {
    /// What to do with the request that this answers.
    #[must_use]
    pub const fn plan(&self) -> Plan {
        match (self.allowed, self.reason, self.retry_after_ns) {
            (true, ..) => Plan::Now,
            (false, Some(Reason::Never | Reason::Closed | Reason::Full) | None, NEVER) => Plan::Never,
            (false, _, wait) => Plan::After(wait),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_now_later_or_never() {
        let mut decision = Decision { allowed: true, reset_after_ns: 5, ..Decision::default() };
        assert_eq!(decision.plan(), Plan::Now);
        (decision.allowed, decision.retry_after_ns) = (false, 7);
        assert_eq!(decision.plan(), Plan::After(7));
        decision.retry_after_ns = NEVER;
        assert_eq!(decision.plan(), Plan::Never);
    }

    #[test]
    fn reasons_keep_their_words_and_numbers() {
        let known = [
            (Reason::Rate, "rate", 1),
            (Reason::Window, "window", 2),
            (Reason::InFlight, "in_flight", 3),
            (Reason::Jail, "jail", 4),
            (Reason::Never, "never", 5),
            (Reason::Full, "full", 6),
            (Reason::Closed, "closed", 7),
            (Reason::Blocked, "blocked", 8),
        ];
        for (reason, word, number) in known {
            assert_eq!(reason.as_str(), word);
            assert_eq!(reason as u8, number);
        }
    }
}
