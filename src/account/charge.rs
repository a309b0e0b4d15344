//! What changes the state of a key: charges, reservations and their ends, denials that are counted, and what the program
//! orders.

use super::cold::Cold;
use super::leases::{Lease, LeaseId, Terms};
use super::part::{Part, State, record};
use crate::limit::Log;
use crate::policy::{Cost, Limit, Rule};
use crate::ticks::Ticks;

impl Cold {
    /// Charges the limits of these bits.
    pub(super) fn charge(&mut self, limits: &[Limit], now: Ticks, cost: &Cost, to: u16) {
        self.part_logs(limits, cost);
        let mut forgot = false;
        for ((part, limit), number) in self.parts.iter_mut().zip(limits).zip(0..) {
            let n = cost.on(limit);
            match (&mut part.state, &limit.rule) {
                _ if to >> number & 1 == 0 => {}
                (State::Bucket(tat), Rule::Rate { bucket, .. }) => *tat = bucket.debit(*tat, now, n),
                _ => forgot |= part.log(&limit.rule, now, n),
            }
        }
        self.charge_dormant(limits, now, cost);
        self.log_shared(limits, now, cost, forgot);
    }

    /// Exact windows share one log for as long as all windows cost the same: the first request that costs one of them more
    /// than another gives each a log of its own.
    fn part_logs(&mut self, limits: &[Limit], cost: &Cost) {
        if cost.uniform().is_some() {
            return;
        }
        let windows = limits.iter().filter(|limit| !limit.shadow && matches!(limit.rule, Rule::Window(_)));
        let mut costs = windows.map(|limit| cost.on(limit));
        let first = costs.next();
        if costs.all(|n| Some(n) == first)
            && self.costs_dormant(limits, cost).all(|n| first.is_none_or(|first| first == n))
        {
            return;
        }
        self.apart = true;
        let is_shared = |part: &Part| matches!(part.state, State::Shared);
        for part in self.parts.iter_mut().filter(|part| is_shared(part)) {
            part.state = State::Own(self.log.clone());
        }
        self.log = Log::new();
    }

    /// One entry for all windows that share a log.
    fn log_shared(&mut self, limits: &[Limit], now: Ticks, cost: &Cost, mut forgot: bool) {
        let is_shared = |(part, limit): (&Part, &Limit)| match (&part.state, &limit.rule) {
            (State::Shared, Rule::Window(window)) => Some((window.horizon(now), cost.on(limit))),
            _ => None,
        };
        let shared = self.parts.iter().zip(limits).filter_map(is_shared);
        if let Some((oldest, n)) = shared.reduce(|(oldest, n), (other, _)| (oldest.min(other), n)) {
            forgot |= record(&mut self.log, now, n, oldest);
        }
        if forgot {
            self.from = self.from.max(now);
        }
    }

    pub(super) fn reserve(
        &mut self,
        limits: &[Limit],
        now: Ticks,
        cost: &Cost,
        to: u16,
        (id, terms): (LeaseId, Terms),
    ) {
        let mut receipts = vec![0; limits.len()].into_boxed_slice();
        for (number, (part, limit)) in self.parts.iter_mut().zip(limits).enumerate() {
            if to >> number & 1 == 0 {
                continue;
            }
            let n = cost.on(limit);
            part.held = part.held.saturating_add(n);
            if let (State::Bucket(tat), Rule::Rate { bucket, .. }) = (&mut part.state, &limit.rule) {
                *tat = bucket.debit(*tat, now, n);
                receipts[number] = *tat;
            }
        }
        let lease = Lease { cost: cost.clone(), expiry: terms.ends(now), terms, charged: to, receipts };
        self.leases.begin(id, lease);
    }

    /// Ends a reservation of which so much was used; false if it has ended before.
    pub(crate) fn settle(&mut self, limits: &[Limit], id: LeaseId, now: Ticks, used: Option<&Cost>) -> bool {
        self.catch_up(limits, now);
        let Some(lease) = self.leases.end(id) else { return false };
        self.end(limits, (id, &lease), now, used.unwrap_or(&lease.cost));
        true
    }

    /// Gives back all of a reservation.
    pub(crate) fn cancel(&mut self, limits: &[Limit], id: LeaseId, now: Ticks) -> bool {
        self.settle(limits, id, now, Some(&Cost::new(0)))
    }

    /// Lets a reservation begin anew, under other terms; false if it has ended.
    pub(crate) fn renew(&mut self, limits: &[Limit], id: LeaseId, now: Ticks, terms: Terms) -> bool {
        self.catch_up(limits, now);
        let Some(mut lease) = self.leases.end(id) else { return false };
        (lease.expiry, lease.terms) = (terms.ends(now), terms);
        self.leases.begin(id, lease);
        true
    }

