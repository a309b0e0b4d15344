/* Handles to one account, and reservations. */
#include "check.h"

static void buckets(tollbar_clock clock) {
    tollbar_limiter limiter = limiter_of(a_rate(3, 3 * SECOND, 0), clock);
    tollbar_bucket bucket, again, other;
    tollbar_decision told;
    SAME(tollbar_bucket_new(limiter, KEY("a"), &bucket), 1);
    SAME(tollbar_bucket_new(limiter, KEY("a"), &again), 1);
    SAME(tollbar_bucket_new(limiter, KEY("b"), &other), 1);
    CHECK(bucket.id != again.id);
    SAME(tollbar_bucket_try_acquire(bucket, 1), 1);
    SAME(tollbar_try_acquire(limiter, KEY("a"), 1), 1);
    SAME(tollbar_bucket_peek(again, 1, &told, sizeof told), 1);
    SAME(told.remaining, 1);
    SAME(tollbar_bucket_try_acquire(again, 1), 1);
    SAME(tollbar_bucket_try_acquire(bucket, 1), 0);
    SAME(tollbar_bucket_peek(bucket, 2, &told, sizeof told), 0);
    SAME(told.reason, TOLLBAR_REASON_RATE);
    SAME(tollbar_bucket_peek(other, 3, NULL, 0), 1);
    SAME(tollbar_bucket_free(again), TOLLBAR_OK);
    SAME(tollbar_bucket_try_acquire(again, 1), TOLLBAR_ERROR_HANDLE);
    /* The bucket outlives the limiter's handle. */
    SAME(tollbar_limiter_free(limiter), TOLLBAR_OK);
    SAME(tollbar_clock_advance(clock, (int64_t)(3 * SECOND)), TOLLBAR_OK);
    SAME(tollbar_bucket_try_acquire(bucket, 3), 1);
    SAME(tollbar_bucket_try_acquire(bucket, 1), 0);
    SAME(tollbar_bucket_free(bucket), TOLLBAR_OK);
    SAME(tollbar_bucket_free(other), TOLLBAR_OK);
}

/* A bucket keeps its account from eviction; where the table is full, there is none to be had. */
static void pins(tollbar_clock clock) {
    tollbar_policy policy = a_rate(1, SECOND, 0);
    tollbar_options options;
    tollbar_limiter limiter;
    tollbar_bucket bucket, none;
    SAME(tollbar_options_new(&options), TOLLBAR_OK);
    SAME(tollbar_options_set(options, TOLLBAR_OPTION_MAX_KEYS, 2, NULL, 0), TOLLBAR_OK);
    SAME(tollbar_options_set_clock(options, clock), TOLLBAR_OK);
    SAME(tollbar_limiter_new(TOLLBAR_ABI_VERSION, policy, options, &limiter, NULL, 0), TOLLBAR_OK);
    SAME(tollbar_options_free(options), TOLLBAR_OK);
    SAME(tollbar_policy_free(policy), TOLLBAR_OK);
    SAME(tollbar_bucket_new(limiter, KEY("held"), &bucket), 1);
    SAME(tollbar_bucket_try_acquire(bucket, 1), 1);
    SAME(tollbar_try_acquire(limiter, KEY("owes"), 1), 1);
    none.id = 77;
    SAME(tollbar_bucket_new(limiter, KEY("late"), &none), 0);
    SAME(none.id, 0);
    SAME(tollbar_bucket_try_acquire(none, 1), TOLLBAR_ERROR_HANDLE);
    SAME(tollbar_bucket_free(none), TOLLBAR_OK);
    /* Both have refilled: the one that is held stays. */
    SAME(tollbar_clock_advance(clock, (int64_t)SECOND), TOLLBAR_OK);
    SAME(tollbar_try_acquire(limiter, KEY("new"), 1), 1);
    SAME(tollbar_contains(limiter, KEY("held")), 1);
    SAME(tollbar_contains(limiter, KEY("owes")), 0);
    SAME(tollbar_bucket_free(bucket), TOLLBAR_OK);
    SAME(tollbar_try_acquire(limiter, KEY("newer"), 1), 1);
    SAME(tollbar_contains(limiter, KEY("held")), 0);
    SAME(tollbar_limiter_free(limiter), TOLLBAR_OK);
}

