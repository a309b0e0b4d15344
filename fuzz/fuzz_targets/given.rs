//! What a byte string gives: numbers, keys, buffers with a guarded end, and handles that live, are dead, or were guessed.

use std::ffi::c_void;

use crate::abi::Handle;

/// No structure may be larger.
const LARGEST: usize = 4096;
const GUARD: u8 = 0xa5;

/// Room for a structure or a message; what is behind its size must stay as it is.
pub struct Room {
    bytes: Box<[u8; LARGEST + 16]>,
    pub size: usize,
}

impl Room {
    pub fn at(&mut self) -> *mut c_void {
        self.bytes.as_mut_ptr().cast()
    }

    pub fn number(&self, at: usize) -> u64 {
        u64::from_ne_bytes(self.bytes[at..at + 8].try_into().unwrap())
    }

    pub fn is_as_it_was(&self) -> bool {
        self.bytes.iter().all(|&byte| byte == GUARD)
    }

    /// Whether nothing was written beyond what there is room for.
    pub fn check(&self) {
        let size = self.size.min(LARGEST);
        assert!(self.bytes[size..].iter().all(|&byte| byte == GUARD), "written beyond {size}");
    }
}

/// The bytes that are left.
pub struct Given<'a>(pub &'a [u8]);

impl<'a> Given<'a> {
    pub fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    pub fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    /// A number, small more often than not.
    pub fn number(&mut self) -> u64 {
        match self.byte() {
            0xff => u64::MAX,
            0xfe => self.take(8).iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte)),
            0xfd => 1 << (self.byte() % 64),
            0xfc => u64::from(self.byte()) * 1_000_000_000,
            small => u64::from(small),
        }
    }

    /// A key, one that is too long among them; never one of those that the model counts.
    pub fn key(&mut self) -> (&'a [u8], usize) {
        let len = usize::from(self.byte());
        match len {
            0xff => (&[], usize::MAX >> (self.byte() % 40)),
            0xf0..0xff => (self.take(len), (1 << 20) + len),
            _ => {
                let key = self.take(len % 48);
                let key = if key.first() == Some(&b'M') { &[] } else { key };
                (key, key.len())
            }
        }
    }

    /// A structure of this size, or of one that there is not.
    pub fn room(&mut self, size: usize) -> Room {
        let size = match self.byte() {
            0xff => usize::MAX,
            0xfe => LARGEST + 1,
            0xfd => LARGEST,
            0xfc => size + 8,
            0xfb => size - 1,
            0xfa => 0,
            _ => size,
        };
        Room { bytes: Box::new([GUARD; LARGEST + 16]), size }
    }

    /// A buffer for a message.
    pub fn message(&mut self) -> Room {
        let size = usize::from(self.byte());
        Room { bytes: Box::new([GUARD; LARGEST + 16]), size }
    }

    /// A handle: one of this kind that lives or did, one of another, one bit beside one, or any number.
    pub fn handle(&mut self, all: &[Vec<Handle>], kind: usize) -> Handle {
        let how = self.byte();
        let kind = if how == 0xfe { usize::from(self.byte()) % all.len() } else { kind };
        let known = &all[kind];
        let one = |at: u8| known.get(usize::from(at) % known.len().max(1)).copied().unwrap_or(Handle(0));
        match how {
            0xff => Handle(self.number()),
            0xfd => Handle(one(self.byte()).0 ^ 1 << (self.byte() % 64)),
            0xfc => Handle(0),
            at => one(at),
        }
    }
}
