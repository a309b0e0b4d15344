/*
 * A relay that decides, for one account after the other, whether it may go on.
 *
 * Reads accounts from standard input, one a line, each with a cost after a space if it is not 1. Four threads decide about
 * them by one limiter, and print a line for each: the account, and "allowed" or "denied rate 0.360 s". Totals come last.
 *
 *     printf 'a@example.org\nb@example.org 5\n' | ./relay --rate 100 --per 60 --burst 10
 *
 * To be built with
 *
 *     cc -std=c11 -o relay relay.c -pthread $(pkg-config --cflags --libs tollbar)
 */
#define _POSIX_C_SOURCE 200809L

#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tollbar.h>

#define WORKERS 4
#define NANOS_A_SECOND 1000000000.0

static pthread_mutex_t input = PTHREAD_MUTEX_INITIALIZER;

/* Ends the program with what a call of the library said. */
static void must(int32_t status, const char *message) {
    if (status < 0) {
        fprintf(stderr, "relay: %s\n", *message ? message : tollbar_status_text(status));
        exit(1);
    }
}

/* A whole number of at least 1, or the end of the program. */
static uint64_t number(const char *text, const char *what) {
    char *end;
    const unsigned long long value = strtoull(text, &end, 10);
    if (value == 0 || *end != 0 || *text == '-') {
        fprintf(stderr, "relay: %s must be a whole number of at least 1, not %s\n", what, text);
        exit(2);
    }
    return value;
}

/* A limiter of so many in so many seconds. The policy is not needed any more once there is one. */
static tollbar_limiter limiter_of(uint64_t rate, uint64_t per, uint64_t burst) {
    char message[200] = "";
    tollbar_policy policy;
    tollbar_options usual = {0};
    tollbar_limiter limiter;
    must(tollbar_policy_new(&policy), message);
    if (per > UINT64_MAX / 1000000000) {
        fprintf(stderr, "relay: --per must be at most 18446744073 seconds, not %" PRIu64 "\n", per);
        exit(2);
    }
    must(tollbar_policy_add_rate(policy, rate, per * 1000000000, message, sizeof message), message);
    if (burst > 0) {
        must(tollbar_policy_set(policy, TOLLBAR_SET_BURST, burst, message, sizeof message), message);
    }
    must(tollbar_limiter_new(TOLLBAR_ABI_VERSION, policy, usual, &limiter, message, sizeof message), message);
    must(tollbar_policy_free(policy), "");
    return limiter;
}

/* Takes the cost off the end of a line, and the end off the account. */
static uint64_t cost_of(char *line, size_t *length) {
    while (*length > 0 && (line[*length - 1] == '\n' || line[*length - 1] == '\r')) {
        line[--*length] = 0;
    }
    char *space = strrchr(line, ' ');
    if (space == NULL) {
        return 1;
    }
    *length = (size_t)(space - line);
    *space = 0;
    return number(space + 1, "a cost");
}

static void decide(tollbar_limiter limiter, char *line, size_t length) {
    tollbar_decision told;
    const uint64_t cost = cost_of(line, &length);
    must(tollbar_decide(limiter, line, length, cost, &told, sizeof told), "");
    if (told.allowed) {
        printf("%s allowed\n", line);
    } else if (told.retry_after_ns == TOLLBAR_NEVER) {
        printf("%s denied %s\n", line, tollbar_reason_text(told.reason));
    } else {
        const double wait = (double)told.retry_after_ns / NANOS_A_SECOND;
        printf("%s denied %s %.3f s\n", line, tollbar_reason_text(told.reason), wait);
    }
}

/* Handles are values: each thread has its copy of the same one. */
static void *work(void *with) {
    const tollbar_limiter limiter = *(const tollbar_limiter *)with;
    char *line = NULL;
    size_t room = 0;
    for (;;) {
        pthread_mutex_lock(&input);
        const ssize_t length = getline(&line, &room, stdin);
        pthread_mutex_unlock(&input);
        if (length < 0) {
            break;
        }
        decide(limiter, line, (size_t)length);
    }
    free(line);
    return NULL;
}

int main(int count, char **arguments) {
    uint64_t rate = 10000, per = 3600, burst = 0;
    for (int at = 1; at < count; at += 2) {
        const char *name = arguments[at];
        uint64_t *option = strcmp(name, "--rate") == 0    ? &rate
                           : strcmp(name, "--per") == 0   ? &per
                           : strcmp(name, "--burst") == 0 ? &burst
                                                          : NULL;
        if (option == NULL || at + 1 == count) {
            fprintf(stderr, "usage: relay [--rate LIMIT] [--per SECONDS] [--burst TOKENS] < accounts\n");
            return 2;
        }
        *option = number(arguments[at + 1], name);
    }

    tollbar_limiter limiter = limiter_of(rate, per, burst);
    pthread_t workers[WORKERS];
    for (int at = 0; at < WORKERS; at++) {
        if (pthread_create(&workers[at], NULL, work, &limiter) != 0) {
            fprintf(stderr, "relay: no thread to be had\n");
            return 1;
        }
    }
    for (int at = 0; at < WORKERS; at++) {
        pthread_join(workers[at], NULL);
    }

    tollbar_totals totals;
    must(tollbar_stats(limiter, &totals, sizeof totals), "");
    printf("%" PRIu64 " allowed, %" PRIu64 " denied, %" PRIu64 " accounts\n", totals.allowed, totals.denied, totals.keys);
    must(tollbar_limiter_free(limiter), "");
    return 0;
}
