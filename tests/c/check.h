/* Checks that say where they failed, and what every test of the C face needs to begin with. */
#ifndef CHECK_H
#define CHECK_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tollbar.h"

#define SECOND UINT64_C(1000000000)
#define MILLISECOND UINT64_C(1000000)

/* A yes or no that ends the program where it is no. */
#define CHECK(holds)                                                                    \
    do {                                                                                \
        if (!(holds)) {                                                                 \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #holds);         \
            abort();                                                                    \
        }                                                                               \
    } while (0)

/* Two whole numbers that must be the same. */
#define SAME(got, wanted) check_same((int64_t)(got), (int64_t)(wanted), #got, __FILE__, __LINE__)

/* Two texts that must be the same. */
#define SAME_TEXT(got, wanted) check_same_text(got, wanted, #got, __FILE__, __LINE__)

static inline void check_same(int64_t got, int64_t wanted, const char *what, const char *file, int line) {
    if (got != wanted) {
        fprintf(stderr, "%s:%d: %s is %" PRId64 ", not %" PRId64 "\n", file, line, what, got, wanted);
        abort();
    }
}

static inline void check_same_text(const char *got, const char *wanted, const char *what, const char *file, int line) {
    if (strcmp(got, wanted) != 0) {
        fprintf(stderr, "%s:%d: %s is \"%s\", not \"%s\"\n", file, line, what, got, wanted);
        abort();
    }
}

/* How often to do what is done often: less under tools that make everything slow. */
static inline int often(int times) {
    const char *divisor = getenv("TOLLBAR_TEST_DIVISOR");
    int by = divisor == NULL ? 1 : atoi(divisor);
    return by > 1 && times / by > 0 ? times / by : by > 1 ? 1 : times;
}

/* A key that is a text, as the two arguments that it takes. */
#define KEY(text) (text), strlen(text)

static inline tollbar_options no_options(void) {
    tollbar_options none;
    none.id = 0;
    return none;
}

static inline tollbar_clock a_clock(void) {
    tollbar_clock clock;
    SAME(tollbar_clock_new(0, &clock), TOLLBAR_OK);
    return clock;
}

/* A policy of one rate; `burst` 0 is the usual one. */
static inline tollbar_policy a_rate(uint64_t limit, uint64_t period_ns, uint64_t burst) {
    tollbar_policy policy;
    SAME(tollbar_policy_new(&policy), TOLLBAR_OK);
    SAME(tollbar_policy_add_rate(policy, limit, period_ns, NULL, 0), TOLLBAR_OK);
    if (burst > 0) {
        SAME(tollbar_policy_set(policy, TOLLBAR_SET_BURST, burst, NULL, 0), TOLLBAR_OK);
    }
    return policy;
}

/* A limiter of this policy, which is freed here, with a table of 1,000 keys. A clock of 0 is the system's. */
static inline tollbar_limiter limiter_of(tollbar_policy policy, tollbar_clock clock) {
    char message[200];
    tollbar_options options;
    tollbar_limiter limiter;
    SAME(tollbar_options_new(&options), TOLLBAR_OK);
    SAME(tollbar_options_set(options, TOLLBAR_OPTION_MAX_KEYS, 1000, NULL, 0), TOLLBAR_OK);
    if (clock.id != 0) {
        SAME(tollbar_options_set_clock(options, clock), TOLLBAR_OK);
    }
    int32_t status = tollbar_limiter_new(TOLLBAR_ABI_VERSION, policy, options, &limiter, message, sizeof message);
    SAME_TEXT(message, "");
    SAME(status, TOLLBAR_OK);
    SAME(tollbar_options_free(options), TOLLBAR_OK);
    SAME(tollbar_policy_free(policy), TOLLBAR_OK);
    return limiter;
}

/* What could still pass for a key. */
static inline uint64_t left_of(tollbar_limiter limiter, const char *key, size_t key_len) {
    tollbar_decision decision;
    int32_t status = tollbar_peek(limiter, key, key_len, 0, &decision, sizeof decision);
    SAME(status, 1);
    return decision.remaining;
}

static inline tollbar_totals totals_of(tollbar_limiter limiter) {
    tollbar_totals totals;
    SAME(tollbar_stats(limiter, &totals, sizeof totals), TOLLBAR_OK);
    return totals;
}

static inline pthread_t begin(void *(*work)(void *), void *with) {
    pthread_t thread;
    SAME(pthread_create(&thread, NULL, work, with), 0);
    return thread;
}

static inline void end(pthread_t thread) { SAME(pthread_join(thread, NULL), 0); }

#endif
