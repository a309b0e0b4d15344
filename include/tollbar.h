/*
 * tollbar: may this key do this much now?
 *
 * CONVENTIONS
 *
 * Answers. A function that answers a question returns 1 for yes (allowed) and 0 for no (denied); one
 * that only does something returns TOLLBAR_OK. A negative number is a status, TOLLBAR_ERROR_...:
 * nothing was charged, nothing was created, and no out-parameter but a message was written. A denial
 * is an answer and not an error. tollbar_status_text says what a status means.
 *
 * Messages. Functions that build something take a buffer for text, `message`, and its size: it says
 * which argument broke which rule by which value, is cut where the room ends, and always ends with a
 * NUL. It may be NULL. There is no last error to ask for: threads and goroutines never mix theirs up.
 *
 * Keys are a pointer and a length in bytes, and need no NUL at their end: a NUL is one of the bytes. Two
 * keys are the same if their bytes are. A length of 0 is the empty key, and its pointer may be NULL.
 *
 * Durations are nanoseconds (`_ns`), rounded up. TOLLBAR_NEVER is a duration without end.
 *
 * Costs. A request has one cost for all limits of its key, and may give limits a cost of their own by their
 * names: an array of tollbar_cost and its count (NULL if the count is 0). A name that no limit of the limiter has
 * gives TOLLBAR_ERROR_INVALID.
 *
 * Handles are structures with a number in them, passed by value. One that is all zero stands for
 * nothing, and may be freed. Every call checks a handle before it follows it: one that was freed, that
 * is of another kind, or that never was one, gives TOLLBAR_ERROR_HANDLE, also if another thread frees it
 * in the middle of the call. A handle means nothing in another process but a forked child, which has a
 * copy of everything as it was at the fork: budgets are each process's own.
 *
 * Ownership. What a `_new`, `_clone`, `_with_policy`, tollbar_reserve or tollbar_join gives is the
 * caller's, to be ended by the function that its comment names. Pointers are borrowed for the call; nothing
 * that the library returns is to be freed by the caller, and static text lives as long as the library.
 *
 * Threads. Every function may be called by any thread at any time, also by one that the program has
 * made itself, and on the same handle. None may be called from a signal handler. There are no callbacks, and
 * no state of a thread that a caller could see.
 *
 * Structures that are written or read have their size beside them, `sizeof` of it, so that they can
 * grow at their end: the sizes that a structure had in older headers stay valid, and any other size that
 * the library does not know gives TOLLBAR_ERROR_SIZE. Pointers to results that are not
 * wanted may be NULL where the comment says so; all others must not be.
 *
 * Cost. tollbar_try_acquire of a known key and tollbar_bucket_try_acquire lock nothing, allocate nothing
 * (but for a few words at a thread's first call) and call the system not at all.
 *
 * Forks. A fork waits until no other thread is inside a call, for a second at most.
 */


#ifndef TOLLBAR_H
#define TOLLBAR_H

/* Generated from src/capi by cbindgen; not to be edited by hand. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The version of this header, which tollbar_version tells of the library. */
#define TOLLBAR_VERSION_MAJOR 0
#define TOLLBAR_VERSION_MINOR 1
#define TOLLBAR_VERSION_PATCH 0
#define TOLLBAR_VERSION "0.1.0"

// Version of the binary interface, to be given to `tollbar_limiter_new`. It changes when a program must be compiled anew.
#define TOLLBAR_ABI_VERSION 1

// A duration without end: a request that can never pass, a wait without a deadline.
#define TOLLBAR_NEVER UINT64_MAX

// The longest key, in bytes.
#define TOLLBAR_MAX_KEY_LEN (1 << 20)

// The most limits that a policy can have.
#define TOLLBAR_MAX_LIMITS 16

// Done.
#define TOLLBAR_OK 0

// Neither yes nor no yet: a place in a line.
#define TOLLBAR_WAITING 2

// An argument is outside its rule; where there is a message buffer, it says which, and the rule.
#define TOLLBAR_ERROR_INVALID -1

// A key of more than `TOLLBAR_MAX_KEY_LEN` bytes.
#define TOLLBAR_ERROR_KEY_TOO_LONG -2

// More different policies in one limiter than there are numbers for (2^24).
#define TOLLBAR_ERROR_TOO_MANY_POLICIES -3

// A pointer is NULL that must not be.
#define TOLLBAR_ERROR_NULL -4

// The handle was freed, or never was one of this kind in this process.
#define TOLLBAR_ERROR_HANDLE -5

// A structure of a size that this library does not know.
#define TOLLBAR_ERROR_SIZE -6

// The program was compiled with a header of another `TOLLBAR_ABI_VERSION`.
#define TOLLBAR_ERROR_ABI -7

// A mistake in the library; the call was stopped, and what it did is not known.
#define TOLLBAR_ERROR_PANIC -8

// No room for another handle: 4,194,304 of a kind live.
#define TOLLBAR_ERROR_TOO_MANY_HANDLES -9

// The limiter's handle was freed while it was waited by.
#define TOLLBAR_ERROR_CLOSED -10

// The lengths of packed keys do not add up to the size of the buffer.
#define TOLLBAR_ERROR_LENGTHS -11

// As many keys as the limiter may hold have limits of their own already.
#define TOLLBAR_ERROR_TOO_MANY_OWN_LIMITS -12

// Reasons of a denial: too few tokens.
#define TOLLBAR_REASON_RATE 1

// A window holds too many requests.
#define TOLLBAR_REASON_WINDOW 2

// Too much is reserved and has not ended.
#define TOLLBAR_REASON_IN_FLIGHT 3

// The key is in a timeout, for it was denied too often.
#define TOLLBAR_REASON_JAIL 4

// More than a limit can ever hold.
#define TOLLBAR_REASON_NEVER 5

// The table is full, none of its accounts could go, and this key is not among them.
#define TOLLBAR_REASON_FULL 6

// A limit of the key lets nothing pass at all.
#define TOLLBAR_REASON_CLOSED 7

// The program has blocked the key until some time.
#define TOLLBAR_REASON_BLOCKED 8

// How many reasons `tollbar_totals` has room for, those to come included.
#define TOLLBAR_REASONS 16

// For `tollbar_policy_set`, a rate's burst in tokens: the most that passes at once; the limit unless set.
#define TOLLBAR_SET_BURST 1

