"""More distinct names than the limits allow (spec 1, section 4; spec 5, faults)."""

from __future__ import annotations

from pathlib import Path

from eventpipe_tests.builders import (
    event,
    export,
    judged,
    land,
    landed,
    ledger,
    project,
    reasons,
)
from eventpipe_tests.intake.arranged import (
    ORDER,
    order,
)


def test_more_event_names_than_the_limit_are_rejected_from_the_line_on_that_brings_the_next(
    tmp_path: Path,
) -> None:
    names = ["b", "a", "order.completed", "b", "c", "", "d", "a", "c"]
    records = [order() if name == "order.completed" else event(event_name=name) for name in names]
    rows = judged(tmp_path, *records, events=[ORDER], limits={"event_names": 2})
    over, missing = ["cardinality.exceeded"], ["event_name.missing"]
    assert reasons(rows) == [[], [], [], [], over, missing, over, [], over]
    assert rows.filter(status="rejected")["raw"].null_count() == 0


def test_names_that_only_rejected_lines_bring_do_not_count(tmp_path: Path) -> None:
    records = [event(event_name="bad", customer_id=None), event(event_name="a"), event(event_name="b")]
    assert reasons(judged(tmp_path, *records, limits={"event_names": 2})) == [["identifier.missing"], [], []]


def test_more_property_names_than_the_limit_are_rejected_alike(tmp_path: Path) -> None:
    records = [
        event(properties=each) for each in ({"a": 1}, {"b": 1, "a": 2}, {"c": 1}, {"a": 1, "c": 2}, {"b": None}, {})
    ]
    rows = judged(tmp_path, *records, order(), events=[ORDER], limits={"property_names": 2})
    over = ["cardinality.exceeded"]
    assert reasons(rows) == [[], [], over, over, [], [], []]


def test_the_limit_of_names_counts_events_of_one_line_apart(tmp_path: Path) -> None:
    body = {"events": [event(event_name=name) for name in "abc"]}
    rows = judged(tmp_path, body, event(event_name="a"), limits={"event_names": 2})
    assert reasons(rows) == [[], [], ["cardinality.exceeded"], []]


def test_names_are_capped_at_ten_thousand_by_default(tmp_path: Path) -> None:
    made = project(tmp_path)
    export(made, [event(event_name=f"event {number}") for number in range(20_000)])
    land(made)
    assert (ledger(made)["events.jsonl"].accepted, ledger(made)["events.jsonl"].rejected) == (10_000, 10_000)


def test_the_limit_holds_for_a_file_that_is_judged_by_column(tmp_path: Path) -> None:
    made = project(tmp_path, limits={"event_names": 1})
    export(made, "event_name,customer_id\na,1\nb,1\na,2\n", name="a.csv")
    assert reasons(landed(made)) == [[], ["cardinality.exceeded"], []]
