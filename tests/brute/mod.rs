//! An oracle for any number of limits on a key: it keeps every event, and finds times by trying one after another.

pub(crate) mod bench;

use std::sync::Arc;

use tollbar::limit::{Edge, Jail, Periods};
use tollbar::{Limit, Rate};

/// Longer than anything here lasts.
const FAR: u64 = TICKS << 17;

/// The oracle counts in sixteenths of a nanosecond, as waits do before they are rounded up.
const TICKS: u64 = 16;

/// What the wall clock reads when the oracle's time begins, in nanoseconds.
pub(crate) const UNIX: u64 = 1_000_000;

/// A limit, in nanoseconds as it is said.
#[derive(Clone, Debug)]
pub(crate) enum Said {
    /// A token every `emission`, up to `burst`.
    Rate {
        emission: u64,
        burst: u64,
    },
    Window {
        limit: u64,
        width: u64,
        edge: Edge,
    },
    /// So many steps of this length.
    Steps {
        limit: u64,
        step: u64,
        steps: u64,
    },
    /// In periods that begin at these moments of the wall clock, counted from the start of the oracle's time.
    Calendar {
        limit: u64,
        boundaries: Vec<i64>,
    },
    InFlight {
        limit: u64,
    },
    Jail {
        denials: u64,
        within: u64,
        duration: u64,
        factor: u32,
        longest: u64,
    },
}

impl Said {
    pub(crate) fn limit(&self, name: &str, shadow: bool) -> Limit {
        let limit = match *self {
            Self::Rate { emission, burst } => Limit::rate(Rate::new(1, emission).burst(burst)),
            Self::Window { limit, width, edge } => Limit::window(limit, width, edge),
            Self::Steps { limit, step, steps } => Limit::window_in_steps(limit, step * steps, Edge::HalfOpen, steps),
            Self::Calendar { limit, ref boundaries } => {
                let moments: Vec<i64> = boundaries.iter().map(|moment| moment + UNIX.cast_signed()).collect();
                Limit::calendar(limit, Arc::new(Periods::new(&moments).unwrap()), "period")
            }
            Self::InFlight { limit } => Limit::in_flight(limit),
            Self::Jail { denials, within, duration, factor, longest } => {
                let jail = Jail::new(denials, within, duration).unwrap();
                Limit::jail(jail.escalating(factor.into(), Some(longest)).unwrap())
            }
        };
        limit.unwrap().named(name).shadow(shadow)
    }

    fn in_ticks(&self) -> Self {
        let mut said = self.clone();
        match &mut said {
            Self::Rate { emission: time, .. } | Self::Window { width: time, .. } | Self::Steps { step: time, .. } => {
                *time *= TICKS;
            }
            Self::Jail { within, duration, longest, .. } => {
                for time in [within, duration, longest] {
                    *time *= TICKS;
                }
            }
            Self::Calendar { boundaries, .. } => {
                for moment in boundaries {
                    *moment *= TICKS.cast_signed();
                }
            }
            Self::InFlight { .. } => {}
        }
        said
    }

    fn capacity(&self) -> u64 {
        match *self {
            Self::Rate { burst, .. } => burst,
            Self::Window { limit, .. }
            | Self::Steps { limit, .. }
            | Self::Calendar { limit, .. }
            | Self::InFlight { limit } => limit,
            Self::Jail { .. } => u64::MAX,
        }
    }
}

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
    n: u64,
    expiry: u64,
    gives_back: bool,
    charged: Vec<bool>,
    receipts: Vec<u64>,
}

/// What a key is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) allowed: bool,
    /// In nanoseconds, rounded up; `None`: never.
    pub(crate) wait: Option<u64>,
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
}

impl Key {
    pub(crate) fn new(limits: &[(Said, bool)]) -> Self {
        let limits: Vec<_> = limits.iter().map(|(said, shadow)| (said.in_ticks(), *shadow)).collect();
        Self { seen: vec![Seen::default(); limits.len()], held: Vec::new(), limits }
    }

    fn expire(&mut self, now: u64) {
        loop {
            let due = self.held.iter().filter(|held| held.expiry <= now);
            let Some(id) = due.min_by_key(|held| (held.expiry, held.id)).map(|held| held.id) else { return };
            let held = self.take(id).unwrap();
            let used = if held.gives_back { 0 } else { held.n };
            self.end(&held, held.expiry, used);
        }
    }

    fn take(&mut self, id: usize) -> Option<Held> {
        let at = self.held.iter().position(|held| held.id == id)?;
        Some(self.held.remove(at))
    }

