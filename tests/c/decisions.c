/* Questions and their answers: one key, many, packed, all together; clocks; handles that share a limiter. */
#include "check.h"

static void one_key(tollbar_clock clock) {
    tollbar_limiter limiter = limiter_of(a_rate(10, SECOND, 0), clock);
    tollbar_decision told;
    SAME(tollbar_peek(limiter, KEY("a"), 4, &told, sizeof told), 1);
    SAME(told.remaining, 10);
    SAME(tollbar_contains(limiter, KEY("a")), 0);
    SAME(tollbar_decide(limiter, KEY("a"), 4, &told, sizeof told), 1);
    CHECK(told.allowed && !told.shadowed && told.reason == 0 && told.retry_after_ns == 0);
    SAME(told.remaining, 6);
    SAME(told.reset_after_ns, 400 * MILLISECOND);
    SAME_TEXT(told.limit, "");
    SAME(tollbar_try_acquire(limiter, KEY("a"), 6), 1);
    SAME(tollbar_try_acquire(limiter, KEY("a"), 1), 0);
    SAME(tollbar_try_acquire(limiter, KEY("a"), 0), 1);
    SAME(tollbar_decide(limiter, KEY("a"), 3, &told, sizeof told), 0);
    CHECK(!told.allowed && told.remaining == 0);
    SAME(told.reason, TOLLBAR_REASON_RATE);
    SAME(told.retry_after_ns, 300 * MILLISECOND);
    SAME_TEXT(told.limit, "10 per 1 s");
    SAME(tollbar_decide(limiter, KEY("a"), 11, &told, sizeof told), 0);
    SAME(told.reason, TOLLBAR_REASON_NEVER);
    CHECK(told.retry_after_ns == TOLLBAR_NEVER);
    SAME(tollbar_decide(limiter, KEY("a"), UINT64_MAX, NULL, 0), 0);
    SAME(tollbar_clock_advance(clock, (int64_t)(300 * MILLISECOND) - 1), TOLLBAR_OK);
    SAME(tollbar_try_acquire(limiter, KEY("a"), 3), 0);
    SAME(tollbar_clock_advance(clock, 1), TOLLBAR_OK);
    SAME(tollbar_try_acquire(limiter, KEY("a"), 3), 1);
    SAME(tollbar_try_acquire(limiter, KEY("b"), 10), 1);
    tollbar_totals totals = totals_of(limiter);
    SAME(totals.allowed, 5);
    SAME(totals.denied, 5);
    SAME(totals.keys, 2);
    SAME(tollbar_limiter_free(limiter), TOLLBAR_OK);
}

static void many_keys(tollbar_clock clock) {
    tollbar_limiter limiter = limiter_of(a_rate(2, SECOND, 0), clock);
    const tollbar_key keys[] = {{"a", 1}, {"b", 1}, {"a", 1}, {"", 0}, {"a", 1}, {NULL, 0}};
    uint8_t answers[7] = {9, 9, 9, 9, 9, 9, 9};
    SAME(tollbar_try_acquire_many(limiter, keys, 6, 1, answers), 5);
    const uint8_t wanted[7] = {1, 1, 1, 1, 0, 1, 9};
    CHECK(memcmp(answers, wanted, 7) == 0);
    SAME(left_of(limiter, NULL, 0), 0);
    SAME(tollbar_try_acquire_many(limiter, NULL, 0, 1, NULL), 0);

    const uint32_t lengths[] = {1, 3, 0, 1};
    uint8_t packed[5] = {9, 9, 9, 9, 9};
    SAME(tollbar_try_acquire_packed(limiter, "bxyzb", 5, lengths, 4, 1, packed), 2);
    const uint8_t told[5] = {1, 1, 0, 0, 9};
    CHECK(memcmp(packed, told, 5) == 0);
    SAME(left_of(limiter, "xyz", 3), 1);
    SAME(tollbar_try_acquire_packed(limiter, NULL, 0, NULL, 0, 1, NULL), 0);
    SAME(tollbar_limiter_free(limiter), TOLLBAR_OK);
}

static void all_together(tollbar_clock clock) {
    tollbar_limiter limiter = limiter_of(a_rate(3, SECOND, 0), clock);
    const tollbar_key keys[] = {{"all", 3}, {"domain", 6}, {"account", 7}};
    tollbar_decision told;
    size_t denied_by = 77;
    SAME(tollbar_try_acquire_all(limiter, keys, 3, 1, &told, sizeof told, &denied_by), 1);
    SAME(denied_by, 77);
    SAME(told.remaining, 2);
    SAME(tollbar_try_acquire(limiter, KEY("domain"), 2), 1);
    SAME(tollbar_try_acquire_all(limiter, keys, 3, 1, &told, sizeof told, &denied_by), 0);
    SAME(denied_by, 1);
    SAME(told.reason, TOLLBAR_REASON_RATE);
    CHECK(told.retry_after_ns > 0);
    SAME(left_of(limiter, KEY("all")), 2);
    SAME(left_of(limiter, KEY("account")), 2);
    SAME(tollbar_try_acquire_all(limiter, keys, 3, 1, NULL, 0, NULL), 0);
    const tollbar_key twice[] = {{"all", 3}, {"b", 1}, {"all", 3}};
    SAME(tollbar_try_acquire_all(limiter, twice, 3, 1, &told, sizeof told, &denied_by), TOLLBAR_ERROR_INVALID);
    SAME(tollbar_try_acquire_all(limiter, keys, 0, 1, &told, sizeof told, &denied_by), TOLLBAR_ERROR_INVALID);
    SAME(left_of(limiter, KEY("all")), 2);
    SAME(tollbar_contains(limiter, KEY("b")), 0);
    SAME(tollbar_limiter_free(limiter), TOLLBAR_OK);
}

