//! What a program orders for one key, and what it wants to see of it.

use super::cold::Kept;
use super::stripe::Locked;
use super::{Answer, Table};
use crate::account::{After, Cold, Inspected};
use crate::classes::ClassId;
use crate::policy::{Cost, Limit};
use crate::ticks::{LONGEST, Ticks};

impl Table {
    /// Lets no request of the key pass for so long from now on (0: ends that). `Err` if there is no place for the key.
    pub(crate) fn block(&self, key: &[u8], class: ClassId, length: Ticks) -> Result<(), Option<Ticks>> {
        self.order(key, class, |cold, limits, now| {
            cold.block(limits, now, now.saturating_add(length.min(LONGEST)));
        })
    }

    /// Leaves no more than `to` of each limit of this name (`None`: of every one). True if any had more; `Err` if there is
    /// no place for the key.
    pub(crate) fn drain(&self, key: &[u8], class: ClassId, to: u64, name: Option<&str>) -> Result<bool, Option<Ticks>> {
        self.order(key, class, |cold, limits, now| cold.drain(limits, now, to, name))
    }

    /// Changes the state of a key, known or not, and serves those who wait for it.
    fn order<R>(
        &self,
        key: &[u8],
        class: ClassId,
        change: impl FnOnce(&mut Cold, &[Limit], Ticks) -> R,
    ) -> Result<R, Option<Ticks>> {
        let sought = self.seek(key);
        let (mut stripe, slot, now) = match self.find_or_make(&sought, &Cost::new(0), class) {
            Ok(found) => found,
            Err(Answer::Full(nearest)) => return Err(nearest),
            Err(_) => return Err(None),
        };
        self.cool_if_word(&mut stripe, slot, now);
        let mut after = After::default();
        let done =
            self.with_line(&mut stripe, slot, now, &mut after, |kept, limits, _| change(&mut kept.cold, limits, now));
        drop(stripe);
        after.done();
        Ok(done)
    }

    /// What each limit of the key counts, how long the key is blocked, and its class; an unknown key as one of `class`.
    pub(crate) fn inspect(&self, key: &[u8], cost: &Cost, class: ClassId) -> (Vec<Inspected>, Ticks, ClassId) {
        let sought = self.seek(key);
        let mut stripe = self.stripes[sought.home].lock(&self.slab);
        let Some(slot) = self.find(&mut stripe, &sought.probe) else {
            let (class, now) = (self.class_for(key, class), self.time.now());
            let (mut cold, limits) = self.unknown(&stripe, class, now);
            let (each, blocked) = cold.inspect(limits, now, cost);
            return (each, blocked, class);
        };
        let (now, (tat, class)) = (self.time.now(), self.slab.slot(slot).look_locked());
        if !self.is_cold(class) {
            let limits = self.classes.get(class).in_force();
            let (each, blocked) = Cold::of_word(limits, tat).inspect(limits, now, cost);
            return (each, blocked, class);
        }
        let inspect = |kept: &mut Kept, limits: &[Limit]| kept.cold.inspect(limits, now, cost);
        let ((each, blocked), class) = self.with_kept(&mut stripe, slot, now, inspect);
        (each, blocked, class)
    }

    /// How many parts [`Table::keys_in`] lists the keys in.
    pub(crate) fn parts(&self) -> usize {
        self.stripes.len()
    }

    /// The keys in one part of the table, as of one moment. Its lock is held meanwhile: decisions about known keys of a
    /// single rate go on, first sights in this part wait.
    pub(crate) fn keys_in(&self, part: usize) -> Vec<Vec<u8>> {
        let stripe: Locked<'_> = self.stripes[part].lock(&self.slab);
        let slots: Vec<u32> = stripe.slots().collect();
        slots.into_iter().map(|slot| stripe.key(slot)).collect()
    }
}
