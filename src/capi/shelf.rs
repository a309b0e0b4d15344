//! Handles that are looked at now and then: found under a lock.

use std::sync::Arc;

use parking_lot::Mutex;

use super::guard::Fault;
use super::ids::{Id, PLACES};

/// All handles of one kind.
pub(super) struct Shelf<T> {
    kind: u8,
    places: Mutex<Places<T>>,
}

struct Places<T> {
    slots: Vec<(u64, Option<Arc<T>>)>,
    vacant: Vec<usize>,
}

impl<T> Shelf<T> {
    pub(super) const fn new(kind: u8) -> Self {
        Self { kind, places: Mutex::new(Places { slots: Vec::new(), vacant: Vec::new() }) }
    }

    /// A handle for this value.
    pub(super) fn put(&self, value: T) -> Result<u64, Fault> {
        self.put_shared(Arc::new(value))
    }

    pub(super) fn put_shared(&self, value: Arc<T>) -> Result<u64, Fault> {
        super::forks::watch();
        let mut places = self.places.lock();
        let place = match places.vacant.pop() {
            Some(place) => place,
            None if places.slots.len() < PLACES => {
                places.slots.push((0, None));
                places.slots.len() - 1
            }
            None => return Err(Fault::TooMany),
        };
        let id = Id::next(self.kind, place, places.slots[place].0);
        places.slots[place] = (id, Some(value));
        Ok(id)
    }

    /// What the handle stands for.
    pub(super) fn get(&self, id: u64) -> Result<Arc<T>, Fault> {
        let places = self.places.lock();
        let slot = places.slots.get(Id::place(id)).filter(|slot| slot.0 == id);
        slot.and_then(|slot| slot.1.clone()).ok_or(Fault::Handle)
    }

    /// What the handle stood for, which it does no more.
    pub(super) fn take(&self, id: u64) -> Result<Arc<T>, Fault> {
        let mut places = self.places.lock();
        let slot = places.slots.get_mut(Id::place(id)).filter(|slot| slot.0 == id).ok_or(Fault::Handle)?;
        let value = slot.1.take().ok_or(Fault::Handle)?;
        slot.0 = Id::dead(id);
        places.vacant.push(Id::place(id));
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // HAZARD c-handles
    #[test]
    fn a_handle_serves_until_it_is_taken_and_never_again() {
        let shelf = Shelf::new(3);
        let id = shelf.put("a").unwrap();
        assert_eq!(*shelf.get(id).unwrap(), "a");
        assert_eq!(*shelf.take(id).unwrap(), "a");
        assert!(shelf.get(id).is_err() && shelf.take(id).is_err());
        let again = shelf.put("b").unwrap();
        assert_ne!(again, id);
        assert!(shelf.get(id).is_err());
        assert_eq!(*shelf.get(again).unwrap(), "b");
        for stranger in [0, 1, u64::MAX, again ^ (1 << 59), Id::dead(again)] {
            assert!(shelf.get(stranger).is_err(), "{stranger:x}");
        }
    }
}
