/* Handles that were freed, are of another kind, or never were: a status from every function. HAZARD c-handles */
#include "check.h"

static tollbar_limiter limiter;
static tollbar_clock its_clock;

/* Calls every function with this number for a handle, of whatever kind it may be; all of them refuse it. */
static int by_every_function(uint64_t id) {
    const tollbar_key key = {"a", 1};
    const uint32_t length = 1;
    int calls = 0;
    uint8_t answer = 7;
    uint64_t number = 77;
    size_t no_room = 0;
    char text[100];
    tollbar_policy policy = {id}, good_policy = a_rate(1, SECOND, 0);
    tollbar_clock clock = {id};
    tollbar_options options = {id}, good_options;
    tollbar_limiter bad = {id}, out = {77};
    tollbar_bucket bucket = {id};
    tollbar_reservation reservation = {id}, reserved = {77};
    tollbar_place place = {id};
    tollbar_wakeups wakeups = {id}, good_wakeups;
    tollbar_decision told;
    tollbar_turn turn;
    tollbar_totals totals;
    tollbar_clock good_clock = a_clock();
    SAME(tollbar_options_new(&good_options), TOLLBAR_OK);
    SAME(tollbar_wakeups_new(&good_wakeups), TOLLBAR_OK);
    const uint64_t alive[] = {limiter.id, its_clock.id, good_policy.id, good_clock.id, good_options.id, good_wakeups.id};
    for (size_t at = 0; at < sizeof alive / sizeof *alive; at++) {
        /* A guess that hits is no guess. */
        if (id == alive[at]) {
            id = 0;
        }
    }
    policy.id = clock.id = options.id = bad.id = bucket.id = reservation.id = place.id = wakeups.id = id;
#define NONE(call) (SAME(call, TOLLBAR_ERROR_HANDLE), calls++)
    NONE(tollbar_policy_add_rate(policy, 1, 1, text, sizeof text));
    SAME_TEXT(text, tollbar_status_text(TOLLBAR_ERROR_HANDLE));
    NONE(tollbar_policy_add_window(policy, 1, 1, text, sizeof text));
    NONE(tollbar_policy_add_calendar(policy, 1, NULL, 0, text, sizeof text));
    NONE(tollbar_policy_add_in_flight(policy, 1, text, sizeof text));
    NONE(tollbar_policy_add_jail(policy, 1, 1, 1, text, sizeof text));
    NONE(tollbar_policy_set(policy, TOLLBAR_SET_SHADOW, 1, text, sizeof text));
    NONE(tollbar_policy_set_name(policy, "a", 1, text, sizeof text));
    NONE(tollbar_policy_set_escalation(policy, 1, 1, text, sizeof text));
    NONE(tollbar_clock_advance(clock, 1));
    NONE(tollbar_clock_now(clock, &number));
    NONE(tollbar_options_set(options, TOLLBAR_OPTION_MAX_KEYS, 1, text, sizeof text));
    NONE(tollbar_options_set_clock(options, good_clock));
    NONE(tollbar_options_set_clock(good_options, clock));
    SAME(tollbar_clock_free(good_clock), TOLLBAR_OK);
    NONE(tollbar_limiter_new(TOLLBAR_ABI_VERSION, policy, good_options, &out, text, sizeof text));
    if (id != 0) {
        NONE(tollbar_limiter_new(TOLLBAR_ABI_VERSION, good_policy, options, &out, text, sizeof text));
        NONE(tollbar_policy_free(policy));
        NONE(tollbar_clock_free(clock));
        NONE(tollbar_options_free(options));
        NONE(tollbar_limiter_free(bad));
        NONE(tollbar_bucket_free(bucket));
        NONE(tollbar_wakeups_free(wakeups));
    }
    NONE(tollbar_limiter_clone(bad, &out));
    NONE(tollbar_limiter_with_policy(bad, good_policy, &out, text, sizeof text));
    NONE(tollbar_limiter_with_policy(limiter, policy, &out, text, sizeof text));
    NONE(tollbar_try_acquire(bad, "a", 1, 1));
    NONE(tollbar_decide(bad, "a", 1, 1, &told, sizeof told));
    NONE(tollbar_peek(bad, "a", 1, 1, &told, sizeof told));
    NONE(tollbar_try_acquire_many(bad, &key, 1, 1, &answer));
    NONE(tollbar_try_acquire_many(bad, NULL, 0, 1, NULL));
    NONE(tollbar_try_acquire_packed(bad, "a", 1, &length, 1, 1, &answer));
    NONE(tollbar_try_acquire_all(bad, &key, 1, 1, &told, sizeof told, NULL));
    NONE(tollbar_bucket_new(bad, "a", 1, &bucket));
    NONE(tollbar_bucket_try_acquire(bucket, 1));
    NONE(tollbar_bucket_peek(bucket, 1, &told, sizeof told));
    NONE(tollbar_reserve(bad, "a", 1, 1, 0, false, &reserved, &told, sizeof told));
    NONE(tollbar_commit(reservation));
    NONE(tollbar_commit_actual(reservation, 1));
    NONE(tollbar_cancel(reservation));
    NONE(tollbar_acquire(bad, "a", 1, NULL, 0, NULL, 0));
    NONE(tollbar_join(bad, "a", 1, NULL, 0, good_wakeups, 1, &turn, sizeof turn));
    NONE(tollbar_join(limiter, "a", 1, NULL, 0, wakeups, 1, &turn, sizeof turn));
    NONE(tollbar_acquire_all(bad, &key, 1, NULL, 0, NULL, 0));
    NONE(tollbar_join_all(bad, &key, 1, NULL, 0, good_wakeups, 1, &turn, sizeof turn));
    NONE(tollbar_join_all(limiter, &key, 1, NULL, 0, wakeups, 1, &turn, sizeof turn));
    NONE(tollbar_look(place, &turn, sizeof turn));
    NONE(tollbar_leave(place));
    NONE(tollbar_wakeups_next(wakeups, 0, &number, 1));
    NONE(tollbar_wakeups_tell(wakeups, 1));
    NONE(tollbar_reset(bad, "a", 1));
    NONE(tollbar_reconfigure(bad, "a", 1, good_policy, TOLLBAR_MIGRATE_RESET, text, sizeof text));
    NONE(tollbar_reconfigure(limiter, "a", 1, policy, TOLLBAR_MIGRATE_RESET, text, sizeof text));
    NONE(tollbar_release(bad, "a", 1));
    NONE(tollbar_penalize(bad, "a", 1));
    NONE(tollbar_contains(bad, "a", 1));
    NONE(tollbar_stats(bad, &totals, sizeof totals));
    NONE(tollbar_shadow_denied(bad, "a", 1, &number));
    NONE(tollbar_denied_by_limit(bad, "a", 1, &number));
    NONE(tollbar_policy_add_closed(policy, text, sizeof text));
    NONE(tollbar_decide_costs(bad, "a", 1, 1, NULL, 0, &told, sizeof told));
    NONE(tollbar_peek_costs(bad, "a", 1, 1, NULL, 0, &told, sizeof told));
    NONE(tollbar_try_acquire_all_costs(bad, &key, 1, 1, NULL, 0, &told, sizeof told, NULL));
    NONE(tollbar_reserve_costs(bad, "a", 1, 1, NULL, 0, 0, false, &reserved, &told, sizeof told));
    NONE(tollbar_commit_costs(reservation, 1, NULL, 0));
    NONE(tollbar_renew(reservation, 1));
    NONE(tollbar_follow_default(bad, "a", 1, TOLLBAR_MIGRATE_RESET));
    NONE(tollbar_set_limits(bad, good_policy, TOLLBAR_MIGRATE_RESET, text, sizeof text));
    NONE(tollbar_set_limits(limiter, policy, TOLLBAR_MIGRATE_RESET, text, sizeof text));
    NONE(tollbar_block(bad, "a", 1, 1));
    NONE(tollbar_drain(bad, "a", 1, 0, NULL, 0));
    NONE(tollbar_inspect(bad, "a", 1, 1, NULL, 0, NULL, 0, 0));
    NONE(tollbar_parts(bad));
    NONE(tollbar_keys(bad, 0, NULL, &no_room, NULL, 0));
    CHECK(answer == 7 && number == 77 && out.id == 77 && reserved.id == 77);
    SAME(left_of(limiter, KEY("a")), 9);
    SAME(totals_of(limiter).keys, 1);
    SAME(tollbar_policy_free(good_policy), TOLLBAR_OK);
    SAME(tollbar_options_free(good_options), TOLLBAR_OK);
    SAME(tollbar_wakeups_free(good_wakeups), TOLLBAR_OK);
    return calls;
}

