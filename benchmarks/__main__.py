"""`python -m benchmarks`: generate the data, time eventpipe and its yardsticks, print one table.

Ends with 0 when every limit held and every result agreed, else with 1.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from benchmarks.cases import (
    FULL_LOAD,
    IDENTITY,
    INCREMENT,
    INTAKE,
    NAMES,
    OF_AUDIT,
    OF_AUTOMATIONS,
    OF_PUBLISHING,
    OF_SEGMENTS,
    PEAK_MEMORY,
    SMALL_RUN,
    Bench,
    audit_case,
    automations_case,
    identity_case,
    intake_case,
    load_cases,
    publish_case,
    segments_case,
    small_case,
)
from benchmarks.population import Population
from benchmarks.report import Report, print_report
from eventpipe.errors import EventpipeError


def main() -> None:
    arguments = _arguments()
    progress = Console(stderr=True)
    bench = Bench(
        work=arguments.work.resolve(),
        population=Population(arguments.events, arguments.days, arguments.seed),
        repeat=arguments.repeat,
        say=lambda line: progress.print(line, highlight=False),
    )
    wanted = set(arguments.only or NAMES)
    report = Report()
    cases: list[tuple[set[str], Callable[[], None]]] = [
        ({FULL_LOAD, PEAK_MEMORY, INCREMENT}, lambda: load_cases(bench, wanted, report)),
        ({SMALL_RUN}, lambda: small_case(bench, report)),
        ({INTAKE}, lambda: intake_case(bench, report)),
        ({IDENTITY}, lambda: identity_case(bench, report)),
        (set(OF_SEGMENTS), lambda: segments_case(bench, wanted, report)),
        (set(OF_AUDIT), lambda: audit_case(bench, wanted, report)),
        (set(OF_AUTOMATIONS), lambda: automations_case(bench, wanted, report)),
        (set(OF_PUBLISHING), lambda: publish_case(bench, wanted, report)),
    ]
    for names, case in cases:
        if wanted & names:
            try:
                case()
            except EventpipeError as error:
                # The other cases still have something to say.
                report.failures.append(str(error))
    if not arguments.keep:
        shutil.rmtree(bench.work / "runs", ignore_errors=True)
    print_report(report, Console())
    raise SystemExit(0 if report.ok else 1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Time eventpipe against its yardsticks.")
    parser.add_argument("--events", type=_count, default=10_000_000, help="lines of the full load (default 10_000_000)")
    parser.add_argument("--days", type=_count, default=30, help="landing days they spread over (default 30)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--repeat", type=_count, default=1, help="attempts of each side; the best counts (default 1)")
    parser.add_argument(
        "--work",
        type=Path,
        default=Path(".bench"),
        help="folder for data and runs (default .bench); data is kept there",
    )
    parser.add_argument("--only", action="append", choices=NAMES, help="one limit only; may be given again")
    parser.add_argument("--keep", action="store_true", help="leave the projects of the last attempts in WORK/runs")
    return parser.parse_args()


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, got {text}")
    return number


if __name__ == "__main__":
    main()
