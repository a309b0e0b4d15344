/* Costs by limit, limits that change, blocks, drains, what limits count, keys by part, and waiters that never pass. */
#include "check.h"

#define MINUTE (60 * SECOND)

static tollbar_clock a_still_clock;

static tollbar_cost cost_of(const char *limit, uint64_t cost) {
    tollbar_cost one;
    one.limit = limit;
    one.limit_len = strlen(limit);
    one.cost = cost;
    return one;
}

static void named(tollbar_policy policy, const char *name) {
    SAME(tollbar_policy_set_name(policy, KEY(name), NULL, 0), TOLLBAR_OK);
}

/* 10 requests and 1,000 tokens a minute. */
static tollbar_policy a_tariff(void) {
    tollbar_policy policy;
    SAME(tollbar_policy_new(&policy), TOLLBAR_OK);
    SAME(tollbar_policy_add_window(policy, 10, MINUTE, NULL, 0), TOLLBAR_OK);
    named(policy, "requests");
    SAME(tollbar_policy_add_window(policy, 1000, MINUTE, NULL, 0), TOLLBAR_OK);
    named(policy, "tokens");
    return policy;
}

/* That the key has used so much of both limits. */
static void used(tollbar_limiter limiter, const char *key, uint64_t requests, uint64_t tokens, int line) {
    tollbar_limit_state states[2];
    check_same(tollbar_inspect(limiter, KEY(key), 1, NULL, 0, states, 2, sizeof *states), 2, "limits", __FILE__, line);
    check_same((int64_t)states[0].used, (int64_t)requests, "requests", __FILE__, line);
    check_same((int64_t)states[1].used, (int64_t)tokens, "tokens", __FILE__, line);
}

#define USED(key, requests, tokens) used(limiter, key, requests, tokens, __LINE__)

