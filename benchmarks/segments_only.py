"""Goals, RFM and segments alone in a process of its own: `python -m benchmarks.segments_only PROJECT`.

The project was run once; it is changed. Prints seconds as JSON: of everyone's goals and RFM (the models' own times) and
memberships; of the same a day later with nothing landed; of a preview and of the same question by hand; of btyd_* and of
what lifetimes takes for the same rows.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import jinja2

from benchmarks.segment_definitions import BY_HAND, BY_HAND_SQL, SEGMENTS
from eventpipe.ops.store import OpsStore
from eventpipe.project.folder import Project, load_project
from eventpipe.segments import history
from eventpipe.segments.judge import judge
from eventpipe.segments.published import PublishedSegments
from eventpipe.serving.file import as_of_published, open_published
from eventpipe.sql import literal
from eventpipe.warehouse.database import connect
from eventpipe.warehouse.dbt import Dbt
from eventpipe.warehouse.parsed import project_dir

MODELS = (
    "contact_goals",
    "touched_order_days",
    "changed_order_days",
    "order_days",
    "contact_rfm",
    "contact_rfm_history",
)
_ATTEMPTS = 3
_LAST_DAY = "2026-02-01"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.segments_only", description="Time goals, RFM, segments."
    )
    parser.add_argument("project", type=Path, help="a project folder that was run")
    root: Path = parser.parse_args().project
    (root / "segments").mkdir(exist_ok=True)
    (root / "segments" / "twenty.yml").write_text(SEGMENTS, encoding="utf-8")
    project = load_project(root, {})
    print(json.dumps({**_stages(project), **_previews(project), **_btyd(project)}))


def _stages(project: Project) -> dict[str, Any]:
    dbt = Dbt(project)
    with closing(connect(project)) as connection, OpsStore.open(project.ops) as store:
        as_of, run_id = connection.execute("select as_of, run_id from run.parameters").fetchone() or (None, None)
        history.prepare(connection)
        connection.execute("delete from work.judged_run; delete from main.segment_history")
        models = {node.name: node.seconds for node in dbt.run(*MODELS)}
        first = _timed(lambda: judge(connection, store, project.segments, run_id=str(run_id), as_of=as_of))
        members = connection.execute("select count(*) from main.segment_members").fetchone()
    # A day later, by a run that opens the database anew: nobody was touched, and the run before this one was published.
    with closing(connect(project)) as connection, OpsStore.open(project.ops) as store:
        connection.execute("create or replace table work.touched_contacts as from work.touched_contacts limit 0")
        connection.execute("update run.parameters set as_of = as_of + interval 1 day")
        nightly_models = sum(node.seconds for node in dbt.run(*MODELS))
        nightly = _timed(
            lambda: judge(connection, store, project.segments, run_id="nightly", as_of=as_of + timedelta(days=1))
        )
    return {
        "models": sum(models.values()),
        "judge": first,
        "nightly_models": nightly_models,
        "nightly_judge": nightly,
        "members": members[0] if members else 0,
    }


def _previews(project: Project) -> dict[str, Any]:
    """Both answered once before they are timed: start-up is aside, and so is a cold file."""
    with closing(open_published(project)) as connection:
        as_of = as_of_published(connection)
        asked = PublishedSegments(connection, project.segments, as_of)
        by_hand = connection.execute(BY_HAND_SQL, {"as_of": as_of}).fetchone()
        preview = asked.preview(BY_HAND)
        assert by_hand is not None
        return {
            "preview": min(_timed(lambda: asked.preview(BY_HAND)) for _ in range(_ATTEMPTS)),
            "by_hand": min(
                _timed(lambda: connection.execute(BY_HAND_SQL, {"as_of": as_of}).fetchone()) for _ in range(_ATTEMPTS)
            ),
            "previewed": preview.members,
            "counted": int(by_hand[0]),
        }


def _btyd(project: Project) -> dict[str, Any]:
    """The four columns of everybody by the models' own expressions, and by lifetimes, from the same rows in memory: the
    orders of a positive value, each with its contact, its instant and its value. Neither reads them from a disk, each
    leaves its answer in its own memory, and each takes its turn."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from lifetimes.utils import summary_data_from_transaction_data
    text = "".join((project_dir() / "macros" / name).read_text() for name in ("days.sql", "rfm.sql"))
    macros: Any = jinja2.Environment().from_string(text).module
    zone = literal(project.settings.timezone)
    query = f"""
        create or replace temp table btyd as
        with days as (
            select contact_id, {macros.local_day("occurred_at", zone)} as day, sum(value) as gross, true as is_order_day
            from orders
            group by contact_id, day
        ),
        totals as (select contact_id, {macros.btyd_totals("days")} from days group by contact_id)
        select contact_id, {macros.btyd("totals", f"date '{_LAST_DAY}'")} from totals"""
    with closing(connect(project)) as connection:
        connection.execute("""
            create temp table orders as
            select contact_id, occurred_at, value from main.events
            where goal_type = 'purchase' and currency = 'USD' and value > 0 and deletion <> 'deleted'
                and contact_id is not null""")
        transactions = connection.execute(
            f"select contact_id, timezone({zone}, occurred_at) as occurred_at, value::double as value from orders"
        ).df()

        def theirs() -> Any:
            return summary_data_from_transaction_data(
                transactions, "contact_id", "occurred_at", "value", observation_period_end=_LAST_DAY
            )

        ours_took, theirs_took = [], []
        for _ in range(_ATTEMPTS):
            ours_took.append(_wall_and_cpu(lambda: connection.execute(query)))
            theirs_took.append(_wall_and_cpu(theirs))
        found = connection.execute("select count(*), sum(columns(* exclude (contact_id))) from btyd").fetchone()
        summary = theirs()
    expected = (len(summary), *(summary[name].sum() for name in ("frequency", "recency", "T", "monetary_value")))
    assert found is not None
    (ours, ours_cpu), (lifetimes, lifetimes_cpu) = (
        map(min, zip(*took, strict=True)) for took in (ours_took, theirs_took)
    )
    return {
        "btyd": ours,
        "lifetimes": lifetimes,
        "btyd_cpu": ours_cpu,
        "lifetimes_cpu": lifetimes_cpu,
        "btyd_found": " ".join(f"{float(each):.2f}" for each in found),
        "btyd_expected": " ".join(f"{float(each):.2f}" for each in expected),
    }


def _timed(work: Callable[[], object]) -> float:
    return _wall_and_cpu(work)[0]


def _wall_and_cpu(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds, and seconds of all cores together."""
    started, used = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - started, time.process_time() - used


if __name__ == "__main__":
    main()
