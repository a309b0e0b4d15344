//! An answer of the table counted and put into words.

use super::Limiter;
use super::answer::{Denial, Outcome, decision, denying, ruled_decision, wait_ns};
use crate::account::Wait;
use crate::counters::Event;
use crate::decision::{Decision, NEVER, Reason};
use crate::limit::Verdict;
use crate::policy::Limit;
use crate::table::{Answer, Charge, Ruled, WhenFull};
use crate::ticks::to_nanos_up;

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
    pub(super) fn outcome(&self, answer: Answer) -> Outcome<'_> {
        if answer.is_allowance() {
            self.counters.count(Event::Allowed);
            return Outcome::Allowed;
        }
        self.refusal(answer)
    }

    fn refusal(&self, answer: Answer) -> Outcome<'_> {
        let (reason, wait, tell, policy, limit) = match answer {
            Answer::Unknown => return Outcome::Unknown,
            Answer::Charged(Charge { verdict, class, notice, .. }) => {
                let policy = self.table.policy(class);
                let (reason, wait) = match verdict {
                    Verdict::Deny(wait) => (Reason::Rate, to_nanos_up(wait)),
                    Verdict::Never | Verdict::Allow(_) => (Reason::Never, NEVER),
                };
                (reason, wait, notice, Some(policy), policy.limits().first())
            }
            Answer::Ruled(Ruled { ruling, class, notice, .. }) => {
                let policy = self.table.policy(class);
                let limit = denying(policy, &ruling);
                let reason = if ruling.wait == Wait::Never { None } else { limit.map(Limit::reason) };
                (reason.unwrap_or(Reason::Never), wait_ns(ruling.wait), notice, Some(policy), limit)
            }
            Answer::Full(nearest) => {
                self.counters.count(Event::Full);
                if self.table.plan().when_full == WhenFull::Allow {
                    self.counters.count(Event::Allowed);
                    return Outcome::Allowed;
                }
                let tell = |every| self.full_notice.denied(self.table.time().now(), every);
                let tell = self.table.plan().notice_ms.and_then(tell);
                (Reason::Full, nearest.map_or(NEVER, to_nanos_up), tell, None, None)
            }
        };
        let shadow = match &answer {
            Answer::Ruled(ruled) => ruled.ruling.passes(),
            _ => policy.unwrap_or_else(|| self.table.policy(self.default)).is_shadow(),
        };
        if shadow {
            self.count_shadowed(&answer, limit);
        }
        self.counters.count(if shadow { Event::Shadowed } else { Event::Denied });
        Outcome::Denied(Denial { reason, retry_after_ns: wait, policy, limit, tell, shadow })
    }

    /// Each shadow limit that would have denied, by its name.
    fn count_shadowed(&self, answer: &Answer, limit: Option<&Limit>) {
        let mut counts = self.shadowed.lock();
        let mut count = |limit: &Limit| *counts.entry(limit.name.clone()).or_default() += 1;
        if let Answer::Ruled(ruled) = answer {
            let limits = self.table.policy(ruled.class).limits();
            limits
                .iter()
                .enumerate()
                .filter(|(at, _)| ruled.ruling.shadowed >> at & 1 != 0)
                .for_each(|(_, l)| count(l));
        } else if let Some(limit) = limit {
            count(limit);
        }
    }
}
