//! A memory barrier that only the rare side pays for.
//!
//! Whoever enters a lane writes "I am inside" and then reads whether a handle lives; whoever frees writes "it does not live" and
//! then reads who is inside. Both need their write seen before they read. On Linux the one who frees makes all the
//! threads of the process pass a barrier (`membarrier`), so that those who enter need none; elsewhere they make their own.

#[cfg(target_os = "linux")]
mod source {
    const REGISTER_PRIVATE_EXPEDITED: libc::c_int = 1 << 4;
    const PRIVATE_EXPEDITED: libc::c_int = 1 << 3;

    fn membarrier(command: libc::c_int) -> bool {
        #[cfg(test)]
        if super::FAILS.get() {
            return false;
        }
        // SAFETY: the call takes three integers and touches no memory; a kernel that does not know it says so.
        unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
    }

    /// Whether [`everywhere`] works from now on.
    pub(in crate::capi) fn register() -> bool {
        membarrier(REGISTER_PRIVATE_EXPEDITED)
    }

    /// Every thread of the process passes a full barrier between the call and its return. False if that cannot be done.
    pub(in crate::capi) fn everywhere() -> bool {
        membarrier(PRIVATE_EXPEDITED)
    }
}

#[cfg(not(target_os = "linux"))]
mod source {
    pub(in crate::capi) fn register() -> bool {
        false
    }

    pub(in crate::capi) fn everywhere() -> bool {
        false
    }
}

pub(super) use source::{everywhere, register};

#[cfg(test)]
thread_local! {
    static FAILS: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Runs `work` in this thread as on a system that refuses the barrier from now on.
#[cfg(test)]
pub(super) fn failing<R>(work: impl FnOnce() -> R) -> R {
    FAILS.set(true);
    let done = work();
    FAILS.set(false);
    done
}
