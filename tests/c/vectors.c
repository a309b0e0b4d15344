/* The shared vectors: the same configuration, times and answers as in every other language. */
#include "check.h"

struct limit {
    int kind;
    const char *name;
    uint64_t limit, per_ns, burst, steps, denials, within_ns, duration_ns;
    int strict, closed, shadow;
    double factor;
};

struct step {
    int call;
    uint64_t advance_ns;
    const char *key;
    size_t key_len;
    uint64_t cost, reservation, lease_ns;
    int gives_back;
    int64_t actual;
    int ended, allowed, reason;
    uint64_t retry_after_ns, remaining;
    int64_t reset_after_ns;
    const char *limit;
    int shadowed;
    /* Costs of their own, or actual ones. */
    size_t costs_count;
    tollbar_cost costs[2];
    /* How long a block lasts, or what a drain leaves. */
    uint64_t amount;
    /* The limit to drain; NULL: each. */
    const char *name;
    int denied_by;
};

struct history {
    int limits, steps;
};

enum { PEEK, DECIDE, RESERVE, COMMIT, CANCEL, ALL, BLOCK, DRAIN };
enum { RATE, WINDOW, IN_FLIGHT, JAIL, CLOSED };

#include "vectors_tables.h"

#define MOST_RESERVATIONS 1000

static void set(tollbar_policy policy, int32_t what, uint64_t value) {
    char text[200];
    const int32_t status = tollbar_policy_set(policy, what, value, text, sizeof text);
    SAME_TEXT(text, "");
    SAME(status, TOLLBAR_OK);
}

static void add(tollbar_policy policy, const struct limit *one) {
    switch (one->kind) {
    case RATE:
        SAME(tollbar_policy_add_rate(policy, one->limit, one->per_ns, NULL, 0), TOLLBAR_OK);
        break;
    case WINDOW:
        SAME(tollbar_policy_add_window(policy, one->limit, one->per_ns, NULL, 0), TOLLBAR_OK);
        break;
    case IN_FLIGHT:
        SAME(tollbar_policy_add_in_flight(policy, one->limit, NULL, 0), TOLLBAR_OK);
        break;
    case CLOSED:
        SAME(tollbar_policy_add_closed(policy, NULL, 0), TOLLBAR_OK);
        break;
    default:
        SAME(tollbar_policy_add_jail(policy, one->denials, one->within_ns, one->duration_ns, NULL, 0), TOLLBAR_OK);
        SAME(tollbar_policy_set_escalation(policy, one->factor, TOLLBAR_NEVER, NULL, 0), TOLLBAR_OK);
    }
    if (one->burst > 0) {
        set(policy, TOLLBAR_SET_BURST, one->burst);
    }
    if (one->steps > 0) {
        set(policy, TOLLBAR_SET_STEPS, one->steps);
    }
    if (one->strict) {
        set(policy, TOLLBAR_SET_STRICT, 1);
    }
    if (one->closed) {
        set(policy, TOLLBAR_SET_CLOSED_EDGE, 1);
    }
    if (one->shadow) {
        set(policy, TOLLBAR_SET_SHADOW, 1);
    }
    if (*one->name != 0) {
        SAME(tollbar_policy_set_name(policy, KEY(one->name), NULL, 0), TOLLBAR_OK);
    }
}

