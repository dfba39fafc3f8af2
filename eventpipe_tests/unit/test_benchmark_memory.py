"""The benchmarks' measure of memory: what a command held, and nothing of what the measuring process did."""

from __future__ import annotations

import sys

from benchmarks.measure import measure

MIB = 2**20


def test_what_the_parent_held_is_not_the_commands() -> None:
    held = b"x" * (300 * MIB)
    found = measure([sys.executable, "-c", f"import time; held = b'x' * {60 * MIB}; time.sleep(0.3)"])
    assert len(held) == 300 * MIB
    assert 60 * MIB < found.peak_bytes < 200 * MIB


def test_what_the_commands_children_hold_is_the_commands() -> None:
    child = f"import time; held = b'x' * {60 * MIB}; time.sleep(0.5)"
    parent = f"import subprocess, sys; [p.wait() for p in [subprocess.Popen([sys.executable, '-c', {child!r}]) for _ in 'ab']]"
    assert measure([sys.executable, "-c", parent]).peak_bytes > 120 * MIB
