"""What a run has shown: sentences for people, a dict for programs, and whether all is well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .load import Run

_MIB = 1 << 20


def as_dict(run: Run) -> dict[str, Any]:
    """All that was seen, account by account only where something is wrong."""
    first, last = run.first, run.last
    if first is None or last is None:
        raise RuntimeError("the run did not come to its end")
    return {
        "seconds": run.seconds,
        "clients": dict(sorted(run.told.clients.items())),
        "accounts": len(run.finished),
        "admitted": last.admitted,
        "denied": last.denied,
        "received": run.received.total(),
        "inexact_accounts": run.inexact(),
        "unexpected_answers": run.unexpected,
        "errors_logged": last.errors,
        "error_lines": last.error_lines,
        "warnings_logged": last.warnings,
        "open_files": {
            "before": first.files,
            "most": max(s.files for _, s in run.samples),
            "after": last.files,
        },
        "tasks": {"before": first.tasks, "after": last.tasks},
        "resident_mib": {
            "before": round(first.resident / _MIB, 2),
            "warm": round(run.warm()[0].resident / _MIB, 2) if run.warm() else None,
            "after": round(last.resident / _MIB, 2),
        },
        "growth_bytes": run.growth_bytes(),
    }


def complaints(told: dict[str, Any]) -> list[str]:
    """Say what is not as it should be; growth is for whoever reads it to judge."""
    found = [
        (told["inexact_accounts"], "accounts of which the next server got more or less than the limit"),
        (told["unexpected_answers"], "answers that a client which behaves should not get"),
        (told["errors_logged"], "errors in the log"),
        (told["admitted"] != told["received"], "messages admitted that did not arrive"),
        (told["open_files"]["before"] != told["open_files"]["after"], "files left open"),
        (told["tasks"]["before"] != told["tasks"]["after"], "tasks left over"),
        (not told["accounts"], "no account was ever refused"),
    ]
    return [what for wrong, what in found if wrong]


def sentences(told: dict[str, Any]) -> list[str]:
    """Say it for people."""
    resident, files, tasks = told["resident_mib"], told["open_files"], told["tasks"]
    exactly = "" if told["inexact_accounts"] else ", of each account exactly its limit"
    warnings = ", ".join(f"{count:,} of {name}" for name, count in sorted(told["warnings_logged"].items()))
    lines = [f"{sum(told['clients'].values()):,} connections or floods in {told['seconds']:g} s:"]
    lines += [f"  {count:>7,} {name.replace('_', ' ')}" for name, count in told["clients"].items()]
    lines += [
        f"{told['accounts']:,} accounts; {told['admitted']:,} messages admitted, {told['denied']:,} denied,",
        f"  {told['received']:,} received by the next server{exactly}",
        f"open files: {files['before']} before, {files['most']} at most, {files['after']} after",
        f"tasks: {tasks['before']} before, {tasks['after']} after",
        f"resident MiB: {resident['before']} before, {resident['warm']} warm, {resident['after']} after",
        f"log: {told['errors_logged']} errors, warnings: {warnings}",
    ]
    lines += [f"  {line}" for line in told["error_lines"]]
    lines += [f"  unexpected: {line}" for line in told["unexpected_answers"]]
    wrong = complaints(told)
    return [*lines, "All is well." if not wrong else f"WRONG: {'; '.join(wrong)}."]
