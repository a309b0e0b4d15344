/* Waiting without a thread: join, look, leave, and the wakeups that tell whom to look at. */
#include <sched.h>

#include "check.h"

static tollbar_clock clock_of_all;
static tollbar_limiter limiter;
static tollbar_wakeups wakeups;

static int32_t join_as(uint64_t token, uint64_t cost, uint32_t priority, tollbar_turn *turn) {
    const tollbar_ask ask = {cost, TOLLBAR_NEVER, 0, priority, 0, NULL, 0};
    return tollbar_join(limiter, KEY("a"), &ask, sizeof ask, wakeups, token, turn, sizeof *turn);
}

/* The tokens that were told, as a set of bits. */
static uint64_t told(void) {
    uint64_t tokens[8], set = 0;
    for (int count = 1; count > 0;) {
        count = tollbar_wakeups_next(wakeups, 0, tokens, 8);
        CHECK(count >= 0 && count <= 8);
        for (int at = 0; at < count; at++) {
            set |= UINT64_C(1) << tokens[at];
        }
    }
    return set;
}

static void turns_come_in_order(void) {
    tollbar_turn turns[4], turn;
    limiter = limiter_of(a_rate(1, SECOND, 0), clock_of_all);
    SAME(join_as(0, 1, 0, &turn), 1);
    SAME(turn.place.id, 0);
    for (uint64_t at = 0; at < 3; at++) {
        SAME(join_as(at + 1, 1, 5, &turns[at]), TOLLBAR_WAITING);
        CHECK(turns[at].place.id != 0);
    }
    /* The head alone is told a time; a lower priority number goes before the others. */
    SAME(turns[0].look_after_ns, SECOND);
    CHECK(turns[1].look_after_ns == TOLLBAR_NEVER && turns[2].look_after_ns == TOLLBAR_NEVER);
    SAME(join_as(4, 1, 0, &turns[3]), TOLLBAR_WAITING);
    SAME(turns[3].look_after_ns, SECOND);
    (void)told();
    /* Too early: nobody. */
    SAME(tollbar_clock_advance(clock_of_all, (int64_t)SECOND - 1), TOLLBAR_OK);
    SAME(told(), 0);
    SAME(tollbar_look(turns[3].place, &turn, sizeof turn), TOLLBAR_WAITING);
    SAME(turn.look_after_ns, 1);
    CHECK(turn.place.id == turns[3].place.id);
    /* The clock tells the head that its time has come. */
    SAME(tollbar_clock_advance(clock_of_all, 1), TOLLBAR_OK);
    CHECK(told() & (1 << 4));
    SAME(tollbar_look(turns[1].place, &turn, sizeof turn), TOLLBAR_WAITING);
    SAME(tollbar_look(turns[3].place, &turn, sizeof turn), 1);
    SAME(tollbar_look(turns[3].place, &turn, sizeof turn), TOLLBAR_ERROR_HANDLE);
    SAME(tollbar_leave(turns[3].place), TOLLBAR_ERROR_HANDLE);
    /* The next head is woken to be told its time. */
    CHECK(told() & (1 << 1));
    SAME(tollbar_look(turns[0].place, &turn, sizeof turn), TOLLBAR_WAITING);
    SAME(turn.look_after_ns, SECOND);
    /* Who leaves hands on. */
    SAME(tollbar_leave(turns[0].place), 1);
    CHECK(told() & (1 << 2));
    SAME(tollbar_clock_advance(clock_of_all, (int64_t)SECOND), TOLLBAR_OK);
    SAME(tollbar_look(turns[1].place, &turn, sizeof turn), 1);
    SAME(tollbar_leave(turns[2].place), 1);
    (void)told();
    SAME(totals_of(limiter).allowed, 3);
    SAME(tollbar_clock_advance(clock_of_all, (int64_t)SECOND), TOLLBAR_OK);
    SAME(tollbar_try_acquire(limiter, KEY("a"), 1), 1);
    SAME(tollbar_limiter_free(limiter), TOLLBAR_OK);
}

