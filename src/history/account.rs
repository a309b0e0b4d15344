//! The state of one key: what was sent, and what is being sent.

use super::leases::Leases;
use super::{Limits, Plan, Planned, Rules};
use crate::limit::Runs;

/// Minute, hour and day.
pub(super) const WINDOWS: [i64; 3] = [60, 3_600, 86_400];
const LONGEST: i64 = WINDOWS[2];

#[derive(Default)]
pub(super) struct Account {
    /// `None` until something is logged: a mapping shows the difference.
    pub(super) sent: Option<Runs<3>>,
    /// Reservations; `None` until there is one.
    in_flight: Option<u64>,
    leases: Leases,
    /// Whether the last check saw no limit at all.
    unlimited: bool,
}

impl Account {
    /// Whether nothing would be lost but that it was once seen.
    pub(super) fn is_idle(&mut self, now: i64, rules: &Rules) -> bool {
        self.settle(now, rules);
        self.sent.as_ref().is_none_or(Runs::is_empty) && self.in_flight.unwrap_or(0) == 0
    }

    /// Drops what no window can see any more, and what has expired.
    fn settle(&mut self, now: i64, rules: &Rules) {
        if let Some(sent) = &mut self.sent {
            sent.drop_through(now - LONGEST);
        }
        self.expire(now, rules);
    }

    fn expire(&mut self, now: i64, rules: &Rules) {
        if let (Some(lease), Some(in_flight)) = (rules.lease, &mut self.in_flight) {
            *in_flight -= self.leases.expire(now, lease).min(*in_flight);
        }
    }

    pub(super) fn check_unlimited(&mut self) {
        self.unlimited = true;
    }

    /// Reserves a place if every limit has one.
    #[inline]
    pub(super) fn check(&mut self, limits: &Limits, now: i64, rules: &Rules) -> Planned {
        self.settle(now, rules);
        self.unlimited = false;
        let in_flight = self.in_flight.unwrap_or(0);
        for (window, limit) in limits.each() {
            let sent = self.sent.as_mut().map_or(0, |sent| sent.count_after(now - WINDOWS[window], window));
            if sent.saturating_add(in_flight) >= limit {
                return Planned::Later(match rules.plan {
                    Plan::Boundary => (now.div_euclid(WINDOWS[window]) + 1) * WINDOWS[window],
                    Plan::Exact => self.earliest(limits, now),
                });
            }
        }
        self.in_flight = Some(in_flight + 1);
        if let Some(lease) = rules.lease {
            self.leases.begin(now.saturating_add(lease), 1);
        }
        Planned::Now
    }

    /// The first second at which every limit has a place if nothing else happens until then.
    #[cold]
    fn earliest(&self, limits: &Limits, now: i64) -> i64 {
        let in_flight = self.in_flight.unwrap_or(0);
        let each = limits.each().filter_map(|(window, limit)| {
            // This one and those in flight need their places; the rest may be held by sends.
            match limit.checked_sub(in_flight.saturating_add(1)) {
                Some(kept) => self.sent.as_ref()?.earliest(WINDOWS[window], kept),
                None => Some(now + 1),
            }
        });
        each.max().unwrap_or(now).max(now + 1)
    }

    /// Records a send and ends its reservation. An account without limits keeps no history, unless `rules` say so; what was
    /// reserved under a limit is recorded whatever has become of the limit since.
    #[inline]
    pub(super) fn log(&mut self, now: i64, rules: &Rules) {
        self.settle(now, rules);
        let reserved = self.release();
        if !self.unlimited || reserved || rules.log_unlimited {
            self.sent.get_or_insert_default().log(now);
        }
    }

    /// Ends a reservation; false if there is none.
    #[inline]
    pub(super) fn release(&mut self) -> bool {
        match &mut self.in_flight {
            Some(in_flight) if *in_flight > 0 => {
                *in_flight -= 1;
                self.leases.end();
                true
            }
            _ => false,
        }
    }

    pub(super) fn in_flight(&mut self, now: i64, rules: &Rules) -> Option<u64> {
        self.expire(now, rules);
        self.in_flight
    }

