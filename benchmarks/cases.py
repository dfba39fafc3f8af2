"""The limits on cost, each measured against its yardstick in the same run.

Both sides are timed in turn, `repeat` times, and the best time of each counts: what a neighbour on the
machine takes away from one attempt is a property of neither. Memory is the worst seen.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from benchmarks.commands import (
    Stage,
    Timed,
    audit_run,
    automations_run,
    bare_read,
    components_run,
    dagster_floor,
    dbt_floor,
    eventpipe_run,
    identity_run,
    intake_run,
    publish_run,
    segments_run,
    yardstick_run,
)
from benchmarks.dataset import dataset, fresh_copy, warm
from benchmarks.generator import more
from benchmarks.identities import (
    IDENTIFIERS_PER_PERSON,
    identity_figures,
    known_figures,
    touch_more,
    write_hub,
    write_people,
)
from benchmarks.outcome import Outcome, published_outcome
from benchmarks.population import Population, following_at, loaded_at
from benchmarks.report import Check, Report, Row, StageTimes

FULL_LOAD = "full-load"
PEAK_MEMORY = "peak-memory"
INCREMENT = "increment"
SMALL_RUN = "small-run"
INTAKE = "intake"
IDENTITY = "identity"
SEGMENTS = "segments"
SEGMENTS_NIGHTLY = "segments-nightly"
PREVIEW = "preview"
BTYD = "btyd"
AUDIT = "audit"
AUDIT_SMALL = "audit-small"
DECISIONS = "decisions"
DELIVERIES = "deliveries"
BACKLOG_MEMORY = "backlog-memory"
OF_AUDIT = (AUDIT, AUDIT_SMALL)
OF_AUTOMATIONS = (DECISIONS, DELIVERIES, BACKLOG_MEMORY)
OF_SEGMENTS = (SEGMENTS, SEGMENTS_NIGHTLY, PREVIEW, BTYD)
PUBLISH = "publish-postgres"
PUBLISH_INCREMENT = "publish-postgres-increment"
OF_PUBLISHING = (PUBLISH, PUBLISH_INCREMENT)
NAMES = (
    *(FULL_LOAD, PEAK_MEMORY, INCREMENT, SMALL_RUN, INTAKE, IDENTITY),
    *(*OF_SEGMENTS, *OF_AUDIT, *OF_AUTOMATIONS, *OF_PUBLISHING),
)

TIMES_THE_YARDSTICK = 2.5
PEAK_GIB = 4.0
SHARE_OF_FULL_LOAD = 0.20
LOAD_AND_DEDUPE = 1.0
SHARE_OF_LOAD_AND_DEDUPE = 0.10
TIMES_BY_HAND = 3.0
SHARE_OF_LIFETIMES = 0.05
SHARE_OF_LOAD = 0.15
SHARE_OF_SMALL_RUN = 0.20
SHARE_FOR_DECISIONS = 0.25
TIMES_BARE_CLIENT = 2.0
TIMES_SMALL_BACKLOG = 1.2
TIMES_PLAIN_COPY = 2.0
SHARE_OF_FIRST_PUBLISH = 0.10

TIMES_PLAIN_COMPONENTS = 3.0
IDENTITY_PEAK_GIB = 3.0
SHARE_OF_FULL_SOLVE = 0.15
TIMES_LINEAR = 1.5

_SMALL_EVENTS = 1_000
# A small run takes seconds, and a busy machine easily adds one: more attempts cost little.
_SMALL_REPEAT = 3
_GIB = 2**30


@dataclass(frozen=True)
class Bench:
    """Where and on what the cases run. `say` takes a line of progress after each timed command."""

    work: Path
    population: Population
    repeat: int
    say: Callable[[str], None]

    def place(self, name: str) -> Path:
        """A path for the files of one run; its folder exists, itself it may not."""
        runs = self.work / "runs"
        runs.mkdir(parents=True, exist_ok=True)
        return runs / name

    def timed(self, what: str, seconds: float) -> float:
        self.say(f"{what}: {seconds:.2f} s")
        return seconds


def load_cases(bench: Bench, wanted: Collection[str], report: Report) -> None:
    """Full load, its peak memory, and 1 % more on top of it: those of them that are wanted."""
    source = dataset(bench.work, bench.population)
    read = warm(source)
    bench.say(f"{bench.population.events:,} lines, {read / 1e9:.2f} GB")
    project = bench.place("full")
    ours: list[Timed] = []
    theirs: list[Timed] = []
    expected: Outcome | None = None
    for _ in range(bench.repeat):
        if FULL_LOAD in wanted or PEAK_MEMORY in wanted:
            yardstick = yardstick_run(source, bench.place("yardstick.duckdb"))
            bench.timed("yardstick", yardstick.timed.seconds)
            theirs.append(yardstick.timed)
            expected = yardstick.outcome
        ours.append(eventpipe_run(fresh_copy(source, project), loaded_at(bench.population)))
        bench.timed("full load", ours[-1].seconds)

    best = min(ours, key=lambda run: run.seconds)
    report.stage_times.append(StageTimes("full load", best.stages))
    if expected is not None:
        plain = min(theirs, key=lambda run: run.seconds)
        report.stage_times.append(StageTimes("yardstick", plain.stages))
        report.checks.append(Check("after the full load", str(published_outcome(project)), str(expected)))
        if FULL_LOAD in wanted:
            report.rows.append(
                Row(FULL_LOAD, best.seconds, plain.seconds, "a plain DuckDB script", TIMES_THE_YARDSTICK)
            )
        if PEAK_MEMORY in wanted:
            peaks = [max(run.measurement.peak_bytes for run in runs) / _GIB for runs in (ours, theirs)]
            report.rows.append(
                Row(
                    PEAK_MEMORY,
                    peaks[0],
                    peaks[1],
                    "the same script's peak",
                    PEAK_GIB,
                    unit="GiB",
                    absolute=True,
                )
            )
    if INCREMENT in wanted:
        _increment(bench, project, best.seconds, report)


def _increment(bench: Bench, project: Path, full_seconds: float, report: Report) -> None:
    runs: list[Timed] = []
    for number in range(bench.repeat):
        more(project, bench.population, number)
        runs.append(eventpipe_run(project, following_at(bench.population, number)))
        bench.timed("1 % more", runs[-1].seconds)
    best = min(runs, key=lambda run: run.seconds)
    lines = bench.population.events + bench.repeat * bench.population.lines_per_following_day
    report.stage_times.append(StageTimes("1 % more", best.stages))
    report.checks.append(_distinct_events("after 1 % more", project, bench.population, lines))
    report.rows.append(Row(INCREMENT, best.seconds, full_seconds, "our own full load", SHARE_OF_FULL_LOAD))


def _distinct_events(name: str, project: Path, population: Population, lines: int) -> Check:
    """Published events against what the generator knows of its first `lines` lines."""
    published = published_outcome(project).events
    return Check(name, f"{published:,} events", f"{population.distinct_events(lines):,} events")


def small_case(bench: Bench, report: Report) -> None:
    """1,000 events on an empty project against a Dagster job that does nothing and one dbt invocation."""
    population = Population(events=_SMALL_EVENTS, days=1, seed=bench.population.seed)
    source = dataset(bench.work, population)
    runs: list[Timed] = []
    jobs: list[float] = []
    invocations: list[float] = []
    for _ in range(max(bench.repeat, _SMALL_REPEAT)):
        jobs.append(bench.timed("Dagster job that does nothing", dagster_floor().seconds))
        invocations.append(bench.timed("dbt invocation", dbt_floor(bench.place("floor")).seconds))
        runs.append(eventpipe_run(fresh_copy(source, bench.place("small")), loaded_at(population)))
        bench.timed("1,000 events", runs[-1].seconds)
    best = min(runs, key=lambda run: run.seconds)
    report.stage_times.append(StageTimes("1,000 events", best.stages))
    report.checks.append(_distinct_events("after 1,000 events", bench.place("small"), population, _SMALL_EVENTS))
    report.rows.append(
        Row(
            SMALL_RUN,
            best.seconds,
            min(jobs) + min(invocations),
            f"an empty Dagster job ({min(jobs):.1f} s) and one dbt run ({min(invocations):.1f} s)",
            TIMES_THE_YARDSTICK,
        )
    )


def intake_case(bench: Bench, report: Report) -> None:
    """Landing all exports against DuckDB's reader on the same files into Parquet."""
    source = dataset(bench.work, bench.population)
    warm(source)
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(bench.repeat):
        theirs.append(bench.timed("bare read_json", bare_read(source, bench.place("bare.parquet")).seconds))
        landed = intake_run(fresh_copy(source, bench.place("intake")))
        ours.append(bench.timed("intake alone", landed.measurement.seconds))
        report.checks.append(Check("after intake", f"{landed.accepted:,} lines", f"{bench.population.events:,} lines"))
    report.rows.append(Row(INTAKE, min(ours), min(theirs), "read_json into Parquet", TIMES_THE_YARDSTICK))


