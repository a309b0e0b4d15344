//! An oracle for any number of limits on a key: it keeps every event, and finds times by trying one after another.

pub(crate) mod bench;
pub(crate) mod said;

use tollbar::limit::Edge;

pub(crate) use said::{Said, TICKS};

/// Longer than anything here lasts, but a reservation without an end.
const FAR: u64 = TICKS << 17;

/// When a reservation without an end ends.
pub(crate) const OPEN: u64 = u64::MAX / 2;

/// The first boundary after a time; the last length repeats.
fn end_of_period(boundaries: &[i64], time: u64) -> i64 {
    let time = time.cast_signed();
    let [.., before, last] = *boundaries else { panic!("two boundaries at least") };
    let mut end = boundaries.iter().copied().find(|&boundary| boundary > time).unwrap_or(last);
    while end <= time {
        end += last - before;
    }
    end
}

/// What one limit of a key has seen.
#[derive(Clone, Debug, Default)]
struct Seen {
    tat: u64,
    sent: Vec<(u64, u64)>,
    denials: Vec<u64>,
    until: u64,
    strikes: u64,
    quiet_since: u64,
}

#[derive(Clone, Debug)]
struct Held {
    id: usize,
    /// What it costs each limit.
    n: Vec<u64>,
    expiry: u64,
    gives_back: bool,
    charged: Vec<bool>,
    receipts: Vec<u64>,
}

/// What a key is told.
#[allow(clippy::struct_excessive_bools)] // each is a part of an answer
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) allowed: bool,
    /// In nanoseconds, rounded up; `None`: never; [`OPEN`]: when a reservation without an end ends.
    pub(crate) wait: Option<u64>,
    /// Shorter if a reservation ends before its lease is over.
    pub(crate) estimated: bool,
    pub(crate) blocked: bool,
    /// The limit that denies for longest, or would.
    pub(crate) by: Option<usize>,
    pub(crate) shadowed: bool,
}

/// One key.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    limits: Vec<(Said, bool)>,
    seen: Vec<Seen>,
    held: Vec<Held>,
    blocked: u64,
}

impl Key {
    pub(crate) fn new(limits: &[(Said, bool)]) -> Self {
        let limits: Vec<_> = limits.iter().map(|(said, shadow)| (said.in_ticks(), *shadow)).collect();
        Self { seen: vec![Seen::default(); limits.len()], held: Vec::new(), blocked: 0, limits }
    }

    fn expire(&mut self, now: u64) {
        loop {
            let due = self.held.iter().filter(|held| held.expiry <= now);
            let Some(id) = due.min_by_key(|held| (held.expiry, held.id)).map(|held| held.id) else { return };
            let held = self.take(id).unwrap();
            let used = if held.gives_back { vec![0; held.n.len()] } else { held.n.clone() };
            self.end(&held, held.expiry, &used);
        }
    }

    fn take(&mut self, id: usize) -> Option<Held> {
        let at = self.held.iter().position(|held| held.id == id)?;
        Some(self.held.remove(at))
    }

    fn in_flight(&self, limit: usize) -> u64 {
        self.held.iter().filter(|held| held.charged[limit]).map(|held| held.n[limit]).sum()
    }

    /// Whether one limit lets `n` pass at a time, if nothing happens before.
    fn passes_at(&self, limit: usize, at: u64, n: u64) -> bool {
        let mut then = self.clone();
        then.expire(at);
        let (seen, flying) = (&then.seen[limit], then.in_flight(limit));
        let counted = |is_in: &dyn Fn(u64) -> bool| {
            seen.sent.iter().filter(|(stamp, _)| is_in(*stamp)).map(|(_, n)| n).sum::<u64>()
        };
        match then.limits[limit].0 {
            Said::Jail { .. } => at >= seen.until,
            Said::Closed => false,
            // What costs a limit nothing is not asked of it.
            _ if n == 0 => true,
            Said::Rate { emission, burst } => {
                let base = seen.tat.max(at);
                base + n * emission - at <= burst * emission
            }
            Said::Window { limit, width, edge: Edge::Closed } => {
                counted(&|stamp| stamp + width >= at) + flying + n <= limit
            }
            Said::Window { limit, width, .. } => counted(&|stamp| stamp + width > at) + flying + n <= limit,
            Said::Steps { limit, step, steps } => {
                counted(&|stamp| (stamp / step + 1) * step + step * steps > at) + flying + n <= limit
            }
            Said::Calendar { limit, ref boundaries } => {
                counted(&|stamp| end_of_period(boundaries, stamp) > at.cast_signed()) + flying + n <= limit
            }
            Said::InFlight { limit } => flying + n <= limit,
        }
    }

    /// When one limit lets `n` pass; `None` never.
    fn earliest(&self, limit: usize, now: u64, n: u64) -> Option<u64> {
        if n > self.limits[limit].0.capacity() || matches!(self.limits[limit].0, Said::Closed) {
            return None;
        }
        if !self.passes_at(limit, now + FAR, n) {
            return Some(OPEN);
        }
        // Once it passes it goes on to pass, for nothing happens: halves are tried.
        let (mut low, mut high) = (now, now + FAR);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.passes_at(limit, middle, n) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        Some(low)
    }

