/*
 * What a call from C costs: nanoseconds per decision, the bare loop taken off, as one line of JSON.
 *
 *     calls COUNT      decisions per sample; with `calls CASE COUNT` one case alone, for a tool that counts
 *
 * benches/decisions.rs does the same in Rust, with the same keys in the same order.
 */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tollbar.h"

enum { KEY_LEN = 30, KEYS = 1000, VISITS = 4096, BATCH = 100, SAMPLES = 5 };

static char keys[KEYS][KEY_LEN + 1];
static unsigned visits[VISITS];
static tollbar_key batch[VISITS];
static tollbar_limiter limiter;
static tollbar_bucket bucket;
static volatile uint64_t sink;

static void must(int32_t status) {
  if (status < 0) {
    fprintf(stderr, "%s\n", tollbar_status_text(status));
    exit(1);
  }
}

static void prepare(void) {
  tollbar_policy policy;
  tollbar_options none = {0};
  char message[200];
  must(tollbar_policy_new(&policy));
  /* Never reached: every decision is a yes. */
  must(tollbar_policy_add_rate(policy, 1000000, 1000000000, message, sizeof message));
  must(tollbar_policy_set(policy, TOLLBAR_SET_BURST, 1000000000, message, sizeof message));
  must(tollbar_limiter_new(TOLLBAR_ABI_VERSION, policy, none, &limiter, message, sizeof message));
  must(tollbar_policy_free(policy));
  uint32_t state = 1;
  for (unsigned at = 0; at < KEYS; at++) {
    snprintf(keys[at], sizeof keys[at], "account-%07u@example.org...", at);
    must(tollbar_try_acquire(limiter, keys[at], KEY_LEN, 1));
  }
  for (unsigned at = 0; at < VISITS; at++) {
    state = state * 1664525u + 1013904223u;
    visits[at] = (state >> 8) % KEYS;
    batch[at].data = keys[visits[at]];
    batch[at].len = KEY_LEN;
  }
  must(tollbar_bucket_new(limiter, keys[0], KEY_LEN, &bucket));
}

static uint64_t bare(uint64_t count) {
  uint64_t done = 0;
  for (uint64_t at = 0; at < count; at++) {
    done += visits[at % VISITS];
    __asm__ volatile("" : "+r"(done));
  }
  return done;
}

static uint64_t empty(uint64_t count) {
  uint64_t done = 0;
  for (uint64_t at = 0; at < count; at++) {
    done += visits[at % VISITS] + tollbar_abi_version();
    __asm__ volatile("" : "+r"(done));
  }
  return done;
}

static uint64_t hot(uint64_t count) {
  uint64_t done = 0;
  for (uint64_t at = 0; at < count; at++) {
    done += visits[at % VISITS] + (uint64_t)tollbar_try_acquire(limiter, keys[0], KEY_LEN, 1);
  }
  return done;
}

static uint64_t thousand(uint64_t count) {
  uint64_t done = 0;
  for (uint64_t at = 0; at < count; at++) {
    done += (uint64_t)tollbar_try_acquire(limiter, keys[visits[at % VISITS]], KEY_LEN, 1);
  }
  return done;
}

static uint64_t held(uint64_t count) {
  uint64_t done = 0;
  for (uint64_t at = 0; at < count; at++) {
    done += visits[at % VISITS] + (uint64_t)tollbar_bucket_try_acquire(bucket, 1);
  }
  return done;
}

static uint64_t batches(uint64_t count) {
  uint8_t answers[BATCH];
  uint64_t done = 0;
  for (uint64_t at = 0; at < count; at += BATCH) {
    done += (uint64_t)tollbar_try_acquire_many(limiter, batch + at % (VISITS - BATCH), BATCH, 1, answers);
  }
  return done;
}

static const struct {
  const char *name;
  uint64_t (*run)(uint64_t);
} cases[] = {{"loop", bare}, {"empty", empty}, {"hot", hot}, {"thousand", thousand}, {"handle", held}, {"batch", batches}};
enum { CASES = sizeof cases / sizeof cases[0] };

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

int main(int argc, char **argv) {
  prepare();
  if (argc == 3) {
    for (unsigned one = 0; one < CASES; one++) {
      if (strcmp(cases[one].name, argv[1]) == 0) sink = cases[one].run(strtoull(argv[2], NULL, 10));
    }
    return 0;
  }
  uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 200000;
  double took[CASES][SAMPLES];
  for (unsigned sample = 0; sample < SAMPLES; sample++) {
    for (unsigned one = 0; one < CASES; one++) {
      double begun = now();
      sink = cases[one].run(count);
      took[one][sample] = (now() - begun) / (double)count;
    }
  }
  for (unsigned one = 0; one < CASES; one++) {
    qsort(took[one], SAMPLES, sizeof took[one][0], ascending);
    double loop = one == 0 ? 0 : took[0][SAMPLES / 2];
    printf("%s\"%s\": %.3f", one == 0 ? "{" : ", ", cases[one].name, took[one][SAMPLES / 2] - loop);
  }
  printf("}\n");
  return 0;
}
