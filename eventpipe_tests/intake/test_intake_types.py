"""The lake's files have the same columns, of the same types, whatever the source and its definitions are: a scan of
them all can rely on any one of them.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from eventpipe.intake.contract import LAKE_COLUMNS
from eventpipe.intake.lake import LAKE_TYPES, write_no_rows
from eventpipe_tests.builders import event, export, land, project

ORDERED = {
    "name": "order.completed",
    "dedupe_on": "order_id",
    "properties": [{"name": "total", "type": "number"}, {"name": "order_id", "type": "string"}],
}


@pytest.mark.parametrize("events", [[], [ORDERED]])
def test_every_file_of_the_lake_has_the_declared_types(tmp_path: Path, events: list[dict[str, object]]) -> None:
    shop = project(tmp_path, sources={"web": "canonical", "none": "canonical"}, events=events)
    bought = event(event_name="order.completed", properties={"total": "12.5", "order_id": "o1"})
    export(shop, [event(), bought, event(customer_id=None)])
    export(shop, [], source="none")
    land(shop)
    files = sorted((tmp_path / "lake").rglob("*.parquet"))
    assert len(files) == 2
    files.append(tmp_path / "no_rows.parquet")
    write_no_rows(files[-1])
    declared = {name: LAKE_TYPES.get(name, pa.string()) for name in LAKE_COLUMNS}
    for file in files:
        assert {field.name: field.type for field in pq.read_schema(file)} == declared, file
