//! An oracle for accesses in any order, with timeouts: it forgets nothing and counts everything.

use tollbar::limit::Jail;
use tollbar::{ClientAccess, Clock};

/// Rules in small numbers, so that every edge is met.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) limit: u64,
    pub(crate) period: u64,
    pub(crate) lateness: u64,
    pub(crate) jail: Option<(u64, u64, u64, u32)>,
}

impl Rules {
    pub(crate) fn limiter(&self) -> ClientAccess {
        let access = ClientAccess::new(self.limit, self.period, Clock::Monotonic).unwrap().lateness(self.lateness);
        match self.jail {
            None => access,
            Some((denials, within, duration, factor)) => {
                let jail = Jail::new(denials, within, duration).unwrap();
                access.jail(jail.escalating(factor.into(), Some(5 * duration)).unwrap())
            }
        }
    }

    /// Whether every window [start, start + period) that starts with an access holds at most the limit.
    pub(crate) fn is_kept(&self, accesses: &[i64]) -> bool {
        accesses.iter().all(|&start| {
            let end = start + i64::try_from(self.period).unwrap();
            accesses.iter().filter(|&&access| (start..end).contains(&access)).count() as u64 <= self.limit
        })
    }
}

/// What an oracle that forgets nothing knows of one client.
#[derive(Default)]
pub(crate) struct Oracle {
    admitted: Vec<i64>,
    newest: Option<i64>,
    denials: Vec<i64>,
    pub(crate) until: Option<i64>,
    strikes: u64,
    quiet_since: i64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Answer {
    Allowed,
    Denied,
    Jailed,
    Late,
    Full,
}

impl Oracle {
    pub(crate) fn ask(&mut self, rules: &Rules, at: i64) -> Answer {
        let lateness = i64::try_from(rules.lateness).unwrap();
        if self.until.is_some_and(|until| at < until) {
            return Answer::Jailed;
        }
        if self.newest.is_some_and(|newest| at < newest - lateness) {
            return Answer::Late;
        }
        let newest = self.newest.map_or(at, |newest| newest.max(at));
        self.newest = Some(newest);
        self.admitted.push(at);
        if rules.is_kept(&self.admitted) {
            return Answer::Allowed;
        }
        self.admitted.pop();
        if let Some((denials, within, duration, factor)) = rules.jail {
            let (within, duration) = (i64::try_from(within).unwrap(), i64::try_from(duration).unwrap());
            let forgotten = u64::try_from((at - self.quiet_since) / duration).unwrap_or(0);
            self.strikes = self.strikes.saturating_sub(forgotten);
            self.quiet_since = self.quiet_since.max(at);
            self.denials.push(at);
            let most = self.denials.iter().filter(|&&start| (start..=start + within).contains(&at)).map(|&start| {
                self.denials.iter().filter(|&&denial| (start..=start + within).contains(&denial)).count() as u64
            });
            if most.max() >= Some(denials) {
                self.strikes += 1;
                let power = i64::from(factor).saturating_pow(u32::try_from(self.strikes - 1).unwrap().min(20));
                let until = newest + duration.saturating_mul(power).min(5 * duration);
                (self.until, self.quiet_since) = (Some(until), until);
                self.denials.clear();
            }
        }
        Answer::Denied
    }
}

/// What the limiter answered, told by its counts, which must agree with the answer.
pub(crate) fn ask(access: &ClientAccess, client: u8, at: i64) -> Answer {
    let before = access.stats();
    let allowed = access.is_allowed(&[client], Some(at)).unwrap();
    let after = access.stats();
    let counts = [
        (Answer::Allowed, after.allowed - before.allowed),
        (Answer::Denied, after.denied - before.denied),
        (Answer::Jailed, after.jailed - before.jailed),
        (Answer::Late, after.late - before.late),
        (Answer::Full, after.full - before.full),
    ];
    assert_eq!(counts.iter().map(|(_, count)| count).sum::<u64>(), 1);
    let (answer, _) = counts.into_iter().find(|(_, count)| *count == 1).unwrap();
    assert_eq!(allowed, answer == Answer::Allowed);
    answer
}
