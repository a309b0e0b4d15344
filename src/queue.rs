//! Who waits for something, in order of arrival: it is handed to the head, who alone needs a timer.
//!
//! A waiter that is *called* has been handed what it waits for, or has been told that its time is over; it learns of it
//! when it looks. Nothing is lost in between: whoever leaves hands on what he was given. The queue calls nobody itself;
//! wakers are given to the caller, who wakes them when no lock is held.
//!
//! A waker's `clone`, `wake` and `drop` are code of its maker, which may call the limiter again. So the queue shares wakers
//! by reference count, and hands out every waiter that leaves it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Waker;

/// Classes take the upper eight bits but one of a ticket: 2^55 of them are never used up.
const CLASS_AT: u32 = 55;

/// Waiters for grants of type `G`, each of whom asks for an `A`.
pub(crate) struct Queue<G, A = ()> {
    /// By ticket. The upper bits of one are its class: a lower one is served first.
    waiting: BTreeMap<u64, Waiter<A>>,
    called: BTreeMap<u64, (Waiter<A>, Option<G>)>,
    /// The head's timer: whose, and for when.
    armed: Option<(u64, u64)>,
    tickets: u64,
}

#[derive(Clone)]
pub(crate) struct Waiter<A = ()> {
    waker: Arc<Waker>,
    pub(crate) deadline: Option<u64>,
    pub(crate) ask: A,
}

impl<A> Waiter<A> {
    pub(crate) fn new(waker: Arc<Waker>, deadline: Option<u64>, ask: A) -> Self {
        Self { waker, deadline, ask }
    }

    pub(crate) fn waker(&self) -> &Arc<Waker> {
        &self.waker
    }
}

/// Where a waiter stands that has not looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Called,
    Head,
    Behind,
}

/// The ticket of this number in a class: behind all lower numbers of the class and all of lower classes.
pub(crate) const fn ticket(class: u8, number: u64) -> u64 {
    (class as u64) << CLASS_AT | number
}

/// What a waiter finds who looks.
pub(crate) enum Found<G, A = ()> {
    /// It was called, with a grant or without one, and is gone from the queue. The waiter is to be dropped when no lock
    /// is held.
    Called(Option<G>, Waiter<A>),
    Head {
        deadline: Option<u64>,
    },
    Behind {
        deadline: Option<u64>,
    },
    Nobody,
}

impl<G, A> Default for Queue<G, A> {
    fn default() -> Self {
        Self { waiting: BTreeMap::new(), called: BTreeMap::new(), armed: None, tickets: 0 }
    }
}

impl<G, A> Queue<G, A> {
    /// Joins behind all of its class and of lower ones; returns the ticket.
    pub(crate) fn join(&mut self, class: u8, waker: Arc<Waker>, deadline: Option<u64>, ask: A) -> u64 {
        self.tickets += 1;
        let ticket = ticket(class, self.tickets);
        self.enter(ticket, Waiter::new(waker, deadline, ask));
        ticket
    }

    /// Takes the place of this ticket, which is of nobody else. A queue that is entered numbers no tickets itself.
    pub(crate) fn enter(&mut self, ticket: u64, waiter: Waiter<A>) {
        self.waiting.insert(ticket, waiter);
    }