def identity_case(bench: Bench, report: Report) -> None:
    """As many identifiers as there are events, against plain connected components; 1 % more; one address on everybody."""
    people = bench.population.events // IDENTIFIERS_PER_PERSON
    database = bench.place("identity.duckdb")
    ours: list[Timed] = []
    theirs: list[Timed] = []
    more_sets: list[Timed] = []
    for _ in range(bench.repeat):
        write_people(database, people)
        theirs.append(components_run(database))
        bench.timed("plain connected components", theirs[-1].seconds)
        ours.append(identity_run(database))
        bench.timed("identity", ours[-1].seconds)
        report.checks.append(Check("after identity", identity_figures(database), known_figures(people)))
        touch_more(database, people)
        more_sets.append(identity_run(database))
        bench.timed("identity, 1 % more", more_sets[-1].seconds)
    best, plain = (min(runs, key=lambda run: run.seconds) for runs in (ours, theirs))
    report.stage_times += [StageTimes("identity", best.stages), StageTimes("plain components", plain.stages)]
    report.rows.append(
        Row(IDENTITY, best.seconds, plain.seconds, "scipy on ready codes, the same rows", TIMES_PLAIN_COMPONENTS)
    )
    peaks = [max(run.measurement.peak_bytes for run in runs) / _GIB for runs in (ours, theirs)]
    report.rows.append(
        Row("identity-memory", peaks[0], peaks[1], "its peak", IDENTITY_PEAK_GIB, unit="GiB", absolute=True)
    )
    increment = min(run.seconds for run in more_sets)
    report.rows.append(Row("identity-increment", increment, best.seconds, "the full solve above", SHARE_OF_FULL_SOLVE))
    _hub(bench, report)


