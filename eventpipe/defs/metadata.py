"""What people see beside an asset: rows, rejects, bytes, seconds, a preview.

Here: the metadata of each kind of asset. Numbers stay numbers, so that Dagster draws them over time. Not here:
anything that belongs to a person (see `previews`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Final

import dagster as dg
import duckdb

from eventpipe.audit.findings import Finding
from eventpipe.defs.previews import MOST_ROWS, markdown, preview
from eventpipe.intake.land import Landed, by_outcome
from eventpipe.ops.automations import Step
from eventpipe.ops.runs import Stage
from eventpipe.serving.publish import Published
from eventpipe.warehouse.dbt import Node
from eventpipe.warehouse.plan import Plan

Metadata = dict[str, dg.MetadataValue | str | int | float]

COLUMNS: Final = "dagster/column_schema"
"""Of tables that no dbt model describes."""

ROWS: Final = "dagster/row_count"
PARTITION_ROWS: Final = "dagster/partition_row_count"
_SUMMED: Final = ("accepted", "rejected", "blank", "bytes")


def lake_metadata(landed: Sequence[Landed]) -> Metadata:
    """Of all exports that a run looked at: what the lake holds of them, and what became of them."""
    by_source: dict[str, list[Landed]] = {}
    for each in landed:
        by_source.setdefault(each.key.source, []).append(each)
    metadata = _exports(landed, ROWS)
    if landed:
        columns = ("exports", "accepted", "rejected", "blank")
        rows = [[source, *(_exports(of, ROWS)[name] for name in columns)] for source, of in sorted(by_source.items())]
        metadata["preview"] = dg.MetadataValue.md(markdown(["source", *columns], rows))
    return metadata


def landing_date_metadata(landed: Sequence[Landed]) -> dict[date, Metadata]:
    """The same for each landing date of these exports by itself."""
    by_day: dict[date, list[Landed]] = {}
    for each in landed:
        by_day.setdefault(each.key.landed_on, []).append(each)
    return {day: _exports(exports, PARTITION_ROWS) for day, exports in by_day.items()}


def empty_date_metadata() -> Metadata:
    """Of a landing date without exports."""
    return _exports((), PARTITION_ROWS)


def plan_metadata(plan: Plan) -> Metadata:
    """What the run touches, and why it rebuilds when it does."""
    return {
        "new_exports": plan.new_exports,
        "outdated_exports": plan.outdated_exports,
        "reopened_events": plan.reopened_events,
        "rebuild": plan.rebuild or "no",
    }


def table_metadata(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    relation: str,
    *,
    is_view: bool = False,
    node: Node | None = None,
) -> Metadata:
    """Of a table of the working database, made by the dbt model `node` if by one; a view has no rows of its own."""
    metadata: Metadata = {}
    if not is_view:
        found = connection.execute(f"select count(*) from {relation}").fetchone()
        metadata[ROWS] = int(found[0]) if found else 0
    if node is not None:
        metadata["seconds"] = round(node.seconds, 3)
    else:
        metadata[COLUMNS] = _columns(connection, relation)
    shown = preview(connection, table, relation)
    if shown is not None:
        metadata["preview"] = dg.MetadataValue.md(shown)
    return metadata


def decision_metadata(step: Step | None) -> Metadata:
    """What a run decided: new candidates, and decisions by status or, where it did not fire, by reason."""
    if step is None:
        return {"candidates": 0}
    return {"candidates": step.candidates, "activated": len(step.activated), **step.by_outcome()}


def published_metadata(published: Published) -> Metadata:
    """Of the published file: its size, and the rows of each table in it; of a server, the rows that travelled."""
    rows = "\n".join(f"| {name} | {count:,} |" for name, count in sorted(published.rows.items()))
    return {
        ROWS: sum(published.rows.values()),
        "bytes": published.bytes,
        "tables": dg.MetadataValue.md(f"| table | rows |\n| --- | ---: |\n{rows}"),
        **({} if published.removed is None else {"removed_on_server": published.removed}),
        **({} if published.brought is None else {"brought_to_server": published.brought}),
    }


def check_metadata(findings: Sequence[Finding]) -> Metadata:
    """Of a check, which may have judged several subjects: numbers, what to do, and a short table of what failed."""
    metadata: Metadata = {
        "status": "failed" if any(each.status == "failed" for each in findings) else findings[0].status
    }
    if len(findings) == 1:
        metadata |= {name: value for name, value in findings[0].observed.items() if value is not None}
    else:
        metadata |= {"subjects": len(findings), "failed": sum(each.status == "failed" for each in findings)}
    messages = [each.message for each in findings if each.message is not None]
    if messages:
        metadata["message"] = " ".join(messages[:MOST_ROWS])
    rows = [row for each in findings for row in each.failing]
    if not rows and len(findings) > 1:
        rows = [{"subject": each.subject, **each.observed} for each in findings if each.status == "failed"]
    if rows:
        columns = list(rows[0])
        metadata["failing"] = dg.MetadataValue.md(
            markdown(columns, [[row.get(name) for name in columns] for row in rows])
        )
    return metadata


def stage_metadata(stages: Iterable[Stage], name: str) -> Metadata:
    """The wall time of a stage, if it was done."""
    found = next((stage for stage in stages if stage.name == name), None)
    return {} if found is None else {"seconds": found.seconds}


def _columns(connection: duckdb.DuckDBPyConnection, relation: str) -> dg.TableSchemaMetadataValue:
    """The columns of a relation with their types and comments, as the database has them."""
    schema, _, table = relation.partition(".")
    found = connection.execute(
        "select column_name, lower(data_type), comment from duckdb_columns()"
        " where schema_name = $1 and table_name = $2 and database_name = current_database() order by column_index",
        [schema, table],
    ).fetchall()
    return dg.MetadataValue.table_schema(
        dg.TableSchema([dg.TableColumn(name, kind, description=comment) for name, kind, comment in found])
    )


def _exports(landed: Sequence[Landed], rows: str) -> Metadata:
    """`rows` is the key under which Dagster looks for their number. Names of refused exports are in the ledger."""
    manifests = [each.manifest for each in landed if each.manifest is not None]
    sums = {name: sum(getattr(manifest, name) for manifest in manifests) for name in _SUMMED}
    reasons = Counter(str(each.manifest.reason) for each in landed if each.outcome == "refused" and each.manifest)
    return {
        rows: sums["accepted"] + sums["rejected"],
        **sums,
        "exports": len(landed),
        **{f"exports_{outcome}": count for outcome, count in by_outcome(list(landed))},
        **({"refused": ", ".join(f"{count} {why}" for why, count in sorted(reasons.items()))} if reasons else {}),
    }