// A rate never exceeds its limit in any window of its period (1 or 0); the price is a slower refill. The bound counts by the
// clock readings that decide: in real time, with a token in every T, it is limit + tick / T (see `tollbar_policy_add_rate`).
#define TOLLBAR_SET_STRICT 2

// The limit only counts what it would have denied (1 or 0).
#define TOLLBAR_SET_SHADOW 3

// A window counts in so many steps, in memory that does not grow with the limit; room comes back up to a step late.
#define TOLLBAR_SET_STEPS 4

// A window holds a request still when it is exactly as old as the window is wide (1 or 0).
#define TOLLBAR_SET_CLOSED_EDGE 5

// For `tollbar_options_set`, the most accounts in the table: 1 to 2^25; 1,000,000 unless set.
#define TOLLBAR_OPTION_MAX_KEYS 1

// What answers an unknown key when the table is full and nobody has refilled: one of `TOLLBAR_FULL_...`.
#define TOLLBAR_OPTION_WHEN_FULL 2

// It is denied; the usual.
#define TOLLBAR_FULL_DENY 0

// It passes, without an account.
#define TOLLBAR_FULL_ALLOW 1

// The account of a sample that owes least goes.
#define TOLLBAR_FULL_EVICT_LEAST 2

// For `tollbar_reconfigure`: what was spent stays spent, token by token.
#define TOLLBAR_MIGRATE_AS_IS 0

// The share that was spent stays spent.
#define TOLLBAR_MIGRATE_PROPORTIONAL 1

// The account is as good as new.
#define TOLLBAR_MIGRATE_RESET 2

// The most costs of their own that one request can give its limits.
#define TOLLBAR_MAX_COSTS 256

// Room for a limit's name in a `tollbar_decision` or a `tollbar_limit_state`, the NUL included; longer names are cut.
#define TOLLBAR_LIMIT_NAME_SIZE 64

// Limits that are being put together.
typedef struct tollbar_policy {
  // 0 stands for nothing.
  uint64_t id;
} tollbar_policy;

// A clock that moves only when it is moved, for tests.
typedef struct tollbar_clock {
  // 0 stands for nothing.
  uint64_t id;
} tollbar_clock;

// How a limiter is to be.
typedef struct tollbar_options {
  // 0 stands for nothing.
  uint64_t id;
} tollbar_options;

// Limits many keys, each on its own.
typedef struct tollbar_limiter {
  // 0 stands for nothing.
  uint64_t id;
} tollbar_limiter;

// One answer, with what the asker needs to act on it. Durations are nanoseconds, rounded up.
typedef struct tollbar_decision {
  // How long until the same request would pass if nobody else asks: 0 when allowed, `TOLLBAR_NEVER` never.
  uint64_t retry_after_ns;
  // What could still pass at once after this decision.
  uint64_t remaining;
  // How long until the key equals one never seen.
  uint64_t reset_after_ns;
  // Why not, a `TOLLBAR_REASON_...`; 0 when allowed.
  int32_t reason;
  // Whether the cost was charged (or, for a peek, would have been).
  bool allowed;
  // A shadow limit would have said no; it let the request pass and charged nothing.
  bool shadowed;
  // `retry_after_ns` is an upper bound: it is shorter if a reservation ends before its lease is over.
  bool estimated;
  // 0.
  uint8_t reserved[1];
  // The name of the limit that denied, or would have, and a NUL: of several, the one that has to wait longest.
  char limit[TOLLBAR_LIMIT_NAME_SIZE];
} tollbar_decision;

// What a request costs the limit of this name. Limits that no cost names cost what the request says beside them.
typedef struct tollbar_cost {
  // The limit's name, UTF-8 of `limit_len` bytes. Of two equal names the last one counts.
  const char *limit;
  // How many bytes the name has.
  size_t limit_len;
  // Tokens, requests or places.
  uint64_t cost;
} tollbar_cost;

// A key's bytes; NUL is one of them.
typedef struct tollbar_key {
  // Where they begin.
  const char *data;
  // How many they are.
  size_t len;
} tollbar_key;

// The account of one key, which it keeps from eviction.
typedef struct tollbar_bucket {
  // 0 stands for nothing.
  uint64_t id;
} tollbar_bucket;

// What was reserved and has not ended.
typedef struct tollbar_reservation {
  // 0 stands for nothing.
  uint64_t id;
} tollbar_reservation;

// What a caller waits for. All zero but the cost: a timeout of nothing, and nothing is held. A program that was compiled with
// a header whose structure ended before `costs` gives that size, and names no limits.
typedef struct tollbar_ask {
  // Tokens.
  uint64_t cost;
  // Not if it takes longer than this; `TOLLBAR_NEVER` waits for as long as it takes.
  uint64_t timeout_ns;
  // What is acquired is held by a reservation for so long (`TOLLBAR_NEVER`: until it is ended); 0: it is charged, and nothing
  // is held.
  uint64_t lease_ns;
  // Lower ones are served first, equal ones in the order of arrival: 0, which is usual, to 127.
  uint32_t priority;
  // A reservation whose lease is over is given back (1), or counts as used (0).
  uint32_t gives_back;
  // Limits with a cost of their own; NULL if `costs_count` is 0. Borrowed for the call.
  const struct tollbar_cost *costs;
  // How many of them there are, at most `TOLLBAR_MAX_COSTS`.
  size_t costs_count;
} tollbar_ask;

// A place in a key's line.
typedef struct tollbar_place {
  // 0 stands for nothing.
  uint64_t id;
} tollbar_place;

// What somebody finds who waits.
typedef struct tollbar_turn {
  // The place in the line, to look again with; stands for nothing unless the answer was `TOLLBAR_WAITING`.
  struct tollbar_place place;
  // What is held, where the turn has come and a lease was asked for.
  struct tollbar_reservation reservation;
  // Look again after so long, if nothing tells earlier; `TOLLBAR_NEVER`: when told.
  uint64_t look_after_ns;
  // Of a turn that would come too late: after how long, as far as is known. `TOLLBAR_NEVER`: the turn never comes if `never`
  // is set, and else the time is not known (a reservation without an end must end first, or the table is full).
  uint64_t retry_after_ns;
  // The turn never comes: more is asked for than a limit of the key ever lets pass.
  bool never;
  // 0.
  uint8_t reserved[7];
  // Of a turn of several keys that would come too late, or never: the number of the key that this is about.
  size_t denied_by;
} tollbar_turn;

