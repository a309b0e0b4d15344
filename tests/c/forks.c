/* Children that go on deciding by their own copy, forked while nobody or somebody is inside. HAZARD c-fork */
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define THREADS 4

/* The address sanitizer's own allocator may be locked by another thread at the fork, and stays so in the child. */
#ifdef __SANITIZE_ADDRESS__
#define WITH_THREADS 0
#else
#define WITH_THREADS 1
#endif

static tollbar_clock clock_of_all;
static tollbar_limiter limiter;
static tollbar_bucket bucket;
static tollbar_wakeups wakeups;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int stop;

static int over(void) {
    pthread_mutex_lock(&lock);
    const int now = stop;
    pthread_mutex_unlock(&lock);
    return now;
}

/* What a child does, at once and without help: it has no thread but its own. */
static void decide_by_ones_own_copy(void) {
    tollbar_turn turn;
    tollbar_limiter other;
    tollbar_reservation reservation;
    char key[32];
    /* A known key, its bucket, the account behind both. */
    const uint64_t left = left_of(limiter, KEY("a"));
    SAME(tollbar_try_acquire(limiter, KEY("a"), 1), 1);
    SAME(tollbar_bucket_try_acquire(bucket, 2), 1);
    SAME(left_of(limiter, KEY("a")), left - 3);
    /* New keys in every stripe, many at once and alone. */
    for (int at = 0; at < 200; at++) {
        const int len = snprintf(key, sizeof key, "child %d", at);
        SAME(tollbar_try_acquire(limiter, key, (size_t)len, 1), 1);
    }
    /* All that is found under a lock: reservations, lines, wakeups, handles. */
    SAME(tollbar_reserve(limiter, KEY("reserved"), 1, 0, false, &reservation, NULL, 0), 1);
    SAME(tollbar_cancel(reservation), 1);
    SAME(tollbar_wakeups_tell(wakeups, 7), TOLLBAR_OK);
    uint64_t token = 0;
    while (token != 7) {
        SAME(tollbar_wakeups_next(wakeups, TOLLBAR_NEVER, &token, 1), 1);
    }
    SAME(tollbar_join(limiter, KEY("joined"), NULL, 0, wakeups, 8, &turn, sizeof turn), 1);
    /* Nobody waits here for what the parent's threads wait for. */
    SAME(tollbar_reset(limiter, KEY("waited for")), 1);
    SAME(tollbar_acquire(limiter, KEY("waited for"), NULL, 0, NULL, 0), 1);
    SAME(tollbar_limiter_clone(limiter, &other), TOLLBAR_OK);
    SAME(tollbar_bucket_free(bucket), TOLLBAR_OK);
    SAME(tollbar_limiter_free(limiter), TOLLBAR_OK);
    SAME(tollbar_try_acquire(limiter, KEY("a"), 1), TOLLBAR_ERROR_HANDLE);
    SAME(tollbar_try_acquire(other, KEY("a"), 1), 1);
    SAME(tollbar_limiter_free(other), TOLLBAR_OK);
    SAME(tollbar_wakeups_free(wakeups), TOLLBAR_OK);
}

/* Forks; the child has a minute, or is ended by its alarm. */
static void fork_one(void) {
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(60);
        decide_by_ones_own_copy();
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(!WIFSIGNALED(status));
    SAME(WEXITSTATUS(status), 0);
}

static void *forks_too(void *with) {
    for (int at = 0; at < often(25); at++) {
        fork_one();
    }
    return with;
}

/* Decides about known and new keys, makes and frees handles, tells and listens, until it is over. */
static void *hammer(void *with) {
    const int me = *(const int *)with;
    char key[32];
    uint64_t tokens[4];
    tollbar_reservation reservation;
    for (int round = 0; !over(); round++) {
        for (int at = 0; at < 50; at++) {
            const int len = snprintf(key, sizeof key, "%d: %d", me, (round * 50 + at) % 5000);
            CHECK(tollbar_try_acquire(limiter, key, (size_t)len, 1) >= 0);
            SAME(tollbar_try_acquire(limiter, KEY("a"), 1), 1);
            SAME(tollbar_bucket_try_acquire(bucket, 1), 1);
        }
        tollbar_bucket mine;
        SAME(tollbar_bucket_new(limiter, KEY("b"), &mine), 1);
        SAME(tollbar_reserve(limiter, KEY("b"), 1, 0, false, &reservation, NULL, 0), 1);
        SAME(tollbar_cancel(reservation), 1);
        SAME(tollbar_bucket_free(mine), TOLLBAR_OK);
        SAME(tollbar_wakeups_tell(wakeups, 1), TOLLBAR_OK);
        CHECK(tollbar_wakeups_next(wakeups, 0, tokens, 4) >= 0);
    }
    return NULL;
}

