"""More distinct names than the limits allow, and more text."""

from __future__ import annotations

import json
from decimal import ROUND_HALF_UP, Decimal
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


def test_what_a_record_says_beside_its_events_is_repeated_within_limits(tmp_path: Path) -> None:
    """Of a line under one mebibyte that would become more than sixteen."""
    few, many = ({"events": [event()] * count, "note": "x" * 30_000} for count in (10, 1000))
    rows = judged(tmp_path, few, many, event())
    assert reasons(rows) == [*[[]] * 10, ["line.too_long"], []]


def test_an_export_of_batch_bodies_lands_within_the_memory_that_it_is_given(tmp_path: Path) -> None:
    """Also where each number has to be found in its line again to keep its digits."""
    made = project(tmp_path, engine={"memory": "500MB"})
    numbers = [f"{place}.{place * 7919:018}" for place in range(1000)]
    one = ",".join(json.dumps(event(value=None))[:-1] + f', "value": {number}}}' for number in numbers)
    export(made, (f'{{"events": [{one}], "workspace_id": "w"}}' for _ in range(20)))
    rows = landed(made)
    assert rows.height == 20_000
    assert rows["value"].n_unique() == len(
        {Decimal(number).quantize(Decimal("0.0001"), ROUND_HALF_UP) for number in numbers}
    )


def test_an_export_of_long_lines_lands_within_the_memory_that_it_is_given(tmp_path: Path) -> None:
    made = project(tmp_path, engine={"memory": "300MB"})
    long = json.dumps(event(properties={"text": "".join(map(str, range(180_000)))}))
    export(made, [long] * 320)
    land(made)
    assert ledger(made)["events.jsonl"].accepted == 320