static void costs_by_limit(void) {
    tollbar_limiter limiter = limiter_of(a_tariff(), a_still_clock);
    tollbar_decision told;
    const tollbar_cost some = cost_of("tokens", 400), more = cost_of("tokens", 601);
    SAME(tollbar_peek_costs(limiter, KEY("a"), 1, &some, 1, &told, sizeof told), 1);
    SAME(tollbar_contains(limiter, KEY("a")), 0);
    SAME(tollbar_decide_costs(limiter, KEY("a"), 1, &some, 1, &told, sizeof told), 1);
    USED("a", 1, 400);
    SAME(tollbar_decide_costs(limiter, KEY("a"), 1, &more, 1, &told, sizeof told), 0);
    SAME_TEXT(told.limit, "tokens");
    SAME(told.retry_after_ns, MINUTE);
    SAME(tollbar_peek_costs(limiter, KEY("a"), 1, &more, 1, NULL, 0), 0);
    USED("a", 1, 400);
    /* Without names it is the same for all; of two equal names the last one counts. */
    SAME(tollbar_decide_costs(limiter, KEY("a"), 2, NULL, 0, NULL, 0), 1);
    USED("a", 3, 402);
    const tollbar_cost twice[] = {cost_of("tokens", 999), cost_of("tokens", 8)};
    SAME(tollbar_decide_costs(limiter, KEY("a"), 1, twice, 2, NULL, 0), 1);
    USED("a", 4, 410);

    /* Reserved, then committed with what was used: what is not named took what was reserved of it. */
    tollbar_reservation held;
    SAME(tollbar_reserve_costs(limiter, KEY("a"), 1, &some, 1, 0, false, &held, &told, sizeof told), 1);
    USED("a", 5, 810);
    const tollbar_cost less = cost_of("tokens", 30), unknown = cost_of("words", 1);
    SAME(tollbar_commit_costs(held, 1, &unknown, 1), TOLLBAR_ERROR_INVALID);
    USED("a", 5, 810);
    SAME(tollbar_commit_costs(held, 1, &less, 1), 1);
    SAME(tollbar_commit_costs(held, 1, &less, 1), TOLLBAR_ERROR_HANDLE);
    USED("a", 5, 440);
    SAME(tollbar_reserve_costs(limiter, KEY("a"), 1, &some, 1, 0, false, &held, NULL, 0), 1);
    SAME(tollbar_commit_costs(held, 2, NULL, 0), 1);
    USED("a", 7, 840);

    /* All keys or none. */
    const tollbar_key keys[] = {{"a", 1}, {"b", 1}};
    size_t by = 77;
    SAME(tollbar_try_acquire_all_costs(limiter, keys, 2, 1, &some, 1, &told, sizeof told, &by), 0);
    SAME(by, 0);
    SAME_TEXT(told.limit, "tokens");
    USED("b", 0, 0);
    SAME(tollbar_try_acquire_all_costs(limiter, keys, 2, 1, &less, 1, &told, sizeof told, &by), 1);
    USED("a", 8, 870);
    USED("b", 1, 30);

    /* Whoever waits gives them with the rest. */
    tollbar_ask ask = {1, 0, 0, 0, 0, &some, 1};
    tollbar_turn turn;
    SAME(tollbar_acquire(limiter, KEY("a"), &ask, sizeof ask, &turn, sizeof turn), 0);
    SAME(turn.retry_after_ns, MINUTE);
    CHECK(!turn.never);
    SAME(tollbar_acquire(limiter, KEY("b"), &ask, sizeof ask, &turn, sizeof turn), 1);
    USED("b", 2, 430);
    /* A structure that ends before the costs has none. */
    SAME(tollbar_acquire(limiter, KEY("b"), &ask, offsetof(tollbar_ask, costs), &turn, sizeof turn), 1);
    USED("b", 3, 431);

    /* What is refused charges nothing. */
    const tollbar_cost nowhere = {NULL, 3, 1}, not_utf8 = {"\xff", 1, 1};
    SAME(tollbar_decide_costs(limiter, KEY("c"), 1, &unknown, 1, NULL, 0), TOLLBAR_ERROR_INVALID);
    SAME(tollbar_peek_costs(limiter, KEY("c"), 1, &unknown, 1, NULL, 0), TOLLBAR_ERROR_INVALID);
    SAME(tollbar_reserve_costs(limiter, KEY("c"), 1, &unknown, 1, 0, false, &held, NULL, 0), TOLLBAR_ERROR_INVALID);
    SAME(tollbar_try_acquire_all_costs(limiter, keys, 2, 1, &unknown, 1, NULL, 0, NULL), TOLLBAR_ERROR_INVALID);
    SAME(tollbar_inspect(limiter, KEY("c"), 1, &unknown, 1, NULL, 0, 0), TOLLBAR_ERROR_INVALID);
    SAME(tollbar_decide_costs(limiter, KEY("c"), 1, NULL, 1, NULL, 0), TOLLBAR_ERROR_NULL);
    SAME(tollbar_decide_costs(limiter, KEY("c"), 1, &nowhere, 1, NULL, 0), TOLLBAR_ERROR_NULL);
    SAME(tollbar_decide_costs(limiter, KEY("c"), 1, &not_utf8, 1, NULL, 0), TOLLBAR_ERROR_INVALID);
    SAME(tollbar_decide_costs(limiter, KEY("c"), 1, &some, TOLLBAR_MAX_COSTS + 1, NULL, 0), TOLLBAR_ERROR_INVALID);
    SAME(tollbar_decide_costs(limiter, KEY("c"), 1, &some, SIZE_MAX, NULL, 0), TOLLBAR_ERROR_INVALID);
    ask.costs = &unknown;
    SAME(tollbar_acquire(limiter, KEY("c"), &ask, sizeof ask, &turn, sizeof turn), TOLLBAR_ERROR_INVALID);
    SAME(tollbar_contains(limiter, KEY("c")), 0);
    USED("a", 8, 870);
    SAME(tollbar_limiter_free(limiter), TOLLBAR_OK);
}

