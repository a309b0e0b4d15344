/* What is done about a key beside asking, and which keys are the same. */
#include "check.h"

/* HAZARD c-keys: NUL bytes are bytes like others, wherever they stand. */
static void nul_bytes_are_data(tollbar_clock clock) {
    const tollbar_key keys[] = {{"", 0},       {"\0", 1},   {"\0\0", 2},  {"a", 1},    {"a\0", 2},
                                {"a\0b", 3},   {"a\0c", 3}, {"a\0b\0", 4}, {"\0a", 2}, {"ab", 2},
                                {"A", 1},      {"\n", 1},   {"\r\n", 2},  {"{}", 2},   {"*", 1},
                                {"\xff\xfe", 2}, {"\xc3\xa9", 2}, {"e\xcc\x81", 3}};
    const size_t count = sizeof keys / sizeof *keys;
    tollbar_limiter limiter = limiter_of(a_rate(100, SECOND, 0), clock);
    for (size_t one = 0; one < count; one++) {
        SAME(tollbar_try_acquire(limiter, keys[one].data, keys[one].len, one + 1), 1);
    }
    for (size_t one = 0; one < count; one++) {
        SAME(left_of(limiter, keys[one].data, keys[one].len), 100 - (int64_t)(one + 1));
    }
    SAME(totals_of(limiter).keys, count);
    /* A key ends where its length says, whatever follows. */
    SAME(left_of(limiter, "a\0bcd", 3), 94);
    uint8_t answers[18];
    SAME(tollbar_try_acquire_many(limiter, keys, count, 1, answers), count);
    const uint32_t lengths[] = {3, 3};
    SAME(tollbar_try_acquire_packed(limiter, "a\0ba\0c", 6, lengths, 2, 1, answers), 2);
    SAME(left_of(limiter, "a\0b", 3), 92);
    SAME(left_of(limiter, "a\0c", 3), 91);
    /* Long ones that differ in their last byte alone, beyond what lies beside an account. */
    char key[300];
    memset(key, 'x', sizeof key);
    for (int last = 0; last < 256; last++) {
        key[299] = (char)last;
        SAME(tollbar_try_acquire(limiter, key, sizeof key, 100), 1);
    }
    SAME(totals_of(limiter).keys, count + 256);
    SAME(tollbar_limiter_free(limiter), TOLLBAR_OK);
}

static void reset_and_reconfigure(tollbar_clock clock) {
    char text[100];
    tollbar_limiter limiter = limiter_of(a_rate(10, SECOND, 0), clock);
    tollbar_policy wider = a_rate(20, SECOND, 0);
    SAME(tollbar_reset(limiter, KEY("a")), 0);
    /* An unknown key stays one, and gets its limits when it is seen. */
    SAME(tollbar_reconfigure(limiter, KEY("z"), wider, TOLLBAR_MIGRATE_RESET, text, sizeof text), 0);
    SAME(tollbar_contains(limiter, KEY("z")), 0);
    SAME(left_of(limiter, KEY("z")), 20);
    SAME(tollbar_try_acquire(limiter, KEY("a"), 10), 1);
    SAME(tollbar_contains(limiter, KEY("a")), 1);
    SAME(tollbar_reset(limiter, KEY("a")), 1);
    SAME(left_of(limiter, KEY("a")), 10);
    const int32_t how[] = {TOLLBAR_MIGRATE_AS_IS, TOLLBAR_MIGRATE_PROPORTIONAL, TOLLBAR_MIGRATE_RESET};
    const int64_t left[] = {12, 4, 20};
    for (size_t one = 0; one < 3; one++) {
        const char key[] = {'m', (char)('0' + one)};
        SAME(tollbar_try_acquire(limiter, key, 2, 8), 1);
        SAME(tollbar_reconfigure(limiter, key, 2, wider, how[one], text, sizeof text), 1);
        SAME(left_of(limiter, key, 2), left[one]);
    }
    SAME(tollbar_reconfigure(limiter, KEY("a"), wider, 3, text, sizeof text), TOLLBAR_ERROR_INVALID);
    SAME_TEXT(text, "migration must be one of TOLLBAR_MIGRATE_..., not 3");
    SAME(left_of(limiter, KEY("a")), 10);
    SAME(tollbar_policy_free(wider), TOLLBAR_OK);
    SAME(tollbar_limiter_free(limiter), TOLLBAR_OK);
}

