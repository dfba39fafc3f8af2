"""What the cluster has a part in: the rows of models that read every event, computed from the lake in a rebuild.

    <state>/spark/lake/       links to the lake's files, under names that Spark takes as they are
    <state>/spark/handed/     what the working database knows and the cluster does not: parameters, who is who
    <state>/spark/made/       the rows of each model, Parquet

The SQL is the models' own (eventpipe.cluster.dialect). dbt makes the tables of the working database with these rows in
the place of its own select, so that all that is read afterwards, the next run among it, is as if they had been made there.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
from sqlglot import exp

from eventpipe.cluster import dialect
from eventpipe.cluster.session import Session, folder, session
from eventpipe.intake.lake import parquet
from eventpipe.project.folder import Project
from eventpipe.sql import identifier, literal

if TYPE_CHECKING:
    from eventpipe.warehouse.dbt import Compiled

TAG = "by_event"
"""What dbt calls models that the cluster makes: of the grain of events, or counted from all of them."""

_NEW_ROWS = ("run", "new_rows")
Relation = tuple[str, str]
"""Schema and name."""


class Cluster:
    """Spark at work on one rebuild. Errors of all methods: `StageFailed`."""

    def __init__(self, spark: Session, folder: Path, new_files: Sequence[Path]) -> None:
        self._spark = spark
        self._folder = folder
        self._new_files = new_files
        self._known: dict[Relation, Compiled] = {}
        self._there: set[Relation] = set()

    def make(self, connection: duckdb.DuckDBPyConnection, models: Sequence[Compiled]) -> dict[str, str]:
        """Compute the rows of those of these models, in order of their dependencies, that the cluster makes. Gives their relations for
        the working database, by name; `connection` is to it."""
        self._known |= {(model.schema, model.name): model for model in models}
        return {model.name: self._make(connection, model) for model in models if TAG in model.tags}

    def _make(self, connection: duckdb.DuckDBPyConnection, model: Compiled) -> str:
        folder = self._folder / "made" / model.name
        self._spark.write(model.name, self._query(connection, model), folder)
        self._show((model.schema, model.name), folder)
        return parquet(sorted(folder.glob("part-*.parquet")))

    def _query(self, connection: duckdb.DuckDBPyConnection, model: Compiled) -> str:
        """The model in Spark's words, when all that it reads is there."""
        for relation in sorted(dialect.tables(model.sql) - self._there):
            self._bring(connection, relation)
        return dialect.to_spark(model.sql, _name)

    def _bring(self, connection: duckdb.DuckDBPyConnection, relation: Relation) -> None:
        """Have a relation on the cluster: a view as what it selects, the lake's rows from its files, anything else handed over."""
        known = self._known.get(relation)
        if relation == _NEW_ROWS:
            self._read_lake(connection)
        elif known is not None and known.materialized == "view":
            self._spark.show(known.name, _name(*relation), self._query(connection, known))
            self._there.add(relation)
        else:
            schema, name = relation
            file = self._folder / "handed" / f"{schema}.{name}.parquet"
            connection.execute(f"copy {schema}.{identifier(name)} to {literal(str(file))} (format parquet)")
            self._show(relation, file)

    def _read_lake(self, connection: duckdb.DuckDBPyConnection) -> None:
        links = self._folder / "lake"
        for number, path in enumerate(self._new_files):
            (links / f"{number}.parquet").symlink_to(path)
        columns = connection.execute(f"describe {'.'.join(_NEW_ROWS)}").fetchall()
        self._show(_NEW_ROWS, links, ", ".join(f"`{name}` {_type(type)}" for name, type, *_ in columns))

    def _show(self, relation: Relation, path: Path, schema: str | None = None) -> None:
        self._spark.show_files(_name(*relation), path, schema)
        self._there.add(relation)


@contextmanager
def cluster(project: Project, run_id: str, new_files: Sequence[Path]) -> Iterator[Cluster]:
    """The cluster that the project names, for one rebuild. `new_files` are the lake's files that it reads."""
    ours = folder(project)
    for each in ("lake", "handed", "made"):
        (ours / each).mkdir(parents=True)
    try:
        with session(project, f"eventpipe {run_id}") as spark:
            yield Cluster(spark, ours, new_files)
    finally:
        shutil.rmtree(ours, ignore_errors=True)


def _name(schema: str, name: str) -> str:
    return f"{schema}__{name}"


def _type(type: str) -> str:
    return "string" if type == "JSON" else exp.DataType.build(type, dialect="duckdb").sql("spark")
