/* Policies and options: what every setter does, what is refused, and in which words. */
#include <math.h>

#include "check.h"

static int refusals;

/* That a call was refused with this text. */
static void refused(int32_t status, const char *message, const char *wanted) {
    SAME_TEXT(message, wanted);
    SAME(status, TOLLBAR_ERROR_INVALID);
    refusals++;
}

static tollbar_policy empty(void) {
    tollbar_policy policy;
    SAME(tollbar_policy_new(&policy), TOLLBAR_OK);
    return policy;
}

static void limits_are_refused(void) {
    char text[200];
    tollbar_policy policy = empty();
#define REFUSED(call, words) refused(call, text, words)
    REFUSED(tollbar_policy_add_rate(policy, 0, SECOND, text, sizeof text), "limit must be at least 1, not 0");
    REFUSED(tollbar_policy_add_rate(policy, 1, 0, text, sizeof text), "per must be at least 1 ns, not 0");
    REFUSED(tollbar_policy_add_rate(policy, 10000001, SECOND, text, sizeof text),
            "limit must be at most 10,000,000 a second, not 10000001");
    REFUSED(tollbar_policy_add_rate(policy, UINT64_MAX, UINT64_MAX, text, sizeof text),
            "burst must be at most 4,294,967,295, not 18446744073709551615");
    REFUSED(tollbar_policy_add_rate(policy, 1, UINT64_MAX, text, sizeof text),
            "burst must refill within 4.5 years (burst times the time for one token), not 1");
    REFUSED(tollbar_policy_add_window(policy, 0, SECOND, text, sizeof text), "limit must be at least 1, not 0");
    REFUSED(tollbar_policy_add_window(policy, (UINT64_C(1) << 53) + 1, SECOND, text, sizeof text),
            "limit must be at most 9,007,199,254,740,992, not 9007199254740993");
    REFUSED(tollbar_policy_add_window(policy, 1, 0, text, sizeof text), "per must be at least 1 ns, not 0");
    REFUSED(tollbar_policy_add_window(policy, 1, UINT64_MAX, text, sizeof text),
            "per must be at most 4.5 years, not 18446744073.709553");
    REFUSED(tollbar_policy_add_in_flight(policy, 0, text, sizeof text), "limit must be at least 1, not 0");
    REFUSED(tollbar_policy_add_in_flight(policy, UINT64_C(1) << 32, text, sizeof text),
            "limit must be at most 4,294,967,295, not 4294967296");
    REFUSED(tollbar_policy_add_jail(policy, 0, 1, 1, text, sizeof text), "denials must be at least 1, not 0");
    REFUSED(tollbar_policy_add_jail(policy, UINT64_C(1) << 32, 1, 1, text, sizeof text),
            "denials must be at most 4,294,967,295, not 4294967296");
    REFUSED(tollbar_policy_add_jail(policy, 1, 0, 1, text, sizeof text), "within must be at least 1 ns, not 0");
    REFUSED(tollbar_policy_add_jail(policy, 1, 1, 0, text, sizeof text), "duration must be at least 1 ns, not 0");
    REFUSED(tollbar_policy_add_jail(policy, 1, UINT64_MAX, 1, text, sizeof text),
            "within must be at most 4.5 years, not 18446744073.709553");
    /* Nothing was added by any of these: there is nothing yet to be set. */
    REFUSED(tollbar_policy_set(policy, TOLLBAR_SET_BURST, 1, text, sizeof text),
            "policy must have a limit first, not empty");
    REFUSED(tollbar_policy_set_name(policy, "a", 1, text, sizeof text), "policy must have a limit first, not empty");
    REFUSED(tollbar_policy_set_escalation(policy, 2, TOLLBAR_NEVER, text, sizeof text),
            "policy must have a limit first, not empty");
    tollbar_limiter limiter;
    limiter.id = 77;
    REFUSED(tollbar_limiter_new(TOLLBAR_ABI_VERSION, policy, no_options(), &limiter, text, sizeof text),
            "policy must have a limit, not empty");
    SAME(limiter.id, 77);
    for (int one = 0; one < TOLLBAR_MAX_LIMITS; one++) {
        SAME(tollbar_policy_add_rate(policy, 1, (uint64_t)(one + 1) * SECOND, text, sizeof text), TOLLBAR_OK);
        SAME_TEXT(text, "");
    }
    REFUSED(tollbar_policy_add_in_flight(policy, 1, text, sizeof text), "limits must be at most 16, not 17");
    SAME(tollbar_policy_free(policy), TOLLBAR_OK);
}