// Tells which places to look at.
typedef struct tollbar_wakeups {
  // 0 stands for nothing.
  uint64_t id;
} tollbar_wakeups;

// What one limit of a key counts. Durations are nanoseconds, rounded up.
typedef struct tollbar_limit_state {
  // What passes at most: a rate's burst, a window's limit, places, denials of a jail.
  uint64_t limit;
  // Tokens owed, requests in the window, places taken; of a jail, 1 while it holds.
  uint64_t used;
  // What could pass at once, by this limit alone.
  uint64_t remaining;
  // How long until the limit counts nothing; `TOLLBAR_NEVER` while a reservation without an end is counted.
  uint64_t reset_after_ns;
  // How long until the limit lets the request pass that was asked about; `TOLLBAR_NEVER`: see `can_pass`.
  uint64_t retry_after_ns;
  // The kind of the limit: the `TOLLBAR_REASON_...` that it denies for.
  int32_t kind;
  // `retry_after_ns` is an upper bound: it is shorter if a reservation ends before its lease is over.
  bool estimated;
  // Whether the request can ever pass.
  bool can_pass;
  // The limit only counts what it would have denied.
  bool shadow;
  // 0.
  uint8_t reserved[1];
  // The limit's name and a NUL.
  char name[TOLLBAR_LIMIT_NAME_SIZE];
} tollbar_limit_state;

// Totals since a limiter was made.
typedef struct tollbar_totals {
  // Requests that passed.
  uint64_t allowed;
  // Requests that were refused, those by a full table included.
  uint64_t denied;
  // Requests that a shadow limit would have refused.
  uint64_t shadow_denied;
  // Accounts dropped to make room.
  uint64_t evicted;
  // Those among them that still owed something.
  uint64_t forgiven;
  // Requests of unknown keys that met a full table.
  uint64_t full;
  // Accounts now in the table.
  uint64_t keys;
  // The most accounts that any one insertion looked at.
  uint64_t most_looks;
  // Keys that have limits of their own.
  uint64_t own_limits;
  // Requests that were refused, by their `TOLLBAR_REASON_...`; at 0 those who waited and whose turn did not come in time.
  uint64_t denied_by_reason[TOLLBAR_REASONS];
} tollbar_totals;

