//! Who is inside a call: a lane a thread, written with plain stores, read by whoever wants to let go of what others may use.
//!
//! RUNS PER DECISION: [`Inside::enter`] and its drop.
//!
//! A lane's turn is odd while its thread is inside. One that was odd and has changed since has left, and whatever it enters
//! now, it enters after the change.

use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering, compiler_fence, fence};

use crossbeam_utils::CachePadded;

use super::barrier;

struct Lane {
    turn: AtomicU64,
    /// Whether a thread has it.
    owned: AtomicBool,
    next: Option<Lent>,
}

type Lent = &'static CachePadded<Lane>;

/// Every lane there ever was, the newest first. They are used again and never freed, and found without a lock, which a fork
/// could cut in half.
static NEWEST: AtomicPtr<CachePadded<Lane>> = AtomicPtr::new(ptr::null_mut());

fn newest() -> Option<Lent> {
    // SAFETY: null, or a lane that was leaked in `lend`.
    unsafe { NEWEST.load(Ordering::SeqCst).as_ref() }
}

fn all() -> impl Iterator<Item = Lent> {
    std::iter::successors(newest(), |lane| lane.next)
}

/// Whoever enters makes a barrier of its own: until it is known that others can make it for him.
const FENCE: u32 = 1;
/// Nobody enters: the process is being forked. Once for each thread that is at it.
const CLOSED: u32 = 2;
static MODE: AtomicU32 = AtomicU32::new(FENCE);
/// The barrier for all threads worked and then failed. A thread may have entered without a barrier of its own before `FENCE`
/// came back, so its lane may not show it yet: from now on only another such barrier tells the threads that are inside.
static UNCERTAIN: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// Beside `OWNED`, for it needs no destructor and so is read without asking whether it still exists.
    static MINE: Cell<Option<Lent>> = const { Cell::new(None) };
    static OWNED: Owned = Owned(lend());
    /// How many forks this thread is at. It passes while others wait, because a handler of the program's own
    /// (`pthread_atfork`) runs between the handlers here, and may call the library.
    static FORKS: Cell<u32> = const { Cell::new(0) };
}

/// A thread's right to its lane, given back when the thread ends.
struct Owned(Lent);

impl Drop for Owned {
    fn drop(&mut self) {
        MINE.set(None);
        self.0.owned.store(false, Ordering::SeqCst);
    }
}

/// A lane that no other thread has.
fn lend() -> Lent {
    let take = |lane: &Lent| lane.owned.compare_exchange(false, true, Ordering::SeqCst, Ordering::SeqCst).is_ok();
    all().find(take).unwrap_or_else(|| {
        let mut next = newest();
        let lane =
            Box::leak(Box::new(CachePadded::new(Lane { turn: AtomicU64::new(0), owned: AtomicBool::new(true), next })));
        loop {
            let before = next.map_or(ptr::null_mut(), |next| ptr::from_ref(next).cast_mut());
            match NEWEST.compare_exchange(before, lane, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return lane,
                Err(_) => next = newest(),
            }
            lane.next = next;
        }
    })
}

enum How {
    Usual,
    /// Inside already: a waker called back.
    Again,
    /// By a thread that is ending and has no lane of its own any more.
    Borrowed,
}

/// That this thread is inside. What is found meanwhile stays where it is until this is dropped.
pub(super) struct Inside {
    lane: Lent,
    how: How,
    /// A lane is its thread's alone.
    here: PhantomData<*const ()>,
}

impl Inside {
    #[inline]
    pub(super) fn enter() -> Self {
        let Some(lane) = MINE.get() else { return Self::first() };
        Self::by(lane, How::Usual)
    }

