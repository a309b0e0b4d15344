//! What most decisions are, a yes, by the three numbers of a rule that it takes.
//!
//! RUNS PER DECISION: [`Usual::take`]. Whatever it has no answer to is decided by the rule itself.

use super::TokenBucket;
use crate::ticks::Ticks;

/// The numbers of a [`TokenBucket`] that a yes takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usual {
    pub(crate) emission: Ticks,
    pub(crate) burst: u64,
    pub(crate) tolerance: Ticks,
}

impl Usual {
    pub(crate) const fn of(rule: &TokenBucket) -> Self {
        Self { emission: rule.emission(), burst: rule.burst(), tolerance: rule.tolerance() }
    }

    /// The word that [`TokenBucket::decide`] would allow, if it is another one; `None` is no answer.
    #[inline]
    pub(crate) const fn take(&self, tat: Ticks, now: Ticks, n: u64) -> Option<Ticks> {
        // One comparison sends both rare cases, n = 0 and n > burst, out of the way.
        if n.wrapping_sub(1) >= self.burst {
            return None;
        }
        // n <= burst, so this is no more than a full burst. Added to both before they are compared: the reading of the
        // clock is what everything else waits for.
        let cost = n * self.emission;
        let (owed, fresh) = (tat + cost, now + cost);
        let new = if owed > fresh { owed } else { fresh };
        if new - now <= self.tolerance { Some(new) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::{Rate, Verdict};

    #[test]
    fn it_says_yes_exactly_where_the_rule_charges_something() {
        let rates = [(1, 1_000_000_000), (10, 1_000_000_000), (10_000, 3_600_000_000_000), (7, 1_300)];
        let rules = rates.map(|(limit, per_ns)| Rate::new(limit, per_ns).rule().unwrap());
        for rule in rules.into_iter().chain([TokenBucket::open(), TokenBucket::closed()]) {
            let (usual, tolerance) = (Usual::of(&rule), rule.tolerance());
            let times = [0, 1, tolerance / 2, tolerance, tolerance + 1, 3 * tolerance + 5];
            for (tat, now, n) in times.iter().flat_map(|&tat| times.map(|now| (tat, now))).flat_map(|(tat, now)| {
                [0, 1, 2, rule.burst() / 2, rule.burst(), rule.burst() + 1, u64::MAX].map(|n| (tat, now, n))
            }) {
                let word = match rule.decide(tat, now, n) {
                    Verdict::Allow(new) if new != tat => Some(new),
                    _ => None,
                };
                assert_eq!(usual.take(tat, now, n), word, "{rule:?} {tat} {now} {n}");
            }
        }
    }
}