// Every function of this header but `tollbar_api_table`, each under its name without `tollbar_`: for code that is handed
// this table and does not link the library. Who is handed one compares `abi` with `TOLLBAR_ABI_VERSION` first, then makes sure
// that `size` is at least `sizeof(struct tollbar_api)`. Under one `TOLLBAR_ABI_VERSION` new functions are appended, and none is
// moved or taken away.
typedef struct tollbar_api {
  // Of the table, in bytes.
  size_t size;
  // The `TOLLBAR_ABI_VERSION` of the library that it belongs to.
  uint32_t abi;
  const char *(*version)(void);
  uint32_t (*abi_version)(void);
  const char *(*status_text)(int32_t status);
  const char *(*reason_text)(int32_t reason);
  int32_t (*policy_new)(struct tollbar_policy *policy);
  int32_t (*policy_add_rate)(struct tollbar_policy policy,
                             uint64_t limit,
                             uint64_t period_ns,
                             char *message,
                             size_t message_size);
  int32_t (*policy_add_window)(struct tollbar_policy policy,
                               uint64_t limit,
                               uint64_t per_ns,
                               char *message,
                               size_t message_size);
  int32_t (*policy_add_in_flight)(struct tollbar_policy policy,
                                  uint64_t limit,
                                  char *message,
                                  size_t message_size);
  int32_t (*policy_add_jail)(struct tollbar_policy policy,
                             uint64_t denials,
                             uint64_t within_ns,
                             uint64_t duration_ns,
                             char *message,
                             size_t message_size);
  int32_t (*policy_set)(struct tollbar_policy policy,
                        int32_t what,
                        uint64_t value,
                        char *message,
                        size_t message_size);
  int32_t (*policy_set_name)(struct tollbar_policy policy,
                             const char *name,
                             size_t name_len,
                             char *message,
                             size_t message_size);
  int32_t (*policy_set_escalation)(struct tollbar_policy policy,
                                   double factor,
                                   uint64_t longest_ns,
                                   char *message,
                                   size_t message_size);
  int32_t (*policy_free)(struct tollbar_policy policy);
  int32_t (*clock_new)(uint64_t start_ns, struct tollbar_clock *clock);
  int32_t (*clock_advance)(struct tollbar_clock clock, int64_t delta_ns);
  int32_t (*clock_now)(struct tollbar_clock clock, uint64_t *now_ns);
  int32_t (*clock_free)(struct tollbar_clock clock);
  int32_t (*options_new)(struct tollbar_options *options);
  int32_t (*options_set)(struct tollbar_options options,
                         int32_t what,
                         uint64_t value,
                         char *message,
                         size_t message_size);
  int32_t (*options_set_clock)(struct tollbar_options options, struct tollbar_clock clock);
  int32_t (*options_free)(struct tollbar_options options);
  int32_t (*limiter_new)(uint32_t abi_version,
                         struct tollbar_policy policy,
                         struct tollbar_options options,
                         struct tollbar_limiter *limiter,
                         char *message,
                         size_t message_size);
  int32_t (*limiter_clone)(struct tollbar_limiter limiter, struct tollbar_limiter *clone);
  int32_t (*limiter_with_policy)(struct tollbar_limiter limiter,
                                 struct tollbar_policy policy,
                                 struct tollbar_limiter *other,
                                 char *message,
                                 size_t message_size);
  int32_t (*limiter_free)(struct tollbar_limiter limiter);
  int32_t (*try_acquire)(struct tollbar_limiter limiter,
                         const char *key,
                         size_t key_len,
                         uint64_t cost);
  int32_t (*decide)(struct tollbar_limiter limiter,
                    const char *key,
                    size_t key_len,
                    uint64_t cost,
                    struct tollbar_decision *decision,
                    size_t decision_size);
  int32_t (*peek)(struct tollbar_limiter limiter,
                  const char *key,
                  size_t key_len,
                  uint64_t cost,
                  struct tollbar_decision *decision,
                  size_t decision_size);
  int32_t (*try_acquire_many)(struct tollbar_limiter limiter,
                              const struct tollbar_key *keys,
                              size_t count,
                              uint64_t cost,
                              uint8_t *answers);
  int32_t (*try_acquire_packed)(struct tollbar_limiter limiter,
                                const char *data,
                                size_t size,
                                const uint32_t *lengths,
                                size_t count,
                                uint64_t cost,
                                uint8_t *answers);
  int32_t (*try_acquire_all)(struct tollbar_limiter limiter,
                             const struct tollbar_key *keys,
                             size_t count,
                             uint64_t cost,
                             struct tollbar_decision *decision,
                             size_t decision_size,
                             size_t *denied_by);
  int32_t (*bucket_new)(struct tollbar_limiter limiter,
                        const char *key,
                        size_t key_len,
                        struct tollbar_bucket *bucket);
  int32_t (*bucket_try_acquire)(struct tollbar_bucket bucket, uint64_t cost);
  int32_t (*bucket_peek)(struct tollbar_bucket bucket,
                         uint64_t cost,
                         struct tollbar_decision *decision,
                         size_t decision_size);
  int32_t (*bucket_free)(struct tollbar_bucket bucket);
  int32_t (*reserve)(struct tollbar_limiter limiter,
                     const char *key,
                     size_t key_len,
                     uint64_t cost,
                     uint64_t lease_ns,
                     bool gives_back,
                     struct tollbar_reservation *reservation,
                     struct tollbar_decision *decision,
                     size_t decision_size);
  int32_t (*commit)(struct tollbar_reservation reservation);
  int32_t (*commit_actual)(struct tollbar_reservation reservation, uint64_t actual);
  int32_t (*cancel)(struct tollbar_reservation reservation);
  int32_t (*acquire)(struct tollbar_limiter limiter,
                     const char *key,
                     size_t key_len,
                     const struct tollbar_ask *ask,
                     size_t ask_size,
                     struct tollbar_turn *turn,
                     size_t turn_size);
  int32_t (*join)(struct tollbar_limiter limiter,
                  const char *key,
                  size_t key_len,
                  const struct tollbar_ask *ask,
                  size_t ask_size,
                  struct tollbar_wakeups wakeups,
                  uint64_t token,
                  struct tollbar_turn *turn,
                  size_t turn_size);
  int32_t (*look)(struct tollbar_place place, struct tollbar_turn *turn, size_t turn_size);
  int32_t (*leave)(struct tollbar_place place);
  int32_t (*wakeups_new)(struct tollbar_wakeups *wakeups);
  int32_t (*wakeups_next)(struct tollbar_wakeups wakeups,
                          uint64_t timeout_ns,
                          uint64_t *tokens,
                          size_t capacity);
  int32_t (*wakeups_tell)(struct tollbar_wakeups wakeups, uint64_t token);
  int32_t (*wakeups_free)(struct tollbar_wakeups wakeups);
  int32_t (*reset)(struct tollbar_limiter limiter, const char *key, size_t key_len);
  int32_t (*reconfigure)(struct tollbar_limiter limiter,
                         const char *key,
                         size_t key_len,
                         struct tollbar_policy policy,
                         int32_t migration,
                         char *message,
                         size_t message_size);
  int32_t (*release)(struct tollbar_limiter limiter, const char *key, size_t key_len);
  int32_t (*penalize)(struct tollbar_limiter limiter, const char *key, size_t key_len);
  int32_t (*contains)(struct tollbar_limiter limiter, const char *key, size_t key_len);
  int32_t (*stats)(struct tollbar_limiter limiter, struct tollbar_totals *totals, size_t totals_size);
  int32_t (*shadow_denied)(struct tollbar_limiter limiter,
                           const char *name,
                           size_t name_len,
                           uint64_t *count);
  int32_t (*policy_add_closed)(struct tollbar_policy policy, char *message, size_t message_size);
  int32_t (*decide_costs)(struct tollbar_limiter limiter,
                          const char *key,
                          size_t key_len,
                          uint64_t cost,
                          const struct tollbar_cost *costs,
                          size_t costs_count,
                          struct tollbar_decision *decision,
                          size_t decision_size);
  int32_t (*peek_costs)(struct tollbar_limiter limiter,
                        const char *key,
                        size_t key_len,
                        uint64_t cost,
                        const struct tollbar_cost *costs,
                        size_t costs_count,
                        struct tollbar_decision *decision,
                        size_t decision_size);
  int32_t (*try_acquire_all_costs)(struct tollbar_limiter limiter,
                                   const struct tollbar_key *keys,
                                   size_t count,
                                   uint64_t cost,
                                   const struct tollbar_cost *costs,
                                   size_t costs_count,
                                   struct tollbar_decision *decision,
                                   size_t decision_size,
                                   size_t *denied_by);
  int32_t (*reserve_costs)(struct tollbar_limiter limiter,
                           const char *key,
                           size_t key_len,
                           uint64_t cost,
                           const struct tollbar_cost *costs,
                           size_t costs_count,
                           uint64_t lease_ns,
                           bool gives_back,
                           struct tollbar_reservation *reservation,
                           struct tollbar_decision *decision,
                           size_t decision_size);
  int32_t (*commit_costs)(struct tollbar_reservation reservation,
                          uint64_t actual,
                          const struct tollbar_cost *costs,
                          size_t costs_count);
  int32_t (*renew)(struct tollbar_reservation reservation, uint64_t lease_ns);
  int32_t (*follow_default)(struct tollbar_limiter limiter,
                            const char *key,
                            size_t key_len,
                            int32_t migration);
  int32_t (*set_limits)(struct tollbar_limiter limiter,
                        struct tollbar_policy policy,
                        int32_t migration,
                        char *message,
                        size_t message_size);
  int32_t (*block)(struct tollbar_limiter limiter,
                   const char *key,
                   size_t key_len,
                   uint64_t length_ns);
  int32_t (*drain)(struct tollbar_limiter limiter,
                   const char *key,
                   size_t key_len,
                   uint64_t to,
                   const char *limit,
                   size_t limit_len);
  int32_t (*inspect)(struct tollbar_limiter limiter,
                     const char *key,
                     size_t key_len,
                     uint64_t cost,
                     const struct tollbar_cost *costs,
                     size_t costs_count,
                     struct tollbar_limit_state *states,
                     size_t capacity,
                     size_t state_size);
  int32_t (*parts)(struct tollbar_limiter limiter);
  int32_t (*keys)(struct tollbar_limiter limiter,
                  size_t part,
                  char *data,
                  size_t *size,
                  uint32_t *lengths,
                  size_t capacity);
  int32_t (*denied_by_limit)(struct tollbar_limiter limiter,
                             const char *name,
                             size_t name_len,
                             uint64_t *count);
  int32_t (*policy_add_calendar)(struct tollbar_policy policy,
                                 uint64_t limit,
                                 const int64_t *boundaries_ns,
                                 size_t count,
                                 char *message,
                                 size_t message_size);
  int32_t (*acquire_all)(struct tollbar_limiter limiter,
                         const struct tollbar_key *keys,
                         size_t count,
                         const struct tollbar_ask *ask,
                         size_t ask_size,
                         struct tollbar_turn *turn,
                         size_t turn_size);
  int32_t (*join_all)(struct tollbar_limiter limiter,
                      const struct tollbar_key *keys,
                      size_t count,
                      const struct tollbar_ask *ask,
                      size_t ask_size,
                      struct tollbar_wakeups wakeups,
                      uint64_t token,
                      struct tollbar_turn *turn,
                      size_t turn_size);
} tollbar_api;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The library's version, as `TOLLBAR_VERSION` is the header's: static text.
const char *tollbar_version(void);

