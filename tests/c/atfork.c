/* A program's own handlers of fork call the library: they run between the library's handlers. HAZARD c-fork */
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define FORKS 8

static tollbar_limiter limiter;
static unsigned prepared, in_parent, in_child;

/* A known key, and one that needs a place. */
static void decide(const char *where, unsigned number) {
    char key[32];
    const int len = snprintf(key, sizeof key, "%s %u", where, number);
    SAME(tollbar_try_acquire(limiter, KEY("a"), 1), 1);
    SAME(tollbar_try_acquire(limiter, key, (size_t)len, 1), 1);
    tollbar_limiter other;
    SAME(tollbar_limiter_clone(limiter, &other), TOLLBAR_OK);
    SAME(tollbar_limiter_free(other), TOLLBAR_OK);
}

static void prepare(void) {
    decide("prepare", ++prepared);
}

static void parent(void) {
    decide("parent", ++in_parent);
}

static void child(void) {
    decide("child", ++in_child);
}

static void fork_one(void) {
    const pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        alarm(60);
        decide("after", in_child);
        _exit(in_child == 1 ? 0 : 1);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(!WIFSIGNALED(status));
    SAME(WEXITSTATUS(status), 0);
}

int main(void) {
    /* Before the library registers its own: this `prepare` runs after that one, the other two before those. */
    CHECK(pthread_atfork(prepare, parent, child) == 0);
    /* A fork that waits for itself is ended by this. */
    alarm(100);
    const tollbar_clock none = {0};
    limiter = limiter_of(a_rate(1000, 1000000 * SECOND, 0), none);
    for (int at = 0; at < FORKS; at++) {
        fork_one();
    }
    SAME(prepared, FORKS);
    SAME(in_parent, FORKS);
    SAME(in_child, 0);
    SAME(tollbar_limiter_free(limiter), TOLLBAR_OK);
    printf("%d forks with handlers that decide before, after, and in the child\n", FORKS);
    return 0;
}