/* A place whose limiter's handle was freed: told of, and then gone. */
static void a_limiter_that_is_freed(void) {
    tollbar_turn turns[2], turn;
    tollbar_limiter other;
    limiter = limiter_of(a_rate(1, SECOND, 0), clock_of_all);
    SAME(tollbar_limiter_clone(limiter, &other), TOLLBAR_OK);
    SAME(join_as(0, 1, 0, &turn), 1);
    SAME(join_as(1, 1, 0, &turns[0]), TOLLBAR_WAITING);
    SAME(join_as(2, 1, 0, &turns[1]), TOLLBAR_WAITING);
    (void)told();
    SAME(tollbar_limiter_free(limiter), TOLLBAR_OK);
    SAME(told(), (1 << 1) | (1 << 2));
    SAME(tollbar_look(turns[0].place, &turn, sizeof turn), TOLLBAR_ERROR_CLOSED);
    SAME(tollbar_look(turns[0].place, &turn, sizeof turn), TOLLBAR_ERROR_HANDLE);
    SAME(tollbar_leave(turns[1].place), 1);
    /* Nobody is in the line any more, and nothing was charged. */
    SAME(tollbar_clock_advance(clock_of_all, (int64_t)SECOND), TOLLBAR_OK);
    SAME(tollbar_try_acquire(other, KEY("a"), 1), 1);
    SAME(totals_of(other).allowed, 2);
    SAME(tollbar_limiter_free(other), TOLLBAR_OK);
}

/* Of several keys: nothing is taken before all let it pass, one place stands in all lines, and a look says it all. */
static void several_keys(void) {
    tollbar_turn turns[2], turn;
    const tollbar_key keys[] = {{"x", 1}, {"y", 1}}, back[] = {{"y", 1}, {"x", 1}}, twice[] = {{"x", 1}, {"x", 1}};
    tollbar_ask ask = {1, TOLLBAR_NEVER, 0, 0, 0, NULL, 0};
    limiter = limiter_of(a_rate(1, SECOND, 0), clock_of_all);
    SAME(tollbar_acquire_all(limiter, keys, 2, NULL, 0, &turn, sizeof turn), 1);
    SAME(tollbar_join_all(limiter, keys, 2, &ask, sizeof ask, wakeups, 1, &turns[0], sizeof turn), TOLLBAR_WAITING);
    SAME(turns[0].look_after_ns, SECOND);
    SAME(tollbar_join_all(limiter, back, 2, NULL, 0, wakeups, 2, &turns[1], sizeof turn), TOLLBAR_WAITING);
    CHECK(turns[1].look_after_ns == TOLLBAR_NEVER && turns[1].place.id != 0);
    SAME(tollbar_block(limiter, KEY("y"), 3 * SECOND), 1);
    SAME(tollbar_clock_advance(clock_of_all, (int64_t)SECOND), TOLLBAR_OK);
    SAME(tollbar_look(turns[0].place, &turn, sizeof turn), TOLLBAR_WAITING);
    SAME(turn.look_after_ns, 2 * SECOND);
    SAME(left_of(limiter, KEY("x")), 1);
    (void)told();
    SAME(tollbar_block(limiter, KEY("y"), 0), 1);
    SAME(told(), 1 << 1);
    SAME(tollbar_look(turns[0].place, &turn, sizeof turn), 1);
    SAME(left_of(limiter, KEY("x")), 0);
    SAME(told(), 1 << 2);
    SAME(tollbar_look(turns[0].place, &turn, sizeof turn), TOLLBAR_ERROR_HANDLE);
    SAME(tollbar_leave(turns[1].place), 1);
    /* What cannot be is told at once, and which key it is about. */
    SAME(tollbar_clock_advance(clock_of_all, (int64_t)SECOND), TOLLBAR_OK);
    SAME(tollbar_try_acquire(limiter, KEY("y"), 1), 1);
    ask.timeout_ns = SECOND - 1;
    SAME(tollbar_acquire_all(limiter, keys, 2, &ask, sizeof ask, &turn, sizeof turn), 0);
    CHECK(turn.retry_after_ns == SECOND && !turn.never && turn.denied_by == 1);
    /* A program that was compiled before asks for less. */
    turn.denied_by = 77;
    SAME(tollbar_acquire_all(limiter, keys, 2, &ask, sizeof ask, &turn, offsetof(tollbar_turn, never)), 0);
    SAME(turn.denied_by, 77);
    ask.cost = 2;
    SAME(tollbar_join_all(limiter, back, 2, &ask, sizeof ask, wakeups, 3, &turn, sizeof turn), 0);
    CHECK(turn.never && turn.retry_after_ns == TOLLBAR_NEVER && turn.denied_by == 0);
    SAME(tollbar_acquire_all(limiter, keys, 0, NULL, 0, &turn, sizeof turn), TOLLBAR_ERROR_INVALID);
    SAME(tollbar_acquire_all(limiter, twice, 2, NULL, 0, &turn, sizeof turn), TOLLBAR_ERROR_INVALID);
    ask.lease_ns = SECOND;
    SAME(tollbar_acquire_all(limiter, keys, 2, &ask, sizeof ask, &turn, sizeof turn), TOLLBAR_ERROR_INVALID);
    SAME(left_of(limiter, KEY("x")), 1);
    (void)told();
    SAME(tollbar_limiter_free(limiter), TOLLBAR_OK);
}