// The library's version of the binary interface, as `TOLLBAR_ABI_VERSION` is the header's.
uint32_t tollbar_abi_version(void);

// What a status says, in words: static text, never NULL.
const char *tollbar_status_text(int32_t status);

// The word for a reason, the same in every language ("rate", "window"): static text, empty for none.
const char *tollbar_reason_text(int32_t reason);

// An empty policy. To be freed with `tollbar_policy_free`, at any time: limiters keep what they were made with.
int32_t tollbar_policy_new(struct tollbar_policy *policy);

// Adds a token bucket: `limit` tokens flow in per `period_ns`, and as many pass at once unless `TOLLBAR_SET_BURST` says
// otherwise. Its name is "100 per 60 s".
//
// With a token in every T and a burst of B, a window of w admits at most B + w / T by the clock readings that decide. A yes may
// be decided by a reading up to one tick old (10 ms at most, typically 4 ms or 1 ms), so in real time the bound is
// B + (w + tick) / T.
int32_t tollbar_policy_add_rate(struct tollbar_policy policy,
                                uint64_t limit,
                                uint64_t period_ns,
                                char *message,
                                size_t message_size);

// Adds an exact sliding window: at most `limit`, which is at most 2^53, in any `per_ns`. Its name is "100 in 60 s".
// Memory follows the requests that it remembers, whatever they cost.
int32_t tollbar_policy_add_window(struct tollbar_policy policy,
                                  uint64_t limit,
                                  uint64_t per_ns,
                                  char *message,
                                  size_t message_size);

// Adds a limit of what is reserved and has not ended. Its name is "5 in flight".
int32_t tollbar_policy_add_in_flight(struct tollbar_policy policy,
                                     uint64_t limit,
                                     char *message,
                                     size_t message_size);

// Adds a timeout of `duration_ns` for a key that is denied `denials` times within `within_ns` by the limits beside it. Its name
// is "jail".
int32_t tollbar_policy_add_jail(struct tollbar_policy policy,
                                uint64_t denials,
                                uint64_t within_ns,
                                uint64_t duration_ns,
                                char *message,
                                size_t message_size);

// Adds a limit that lets nothing pass, ever: a key that may not send. Its name is "closed". Such a denial has the reason
// `TOLLBAR_REASON_CLOSED`; a cost of 0 passes.
int32_t tollbar_policy_add_closed(struct tollbar_policy policy,
                                  char *message,
                                  size_t message_size);

// Changes the limit that was added last: `what` is one of `TOLLBAR_SET_...`. If it is refused, the limit stays as it was.
int32_t tollbar_policy_set(struct tollbar_policy policy,
                           int32_t what,
                           uint64_t value,
                           char *message,
                           size_t message_size);

// Names the limit that was added last, as decisions will name it: UTF-8 of `name_len` bytes. Names in a policy differ.
int32_t tollbar_policy_set_name(struct tollbar_policy policy,
                                const char *name,
                                size_t name_len,
                                char *message,
                                size_t message_size);

// Makes each timeout in a row of the jail that was added last `factor` times as long as the one before, up to `longest_ns`
// (`TOLLBAR_NEVER`: 4.5 years).
int32_t tollbar_policy_set_escalation(struct tollbar_policy policy,
                                      double factor,
                                      uint64_t longest_ns,
                                      char *message,
                                      size_t message_size);

// Frees a policy. Of one that stands for nothing: does nothing.
int32_t tollbar_policy_free(struct tollbar_policy policy);

// Adds a limit by the calendar: at most `limit` in each period. The periods begin at these `count` moments, in nanoseconds of
// Unix time, each later than the one before; 2 at least, and at most 4.5 years apart. Beyond either end the length there
// repeats. Its name is "100 a period". With `boundaries_ns` of NULL and a `count` of 0 the periods are days of UTC, and its name
// is "100 a day in UTC".
//
// A key reads the wall clock when a period begins for it: a later step of the wall clock does not change that period's end.
// What is reserved counts until it ends, and then in the period in which it ends. The moments are copied.
int32_t tollbar_policy_add_calendar(struct tollbar_policy policy,
                                    uint64_t limit,
                                    const int64_t *boundaries_ns,
                                    size_t count,
                                    char *message,
                                    size_t message_size);

// A clock that reads `start_ns`; its wall clock reads the same, as nanoseconds of Unix time. To be freed with
// `tollbar_clock_free`, at any time: limiters keep what they were made with.
int32_t tollbar_clock_new(uint64_t start_ns,
                          struct tollbar_clock *clock);

// Moves the clock, backwards when negative; never below 0. Wakes the waiters whose time has
// come: threads in `tollbar_acquire`, and places by their tokens.
int32_t tollbar_clock_advance(struct tollbar_clock clock, int64_t delta_ns);

