//! What windows remember, carried over to other windows: each takes over the log that knows best what it counts.
//!
//! An exact log knows each moment, a window in steps the ends of its steps; either knows no more than its own width. So a new
//! window begins with the log that reaches back as far as it does, and where that is one of steps, with the moments that an exact
//! log knows in place of the last steps.

use super::cold::Cold;
use super::migrate::{Handover, Source};
use super::part::{Part, State};
use crate::limit::{Log, Migration, Window};
use crate::policy::{Limit, Rule};
use crate::ticks::Ticks;

type Entries = Vec<(Ticks, u64)>;

/// What a window begins with, the oldest first.
struct Begun {
    entries: Entries,
    /// The times are ends of steps.
    in_steps: bool,
}

impl Begun {
    /// As a log of moments: what happened in a step happened before its end, and before now.
    fn log(&self, now: Ticks) -> Log {
        let mut log = Log::new();
        let moment = |stamp: Ticks| stamp.saturating_sub(u64::from(self.in_steps)).min(now);
        self.entries.iter().for_each(|&(stamp, n)| log.push(moment(stamp), n));
        log
    }
}

pub(super) fn scaled(count: u64, num: u64, den: u64) -> u64 {
    u64::try_from((u128::from(count) * u128::from(num)).div_ceil(u128::from(den.max(1)))).unwrap_or(u64::MAX)
}

/// A window that is or was in force, and what it remembers.
struct Known<'a> {
    limit: &'a Limit,
    window: &'a Window,
    part: &'a Part,
    is_source: bool,
}

impl Cold {
    /// Gives the new windows what the old ones remember.
    pub(super) fn hand_over_logs(&self, next: &mut Self, handover: &Handover<'_>) {
        let &Handover { new, now, how, .. } = handover;
        // Windows that were charged differently count different things: then each goes on with its own.
        let apart = self.apart;
        next.apart = apart;
        let shares = |limit: &Limit, part: &Part| match (&part.state, &limit.rule) {
            (State::Shared, Rule::Window(window)) => Some(window.reach()),
            _ => None,
        };
        let sharing = new.iter().zip(&next.parts).filter_map(|(limit, part)| shares(limit, part)).count();
        let one_log = !apart && (how == Migration::AsIs || sharing == 1);
        // The widest of those that share goes first, and the others share its log if it says of them what is known best.
        let reach_of = |number: usize| shares(&new[number], &next.parts[number]);
        let mut order: Vec<_> = handover.heirs().collect();
        order.sort_by_key(|&(number, ..)| std::cmp::Reverse(reach_of(number)));
        let mut has_log = false;
        for (number, limit, source) in order {
            let Rule::Window(window) = &limit.rule else { continue };
            match (source, source.number().map(|from| &self.parts[from].state)) {
                (Source::Same(_), Some(state @ (State::Own(_) | State::Steps(_)))) => {
                    next.parts[number].state = state.clone();
                    continue;
                }
                (Source::Same(_), Some(State::Shared)) if !one_log => {
                    next.parts[number].state = State::Own(self.log.clone());
                    continue;
                }
                _ => {}
            }
            let mut known = self.entries_for(limit, window, source, handover);
            scale(&mut known.entries, window, source, handover);
            match &mut next.parts[number].state {
                State::Shared if one_log && !has_log => (next.log, has_log) = (known.log(now), true),
                state @ State::Shared => {
                    let log = known.log(now);
                    let counts = |&(stamp, _): &(Ticks, u64)| window.free_at(stamp) > now;
                    if !one_log || !log.entries().filter(counts).eq(next.log.entries().filter(counts)) {
                        *state = State::Own(log);
                    }
                }
                State::Own(log) => *log = known.log(now),
                // The ends of steps stay as they are, but none is later than that of the step that is now.
                State::Steps(tally) => known.entries.iter().for_each(|&(stamp, n)| {
                    let end = if known.in_steps { stamp.min(window.stamped(now)) } else { window.stamped(stamp) };
                    tally.push(end, n);
                }),
                State::Bucket(_) | State::Jail(_) | State::Period(_) | State::Held => {}
            }
        }
    }

