"""Parquet exports."""

from __future__ import annotations

import io
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from eventpipe_tests.builders import (
    accepted,
    event,
    export,
    judged,
    landed,
    project,
    reasons,
)
from eventpipe_tests.intake.arranged import (
    parquet_bytes,
    refusal,
)


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    at = pa.array([1767607200_000000], pa.timestamp("us", "UTC"))
    table = {
        "event_name": ["a"],
        "customer_id": pa.array([12345678901234567], pa.int64()),
        "occurred_at": at,
        "value": pa.array([Decimal("12345678901234.5678")], pa.decimal128(18, 4)),
        "properties": pa.array([{"n": 1, "list": [1.5, None], "text": "x", "none": None}]),
    }
    made = project(tmp_path)
    export(made, parquet_bytes(**table), name="a.parquet")
    row = accepted(landed(made))
    assert row["customer_id"] == "12345678901234567"
    assert row["occurred_at"].isoformat() == "2026-01-05T10:00:00+00:00"
    assert row["value"] == Decimal("12345678901234.5678")
    assert {name: value for name, value in row["properties"].items() if value is not None} == {
        "n": 1,
        "list": [1.5, None],
        "text": "x",
    }


def test_objects_that_parquet_holds_as_text_are_read(tmp_path: Path) -> None:
    made = project(tmp_path)
    export(made, parquet_bytes(event_name=["a"], customer_id=["c"], properties=['{"n": 1}']), name="a.parquet")
    assert accepted(landed(made))["properties"] == {"n": 1}


def test_a_naive_time_in_parquet_is_in_the_zone_of_the_source(tmp_path: Path) -> None:
    made = project(tmp_path, sources={"web": {"preset": "canonical", "timezone": "Asia/Tokyo"}})
    at = pa.array([1767607200_000000], pa.timestamp("us"))
    export(made, parquet_bytes(event_name=["a"], customer_id=["c"], occurred_at=at), name="a.parquet")
    assert accepted(landed(made))["occurred_at"].isoformat() == "2026-01-05T01:00:00+00:00"


def test_a_row_of_parquet_that_holds_no_number_is_rejected_alone(tmp_path: Path) -> None:
    made = project(tmp_path)
    values = pa.array([1.0, float("nan"), 2.0])
    export(made, parquet_bytes(event_name=["a"] * 3, customer_id=["c"] * 3, value=values), name="a.parquet")
    rows = landed(made)
    assert [bool(each) for each in reasons(rows)] == [False, True, False]
    assert rows["line"].to_list() == [1, 2, 3]


def test_parquet_with_columns_of_every_kind_lands(tmp_path: Path) -> None:
    table = {
        "event_name": ["a"],
        "customer_id": ["c"],
        "blob": pa.array([b"\xff\0"], pa.binary()),
        "day": pa.array([20458], pa.date32()),
        "bool": [True],
        "duration": pa.array([5], pa.duration("s")),
        "map": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())),
        "null": pa.nulls(1),
        "": ["x"],
        "a b": ["x"],
    }
    made = project(tmp_path)
    export(made, parquet_bytes(**table), name="a.parquet")
    accepted(landed(made))


def test_parquet_rows_keep_their_numbers_over_row_groups(tmp_path: Path) -> None:
    made = project(tmp_path)
    sink = io.BytesIO()
    names = [f"c{number}" for number in range(500)]
    pq.write_table(pa.table({"event_name": ["a"] * 500, "customer_id": names}), sink, row_group_size=7)
    export(made, sink.getvalue(), name="a.parquet")
    assert landed(made).select("line", "customer_id").rows() == list(enumerate(names, start=1))


def test_a_parquet_column_named_like_the_engine_s_own_refuses_the_file(tmp_path: Path) -> None:
    content = parquet_bytes(event_name=["a"], file_row_number=[1])
    assert refusal(project(tmp_path), content, "a.parquet") == "file.corrupt"


def test_decimals_wider_than_can_be_read_refuse_the_file(tmp_path: Path) -> None:
    """Also inside of a column: the engine would read other amounts."""
    amounts = pa.array([Decimal("19.99")], pa.decimal256(39, 2))
    narrow = pa.array([Decimal("19.99")], pa.decimal128(38, 2))
    made = project(tmp_path)
    for number, columns in enumerate(
        ({"value": amounts}, {"properties": pa.StructArray.from_arrays([amounts], ["paid"])})
    ):
        content = parquet_bytes(event_name=["a"], customer_id=["c"], **columns)
        assert refusal(made, content, f"{number}.parquet") == "file.format"
    export(made, parquet_bytes(event_name=["a"], customer_id=["c"], value=narrow), name="narrow.parquet")
    assert accepted(landed(made))["value"] == Decimal("19.99")


def test_parquet_without_a_preset_is_mapped_by_column(tmp_path: Path) -> None:
    source = {
        "format": "parquet",
        "map": {"event_name": {"value": "sale"}, "customer_id": "Customer ID", "value": "a.b"},
    }
    made = project(tmp_path, sources={"web": source})
    export(made, parquet_bytes(**{"Customer ID": ["c"], "a.b": [2.5], "rest": [1]}), name="a.parquet")
    row = accepted(landed(made))
    assert (row["customer_id"], row["value"], row["properties"]) == ("c", Decimal("2.5"), {"rest": 1})


def test_nothing_is_landed_twice_under_two_lines(tmp_path: Path) -> None:
    rows = judged(tmp_path, *[event(customer_id=f"c{n}") for n in range(3000)])
    assert rows["line"].to_list() == list(range(1, 3001))
    assert rows["customer_id"].to_list() == [f"c{n}" for n in range(3000)]
    assert rows["event_id"].n_unique() == 3000
