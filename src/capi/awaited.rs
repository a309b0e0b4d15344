//! What a wait is for: the turn of one key, or that of several keys.

use std::task::Waker;

use super::guard::Fault;
use super::objects::Held;
use crate::limiter::{Ask, JointTurn, Place};

/// The keys of a wait, which outlives the call that gave them.
pub(super) enum Awaited {
    One(Box<[u8]>),
    All(Vec<Box<[u8]>>),
}

impl Awaited {
    pub(super) fn one(key: &[u8]) -> Self {
        Self::One(key.into())
    }

    pub(super) fn all(keys: &[&[u8]]) -> Self {
        Self::All(keys.iter().map(|&key| key.into()).collect())
    }

    pub(super) fn join(&self, by: &Held, ask: Ask<'_>, waker: Waker) -> Result<JointTurn, Fault> {
        Ok(match self {
            Self::One(key) => by.core.join(key, ask, by.class, waker)?.into(),
            Self::All(keys) => by.core.join_all(keys, ask, |_| by.class, waker)?,
        })
    }

    pub(super) fn look(&self, by: &Held, ask: Ask<'_>, place: Place) -> Result<JointTurn, Fault> {
        Ok(match self {
            Self::One(key) => by.core.look(key, ask, place)?.into(),
            Self::All(keys) => by.core.look_all(keys, |_| by.class, place)?,
        })
    }

    pub(super) fn leave(&self, by: &Held, place: Place) -> Result<bool, Fault> {
        Ok(match self {
            Self::One(key) => by.core.leave(key, place)?,
            Self::All(keys) => by.core.leave_all(keys, place)?,
        })
    }
}
