//! What windows remember, carried over to other windows: each takes over the log that knows best what it counts.
//!
//! An exact log knows each moment, a window in steps the ends of its steps; either knows no more than its own width. So a new
//! window begins with the log that reaches back as far as it does, and where that is one of steps, with the moments that an exact
//! log knows in place of the last steps.

use super::cold::Cold;
use super::migrate::Source;
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
    /// As a log of moments: the end of a step that has not ended is now.
    fn log(&self, now: Ticks) -> Log {
        let mut log = Log::new();
        self.entries.iter().for_each(|&(stamp, n)| log.push(stamp.min(now), n));
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
    pub(super) fn hand_over_logs(
        &self,
        next: &mut Self,
        old: &[Limit],
        new: &[Limit],
        sources: &[Source],
        now: Ticks,
        how: Migration,
    ) {
        // Windows with logs of their own count different things: then each goes on with its own.
        let apart = old.iter().zip(&self.parts).any(|(limit, part)| {
            !limit.shadow && matches!(part.state, State::Own(_)) && matches!(limit.rule, Rule::Window(_))
        });
        let shares = |limit: &Limit, part: &Part| match (&part.state, &limit.rule) {
            (State::Shared, Rule::Window(window)) => Some(window.reach()),
            _ => None,
        };
        let sharing = new.iter().zip(&next.parts).filter_map(|(limit, part)| shares(limit, part)).count();
        let one_log = !apart && (how == Migration::AsIs || sharing == 1);
        let widest = new.iter().zip(&next.parts).filter_map(|(limit, part)| shares(limit, part)).max();
        for (number, limit) in new.iter().enumerate() {
            let Rule::Window(window) = &limit.rule else { continue };
            let source = sources[number];
            let reach = shares(limit, &next.parts[number]);
            match (source, &self.parts.get(source.number().unwrap_or(usize::MAX)).map(|part| &part.state)) {
                (Source::Same(_), Some(state @ (State::Own(_) | State::Steps(_)))) => {
                    next.parts[number].state = (*state).clone();
                    continue;
                }
                (Source::Same(_), Some(State::Shared)) if reach.is_some() && !one_log => {
                    next.parts[number].state = State::Own(self.log.clone());
                    continue;
                }
                _ => {}
            }
            if reach.is_some() && one_log && reach != widest {
                continue;
            }
            let mut known = self.entries_for(limit, window, source, (old, apart), now, how);
            scale(&mut known.entries, window, source, old, how);
            match &mut next.parts[number].state {
                State::Shared if one_log => next.log = known.log(now),
                state @ State::Shared => *state = State::Own(known.log(now)),
                State::Own(log) => *log = known.log(now),
                // The ends of steps stay as they are.
                State::Steps(tally) => known.entries.iter().for_each(|&(stamp, n)| {
                    tally.push(if known.in_steps { stamp } else { window.stamped(stamp) }, n);
                }),
                State::Bucket(_) | State::Jail(_) | State::Period(_) | State::Held => {}
            }
        }
    }

    /// The entries that a window begins with, the oldest first.
    fn entries_for(
        &self,
        limit: &Limit,
        window: &Window,
        source: Source,
        (old, apart): (&[Limit], bool),
        now: Ticks,
        how: Migration,
    ) -> Begun {
        let known = self.known(limit, source, old, apart);
        let covers = |known: &&Known<'_>| {
            let exact = !known.window.is_conservative();
            let reach = known.window.reach();
            (!known.limit.shadow || limit.shadow, reach.min(window.reach()), known.is_source, exact, reach)
        };
        let mut begun = Begun { entries: Entries::new(), in_steps: false };
        if let Some(best) = known.iter().max_by_key(covers) {
            let exact = known.iter().filter(|known| !known.window.is_conservative() && !known.limit.shadow);
            begun = match exact.max_by_key(|known| known.window.reach()) {
                Some(finer) if best.window.is_conservative() && !window.is_conservative() => {
                    Begun { entries: self.refined(best, finer, now), in_steps: false }
                }
                _ => Begun { entries: self.stamps(best.part).entries(), in_steps: best.window.is_conservative() },
            };
        }
        if !old.iter().any(|limit| !limit.shadow && matches!(limit.rule, Rule::Window(_))) {
            // Of buckets it is known how much they count, and not since when.
            let held: u64 = self.parts.first().map_or(0, |part| part.held);
            let owed = self.owed(old, now).map(|owed| owed.carried(window.limit(), how)).max().unwrap_or(0);
            let counts = |&&(stamp, _): &&(Ticks, u64)| window.free_at(stamp) > now;
            let logged: u64 = begun.entries.iter().filter(counts).map(|(_, n)| n).sum();
            let missing = owed.saturating_sub(held).saturating_sub(logged);
            if missing > 0 {
                begun.entries.push((now, missing));
            }
        }
        begun
    }

    /// The windows whose entries are of the kind that this limit counts.
    fn known<'a>(&'a self, limit: &Limit, source: Source, old: &'a [Limit], apart: bool) -> Vec<Known<'a>> {
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
        windows.filter(|known| known.is_source || !apart).collect()
    }

    /// The entries of a window in steps with those that an exact log knows in place of the last steps.
    fn refined(&self, steps: &Known<'_>, exact: &Known<'_>, now: Ticks) -> Entries {
        let since = exact.window.horizon(now);
        let finer: Entries = self.stamps(exact.part).entries().into_iter().filter(|&(at, _)| at >= since).collect();
        let mut entries = Entries::new();
        for (end, n) in self.stamps(steps.part).entries() {
            let known: u64 = finer.iter().filter(|&&(at, _)| steps.window.stamped(at) == end).map(|(_, n)| n).sum();
            let older = n.saturating_sub(known);
            if older > 0 {
                entries.push((end.min(since.saturating_sub(1)), older));
            }
        }
        entries.extend(finer);
        entries.sort_by_key(|&(at, _)| at);
        entries
    }
}

/// A share of each entry: rounded up over all of them, so that nothing is given away and nothing twice.
fn scale(entries: &mut Entries, window: &Window, source: Source, old: &[Limit], how: Migration) {
    let from = source.number().map(|from| &old[from].rule);
    let (Migration::Proportional, Some(Rule::Window(from))) = (how, from) else { return };
    let (mut seen, mut given) = (0_u64, 0);
    for (_, n) in entries {
        seen = seen.saturating_add(*n);
        let up_to = scaled(seen, window.limit(), from.limit());
        *n = up_to - std::mem::replace(&mut given, up_to);
    }
}