/* A turn with a lease is held by a reservation, whichever way it came. */
static void a_turn_with_a_lease(void) {
    tollbar_policy policy;
    tollbar_turn turn;
    const tollbar_ask ask = {1, TOLLBAR_NEVER, 60 * SECOND, 0, 1, NULL, 0};
    SAME(tollbar_policy_new(&policy), TOLLBAR_OK);
    SAME(tollbar_policy_add_in_flight(policy, 1, NULL, 0), TOLLBAR_OK);
    limiter = limiter_of(policy, clock_of_all);
    SAME(tollbar_join(limiter, KEY("a"), &ask, sizeof ask, wakeups, 1, &turn, sizeof turn), 1);
    const tollbar_reservation first = turn.reservation;
    CHECK(first.id != 0);
    SAME(tollbar_join(limiter, KEY("a"), &ask, sizeof ask, wakeups, 2, &turn, sizeof turn), TOLLBAR_WAITING);
    SAME(turn.reservation.id, 0);
    (void)told();
    SAME(tollbar_commit(first), 1);
    SAME(told(), 1 << 2);
    SAME(tollbar_look(turn.place, &turn, sizeof turn), 1);
    CHECK(turn.reservation.id != 0 && turn.place.id == 0);
    SAME(tollbar_cancel(turn.reservation), 1);
    SAME(tollbar_limiter_free(limiter), TOLLBAR_OK);
}

/* The clock tells a place when the limit that its costs wait for lets it pass, and when the lease before it is over. */
static void turns_with_costs_and_behind_leases(void) {
    tollbar_policy policy;
    tollbar_turn turn;
    tollbar_reservation held;
    tollbar_cost tokens = {"tokens", 6, 60};
    tollbar_ask ask = {1, TOLLBAR_NEVER, 0, 0, 0, &tokens, 1};
    SAME(tollbar_policy_new(&policy), TOLLBAR_OK);
    SAME(tollbar_policy_add_in_flight(policy, 1, NULL, 0), TOLLBAR_OK);
    SAME(tollbar_policy_add_rate(policy, 60, 60 * SECOND, NULL, 0), TOLLBAR_OK);
    SAME(tollbar_policy_set_name(policy, KEY("tokens"), NULL, 0), TOLLBAR_OK);
    limiter = limiter_of(policy, clock_of_all);
    SAME(tollbar_join(limiter, KEY("a"), &ask, sizeof ask, wakeups, 1, &turn, sizeof turn), 1);
    tokens.cost = 20;
    SAME(tollbar_join(limiter, KEY("a"), &ask, sizeof ask, wakeups, 2, &turn, sizeof turn), TOLLBAR_WAITING);
    SAME(turn.look_after_ns, 20 * SECOND);
    SAME(tollbar_clock_advance(clock_of_all, (int64_t)(20 * SECOND) - 1), TOLLBAR_OK);
    SAME(told(), 0);
    SAME(tollbar_clock_advance(clock_of_all, 1), TOLLBAR_OK);
    SAME(told(), 1 << 2);
    SAME(tollbar_look(turn.place, &turn, sizeof turn), 1);
    (void)told();
    tokens.cost = 0;
    SAME(tollbar_reserve_costs(limiter, KEY("a"), 1, &tokens, 1, 10 * SECOND, true, &held, NULL, 0), 1);
    SAME(tollbar_join(limiter, KEY("a"), &ask, sizeof ask, wakeups, 3, &turn, sizeof turn), TOLLBAR_WAITING);
    SAME(turn.look_after_ns, 10 * SECOND);
    SAME(tollbar_renew(held, 30 * SECOND), 1);
    SAME(tollbar_clock_advance(clock_of_all, (int64_t)(10 * SECOND)), TOLLBAR_OK);
    /* The old end has come, and the place is told the new one. */
    SAME(told(), 1 << 3);
    SAME(tollbar_look(turn.place, &turn, sizeof turn), TOLLBAR_WAITING);
    SAME(turn.look_after_ns, 20 * SECOND);
    SAME(tollbar_clock_advance(clock_of_all, (int64_t)(20 * SECOND)), TOLLBAR_OK);
    SAME(told(), 1 << 3);
    SAME(tollbar_look(turn.place, &turn, sizeof turn), 1);
    (void)told();
    SAME(tollbar_cancel(held), 0);
    SAME(tollbar_limiter_free(limiter), TOLLBAR_OK);
}