static void settings_are_refused(void) {
    char text[200];
    tollbar_policy policy = a_rate(10, SECOND, 0);
    REFUSED(tollbar_policy_set(policy, TOLLBAR_SET_BURST, 0, text, sizeof text), "burst must be at least 1, not 0");
    REFUSED(tollbar_policy_set(policy, TOLLBAR_SET_STRICT, 2, text, sizeof text), "value must be 0 or 1, not 2");
    REFUSED(tollbar_policy_set(policy, TOLLBAR_SET_SHADOW, 2, text, sizeof text), "value must be 0 or 1, not 2");
    REFUSED(tollbar_policy_set(policy, TOLLBAR_SET_STEPS, 2, text, sizeof text),
            "what must be a setting of this kind of limit, not 4");
    REFUSED(tollbar_policy_set(policy, TOLLBAR_SET_CLOSED_EDGE, 1, text, sizeof text),
            "what must be a setting of this kind of limit, not 5");
    REFUSED(tollbar_policy_set(policy, 99, 1, text, sizeof text),
            "what must be a setting of this kind of limit, not 99");
    REFUSED(tollbar_policy_set_escalation(policy, 2, TOLLBAR_NEVER, text, sizeof text),
            "policy must have a jail last, not another limit");
    REFUSED(tollbar_policy_set_name(policy, "\xff", 1, text, sizeof text), "name must be UTF-8, not \\xff");
    SAME(tollbar_policy_set(policy, TOLLBAR_SET_BURST, 10, NULL, 0), TOLLBAR_OK);
    REFUSED(tollbar_policy_set(policy, TOLLBAR_SET_STRICT, 1, text, sizeof text),
            "burst must be less than limit for a strict rate, not 10");

    SAME(tollbar_policy_add_window(policy, 5, SECOND, NULL, 0), TOLLBAR_OK);
    REFUSED(tollbar_policy_set(policy, TOLLBAR_SET_STEPS, 0, text, sizeof text), "steps must be at least 1, not 0");
    REFUSED(tollbar_policy_set(policy, TOLLBAR_SET_STEPS, 65537, text, sizeof text),
            "steps must be at most 65,536, not 65537");
    REFUSED(tollbar_policy_set(policy, TOLLBAR_SET_CLOSED_EDGE, 7, text, sizeof text), "value must be 0 or 1, not 7");
    REFUSED(tollbar_policy_set(policy, TOLLBAR_SET_BURST, 1, text, sizeof text),
            "what must be a setting of this kind of limit, not 1");

    SAME(tollbar_policy_add_jail(policy, 2, SECOND, SECOND, NULL, 0), TOLLBAR_OK);
    const double factors[] = {0.5, -1, NAN, INFINITY};
    const char *words[] = {"0.5", "-1", "NaN", "inf"};
    for (size_t one = 0; one < 4; one++) {
        char wanted[100];
        snprintf(wanted, sizeof wanted, "factor must be a finite number of at least 1, not %s", words[one]);
        REFUSED(tollbar_policy_set_escalation(policy, factors[one], TOLLBAR_NEVER, text, sizeof text), wanted);
    }
    SAME(tollbar_policy_set_escalation(policy, 2, SECOND - 1, text, sizeof text), TOLLBAR_ERROR_INVALID);
    CHECK(strncmp(text, "longest must be at least the duration", 37) == 0);

    SAME(tollbar_policy_add_jail(policy, 3, SECOND, SECOND, NULL, 0), TOLLBAR_OK);
    tollbar_limiter limiter;
    REFUSED(tollbar_limiter_new(TOLLBAR_ABI_VERSION, policy, no_options(), &limiter, text, sizeof text),
            "limits must have different names, not jail");
    SAME(tollbar_policy_free(policy), TOLLBAR_OK);
}

static void options_are_refused(void) {
    char text[200];
    tollbar_options options;
    tollbar_limiter limiter;
    tollbar_policy policy = a_rate(1, SECOND, 0);
    SAME(tollbar_options_new(&options), TOLLBAR_OK);
    REFUSED(tollbar_options_set(options, TOLLBAR_OPTION_WHEN_FULL, 3, text, sizeof text),
            "when_full must be one of TOLLBAR_FULL_..., not 3");
    REFUSED(tollbar_options_set(options, 0, 1, text, sizeof text), "what must be one of TOLLBAR_OPTION_..., not 0");
    const uint64_t sizes[] = {0, (UINT64_C(1) << 25) + 1, UINT64_MAX};
    const char *words[] = {"max_keys must be at least 1, not 0", "max_keys must be at most 33,554,432, not 33554433",
                           "max_keys must be at most 33,554,432, not 18446744073709551615"};
    for (size_t one = 0; one < 3; one++) {
        SAME(tollbar_options_set(options, TOLLBAR_OPTION_MAX_KEYS, sizes[one], NULL, 0), TOLLBAR_OK);
        REFUSED(tollbar_limiter_new(TOLLBAR_ABI_VERSION, policy, options, &limiter, text, sizeof text), words[one]);
    }
    SAME(tollbar_options_free(options), TOLLBAR_OK);
    SAME(tollbar_policy_free(policy), TOLLBAR_OK);
}

