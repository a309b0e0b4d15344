/* A mistake inside the library becomes a status, and the process goes on. HAZARD c-panic */
#include "check.h"

#ifdef __cplusplus
extern "C"
#endif
/* In the library that is built for tests, and in no header. */
int32_t tollbar_forced_panic(void);

static void *panics(void *with) {
    const tollbar_limiter *limiter = (const tollbar_limiter *)with;
    for (int again = 0; again < often(50); again++) {
        SAME(tollbar_forced_panic(), TOLLBAR_ERROR_PANIC);
        SAME(tollbar_try_acquire(*limiter, KEY("a"), 1), 1);
    }
    return NULL;
}

int main(void) {
    /* What the library says of its own mistake is for people, and here it is none. */
    CHECK(freopen("/dev/null", "w", stderr) != NULL);
    tollbar_clock clock = a_clock();
    tollbar_limiter limiter = limiter_of(a_rate(1000, SECOND, 0), clock);
    pthread_t threads[4];
    for (int at = 0; at < 4; at++) {
        threads[at] = begin(panics, &limiter);
    }
    panics(&limiter);
    for (int at = 0; at < 4; at++) {
        end(threads[at]);
    }
    SAME(left_of(limiter, KEY("a")), 1000 - 5 * often(50));
    /* Whoever panicked is not inside any more: what is freed goes at once. */
    SAME(tollbar_limiter_free(limiter), TOLLBAR_OK);
    SAME(tollbar_clock_free(clock), TOLLBAR_OK);
    printf("%d panics in 5 threads: a status each, and every charge after one counts\n", 5 * often(50));
    return 0;
}