/* A place in flight is held until it is ended, or until its lease is over, which may begin anew. */
static void leases(void) {
    tollbar_policy policy;
    tollbar_reservation held, none;
    tollbar_decision told;
    SAME(tollbar_policy_new(&policy), TOLLBAR_OK);
    SAME(tollbar_policy_add_in_flight(policy, 1, NULL, 0), TOLLBAR_OK);
    tollbar_limiter limiter = limiter_of(policy, a_still_clock);
    SAME(tollbar_reserve(limiter, KEY("a"), 1, 10 * SECOND, true, &held, NULL, 0), 1);
    SAME(tollbar_clock_advance(a_still_clock, (int64_t)(9 * SECOND)), TOLLBAR_OK);
    SAME(tollbar_renew(held, 10 * SECOND), 1);
    SAME(tollbar_clock_advance(a_still_clock, (int64_t)(9 * SECOND)), TOLLBAR_OK);
    SAME(tollbar_reserve(limiter, KEY("a"), 1, 0, false, &none, &told, sizeof told), 0);
    SAME(told.reason, TOLLBAR_REASON_IN_FLIGHT);
    SAME(told.retry_after_ns, SECOND);
    CHECK(told.estimated);
    SAME(tollbar_renew(held, TOLLBAR_NEVER - 1), TOLLBAR_ERROR_INVALID);
    SAME(tollbar_renew(held, TOLLBAR_NEVER), 1);
    SAME(tollbar_clock_advance(a_still_clock, (int64_t)(1000 * MINUTE)), TOLLBAR_OK);
    SAME(tollbar_reserve(limiter, KEY("a"), 1, 0, false, &none, &told, sizeof told), 0);
    CHECK(told.retry_after_ns == TOLLBAR_NEVER);
    /* When its turn comes nobody can tell, but it is not never. */
    tollbar_turn turn;
    tollbar_ask ask = {1, 0, 0, 0, 0, NULL, 0};
    SAME(tollbar_acquire(limiter, KEY("a"), &ask, sizeof ask, &turn, sizeof turn), 0);
    CHECK(turn.retry_after_ns == TOLLBAR_NEVER && !turn.never);
    ask.cost = 2;
    SAME(tollbar_acquire(limiter, KEY("a"), &ask, sizeof ask, &turn, sizeof turn), 0);
    CHECK(turn.retry_after_ns == TOLLBAR_NEVER && turn.never);
    /* A program that was compiled before `never` is written as much as it has room for. */
    memset(&turn, '#', sizeof turn);
    SAME(tollbar_acquire(limiter, KEY("a"), &ask, sizeof ask, &turn, offsetof(tollbar_turn, never)), 0);
    CHECK(turn.retry_after_ns == TOLLBAR_NEVER && *((unsigned char *)&turn + offsetof(tollbar_turn, never)) == '#');
    SAME(tollbar_renew(held, SECOND), 1);
    SAME(tollbar_clock_advance(a_still_clock, (int64_t)SECOND), TOLLBAR_OK);
    SAME(tollbar_renew(held, SECOND), 0);
    SAME(tollbar_cancel(held), 0);
    SAME(tollbar_renew(held, SECOND), TOLLBAR_ERROR_HANDLE);
    /* No lease, 0 or TOLLBAR_NEVER, has no end. */
    for (int way = 0; way < 2; way++) {
        SAME(tollbar_reserve(limiter, KEY("a"), 1, way == 0 ? 0 : TOLLBAR_NEVER, false, &held, NULL, 0), 1);
        SAME(tollbar_clock_advance(a_still_clock, (int64_t)(1000 * MINUTE)), TOLLBAR_OK);
        SAME(tollbar_try_acquire(limiter, KEY("a"), 1), 0);
        SAME(tollbar_cancel(held), 1);
    }
    ask.cost = 1;
    ask.lease_ns = TOLLBAR_NEVER;
    SAME(tollbar_acquire(limiter, KEY("a"), &ask, sizeof ask, &turn, sizeof turn), 1);
    SAME(tollbar_clock_advance(a_still_clock, (int64_t)(1000 * MINUTE)), TOLLBAR_OK);
    SAME(tollbar_commit(turn.reservation), 1);
    SAME(tollbar_limiter_free(limiter), TOLLBAR_OK);
}

