/* A decision about a known key allocates nothing and calls the system not at all, whatever the answer. */
#include "check.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static uint64_t allocations;

/* Sanitizers and valgrind bring allocators and system calls of their own; they say so by asking for less. */
static int is_watched(void) { return getenv("TOLLBAR_TEST_DIVISOR") != NULL && atoi(getenv("TOLLBAR_TEST_DIVISOR")) > 1; }

#if !defined(__SANITIZE_ADDRESS__)
#ifdef __cplusplus
extern "C" {
#endif
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

void *malloc(size_t size) {
    __atomic_fetch_add(&allocations, 1, __ATOMIC_SEQ_CST);
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    __atomic_fetch_add(&allocations, 1, __ATOMIC_SEQ_CST);
    return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size) {
    __atomic_fetch_add(&allocations, 1, __ATOMIC_SEQ_CST);
    return __libc_realloc(old, size);
}

int posix_memalign(void **place, size_t alignment, size_t size) {
    __atomic_fetch_add(&allocations, 1, __ATOMIC_SEQ_CST);
    *place = __libc_memalign(alignment, size);
    return *place == NULL ? ENOMEM : 0;
}
#ifdef __cplusplus
}
#endif
#endif

static tollbar_limiter wide, narrow;
static tollbar_bucket bucket;

static int64_t decide(int times) {
    int64_t passed = 0;
    for (int at = 0; at < times; at++) {
        passed += tollbar_try_acquire(wide, KEY("a"), 1);
        passed += tollbar_bucket_try_acquire(bucket, 1);
        passed += tollbar_try_acquire(narrow, KEY("a"), 1);
    }
    return passed;
}

static uint64_t allocations_now(void) { return __atomic_load_n(&allocations, __ATOMIC_SEQ_CST); }

/* In a child that may do no more than read, write and end: whatever else calls the system is killed for it. */
static void alone(int times) {
    decide(1);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0) {
        _exit(2);
    }
    int64_t passed = decide(times);
    syscall(SYS_exit, passed == 2 * (int64_t)times ? 0 : 1);
}

static tollbar_clock the_system(void) {
    tollbar_clock clock;
    clock.id = 0;
    return clock;
}

int main(void) {
    int times = often(350000);
    wide = limiter_of(a_rate(10000000, SECOND, 1000000000), the_system());
    narrow = limiter_of(a_rate(1, 100000 * SECOND, 1), the_system());
    SAME(tollbar_bucket_new(wide, KEY("a"), &bucket), 1);
    SAME(decide(1), 3);
    SAME(decide(1), 2);

    uint64_t before = allocations_now();
    SAME(decide(times), 2 * (int64_t)times);
    uint64_t made = allocations_now() - before;
    CHECK(made == 0 || is_watched());
#if !defined(__SANITIZE_ADDRESS__)
    /* They are counted, or this says nothing. */
    SAME(tollbar_try_acquire(wide, KEY("somebody new, and with a name that does not fit in a slot"), 1), 1);
    CHECK(allocations_now() > before || is_watched());
#endif

    if (!is_watched()) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            alone(times);
        }
        int how = 0;
        SAME(waitpid(child, &how, 0), child);
        CHECK(WIFEXITED(how));
        SAME(WEXITSTATUS(how), 0);
    }
    SAME(tollbar_bucket_free(bucket), TOLLBAR_OK);
    SAME(tollbar_limiter_free(wide), TOLLBAR_OK);
    SAME(tollbar_limiter_free(narrow), TOLLBAR_OK);
    printf("%d decisions, yes and no: %" PRIu64 " allocations, no system call\n", 3 * times, made);
    return 0;
}
