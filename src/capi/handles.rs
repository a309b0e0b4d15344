//! Handles that are looked at at every decision: found without a lock, and never followed before they are checked.
//!
//! RUNS PER DECISION: [`Handles::get`], three loads and a comparison.

use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::guard::Fault;
use super::ids::Id;
use super::lanes::{Crowd, Inside};

/// Places in a chunk. Chunks are made when they are needed, and never freed.
const CHUNK: usize = 1024;
const CHUNKS: usize = super::ids::PLACES / CHUNK;

struct Slot<T> {
    /// The handle that lives here, or the last one that did, marked as dead; 0 before the first.
    id: AtomicU64,
    /// What it stands for; a box, from before it lives until nobody can be looking at it any more.
    value: AtomicPtr<T>,
}

type Chunk<T> = [Slot<T>; CHUNK];

/// All handles of one kind.
pub(super) struct Handles<T: 'static> {
    kind: u8,
    chunks: [AtomicPtr<Chunk<T>>; CHUNKS],
    places: Mutex<Places<T>>,
}

struct Places<T: 'static> {
    /// Places that were ever used, and those of them that can be used again.
    used: usize,
    vacant: Vec<usize>,
    /// What was freed while others were inside.
    limbo: Vec<(Crowd, Retired<T>)>,
}

/// What a freed handle stood for.
struct Retired<T: 'static> {
    place: usize,
    value: *mut T,
}

// SAFETY: a retired value is owned by whoever holds this, as its box would be.
unsafe impl<T: Send> Send for Retired<T> {}

impl<T: Send + Sync> Handles<T> {
    /// For a static: it is made where it stays.
    #[allow(clippy::large_stack_arrays)]
    pub(super) const fn new(kind: u8) -> Self {
        let places = Places { used: 0, vacant: Vec::new(), limbo: Vec::new() };
        Self { kind, chunks: [const { AtomicPtr::new(ptr::null_mut()) }; CHUNKS], places: Mutex::new(places) }
    }

    #[inline]
    fn slot(&self, place: usize) -> Option<&Slot<T>> {
        // ORDERING: Acquire pairs with the Release in `add_chunk`: who sees a chunk sees its slots.
        let chunk = self.chunks.get(place / CHUNK)?.load(Ordering::Acquire);
        // SAFETY: a chunk's pointer is null or leads to a chunk, which is never freed.
        let chunk = unsafe { chunk.as_ref() }?;
        chunk.get(place % CHUNK)
    }

    /// What the handle stands for, as long as the caller stays inside.
    #[inline]
    pub(super) fn get<'a>(&'a self, id: u64, _inside: &'a Inside) -> Result<&'a T, Fault> {
        let slot = self.slot(Id::place(id)).ok_or(Fault::Handle)?;
        // ORDERING: Acquire pairs with the Release in `put`: who sees a handle live sees what it stands for. That it is read after
        // the lane was entered, and so is seen by `free`, is what the lanes' barriers are for.
        if slot.id.load(Ordering::Acquire) != id || !Id::may_live(id) {
            return Err(Fault::Handle);
        }
        // ORDERING: Relaxed; it was written before the id that was just read.
        let value = slot.value.load(Ordering::Relaxed);
        // SAFETY: the handle lived after this thread had entered its lane, so whoever frees it finds the lane in use and
        // keeps the value until it is left; and the place gets no other value before.
        Ok(unsafe { &*value })
    }

    /// A handle for this value.
    pub(super) fn put(&self, value: T) -> Result<u64, Fault> {
        super::lanes::prepare();
        super::forks::watch();
        let mut places = self.places.lock();
        let place = match places.vacant.pop() {
            Some(place) => place,
            None if places.used < super::ids::PLACES => {
                if places.used.is_multiple_of(CHUNK) {
                    self.add_chunk(places.used / CHUNK);
                }
                places.used += 1;
                places.used - 1
            }
            None => return Err(Fault::TooMany),
        };
        let slot = self.slot(place).ok_or(Fault::TooMany)?;
        let id = Id::next(self.kind, place, slot.id.load(Ordering::SeqCst));
        slot.value.store(Box::into_raw(Box::new(value)), Ordering::SeqCst);
        // ORDERING: Release pairs with the Acquire in `get`.
        slot.id.store(id, Ordering::Release);
        Ok(id)
    }

    fn add_chunk(&self, number: usize) {
        let slots = std::iter::repeat_with(|| Slot { id: AtomicU64::new(0), value: AtomicPtr::new(ptr::null_mut()) });
        let slots: Box<[Slot<T>]> = slots.take(CHUNK).collect();
        let chunk = Box::into_raw(slots).cast::<Chunk<T>>();
        // ORDERING: Release pairs with the Acquire in `slot`.
        self.chunks[number].store(chunk, Ordering::Release);
    }

    /// Ends a handle; `then` sees for the last time what it stands for, which goes when nobody can be looking at it any more.
    pub(super) fn free(&self, id: u64, then: impl FnOnce(&T)) -> Result<(), Fault> {
        let place = Id::place(id);
        let slot = self.slot(place).filter(|_| Id::may_live(id)).ok_or(Fault::Handle)?;
        slot.id.compare_exchange(id, Id::dead(id), Ordering::SeqCst, Ordering::SeqCst).map_err(|_| Fault::Handle)?;
        let retired = Retired { place, value: slot.value.load(Ordering::SeqCst) };
        // SAFETY: whoever ended the handle, and nobody else, owns the value from here on; others may still read it.
        then(unsafe { &*retired.value });
        // Where it cannot be told who is inside, the value stays for good.
        if let Some(crowd) = Crowd::now() {
            self.places.lock().limbo.push((crowd, retired));
        }
        Ok(())
    }

