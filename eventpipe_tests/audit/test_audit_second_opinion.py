"""Great Expectations and the row contract say the same of random dirty data."""

from __future__ import annotations

import gc
import json
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pandas as pd
import pytest

from eventpipe.audit.frames import judged_properties, samples, seen_type
from eventpipe.audit.suites import judge, unexpected_rows
from eventpipe.project.audit_rules import default_rules
from eventpipe.project.expectations import FRAMES, Expectation
from eventpipe.project.folder import load_project
from eventpipe_tests.builders import event, judged

NAME = "order.completed"
PROPERTIES = [
    {"name": kind, "type": kind, "required": required}
    for kind, required in (
        ("number", True),
        ("string", True),
        ("boolean", False),
        ("date", False),
        ("array", False),
        ("object", True),
    )
]
DIRT: tuple[object, ...] = (
    *(None, 5, -0.5, "12", "12.50", "1e3", "x", "", " ", True, False, "true", "no"),
    *("2026-01-05", "2026-02-30", "2026-01-05T10:00:00Z", "05.01.2026", [], [1], {}, {"a": 1}, "[1]", "{", "null"),
)
CLEAN = {
    "number": 5,
    "string": "x",
    "boolean": True,
    "date": "2026-01-05",
    "array": [1],
    "object": {"a": 1},
}


def definition(mode: str) -> dict[str, object]:
    return {"name": NAME, "mode": mode, "properties": PROPERTIES}


def dirty(random: Random) -> dict[str, object]:
    chance = random.choice((0.0, 0.1, 0.5))
    sent = {name: random.choice(DIRT) if random.random() < chance else value for name, value in CLEAN.items()}
    return {name: value for name, value in sent.items() if random.random() > chance / 3}


def checks() -> list[Expectation]:
    """Those of the shipped file on properties, for definitions that enforce."""
    return [each for each in default_rules().expectations if each.of == "property_sample"]


def frame(rows: Any, enforced: Any) -> pd.DataFrame:
    """The property sample of the accepted lines, as if the definition that observed them enforced; the source is the line."""
    entries = [
        entry
        for row in rows.iter_rows(named=True)
        if row["status"] == "accepted"
        for entry in judged_properties(str(row["line"]), enforced, json.loads(row["properties"] or "{}"), row)
    ]
    return pd.DataFrame(entries, columns=list(FRAMES["property_sample"]), dtype=object)


@pytest.mark.parametrize("coerce", [True, False])
def test_both_find_the_same_faults(tmp_path: Path, coerce: bool) -> None:
    random = Random(1)
    records = [event(event_name=NAME, properties=dirty(random)) for _ in range(400)]
    sources = {"web": {"preset": "canonical", "coerce": coerce}}
    observed = judged(tmp_path / "observe", *records, sources=sources, events=[definition("observe")])
    enforced = judged(tmp_path / "enforce", *records, sources=sources, events=[definition("enforce")])
    plan = load_project(tmp_path / "enforce", {}).registry.by_name[NAME]
    sample = frame(observed, plan)
    by_contract = {
        (str(row["line"]), reason.partition(":")[2])
        for row in observed.iter_rows(named=True)
        for reason in row["violations"] or ()
    }
    by_expectations = {
        (sample.loc[place, "source"], sample.loc[place, "property"])
        for places in unexpected_rows(checks(), sample).values()
        for place in places
    }
    assert by_expectations == by_contract
    assert 0 < len({line for line, _ in by_contract}) < len(records), "some lines are right and some are wrong"
    rejected = {str(row["line"]) for row in enforced.iter_rows(named=True) if row["status"] == "rejected"}
    assert rejected == {line for line, _ in by_contract}
    # What the enforcing contract accepted satisfies every expectation, and was judged by them.
    found = list(judge(checks(), {"property_sample": frame(enforced, plan)}, None))
    assert {each.status for each in found} == {"passed"}, found
    assert all(each.observed["rows"] > 0 for each in found)


def test_what_an_observing_definition_lets_through_is_no_fault(tmp_path: Path) -> None:
    paid = {
        "name": "paid",
        "mode": "observe",
        "properties": [
            {"name": "fee", "type": "number", "maps_to": "value"},
            {"name": "in", "type": "string", "maps_to": "currency"},
        ],
        "goal": {"type": "purchase", "value": "fee"},
    }
    sent = [{"fee": 5, "in": "EUR"}, {}, {"fee": "n/a"}, {"fee": 5, "in": "euro"}]
    made = judged(tmp_path, *(event(event_name="paid", properties=each) for each in sent), events=[paid])
    registry = load_project(tmp_path, {}).registry
    with duckdb.connect() as connection:
        connection.register("made", made.to_arrow())
        connection.execute("create view event_versions as select *, 'now' as run_id from made")
        sample = samples(connection, registry, ["now"], 100, ["paid"])
    assert sorted(sample["event_sample"]["violations"]) == [0, 1, 1, 2]
    own = [each for each in default_rules().expectations if each.of == "event_sample"]
    assert {each.status for each in judge(own, sample, None)} == {"passed"}


def test_a_verdict_counts_the_faults(tmp_path: Path) -> None:
    records = [event(event_name=NAME, properties=CLEAN | {"number": "x"}), event(event_name=NAME, properties=CLEAN)]
    observed = judged(tmp_path, *records, events=[definition("observe")])
    plan = load_project(tmp_path, {}).registry.by_name[NAME].model_copy(update={"mode": "enforce"})
    found = {
        each.check: each for each in judge(checks(), {"property_sample": frame(observed, plan)}, tmp_path / "docs")
    }
    failed = found["numbers_are_numbers"]
    assert (failed.status, failed.severity, failed.holds_back) == ("failed", "error", True)
    assert failed.observed == {"rows": 2, "unexpected": 1}
    assert failed.failing == (
        {"source": "1", "event_name": NAME, "property": "number", "declared": "number", "seen": "string", "events": 1},
    )
    assert {each.status for name, each in found.items() if name != "numbers_are_numbers"} == {"passed"}
    gc.collect()  # what the library leaves behind would warn here, and not in whichever test comes later
    assert "numbers_are_numbers" in (tmp_path / "docs" / "index.html").read_text() or any(
        "property_sample" in path.name for path in (tmp_path / "docs").rglob("*.html")
    )


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, "missing"),
        (True, "boolean"),
        (1, "number"),
        (1.5, "number"),
        ([], "array"),
        ({}, "object"),
        ("x", "string"),
        ("2026-01-05", "date"),
        ("2026-01-05T10:00:00Z", "date"),
        ("2026-02-30", "string"),
        ("20260105", "string"),
    ],
)
def test_what_a_value_is_seen_as(value: object, kind: str) -> None:
    assert seen_type(value) == kind
