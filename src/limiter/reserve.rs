//! Reservations: charged now, then committed with what was really used, or cancelled; and what goes with limits that are more
//! than a rate.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::answer::full_decision;
use super::{ClassId, Limiter, check};
use crate::account::{LeaseId, Terms};
use crate::decision::Decision;
use crate::error::Error;
use crate::policy::Cost;
use crate::table::Answer;

/// The right to act once, held until it is committed or cancelled, or until its lease is over.
///
/// Dropping it while it is open counts as used. Ending it twice does nothing.
#[derive(Debug)]
pub struct Reservation {
    limiter: Arc<Limiter>,
    key: Box<[u8]>,
    cost: Cost,
    decision: Decision,
    /// `None` where nothing limits the key, and of a denial.
    lease: Option<LeaseId>,
    gives_back: bool,
    open: AtomicBool,
}

impl Limiter {
    /// Charges `cost` to the key's account until the reservation is committed, cancelled, or its lease is over: `lease_ns`
    /// nanoseconds from now, or never for `None`, which is safe because dropping the reservation ends it. A rate is charged at once; in a window and in [`crate::Limit::in_flight`], what is reserved counts until it ends, and in a window
    /// as sent from then on. A denial is a reservation that holds nothing.
    ///
    /// A lease that is over counts as sent, or is given back with `gives_back`. Locks the key's stripe; while anything is
    /// reserved of a key, so do all decisions about it.
    ///
    /// # Errors
    /// [`Error::KeyTooLong`], and a lease of nothing or beyond 4.5 years; nothing is charged then.
    pub fn reserve(
        self: &Arc<Self>,
        key: &[u8],
        cost: u64,
        lease_ns: Option<u64>,
        gives_back: bool,
    ) -> Result<Reservation, Error> {
        self.reserve_as(key, cost, lease_ns, gives_back, self.default_class())
    }

    /// The same, where limits may have a cost of their own, and an unknown key gets an account of this class.
    ///
    /// # Errors
    /// Those of [`Limiter::reserve`], and a cost that names a limit that this limiter does not know.
    pub fn reserve_as(
        self: &Arc<Self>,
        key: &[u8],
        cost: impl Into<Cost>,
        lease_ns: Option<u64>,
        gives_back: bool,
        class: ClassId,
    ) -> Result<Reservation, Error> {
        let (key, cost) = (check(key)?, cost.into());
        self.check_names(&cost)?;
        let answer = self.table.reserve(key, &cost, self.own(class)?, Terms::new(lease_ns, gives_back)?);
        let outcome = self.outcome(&answer);
        let decision = self.said(&answer).unwrap_or_else(|| full_decision(&outcome));
        let lease = if let Answer::Ruled(ruled) = answer { ruled.lease } else { None };
        let open = AtomicBool::new(decision.allowed);
        Ok(Reservation { limiter: self.clone(), key: key.into(), cost, decision, lease, gives_back, open })
    }

    /// Ends every timeout of the key; false if none runs. Its strikes stay.
    ///
    /// # Errors
    /// [`Error::KeyTooLong`].
    pub fn release(&self, key: &[u8]) -> Result<bool, Error> {
        Ok(self.table.release(check(key)?))
    }

    /// Counts a denial of the key that was made elsewhere (a wrong password, say); true if the key is in a timeout now.
    /// Without a jail among its limits it does nothing.
    ///
    /// # Errors
    /// [`Error::KeyTooLong`].
    pub fn penalize(&self, key: &[u8]) -> Result<bool, Error> {
        self.penalize_as(key, self.default_class())
    }

    /// The same, where an unknown key gets an account of this class.
    ///
    /// # Errors
    /// [`Error::KeyTooLong`].
    pub fn penalize_as(&self, key: &[u8], class: ClassId) -> Result<bool, Error> {
        Ok(self.table.penalize(check(key)?, self.own(class)?))
    }
}

impl Reservation {
    /// One that was waited for.
    pub(super) fn granted(
        limiter: Arc<Limiter>,
        key: &[u8],
        cost: Cost,
        decision: Decision,
        lease: Option<LeaseId>,
        gives_back: bool,
    ) -> Self {
        Self { limiter, key: key.into(), cost, decision, lease, gives_back, open: AtomicBool::new(true) }
    }

    /// The answer that it was made with.
    #[must_use]
    pub fn decision(&self) -> &Decision {
        &self.decision
    }

    /// Whether it was granted.
    #[must_use]
    pub fn is_granted(&self) -> bool {
        self.decision.allowed
    }

    /// Whether it is granted and neither committed nor cancelled. Its lease may be over all the same.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open.load(Ordering::SeqCst)
    }

    /// What was reserved of each limit without a cost of its own.
    #[must_use]
    pub fn cost(&self) -> u64 {
        self.cost.each()
    }

    /// What was reserved.
    #[must_use]
    pub fn costs(&self) -> &Cost {
        &self.cost
    }

    /// Whether it is given back when its lease is over.
    #[must_use]
    pub fn gives_back(&self) -> bool {
        self.gives_back
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// The act has happened, and took so much (`None`: what was reserved) of each limit without a cost of its own. Less is
    /// given back; more is charged even beyond the limits, because it has happened. False if it had ended before: by this,
    /// by [`Reservation::cancel`], or because its lease is over and so counts as sent.
    pub fn commit(&self, actual: Option<u64>) -> bool {
        self.end(actual.map(|actual| self.cost.with_each(actual)).as_ref())
    }

    /// The same, where the actual cost of limits may be their own; limits that it does not name took what was reserved of
    /// them, if that was of their own, too.
    ///
    /// # Errors
    /// A cost that names a limit that the limiter does not know; the reservation stays open then.
    pub fn commit_costs(&self, actual: &Cost) -> Result<bool, Error> {
        self.limiter.check_names(actual)?;
        let named = actual.named().iter().map(|(name, n)| (name.clone(), *n));
        Ok(self.end(Some(&self.cost.with_each(actual.each()).with(named))))
    }

    fn end(&self, actual: Option<&Cost>) -> bool {
        if !self.open.swap(false, Ordering::SeqCst) {
            return false;
        }
        let Some(lease) = self.lease else { return true };
        if self.limiter.table.settle(&self.key, lease, actual) {
            return true;
        }
        // It was given back when its lease was over, and used all the same.
        if self.gives_back {
            self.limiter.table.debit(&self.key, actual.unwrap_or(&self.cost));
        }
        false
    }

    /// The act will not happen. A rate gets back what nobody could have charged since: exactly the cost where nothing was
    /// charged in between. False if it had ended before.
    pub fn cancel(&self) -> bool {
        if !self.open.swap(false, Ordering::SeqCst) {
            return false;
        }
        self.lease.is_none_or(|lease| self.limiter.table.settle(&self.key, lease, Some(&Cost::new(0))))
    }

    /// Lets the lease begin anew: it is over `lease_ns` nanoseconds from now, or never for `None`. False if the reservation
    /// has ended, by itself or otherwise.
    ///
    /// # Errors
    /// A lease of nothing or beyond 4.5 years.
    pub fn renew(&self, lease_ns: Option<u64>) -> Result<bool, Error> {
        let terms = Terms::new(lease_ns, self.gives_back)?;
        Ok(self.is_open() && self.lease.is_none_or(|lease| self.limiter.table.renew(&self.key, lease, terms)))
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.commit(None);
    }
}
