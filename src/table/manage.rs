//! What happens to accounts on request: looked at, listed, reset, put under another policy.

use super::slot::Whose;
use super::{Look, Sought, Table};
use crate::classes::ClassId;
use crate::limit::Migration;

impl Table {
    /// The account as it stands; of an unknown key, as one of `class` would be born.
    pub(crate) fn look(&self, key: &[u8], class: ClassId) -> Look {
        let Sought { probe, home } = self.seek(key);
        for slot in self.stripes[home].index.candidates(&self.slab.segments, probe.hash) {
            if let Ok((tat, class)) = self.slab.slot(slot).look(Whose::Key(&probe)) {
                return Look { tat, now: self.time.now(), class: Some(class) };
            }
        }
        let stripe = self.stripes[home].lock(&self.slab);
        if let Some(slot) = stripe.find(&probe) {
            return self.look_locked(slot);
        }
        let now = self.time.now();
        Look { tat: self.classes.get(class).rule().clamp(stripe.horizon(), now), now, class: None }
    }

    /// The caller holds the stripe's lock.
    pub(super) fn look_locked(&self, slot: u32) -> Look {
        let (tat, class) = self.slab.slot(slot).look_locked();
        Look { tat, now: self.time.now(), class: Some(class) }
    }

    /// Puts a known account under another policy; false if the key is unknown.
    pub(crate) fn configure(&self, key: &[u8], class: ClassId, how: Migration) -> bool {
        let Sought { probe, home } = self.seek(key);
        let mut stripe = self.stripes[home].lock(&self.slab);
        let Some(slot) = stripe.find(&probe) else { return false };
        let now = self.time.now();
        let new = self.classes.get(class).rule();
        stripe.change(slot, |tat, old| (self.classes.get(old).rule().migrate(new, tat, now, how), class));
        true
    }

    /// Makes the key's account as good as new; false if the key is unknown.
    pub(crate) fn reset(&self, key: &[u8]) -> bool {
        let Sought { probe, home } = self.seek(key);
        let mut stripe = self.stripes[home].lock(&self.slab);
        let Some(slot) = stripe.find(&probe) else { return false };
        let now = self.time.now();
        stripe.change(slot, |_, class| (now, class));
        true
    }

    /// Calls `each` with every account, stripe by stripe, after the stripe's lock is let go. There is no
    /// moment at which all of it is true: accounts come and go while it runs.
    pub(crate) fn for_each(&self, mut each: impl FnMut(&[u8], Look, Option<u64>)) {
        for stripe in &self.stripes {
            let copies: Vec<_> = {
                let stripe = stripe.lock(&self.slab);
                let created = |slot| stripe.side(slot).and_then(|side| side.created_ns);
                stripe.slots().map(|slot| (stripe.key(slot), self.look_locked(slot), created(slot))).collect()
            };
            for (key, look, created) in copies {
                each(&key, look, created);
            }
        }
    }

    /// When the key was first seen, on the wall clock, if that is tracked and it is known.
    pub(crate) fn created_ns(&self, key: &[u8]) -> Option<u64> {
        let Sought { probe, home } = self.seek(key);
        let stripe = self.stripes[home].lock(&self.slab);
        let slot = stripe.find(&probe)?;
        stripe.side(slot).and_then(|side| side.created_ns)
    }

    pub(crate) fn holds(&self, key: &[u8]) -> bool {
        let Sought { probe, home } = self.seek(key);
        self.stripes[home].lock(&self.slab).find(&probe).is_some()
    }
}