    /// The same if every reservation ended now, and nothing was used of it.
    fn soonest(&self, limit: usize, now: u64, n: u64) -> Option<u64> {
        let mut then = self.clone();
        then.held.sort_by_key(|held| (held.expiry, held.id));
        for held in std::mem::take(&mut then.held) {
            then.end(&held, now, &vec![0; held.n.len()]);
        }
        then.earliest(limit, now, n)
    }

    pub(crate) fn told(&mut self, now: u64, cost: &[u64]) -> Told {
        self.expire(now);
        let mut told =
            Told { allowed: true, wait: Some(0), estimated: false, blocked: false, by: None, shadowed: false };
        if cost.iter().all(|&n| n == 0) {
            return told;
        }
        let (mut longest, mut would) = (Some(now), (Some(now), None));
        for (number, (_, shadow)) in self.limits.iter().enumerate() {
            let at = self.earliest(number, now, cost[number]);
            if at == Some(now) {
                continue;
            }
            let later = |than: Option<u64>| at.unwrap_or(u64::MAX) > than.unwrap_or(u64::MAX);
            if *shadow {
                told.shadowed = true;
                if later(would.0) || would.1.is_none() {
                    would = (at, Some(number));
                }
            } else if later(longest) {
                (longest, told.by, told.allowed) = (at, Some(number), false);
            }
        }
        if longest.is_some_and(|longest| self.blocked > longest) {
            (longest, told.by, told.allowed, told.blocked) = (Some(self.blocked), None, false, true);
        }
        told.wait = longest.map(|longest| if longest == OPEN { OPEN } else { (longest - now).div_ceil(TICKS) });
        told.shadowed &= told.allowed;
        if let Some(by) = told.by {
            let soonest = self.soonest(by, now, cost[by]).unwrap_or(u64::MAX);
            told.estimated = soonest < longest.unwrap_or(u64::MAX);
        } else if !told.blocked {
            told.by = would.1;
        }
        told
    }

    /// What a charge is told, and does.
    pub(crate) fn charge(&mut self, now: u64, cost: &[u64]) -> Told {
        let told = self.told(now, cost);
        if !told.allowed {
            return self.denied(now, cost, told);
        }
        let charged = self.charged_to(now, cost);
        self.send(now, cost, &charged);
        told
    }

    pub(crate) fn reserve(
        &mut self,
        now: u64,
        cost: &[u64],
        id: usize,
        (lease, gives_back): (Option<u64>, bool),
    ) -> Told {
        let told = self.told(now, cost);
        if !told.allowed {
            return self.denied(now, cost, told);
        }
        let charged = self.charged_to(now, cost);
        let mut receipts = vec![0; self.limits.len()];
        for (number, (said, _)) in self.limits.iter().enumerate().filter(|(number, _)| charged[*number]) {
            if let Said::Rate { emission, .. } = said {
                self.seen[number].tat = self.seen[number].tat.max(now) + cost[number] * emission;
                receipts[number] = self.seen[number].tat;
            }
        }
        let expiry = lease.map_or(OPEN, |lease| now + lease);
        self.held.push(Held { id, n: cost.to_vec(), expiry, gives_back, charged, receipts });
        told
    }

    /// Lets a reservation begin anew; false if it has ended.
    pub(crate) fn renew(&mut self, now: u64, id: usize, lease: Option<u64>) -> bool {
        self.expire(now);
        let held = self.held.iter_mut().find(|held| held.id == id);
        held.map(|held| held.expiry = lease.map_or(OPEN, |lease| now + lease)).is_some()
    }

    /// All limits but shadows that would deny; what asks for nothing is asked nowhere.
    fn charged_to(&self, now: u64, cost: &[u64]) -> Vec<bool> {
        let is_nothing = cost.iter().all(|&n| n == 0);
        (0..self.limits.len()).map(|number| is_nothing || self.passes_at(number, now, cost[number])).collect()
    }

    fn send(&mut self, now: u64, cost: &[u64], to: &[bool]) {
        for (number, (said, _)) in self.limits.iter().enumerate().filter(|(number, _)| to[*number]) {
            self.seen[number].sent.push((now, cost[number]));
            if let Said::Rate { emission, .. } = said {
                self.seen[number].tat = self.seen[number].tat.max(now) + cost[number] * emission;
            }
        }
    }

