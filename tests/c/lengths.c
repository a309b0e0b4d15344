/* Lengths, counts and sizes that cannot be, and another version of the binary interface. */
#include "check.h"

static tollbar_limiter limiter;

static void without_effect(int32_t status, int32_t wanted, int line) {
    check_same(status, wanted, "the status", __FILE__, line);
    check_same((int64_t)left_of(limiter, KEY("a")), 9, "what is left", __FILE__, line);
    check_same((int64_t)totals_of(limiter).keys, 1, "the number of keys", __FILE__, line);
}

#define REFUSED(call, status) without_effect(call, status, __LINE__)

/* HAZARD c-lengths: every function that takes a key, with one that is too long. */
static void keys_that_are_too_long(const char *key, size_t len, int32_t wanted) {
    const tollbar_key keys[] = {{"a", 1}, {key, len}};
    uint8_t answers[2] = {7, 7};
    uint64_t count;
    tollbar_bucket bucket;
    tollbar_reservation reservation;
    tollbar_wakeups wakeups;
    tollbar_turn turn;
    tollbar_policy policy = a_rate(1, SECOND, 0);
    SAME(tollbar_wakeups_new(&wakeups), TOLLBAR_OK);
    REFUSED(tollbar_try_acquire(limiter, key, len, 1), wanted);
    REFUSED(tollbar_decide(limiter, key, len, 1, NULL, 0), wanted);
    REFUSED(tollbar_peek(limiter, key, len, 1, NULL, 0), wanted);
    REFUSED(tollbar_try_acquire_many(limiter, keys, 2, 1, answers), wanted);
    REFUSED(tollbar_try_acquire_all(limiter, keys, 2, 1, NULL, 0, NULL), wanted);
    REFUSED(tollbar_bucket_new(limiter, key, len, &bucket), wanted);
    REFUSED(tollbar_reserve(limiter, key, len, 1, 0, false, &reservation, NULL, 0), wanted);
    REFUSED(tollbar_acquire(limiter, key, len, NULL, 0, NULL, 0), wanted);
    REFUSED(tollbar_join(limiter, key, len, NULL, 0, wakeups, 1, &turn, sizeof turn), wanted);
    REFUSED(tollbar_acquire_all(limiter, keys, 2, NULL, 0, NULL, 0), wanted);
    REFUSED(tollbar_join_all(limiter, keys, 2, NULL, 0, wakeups, 1, &turn, sizeof turn), wanted);
    REFUSED(tollbar_reset(limiter, key, len), wanted);
    REFUSED(tollbar_reconfigure(limiter, key, len, policy, TOLLBAR_MIGRATE_RESET, NULL, 0), wanted);
    REFUSED(tollbar_release(limiter, key, len), wanted);
    REFUSED(tollbar_penalize(limiter, key, len), wanted);
    REFUSED(tollbar_contains(limiter, key, len), wanted);
    REFUSED(tollbar_shadow_denied(limiter, key, len, &count), wanted);
    REFUSED(tollbar_denied_by_limit(limiter, key, len, &count), wanted);
    REFUSED(tollbar_decide_costs(limiter, key, len, 1, NULL, 0, NULL, 0), wanted);
    REFUSED(tollbar_peek_costs(limiter, key, len, 1, NULL, 0, NULL, 0), wanted);
    REFUSED(tollbar_try_acquire_all_costs(limiter, keys, 2, 1, NULL, 0, NULL, 0, NULL), wanted);
    REFUSED(tollbar_reserve_costs(limiter, key, len, 1, NULL, 0, 0, false, &reservation, NULL, 0), wanted);
    REFUSED(tollbar_follow_default(limiter, key, len, TOLLBAR_MIGRATE_RESET), wanted);
    REFUSED(tollbar_block(limiter, key, len, 1), wanted);
    REFUSED(tollbar_drain(limiter, key, len, 0, NULL, 0), wanted);
    REFUSED(tollbar_drain(limiter, "a", 1, 0, key, len), wanted);
    REFUSED(tollbar_inspect(limiter, key, len, 1, NULL, 0, NULL, 0, 0), wanted);
    REFUSED(tollbar_policy_set_name(policy, key, len, NULL, 0), wanted);
    CHECK(answers[0] == 7 && answers[1] == 7);
    SAME(tollbar_policy_free(policy), TOLLBAR_OK);
    SAME(tollbar_wakeups_free(wakeups), TOLLBAR_OK);
}

