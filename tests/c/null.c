/* NULL where it must not be, and where it may. HAZARD c-null */
#include "check.h"

static tollbar_limiter limiter;
static tollbar_policy policy;
static int refusals;

/* That a call answered so, and charged and created nothing. */
static void without_effect(int32_t status, int32_t wanted, int line) {
    check_same(status, wanted, "the status", __FILE__, line);
    tollbar_totals totals = totals_of(limiter);
    check_same((int64_t)left_of(limiter, KEY("a")), 9, "what is left", __FILE__, line);
    check_same((int64_t)totals.keys, 1, "the number of keys", __FILE__, line);
    check_same((int64_t)(totals.allowed + totals.denied), 1, "the number of decisions", __FILE__, line);
    refusals++;
}

#define REFUSED(call) without_effect(call, TOLLBAR_ERROR_NULL, __LINE__)

static void where_it_must_not_be(void) {
    const tollbar_key keys[] = {{"a", 1}, {NULL, 1}};
    const uint32_t lengths[] = {1};
    uint8_t answers[2] = {7, 7};
    uint64_t number = 77;
    tollbar_decision told;
    tollbar_reservation reservation;
    tollbar_bucket bucket;
    tollbar_wakeups wakeups;
    tollbar_turn turn;
    char text[100];
    told.remaining = 77;
    bucket.id = reservation.id = turn.place.id = 77;
    SAME(tollbar_wakeups_new(&wakeups), TOLLBAR_OK);

    REFUSED(tollbar_try_acquire(limiter, NULL, 1, 1));
    REFUSED(tollbar_decide(limiter, NULL, 1, 1, &told, sizeof told));
    REFUSED(tollbar_peek(limiter, NULL, 1, 1, &told, sizeof told));
    REFUSED(tollbar_try_acquire_many(limiter, NULL, 2, 1, answers));
    REFUSED(tollbar_try_acquire_many(limiter, keys, 2, 1, answers));
    REFUSED(tollbar_try_acquire_many(limiter, keys, 1, 1, NULL));
    REFUSED(tollbar_try_acquire_packed(limiter, NULL, 1, lengths, 1, 1, answers));
    REFUSED(tollbar_try_acquire_packed(limiter, "a", 1, NULL, 1, 1, answers));
    REFUSED(tollbar_try_acquire_packed(limiter, "a", 1, lengths, 1, 1, NULL));
    REFUSED(tollbar_try_acquire_all(limiter, NULL, 2, 1, &told, sizeof told, NULL));
    REFUSED(tollbar_try_acquire_all(limiter, keys, 2, 1, &told, sizeof told, NULL));
    REFUSED(tollbar_bucket_new(limiter, NULL, 1, &bucket));
    REFUSED(tollbar_bucket_new(limiter, "a", 1, NULL));
    REFUSED(tollbar_reserve(limiter, NULL, 1, 1, 0, false, &reservation, &told, sizeof told));
    REFUSED(tollbar_reserve(limiter, "a", 1, 1, 0, false, NULL, &told, sizeof told));
    REFUSED(tollbar_reset(limiter, NULL, 1));
    REFUSED(tollbar_reconfigure(limiter, NULL, 1, policy, TOLLBAR_MIGRATE_RESET, text, sizeof text));
    SAME_TEXT(text, "key must not be NULL");
    REFUSED(tollbar_release(limiter, NULL, 1));
    REFUSED(tollbar_penalize(limiter, NULL, 1));
    REFUSED(tollbar_contains(limiter, NULL, 1));
    REFUSED(tollbar_stats(limiter, NULL, sizeof(tollbar_totals)));
    REFUSED(tollbar_shadow_denied(limiter, NULL, 1, &number));
    REFUSED(tollbar_shadow_denied(limiter, "a", 1, NULL));
    REFUSED(tollbar_denied_by_limit(limiter, NULL, 1, &number));
    REFUSED(tollbar_denied_by_limit(limiter, "a", 1, NULL));
    REFUSED(tollbar_acquire(limiter, NULL, 1, NULL, 0, &turn, sizeof turn));
    tollbar_ask ask = {1, 0, SECOND, 0, 0, NULL, 0};
    REFUSED(tollbar_acquire(limiter, "a", 1, &ask, sizeof ask, NULL, 0));
    REFUSED(tollbar_join(limiter, NULL, 1, NULL, 0, wakeups, 1, &turn, sizeof turn));
    REFUSED(tollbar_join(limiter, "a", 1, NULL, 0, wakeups, 1, NULL, 0));
    REFUSED(tollbar_acquire_all(limiter, NULL, 2, NULL, 0, &turn, sizeof turn));
    REFUSED(tollbar_acquire_all(limiter, keys, 1, &ask, sizeof ask, NULL, 0));
    REFUSED(tollbar_join_all(limiter, NULL, 2, NULL, 0, wakeups, 1, &turn, sizeof turn));
    REFUSED(tollbar_join_all(limiter, keys, 1, NULL, 0, wakeups, 1, NULL, 0));
    REFUSED(tollbar_decide_costs(limiter, NULL, 1, 1, NULL, 0, &told, sizeof told));
    REFUSED(tollbar_decide_costs(limiter, "a", 1, 1, NULL, 1, &told, sizeof told));
    REFUSED(tollbar_peek_costs(limiter, NULL, 1, 1, NULL, 0, &told, sizeof told));
    REFUSED(tollbar_peek_costs(limiter, "a", 1, 1, NULL, 1, &told, sizeof told));
    REFUSED(tollbar_try_acquire_all_costs(limiter, NULL, 2, 1, NULL, 0, &told, sizeof told, NULL));
    REFUSED(tollbar_try_acquire_all_costs(limiter, keys, 1, 1, NULL, 1, &told, sizeof told, NULL));
    REFUSED(tollbar_reserve_costs(limiter, NULL, 1, 1, NULL, 0, 0, false, &reservation, &told, sizeof told));
    REFUSED(tollbar_reserve_costs(limiter, "a", 1, 1, NULL, 1, 0, false, &reservation, &told, sizeof told));
    REFUSED(tollbar_reserve_costs(limiter, "a", 1, 1, NULL, 0, 0, false, NULL, &told, sizeof told));
    REFUSED(tollbar_follow_default(limiter, NULL, 1, TOLLBAR_MIGRATE_RESET));
    REFUSED(tollbar_block(limiter, NULL, 1, SECOND));
    REFUSED(tollbar_drain(limiter, NULL, 1, 0, NULL, 0));
    REFUSED(tollbar_drain(limiter, "a", 1, 0, NULL, 1));
    REFUSED(tollbar_inspect(limiter, NULL, 1, 1, NULL, 0, NULL, 0, 0));
    REFUSED(tollbar_inspect(limiter, "a", 1, 1, NULL, 1, NULL, 0, 0));
    REFUSED(tollbar_inspect(limiter, "a", 1, 1, NULL, 0, NULL, 1, sizeof(tollbar_limit_state)));
    REFUSED(tollbar_keys(limiter, 0, NULL, NULL, NULL, 0));
    REFUSED(tollbar_look(turn.place, NULL, 0));
    REFUSED(tollbar_wakeups_new(NULL));
    REFUSED(tollbar_wakeups_next(wakeups, 0, NULL, 1));
    REFUSED(tollbar_policy_new(NULL));
    REFUSED(tollbar_policy_set_name(policy, NULL, 1, text, sizeof text));
    SAME_TEXT(text, "name must not be NULL");
    REFUSED(tollbar_options_new(NULL));
    REFUSED(tollbar_clock_new(0, NULL));
    REFUSED(tollbar_limiter_new(TOLLBAR_ABI_VERSION, policy, no_options(), NULL, text, sizeof text));
    SAME_TEXT(text, "limiter must not be NULL");
    REFUSED(tollbar_limiter_clone(limiter, NULL));
    REFUSED(tollbar_limiter_with_policy(limiter, policy, NULL, text, sizeof text));
    SAME_TEXT(text, "other must not be NULL");
    tollbar_clock clock = a_clock();
    REFUSED(tollbar_clock_now(clock, NULL));
    SAME(tollbar_clock_free(clock), TOLLBAR_OK);
    SAME(tollbar_wakeups_free(wakeups), TOLLBAR_OK);
    /* No result was written. */
    CHECK(answers[0] == 7 && answers[1] == 7 && number == 77 && told.remaining == 77);
    CHECK(bucket.id == 77 && reservation.id == 77 && turn.place.id == 77);
}

