"""What `import tollbar` costs a fresh interpreter, against `import json`."""

from __future__ import annotations

import statistics
import subprocess
import sys

from measuring import Samples, markdown, progress, ratio, rotated, shown_ratio

TOLLBAR, JSON = "tollbar", "json"
# -I: what is installed, not what lies in the working directory.
_CODE = """
import sys
from time import perf_counter_ns
assert {module!r} not in sys.modules
started = perf_counter_ns()
import {module}
print(perf_counter_ns() - started)
"""


def _import_ns(module: str) -> float:
    command = [sys.executable, "-I", "-c", _CODE.format(module=module)]
    return float(subprocess.run(command, capture_output=True, check=True).stdout)  # noqa: S603 - our own code


def measure(processes: int) -> Samples:
    """Import each in so many fresh processes, alternating; the files are in the system's cache by then."""
    progress("imports")
    modules = (TOLLBAR, JSON)
    for module in modules:
        _import_ns(module)
    samples: Samples = {module: [] for module in modules}
    for repeat in range(processes):
        for module in rotated(modules, repeat):
            samples[module].append(_import_ns(module))
    return samples


def table(samples: Samples) -> str:
    """Write the Markdown table."""
    rows = [
        [
            f"import {module}",
            f"{statistics.median(spent) / 1e6:.2f}",
            shown_ratio(ratio(samples, module, JSON)),
        ]
        for module, spent in samples.items()
    ]
    return markdown(["in a fresh interpreter", "ms", "ratio"], rows)