    /// Charges what was used, even beyond what was reserved, where a reservation was not given back in time.
    pub(crate) fn debit(&mut self, limits: &[Limit], now: Ticks, used: &Cost) {
        self.catch_up(limits, now);
        self.charge(limits, now, used, !0);
        self.bound(limits, now);
    }

    pub(super) fn end(&mut self, limits: &[Limit], (id, lease): (LeaseId, &Lease), at: Ticks, used: &Cost) {
        self.part_logs(limits, used);
        let mut forgot = false;
        for (number, (part, limit)) in self.parts.iter_mut().zip(limits).enumerate() {
            if !lease.is_charged_to(number) {
                continue;
            }
            let (reserved, used) = (lease.cost.on(limit), used.on(limit));
            // A sum that has saturated is counted anew.
            part.held = match part.held {
                u64::MAX => self.leases.held((number, limit)),
                held => held - reserved,
            };
            match (&mut part.state, &limit.rule) {
                (State::Bucket(tat), Rule::Rate { bucket, .. }) => {
                    let unused = reserved.saturating_sub(used);
                    *tat = bucket.refund(*tat, at, unused, lease.receipts[number]);
                    *tat = bucket.debit(*tat, at, used.saturating_sub(reserved));
                }
                _ => forgot |= part.log(&limit.rule, at, used),
            }
        }
        self.end_dormant(limits, (id, lease), at, used);
        self.log_shared(limits, at, used, forgot);
        self.bound(limits, at);
    }

    /// No bucket is emptier than empty, whatever was used.
    fn bound(&mut self, limits: &[Limit], now: Ticks) {
        for (part, limit) in self.parts.iter_mut().zip(limits) {
            if let (State::Bucket(tat), Rule::Rate { bucket, .. }) = (&mut part.state, &limit.rule) {
                *tat = bucket.clamp(*tat, now);
            }
        }
    }

    /// Counts a denial for every jail that does not hold already; true if one of them began to hold.
    pub(crate) fn deny(&mut self, limits: &[Limit], now: Ticks) -> bool {
        let holds = |(part, limit): (&Part, &Limit)| {
            !limit.shadow && matches!(&part.state, State::Jail(record) if record.holds(now))
        };
        if self.parts.iter().zip(limits).any(holds) {
            return false;
        }
        let mut began = false;
        for (part, limit) in self.parts.iter_mut().zip(limits) {
            if let (State::Jail(record), Rule::Jail(jail)) = (&mut part.state, &limit.rule)
                && !record.holds(now)
            {
                began |= jail.denied(record, now, now, now) && !limit.shadow;
            }
        }
        began
    }

    /// Counts a denial that was made elsewhere; true if the key is in a timeout now.
    pub(crate) fn penalize(&mut self, limits: &[Limit], now: Ticks) -> bool {
        self.catch_up(limits, now);
        self.deny(limits, now);
        let holds = |part: &Part| matches!(&part.state, State::Jail(record) if record.holds(now));
        self.parts.iter().zip(limits).any(|(part, limit)| !limit.shadow && holds(part))
    }

    /// Forgets what no limit counts any more.
    pub(crate) fn tidy(&mut self, limits: &[Limit], now: Ticks) {
        self.catch_up(limits, now);
        self.charge(limits, now, &Cost::new(0), !0);
    }

    /// Ends every timeout that runs, a block included; false if none does.
    pub(crate) fn release(&mut self, limits: &[Limit], now: Ticks) -> bool {
        self.catch_up(limits, now);
        let release = |released, part: &mut Part| match &mut part.state {
            State::Jail(record) => record.release(now) | released,
            _ => released,
        };
        let blocked = std::mem::take(&mut self.blocked) > 0;
        self.parts.iter_mut().fold(blocked, release)
    }

    /// Lets nothing pass before `until`; a time in the past ends the block.
    pub(crate) fn block(&mut self, limits: &[Limit], now: Ticks, until: Ticks) {
        self.blocked = until;
        self.catch_up(limits, now);
    }

    /// Charges each limit of this name (`None`: every one) that has more than `to` left by the difference. Limits that
    /// count reservations or denials stay as they are. True if any was charged.
    pub(crate) fn drain(&mut self, limits: &[Limit], now: Ticks, to: u64, name: Option<&str>) -> bool {
        self.catch_up(limits, now);
        let meant = |limit: &Limit| name.is_none_or(|name| *limit.name == *name);
        let excess = |number: usize, limit: &Limit| self.remains(number, limit, now).saturating_sub(to);
        let surplus: Vec<u64> = limits
            .iter()
            .enumerate()
            .map(|(number, limit)| if meant(limit) && limit.counts() { excess(number, limit) } else { 0 })
            .collect();
        let named = limits.iter().zip(&surplus).map(|(limit, &n)| (limit.name.clone(), n));
        let cost = Cost::new(0).with(named);
        self.charge(limits, now, &cost, !0);
        surplus.iter().any(|&n| n > 0)
    }
}
