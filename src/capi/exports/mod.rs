//! Every function of the header, one chapter a file. cbindgen reads these files and `types`.
#![allow(unreachable_pub)] // cbindgen reads what is public

pub(crate) mod buckets;
pub(crate) mod calendars;
pub(crate) mod clocks;
pub(crate) mod decisions;
pub(crate) mod keys;
pub(crate) mod library;
pub(crate) mod limiters;
pub(crate) mod policies;
pub(crate) mod reservations;
pub(crate) mod table;
pub(crate) mod waiting;

/// A handle for what is reserved; what there is no room for is given back.
fn kept(reserved: crate::limiter::Reservation) -> Result<u64, crate::capi::guard::Fault> {
    let ticket = std::sync::Arc::new(reserved);
    super::objects::RESERVATIONS.put_shared(ticket.clone()).inspect_err(|_| {
        ticket.cancel();
    })
}
