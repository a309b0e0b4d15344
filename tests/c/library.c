/* What the library says of itself: versions, the words for statuses and reasons. */
#include "check.h"

static void versions(void) {
    char built[32];
    snprintf(built, sizeof built, "%d.%d.%d", TOLLBAR_VERSION_MAJOR, TOLLBAR_VERSION_MINOR, TOLLBAR_VERSION_PATCH);
    SAME_TEXT(TOLLBAR_VERSION, built);
    SAME_TEXT(tollbar_version(), TOLLBAR_VERSION);
    SAME(tollbar_abi_version(), TOLLBAR_ABI_VERSION);
}

/* Every status has words of its own, and what is none has those for that. */
static void statuses(void) {
    const int32_t all[] = {TOLLBAR_WAITING, 1, 0, TOLLBAR_ERROR_INVALID, TOLLBAR_ERROR_KEY_TOO_LONG,
                           TOLLBAR_ERROR_TOO_MANY_POLICIES, TOLLBAR_ERROR_NULL, TOLLBAR_ERROR_HANDLE,
                           TOLLBAR_ERROR_SIZE, TOLLBAR_ERROR_ABI, TOLLBAR_ERROR_PANIC,
                           TOLLBAR_ERROR_TOO_MANY_HANDLES, TOLLBAR_ERROR_CLOSED, TOLLBAR_ERROR_LENGTHS};
    const size_t count = sizeof all / sizeof *all;
    for (size_t one = 0; one < count; one++) {
        CHECK(strlen(tollbar_status_text(all[one])) > 0);
        CHECK(strcmp(tollbar_status_text(all[one]), tollbar_status_text(-12)) != 0);
        for (size_t other = 0; other < one; other++) {
            CHECK(strcmp(tollbar_status_text(all[one]), tollbar_status_text(all[other])) != 0);
        }
    }
    SAME_TEXT(tollbar_status_text(INT32_MIN), tollbar_status_text(3));
    SAME_TEXT(tollbar_status_text(TOLLBAR_ERROR_HANDLE), "the handle was freed, or is none of this kind");
}

static void reasons(void) {
    SAME_TEXT(tollbar_reason_text(0), "");
    SAME_TEXT(tollbar_reason_text(TOLLBAR_REASON_RATE), "rate");
    SAME_TEXT(tollbar_reason_text(TOLLBAR_REASON_WINDOW), "window");
    SAME_TEXT(tollbar_reason_text(TOLLBAR_REASON_IN_FLIGHT), "in_flight");
    SAME_TEXT(tollbar_reason_text(TOLLBAR_REASON_JAIL), "jail");
    SAME_TEXT(tollbar_reason_text(TOLLBAR_REASON_NEVER), "never");
    SAME_TEXT(tollbar_reason_text(TOLLBAR_REASON_FULL), "full");
    SAME_TEXT(tollbar_reason_text(TOLLBAR_REASON_CLOSED), "closed");
    SAME_TEXT(tollbar_reason_text(TOLLBAR_REASON_BLOCKED), "blocked");
    SAME_TEXT(tollbar_reason_text(9), "");
    SAME_TEXT(tollbar_reason_text(INT32_MIN), "");
}

int main(void) {
    versions();
    statuses();
    reasons();
    puts("version macros and functions agree; 14 statuses and 6 reasons have words of their own");
    return 0;
}
