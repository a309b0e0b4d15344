//! First sight of a key: an account is made for it, if what it asks for can pass.

use super::room::Seat;
use super::stripe::{Locked, NotIn};
use super::{Absent, Answer, Charge, Sought, Table};
use crate::classes::ClassId;
use crate::limit::Verdict;
use crate::policy::Cost;
use crate::ticks::{SKEW, Ticks};

impl Table {
    /// Makes an account for a key that the stripe does not hold, as `absent` says. A request that cannot pass leaves no
    /// trace.
    #[allow(clippy::inline_always)] // its answer is large, and on the way to nearly every first sight
    #[inline(always)]
    pub(super) fn make<'a>(
        &'a self,
        mut stripe: Locked<'a>,
        sought: &Sought<'_>,
        cost: &Cost,
        absent: Absent,
    ) -> Result<(Locked<'a>, u32, Ticks), Answer> {
        let (Absent::Charge(class) | Absent::Create(class)) = absent else { return Err(Answer::Unknown) };
        let class = self.class_for(sought.probe.key, class);
        let now = self.time.now();
        stripe.settle_horizon(now, self.classes.longest() + SKEW);
        if matches!(absent, Absent::Charge(_)) {
            let policy = self.classes.get(class);
            let (rule, n) = (policy.rule(), cost.uniform().unwrap_or_else(|| cost.on_only(policy.limits())));
            let passes = matches!(rule.decide(rule.clamp(stripe.horizon(), now), now, n), Verdict::Allow(_));
            if !passes {
                let answer = self.answer_unknown(&stripe, class, now, cost);
                if !answer.passes() {
                    return Err(answer);
                }
            }
        }
        self.create(stripe, sought, class, now).map_err(Answer::Full)
    }

    /// What a key is told that the stripe does not hold.
    #[cold]
    pub(super) fn answer_unknown(&self, stripe: &Locked<'_>, class: ClassId, now: Ticks, cost: &Cost) -> Answer {
        if self.is_cold(class) {
            return Answer::Ruled(self.rule_unknown(stripe, class, now, cost));
        }
        let policy = self.classes.get(class);
        let (rule, n) = (policy.rule(), cost.on_only(policy.limits()));
        let tat = rule.clamp(stripe.horizon(), now);
        Answer::Charged(Charge { verdict: rule.decide(tat, now, n), tat, now, class, notice: None })
    }

    /// Makes an account for a key that the stripe does not hold, and returns its slot with the stripe locked, and the
    /// reading at which it was born. `now` was taken under this lock.
    pub(super) fn create<'a>(
        &'a self,
        mut stripe: Locked<'a>,
        sought: &Sought<'_>,
        class: ClassId,
        mut now: Ticks,
    ) -> Result<(Locked<'a>, u32, Ticks), Option<Ticks>> {
        let mut free = self.free_seat();
        loop {
            let seat = match free.take().map_or_else(|| self.seat_at_home(&mut stripe, sought, now), Ok) {
                Ok(seat) => seat,
                Err(seen) => {
                    // Somebody of another stripe must go, and two are never locked at once. So the key is sought again
                    // afterwards.
                    drop(stripe);
                    let seat = self.find_seat(sought, seen)?;
                    stripe = self.stripes[sought.home].lock(&self.slab);
                    now = self.time.now();
                    if let Some(slot) = self.find(&mut stripe, &sought.probe) {
                        stripe.clamp(slot, now, &self.classes);
                        return Ok((stripe, slot, now));
                    }
                    seat
                }
            };
            match self.move_in(&mut stripe, sought, class, now, seat) {
                Ok(slot) => return Ok((stripe, slot, now)),
                Err(NotIn::SlotIsSpent) => {}
                Err(NotIn::NoRoom) => return Err(None),
            }
        }
    }

    fn move_in(
        &self,
        stripe: &mut Locked<'_>,
        sought: &Sought<'_>,
        class: ClassId,
        now: Ticks,
        seat: Seat<'_>,
    ) -> Result<u32, NotIn> {
        // Born at this reading, or at a later one at which an account was dropped here.
        let tat = self.classes.get(class).rule().clamp(stripe.horizon(), now).max(now);
        let place = seat.place();
        match stripe.insert(&sought.probe, class, tat, place) {
            Ok(()) => seat.take(),
            Err(NotIn::SlotIsSpent) => {
                seat.take();
                self.give_up_seat();
                return Err(NotIn::SlotIsSpent);
            }
            Err(NotIn::NoRoom) => return Err(NotIn::NoRoom), // dropping the seat gives it and its slot back
        }
        // Memory that no denial has touched stays untouched.
        if let Some(notice) = self.notices.as_ref().and_then(|notices| notices.made(place.0)) {
            notice.forget();
        }
        if self.plan.track_created {
            stripe.side_mut(place.0).created_ns = Some(self.time.clock().unix_ns());
        }
        Ok(place.0)
    }
}
