/* Waiting in a thread: deadlines, the order of arrival, leases, and a limiter that is freed meanwhile. */
#include <sched.h>

#include "check.h"

#define WAITERS 5

static tollbar_clock a_still_clock;
static tollbar_limiter limiter;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int order[WAITERS], came;

static tollbar_ask asking(uint64_t cost, uint64_t timeout_ns) {
    const tollbar_ask ask = {cost, timeout_ns, 0, 0, 0, NULL, 0};
    return ask;
}

static int how_many_came(void) {
    pthread_mutex_lock(&lock);
    const int now = came;
    pthread_mutex_unlock(&lock);
    return now;
}

/* How long the line for this key is: told to whoever would have to wait too long in it. */
static uint64_t line_of(tollbar_limiter by, const char *key) {
    const tollbar_ask ask = asking(1, 0);
    tollbar_turn turn;
    SAME(tollbar_acquire(by, KEY(key), &ask, sizeof ask, &turn, sizeof turn), 0);
    return turn.retry_after_ns;
}

static void deadlines(void) {
    tollbar_turn turn;
    tollbar_ask ask = asking(2, 0);
    limiter = limiter_of(a_rate(2, 2 * SECOND, 0), a_still_clock);
    SAME(tollbar_acquire(limiter, KEY("a"), &ask, sizeof ask, &turn, sizeof turn), 1);
    CHECK(turn.place.id == 0 && turn.reservation.id == 0 && turn.retry_after_ns == 0);
    /* A turn that would come too late is told at once, and nothing is charged. */
    ask = asking(1, SECOND - 1);
    SAME(tollbar_acquire(limiter, KEY("a"), &ask, sizeof ask, &turn, sizeof turn), 0);
    SAME(turn.retry_after_ns, SECOND);
    ask = asking(3, TOLLBAR_NEVER);
    SAME(tollbar_acquire(limiter, KEY("a"), &ask, sizeof ask, &turn, sizeof turn), 0);
    CHECK(turn.retry_after_ns == TOLLBAR_NEVER);
    SAME(tollbar_clock_advance(a_still_clock, (int64_t)SECOND), TOLLBAR_OK);
    SAME(left_of(limiter, KEY("a")), 1);
    SAME(tollbar_acquire(limiter, KEY("a"), NULL, 0, &turn, sizeof turn), 1);
    /* What may be asked for. */
    tollbar_ask wrong = asking(1, 0);
    wrong.priority = 128;
    SAME(tollbar_acquire(limiter, KEY("a"), &wrong, sizeof wrong, &turn, sizeof turn), TOLLBAR_ERROR_INVALID);
    wrong.priority = 0;
    wrong.gives_back = 2;
    SAME(tollbar_acquire(limiter, KEY("a"), &wrong, sizeof wrong, &turn, sizeof turn), TOLLBAR_ERROR_INVALID);
    SAME(left_of(limiter, KEY("a")), 0);
    SAME(tollbar_limiter_free(limiter), TOLLBAR_OK);
}

static void *waits_its_turn(void *with) {
    SAME(tollbar_acquire(limiter, KEY("a"), NULL, 0, NULL, 0), 1);
    pthread_mutex_lock(&lock);
    order[came++] = *(int *)with;
    pthread_mutex_unlock(&lock);
    return NULL;
}

/* A token a millisecond, by a clock that stands still: nobody's turn comes but when it is moved. */
static void order_of_arrival(void) {
    pthread_t threads[WAITERS];
    int names[WAITERS];
    limiter = limiter_of(a_rate(1, MILLISECOND, 0), a_still_clock);
    SAME(tollbar_try_acquire(limiter, KEY("a"), 1), 1);
    for (int at = 0; at < WAITERS; at++) {
        names[at] = at;
        threads[at] = begin(waits_its_turn, &names[at]);
        while (line_of(limiter, "a") != (uint64_t)(at + 2) * MILLISECOND) {
            sched_yield();
        }
    }
    SAME(how_many_came(), 0);
    /* Who does not wait overtakes nobody. */
    for (int at = 0; at < WAITERS; at++) {
        SAME(tollbar_try_acquire(limiter, KEY("a"), 1), 0);
        SAME(tollbar_clock_advance(a_still_clock, (int64_t)MILLISECOND), TOLLBAR_OK);
        while (how_many_came() != at + 1) {
            sched_yield();
        }
        SAME(order[at], at);
    }
    for (int at = 0; at < WAITERS; at++) {
        end(threads[at]);
    }
    SAME(totals_of(limiter).allowed, WAITERS + 1);
    SAME(tollbar_limiter_free(limiter), TOLLBAR_OK);
}