/* A message is cut where the room ends and always ends with a NUL; what lies behind it stays as it was. */
static void messages_are_cut(void) {
    char text[64];
    tollbar_policy policy = empty();
    const char *whole = "limit must be at least 1, not 0";
    for (size_t room = 0; room <= strlen(whole) + 2; room++) {
        memset(text, '#', sizeof text);
        SAME(tollbar_policy_add_rate(policy, 0, SECOND, text, room), TOLLBAR_ERROR_INVALID);
        size_t cut = room == 0 ? 0 : room - 1 < strlen(whole) ? room - 1 : strlen(whole);
        CHECK(memcmp(text, whole, cut) == 0);
        CHECK(room == 0 ? text[0] == '#' : text[cut] == 0);
        CHECK(text[room == 0 ? 0 : cut + 1] == '#');
    }
    SAME(tollbar_policy_add_rate(policy, 0, SECOND, NULL, 100), TOLLBAR_ERROR_INVALID);
    SAME(tollbar_policy_free(policy), TOLLBAR_OK);
}

/* Every setting shows in what a limiter answers. */
static void settings_take_effect(void) {
    tollbar_clock clock = a_clock();
    tollbar_decision told;

    tollbar_limiter limiter = limiter_of(a_rate(100, SECOND, 7), clock);
    SAME(left_of(limiter, KEY("a")), 7);
    SAME(tollbar_limiter_free(limiter), TOLLBAR_OK);

    tollbar_policy strict = a_rate(100, SECOND, 0);
    SAME(tollbar_policy_set(strict, TOLLBAR_SET_STRICT, 1, NULL, 0), TOLLBAR_OK);
    limiter = limiter_of(strict, clock);
    SAME(left_of(limiter, KEY("a")), 10);
    SAME(tollbar_limiter_free(limiter), TOLLBAR_OK);

    tollbar_policy shadow = a_rate(1, SECOND, 0);
    SAME(tollbar_policy_set(shadow, TOLLBAR_SET_SHADOW, 1, NULL, 0), TOLLBAR_OK);
    limiter = limiter_of(shadow, clock);
    SAME(tollbar_try_acquire(limiter, KEY("a"), 1), 1);
    SAME(tollbar_decide(limiter, KEY("a"), 1, &told, sizeof told), 1);
    CHECK(told.allowed && told.shadowed);
    SAME_TEXT(told.limit, "1 per 1 s");
    SAME(tollbar_limiter_free(limiter), TOLLBAR_OK);

    /* A half-open window is empty when it is exactly over, a closed one a nanosecond later. */
    for (uint64_t closed = 0; closed <= 1; closed++) {
        tollbar_policy window;
        SAME(tollbar_policy_new(&window), TOLLBAR_OK);
        SAME(tollbar_policy_add_window(window, 1, SECOND, NULL, 0), TOLLBAR_OK);
        SAME(tollbar_policy_set(window, TOLLBAR_SET_CLOSED_EDGE, closed, NULL, 0), TOLLBAR_OK);
        SAME(tollbar_policy_set_name(window, "door\0s", 6, NULL, 0), TOLLBAR_OK);
        SAME(tollbar_policy_set_name(window, KEY("door"), NULL, 0), TOLLBAR_OK);
        limiter = limiter_of(window, clock);
        SAME(tollbar_try_acquire(limiter, KEY("a"), 1), 1);
        SAME(tollbar_decide(limiter, KEY("a"), 1, &told, sizeof told), 0);
        SAME(told.retry_after_ns, SECOND + closed);
        SAME(told.reason, TOLLBAR_REASON_WINDOW);
        SAME_TEXT(told.limit, "door");
        SAME(tollbar_clock_advance(clock, (int64_t)SECOND), TOLLBAR_OK);
        SAME(tollbar_try_acquire(limiter, KEY("a"), 1), closed == 0);
        SAME(tollbar_limiter_free(limiter), TOLLBAR_OK);
    }

    /* In two steps room comes back when the step that holds the request has left whole. */
    tollbar_policy steps;
    SAME(tollbar_policy_new(&steps), TOLLBAR_OK);
    SAME(tollbar_policy_add_window(steps, 1, 2 * SECOND, NULL, 0), TOLLBAR_OK);
    SAME(tollbar_policy_set(steps, TOLLBAR_SET_STEPS, 2, NULL, 0), TOLLBAR_OK);
    SAME(tollbar_clock_advance(clock, 1), TOLLBAR_OK);
    limiter = limiter_of(steps, clock);
    SAME(tollbar_try_acquire(limiter, KEY("a"), 1), 1);
    SAME(tollbar_clock_advance(clock, (int64_t)(2 * SECOND)), TOLLBAR_OK);
    SAME(tollbar_try_acquire(limiter, KEY("a"), 1), 0);
    SAME(tollbar_clock_advance(clock, (int64_t)SECOND), TOLLBAR_OK);
    SAME(tollbar_try_acquire(limiter, KEY("a"), 1), 1);
    SAME(tollbar_limiter_free(limiter), TOLLBAR_OK);

    /* The second timeout in a row is three times as long, the third as long as may be. */
    tollbar_policy jail = a_rate(100, SECOND, 0);
    SAME(tollbar_policy_add_jail(jail, 1, SECOND, 10 * SECOND, NULL, 0), TOLLBAR_OK);
    SAME(tollbar_policy_set_escalation(jail, 3, 40 * SECOND, NULL, 0), TOLLBAR_OK);
    limiter = limiter_of(jail, clock);
    SAME(tollbar_try_acquire(limiter, KEY("a"), 1), 1);
    const uint64_t lasts[] = {10, 30, 40};
    for (size_t one = 0; one < 3; one++) {
        SAME(tollbar_penalize(limiter, KEY("a")), 1);
        SAME(tollbar_peek(limiter, KEY("a"), 1, &told, sizeof told), 0);
        SAME(told.reason, TOLLBAR_REASON_JAIL);
        SAME(told.retry_after_ns, lasts[one] * SECOND);
        SAME(tollbar_clock_advance(clock, (int64_t)(lasts[one] * SECOND)), TOLLBAR_OK);
    }
    SAME(tollbar_limiter_free(limiter), TOLLBAR_OK);
    SAME(tollbar_clock_free(clock), TOLLBAR_OK);
}

