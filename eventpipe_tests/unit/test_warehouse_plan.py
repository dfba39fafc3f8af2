"""What a run reads of the lake, as it plans it."""

from __future__ import annotations

from pathlib import Path

import duckdb

from eventpipe.intake.lake import Lake, exactly
from eventpipe.sql import literal
from eventpipe.warehouse.database import connect
from eventpipe.warehouse.plan import make_plan
from eventpipe_tests.builders import NOW, event, export, land, project


def test_rows_that_an_older_eventpipe_wrote_have_the_types_of_today(tmp_path: Path) -> None:
    made = project(tmp_path)
    export(made, [event()])
    land(made)
    lake = Lake(made.lake)
    (path,) = (lake.data_path(manifest) for manifest in lake.manifests())
    assert path is not None
    older = path.with_suffix(".older")
    duckdb.execute(
        f"copy (select * replace (coercions::integer as coercions, value::double as value, properties::varchar as properties)"
        f" from {literal(exactly(path))}) to {literal(str(older))} (format parquet)"
    )
    older.replace(path)
    with connect(made) as connection:
        make_plan(connection, made, run_id="r", as_of=NOW, full_refresh=False)
        read = {name: type for name, type, *_ in connection.execute("describe from run.new_rows").fetchall()}
        rows = connection.execute("select event_name, value from run.new_rows").fetchall()
    assert (read["coercions"], read["value"], read["properties"]) == ("BIGINT", "DECIMAL(18,4)", "JSON")
    assert rows == [("page.seen", None)]
