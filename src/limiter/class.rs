//! The name of a policy outside its limiter: a number, and whose number it is.
//!
//! Within, accounts store the number alone. Every way in from outside compares the limiter first, because another limiter's
//! number names another policy here, or none.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Limiter;
use crate::classes::ClassId as Number;
use crate::error::Error;
use crate::policy::Policy;

/// A policy of one limiter, given by [`Limiter::class`] or [`Limiter::default_class`]. Another limiter refuses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClassId {
    limiter: u64,
    number: Number,
}

/// A number that no other limiter of this process has.
pub(super) fn next_limiter() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    // ORDERING: Relaxed; a number and no more.
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Limiter {
    /// The number under which this limiter keeps a policy.
    ///
    /// # Errors
    /// [`Error::TooManyPolicies`].
    pub fn class(&self, policy: Policy) -> Result<ClassId, Error> {
        Ok(self.class_of(self.table.intern(policy)?))
    }

    /// The policy of a class that a denial names.
    #[cfg(feature = "python")]
    pub(crate) fn policy(&self, class: Number) -> &Policy {
        self.table.policy(class)
    }

    /// The class of accounts that nothing else was said about.
    #[must_use]
    pub fn default_class(&self) -> ClassId {
        self.class_of(self.table.default_class())
    }

    /// The class of a number of this limiter.
    pub(super) fn class_of(&self, number: Number) -> ClassId {
        ClassId { limiter: self.number, number }
    }

    /// The number of a class, if it is one of this limiter.
    #[inline]
    pub(super) fn own(&self, class: ClassId) -> Result<Number, Error> {
        if class.limiter == self.number { Ok(class.number) } else { Err(foreign()) }
    }
}

#[cold]
fn foreign() -> Error {
    Error::invalid("class", "one of another limiter", "must be one of this limiter")
}