    /// Where a waiter stands; `None` if there is no such ticket.
    pub(crate) fn find(&self, ticket: u64) -> Option<(Standing, &Waiter<A>)> {
        if let Some(waiter) = self.waiting.get(&ticket) {
            let standing = if self.is_head(ticket) { Standing::Head } else { Standing::Behind };
            return Some((standing, waiter));
        }
        self.called.get(&ticket).map(|(waiter, _)| (Standing::Called, waiter))
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How many were called and have not looked.
    pub(crate) fn called(&self) -> usize {
        self.called.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.called.is_empty()
    }

    pub(crate) fn head(&self) -> Option<&Waiter<A>> {
        self.waiting.first_key_value().map(|(_, waiter)| waiter)
    }

    pub(crate) fn is_head(&self, ticket: u64) -> bool {
        self.waiting.first_key_value().is_some_and(|(first, _)| *first == ticket)
    }

    /// Calls the head, and returns its waker.
    pub(crate) fn call(&mut self, grant: Option<G>) -> Option<Arc<Waker>> {
        let (ticket, waiter) = self.waiting.pop_first()?;
        let waker = waiter.waker.clone();
        self.called.insert(ticket, (waiter, grant));
        Some(waker)
    }

    /// What has become of a waiter.
    pub(crate) fn look(&mut self, ticket: u64) -> Found<G, A> {
        if let Some((waiter, grant)) = self.called.remove(&ticket) {
            return Found::Called(grant, waiter);
        }
        let Some(waiter) = self.waiting.get(&ticket) else { return Found::Nobody };
        let deadline = waiter.deadline;
        if self.is_head(ticket) { Found::Head { deadline } } else { Found::Behind { deadline } }
    }

    /// Leaves, with what it was granted.
    pub(crate) fn leave(&mut self, ticket: u64) -> Option<(Waiter<A>, Option<G>)> {
        self.waiting.remove(&ticket).map(|waiter| (waiter, None)).or_else(|| self.called.remove(&ticket))
    }

    /// The head will look by itself at `at`.
    pub(crate) fn arm(&mut self, at: u64) {
        self.armed = self.waiting.first_key_value().map(|(ticket, _)| (*ticket, at));
    }

    /// The head's waker, if it has to look to learn of a timer for `at`: it is new, or its timer is for later.
    pub(crate) fn rearm(&mut self, at: u64) -> Option<Arc<Waker>> {
        let (&ticket, waiter) = self.waiting.first_key_value()?;
        if self.armed.is_some_and(|(whose, armed_at)| whose == ticket && armed_at <= at) {
            return None;
        }
        self.armed = Some((ticket, at));
        Some(waiter.waker.clone())
    }

    /// Empties the queue, and hands out the waiters.
    pub(crate) fn clear(&mut self) -> Vec<Waiter<A>> {
        self.armed = None;
        let called = std::mem::take(&mut self.called).into_values().map(|(waiter, _)| waiter);
        std::mem::take(&mut self.waiting).into_values().chain(called).collect()
    }

    /// Takes back every grant that nobody has looked at; its waiter waits again, in its old place.
    pub(crate) fn revoke(&mut self) -> Vec<G> {
        let called = std::mem::take(&mut self.called);
        let mut grants = Vec::new();
        for (ticket, (waiter, grant)) in called {
            match grant {
                Some(grant) => {
                    grants.push(grant);
                    self.waiting.insert(ticket, waiter);
                }
                None => {
                    self.called.insert(ticket, (waiter, None));
                }
            }
        }
        grants
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(waiters: u64) -> Queue<&'static str> {
        let mut queue = Queue::default();
        for n in 0..waiters {
            assert_eq!(queue.join(0, Arc::new(Waker::noop().clone()), Some(n), ()), n + 1);
        }
        queue
    }

    #[test]
    fn the_head_is_called_and_whoever_leaves_gives_back_what_it_was_granted() {
        let mut queue = queue(3);
        assert!(queue.call(Some("grant")).is_some());
        assert!(matches!(queue.look(2), Found::Head { deadline: Some(1) }));
        assert!(matches!(queue.look(3), Found::Behind { deadline: Some(2) }));
        assert!(matches!(queue.leave(1), Some((_, Some("grant")))));
        assert!(matches!(queue.look(1), Found::Nobody) && queue.leave(1).is_none());
        assert!(matches!(queue.leave(2), Some((_, None))));
        assert!(queue.call(None).is_some() && queue.call(None).is_none());
        assert!(matches!(queue.look(3), Found::Called(None, _)) && queue.is_empty());
    }

    #[test]
    fn only_a_head_that_has_no_timer_or_a_later_one_is_woken_to_set_it() {
        let mut queue = queue(2);
        queue.arm(50);
        assert!(queue.rearm(50).is_none() && queue.rearm(60).is_none());
        assert!(queue.rearm(40).is_some() && queue.rearm(40).is_none());
        queue.call(Some("grant"));
        assert!(queue.rearm(90).is_some(), "a new head");
        queue.leave(2);
        assert!(queue.rearm(1).is_none());
    }

    #[test]
    fn a_grant_that_is_revoked_leaves_everybody_in_his_place() {
        let mut queue = queue(3);
        queue.call(Some("one"));
        queue.call(None);
        assert_eq!(queue.revoke(), ["one"]);
        assert_eq!((queue.waiting(), queue.called()), (2, 1));
        assert!(matches!(queue.look(1), Found::Head { .. }) && matches!(queue.look(2), Found::Called(None, _)));
    }

    #[test]
    fn a_lower_class_is_served_first_and_each_in_the_order_of_arrival() {
        let mut queue = Queue::<(), char>::default();
        for (class, name) in [(1, 'a'), (0, 'b'), (1, 'c'), (127, 'd'), (0, 'e')] {
            queue.join(class, Arc::new(Waker::noop().clone()), None, name);
        }
        let mut served = String::new();
        while let Some(head) = queue.head() {
            served.push(head.ask);
            queue.call(None);
        }
        assert_eq!(served, "beacd");
    }
}