    /// The entries that a window begins with, the oldest first.
    fn entries_for(&self, limit: &Limit, window: &Window, source: Source, handover: &Handover<'_>) -> Begun {
        let (&Handover { old, now, how, .. }, apart) = (handover, self.apart);
        let known = self.known(limit, source, old);
        let covers = |known: &&Known<'_>| {
            let exact = !known.window.is_conservative();
            let reach = known.window.reach();
            let own = apart && known.limit.name == limit.name;
            (!known.limit.shadow || limit.shadow, own, reach.min(window.reach()), known.is_source, exact, reach)
        };
        let mut begun = Begun { entries: Entries::new(), in_steps: false };
        if let Some(best) = known.iter().max_by_key(covers) {
            let alike = |known: &&Known<'_>| {
                !known.limit.shadow && !best.limit.shadow && (!apart || known.limit.name == best.limit.name)
            };
            let exact = known.iter().filter(|known| !known.window.is_conservative() && alike(known));
            begun = match exact.max_by_key(|known| known.window.reach()) {
                Some(finer) if best.window.is_conservative() && !window.is_conservative() => {
                    Begun { entries: self.refined(best, finer, now), in_steps: false }
                }
                _ => {
                    // A log that is shared holds what wider windows count, too.
                    let mut entries = self.stamps(best.part).entries();
                    entries.retain(|&(stamp, _)| best.window.free_at(stamp) > now);
                    Begun { entries, in_steps: best.window.is_conservative() }
                }
            };
        }
        let is_known = limit.shadow && source.number().is_some();
        if !is_known && !old.iter().any(|limit| !limit.shadow && matches!(limit.rule, Rule::Window(_))) {
            // Of buckets it is known how much they count, and not since when.
            let held: u64 = self.parts.first().map_or(0, |part| part.held);
            let owed = self.owed(old, now).map(|owed| owed.carried(window.limit(), how)).max().unwrap_or(0);
            let counts = |&&(stamp, _): &&(Ticks, u64)| window.free_at(stamp) > now;
            let logged: u64 = begun.entries.iter().filter(counts).map(|(_, n)| n).sum();
            let missing = owed.saturating_sub(held).saturating_sub(logged);
            if missing > 0 {
                // As the end of a step, it is just over.
                begun.entries.push((now + u64::from(begun.in_steps), missing));
            }
        }
        begun
    }

    /// The windows whose entries are of the kind that this limit counts.
    fn known<'a>(&'a self, limit: &Limit, source: Source, old: &'a [Limit]) -> Vec<Known<'a>> {
        let active = old.iter().zip(&self.parts).enumerate();
        let active = active.map(|(number, (limit, part))| (limit, part, source.number() == Some(number)));
        let dormant = self.dormant.iter().map(|dormant| {
            let is_source = source.number().is_some() && dormant.heir == source.number();
            (&dormant.limit, &dormant.part, is_source || dormant.limit.name == limit.name)
        });
        let windows = active.chain(dormant).filter_map(|(limit, part, is_source)| match &limit.rule {
            Rule::Window(window) => Some(Known { limit, window, part, is_source }),
            _ => None,
        });
        let mut windows: Vec<Known<'_>> = windows.collect();
        // A window that takes over from none in particular goes by what any of them knows.
        if self.apart && windows.iter().any(|known| known.is_source) {
            windows.retain(|known| known.is_source);
        }
        windows
    }

    /// The entries of a window in steps, each at the moment that it or an exact log knows, whichever is sooner: both count the
    /// same, so the newest of one is the newest of the other.
    fn refined(&self, steps: &Known<'_>, exact: &Known<'_>, now: Ticks) -> Entries {
        let since = exact.window.horizon(now);
        let mut finer: Entries = self.stamps(exact.part).entries();
        let mut entries = Entries::new();
        for (end, mut n) in self.stamps(steps.part).entries().into_iter().rev() {
            let latest = end.saturating_sub(1);
            while n > 0 {
                // What the exact log does not know is older than what it does.
                let (at, known) = finer.pop().unwrap_or((since.saturating_sub(1), n));
                let units = n.min(known);
                entries.push((at.min(latest), units));
                n -= units;
                if known > units {
                    finer.push((at, known - units));
                }
            }
        }
        entries.reverse();
        entries
    }
}

/// A share of each entry: rounded up over all of them, so that nothing is given away and nothing twice.
fn scale(entries: &mut Entries, window: &Window, source: Source, handover: &Handover<'_>) {
    let from = source.number().map(|from| &handover.old[from].rule);
    let (Migration::Proportional, Some(Rule::Window(from))) = (handover.how, from) else { return };
    let (mut seen, mut given) = (0_u64, 0);
    for (_, n) in entries {
        seen = seen.saturating_add(*n);
        let up_to = scaled(seen, window.limit(), from.limit());
        *n = up_to - std::mem::replace(&mut given, up_to);
    }
}