static void limits_that_change(void) {
    char text[100];
    tollbar_limiter limiter = limiter_of(a_rate(10, 10 * SECOND, 0), a_still_clock);
    tollbar_policy wide = a_rate(20, 20 * SECOND, 0), own = a_rate(5, 5 * SECOND, 0);
    SAME(tollbar_try_acquire(limiter, KEY("a"), 4), 1);
    /* Limits of its own, before it is seen for the first time. */
    SAME(tollbar_reconfigure(limiter, KEY("b"), own, TOLLBAR_MIGRATE_AS_IS, text, sizeof text), 0);
    SAME(left_of(limiter, KEY("b")), 5);
    SAME(tollbar_try_acquire(limiter, KEY("b"), 1), 1);
    SAME(totals_of(limiter).own_limits, 1);
    SAME(tollbar_set_limits(limiter, wide, TOLLBAR_MIGRATE_AS_IS, text, sizeof text), TOLLBAR_OK);
    SAME_TEXT(text, "");
    SAME(left_of(limiter, KEY("a")), 16);
    SAME(left_of(limiter, KEY("b")), 4);
    SAME(left_of(limiter, KEY("c")), 20);
    SAME(tollbar_try_acquire(limiter, KEY("c"), 1), 1);
    SAME(left_of(limiter, KEY("c")), 19);
    SAME(tollbar_follow_default(limiter, KEY("b"), TOLLBAR_MIGRATE_AS_IS), 1);
    SAME(left_of(limiter, KEY("b")), 19);
    SAME(tollbar_follow_default(limiter, KEY("d"), TOLLBAR_MIGRATE_AS_IS), 0);
    SAME(totals_of(limiter).own_limits, 0);
    SAME(tollbar_follow_default(limiter, KEY("b"), 3), TOLLBAR_ERROR_INVALID);
    SAME(tollbar_set_limits(limiter, wide, -1, text, sizeof text), TOLLBAR_ERROR_INVALID);
    SAME_TEXT(text, "migration must be one of TOLLBAR_MIGRATE_..., not -1");
    SAME(left_of(limiter, KEY("a")), 16);
    SAME(tollbar_policy_free(wide), TOLLBAR_OK);
    SAME(tollbar_limiter_free(limiter), TOLLBAR_OK);

    /* They outlive an account. */
    tollbar_policy one = a_rate(10, 10 * SECOND, 0);
    tollbar_options options;
    SAME(tollbar_options_new(&options), TOLLBAR_OK);
    SAME(tollbar_options_set(options, TOLLBAR_OPTION_MAX_KEYS, 1, NULL, 0), TOLLBAR_OK);
    SAME(tollbar_options_set(options, TOLLBAR_OPTION_WHEN_FULL, TOLLBAR_FULL_EVICT_LEAST, NULL, 0), TOLLBAR_OK);
    SAME(tollbar_options_set_clock(options, a_still_clock), TOLLBAR_OK);
    SAME(tollbar_limiter_new(TOLLBAR_ABI_VERSION, one, options, &limiter, text, sizeof text), TOLLBAR_OK);
    SAME(tollbar_reconfigure(limiter, KEY("a"), own, TOLLBAR_MIGRATE_AS_IS, text, sizeof text), 0);
    SAME(tollbar_try_acquire(limiter, KEY("a"), 1), 1);
    SAME(tollbar_try_acquire(limiter, KEY("b"), 1), 1);
    SAME(tollbar_contains(limiter, KEY("a")), 0);
    SAME(left_of(limiter, KEY("a")), 5);
    SAME(tollbar_reconfigure(limiter, KEY("b"), own, TOLLBAR_MIGRATE_AS_IS, text, sizeof text),
         TOLLBAR_ERROR_TOO_MANY_OWN_LIMITS);
    SAME(tollbar_options_free(options), TOLLBAR_OK);
    SAME(tollbar_policy_free(one), TOLLBAR_OK);
    SAME(tollbar_policy_free(own), TOLLBAR_OK);
    SAME(tollbar_limiter_free(limiter), TOLLBAR_OK);
}

static void block_and_drain(void) {
    tollbar_limiter limiter = limiter_of(a_tariff(), a_still_clock);
    tollbar_decision told;
    tollbar_limit_state states[3];
    SAME(tollbar_block(limiter, KEY("a"), 5 * SECOND), 1);
    SAME(tollbar_decide(limiter, KEY("a"), 1, &told, sizeof told), 0);
    SAME(told.reason, TOLLBAR_REASON_BLOCKED);
    SAME(told.retry_after_ns, 5 * SECOND);
    SAME(tollbar_inspect(limiter, KEY("a"), 1, NULL, 0, states, 3, sizeof *states), 3);
    SAME(states[2].kind, TOLLBAR_REASON_BLOCKED);
    SAME(states[2].retry_after_ns, 5 * SECOND);
    SAME(tollbar_block(limiter, KEY("a"), TOLLBAR_NEVER), TOLLBAR_ERROR_INVALID);
    SAME(tollbar_clock_advance(a_still_clock, (int64_t)(5 * SECOND)), TOLLBAR_OK);
    SAME(tollbar_try_acquire(limiter, KEY("a"), 1), 1);
    SAME(tollbar_block(limiter, KEY("a"), 5 * SECOND), 1);
    SAME(tollbar_release(limiter, KEY("a")), 1);
    SAME(tollbar_try_acquire(limiter, KEY("a"), 1), 1);
    USED("a", 2, 2);
    SAME(tollbar_drain(limiter, KEY("a"), 7, KEY("requests")), 1);
    USED("a", 3, 2);
    SAME(tollbar_drain(limiter, KEY("a"), 7, KEY("requests")), 0);
    SAME(tollbar_drain(limiter, KEY("a"), 4, NULL, 0), 1);
    USED("a", 6, 996);
    SAME(tollbar_drain(limiter, KEY("a"), 4, KEY("words")), TOLLBAR_ERROR_INVALID);
    SAME(tollbar_drain(limiter, KEY("a"), 4, NULL, 1), TOLLBAR_ERROR_NULL);
    USED("a", 6, 996);
    SAME(tollbar_limiter_free(limiter), TOLLBAR_OK);
}