    #[inline]
    fn by(lane: Lent, how: How) -> Self {
        // ORDERING: Relaxed; only this thread writes its lane.
        let turn = lane.turn.load(Ordering::Relaxed);
        if turn & 1 == 1 {
            return Self { lane, how: How::Again, here: PhantomData };
        }
        // ORDERING: Relaxed, and a barrier for the compiler alone: the barrier for the processor is made by `Crowd::now`
        // in the name of all threads, or here by `slowly`.
        lane.turn.store(turn.wrapping_add(1), Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
        // ORDERING: Relaxed; see `slowly`, and `close`, which makes the same barrier after its write.
        if MODE.load(Ordering::Relaxed) != 0 {
            slowly(lane);
        }
        Self { lane, how, here: PhantomData }
    }

    /// A thread's first call, or one of its last.
    #[cold]
    #[inline(never)]
    fn first() -> Self {
        let owned = OWNED.try_with(|owned| owned.0);
        match owned {
            Ok(lane) => {
                MINE.set(Some(lane));
                Self::by(lane, How::Usual)
            }
            Err(_) => Self::by(lend(), How::Borrowed),
        }
    }
}

impl Inside {
    /// Whether this thread was inside before, further up in its stack.
    pub(super) fn is_nested(&self) -> bool {
        matches!(self.how, How::Again)
    }
}

impl Drop for Inside {
    #[inline]
    fn drop(&mut self) {
        if matches!(self.how, How::Again) {
            return;
        }
        // ORDERING: Relaxed for this thread's own lane; Release pairs with the Acquire in `Lane::turn_now`: who sees that this
        // thread has left sees all that it did.
        let turn = self.lane.turn.load(Ordering::Relaxed);
        self.lane.turn.store(turn.wrapping_add(1), Ordering::Release);
        if matches!(self.how, How::Borrowed) {
            self.lane.owned.store(false, Ordering::SeqCst);
        }
    }
}

/// Makes the barrier oneself, and waits while nobody but the forking thread may enter.
#[cold]
#[inline(never)]
fn slowly(lane: Lent) {
    loop {
        fence(Ordering::SeqCst);
        if MODE.load(Ordering::SeqCst) < CLOSED || FORKS.get() > 0 {
            return;
        }
        let turn = lane.turn.load(Ordering::SeqCst);
        lane.turn.store(turn.wrapping_add(1), Ordering::SeqCst);
        while MODE.load(Ordering::SeqCst) >= CLOSED {
            std::thread::yield_now();
        }
        lane.turn.store(turn.wrapping_add(2), Ordering::SeqCst);
    }
}

impl Lane {
    fn turn_now(&self) -> u64 {
        // ORDERING: Acquire pairs with the Release of whoever leaves.
        self.turn.load(Ordering::Acquire)
    }
}

/// Those who were inside at one moment.
pub(super) struct Crowd(Vec<(Lent, u64)>);

impl Crowd {
    /// All who may have seen what this thread has taken back before the call. `None` where that cannot be told.
    pub(super) fn now() -> Option<Self> {
        // What was taken back is seen by whoever enters after this barrier; who entered before it is seen here.
        fence(Ordering::SeqCst);
        let others_fence = MODE.load(Ordering::SeqCst) & FENCE != 0 && !UNCERTAIN.load(Ordering::SeqCst);
        let has_told = || barrier::everywhere() || (barrier::register() && barrier::everywhere());
        if !others_fence && !has_told() {
            UNCERTAIN.store(true, Ordering::SeqCst);
            MODE.fetch_or(FENCE, Ordering::SeqCst);
            return None;
        }
        Some(Self::shown())
    }

    /// All whose lanes show that they are inside. Less than [`Crowd::now`]: an entry without a barrier may not show yet.
    pub(super) fn shown() -> Self {
        let inside = all().map(|lane| (lane, lane.turn_now())).filter(|(_, turn)| turn & 1 == 1);
        Self(inside.collect())
    }

    /// Whether all of them have left.
    pub(super) fn has_left(&mut self) -> bool {
        self.0.retain(|(lane, turn)| lane.turn_now() == *turn);
        self.0.is_empty()
    }