    /// Counts a denial for all jails, unless one that denies holds already.
    pub(crate) fn denied(&mut self, now: u64, cost: &[u64], told: Told) -> Told {
        let is_jail = |said: &Said| matches!(said, Said::Jail { .. });
        let jailed = (0..self.limits.len())
            .any(|number| is_jail(&self.limits[number].0) && !self.limits[number].1 && self.seen[number].until > now);
        if told.wait.is_none() || jailed {
            return told;
        }
        for ((said, _), seen) in self.limits.iter().zip(&mut self.seen) {
            let Said::Jail { denials, within, duration, factor, longest } = *said else { continue };
            if seen.until > now {
                continue;
            }
            while seen.strikes > 0 && seen.quiet_since + duration <= now {
                seen.quiet_since += duration;
                seen.strikes -= 1;
            }
            seen.quiet_since = seen.quiet_since.max(now);
            seen.denials.push(now);
            if seen.denials.iter().filter(|&&denial| denial + within >= now).count() as u64 >= denials {
                seen.strikes += 1;
                let sentence =
                    (1..seen.strikes).fold(duration, |sentence, _| (sentence * u64::from(factor)).min(longest));
                seen.until = now + sentence.min(longest);
                seen.quiet_since = seen.until;
                seen.denials.clear();
            }
        }
        self.told(now, cost)
    }

    /// Ends a reservation; false if it has ended.
    pub(crate) fn settle(&mut self, now: u64, id: usize, used: &[u64], gives_back: bool) -> bool {
        self.expire(now);
        if let Some(held) = self.take(id) {
            self.end(&held, now, used);
            return true;
        }
        if gives_back {
            let all = vec![true; self.limits.len()];
            self.send(now, used, &all);
            self.bound(now);
        }
        false
    }

    fn end(&mut self, held: &Held, now: u64, used: &[u64]) {
        for (number, (said, _)) in self.limits.iter().enumerate().filter(|(number, _)| held.charged[*number]) {
            let (seen, reserved, used) = (&mut self.seen[number], held.n[number], used[number]);
            seen.sent.push((now, used));
            if let Said::Rate { emission, .. } = said {
                let back = reserved.saturating_sub(used) * emission;
                seen.tat -= back.min(held.receipts[number].saturating_sub(now)).min(seen.tat);
                if used > reserved {
                    seen.tat = seen.tat.max(now) + (used - reserved) * emission;
                }
            }
        }
        self.bound(now);
    }

    /// Lets nothing pass for so long.
    pub(crate) fn block(&mut self, now: u64, length: u64) {
        self.expire(now);
        self.blocked = now + length;
    }

    /// Leaves no more than `to` of one limit or of all; false if there was no more.
    pub(crate) fn drain(&mut self, now: u64, to: u64, limit: Option<usize>) -> bool {
        self.expire(now);
        let counts = |said: &Said| {
            matches!(said, Said::Rate { .. } | Said::Window { .. } | Said::Steps { .. } | Said::Calendar { .. })
        };
        let is_meant = |number: usize| limit.is_none_or(|limit| limit == number) && counts(&self.limits[number].0);
        let surplus = |number: usize| self.remains(number, now).saturating_sub(to);
        let cost: Vec<u64> =
            (0..self.limits.len()).map(|number| if is_meant(number) { surplus(number) } else { 0 }).collect();
        self.send(now, &cost, &vec![true; cost.len()]);
        cost.iter().any(|&n| n > 0)
    }

    /// What a limit lets pass at once.
    fn remains(&self, limit: usize, now: u64) -> u64 {
        (1..=self.limits[limit].0.capacity()).rev().find(|&n| self.passes_at(limit, now, n)).unwrap_or(0)
    }

    /// Other numbers for windows and for what is in flight. Every reservation counts in limits that change.
    pub(crate) fn renumber(&mut self, now: u64, numbers: &[u64]) {
        self.expire(now);
        for (at, (said, _)) in self.limits.iter_mut().enumerate() {
            if said.renumber(numbers[at]) {
                self.held.iter_mut().for_each(|held| held.charged[at] = true);
            }
        }
    }

    fn bound(&mut self, now: u64) {
        for ((said, _), seen) in self.limits.iter().zip(&mut self.seen) {
            if let Said::Rate { emission, burst } = said {
                seen.tat = seen.tat.min(now + emission * burst);
            }
        }
    }

    /// Ends all timeouts.
    pub(crate) fn release(&mut self, now: u64) -> bool {
        self.expire(now);
        let mut released = std::mem::take(&mut self.blocked) > now;
        for seen in self.seen.iter_mut().filter(|seen| seen.until > now) {
            (seen.until, seen.quiet_since, released) = (0, now, true);
        }
        released
    }

    /// What could pass at once, by the limits that deny.
    pub(crate) fn remaining(&mut self, now: u64) -> Option<u64> {
        self.expire(now);
        let deny: Vec<usize> = (0..self.limits.len()).filter(|&number| !self.limits[number].1).collect();
        let most = deny.iter().map(|&number| self.limits[number].0.capacity()).min()?;
        if most == u64::MAX || now < self.blocked {
            return (most < u64::MAX).then_some(0);
        }
        (0..=most).rev().find(|&n| n == 0 || deny.iter().all(|&number| self.passes_at(number, now, n)))
    }
}
