/* Threads that the host made, that end, and that call while they end. HAZARD c-threads */
#include "check.h"

static tollbar_limiter limiter;
static pthread_key_t at_the_end;
static pthread_barrier_t all_begin;

/* Called by a thread that is ending, up to as often as the system lets it. */
static void one_more(void *round) {
    SAME(tollbar_try_acquire(limiter, KEY("a"), 1), 1);
    tollbar_bucket bucket;
    SAME(tollbar_bucket_new(limiter, KEY("b"), &bucket), 1);
    SAME(tollbar_bucket_try_acquire(bucket, 1), 1);
    SAME(tollbar_bucket_free(bucket), TOLLBAR_OK);
    if ((intptr_t)round < 3) {
        SAME(pthread_setspecific(at_the_end, (void *)((intptr_t)round + 1)), 0);
    }
}

static void *calls_and_ends(void *with) {
    SAME(pthread_setspecific(at_the_end, (void *)(intptr_t)1), 0);
    pthread_barrier_wait(&all_begin);
    SAME(tollbar_try_acquire(limiter, KEY("a"), 1), 1);
    return with;
}

/* Its first call of all is one of its last. */
static void *calls_only_at_the_end(void *with) {
    SAME(pthread_setspecific(at_the_end, (void *)(intptr_t)1), 0);
    pthread_barrier_wait(&all_begin);
    return with;
}

/* Frees, at its end, what it was given to keep. */
static void *exits(void *with) {
    pthread_barrier_wait(&all_begin);
    SAME(tollbar_limiter_free(*(tollbar_limiter *)with), TOLLBAR_OK);
    pthread_exit(NULL);
}

int main(void) {
    const int rounds = often(100);
    tollbar_clock clock = a_clock();
    SAME(pthread_key_create(&at_the_end, one_more), 0);
    SAME(pthread_barrier_init(&all_begin, NULL, 12), 0);
    limiter = limiter_of(a_rate(1, SECOND, 1000000), clock);
    for (int round = 0; round < rounds; round++) {
        pthread_t threads[12];
        tollbar_limiter clones[4];
        for (int at = 0; at < 4; at++) {
            SAME(tollbar_limiter_clone(limiter, &clones[at]), TOLLBAR_OK);
            threads[3 * at] = begin(calls_and_ends, NULL);
            threads[3 * at + 1] = begin(calls_only_at_the_end, NULL);
            threads[3 * at + 2] = begin(exits, &clones[at]);
        }
        for (int at = 0; at < 12; at++) {
            end(threads[at]);
        }
    }
    /* Four of each kind: one call while alive, three at the end of two kinds. */
    SAME(left_of(limiter, KEY("a")), 1000000 - rounds * (4 + 8 * 3));
    SAME(left_of(limiter, KEY("b")), 1000000 - rounds * 8 * 3);
    SAME(tollbar_limiter_free(limiter), TOLLBAR_OK);
    SAME(tollbar_clock_free(clock), TOLLBAR_OK);
    pthread_barrier_destroy(&all_begin);
    SAME(pthread_key_delete(at_the_end), 0);
    printf("%d threads ended, %d of them calling from a key's destructor three times over\n", rounds * 12, rounds * 8);
    return 0;
}