static tollbar_reservation reserved(tollbar_limiter limiter, uint64_t cost, uint64_t lease_ns, bool gives_back) {
    tollbar_reservation reservation;
    tollbar_decision told;
    int32_t granted =
        tollbar_reserve(limiter, KEY("a"), cost, lease_ns, gives_back, &reservation, &told, sizeof told);
    SAME(granted, 1);
    CHECK(told.allowed && reservation.id != 0);
    return reservation;
}

static void reservations(tollbar_clock clock) {
    char text[200];
    tollbar_limiter limiter = limiter_of(a_rate(10, SECOND, 0), clock);
    tollbar_decision told;
    tollbar_reservation one = reserved(limiter, 4, 0, false);
    SAME(left_of(limiter, KEY("a")), 6);
    SAME(tollbar_cancel(one), 1);
    SAME(tollbar_cancel(one), TOLLBAR_ERROR_HANDLE);
    SAME(left_of(limiter, KEY("a")), 10);
    one = reserved(limiter, 4, 0, false);
    SAME(tollbar_commit(one), 1);
    SAME(tollbar_commit(one), TOLLBAR_ERROR_HANDLE);
    SAME(left_of(limiter, KEY("a")), 6);
    one = reserved(limiter, 4, 0, false);
    SAME(tollbar_commit_actual(one, 1), 1);
    SAME(left_of(limiter, KEY("a")), 5);
    one = reserved(limiter, 1, 0, false);
    SAME(tollbar_commit_actual(one, 3), 1);
    SAME(left_of(limiter, KEY("a")), 2);
    tollbar_reservation none;
    none.id = 77;
    SAME(tollbar_reserve(limiter, KEY("a"), 3, 0, false, &none, &told, sizeof told), 0);
    SAME(none.id, 0);
    SAME(told.reason, TOLLBAR_REASON_RATE);
    SAME(tollbar_commit(none), TOLLBAR_ERROR_HANDLE);
    SAME(tollbar_reserve(limiter, KEY("a"), 1, TOLLBAR_NEVER - 1, false, &none, NULL, 0), TOLLBAR_ERROR_INVALID);
    SAME(left_of(limiter, KEY("a")), 2);
    SAME(tollbar_limiter_free(limiter), TOLLBAR_OK);

    /* In flight: a place each, until it is over or its lease is. */
    tollbar_policy policy;
    SAME(tollbar_policy_new(&policy), TOLLBAR_OK);
    SAME(tollbar_policy_add_in_flight(policy, 2, text, sizeof text), TOLLBAR_OK);
    limiter = limiter_of(policy, clock);
    one = reserved(limiter, 1, SECOND, true);
    tollbar_reservation two = reserved(limiter, 1, 0, false);
    SAME(tollbar_reserve(limiter, KEY("a"), 1, 0, false, &none, &told, sizeof told), 0);
    SAME(told.reason, TOLLBAR_REASON_IN_FLIGHT);
    SAME(tollbar_clock_advance(clock, (int64_t)SECOND), TOLLBAR_OK);
    tollbar_reservation three = reserved(limiter, 1, 0, false);
    SAME(tollbar_commit(one), 0);
    SAME(tollbar_commit(one), TOLLBAR_ERROR_HANDLE);
    /* What is reserved outlives the limiter's handle. */
    SAME(tollbar_limiter_free(limiter), TOLLBAR_OK);
    SAME(tollbar_commit(two), 1);
    SAME(tollbar_cancel(three), 1);
}

int main(void) {
    tollbar_clock clock = a_clock();
    buckets(clock);
    pins(clock);
    reservations(clock);
    SAME(tollbar_clock_free(clock), TOLLBAR_OK);
    puts("buckets beside their limiter and after it, pins in a full table, reservations to each of their ends");
    return 0;
}
