//! Chapter: the library itself, and what its numbers mean.

use std::ffi::{CStr, c_char};

use crate::capi::{given, types};

const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
    Ok(version) => version,
    Err(_) => c"",
};

/// The library's version, as `TOLLBAR_VERSION` is the header's: static text.
#[unsafe(no_mangle)]
pub extern "C" fn tollbar_version() -> *const c_char {
    VERSION.as_ptr()
}

/// The library's version of the binary interface, as `TOLLBAR_ABI_VERSION` is the header's.
#[unsafe(no_mangle)]
pub extern "C" fn tollbar_abi_version() -> u32 {
    types::TOLLBAR_ABI_VERSION
}

/// What a status says, in words: static text, never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn tollbar_status_text(status: i32) -> *const c_char {
    given::in_words(status).as_ptr()
}

/// The word for a reason, the same in every language ("rate", "window"): static text, empty for none.
#[unsafe(no_mangle)]
pub extern "C" fn tollbar_reason_text(reason: i32) -> *const c_char {
    given::reason_word(reason).as_ptr()
}
