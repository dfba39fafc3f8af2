"""docs/tables.md: every published table and column, as a run of the pipeline describes them.

python -m eventpipe.serving.reference demo/analytics.duckdb > docs/tables.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb

from eventpipe.serving.postgres.relations import Relation, relations

_OPENING = """\
# Published tables

Written by `make docs` from what the models and the pipeline say of themselves; the same text is in the databases
(`comment on`). One run publishes all of these together. In `analytics.duckdb` they are in the schema `main`, in
PostgreSQL in `eventpipe` (or `serving.schema`), with the indexes named here.

Instants are UTC, in microseconds. Money is decimal, in the `currency` beside it. A column that begins with `run_`,
`loaded_`, `published_` or `recorded_` tells of a run or of the wall clock.
"""


def reference(published: Path) -> str:
    """The page, from a published file."""
    with duckdb.connect(str(published), read_only=True) as connection:
        name = connection.execute("select current_database()").fetchone()
        assert name is not None
        found = sorted(relations(connection, str(name[0])), key=lambda each: each.name)
    return "\n".join([_OPENING, *(line for each in found for line in _section(each))])


def _section(relation: Relation) -> Iterator[str]:
    yield f"## {relation.name}\n"
    if relation.comment:
        yield f"{_cell(relation.comment)}\n"
    kind = "A view." if relation.sql is not None else _kept(relation)
    yield f"{kind}\n"
    yield "| column | DuckDB | PostgreSQL | description |"
    yield "| --- | --- | --- | --- |"
    types = relation.types()
    for column in relation.columns:
        told = _cell(relation.comments.get(column.name, ""))
        yield f"| `{column.name}` | {_cell(column.engine_type.lower())} | {types[column.name]} | {told} |"
    yield ""


def _kept(relation: Relation) -> str:
    layout = relation.layout
    indexes = [f"({', '.join(names)})" for names in (*layout.lookups, *((name,) for name in layout.equal))]
    indexes += [f"{name} (what it contains)" for name in layout.documents]
    key = f"Key: {', '.join(layout.key)}." if layout.key else "No key."
    return f"{key} Indexes: {'; '.join(indexes)}." if indexes else key


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


if __name__ == "__main__":
    sys.stdout.write(reference(Path(sys.argv[1])))