static void inspected(void) {
    tollbar_limiter limiter = limiter_of(a_tariff(), a_still_clock);
    struct {
        tollbar_limit_state state;
        unsigned char behind[8];
    } grown[2];
    const tollbar_cost many = cost_of("tokens", 1001);
    const tollbar_cost some = cost_of("tokens", 400);
    SAME(tollbar_decide_costs(limiter, KEY("a"), 3, &some, 1, NULL, 0), 1);
    SAME(tollbar_inspect(limiter, KEY("a"), 8, &many, 1, NULL, 0, 0), 2);
    memset(grown, '#', sizeof grown);
    SAME(tollbar_inspect(limiter, KEY("a"), 8, &many, 1, &grown[0].state, 1, sizeof *grown), 2);
    CHECK(*(unsigned char *)&grown[1] == '#' && grown[0].behind[0] == 0);
    SAME(tollbar_inspect(limiter, KEY("a"), 8, &many, 1, &grown[0].state, 2, sizeof *grown), 2);
    const tollbar_limit_state *requests = &grown[0].state, *tokens = &grown[1].state;
    SAME_TEXT(requests->name, "requests");
    SAME_TEXT(tokens->name, "tokens");
    SAME(requests->kind, TOLLBAR_REASON_WINDOW);
    CHECK(requests->limit == 10 && requests->used == 3 && requests->remaining == 7);
    CHECK(requests->reset_after_ns == MINUTE && requests->retry_after_ns == MINUTE && requests->can_pass);
    CHECK(tokens->limit == 1000 && tokens->used == 400 && tokens->remaining == 600);
    CHECK(tokens->retry_after_ns == TOLLBAR_NEVER && !tokens->can_pass);
    CHECK(!tokens->shadow && !tokens->estimated);
    SAME(tollbar_inspect(limiter, KEY("z"), 1, NULL, 0, &grown[0].state, 2, sizeof *grown), 2);
    SAME(tollbar_contains(limiter, KEY("z")), 0);
    SAME(tollbar_inspect(limiter, KEY("a"), 1, NULL, 0, NULL, 2, sizeof *grown), TOLLBAR_ERROR_NULL);
    SAME(tollbar_inspect(limiter, KEY("a"), 1, NULL, 0, &grown[0].state, 2, 8), TOLLBAR_ERROR_SIZE);
    SAME(tollbar_inspect(limiter, KEY("a"), 1, NULL, 0, &grown[0].state, 2, SIZE_MAX), TOLLBAR_ERROR_SIZE);
    SAME(tollbar_limiter_free(limiter), TOLLBAR_OK);
}

