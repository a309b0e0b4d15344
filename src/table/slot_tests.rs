//! Slots: keys told apart, words that only rise.

use super::*;

fn class() -> ClassId {
    ClassId::from_bits(7)
}

#[test]
fn a_slot_tells_keys_apart_and_words_only_rise() {
    let slot = *crate::sync::zeroed::<Slot>();
    let long = [b'x'; 33];
    let keys: [&[u8]; 5] = [b"", b"a", b"a\0", &[b'x'; 32], &long];
    let mut stored = 0;
    for (life, key) in keys.iter().enumerate() {
        let probe = Probe::new(key, 5);
        // Always born at the same time: from the second life on, a shift is needed.
        let kept_by_stripe = slot.be_born(&probe, class(), 1000, life == 0).unwrap();
        assert_eq!(kept_by_stripe, life == 4, "33 bytes do not fit beside a shift");
        let raw = slot.word.load(Ordering::SeqCst);
        assert!(raw > stored, "{life}");
        stored = raw;
        assert_eq!(slot.look(Whose::Anybody), Ok((1000, class())));
        for (other, key) in keys.iter().enumerate() {
            let found = slot.look(Whose::Key(Probe::new(key, 5))).is_ok();
            assert_eq!(found, other == life && life != 4, "{other} in life {life}");
        }
        assert_eq!(slot.look(Whose::Key(Probe::new(keys[life], 6))), Err(Lost::Other));
        assert_eq!(slot.key().as_deref(), (life != 4).then_some(keys[life]));
        assert_eq!(slot.die(Some(999)), None);
        assert_eq!(slot.die(Some(1000)), Some((1000, class())));
        assert_eq!(slot.look(Whose::Anybody), Err(Lost::Dead));
    }
}

#[test]
fn a_slot_that_was_lifted_too_far_is_not_used_again() {
    let slot = *crate::sync::zeroed::<Slot>();
    let probe = Probe::new(b"a", 5);
    slot.be_born(&probe, class(), MOST_SHIFT + 10, true).unwrap();
    slot.die(None).unwrap();
    assert_eq!(slot.be_born(&probe, class(), 0, false), Err(()));
    assert_eq!(slot.be_born(&probe, class(), 20, false), Ok(false));
}

#[test]
fn a_reading_of_two_lives_at_once_breaks_no_sum() {
    // The word of a life without a lift, and the lift of the next: a thread that is held up in between reads that.
    let class = ClassId::from_bits(0);
    let torn = Life { stored: 5, shift: 9, class };
    assert_eq!(torn.tat(), 0);
    assert_eq!(Life { stored: 9, shift: 5, class }.tat(), 4);
}
