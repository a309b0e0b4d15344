//! Several keys charged together, or none of them.
//!
//! The accounts are pinned, so that making room for one does not drop another. Then all their stripes are locked, in their
//! order, so that two such requests never wait for each other in a circle, and every account is *frozen*: its word is made dead, as at the end of a life, so no charge without the lock succeeds
//! any more. Now all words are known at one moment, the decision is made, and the accounts are *thawed* with the words
//! that it leaves. Whoever met a frozen one waits for its stripe's lock, as at a first sight.
//!
//! A word that comes back unchanged is the same account's in the same state, so a swap that expected it is right.

use super::stripe::Locked;
use super::{Absent, Charge, Pin, Table};
use crate::classes::ClassId;
use crate::limit::Verdict;
use crate::ticks::{RANGE, Ticks};

/// No place for the key of this number; how far the nearest account is from making one.
pub(crate) struct NoPlace(pub(crate) usize, pub(crate) Option<Ticks>);

/// Pins that are given back when this is dropped.
struct Held<'a> {
    table: &'a Table,
    pins: Vec<Pin>,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.pins.drain(..).for_each(|pin| self.table.unpin(pin));
    }
}

impl Table {
    /// Takes `n` tokens of each of these different keys, or of none. Unknown keys get accounts of `class`, if they all
    /// would pass.
    pub(crate) fn charge_all(&self, keys: &[&[u8]], n: u64, class: ClassId) -> Result<Vec<Charge>, NoPlace> {
        let looked: Vec<Charge> = keys.iter().map(|key| self.look_at(key, n, class)).collect();
        // A request that cannot pass leaves no trace. Words from before a step of the clock are judged under the lock.
        if looked.iter().any(|part| self.denies(part) && !self.is_ahead(part)) {
            return Ok(looked);
        }
        let mut held = Held { table: self, pins: Vec::with_capacity(keys.len()) };
        for (at, key) in keys.iter().enumerate() {
            let pin = self.pin(key, Absent::Create(class)).map_err(|nearest| NoPlace(at, nearest))?;
            held.pins.extend(pin);
        }
        Ok(self.charge_held(&held.pins, n))
    }

    fn look_at(&self, key: &[u8], n: u64, class: ClassId) -> Charge {
        let look = self.look(key, class);
        let class = look.class.unwrap_or(class);
        let verdict = self.classes.get(class).rule().decide(look.tat, look.now, n);
        Charge::of((verdict, look.tat, look.now, class), None)
    }

    fn denies(&self, part: &Charge) -> bool {
        !matches!(part.verdict, Verdict::Allow(_)) && !self.classes.get(part.class).is_shadow()
    }

    fn charge_held(&self, pins: &[Pin], n: u64) -> Vec<Charge> {
        let mut homes: Vec<usize> = pins.iter().map(Pin::stripe).collect();
        homes.sort_unstable();
        homes.dedup();
        let mut stripes: Vec<Locked<'_>> = homes.iter().map(|&home| self.stripes[home].lock(&self.slab)).collect();
        let now = self.time.now();
        for pin in pins {
            let place = homes.binary_search(&pin.stripe()).expect("every home is locked");
            stripes[place].clamp(pin.slot(), now, &self.classes);
        }
        let judge = |pin: &Pin| {
            let slot = self.slab.slot(pin.slot());
            let (tat, class) = slot.die(None).expect("no life ends without the lock");
            let verdict = match self.classes.get(class).rule().decide(tat, now, n) {
                // Eighteen years are over: nothing passes until time starts again from 0.
                Verdict::Allow(new) if new >= slot.end_of_time() => Verdict::Deny(RANGE - now),
                verdict => verdict,
            };
            Charge::of((verdict, tat, now, class), None)
        };
        let mut parts: Vec<Charge> = pins.iter().map(judge).collect();
        let pass = !parts.iter().any(|part| self.denies(part));
        for (part, pin) in parts.iter_mut().zip(pins) {
            if let (true, Verdict::Allow(new)) = (pass, part.verdict) {
                part.tat = new;
            }
            self.slab.slot(pin.slot()).thaw(part.tat);
        }
        parts
    }
}