// What the clock reads.
int32_t tollbar_clock_now(struct tollbar_clock clock, uint64_t *now_ns);

// Frees a clock. Of one that stands for nothing: does nothing.
int32_t tollbar_clock_free(struct tollbar_clock clock);

// The usual options. To be freed with `tollbar_options_free`, at any time.
int32_t tollbar_options_new(struct tollbar_options *options);

// Changes an option: `what` is one of `TOLLBAR_OPTION_...`.
int32_t tollbar_options_set(struct tollbar_options options,
                            int32_t what,
                            uint64_t value,
                            char *message,
                            size_t message_size);

// Decides by this clock, not by the system's.
int32_t tollbar_options_set_clock(struct tollbar_options options, struct tollbar_clock clock);

// Frees options. Of those that stand for nothing: does nothing.
int32_t tollbar_options_free(struct tollbar_options options);

// A limiter of this policy. `abi_version` is `TOLLBAR_ABI_VERSION`; `options` may stand for nothing. To be freed with
// `tollbar_limiter_free`.
int32_t tollbar_limiter_new(uint32_t abi_version,
                            struct tollbar_policy policy,
                            struct tollbar_options options,
                            struct tollbar_limiter *limiter,
                            char *message,
                            size_t message_size);

// Another handle to the same limiter, with an end of its own.
int32_t tollbar_limiter_clone(struct tollbar_limiter limiter, struct tollbar_limiter *clone);

// Another handle to the same limiter: keys that are first seen by it get this policy. Accounts that are known keep theirs.
// Equal policies cost nothing, so one may be made for each tariff.
int32_t tollbar_limiter_with_policy(struct tollbar_limiter limiter,
                                    struct tollbar_policy policy,
                                    struct tollbar_limiter *other,
                                    char *message,
                                    size_t message_size);

// Frees a handle; the limiter goes with the last of its handles, buckets, reservations and places. Calls that other threads
// make by it meanwhile end well or with `TOLLBAR_ERROR_HANDLE`, those who wait by it with `TOLLBAR_ERROR_CLOSED`. Of a handle
// that stands for nothing: does nothing.
int32_t tollbar_limiter_free(struct tollbar_limiter limiter);

// Takes `cost` tokens from the key's account if it has them: 1 if they were taken, 0 if not. A cost of 0 takes nothing and
// passes. For a known key: no lock, no allocation, no system call.
int32_t tollbar_try_acquire(struct tollbar_limiter limiter,
                            const char *key,
                            size_t key_len,
                            uint64_t cost);

// The same with a full answer. `decision` may be NULL; `decision_size` is its `sizeof`.
int32_t tollbar_decide(struct tollbar_limiter limiter,
                       const char *key,
                       size_t key_len,
                       uint64_t cost,
                       struct tollbar_decision *decision,
                       size_t decision_size);

// What `tollbar_decide` would answer: takes nothing and creates nothing. Its `retry_after_ns` is the plan: 0 now,
// `TOLLBAR_NEVER` never.
int32_t tollbar_peek(struct tollbar_limiter limiter,
                     const char *key,
                     size_t key_len,
                     uint64_t cost,
                     struct tollbar_decision *decision,
                     size_t decision_size);

// `tollbar_decide`, where limits may have a cost of their own: each limit that `costs` names is charged that cost, and each other
// limit `cost`, all together or none. `costs_count` is at most `TOLLBAR_MAX_COSTS`. Locks the key's stripe.
int32_t tollbar_decide_costs(struct tollbar_limiter limiter,
                             const char *key,
                             size_t key_len,
                             uint64_t cost,
                             const struct tollbar_cost *costs,
                             size_t costs_count,
                             struct tollbar_decision *decision,
                             size_t decision_size);

// What `tollbar_decide_costs` would answer: takes nothing and creates nothing.
int32_t tollbar_peek_costs(struct tollbar_limiter limiter,
                           const char *key,
                           size_t key_len,
                           uint64_t cost,
                           const struct tollbar_cost *costs,
                           size_t costs_count,
                           struct tollbar_decision *decision,
                           size_t decision_size);

// `tollbar_try_acquire` for each key in turn, by one reading of the clock: writes 1 or 0 for each to `answers`, and returns how
// many passed. All keys are checked before any is charged.
int32_t tollbar_try_acquire_many(struct tollbar_limiter limiter,
                                 const struct tollbar_key *keys,
                                 size_t count,
                                 uint64_t cost,
                                 uint8_t *answers);

// The same for keys that lie one after the other in one buffer of `size` bytes, for languages whose texts cannot be pointed
// at: `lengths` has the length of each, and they add up to `size`.
int32_t tollbar_try_acquire_packed(struct tollbar_limiter limiter,
                                   const char *data,
                                   size_t size,
                                   const uint32_t *lengths,
                                   size_t count,
                                   uint64_t cost,
                                   uint8_t *answers);

// Takes `cost` tokens of each key's account if all of them have them, else none anywhere: all senders, the domain, the account.
// The keys must differ. Of a denial, `denied_by` (which may be NULL) gets the number of the key that has to wait longest.
int32_t tollbar_try_acquire_all(struct tollbar_limiter limiter,
                                const struct tollbar_key *keys,
                                size_t count,
                                uint64_t cost,
                                struct tollbar_decision *decision,
                                size_t decision_size,
                                size_t *denied_by);

// `tollbar_try_acquire_all`, where limits may have a cost of their own, as `tollbar_decide_costs` takes them: the same for each key.
int32_t tollbar_try_acquire_all_costs(struct tollbar_limiter limiter,
                                      const struct tollbar_key *keys,
                                      size_t count,
                                      uint64_t cost,
                                      const struct tollbar_cost *costs,
                                      size_t costs_count,
                                      struct tollbar_decision *decision,
                                      size_t decision_size,
                                      size_t *denied_by);

// A handle to the key's account, which is made if it is unknown, and is not evicted while there is a handle: 1. 0 if the table
// is full, and `bucket` then stands for nothing. To be freed with `tollbar_bucket_free`; it outlives the limiter's handle.
int32_t tollbar_bucket_new(struct tollbar_limiter limiter,
                           const char *key,
                           size_t key_len,
                           struct tollbar_bucket *bucket);

// `tollbar_try_acquire` for the account: 1 if the tokens were taken, 0 if not. No lock, no allocation, no system call.
int32_t tollbar_bucket_try_acquire(struct tollbar_bucket bucket,
                                   uint64_t cost);

