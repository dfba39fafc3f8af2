"""What people see beside an asset: rows, rejects, bytes, seconds, a preview.

Here: the metadata of each kind of asset. Numbers are numbers, so that Dagster draws them over time. Not here: anything
that belongs to a person (see `previews`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Final

import dagster as dg
import duckdb

from eventpipe.defs.previews import markdown, preview
from eventpipe.intake.land import Landed, Outcome
from eventpipe.ops.runs import Stage
from eventpipe.serving.publish import Published
from eventpipe.warehouse.dbt import Node
from eventpipe.warehouse.plan import Plan

Metadata = dict[str, dg.MetadataValue | str | int | float]

ROWS: Final = "dagster/row_count"
COLUMNS: Final = "dagster/column_schema"
PARTITION_ROWS: Final = "dagster/partition_row_count"
_OUTCOMES: Final[tuple[Outcome, ...]] = ("landed", "replaced", "unchanged", "refused", "waiting")


def landed_metadata(landed: Sequence[Landed]) -> Metadata:
    """Of exports that a run looked at, all together: what the lake holds of them and what became of each."""
    rows, sums = _sums(landed)
    by_source: dict[str, list[Landed]] = {}
    for each in landed:
        by_source.setdefault(each.key.source, []).append(each)
    table = markdown(
        ["source", "exports", "accepted", "rejected", "blank"],
        [
            [source, len(exports), *(_sums(exports)[1][name] for name in ("accepted", "rejected", "blank"))]
            for source, exports in sorted(by_source.items())
        ],
    )
    return {ROWS: rows, **sums, **_refusals(landed), **({"preview": dg.MetadataValue.md(table)} if landed else {})}


def landing_date_metadata(landed: Sequence[Landed]) -> dict[date, Metadata]:
    """The same for each landing date of these exports by itself."""
    by_day: dict[date, list[Landed]] = {}
    for each in landed:
        by_day.setdefault(each.key.landed_on, []).append(each)
    return {day: empty_date_metadata(exports) for day, exports in by_day.items()}


def empty_date_metadata(landed: Sequence[Landed] = ()) -> Metadata:
    """Of a landing date with these exports, with none unless given."""
    rows, sums = _sums(landed)
    return {PARTITION_ROWS: rows, **sums, **_refusals(landed)}


def plan_metadata(plan: Plan) -> Metadata:
    """What the run touches, and why it rebuilds when it does."""
    return {
        "new_exports": plan.new_exports,
        "outdated_exports": plan.outdated_exports,
        "reopened_events": plan.reopened_events,
        "rebuild": plan.rebuild or "no",
    }


def table_metadata(
    connection: duckdb.DuckDBPyConnection, table: str, relation: str, *, is_view: bool, node: Node | None
) -> Metadata:
    """Of a table of the working database; a view has no rows of its own to count."""
    metadata: Metadata = {}
    if not is_view:
        found = connection.execute(f"select count(*) from {relation}").fetchone()
        metadata[ROWS] = int(found[0]) if found else 0
    if node is not None:
        metadata["seconds"] = round(node.seconds, 3)
    metadata[COLUMNS] = _columns(connection, relation)
    shown = preview(connection, table, relation)
    if shown is not None:
        metadata["preview"] = dg.MetadataValue.md(shown)
    return metadata


def _columns(connection: duckdb.DuckDBPyConnection, relation: str) -> dg.MetadataValue:
    """The columns as the database has them: with types, which dbt's descriptions lack."""
    schema, _, name = relation.partition(".")
    found = connection.execute(
        "select column_name, data_type, comment from duckdb_columns()"
        " where schema_name = ? and table_name = ? order by column_index",
        [schema, name],
    ).fetchall()
    return dg.MetadataValue.table_schema(
        dg.TableSchema([dg.TableColumn(column, kind.lower(), description) for column, kind, description in found])
    )


def published_metadata(published: Published) -> Metadata:
    """Of the published file: its size and the rows of each table in it."""
    rows = "\n".join(f"| {name} | {count:,} |" for name, count in sorted(published.rows.items()))
    return {
        ROWS: sum(published.rows.values()),
        "bytes": published.bytes,
        "tables": dg.MetadataValue.md(f"| table | rows |\n| --- | ---: |\n{rows}"),
    }


def test_metadata(node: Node) -> Metadata:
    """Of a dbt test. Its message is left out: an error's can quote a value."""
    return {"failures": node.failures or 0, "status": node.status, "seconds": round(node.seconds, 3)}


def seconds(stages: Iterable[Stage], name: str) -> Metadata:
    """The wall time of the last stage with this name."""
    found = [stage.seconds for stage in stages if stage.name == name]
    return {"seconds": found[-1]} if found else {}


def _sums(landed: Sequence[Landed]) -> tuple[int, Mapping[str, int]]:
    manifests = [each.manifest for each in landed if each.manifest is not None]
    outcomes = Counter(each.outcome for each in landed)
    sums = {
        name: sum(getattr(manifest, name) for manifest in manifests)
        for name in ("accepted", "rejected", "blank", "bytes")
    }
    return sums["accepted"] + sums["rejected"], {
        **sums,
        "exports": len(landed),
        **{f"exports_{outcome}": outcomes[outcome] for outcome in _OUTCOMES if outcomes[outcome]},
    }


def _refusals(landed: Sequence[Landed]) -> Metadata:
    """Why exports were refused, where any was. Their names are in the ledger."""
    reasons = Counter(each.manifest.reason for each in landed if each.outcome == "refused" and each.manifest)
    if not reasons:
        return {}
    return {"refused": ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items(), key=str))}
