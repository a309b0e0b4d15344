/* A race on purpose, beside calls of the library: run.py sees that helgrind still reports it. */
#include "check.h"

static tollbar_limiter limiter;
static int unguarded;

static void *races(void *with) {
    SAME(tollbar_try_acquire(limiter, KEY("a"), 1), 1);
    unguarded++;
    return with;
}

int main(void) {
    tollbar_clock clock = a_clock();
    limiter = limiter_of(a_rate(10, SECOND, 0), clock);
    const pthread_t one = begin(races, NULL), other = begin(races, NULL);
    end(one);
    end(other);
    SAME(tollbar_limiter_free(limiter), TOLLBAR_OK);
    SAME(tollbar_clock_free(clock), TOLLBAR_OK);
    return 0;
}