static void *hears_of_the_end(void *with) {
    SAME(tollbar_acquire(*(tollbar_limiter *)with, KEY("a"), NULL, 0, NULL, 0), TOLLBAR_ERROR_CLOSED);
    return NULL;
}

/* Who waits by a handle hears of its end; who waits by another of the same limiter goes on. */
static void freed_while_waited_for(void) {
    for (int again = 0; again < often(50); again++) {
        pthread_t threads[3];
        tollbar_limiter clone;
        limiter = limiter_of(a_rate(1, MILLISECOND, 0), a_still_clock);
        SAME(tollbar_limiter_clone(limiter, &clone), TOLLBAR_OK);
        SAME(tollbar_try_acquire(limiter, KEY("a"), 1), 1);
        for (int at = 0; at < 3; at++) {
            threads[at] = begin(hears_of_the_end, &clone);
            while (line_of(limiter, "a") != (uint64_t)(at + 2) * MILLISECOND) {
                sched_yield();
            }
        }
        int name = 7;
        came = 0;
        const pthread_t patient = begin(waits_its_turn, &name);
        while (line_of(limiter, "a") != 5 * MILLISECOND) {
            sched_yield();
        }
        SAME(tollbar_limiter_free(clone), TOLLBAR_OK);
        for (int at = 0; at < 3; at++) {
            end(threads[at]);
        }
        SAME(how_many_came(), 0);
        SAME(line_of(limiter, "a"), 2 * MILLISECOND);
        SAME(tollbar_clock_advance(a_still_clock, (int64_t)MILLISECOND), TOLLBAR_OK);
        end(patient);
        SAME(order[0], 7);
        SAME(totals_of(limiter).allowed, 2);
        SAME(tollbar_limiter_free(limiter), TOLLBAR_OK);
    }
}

/* What is acquired with a lease is held by a reservation. */
static void with_a_lease(void) {
    tollbar_policy policy;
    tollbar_turn turn;
    SAME(tollbar_policy_new(&policy), TOLLBAR_OK);
    SAME(tollbar_policy_add_in_flight(policy, 1, NULL, 0), TOLLBAR_OK);
    limiter = limiter_of(policy, a_still_clock);
    tollbar_ask ask = asking(1, 0);
    ask.lease_ns = 60 * SECOND;
    ask.gives_back = 1;
    SAME(tollbar_acquire(limiter, KEY("a"), &ask, sizeof ask, &turn, sizeof turn), 1);
    const tollbar_reservation held = turn.reservation;
    CHECK(held.id != 0);
    SAME(tollbar_acquire(limiter, KEY("a"), &ask, sizeof ask, &turn, sizeof turn), 0);
    SAME(turn.reservation.id, 0);
    SAME(tollbar_cancel(held), 1);
    SAME(tollbar_acquire(limiter, KEY("a"), &ask, sizeof ask, &turn, sizeof turn), 1);
    SAME(tollbar_commit(turn.reservation), 1);
    /* A lease that is over was given back. */
    SAME(tollbar_acquire(limiter, KEY("a"), &ask, sizeof ask, &turn, sizeof turn), 1);
    SAME(tollbar_clock_advance(a_still_clock, (int64_t)(60 * SECOND)), TOLLBAR_OK);
    const tollbar_reservation late = turn.reservation;
    SAME(tollbar_acquire(limiter, KEY("a"), &ask, sizeof ask, &turn, sizeof turn), 1);
    SAME(tollbar_commit(late), 0);
    SAME(tollbar_commit(turn.reservation), 1);
    SAME(tollbar_limiter_free(limiter), TOLLBAR_OK);
}

/* By the system's clock, a thread sleeps until its turn by itself. */
static void by_the_systems_clock(void) {
    const tollbar_clock none = {0};
    limiter = limiter_of(a_rate(1, MILLISECOND, 0), none);
    const tollbar_ask ask = asking(1, 3600 * SECOND);
    for (int again = 0; again < 5; again++) {
        SAME(tollbar_acquire(limiter, KEY("a"), &ask, sizeof ask, NULL, 0), 1);
    }
    SAME(totals_of(limiter).allowed, 5);
    SAME(tollbar_limiter_free(limiter), TOLLBAR_OK);
}

int main(void) {
    a_still_clock = a_clock();
    deadlines();
    order_of_arrival();
    freed_while_waited_for();
    with_a_lease();
    by_the_systems_clock();
    SAME(tollbar_clock_free(a_still_clock), TOLLBAR_OK);
    printf("deadlines told at once, %d threads in the order of arrival, %d freed limiters heard of, leases\n", WAITERS,
           often(50));
    return 0;
}