// `tollbar_peek` for the account.
int32_t tollbar_bucket_peek(struct tollbar_bucket bucket,
                            uint64_t cost,
                            struct tollbar_decision *decision,
                            size_t decision_size);

// Frees a handle; the account stays, and may be evicted. Of one that stands for nothing: does nothing.
int32_t tollbar_bucket_free(struct tollbar_bucket bucket);

// Charges `cost` to the key's account until the reservation is committed or cancelled, or `lease_ns` are over
// (`TOLLBAR_NEVER`, or 0: the lease has no end): 1 if it was granted, 0 if not, and `reservation` then stands for nothing. A lease
// that is over counts as used, or is given back if `gives_back`. Must be ended by `tollbar_commit`, `tollbar_commit_actual`,
// `tollbar_commit_costs` or `tollbar_cancel`, which frees it, also when its lease is over. `decision` may be NULL.
int32_t tollbar_reserve(struct tollbar_limiter limiter,
                        const char *key,
                        size_t key_len,
                        uint64_t cost,
                        uint64_t lease_ns,
                        bool gives_back,
                        struct tollbar_reservation *reservation,
                        struct tollbar_decision *decision,
                        size_t decision_size);

// `tollbar_reserve`, where limits may have a cost of their own, as `tollbar_decide_costs` takes them.
int32_t tollbar_reserve_costs(struct tollbar_limiter limiter,
                              const char *key,
                              size_t key_len,
                              uint64_t cost,
                              const struct tollbar_cost *costs,
                              size_t costs_count,
                              uint64_t lease_ns,
                              bool gives_back,
                              struct tollbar_reservation *reservation,
                              struct tollbar_decision *decision,
                              size_t decision_size);

// Lets the lease begin anew: it is over `lease_ns` from now (`TOLLBAR_NEVER`, or 0: it has no end): 1. 0 if the reservation has
// ended because its lease is over; it must be freed all the same.
int32_t tollbar_renew(struct tollbar_reservation reservation,
                      uint64_t lease_ns);

// The act has happened and took what was reserved: 1. 0 if it had ended before, because its lease is over.
int32_t tollbar_commit(struct tollbar_reservation reservation);

// The same where it took `actual`: less is given back, more is charged even beyond the limits, for it has happened.
int32_t tollbar_commit_actual(struct tollbar_reservation reservation,
                              uint64_t actual);

// The same, where limits may have an actual cost of their own: `actual` is that of limits that were reserved without one, and
// limits that `costs` does not name took what was reserved of them by their names. A name that the limiter does not know gives
// `TOLLBAR_ERROR_INVALID`, and the reservation stays open.
int32_t tollbar_commit_costs(struct tollbar_reservation reservation,
                             uint64_t actual,
                             const struct tollbar_cost *costs,
                             size_t costs_count);

// The act will not happen: 1, and what was reserved is given back, a rate's as far as nobody could have charged it since. 0 if it
// had ended before.
int32_t tollbar_cancel(struct tollbar_reservation reservation);

// Waits in this thread until `ask.cost` tokens were taken: 1. 0 if the turn would come too late, which is told at once if the time
// is known, or if it never comes (`turn.never`); nothing is charged then. `ask` may be NULL: one token, however long it takes. `turn` may be NULL unless a lease is asked for.
int32_t tollbar_acquire(struct tollbar_limiter limiter,
                        const char *key,
                        size_t key_len,
                        const struct tollbar_ask *ask,
                        size_t ask_size,
                        struct tollbar_turn *turn,
                        size_t turn_size);

// `tollbar_acquire` of several keys, which must differ: takes `ask.cost` tokens of each at one moment, when it is first in the
// lines of all of them and all their limits let it pass. Until then nothing is taken. Requests for several keys have one order in all
// lines that they share, so there is no deadlock. `turn.denied_by` says which key a turn that comes too late, or never, is
// about. There is no lease for several keys.
int32_t tollbar_acquire_all(struct tollbar_limiter limiter,
                            const struct tollbar_key *keys,
                            size_t count,
                            const struct tollbar_ask *ask,
                            size_t ask_size,
                            struct tollbar_turn *turn,
                            size_t turn_size);

// Takes what is asked for if nobody waits and all limits let it pass (1), else joins the key's line (`TOLLBAR_WAITING`), unless
// the turn would come too late, or never (0). Whoever waits calls `tollbar_look` with the place when `wakeups` tells `token`, or after
// `turn.look_after_ns`, whichever is first, until the answer is another; or `tollbar_leave`. That time is the limiter's: a clock of
// `tollbar_clock_new` tells the token when it has come, so no timer is needed then.
int32_t tollbar_join(struct tollbar_limiter limiter,
                     const char *key,
                     size_t key_len,
                     const struct tollbar_ask *ask,
                     size_t ask_size,
                     struct tollbar_wakeups wakeups,
                     uint64_t token,
                     struct tollbar_turn *turn,
                     size_t turn_size);

// `tollbar_join` of several keys, which must differ: in the lines of all of them, as `tollbar_acquire_all` waits. There is one
// place for all.
int32_t tollbar_join_all(struct tollbar_limiter limiter,
                         const struct tollbar_key *keys,
                         size_t count,
                         const struct tollbar_ask *ask,
                         size_t ask_size,
                         struct tollbar_wakeups wakeups,
                         uint64_t token,
                         struct tollbar_turn *turn,
                         size_t turn_size);

// What has become of a place: as `tollbar_join` answers. With any other answer than `TOLLBAR_WAITING` the place is freed. While one
// thread looks at a place, others are told to wait.
int32_t tollbar_look(struct tollbar_place place,
                     struct tollbar_turn *turn,
                     size_t turn_size);

// Leaves the line and frees the place: takes nothing, also if the turn had come, and hands it to the next: 1, or 0 if there was
// nothing to leave any more.
int32_t tollbar_leave(struct tollbar_place place);

// What tells those who wait. Any number of places may share one. To be freed with `tollbar_wakeups_free`.
int32_t tollbar_wakeups_new(struct tollbar_wakeups *wakeups);

