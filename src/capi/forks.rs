//! A fork waits for a moment at which no other thread is inside a call.
//!
//! A child has one thread. Were another one inside at the fork, what it had locked would stay locked in the child. So nobody
//! enters while the process is forked, and who is inside is waited for: for a second at most, for he might wait for whoever forks
//! (an interpreter's lock, say).

/// Registers the three handlers, once.
#[cfg(unix)]
pub(super) fn watch() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        // SAFETY: the handlers are functions that live as long as the library; if there is no memory for the registration, forks
        // are as they were.
        unsafe {
            libc::pthread_atfork(Some(before), Some(after_in_parent), Some(after_in_child));
        }
    });
}

#[cfg(not(unix))]
pub(super) fn watch() {}

#[cfg(unix)]
extern "C" fn before() {
    use super::lanes::{self, Crowd};

    lanes::close();
    // Without a barrier for all threads, those that show are waited for.
    let mut inside = Crowd::now().unwrap_or_else(Crowd::shown);
    let begun = std::time::Instant::now();
    while !inside.others_have_left() && begun.elapsed() < std::time::Duration::from_secs(1) {
        std::thread::yield_now();
    }
}

#[cfg(unix)]
extern "C" fn after_in_parent() {
    super::lanes::open();
}

#[cfg(unix)]
extern "C" fn after_in_child() {
    super::lanes::only_this_thread_is_left();
}