static void lengths_and_counts(void) {
    char *large = (char *)malloc(TOLLBAR_MAX_KEY_LEN + 1);
    CHECK(large != NULL);
    memset(large, 'x', TOLLBAR_MAX_KEY_LEN + 1);
    keys_that_are_too_long(large, TOLLBAR_MAX_KEY_LEN + 1, TOLLBAR_ERROR_KEY_TOO_LONG);
    keys_that_are_too_long("a", SIZE_MAX, TOLLBAR_ERROR_KEY_TOO_LONG);
    keys_that_are_too_long(NULL, SIZE_MAX, TOLLBAR_ERROR_KEY_TOO_LONG);

    uint8_t answers[4] = {7, 7, 7, 7};
    const uint32_t over[] = {1, 3}, under[] = {1, 1}, huge[] = {1, UINT32_MAX}, none[] = {0, 0};
    REFUSED(tollbar_try_acquire_packed(limiter, "axy", 3, over, 2, 1, answers), TOLLBAR_ERROR_LENGTHS);
    REFUSED(tollbar_try_acquire_packed(limiter, "axy", 3, under, 2, 1, answers), TOLLBAR_ERROR_LENGTHS);
    REFUSED(tollbar_try_acquire_packed(limiter, "axy", 3, huge, 2, 1, answers), TOLLBAR_ERROR_LENGTHS);
    REFUSED(tollbar_try_acquire_packed(limiter, "axy", 3, none, 2, 1, answers), TOLLBAR_ERROR_LENGTHS);
    REFUSED(tollbar_try_acquire_packed(limiter, "axy", 3, NULL, 0, 1, answers), TOLLBAR_ERROR_LENGTHS);
    const uint32_t one[] = {TOLLBAR_MAX_KEY_LEN + 1};
    REFUSED(tollbar_try_acquire_packed(limiter, large, TOLLBAR_MAX_KEY_LEN + 1, one, 1, 1, answers),
            TOLLBAR_ERROR_KEY_TOO_LONG);
    /* Counts beyond what can be counted, up to those beyond memory: nothing is read, no room is made. */
    const tollbar_key key = {"a", 1};
    const size_t counts[] = {(size_t)INT32_MAX + 1, SIZE_MAX / 64, SIZE_MAX / 16, SIZE_MAX / 8, SIZE_MAX / 2, SIZE_MAX};
    for (size_t at = 0; at < sizeof counts / sizeof *counts; at++) {
        REFUSED(tollbar_try_acquire_many(limiter, &key, counts[at], 1, answers), TOLLBAR_ERROR_LENGTHS);
        REFUSED(tollbar_try_acquire_all(limiter, &key, counts[at], 1, NULL, 0, NULL), TOLLBAR_ERROR_LENGTHS);
        REFUSED(tollbar_try_acquire_packed(limiter, "a", 1, under, counts[at], 1, answers), TOLLBAR_ERROR_LENGTHS);
    }
    REFUSED(tollbar_try_acquire_packed(limiter, "a", SIZE_MAX, under, 1, 1, answers), TOLLBAR_ERROR_LENGTHS);
    CHECK(answers[0] == 7 && answers[1] == 7);

    /* The longest key there is, and one a byte shorter. */
    SAME(tollbar_try_acquire(limiter, large, TOLLBAR_MAX_KEY_LEN, 3), 1);
    SAME(left_of(limiter, large, TOLLBAR_MAX_KEY_LEN), 7);
    SAME(left_of(limiter, large, TOLLBAR_MAX_KEY_LEN - 1), 10);
    free(large);
}

