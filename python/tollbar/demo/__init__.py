"""The demo: the same mail through the same relay, once per limiter, and a report of what was measured."""
