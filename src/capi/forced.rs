//! A mistake on purpose, for tests of what becomes of one. In no released library, and in no header.

use super::guard::guard;

/// Panics where any call could, inside its guard.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn tollbar_forced_panic() -> i32 {
    guard(|_| panic!("forced"))
}