static void *waits(void *with) {
    SAME(tollbar_acquire(*(tollbar_limiter *)with, KEY("waited for"), NULL, 0, NULL, 0), TOLLBAR_ERROR_CLOSED);
    return NULL;
}

/* Whoever joins behind somebody has no time to look again at: then the thread above waits. */
static void until_somebody_waits(tollbar_limiter by) {
    tollbar_turn turn;
    do {
        SAME(tollbar_join(by, KEY("waited for"), NULL, 0, wakeups, 2, &turn, sizeof turn), TOLLBAR_WAITING);
        SAME(tollbar_leave(turn.place), 1);
    } while (turn.look_after_ns != TOLLBAR_NEVER);
}

static void *listens(void *with) {
    uint64_t token;
    while (tollbar_wakeups_next(*(tollbar_wakeups *)with, TOLLBAR_NEVER, &token, 1) >= 0) {
    }
    return NULL;
}

int main(void) {
    const int forks = often(50);
    pthread_t threads[THREADS + 3];
    int names[THREADS];
    tollbar_options options;
    tollbar_policy policy = a_rate(1000, SECOND, 4000000000), slow = a_rate(1, 1000000 * SECOND, 0);
    clock_of_all = a_clock();
    SAME(tollbar_options_new(&options), TOLLBAR_OK);
    SAME(tollbar_options_set_clock(options, clock_of_all), TOLLBAR_OK);
    SAME(tollbar_limiter_new(TOLLBAR_ABI_VERSION, policy, options, &limiter, NULL, 0), TOLLBAR_OK);
    SAME(tollbar_options_free(options), TOLLBAR_OK);
    SAME(tollbar_policy_free(policy), TOLLBAR_OK);
    SAME(tollbar_bucket_new(limiter, KEY("a"), &bucket), 1);
    SAME(tollbar_wakeups_new(&wakeups), TOLLBAR_OK);
    tollbar_limiter patient;
    SAME(tollbar_limiter_with_policy(limiter, slow, &patient, NULL, 0), TOLLBAR_OK);
    SAME(tollbar_policy_free(slow), TOLLBAR_OK);
    SAME(tollbar_try_acquire(patient, KEY("waited for"), 1), 1);

    for (int at = 0; at < forks; at++) {
        fork_one();
    }
    /* No child has taken anything from its parent. */
    CHECK(left_of(limiter, KEY("a")) == 4000000000);
    SAME(totals_of(limiter).keys, 2);

    threads[THREADS] = begin(waits, &patient);
    until_somebody_waits(patient);
    threads[THREADS + 1] = begin(listens, &wakeups);
    for (int at = 0; at < THREADS; at++) {
        names[at] = at;
        threads[at] = begin(hammer, &names[at]);
    }
    if (WITH_THREADS) {
        for (int at = 0; at < forks; at++) {
            fork_one();
        }
        /* Two threads that fork at once. */
        threads[THREADS + 2] = begin(forks_too, NULL);
        forks_too(NULL);
        end(threads[THREADS + 2]);
    }
    pthread_mutex_lock(&lock);
    stop = 1;
    pthread_mutex_unlock(&lock);
    for (int at = 0; at < THREADS; at++) {
        end(threads[at]);
    }
    SAME(tollbar_limiter_free(patient), TOLLBAR_OK);
    SAME(tollbar_wakeups_free(wakeups), TOLLBAR_OK);
    end(threads[THREADS]);
    end(threads[THREADS + 1]);
    SAME(tollbar_bucket_free(bucket), TOLLBAR_OK);
    SAME(tollbar_limiter_free(limiter), TOLLBAR_OK);
    SAME(tollbar_clock_free(clock_of_all), TOLLBAR_OK);
    printf("%d children of one thread, %d while six others decide, wait and listen, %d by two threads at once\n", forks,
           WITH_THREADS * forks, WITH_THREADS * 2 * often(25));
    return 0;
}
