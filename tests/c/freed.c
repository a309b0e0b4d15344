/* Limiters and buckets that one thread frees while four others decide by them. HAZARD c-handles */
#include "check.h"

#define THREADS 4
#define ROOM UINT64_C(100000000)

static int generations;
static pthread_barrier_t all_look, all_have_done;
static tollbar_limiter current;
static tollbar_bucket bucket;
static uint64_t got[THREADS], refused[THREADS];

/* Decides by what is current, while it lives and after. */
static void *hammer(void *with) {
    const int me = *(const int *)with;
    for (int at = 0; at < generations; at++) {
        pthread_barrier_wait(&all_look);
        const tollbar_limiter limiter = current;
        const tollbar_bucket held = bucket;
        got[me] = 0;
        for (int again = 0; again < 2000; again++) {
            const int32_t answers[] = {tollbar_try_acquire(limiter, KEY("a"), 1), tollbar_bucket_try_acquire(held, 1)};
            for (int one = 0; one < 2; one++) {
                CHECK(answers[one] == 1 || answers[one] == TOLLBAR_ERROR_HANDLE);
                got[me] += answers[one] == 1;
                refused[me] += answers[one] != 1;
            }
        }
        pthread_barrier_wait(&all_have_done);
    }
    return NULL;
}

/* Frees a handle that others free, too: one of them is told that it did. */
static void *free_it(void *with) {
    const tollbar_limiter *limiter = (const tollbar_limiter *)with;
    int32_t status = tollbar_limiter_free(*limiter);
    CHECK(status == TOLLBAR_OK || status == TOLLBAR_ERROR_HANDLE);
    return status == TOLLBAR_OK ? with : NULL;
}

static void freed_by_several(tollbar_clock clock) {
    for (int again = 0; again < often(200); again++) {
        tollbar_limiter limiter = limiter_of(a_rate(1, SECOND, 0), clock);
        pthread_t threads[3];
        int done = 0;
        for (int at = 0; at < 3; at++) {
            threads[at] = begin(free_it, &limiter);
        }
        for (int at = 0; at < 3; at++) {
            void *mine;
            SAME(pthread_join(threads[at], &mine), 0);
            done += mine != NULL;
        }
        SAME(done, 1);
    }
}

int main(void) {
    pthread_t threads[THREADS];
    int names[THREADS];
    uint64_t charged = 0, statuses = 0;
    tollbar_limiter before = {0};
    tollbar_clock clock = a_clock();
    generations = often(3000);
    SAME(pthread_barrier_init(&all_look, NULL, THREADS + 1), 0);
    SAME(pthread_barrier_init(&all_have_done, NULL, THREADS + 1), 0);
    for (int one = 0; one < THREADS; one++) {
        names[one] = one;
        threads[one] = begin(hammer, &names[one]);
    }
    for (int at = 0; at < generations; at++) {
        tollbar_limiter kept, next;
        current = limiter_of(a_rate(1, SECOND, ROOM), clock);
        SAME(tollbar_limiter_clone(current, &kept), TOLLBAR_OK);
        SAME(tollbar_bucket_new(current, KEY("a"), &bucket), 1);
        pthread_barrier_wait(&all_look);
        /* Now and then later, so that all of them are in the middle. */
        for (int wait = 0; wait < at % 8 * 100; wait++) {
            SAME(tollbar_try_acquire(kept, KEY("b"), 0), 1);
        }
        SAME(tollbar_limiter_free(current), TOLLBAR_OK);
        SAME(tollbar_bucket_free(bucket), TOLLBAR_OK);
        /* Another limiter at the place of the old one: no charge by the old handle may land here. */
        next = limiter_of(a_rate(1, SECOND, ROOM), clock);
        tollbar_bucket its_bucket;
        SAME(tollbar_bucket_new(next, KEY("a"), &its_bucket), 1);
        pthread_barrier_wait(&all_have_done);
        uint64_t wanted = 0;
        for (int one = 0; one < THREADS; one++) {
            wanted += got[one];
        }
        SAME(left_of(kept, KEY("a")), ROOM - wanted);
        SAME(left_of(next, KEY("a")), ROOM);
        SAME(totals_of(kept).denied, 0);
        SAME(tollbar_bucket_free(its_bucket), TOLLBAR_OK);
        SAME(tollbar_limiter_free(kept), TOLLBAR_OK);
        SAME(tollbar_limiter_free(before), TOLLBAR_OK);
        before = next;
        charged += wanted;
    }
    SAME(tollbar_limiter_free(before), TOLLBAR_OK);
    for (int one = 0; one < THREADS; one++) {
        end(threads[one]);
        statuses += refused[one];
    }
    freed_by_several(clock);
    SAME(tollbar_clock_free(clock), TOLLBAR_OK);
    pthread_barrier_destroy(&all_look);
    pthread_barrier_destroy(&all_have_done);
    printf("%d limiters and buckets freed in use: %" PRIu64 " charges where they belong, %" PRIu64 " statuses\n",
           generations, charged, statuses);
    return 0;
}