def _hub(bench: Bench, report: Report) -> None:
    """One address on a tenth as many events as there are identifiers, against ten times a tenth of that."""
    database = bench.place("hub.duckdb")
    events = bench.population.events // 10
    seconds = []
    for size in (events // 10, events):
        write_hub(database, size)
        seconds.append(min(bench.timed(f"hub of {size:,}", _solve_seconds(database)) for _ in range(bench.repeat)))
    report.rows.append(
        Row("identity-hub", seconds[1], 10 * seconds[0], "ten times a tenth of the events", TIMES_LINEAR)
    )


def _solve_seconds(database: Path) -> float:
    """Without the process's start, which would hide what grows."""
    return sum(stage.seconds for stage in identity_run(database).stages)


def segments_case(bench: Bench, wanted: Collection[str], report: Report) -> None:
    """Goals, RFM and twenty segments on a loaded project, at once and a day later, against the plain script's first two
    steps; a preview against the same by hand; btyd_* against lifetimes."""
    source = dataset(bench.work, bench.population)
    warm(source)
    yardstick = yardstick_run(source, bench.place("yardstick.duckdb"))
    bench.timed("yardstick", yardstick.timed.seconds)
    plain = sum(stage.seconds for stage in yardstick.timed.stages if stage.name in ("load", "dedupe"))
    project = fresh_copy(source, bench.place("segments"))
    bench.timed("load to judge", eventpipe_run(project, loaded_at(bench.population)).seconds)
    told = segments_run(project)
    first, nightly = told["models"] + told["judge"], told["nightly_models"] + told["nightly_judge"]
    report.checks.append(Check("preview", f"{told['previewed']} members", f"{told['counted']} members"))
    report.checks.append(Check("btyd", told["btyd_found"], told["btyd_expected"]))
    script = "the plain script's load and dedupe"
    for row in (
        Row(SEGMENTS, first, plain, script, LOAD_AND_DEDUPE),
        Row(SEGMENTS_NIGHTLY, nightly, plain, script, SHARE_OF_LOAD_AND_DEDUPE),
        Row(PREVIEW, told["preview"], told["by_hand"], "the same by hand", TIMES_BY_HAND),
        Row(BTYD, told["btyd"], told["lifetimes"], "lifetimes", SHARE_OF_LIFETIMES),
    ):
        if row.name in wanted:
            report.rows.append(row)
    parts = ("models", "judge", "nightly_models", "nightly_judge")
    report.stage_times.append(StageTimes("goals, RFM, segments", tuple(Stage(name, told[name]) for name in parts)))
    cpu = (Stage("ours", told["btyd_cpu"]), Stage("lifetimes", told["lifetimes_cpu"]))
    report.stage_times.append(StageTimes("btyd, of all cores together", cpu))


def audit_case(bench: Bench, wanted: Collection[str], report: Report) -> None:
    """The audit, profile included, against the rest of the load; of a small run, against that and one import."""
    small = Population(events=_SMALL_EVENTS, days=1, seed=bench.population.seed)
    for name, population, share, imports in (
        (AUDIT, bench.population, SHARE_OF_LOAD, 0),
        (AUDIT_SMALL, small, SHARE_OF_SMALL_RUN, 1),
    ):
        if name not in wanted:
            continue
        source = dataset(bench.work, population)
        warm(source)
        rows: list[Row] = []
        for _ in range(bench.repeat):
            project = fresh_copy(source, bench.place(name))
            run = eventpipe_run(project, loaded_at(population))
            audited = audit_run(project)
            spent = next((stage.seconds for stage in run.stages if stage.name == "audit"), audited.stage)
            ours = bench.timed(f"audit of {population.events:,} events", audited.profile + spent)
            rest = bench.timed("the rest of the run", run.seconds - ours)
            allowed = share * rest + imports * audited.library
            what = f"{share:.0%} of the rest ({rest:.1f} s)"
            what += f" and one import ({audited.library:.1f} s)" if imports else ""
            rows.append(Row(name, ours, allowed, what, 1.0))
        report.stage_times.append(StageTimes(name, audited.stages))
        report.rows.append(min(rows, key=lambda row: row.ratio))


def automations_case(bench: Bench, wanted: Collection[str], report: Report) -> None:
    """A decision step with 100,000 new candidates on a loaded project, against its own full load; the time of a delivery
    against that of a bare client with as many requests in flight; memory with ten times the backlog."""
    source = dataset(bench.work, bench.population)
    warm(source)
    project = fresh_copy(source, bench.place("automations"))
    load = bench.timed("full load to decide on", eventpipe_run(project, loaded_at(bench.population)).seconds)
    told = automations_run(project)
    report.checks.append(Check(DECISIONS, f"{told['candidates']} candidates", f"{told['wanted']} candidates"))
    for row in (
        Row(DECISIONS, told["decide"], load, "our own full load", SHARE_FOR_DECISIONS),
        Row(
            DELIVERIES, 1000 / told["deliver"], 1000 / told["bare"], "a bare client, 1,000 requests", TIMES_BARE_CLIENT
        ),
        Row(
            BACKLOG_MEMORY,
            told["peak_of_ten_times"],
            told["peak"],
            "a tenth of the backlog",
            TIMES_SMALL_BACKLOG,
            unit="GiB",
        ),
    ):
        if row.name in wanted:
            report.rows.append(row)


def publish_case(bench: Bench, wanted: Collection[str], report: Report) -> None:
    """A loaded project into an empty PostgreSQL against plain COPY of the same rows into bare tables; then 1 % more."""
    source = dataset(bench.work, bench.population)
    project = fresh_copy(source, bench.place("publish"))
    bench.timed("load to publish", eventpipe_run(project, loaded_at(bench.population)).seconds)
    before = bench.place("before.duckdb")
    shutil.copyfile(project / "analytics.duckdb", before)
    more(project, bench.population, 0)
    bench.timed("1 % more to publish", eventpipe_run(project, following_at(bench.population, 0)).seconds)
    told = [publish_run(before, project / "analytics.duckdb") for _ in range(bench.repeat)]
    for each in told:
        bench.say(", ".join(f"{name}: {value:,.1f}" for name, value in each.items()))
    first, copied, increment = (min(each[name] for each in told) for name in ("first", "copy", "increment"))
    lines = bench.population.events + bench.population.lines_per_following_day
    report.checks.append(
        Check(
            "after publishing",
            f"{told[0]['served']:,.0f} events",
            f"{bench.population.distinct_events(lines):,} events",
        )
    )
    for row in (
        Row(PUBLISH, first, copied, "plain COPY of the same rows", TIMES_PLAIN_COPY),
        Row(PUBLISH_INCREMENT, increment, first, "the first publish above", SHARE_OF_FIRST_PUBLISH),
    ):
        if row.name in wanted:
            report.rows.append(row)