    pub(super) fn set_in_flight(&mut self, in_flight: Option<u64>, now: i64, rules: &Rules) {
        self.in_flight = in_flight;
        self.leases.clear();
        if let (Some(count @ 1..), Some(lease)) = (in_flight, rules.lease) {
            self.leases.begin(now.saturating_add(lease), count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(plan: Plan) -> Rules {
        Rules { plan, lease: None, log_unlimited: false }
    }

    fn account(stamps: &[i64], in_flight: u64) -> Account {
        Account { sent: Some(Runs::of(stamps.to_vec())), in_flight: Some(in_flight), ..Account::default() }
    }

    /// What a check would answer at this second.
    fn asked(stamps: &[i64], in_flight: u64, limits: [u64; 3], now: i64, plan: Plan) -> Planned {
        account(stamps, in_flight).check(&Limits(limits), now, &rules(plan))
    }

    #[test]
    fn twenty_thousand_plans_are_those_of_brute_force_and_tight() {
        let mut seed = 7_u64;
        let mut below = |bound: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % bound as u64
        };
        let (mut denied, now) = (0, 1_700_000_000);
        for _ in 0..20_000 {
            let mut stamps: Vec<i64> = Vec::new();
            for _ in 0..below(12) {
                let oldest = [100, 4_000, 100_000][usize::try_from(below(3)).unwrap()];
                stamps.push(now - i64::try_from(below(oldest)).unwrap());
            }
            let (limits, in_flight) = ([below(5), below(8), below(12)], below(3));
            let fails = |at: i64| {
                let full = |(window, limit): (usize, u64)| {
                    let sent = stamps.iter().filter(|&&stamp| stamp > at - WINDOWS[window]).count();
                    sent as u64 + in_flight >= limit
                };
                Limits(limits).each().find(|&one| full(one)).map(|(window, _)| WINDOWS[window])
            };
            let boundary = asked(&stamps, in_flight, limits, now, Plan::Boundary);
            let exact = asked(&stamps, in_flight, limits, now, Plan::Exact);
            let Some(length) = fails(now) else {
                assert_eq!((boundary, exact), (Planned::Now, Planned::Now));
                continue;
            };
            denied += 1;
            assert_eq!(boundary, Planned::Later((now / length + 1) * length));
            let Planned::Later(earliest) = exact else { panic!("it must be denied") };
            assert!(earliest > now);
            if earliest > now + 1 {
                assert!(fails(earliest - 1).is_some(), "{stamps:?} {limits:?} {in_flight}: {earliest} is too late");
            }
            if Limits(limits).each().all(|(_, limit)| limit > in_flight) {
                assert_eq!(fails(earliest), None, "{stamps:?} {limits:?} {in_flight}: {earliest} is too early");
            }
        }
        assert!((5_000..19_000).contains(&denied), "{denied}");
    }

    #[test]
    fn where_those_in_flight_take_all_it_is_the_next_second() {
        let exact = asked(&[], 2, [2, 0, 0], 100, Plan::Exact);
        assert_eq!(exact, Planned::Later(101));
        assert_eq!(asked(&[90], 2, [2, 3, 0], 100, Plan::Exact), Planned::Later(3_690));
    }

    #[test]
    fn a_send_counts_for_less_than_a_window() {
        for (age, passes) in [(59, false), (60, true)] {
            let answer = asked(&[1_000 - age], 0, [1, 0, 0], 1_000, Plan::Boundary);
            assert_eq!(answer == Planned::Now, passes, "{age}");
        }
    }

    #[test]
    fn the_unlimited_keep_no_history_but_what_was_reserved_counts() {
        let rules = rules(Plan::Boundary);
        let mut account = Account::default();
        account.check_unlimited();
        account.log(5, &rules);
        assert!(account.sent.is_none());
        assert_eq!(account.check(&Limits([1, 0, 0]), 5, &rules), Planned::Now);
        account.check_unlimited();
        account.log(5, &rules);
        account.log(5, &rules);
        assert_eq!(account.sent.map(|sent| sent.len()), Some(1));
    }

    #[test]
    fn what_is_idle_holds_nothing_that_counts() {
        let rules = rules(Plan::Boundary);
        assert!(!account(&[1_000], 0).is_idle(1_000 + LONGEST - 1, &rules));
        assert!(account(&[1_000], 0).is_idle(1_000 + LONGEST, &rules));
        assert!(!account(&[], 1).is_idle(1_000, &rules));
    }

    #[test]
    fn a_lease_lets_go_of_what_was_lost() {
        let rules = Rules { lease: Some(30), ..rules(Plan::Boundary) };
        let (mut account, limits) = (Account::default(), Limits([0, 0, 1]));
        assert_eq!(account.check(&limits, 1_000, &rules), Planned::Now);
        assert_eq!(account.check(&limits, 1_029, &rules), Planned::Later(86_400));
        assert_eq!(account.check(&limits, 1_030, &rules), Planned::Now);
        account.log(1_031, &rules);
        assert_eq!(account.in_flight(1_031, &rules), Some(0));
        account.set_in_flight(Some(3), 1_031, &rules);
        assert_eq!(account.in_flight(1_060, &rules), Some(3));
        assert_eq!(account.in_flight(1_061, &rules), Some(0));
        assert!(!account.release());
    }
}