// Waits in this thread until a token is told, for `timeout_ns` at most (`TOLLBAR_NEVER`: as long as it takes), and writes up to
// `capacity` of them to `tokens`, oldest first: returns how many. One that was told may be of a place that is gone by now.
int32_t tollbar_wakeups_next(struct tollbar_wakeups wakeups,
                             uint64_t timeout_ns,
                             uint64_t *tokens,
                             size_t capacity);

// Tells a token oneself, to get the attention of whoever waits in `tollbar_wakeups_next`.
int32_t tollbar_wakeups_tell(struct tollbar_wakeups wakeups, uint64_t token);

// Frees it; whoever waits in `tollbar_wakeups_next` gets `TOLLBAR_ERROR_CLOSED`. Of one that stands for nothing: does nothing.
int32_t tollbar_wakeups_free(struct tollbar_wakeups wakeups);

// Makes the key's account as good as new: 1, or 0 if the key is unknown.
int32_t tollbar_reset(struct tollbar_limiter limiter, const char *key, size_t key_len);

// Puts a key under limits of its own, at once if it has an account, and at each first sight from then on, also after its account
// was evicted; `migration`, one of `TOLLBAR_MIGRATE_...`, says what becomes of what was spent: 1, or 0 if the key has no account
// now. No decision sees a mixture of the two. Takes a copy of the key until `tollbar_follow_default`;
// `TOLLBAR_ERROR_TOO_MANY_OWN_LIMITS` if as many keys as the table may hold have limits of their own.
int32_t tollbar_reconfigure(struct tollbar_limiter limiter,
                            const char *key,
                            size_t key_len,
                            struct tollbar_policy policy,
                            int32_t migration,
                            char *message,
                            size_t message_size);

// Ends a key's limits of its own: it comes under the limits of all, at once and at each first sight: 1, or 0 if the key has no
// account now. `migration` as for `tollbar_reconfigure`.
int32_t tollbar_follow_default(struct tollbar_limiter limiter,
                               const char *key,
                               size_t key_len,
                               int32_t migration);

// Puts all keys without limits of their own under another policy, `migration` as for `tollbar_reconfigure`. Every decision that
// begins after this returns is by the new policy, and none sees a mixture of the two. It is one step, whatever the number of keys,
// and serves those that are waited for. Keys that came under a policy by `tollbar_limiter_with_policy` keep it.
int32_t tollbar_set_limits(struct tollbar_limiter limiter,
                           struct tollbar_policy policy,
                           int32_t migration,
                           char *message,
                           size_t message_size);

// Lets no request of the key pass for the next `length_ns`, at most 4.5 years (what a server said with a Retry-After, say): 1, or 0
// if the table has no place for the key. Requests that wait wait on. 0 ends a block, as `tollbar_release` does. Such a denial has
// the reason `TOLLBAR_REASON_BLOCKED`.
int32_t tollbar_block(struct tollbar_limiter limiter,
                      const char *key,
                      size_t key_len,
                      uint64_t length_ns);

// Leaves the key no more than `to`: charges the rate or window of this name, or every one if `limit` is NULL and `limit_len` 0,
// what it has beyond that, all at one moment, as a server's "remaining: 7" asks for: 1 if any had more, else 0. It never gives
// anything back. A name that no limit of the limiter has gives `TOLLBAR_ERROR_INVALID`.
int32_t tollbar_drain(struct tollbar_limiter limiter,
                      const char *key,
                      size_t key_len,
                      uint64_t to,
                      const char *limit,
                      size_t limit_len);

// What each limit of the key counts, all at one moment, and when each would let a request of these costs pass (as
// `tollbar_decide_costs` takes them); of a blocked key, the block is one more. Writes up to `capacity` of them to `states`, which
// may be NULL if that is 0, and returns how many there are, at most `TOLLBAR_MAX_LIMITS` + 1. `state_size` is the `sizeof` of one.
// Takes nothing and creates nothing.
int32_t tollbar_inspect(struct tollbar_limiter limiter,
                        const char *key,
                        size_t key_len,
                        uint64_t cost,
                        const struct tollbar_cost *costs,
                        size_t costs_count,
                        struct tollbar_limit_state *states,
                        size_t capacity,
                        size_t state_size);

// How many parts `tollbar_keys` lists the keys in: it does not change.
int32_t tollbar_parts(struct tollbar_limiter limiter);

// The keys in one part of the table, 0 to `tollbar_parts` - 1, as of one moment: returns how many there are, and sets `size` to
// the number of their bytes. If there is room for them (`size` held that many bytes, and `capacity` that many lengths), they lie
// in `data` one after the other, in no order, and `lengths` has the length of each; else nothing is written there, and the caller
// tries again with more room. `data` and `lengths` may be NULL where there is none. A part beyond the last has no keys. A walk over
// all parts meets each key once that is there all the time.
int32_t tollbar_keys(struct tollbar_limiter limiter,
                     size_t part,
                     char *data,
                     size_t *size,
                     uint32_t *lengths,
                     size_t capacity);

// Ends every timeout and block of the key: 1, or 0 if none runs.
int32_t tollbar_release(struct tollbar_limiter limiter, const char *key, size_t key_len);

// Counts a denial of the key that was made elsewhere (a wrong password, say): 1 if the key is in a timeout now, else 0.
int32_t tollbar_penalize(struct tollbar_limiter limiter,
                         const char *key,
                         size_t key_len);

// Whether the table holds an account for the key: 1 or 0.
int32_t tollbar_contains(struct tollbar_limiter limiter, const char *key, size_t key_len);

// Totals since the limiter was made. `totals_size` is their `sizeof`.
int32_t tollbar_stats(struct tollbar_limiter limiter,
                      struct tollbar_totals *totals,
                      size_t totals_size);

// How often the shadow limit of this name would have denied: 1, or 0 if it never did, and `count` is 0 then.
int32_t tollbar_shadow_denied(struct tollbar_limiter limiter,
                              const char *name,
                              size_t name_len,
                              uint64_t *count);

// How many requests the limit of this name has denied, those of which it was the limit that made them wait longest: 1, or 0 if
// it never did, and `count` is 0 then.
int32_t tollbar_denied_by_limit(struct tollbar_limiter limiter,
                                const char *name,
                                size_t name_len,
                                uint64_t *count);

// The functions of this copy of the library: a table that lives as long as the library.
const struct tollbar_api *tollbar_api_table(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* TOLLBAR_H */