static void jail(tollbar_clock clock) {
    tollbar_policy policy = a_rate(100, SECOND, 0);
    SAME(tollbar_policy_add_jail(policy, 2, SECOND, 60 * SECOND, NULL, 0), TOLLBAR_OK);
    tollbar_limiter limiter = limiter_of(policy, clock);
    tollbar_decision told;
    SAME(tollbar_release(limiter, KEY("a")), 0);
    SAME(tollbar_penalize(limiter, KEY("a")), 0);
    SAME(tollbar_try_acquire(limiter, KEY("a"), 1), 1);
    SAME(tollbar_penalize(limiter, KEY("a")), 1);
    SAME(tollbar_decide(limiter, KEY("a"), 1, &told, sizeof told), 0);
    SAME(told.reason, TOLLBAR_REASON_JAIL);
    SAME(told.retry_after_ns, 60 * SECOND);
    SAME_TEXT(told.limit, "jail");
    SAME(tollbar_try_acquire(limiter, KEY("b"), 1), 1);
    SAME(tollbar_release(limiter, KEY("a")), 1);
    SAME(tollbar_release(limiter, KEY("a")), 0);
    SAME(tollbar_try_acquire(limiter, KEY("a"), 1), 1);
    SAME(tollbar_limiter_free(limiter), TOLLBAR_OK);
}

static void totals(tollbar_clock clock) {
    uint64_t count = 77;
    tollbar_policy policy = a_rate(100, SECOND, 0);
    SAME(tollbar_policy_add_window(policy, 1, SECOND, NULL, 0), TOLLBAR_OK);
    SAME(tollbar_policy_set(policy, TOLLBAR_SET_SHADOW, 1, NULL, 0), TOLLBAR_OK);
    SAME(tollbar_policy_set_name(policy, KEY("tried out"), NULL, 0), TOLLBAR_OK);
    tollbar_limiter limiter = limiter_of(policy, clock);
    SAME(tollbar_shadow_denied(limiter, KEY("tried out"), &count), 0);
    SAME(count, 0);
    for (int one = 0; one < 5; one++) {
        SAME(tollbar_try_acquire(limiter, KEY("a"), 1), 1);
    }
    SAME(tollbar_try_acquire(limiter, KEY("a"), 96), 0);
    SAME(tollbar_shadow_denied(limiter, KEY("tried out"), &count), 1);
    SAME(count, 4);
    SAME(tollbar_shadow_denied(limiter, KEY("other"), &count), 0);
    SAME(count, 0);
    tollbar_totals totals = totals_of(limiter);
    SAME(totals.allowed, 5);
    SAME(totals.denied, 1);
    SAME(totals.shadow_denied, 4);
    SAME(totals.keys, 1);
    SAME(totals.evicted, 0);
    SAME(totals.denied_by_reason[TOLLBAR_REASON_RATE], 1);
    SAME(totals.denied_by_reason[TOLLBAR_REASON_WINDOW], 0);
    SAME(tollbar_denied_by_limit(limiter, KEY("100 per 1 s"), &count), 1);
    SAME(count, 1);
    SAME(tollbar_denied_by_limit(limiter, KEY("tried out"), &count), 0);
    SAME(count, 0);
    tollbar_ask ask = {1, 0, 1, 0, 0, NULL, 0};
    tollbar_turn turn;
    SAME(tollbar_try_acquire(limiter, KEY("b"), 100), 1);
    SAME(tollbar_acquire(limiter, KEY("b"), &ask, sizeof ask, &turn, sizeof turn), 0);
    SAME(totals_of(limiter).denied_by_reason[0], 1);
    SAME(totals_of(limiter).denied, 2);
    SAME(tollbar_limiter_free(limiter), TOLLBAR_OK);
}

int main(void) {
    tollbar_clock clock = a_clock();
    nul_bytes_are_data(clock);
    reset_and_reconfigure(clock);
    jail(clock);
    totals(clock);
    SAME(tollbar_clock_free(clock), TOLLBAR_OK);
    puts("18 keys with NULs and other bytes and 256 long ones, none mixed up; reset, reconfigure, release, penalize, totals");
    return 0;
}