/* What lies beside a number that stood for something: its bits changed one by one, and what "dead" might be. */
static int neighbours(uint64_t id) {
    int calls = 0;
    for (int bit = 0; bit < 64; bit += (int)(64 / often(64))) {
        calls += by_every_function(id ^ (UINT64_C(1) << bit));
    }
    return calls + by_every_function(~id);
}

int main(void) {
    int calls = 0, numbers = 0;
    its_clock = a_clock();
    limiter = limiter_of(a_rate(10, SECOND, 0), its_clock);
    SAME(tollbar_try_acquire(limiter, KEY("a"), 1), 1);

    const uint64_t guesses[] = {0, 1, 2, 1023, 1024, 1 << 22, UINT64_MAX, UINT64_MAX - 1, INT64_MAX, UINT64_C(1) << 63};
    for (size_t at = 0; at < sizeof guesses / sizeof *guesses; at++, numbers++) {
        calls += by_every_function(guesses[at]);
    }
    srand(7);
    for (int at = 0; at < often(200); at++, numbers++) {
        const uint64_t high = (uint64_t)rand(), low = (uint64_t)rand();
        calls += by_every_function((high << 40) ^ (low << 11) ^ high);
    }

    /* One of each kind, dead: by itself, and by every number that differs in a bit. */
    tollbar_limiter dead_limiter;
    tollbar_bucket dead_bucket;
    tollbar_reservation dead_reservation;
    tollbar_policy dead_policy = a_rate(1, SECOND, 0);
    tollbar_options dead_options;
    tollbar_clock dead_clock = a_clock();
    tollbar_wakeups dead_wakeups;
    tollbar_turn turn;
    SAME(tollbar_limiter_clone(limiter, &dead_limiter), TOLLBAR_OK);
    SAME(tollbar_bucket_new(limiter, KEY("a"), &dead_bucket), 1);
    SAME(tollbar_reserve(limiter, KEY("a"), 1, 0, false, &dead_reservation, NULL, 0), 1);
    SAME(tollbar_options_new(&dead_options), TOLLBAR_OK);
    SAME(tollbar_wakeups_new(&dead_wakeups), TOLLBAR_OK);
    const tollbar_ask all = {10, TOLLBAR_NEVER, 0, 0, 0, NULL, 0};
    SAME(tollbar_join(limiter, KEY("a"), &all, sizeof all, dead_wakeups, 1, &turn, sizeof turn), TOLLBAR_WAITING);
    SAME(tollbar_leave(turn.place), 1);
    SAME(tollbar_cancel(dead_reservation), 1);
    SAME(tollbar_limiter_free(dead_limiter), TOLLBAR_OK);
    SAME(tollbar_bucket_free(dead_bucket), TOLLBAR_OK);
    SAME(tollbar_options_free(dead_options), TOLLBAR_OK);
    SAME(tollbar_policy_free(dead_policy), TOLLBAR_OK);
    SAME(tollbar_clock_free(dead_clock), TOLLBAR_OK);
    SAME(tollbar_wakeups_free(dead_wakeups), TOLLBAR_OK);
    const uint64_t dead[] = {dead_limiter.id, dead_bucket.id, dead_reservation.id, dead_policy.id,
                             dead_options.id, dead_clock.id,  dead_wakeups.id,     turn.place.id};
    for (size_t at = 0; at < 8; at++, numbers += 65) {
        calls += by_every_function(dead[at]) + neighbours(dead[at]);
    }

    /* Living ones of another kind: a limiter's number is no bucket's, and so on. */
    tollbar_bucket bucket;
    SAME(tollbar_bucket_new(limiter, KEY("a"), &bucket), 1);
    const tollbar_limiter not_a_limiter = {bucket.id};
    const tollbar_bucket not_a_bucket = {limiter.id};
    SAME(tollbar_try_acquire(not_a_limiter, KEY("a"), 1), TOLLBAR_ERROR_HANDLE);
    SAME(tollbar_limiter_free(not_a_limiter), TOLLBAR_ERROR_HANDLE);
    SAME(tollbar_bucket_try_acquire(not_a_bucket, 1), TOLLBAR_ERROR_HANDLE);
    SAME(tollbar_bucket_free(not_a_bucket), TOLLBAR_ERROR_HANDLE);
    /* A place that is used again gives another number. */
    for (int again = 0; again < often(3000); again++) {
        tollbar_bucket other;
        SAME(tollbar_bucket_free(bucket), TOLLBAR_OK);
        SAME(tollbar_bucket_new(limiter, KEY("a"), &other), 1);
        SAME(tollbar_bucket_try_acquire(bucket, 1), TOLLBAR_ERROR_HANDLE);
        CHECK(other.id != bucket.id);
        bucket = other;
    }
    SAME(tollbar_bucket_free(bucket), TOLLBAR_OK);
    SAME(left_of(limiter, KEY("a")), 9);
    SAME(tollbar_limiter_free(limiter), TOLLBAR_OK);
    SAME(tollbar_limiter_free(limiter), TOLLBAR_ERROR_HANDLE);
    SAME(tollbar_clock_free(its_clock), TOLLBAR_OK);
    printf("%d calls by %d numbers that were freed, guessed, or differ from one in a bit\n", calls, numbers);
    return 0;
}