/* A table of two keys that owe: what becomes of a third. */
static void full_tables_answer_as_asked(void) {
    const uint64_t how[] = {TOLLBAR_FULL_DENY, TOLLBAR_FULL_ALLOW, TOLLBAR_FULL_EVICT_LEAST};
    for (size_t one = 0; one < 3; one++) {
        tollbar_clock clock = a_clock();
        tollbar_policy policy = a_rate(1, SECOND, 0);
        tollbar_options options;
        tollbar_limiter limiter;
        SAME(tollbar_options_new(&options), TOLLBAR_OK);
        SAME(tollbar_options_set(options, TOLLBAR_OPTION_MAX_KEYS, 2, NULL, 0), TOLLBAR_OK);
        SAME(tollbar_options_set(options, TOLLBAR_OPTION_WHEN_FULL, how[one], NULL, 0), TOLLBAR_OK);
        SAME(tollbar_options_set_clock(options, clock), TOLLBAR_OK);
        SAME(tollbar_limiter_new(TOLLBAR_ABI_VERSION, policy, options, &limiter, NULL, 0), TOLLBAR_OK);
        SAME(tollbar_try_acquire(limiter, KEY("a"), 1), 1);
        SAME(tollbar_try_acquire(limiter, KEY("b"), 1), 1);
        tollbar_decision told;
        SAME(tollbar_decide(limiter, KEY("c"), 1, &told, sizeof told), how[one] != TOLLBAR_FULL_DENY);
        SAME(told.reason, how[one] == TOLLBAR_FULL_DENY ? TOLLBAR_REASON_FULL : 0);
        tollbar_totals totals = totals_of(limiter);
        SAME(totals.keys, 2);
        SAME(totals.full, how[one] != TOLLBAR_FULL_EVICT_LEAST);
        SAME(totals.forgiven, how[one] == TOLLBAR_FULL_EVICT_LEAST);
        SAME(tollbar_contains(limiter, KEY("c")), how[one] == TOLLBAR_FULL_EVICT_LEAST);
        SAME(tollbar_limiter_free(limiter), TOLLBAR_OK);
        SAME(tollbar_options_free(options), TOLLBAR_OK);
        SAME(tollbar_policy_free(policy), TOLLBAR_OK);
        SAME(tollbar_clock_free(clock), TOLLBAR_OK);
    }
}

int main(void) {
    limits_are_refused();
    settings_are_refused();
    options_are_refused();
    messages_are_cut();
    settings_take_effect();
    full_tables_answer_as_asked();
    printf("%d refusals in their words, every setting in what it does, messages cut at every length\n", refusals);
    return 0;
}
