"""Intake alone in a process of its own, to be timed: `python -m benchmarks.intake_only PROJECT`.

Prints the number of accepted lines.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.intake import run_intake


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.intake_only", description="Land all exports.")
    parser.add_argument("project", type=Path, help="a project folder")
    print(run_intake(parser.parse_args().project))


if __name__ == "__main__":
    main()