    /// Lets go of what nobody can be looking at any more. A thread that is inside further up leaves that to others.
    pub(super) fn sweep(&self) {
        for _ in 0..64 {
            let inside = Inside::enter();
            if inside.is_nested() {
                return;
            }
            let mut places = self.places.lock();
            let gone: Vec<_> = places.limbo.extract_if(.., |(crowd, _)| crowd.has_left()).collect();
            places.vacant.extend(gone.iter().map(|(_, retired)| retired.place));
            let is_empty = places.limbo.is_empty();
            drop(places);
            for (_, retired) in gone {
                // SAFETY: the box was made in `put`; its handle is dead, and all who entered a lane before it died have left.
                drop(unsafe { Box::from_raw(retired.value) });
            }
            if is_empty {
                return;
            }
            std::thread::yield_now();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize};

    use super::*;

    const ALIVE: u64 = 0x5afe_5afe_5afe_5afe;
    static LIVING: AtomicUsize = AtomicUsize::new(0);

    /// Tells whether it is looked at after its end.
    struct Canary(AtomicU64, u64);

    impl Canary {
        fn new(number: u64) -> Self {
            LIVING.fetch_add(1, Ordering::SeqCst);
            Self(AtomicU64::new(ALIVE), number)
        }
    }

    impl Drop for Canary {
        fn drop(&mut self) {
            LIVING.fetch_sub(1, Ordering::SeqCst);
            self.0.store(0, Ordering::SeqCst);
        }
    }

    /// Sweeps until nothing is left to let go of: other tests' threads, which may be inside, come and go.
    fn sweep_all<T: Send + Sync>(handles: &Handles<T>) {
        while !handles.places.lock().limbo.is_empty() {
            handles.sweep();
            std::thread::yield_now();
        }
    }

    // HAZARD c-handles
    #[test]
    fn what_is_looked_at_lives_and_is_the_right_one_whoever_frees_it_meanwhile() {
        static CANARIES: Handles<Canary> = Handles::new(9);
        let (shown, done) = (AtomicU64::new(CANARIES.put(Canary::new(0)).unwrap()), AtomicBool::new(false));
        let number = AtomicU64::new(0);
        let (mut seen, mut missed) = (0_u64, 0_u64);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for next in 1..=20_000 {
                    let id = CANARIES.put(Canary::new(next)).unwrap();
                    let old = shown.swap(id, Ordering::SeqCst);
                    CANARIES.free(old, |canary| assert_eq!(canary.1 + 1, next)).unwrap();
                    assert!(CANARIES.free(old, |_| ()).is_err());
                    number.store(next, Ordering::SeqCst);
                    CANARIES.sweep();
                }
                done.store(true, Ordering::SeqCst);
            });
            while !done.load(Ordering::SeqCst) {
                let (least, id) = (number.load(Ordering::SeqCst), shown.load(Ordering::SeqCst));
                let inside = Inside::enter();
                match CANARIES.get(id, &inside) {
                    Ok(canary) => {
                        assert!(canary.1 >= least);
                        (0..20).for_each(|_| assert_eq!(canary.0.load(Ordering::SeqCst), ALIVE));
                        seen += 1;
                    }
                    Err(_) => missed += 1,
                }
            }
        });
        assert!(seen > 0, "{seen} {missed}");
        CANARIES.free(shown.load(Ordering::SeqCst), |_| ()).unwrap();
        sweep_all(&CANARIES);
        assert_eq!(LIVING.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn what_somebody_looks_at_stays_and_so_does_its_place() {
        static TEXTS: Handles<String> = Handles::new(10);
        let id = TEXTS.put("first".into()).unwrap();
        let inside = Inside::enter();
        let text = TEXTS.get(id, &inside).unwrap();
        std::thread::scope(|scope| {
            let free = || {
                TEXTS.free(id, |_| ()).unwrap();
                TEXTS.sweep();
                TEXTS.put("second".into()).unwrap()
            };
            let second = scope.spawn(free).join().unwrap();
            assert_ne!(Id::place(second), Id::place(id));
        });
        assert_eq!(text, "first");
        assert!(TEXTS.get(id, &inside).is_err());
        // Inside further up, so it is not let go of here.
        TEXTS.sweep();
        assert_eq!(TEXTS.places.lock().limbo.len(), 1);
        drop(inside);
        sweep_all(&TEXTS);
        assert_eq!(TEXTS.places.lock().vacant.len(), 1);
    }

    #[test]
    fn numbers_from_anywhere_stand_for_nothing() {
        static NONE: Handles<u8> = Handles::new(11);
        let inside = Inside::enter();
        for id in [0, 1, u64::MAX, 1 << 63, ((super::super::ids::PLACES as u64) - 1)] {
            assert!(NONE.get(id, &inside).is_err() && NONE.free(id, |_| ()).is_err(), "{id:x}");
        }
        let id = NONE.put(5).unwrap();
        for wrong in [id ^ (1 << 22), id ^ (1 << 60), Id::dead(id), id + 1] {
            assert!(NONE.get(wrong, &inside).is_err() && NONE.free(wrong, |_| ()).is_err(), "{wrong:x}");
        }
        assert_eq!(NONE.get(id, &inside).ok(), Some(&5));
    }
}