    /// The same without this thread itself.
    pub(super) fn others_have_left(&mut self) -> bool {
        let mine = MINE.get();
        self.0.retain(|(lane, turn)| lane.turn_now() == *turn && mine.is_none_or(|mine| !ptr::eq(mine, *lane)));
        self.0.is_empty()
    }
}

/// Lets those who enter do without a barrier of their own, where that works. Once, before there is anything to find.
pub(super) fn prepare() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        if barrier::register() {
            MODE.fetch_and(!FENCE, Ordering::SeqCst);
        }
    });
}

/// From now on no thread but this one enters.
pub(super) fn close() {
    FORKS.set(FORKS.get() + 1);
    MODE.fetch_add(CLOSED, Ordering::SeqCst);
}

/// From now on everybody may enter, unless another thread forks.
pub(super) fn open() {
    // A fork that began before the handlers were registered has closed nothing.
    if let Some(fewer) = FORKS.get().checked_sub(1) {
        FORKS.set(fewer);
        MODE.fetch_sub(CLOSED, Ordering::SeqCst);
    }
}

/// Other threads are gone: whoever was inside never leaves by himself, and whoever was about to fork does not open.
pub(super) fn only_this_thread_is_left() {
    FORKS.set(0);
    MODE.fetch_and(FENCE, Ordering::SeqCst);
    UNCERTAIN.store(false, Ordering::SeqCst);
    if !barrier::register() {
        MODE.fetch_or(FENCE, Ordering::SeqCst);
    }
    let mine = MINE.get();
    for lane in all().filter(|lane| mine.is_none_or(|mine| !ptr::eq(mine, *lane))) {
        let turn = lane.turn.load(Ordering::SeqCst);
        lane.turn.store(turn + (turn & 1), Ordering::SeqCst);
        lane.owned.store(false, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    fn lanes() -> usize {
        all().count()
    }

    #[test]
    fn whoever_was_inside_is_waited_for_and_whoever_came_later_is_not() {
        let (entered, counted, left) = (Barrier::new(2), Barrier::new(2), Barrier::new(2));
        // Said at the end: whoever panics leaves the other one waiting.
        let left_at_once = std::thread::scope(|scope| {
            scope.spawn(|| {
                let inside = Inside::enter();
                let nested = Inside::enter();
                assert!(nested.is_nested() && !inside.is_nested());
                drop(nested);
                entered.wait();
                counted.wait();
                drop(inside);
                let _again = Inside::enter();
                left.wait();
                entered.wait();
            });
            entered.wait();
            let mut crowd = Crowd::now().unwrap();
            let left_at_once = crowd.has_left() || crowd.others_have_left();
            counted.wait();
            left.wait();
            // Other tests' threads come and go.
            while !crowd.has_left() {
                std::thread::yield_now();
            }
            entered.wait();
            left_at_once
        });
        assert!(!left_at_once);
    }

    #[test]
    fn after_a_failed_barrier_no_plain_scan_is_trusted() {
        prepare();
        if MODE.load(Ordering::SeqCst) & FENCE != 0 {
            return; // every thread makes a barrier of its own here, and none can fail
        }
        let told = barrier::failing(|| [Crowd::now().is_some(), Crowd::now().is_some()]);
        assert_eq!(told, [false, false]);
        assert!(Crowd::now().is_some(), "the next barrier that works tells who is inside");
        let told = barrier::failing(|| Crowd::now().is_some());
        assert!(!told, "and the one after it is needed again");
    }

    #[test]
    fn lanes_are_used_again_after_their_threads_ended() {
        let enter = || drop(Inside::enter());
        (0..50).for_each(|_| std::thread::spawn(enter).join().unwrap());
        let before = lanes();
        (0..500).for_each(|_| std::thread::spawn(enter).join().unwrap());
        // Tests beside this one have threads, too.
        assert!(lanes() < before + 100, "{before} {}", lanes());
    }
}