/* Every key once, by as little room as a part needs. */
static void keys_by_part(void) {
    tollbar_limiter limiter = limiter_of(a_rate(10, SECOND, 0), a_still_clock);
    unsigned char met[200] = {0};
    char key[40];
    size_t none = 0;
    for (int number = 0; number < 200; number++) {
        /* A NUL in the middle, and lengths that differ. */
        const int len = snprintf(key, sizeof key, "%d%c%0*d", number, 0, 1 + number % 30, 7);
        SAME(tollbar_try_acquire(limiter, key, (size_t)len, 1), 1);
    }
    const int32_t parts = tollbar_parts(limiter);
    CHECK(parts > 0);
    for (size_t part = 0; part < (size_t)parts; part++) {
        size_t size = 0;
        const int32_t count = tollbar_keys(limiter, part, NULL, &size, NULL, 0);
        CHECK(count >= 0 && (count > 0) == (size > 0));
        if (count == 0) {
            continue;
        }
        char *data = (char *)malloc(size);
        uint32_t *lengths = (uint32_t *)malloc((size_t)count * sizeof *lengths);
        CHECK(data != NULL && lengths != NULL);
        const size_t needed = size;
        memset(data, '#', size);
        size--;
        SAME(tollbar_keys(limiter, part, data, &size, lengths, (size_t)count), count);
        SAME(size, needed);
        SAME(tollbar_keys(limiter, part, data, &size, lengths, (size_t)count - 1), count);
        for (size_t at = 0; at < needed; at++) {
            CHECK(data[at] == '#');
        }
        SAME(tollbar_keys(limiter, part, data, &size, lengths, (size_t)count), count);
        const char *from = data;
        for (int32_t at = 0; at < count; from += lengths[at++]) {
            SAME(tollbar_contains(limiter, from, lengths[at]), 1);
            met[atoi(from)]++;
        }
        SAME(from - data, needed);
        free(data);
        free(lengths);
    }
    for (int number = 0; number < 200; number++) {
        SAME(met[number], 1);
    }
    SAME(tollbar_keys(limiter, SIZE_MAX, NULL, &none, NULL, 0), 0);
    SAME(tollbar_keys(limiter, 0, NULL, NULL, NULL, 0), TOLLBAR_ERROR_NULL);
    none = 1;
    SAME(tollbar_keys(limiter, 0, NULL, &none, NULL, 0), TOLLBAR_ERROR_NULL);
    none = 0;
    SAME(tollbar_keys(limiter, 0, NULL, &none, NULL, 1), TOLLBAR_ERROR_NULL);
    SAME(tollbar_limiter_free(limiter), TOLLBAR_OK);
}

static void closed(void) {
    tollbar_policy policy;
    tollbar_decision told;
    tollbar_turn turn;
    SAME(tollbar_policy_new(&policy), TOLLBAR_OK);
    SAME(tollbar_policy_add_closed(policy, NULL, 0), TOLLBAR_OK);
    SAME(tollbar_policy_set(policy, TOLLBAR_SET_BURST, 1, NULL, 0), TOLLBAR_ERROR_INVALID);
    tollbar_limiter limiter = limiter_of(policy, a_still_clock);
    SAME(tollbar_decide(limiter, KEY("a"), 1, &told, sizeof told), 0);
    SAME(told.reason, TOLLBAR_REASON_CLOSED);
    CHECK(told.retry_after_ns == TOLLBAR_NEVER);
    SAME_TEXT(told.limit, "closed");
    SAME_TEXT(tollbar_reason_text(told.reason), "closed");
    SAME(tollbar_try_acquire(limiter, KEY("a"), 0), 1);
    SAME(tollbar_acquire(limiter, KEY("a"), NULL, 0, &turn, sizeof turn), 0);
    CHECK(turn.never);
    SAME(tollbar_limiter_free(limiter), TOLLBAR_OK);
}

/* Totals of a program that was compiled before there were keys with limits of their own. */
static void older_totals(void) {
    tollbar_limiter limiter = limiter_of(a_rate(10, SECOND, 0), a_still_clock);
    tollbar_totals totals;
    totals.own_limits = 77;
    SAME(tollbar_stats(limiter, &totals, offsetof(tollbar_totals, own_limits)), TOLLBAR_OK);
    CHECK(totals.allowed == 0 && totals.own_limits == 77);
    SAME(tollbar_stats(limiter, &totals, offsetof(tollbar_totals, own_limits) + 1), TOLLBAR_ERROR_SIZE);
    SAME(tollbar_limiter_free(limiter), TOLLBAR_OK);
}

int main(void) {
    a_still_clock = a_clock();
    costs_by_limit();
    leases();
    limits_that_change();
    block_and_drain();
    inspected();
    keys_by_part();
    closed();
    older_totals();
    SAME(tollbar_clock_free(a_still_clock), TOLLBAR_OK);
    puts("costs by limit in 7 calls, leases renewed, limits changed, a block, drains, states, 200 keys by part, closed");
    return 0;
}