/* Clones and other policies share the accounts; each handle has an end of its own. */
static void handles_share(tollbar_clock clock) {
    char text[100];
    tollbar_limiter limiter = limiter_of(a_rate(5, SECOND, 0), clock), clone, other;
    tollbar_policy policy = a_rate(50, SECOND, 0);
    SAME(tollbar_limiter_clone(limiter, &clone), TOLLBAR_OK);
    SAME(tollbar_limiter_with_policy(limiter, policy, &other, text, sizeof text), TOLLBAR_OK);
    SAME_TEXT(text, "");
    CHECK(clone.id != limiter.id && other.id != limiter.id && clone.id != other.id);
    SAME(tollbar_policy_free(policy), TOLLBAR_OK);
    SAME(tollbar_try_acquire(limiter, KEY("a"), 1), 1);
    SAME(left_of(clone, KEY("a")), 4);
    SAME(left_of(other, KEY("a")), 4);
    SAME(left_of(other, KEY("b")), 50);
    SAME(tollbar_try_acquire(other, KEY("b"), 1), 1);
    SAME(left_of(limiter, KEY("b")), 49);
    SAME(tollbar_limiter_free(limiter), TOLLBAR_OK);
    SAME(tollbar_try_acquire(limiter, KEY("a"), 1), TOLLBAR_ERROR_HANDLE);
    SAME(tollbar_try_acquire(clone, KEY("a"), 1), 1);
    SAME(tollbar_limiter_free(clone), TOLLBAR_OK);
    SAME(left_of(other, KEY("a")), 3);
    SAME(tollbar_limiter_free(other), TOLLBAR_OK);
}

/* A clock moves when it is moved, stops at its ends, and serves a limiter after its handle was freed. */
static void clocks(void) {
    tollbar_clock clock;
    uint64_t now = 77;
    SAME(tollbar_clock_new(5, &clock), TOLLBAR_OK);
    SAME(tollbar_clock_now(clock, &now), TOLLBAR_OK);
    SAME(now, 5);
    SAME(tollbar_clock_advance(clock, -6), TOLLBAR_OK);
    SAME(tollbar_clock_now(clock, &now), TOLLBAR_OK);
    SAME(now, 0);
    SAME(tollbar_clock_advance(clock, INT64_MIN), TOLLBAR_OK);
    SAME(tollbar_clock_advance(clock, 3), TOLLBAR_OK);
    SAME(tollbar_clock_now(clock, &now), TOLLBAR_OK);
    SAME(now, 3);
    tollbar_limiter limiter = limiter_of(a_rate(1, SECOND, 0), clock);
    SAME(tollbar_clock_free(clock), TOLLBAR_OK);
    SAME(tollbar_clock_now(clock, &now), TOLLBAR_ERROR_HANDLE);
    SAME(tollbar_try_acquire(limiter, KEY("a"), 1), 1);
    SAME(tollbar_try_acquire(limiter, KEY("a"), 1), 0);
    SAME(tollbar_limiter_free(limiter), TOLLBAR_OK);

    /* The ends of time: nothing wraps, nothing is minted. */
    SAME(tollbar_clock_new(UINT64_MAX, &clock), TOLLBAR_OK);
    limiter = limiter_of(a_rate(1, SECOND, 0), clock);
    SAME(tollbar_try_acquire(limiter, KEY("a"), 1), 1);
    SAME(tollbar_clock_advance(clock, INT64_MAX), TOLLBAR_OK);
    SAME(tollbar_try_acquire(limiter, KEY("a"), 1), 0);
    SAME(tollbar_limiter_free(limiter), TOLLBAR_OK);
    SAME(tollbar_clock_free(clock), TOLLBAR_OK);
}

/* The usual limiter has the system's clock and a table of a million. */
static void usual_options(void) {
    tollbar_policy policy = a_rate(2, 1000000 * SECOND, 0);
    tollbar_limiter limiter;
    SAME(tollbar_limiter_new(TOLLBAR_ABI_VERSION, policy, no_options(), &limiter, NULL, 0), TOLLBAR_OK);
    SAME(tollbar_policy_free(policy), TOLLBAR_OK);
    SAME(tollbar_try_acquire(limiter, KEY("a"), 2), 1);
    SAME(tollbar_try_acquire(limiter, KEY("a"), 1), 0);
    SAME(tollbar_limiter_free(limiter), TOLLBAR_OK);
}

int main(void) {
    tollbar_clock clock = a_clock();
    one_key(clock);
    many_keys(clock);
    all_together(clock);
    handles_share(clock);
    clocks();
    usual_options();
    SAME(tollbar_clock_free(clock), TOLLBAR_OK);
    puts("decide, peek, many, packed, all; clones and tariffs; clocks to both ends");
    return 0;
}
