"""Puts the tables and pictures of a run into the README, between two markers."""

from __future__ import annotations

from pathlib import Path

README = Path(__file__).parent.parent / "README.md"
# The part of the README that belongs to the benchmark.
BEGIN, END = "<!-- measured:", "<!-- end of measured -->"
# What each picture shows, by the name of its file in this folder.
PICTURES = {
    "side_by_side.png": "Time per operation, side by side",
    "latency.png": "How many calls took longer than a given time",
}


def publish(text: str, readme: Path = README) -> None:
    """Replace what an earlier run put between the README's two markers."""
    before, rest = readme.read_text(encoding="utf-8").split(BEGIN)
    marker, rest = rest.split("\n", 1)
    _, after = rest.split(END)
    pictures = "\n".join(f"![{shows}](benches/{name})" for name, shows in PICTURES.items())
    readme.write_text(f"{before}{BEGIN}{marker}\n{text}\n{pictures}\n{END}{after}", encoding="utf-8")
