//! Limits of single keys and limits of all: which policy a key gets, and how either changes while the table is used.

use std::collections::HashMap;

use super::Table;
use crate::account::After;
use crate::classes::{Change, ClassId};
use crate::error::Error;
use crate::limit::Migration;
use crate::policy::Policy;
use crate::sync::{AtomicUsize, Mutex, Ordering};

/// Policies that were ordered for single keys. They outlive the keys' accounts.
pub(super) struct OwnLimits {
    /// How many there are; first sights of tables without any do not lock.
    count: AtomicUsize,
    of: Mutex<HashMap<Box<[u8]>, ClassId>>,
}

impl OwnLimits {
    pub(super) fn new() -> Self {
        Self { count: AtomicUsize::new(0), of: Mutex::new(HashMap::new()) }
    }

    fn get(&self, key: &[u8]) -> Option<ClassId> {
        if self.count.load(Ordering::SeqCst) == 0 { None } else { self.of.lock().get(key).copied() }
    }

    fn set(&self, key: &[u8], class: ClassId, most: usize) -> Result<(), Error> {
        let mut of = self.of.lock();
        if let Some(known) = of.get_mut(key) {
            *known = class;
            return Ok(());
        }
        if of.len() >= most {
            return Err(Error::TooManyOwnLimits(most));
        }
        of.insert(key.into(), class);
        self.count.store(of.len(), Ordering::SeqCst);
        Ok(())
    }

    fn remove(&self, key: &[u8]) {
        let mut of = self.of.lock();
        of.remove(key);
        self.count.store(of.len(), Ordering::SeqCst);
    }
}

impl Table {
    /// The number of the policy of keys without limits of their own.
    #[inline]
    pub(crate) fn default_class(&self) -> ClassId {
        // ORDERING: Relaxed; whatever is read, an account is inserted under the one that has followed it.
        ClassId::from_bits(self.default.load(Ordering::Relaxed))
    }

    /// The policy of keys without limits of their own, put in place when the table is made.
    pub(crate) fn begin_with(&self, policy: Policy) -> Result<(), Error> {
        let class = self.classes.add(policy)?;
        self.default.store(class.bits(), Ordering::SeqCst);
        Ok(())
    }

    /// The policy that an unknown key gets for which the caller would have this one: its own, if it has one.
    pub(super) fn class_for(&self, key: &[u8], class: ClassId) -> ClassId {
        self.classes.current(self.own.get(key).unwrap_or(class))
    }

    /// How many keys have limits of their own.
    pub(crate) fn own_limits(&self) -> usize {
        self.own.count.load(Ordering::SeqCst)
    }

    /// Puts a key under another policy, now and whenever it is seen again. False if it has no account now.
    pub(crate) fn own(&self, key: &[u8], class: ClassId, how: Migration) -> Result<bool, Error> {
        self.reconfigure(key, class, how, |own| own.set(key, class, self.plan.max_keys))
    }

    /// Puts a key under the policy of keys without limits of their own. False if it has no account now.
    pub(crate) fn disown(&self, key: &[u8], how: Migration) -> bool {
        let forget = |own: &OwnLimits| {
            own.remove(key);
            Ok(())
        };
        self.reconfigure(key, self.default_class(), how, forget).unwrap_or(false)
    }

    /// Puts a known account under another policy until it is evicted; false if there is none.
    #[cfg(any(test, feature = "python"))]
    pub(crate) fn configure(&self, key: &[u8], class: ClassId, how: Migration) -> bool {
        self.reconfigure(key, class, how, |_| Ok(())).unwrap_or(false)
    }

    /// The same limits again change nothing. What the key's waiters wait for may pass now.
    fn reconfigure(
        &self,
        key: &[u8],
        class: ClassId,
        how: Migration,
        remember: impl FnOnce(&OwnLimits) -> Result<(), Error>,
    ) -> Result<bool, Error> {
        let sought = self.seek(key);
        let mut stripe = self.stripes[sought.home].lock(&self.slab);
        remember(&self.own)?;
        let Some(slot) = self.find(&mut stripe, &sought.probe) else { return Ok(false) };
        let (class, old) = (self.classes.current(class), stripe.policy_of(slot));
        let is_same = self.classes.get(old) == self.classes.get(class);
        if is_same && how != Migration::Reset {
            // Equal limits under two numbers: which of them the account follows is all that changes.
            if old != class {
                stripe.renumber(slot, class, &self.classes);
            }
            return Ok(true);
        }
        let (at, mut after) = (self.time.moment(), After::default());
        stripe.reclass(slot, class, how, at, &self.classes);
        if self.is_cold(self.slab.slot(slot).look_locked().1) {
            self.with_line(&mut stripe, slot, at.now, &mut after, |_, _, _| ());
        }
        drop(stripe);
        after.done();
        Ok(true)
    }

    /// Puts all keys without limits of their own under another policy: each when it is met next, as of now. The locks of
    /// all stripes are held for a moment that does not depend on how many keys there are. Waiters are served anew.
    pub(crate) fn set_default(&self, policy: Policy, how: Migration) -> Result<(), Error> {
        let stripes: Vec<_> = self.stripes.iter().map(|stripe| stripe.lock(&self.slab)).collect();
        let from = self.default_class();
        if *self.classes.get(from) == policy && how != Migration::Reset {
            return Ok(());
        }
        let to = self.classes.add(policy)?;
        self.default.store(to.bits(), Ordering::SeqCst);
        self.classes.follow(from, Change { to, how, at: self.time.moment() });
        drop(stripes);
        self.serve_all();
        Ok(())
    }

    /// Serves every key that is waited for.
    fn serve_all(&self) {
        for home in &self.stripes {
            let mut stripe = home.lock(&self.slab);
            let mut after = After::default();
            for slot in stripe.waited_for() {
                stripe.follow(slot, &self.classes);
                self.with_line(&mut stripe, slot, self.time.now(), &mut after, |_, _, _| ());
            }
            drop(stripe);
            after.done();
        }
    }
}
