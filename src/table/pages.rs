//! Zeroed memory for many things of one kind, in large pages where there are many.
//!
//! Runs when a table grows, never for a decision; but a decision in a large table waits for memory, and half of that is the
//! processor asking where a page of 4 KiB lies. A page of 2 MiB is asked for 512 times less often. The system takes
//! such pages only where it is told to, and only when they are touched, so what is made here costs nothing at first.

#![allow(unsafe_code)]

#[cfg(not(loom))]
pub(super) use block::Block;
#[cfg(loom)]
pub(super) use modelled::Block;

/// A large page.
pub(super) const LARGE: usize = 1 << 21;

/// Of how many things large pages are made without a rest.
pub(super) const fn in_large_pages<T>() -> usize {
    #[cfg(not(loom))]
    return LARGE >> (size_of::<T>() | LARGE).trailing_zeros();
    #[cfg(loom)]
    return 1;
}

#[cfg(not(loom))]
mod block {
    use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};

    use super::LARGE;
    use crate::sync::Zeroed;

    /// So many things, as far apart as is said, all zeros. They are not dropped, only their memory is.
    pub(in crate::table) struct Block<T> {
        base: *mut u8,
        layout: Layout,
        first: *mut T,
    }

    // SAFETY: it owns its memory, and hands out no more than a pointer; whoever follows that answers for it.
    unsafe impl<T: Send> Send for Block<T> {}

    impl<T: Zeroed> Block<T> {
        /// `apart` and `alignment` are in bytes, no less than a thing's own. Large pages are asked for where the alignment is
        /// that of one.
        pub(in crate::table) fn new(count: usize, apart: usize, alignment: usize) -> Self {
            const { assert!(size_of::<T>() > 0 && !std::mem::needs_drop::<T>()) };
            assert!(apart >= size_of::<T>() && apart.is_multiple_of(align_of::<T>()));
            // Memory of a larger alignment would be cleared by hand, and so be touched; it is aligned here instead.
            let bytes = apart.checked_mul(count).and_then(|bytes| bytes.checked_add(alignment));
            let layout = bytes.and_then(|bytes| Layout::from_size_align(bytes, align_of::<T>()).ok());
            let layout = layout.expect("a table fits the address space");
            // SAFETY: the size is not zero, for no alignment is.
            let base = unsafe { alloc_zeroed(layout) };
            if base.is_null() {
                handle_alloc_error(layout);
            }
            let first = base.wrapping_add(base.align_offset(alignment));
            if alignment == LARGE {
                advise(first, layout.size() - alignment);
            }
            Self { base, layout, first: first.cast() }
        }

        /// The first of the things. Zeros are a value of each (`Zeroed`), and aligned they are, as far apart as they lie.
        pub(in crate::table) fn first(&self) -> *mut T {
            self.first
        }
    }

    impl<T> Drop for Block<T> {
        fn drop(&mut self) {
            // SAFETY: what `alloc_zeroed` gave for this layout.
            unsafe { dealloc(self.base, self.layout) }
        }
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn advise(first: *mut u8, bytes: usize) {
        // SAFETY: advice about memory of our own, which changes nothing that is in it. Without large pages it does nothing.
        unsafe { libc::madvise(first.cast(), bytes, libc::MADV_HUGEPAGE) };
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn advise(_first: *mut u8, _bytes: usize) {}
}

#[cfg(loom)]
mod modelled {
    //! The checker's atomics are more than zeros.
    use crate::sync::Zeroed;

    pub(in crate::table) struct Block<T>(*mut T, usize);

    // SAFETY: it owns the boxed slice, and hands out no more than a pointer.
    unsafe impl<T: Send> Send for Block<T> {}

    impl<T: Zeroed> Block<T> {
        pub(in crate::table) fn new(count: usize, _apart: usize, _alignment: usize) -> Self {
            let things: Box<[T]> = (0..count).map(|_| T::zero()).collect();
            Self(Box::into_raw(things).cast(), count)
        }

        pub(in crate::table) fn first(&self) -> *mut T {
            self.0
        }
    }

    impl<T> Drop for Block<T> {
        fn drop(&mut self) {
            // SAFETY: the boxed slice that `new` took apart.
            drop(unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(self.0, self.1)) });
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::sync::{AtomicU64, Ordering};

    #[test]
    fn it_is_zeros_aligned_and_as_long_as_was_asked_for() {
        assert_eq!(in_large_pages::<[u64; 7 << 12]>(), 64);
        assert_eq!(in_large_pages::<u64>(), LARGE / 8);
        for (count, apart, alignment) in
            [(1, 8, 8), (1000, 8, 64), (1000, 64, 64), (LARGE / 8, 8, LARGE), (5, 8, LARGE)]
        {
            let block = Block::<AtomicU64>::new(count, apart, alignment);
            assert!(block.first().addr().is_multiple_of(alignment));
            // SAFETY: so many were asked for, so far apart, and nobody else has the block.
            let mut things = (0..count).map(|at| unsafe { &*block.first().byte_add(at * apart) });
            assert!(things.all(|thing| thing.swap(7, Ordering::SeqCst) == 0));
        }
    }
}
