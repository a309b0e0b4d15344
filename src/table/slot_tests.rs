//! Slots: keys told apart, words that only rise.

use super::*;
use crate::limit::Rate;
use crate::policy::Policy;
use crate::ticks::PER_NANO;

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
fn a_slot_is_lifted_as_far_as_it_may_be_and_else_not_used_again() {
    let probe = Probe::new(b"a", 5);
    for (tat, lift) in [(20, MOST_SHIFT - 9), (11, MOST_SHIFT)] {
        let slot = *crate::sync::zeroed::<Slot>();
        slot.be_born(&probe, class(), MOST_SHIFT + 10, true).unwrap();
        slot.die(None).unwrap();
        assert_eq!([0, 10].map(|tat| slot.be_born(&probe, class(), tat, false)), [Err(()); 2]);
        assert_eq!(slot.be_born(&probe, class(), tat, false), Ok(false));
        assert_eq!((slot.look(Whose::Anybody), slot.shift()), (Ok((tat, class())), lift));
    }
}

#[test]
fn a_reading_of_two_lives_at_once_breaks_no_sum() {
    // The word of a life without a lift, and the lift of the next: a thread that is held up in between reads that.
    let class = ClassId::from_bits(0);
    let torn = Life { stored: 5, shift: 9, class };
    assert_eq!(torn.tat(), 0);
    assert_eq!(Life { stored: 9, shift: 5, class }.tat(), 4);
}

#[test]
fn a_key_that_takes_the_place_of_the_shift_is_not_one() {
    let slot = *crate::sync::zeroed::<Slot>();
    let key = [b'x'; INLINE];
    assert_eq!(slot.be_born(&Probe::new(&key, 5), class(), 1000, true), Ok(false));
    assert_eq!(slot.look(Whose::Key(Probe::new(&key, 5))), Ok((1000, class())));
    assert_eq!((slot.look_locked(), slot.end_of_time()), ((1000, class()), RANGE));
    slot.die(None).unwrap();
    // The shortest key, beside a shift.
    assert_eq!(slot.be_born(&Probe::new(b"", 5), class(), 900, false), Ok(false));
    assert_eq!(slot.look(Whose::Key(Probe::new(b"", 5))), Ok((900, class())));
    assert_eq!((slot.look_locked(), slot.end_of_time()), ((900, class()), RANGE - 101));
    assert_eq!(slot.key(), Some(Vec::new()));
}

#[test]
fn the_last_words_before_time_wraps_are_alive() {
    let slot = *crate::sync::zeroed::<Slot>();
    let (probe, last) = (Probe::new(b"a", 5), RANGE - 1);
    slot.be_born(&probe, class(), last, true).unwrap();
    assert_eq!(slot.die(None), Some((last, class())));
    // No word is left above it: this life's is the same, one lower by its own count.
    slot.be_born(&probe, class(), last, false).unwrap();
    assert_eq!(slot.look(Whose::Anybody), Ok((last - 1, class())));
    slot.die(None).unwrap();
    slot.thaw(last + 5);
    assert_eq!(slot.look(Whose::Anybody), Ok((last - 1, class())));
}

/// Classes of which one has a token each second, and that one.
fn one_a_second() -> (Classes, ClassId, Ticks) {
    let (classes, second) = (Classes::new(), 1_000_000_000);
    let policy = Policy::rate(Rate::new(1, second).burst(1)).unwrap();
    let class = classes.intern(policy).unwrap();
    (classes, class, second * PER_NANO)
}

#[test]
fn a_no_is_plain_where_no_better_reading_could_make_it_a_yes() {
    let (classes, class, second) = one_a_second();
    let slot = *crate::sync::zeroed::<Slot>();
    slot.be_born(&Probe::new(b"a", 5), class, 10 * second, true).unwrap();
    assert!(slot.charge(Whose::Anybody, &classes, || 10 * second, 1).is_ok());
    let deny = |coarse| slot.deny(Whose::Anybody, &classes, coarse, 1);
    assert_eq!(deny(11 * second - SKEW - 1).map(|denied| denied.0), Ok(Verdict::Deny(SKEW + 1)));
    // Two readings may lie as far apart as this.
    assert_eq!(deny(11 * second - SKEW), Err(Lost::Dead));
    let passed = slot.charge(Whose::Anybody, &classes, || 11 * second, 1).unwrap();
    assert_eq!(passed.0, Verdict::Allow(12 * second));
    assert_eq!(deny(second), Err(Lost::Dead), "the word is farther ahead than a charge could have left it");
    // A reading of 0 is none.
    let early = *crate::sync::zeroed::<Slot>();
    early.be_born(&Probe::new(b"a", 5), class, second, true).unwrap();
    let deny = |coarse| early.deny(Whose::Anybody, &classes, coarse, 1).map(|denied| denied.0);
    assert_eq!((deny(0), deny(1)), (Err(Lost::Dead), Ok(Verdict::Deny(second - 1))));
}

#[test]
fn where_a_life_has_no_room_for_the_next_word_nothing_passes_until_time_starts_again() {
    let (classes, class, second) = one_a_second();
    let slot = *crate::sync::zeroed::<Slot>();
    let probe = Probe::new(b"a", 5);
    slot.be_born(&probe, class, 1000, true).unwrap();
    slot.die(None).unwrap();
    slot.be_born(&probe, class, 900, false).unwrap();
    let end = slot.end_of_time();
    for now in [end - second, end - 1] {
        let (verdict, tat, ..) = slot.charge(Whose::Anybody, &classes, || now, 1).unwrap();
        assert_eq!((verdict, tat), (Verdict::Deny(RANGE - now), 900));
    }
    let (verdict, ..) = slot.charge(Whose::Anybody, &classes, || end - second - 1, 1).unwrap();
    assert_eq!(verdict, Verdict::Allow(end - 1));
}