/* HAZARD c-sizes: structures of sizes that there never were, in every function that takes one. */
static void structures_of_a_wrong_size(void) {
    struct {
        tollbar_decision decision;
        unsigned char behind[64];
    } grown;
    tollbar_turn turn;
    tollbar_totals totals;
    tollbar_bucket bucket;
    tollbar_reservation reservation;
    tollbar_wakeups wakeups;
    tollbar_decision *decision = &grown.decision;
    SAME(tollbar_bucket_new(limiter, KEY("a"), &bucket), 1);
    SAME(tollbar_wakeups_new(&wakeups), TOLLBAR_OK);
    const tollbar_key key = {"a", 1};
    const tollbar_ask ask = {1, 0, 0, 0, 0, NULL, 0};
    const size_t wrong[] = {0, 1, 16, 4097, SIZE_MAX};
    for (size_t at = 0; at < sizeof wrong / sizeof *wrong; at++) {
        const size_t size = wrong[at];
        const int32_t no = TOLLBAR_ERROR_SIZE;
        memset(&grown, '#', sizeof grown);
        REFUSED(tollbar_decide(limiter, KEY("a"), 1, decision, size), no);
        REFUSED(tollbar_peek(limiter, KEY("a"), 1, decision, size), no);
        REFUSED(tollbar_bucket_peek(bucket, 1, decision, size), no);
        REFUSED(tollbar_try_acquire_all(limiter, &key, 1, 1, decision, size, NULL), no);
        REFUSED(tollbar_reserve(limiter, KEY("a"), 1, 0, false, &reservation, decision, size), no);
        REFUSED(tollbar_acquire(limiter, KEY("a"), &ask, size, &turn, sizeof turn), no);
        REFUSED(tollbar_acquire(limiter, KEY("a"), &ask, sizeof ask, &turn, size), no);
        REFUSED(tollbar_join(limiter, KEY("a"), &ask, size, wakeups, 1, &turn, sizeof turn), no);
        REFUSED(tollbar_join(limiter, KEY("a"), &ask, sizeof ask, wakeups, 1, &turn, size), no);
        REFUSED(tollbar_acquire_all(limiter, &key, 1, &ask, size, &turn, sizeof turn), no);
        REFUSED(tollbar_join_all(limiter, &key, 1, &ask, sizeof ask, wakeups, 1, &turn, size), no);
        REFUSED(tollbar_stats(limiter, &totals, size), no);
        for (const unsigned char *byte = (unsigned char *)&grown; byte < grown.behind + sizeof grown.behind; byte++) {
            CHECK(*byte == '#');
        }
    }
    /* Whoever was compiled for a larger structure finds 0 in what this library does not know. */
    memset(&grown, '#', sizeof grown);
    SAME(tollbar_decide(limiter, KEY("a"), 0, decision, sizeof grown - 8), 1);
    SAME(grown.decision.remaining, 9);
    for (size_t at = 0; at < sizeof grown.behind; at++) {
        SAME(grown.behind[at], at < sizeof grown.behind - 8 ? 0 : '#');
    }
    /* What he asks for beyond what is known is refused, unless it is nothing. */
    struct {
        tollbar_ask ask;
        uint64_t wish;
    } newer = {{1, 0, 0, 0, 0, NULL, 0}, 0};
    SAME(tollbar_acquire(limiter, KEY("b"), &newer.ask, sizeof newer, &turn, sizeof turn), 1);
    newer.wish = 1;
    SAME(tollbar_acquire(limiter, KEY("b"), &newer.ask, sizeof newer, &turn, sizeof turn), TOLLBAR_ERROR_SIZE);
    SAME(left_of(limiter, KEY("b")), 9);
    SAME(tollbar_bucket_free(bucket), TOLLBAR_OK);
    SAME(tollbar_wakeups_free(wakeups), TOLLBAR_OK);
}

static void another_interface(void) {
    char text[100];
    tollbar_limiter none;
    tollbar_policy policy = a_rate(1, SECOND, 0);
    const uint32_t versions[] = {0, TOLLBAR_ABI_VERSION + 1, UINT32_MAX};
    const char *words[] = {"the library's ABI version is 1, the program's is 0",
                           "the library's ABI version is 1, the program's is 2",
                           "the library's ABI version is 1, the program's is 4294967295"};
    none.id = 77;
    for (size_t at = 0; at < 3; at++) {
        SAME(tollbar_limiter_new(versions[at], policy, no_options(), &none, text, sizeof text), TOLLBAR_ERROR_ABI);
        SAME_TEXT(text, words[at]);
        SAME(none.id, 77);
    }
    SAME(tollbar_policy_free(policy), TOLLBAR_OK);
}

int main(void) {
    tollbar_clock clock = a_clock();
    limiter = limiter_of(a_rate(10, SECOND, 0), clock);
    SAME(tollbar_try_acquire(limiter, KEY("a"), 1), 1);
    lengths_and_counts();
    SAME(tollbar_limiter_free(limiter), TOLLBAR_OK);
    limiter = limiter_of(a_rate(10, SECOND, 0), clock);
    SAME(tollbar_try_acquire(limiter, KEY("a"), 1), 1);
    structures_of_a_wrong_size();
    another_interface();
    SAME(tollbar_limiter_free(limiter), TOLLBAR_OK);
    SAME(tollbar_clock_free(clock), TOLLBAR_OK);
    puts("keys too long for 26 functions, lengths that do not add up, counts beyond memory, 5 wrong sizes, 3 ABI versions");
    return 0;
}