static void replay(const struct limit *limits, const struct step *steps, const struct history *history) {
    static tollbar_reservation reservations[MOST_RESERVATIONS];
    memset(reservations, 0, sizeof reservations);
    tollbar_clock clock = a_clock();
    tollbar_policy policy;
    SAME(tollbar_policy_new(&policy), TOLLBAR_OK);
    for (int at = 0; at < history->limits; at++) {
        add(policy, &limits[at]);
    }
    tollbar_limiter limiter = limiter_of(policy, clock);
    for (int at = 0; at < history->steps; at++) {
        const struct step *step = &steps[at];
        tollbar_decision told;
        int32_t answer;
        SAME(tollbar_clock_advance(clock, (int64_t)step->advance_ns), TOLLBAR_OK);
        CHECK(step->reservation < MOST_RESERVATIONS);
        tollbar_reservation *place = &reservations[step->reservation];
        if (step->call == COMMIT || step->call == CANCEL) {
            /* What was never granted, or has been ended by a call before, has no handle here: it ended before. */
            answer = step->call == CANCEL  ? tollbar_cancel(*place)
                     : step->costs_count > 0
                         ? tollbar_commit_costs(*place, (uint64_t)step->actual, step->costs, step->costs_count)
                     : step->actual < 0    ? tollbar_commit(*place)
                                           : tollbar_commit_actual(*place, (uint64_t)step->actual);
            SAME(answer == TOLLBAR_ERROR_HANDLE ? 0 : answer, step->ended);
            continue;
        }
        if (step->call == BLOCK) {
            SAME(tollbar_block(limiter, step->key, step->key_len, step->amount), step->ended);
            continue;
        }
        if (step->call == DRAIN) {
            const size_t len = step->name == NULL ? 0 : strlen(step->name);
            SAME(tollbar_drain(limiter, step->key, step->key_len, step->amount, step->name, len), step->ended);
            continue;
        }
        const tollbar_cost *costs = step->costs;
        const size_t count = step->costs_count;
        if (step->call == ALL) {
            const tollbar_key keys[] = {{"a", 1}, {"b", 1}};
            size_t by = SIZE_MAX;
            answer = tollbar_try_acquire_all_costs(limiter, keys, 2, step->cost, costs, count, &told, sizeof told, &by);
            CHECK(by == (step->denied_by < 0 ? SIZE_MAX : (size_t)step->denied_by));
        } else if (step->call == PEEK && count > 0) {
            answer = tollbar_peek_costs(limiter, step->key, step->key_len, step->cost, costs, count, &told, sizeof told);
        } else if (step->call == DECIDE && count > 0) {
            answer = tollbar_decide_costs(limiter, step->key, step->key_len, step->cost, costs, count, &told, sizeof told);
        } else if (count > 0) {
            answer = tollbar_reserve_costs(limiter, step->key, step->key_len, step->cost, costs, count, step->lease_ns,
                                           step->gives_back != 0, place, &told, sizeof told);
        } else if (step->call == PEEK) {
            answer = tollbar_peek(limiter, step->key, step->key_len, step->cost, &told, sizeof told);
        } else if (step->call == DECIDE) {
            answer = tollbar_decide(limiter, step->key, step->key_len, step->cost, &told, sizeof told);
        } else {
            answer = tollbar_reserve(limiter, step->key, step->key_len, step->cost, step->lease_ns,
                                     step->gives_back != 0, place, &told, sizeof told);
        }
        SAME(answer, step->allowed);
        SAME(told.allowed, step->allowed);
        SAME(told.reason, step->reason);
        CHECK(told.retry_after_ns == step->retry_after_ns);
        SAME(told.remaining, step->remaining);
        CHECK(step->reset_after_ns < 0 || told.reset_after_ns == (uint64_t)step->reset_after_ns);
        SAME(told.shadowed, step->shadowed);
        /* The vectors of a single rate do not say its name. */
        CHECK(step->reset_after_ns >= 0 || strcmp(told.limit, step->limit) == 0);
    }
    for (int at = 0; at < MOST_RESERVATIONS; at++) {
        if (reservations[at].id != 0) {
            const int32_t ended = tollbar_cancel(reservations[at]);
            CHECK(ended == 0 || ended == 1 || ended == TOLLBAR_ERROR_HANDLE);
        }
    }
    SAME(tollbar_limiter_free(limiter), TOLLBAR_OK);
    SAME(tollbar_clock_free(clock), TOLLBAR_OK);
}

int main(void) {
    int limits = 0, steps = 0;
    for (int at = 0; at < HISTORIES; at++) {
        replay(&all_limits[limits], &all_steps[steps], &all_histories[at]);
        limits += all_histories[at].limits;
        steps += all_histories[at].steps;
    }
    SAME(steps, STEPS);
    CHECK(STEPS >= 1800);
    printf("%d answers of %d histories, every field of them\n", STEPS, HISTORIES);
    return 0;
}