static void *listens(void *with) {
    uint64_t token;
    const int32_t answer = tollbar_wakeups_next(*(tollbar_wakeups *)with, TOLLBAR_NEVER, &token, 1);
    if (answer == TOLLBAR_ERROR_CLOSED || answer == TOLLBAR_ERROR_HANDLE) {
        return NULL;
    }
    SAME(answer, 1);
    return (void *)(uintptr_t)token;
}

/* Each token goes to one who listens; who listens when it is freed hears of that. */
static void tokens_told_by_hand(void) {
    uint64_t tokens[3] = {0, 0, 77};
    for (uint64_t at = 1; at <= 3; at++) {
        SAME(tollbar_wakeups_tell(wakeups, at), TOLLBAR_OK);
    }
    SAME(tollbar_wakeups_next(wakeups, 0, tokens, 0), 0);
    SAME(tollbar_wakeups_next(wakeups, TOLLBAR_NEVER, tokens, 2), 2);
    CHECK(tokens[0] == 1 && tokens[1] == 2 && tokens[2] == 77);
    SAME(tollbar_wakeups_next(wakeups, TOLLBAR_NEVER, tokens, SIZE_MAX), 1);
    SAME(tollbar_wakeups_next(wakeups, 1, tokens, 2), 0);
    for (int again = 0; again < often(200); again++) {
        tollbar_wakeups of_these;
        pthread_t threads[3];
        uintptr_t sum = 0, closed = 0;
        SAME(tollbar_wakeups_new(&of_these), TOLLBAR_OK);
        for (int at = 0; at < 3; at++) {
            threads[at] = begin(listens, &of_these);
        }
        SAME(tollbar_wakeups_tell(of_these, 10), TOLLBAR_OK);
        SAME(tollbar_wakeups_tell(of_these, 100), TOLLBAR_OK);
        /* One of them listens still, or has not begun. */
        void *first = NULL;
        for (int at = 0; at < again % 3; at++) {
            sched_yield();
        }
        SAME(tollbar_wakeups_free(of_these), TOLLBAR_OK);
        SAME(tollbar_wakeups_free(of_these), TOLLBAR_ERROR_HANDLE);
        for (int at = 0; at < 3; at++) {
            SAME(pthread_join(threads[at], &first), 0);
            sum += (uintptr_t)first;
            closed += first == NULL;
        }
        /* No token came twice. */
        CHECK(sum == 110 || sum == 100 || sum == 10 || sum == 0);
        CHECK(closed >= 1);
    }
}

/* Places that outlive what tells them: nothing is told any more, and they can be looked at. */
static void wakeups_that_are_freed(void) {
    tollbar_turn turn, later;
    limiter = limiter_of(a_rate(1, SECOND, 0), clock_of_all);
    SAME(join_as(0, 1, 0, &turn), 1);
    SAME(join_as(1, 1, 0, &turn), TOLLBAR_WAITING);
    SAME(join_as(2, 1, 0, &later), TOLLBAR_WAITING);
    SAME(tollbar_wakeups_free(wakeups), TOLLBAR_OK);
    SAME(join_as(3, 1, 0, &turn), TOLLBAR_ERROR_HANDLE);
    SAME(tollbar_clock_advance(clock_of_all, (int64_t)SECOND), TOLLBAR_OK);
    SAME(tollbar_look(turn.place, &turn, sizeof turn), 1);
    SAME(tollbar_leave(later.place), 1);
    SAME(tollbar_limiter_free(limiter), TOLLBAR_OK);
}

int main(void) {
    clock_of_all = a_clock();
    SAME(tollbar_wakeups_new(&wakeups), TOLLBAR_OK);
    turns_come_in_order();
    a_limiter_that_is_freed();
    several_keys();
    a_turn_with_a_lease();
    turns_with_costs_and_behind_leases();
    tokens_told_by_hand();
    wakeups_that_are_freed();
    SAME(tollbar_clock_free(clock_of_all), TOLLBAR_OK);
    printf("places in order, by priority, left, closed, with costs and leases; %d wakeups freed while listened to\n", often(200));
    return 0;
}
