//! An answer of the table counted and put into words.

use super::Limiter;
use super::answer::{Denial, Outcome, charged_reason, decision, ruled_decision, ruled_reason, wait_ns};
use crate::classes::Registered;
use crate::counters::Event;
use crate::decision::{Decision, NEVER, Reason};
use crate::policy::Policy;
use crate::sync::Ordering;
use crate::table::{Answer, Charge, Ruled, WhenFull};
use crate::ticks::{Ticks, to_nanos_up};

impl Limiter {
    /// The full answer of an account's own limits.
    pub(super) fn said(&self, answer: &Answer) -> Option<Decision> {
        match answer {
            &Answer::Charged(Charge { verdict, tat, now, class, .. }) => {
                Some(decision(self.table.policy(class), verdict, tat, now))
            }
            Answer::Ruled(ruled) => Some(ruled_decision(self.table.policy(ruled.class), &ruled.ruling)),
            Answer::Full(_) | Answer::Unknown => None,
        }
    }

    /// Counts an answer and puts it into words.
    #[inline(never)]
    pub(super) fn outcome(&self, answer: &Answer) -> Outcome<'_> {
        if answer.is_allowance() {
            self.counters.count(Event::Allowed);
            return Outcome::Allowed;
        }
        match answer {
            Answer::Charged(charge) => self.refused(charge),
            Answer::Ruled(ruled) => self.ruled(ruled),
            Answer::Full(nearest) => self.full(*nearest),
            Answer::Unknown => Outcome::Unknown,
        }
    }

    #[inline]
    pub(super) fn refused(&self, charge: &Charge) -> Outcome<'_> {
        let registered = self.table.registered(charge.class);
        let policy = &registered.policy;
        let (reason, retry_after_ns) = charged_reason(policy, charge.verdict);
        let shadow = policy.is_shadow();
        if shadow {
            self.count_shadowed(policy, 1);
        } else {
            self.count_denied(registered, 0, reason);
        }
        let (policy, class, tell) = (Some(policy), Some(charge.class), charge.notice);
        Outcome::Denied(Denial { reason, retry_after_ns, policy, class, by: 0, tell, shadow })
    }

    #[cold]
    fn ruled(&self, ruled: &Ruled) -> Outcome<'_> {
        let Ruled { ruling, class, notice: tell, .. } = *ruled;
        let registered = self.table.registered(class);
        let policy = &registered.policy;
        let reason = ruled_reason(policy, &ruling);
        let shadow = ruling.passes();
        let by = ruling.by.unwrap_or(0);
        if shadow {
            self.count_shadowed(policy, ruling.shadowed);
        } else {
            self.count_denied(registered, by, reason);
        }
        Outcome::Denied(Denial {
            reason,
            retry_after_ns: wait_ns(ruling.wait),
            policy: Some(policy),
            class: Some(class),
            by,
            tell,
            shadow,
        })
    }

    #[cold]
    fn full(&self, nearest: Option<Ticks>) -> Outcome<'_> {
        self.counters.count(Event::Full);
        if self.table.plan().when_full == WhenFull::Allow {
            self.counters.count(Event::Allowed);
            return Outcome::Allowed;
        }
        let tell = |every| self.full_notice.denied(self.table.time().now(), every);
        let tell = self.table.plan().notice_ms.and_then(tell);
        let retry_after_ns = nearest.map_or(NEVER, to_nanos_up);
        let shadow = self.table.policy(self.table.default_class()).is_shadow();
        self.counters.count(if shadow { Event::Shadowed } else { Event::Denied });
        Outcome::Denied(Denial { reason: Reason::Full, retry_after_ns, policy: None, class: None, by: 0, tell, shadow })
    }

    /// Counts a denial by the limit of this number.
    #[inline]
    fn count_denied(&self, registered: &Registered, by: u8, reason: Reason) {
        let place = match reason {
            Reason::Never => Event::Never.place(),
            Reason::Blocked => Event::Blocked.place(),
            _ => match registered.denials_of(by) {
                Ok(place) => place,
                Err(Some(count)) => {
                    // ORDERING: Relaxed; a count, and no more.
                    count.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                Err(None) => Event::Denied.place(),
            },
        };
        self.counters.count_at(place);
    }

    /// Counts what denied several keys.
    pub(super) fn count_answer(&self, answer: &Answer) {
        match answer {
            Answer::Charged(Charge { class, verdict, .. }) => {
                let registered = self.table.registered(*class);
                self.count_denied(registered, 0, charged_reason(&registered.policy, *verdict).0);
            }
            Answer::Ruled(Ruled { class, ruling, .. }) => {
                let registered = self.table.registered(*class);
                self.count_denied(registered, ruling.by.unwrap_or(0), ruled_reason(&registered.policy, ruling));
            }
            Answer::Full(_) | Answer::Unknown => self.counters.count(Event::Denied),
        }
    }

    /// Each shadow limit of these bits would have denied: counted by its name, and the request once.
    #[cold]
    fn count_shadowed(&self, policy: &Policy, bits: u16) {
        self.counters.count(Event::Shadowed);
        let mut counts = self.shadowed.lock();
        for (at, limit) in policy.limits().iter().enumerate() {
            if bits >> at & 1 != 0 {
                *counts.entry(limit.name.clone()).or_default() += 1;
            }
        }
    }
}