    fn in_flight(&self, limit: usize) -> u64 {
        self.held.iter().filter(|held| held.charged[limit]).map(|held| held.n).sum()
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
            Said::Jail { .. } => at >= seen.until,
        }
    }

    /// When one limit lets `n` pass; `None` never.
    fn earliest(&self, limit: usize, now: u64, n: u64) -> Option<u64> {
        if n > self.limits[limit].0.capacity() {
            return None;
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

    pub(crate) fn told(&mut self, now: u64, n: u64) -> Told {
        self.expire(now);
        let mut told = Told { allowed: true, wait: Some(0), by: None, shadowed: false };
        if n == 0 {
            return told;
        }
        let (mut longest, mut would) = (Some(now), (Some(now), None));
        for (number, (_, shadow)) in self.limits.iter().enumerate() {
            let at = self.earliest(number, now, n);
            if at == Some(now) {
                continue;
            }
            let later = |than: Option<u64>| at.unwrap_or(u64::MAX) > than.unwrap_or(u64::MAX);
            if *shadow {
                told.shadowed = true;
                if later(would.0) {
                    would = (at, Some(number));
                }
            } else if later(longest) {
                (longest, told.by, told.allowed) = (at, Some(number), false);
            }
        }
        told.wait = longest.map(|longest| (longest - now).div_ceil(TICKS));
        told.shadowed &= told.allowed;
        told.by = told.by.or(would.1);
        told
    }

    /// What a charge is told, and does.
    pub(crate) fn charge(&mut self, now: u64, n: u64) -> Told {
        let told = self.told(now, n);
        if !told.allowed {
            return self.denied(now, n, told);
        }
        if n > 0 {
            let charged = self.charged_to(now, n);
            self.send(now, n, &charged);
        }
        told
    }

    pub(crate) fn reserve(&mut self, now: u64, n: u64, id: usize, lease: u64, gives_back: bool) -> Told {
        let told = self.told(now, n);
        if !told.allowed {
            return self.denied(now, n, told);
        }
        let charged = if n > 0 { self.charged_to(now, n) } else { vec![true; self.limits.len()] };
        let mut receipts = vec![0; self.limits.len()];
        for (number, (said, _)) in self.limits.iter().enumerate().filter(|(number, _)| charged[*number]) {
            if let Said::Rate { emission, .. } = said {
                self.seen[number].tat = self.seen[number].tat.max(now) + n * emission;
                receipts[number] = self.seen[number].tat;
            }
        }
        self.held.push(Held { id, n, expiry: now + lease, gives_back, charged, receipts });
        told
    }

    fn charged_to(&self, now: u64, n: u64) -> Vec<bool> {
        (0..self.limits.len()).map(|number| self.passes_at(number, now, n)).collect()
    }

    fn send(&mut self, now: u64, n: u64, to: &[bool]) {
        for (number, (said, _)) in self.limits.iter().enumerate().filter(|(number, _)| to[*number]) {
            self.seen[number].sent.push((now, n));
            if let Said::Rate { emission, .. } = said {
                self.seen[number].tat = self.seen[number].tat.max(now) + n * emission;
            }
        }
    }

    /// Counts a denial for all jails, unless one that denies holds already.
    pub(crate) fn denied(&mut self, now: u64, n: u64, told: Told) -> Told {
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
        self.told(now, n)
    }

    /// Ends a reservation; false if it has ended.
    pub(crate) fn settle(&mut self, now: u64, id: usize, used: Option<u64>, was: (u64, bool)) -> bool {
        self.expire(now);
        if let Some(held) = self.take(id) {
            self.end(&held, now, used.unwrap_or(held.n));
            return true;
        }
        let (n, gives_back) = was;
        if gives_back && used != Some(0) {
            let all = vec![true; self.limits.len()];
            self.send(now, used.unwrap_or(n), &all);
            self.bound(now);
        }
        false
    }

    fn end(&mut self, held: &Held, now: u64, used: u64) {
        for (number, (said, _)) in self.limits.iter().enumerate().filter(|(number, _)| held.charged[*number]) {
            let seen = &mut self.seen[number];
            seen.sent.push((now, used));
            if let Said::Rate { emission, .. } = said {
                let back = held.n.saturating_sub(used) * emission;
                seen.tat -= back.min(held.receipts[number].saturating_sub(now)).min(seen.tat);
                if used > held.n {
                    seen.tat = seen.tat.max(now) + (used - held.n) * emission;
                }
            }
        }
        self.bound(now);
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
        let mut released = false;
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
        if most == u64::MAX {
            return None;
        }
        (0..=most).rev().find(|&n| n == 0 || deny.iter().all(|&number| self.passes_at(number, now, n)))
    }
}