static void where_it_may(void) {
    SAME(tollbar_decide(limiter, KEY("a"), 1, NULL, 0), 1);
    SAME(tollbar_decide(limiter, KEY("a"), 1, NULL, 12345), 1);
    SAME(tollbar_peek(limiter, KEY("a"), 1, NULL, 0), 1);
    SAME(tollbar_acquire(limiter, KEY("a"), NULL, 0, NULL, 0), 1);
    SAME(tollbar_try_acquire(limiter, NULL, 0, 1), 1);
    SAME(left_of(limiter, KEY("a")), 6);
    SAME(left_of(limiter, "", 0), 9);
}

/* What stands for nothing may be freed, by every function that frees. */
static void nothing_may_be_freed(void) {
    tollbar_policy no_policy = {0};
    tollbar_clock no_clock = {0};
    tollbar_options none = {0};
    tollbar_limiter no_limiter = {0};
    tollbar_bucket no_bucket = {0};
    tollbar_wakeups no_wakeups = {0};
    for (int twice = 0; twice < 2; twice++) {
        SAME(tollbar_policy_free(no_policy), TOLLBAR_OK);
        SAME(tollbar_clock_free(no_clock), TOLLBAR_OK);
        SAME(tollbar_options_free(none), TOLLBAR_OK);
        SAME(tollbar_limiter_free(no_limiter), TOLLBAR_OK);
        SAME(tollbar_bucket_free(no_bucket), TOLLBAR_OK);
        SAME(tollbar_wakeups_free(no_wakeups), TOLLBAR_OK);
    }
}

int main(void) {
    tollbar_clock clock = a_clock();
    limiter = limiter_of(a_rate(10, SECOND, 0), clock);
    policy = a_rate(10, SECOND, 0);
    SAME(tollbar_try_acquire(limiter, KEY("a"), 1), 1);
    where_it_must_not_be();
    where_it_may();
    nothing_may_be_freed();
    SAME(tollbar_limiter_free(limiter), TOLLBAR_OK);
    SAME(tollbar_policy_free(policy), TOLLBAR_OK);
    SAME(tollbar_clock_free(clock), TOLLBAR_OK);
    printf("NULL in %d places where it must not be: a status, nothing charged or written; frees of nothing\n", refusals);
    return 0;
}
