/* Limits by the calendar: each period ends where the next begins, to the nanosecond. */
#include "check.h"

#define DAY (INT64_C(86400) * 1000000000)

static tollbar_policy empty(void) {
    tollbar_policy policy;
    SAME(tollbar_policy_new(&policy), TOLLBAR_OK);
    return policy;
}

static void periods_end_to_the_nanosecond(void) {
    const int64_t moments[] = {-DAY, 0, 23 * DAY, 24 * DAY, 49 * DAY};
    const int64_t ends[] = {0, 23 * DAY, 24 * DAY, 49 * DAY, 74 * DAY, 99 * DAY};
    tollbar_policy policy = empty();
    SAME(tollbar_policy_add_calendar(policy, 3, moments, 5, NULL, 0), TOLLBAR_OK);
    SAME(tollbar_policy_add_window(policy, 1, 1, NULL, 0), TOLLBAR_OK);
    tollbar_clock clock = a_clock();
    tollbar_limiter limiter = limiter_of(policy, clock);
    int64_t now = 0;
    for (int at = 1; at < 6; at++) {
        tollbar_decision decision;
        for (int one = 0; one < 3; one++) {
            SAME(tollbar_try_acquire(limiter, KEY("a"), 1), 1);
            SAME(tollbar_clock_advance(clock, 1), TOLLBAR_OK);
            now++;
        }
        SAME(tollbar_decide(limiter, KEY("a"), 1, &decision, sizeof decision), 0);
        SAME_TEXT(decision.limit, "3 a period");
        SAME(decision.reason, TOLLBAR_REASON_WINDOW);
        SAME(decision.retry_after_ns, ends[at] - now);
        SAME(tollbar_clock_advance(clock, ends[at] - now - 1), TOLLBAR_OK);
        SAME(tollbar_try_acquire(limiter, KEY("a"), 1), 0);
        SAME(tollbar_clock_advance(clock, 1), TOLLBAR_OK);
        now = ends[at];
    }
    SAME(tollbar_limiter_free(limiter), TOLLBAR_OK);
    SAME(tollbar_clock_free(clock), TOLLBAR_OK);
}

static void days_of_utc_need_no_list(void) {
    tollbar_clock clock;
    tollbar_decision decision;
    SAME(tollbar_clock_new((uint64_t)(20000 * DAY + DAY / 4), &clock), TOLLBAR_OK);
    tollbar_policy policy = empty();
    SAME(tollbar_policy_add_calendar(policy, 5, NULL, 0, NULL, 0), TOLLBAR_OK);
    tollbar_limiter limiter = limiter_of(policy, clock);
    SAME(tollbar_try_acquire(limiter, KEY("a"), 5), 1);
    SAME(tollbar_decide(limiter, KEY("a"), 1, &decision, sizeof decision), 0);
    SAME_TEXT(decision.limit, "5 a day in UTC");
    SAME(decision.retry_after_ns, DAY - DAY / 4);
    SAME(tollbar_limiter_free(limiter), TOLLBAR_OK);
    SAME(tollbar_clock_free(clock), TOLLBAR_OK);
}

static void what_is_no_calendar_is_refused(void) {
    char text[200];
    const int64_t falling[] = {5, 7, 6}, far[] = {0, INT64_MAX};
    tollbar_policy policy = empty();
#define REFUSED(call, words) (SAME(call, TOLLBAR_ERROR_INVALID), SAME_TEXT(text, words))
    REFUSED(tollbar_policy_add_calendar(policy, 0, NULL, 0, text, sizeof text), "limit must be at least 1, not 0");
    REFUSED(tollbar_policy_add_calendar(policy, 1, falling, 0, text, sizeof text),
            "boundaries must be at least 2, not 0");
    REFUSED(tollbar_policy_add_calendar(policy, 1, falling, 1, text, sizeof text),
            "boundaries must be at least 2, not 1");
    REFUSED(tollbar_policy_add_calendar(policy, 1, falling, 3, text, sizeof text), "boundaries must rise, not 6");
    REFUSED(tollbar_policy_add_calendar(policy, 1, far, 2, text, sizeof text),
            "boundaries must be at most 4.5 years apart, not 9223372036854775807");
    SAME(tollbar_policy_add_calendar(policy, 1, NULL, 3, text, sizeof text), TOLLBAR_ERROR_NULL);
    SAME_TEXT(text, "boundaries must not be NULL");
    SAME(tollbar_policy_add_calendar(policy, 1, falling, SIZE_MAX, text, sizeof text), TOLLBAR_ERROR_LENGTHS);
    SAME(tollbar_policy_add_calendar(policy, 1, falling, 2, text, sizeof text), TOLLBAR_OK);
    SAME_TEXT(text, "");
    REFUSED(tollbar_policy_set(policy, TOLLBAR_SET_STEPS, 2, text, sizeof text),
            "what must be a setting of this kind of limit, not 4");
    SAME(tollbar_policy_set(policy, TOLLBAR_SET_SHADOW, 1, text, sizeof text), TOLLBAR_OK);
    SAME(tollbar_policy_set_name(policy, KEY("monthly"), text, sizeof text), TOLLBAR_OK);
    SAME(tollbar_policy_free(policy), TOLLBAR_OK);
}

int main(void) {
    periods_end_to_the_nanosecond();
    days_of_utc_need_no_list();
    what_is_no_calendar_is_refused();
    puts("5 periods ended to the nanosecond, days of UTC, 7 refusals");
    return 0;
}
