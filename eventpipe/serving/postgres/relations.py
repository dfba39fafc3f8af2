"""The tables and views of an edition as PostgreSQL is to have them: SQLAlchemy tables, comments, and views in its SQL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import duckdb
from sqlalchemy import Column, Dialect, Index, MetaData, Table, Text, func
from sqlalchemy.dialects.postgresql.base import PGDialect

from eventpipe.serving.layout import Layout, layout_of
from eventpipe.serving.postgres.columns import ServedColumn

_DIALECT: Dialect = PGDialect()  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class Relation:
    """A published table or view. `sql` is a view's query in the engine's SQL, None of a table."""

    name: str
    columns: tuple[ServedColumn, ...]
    comment: str | None
    comments: Mapping[str, str]
    sql: str | None = None

    @property
    def layout(self) -> Layout:
        """How its rows are kept."""
        return layout_of(self.name)

    def table(self, schema: str) -> Table:
        """It as a table of `schema`, with its indexes and without its primary key, which is cheaper added later."""
        made = Table(
            self.name,
            MetaData(schema=schema),
            *(_column(each) for each in self.columns),
            postgresql_with={"fillfactor": self.layout.filled},
        )
        for index in self._indexes(made):
            assert index.table is made
        return made

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its columns, in order."""
        return tuple(each.name for each in self.columns)

    def types(self) -> dict[str, str]:
        """The type of each column as PostgreSQL itself spells it."""
        return {each.name: each.type.compile(_DIALECT).lower().replace(", ", ",") for each in self.columns}

    def has_primary_key(self) -> bool:
        """Whether its key can be a primary key: no part of it may be null or too long for an ordered index."""
        return bool(self.layout.key) and not self.layout.nullable and not self.layout.long

    def digest(self) -> str:
        """Changes when a view is to be made anew."""
        told = f"{self.sql}\0{self.types()}\0{self.comment}\0{sorted(self.comments.items())}"
        return sha256(told.encode()).hexdigest()

    def _indexes(self, table: Table) -> Iterator[Index]:
        layout = self.layout
        if layout.key and not self.has_primary_key():
            parts = [func.md5(table.c[name]) if name in layout.long else table.c[name] for name in layout.key]
            yield Index(f"uq_{self.name}", *parts, unique=True, postgresql_nulls_not_distinct=True)
        for names in layout.lookups:
            yield Index(f"ix_{self.name}_{'_'.join(names)}", *(table.c[name] for name in names))
        for name in layout.equal:
            yield Index(f"ix_{self.name}_{name}", table.c[name], postgresql_using="hash")
        for name in layout.documents:
            yield Index(
                f"ix_{self.name}_{name}",
                table.c[name],
                postgresql_using="gin",
                postgresql_ops={name: "jsonb_path_ops"},
            )


def relations(connection: duckdb.DuckDBPyConnection, database: str) -> list[Relation]:
    """The relations in the schema main of an attached database: tables by name, then views."""
    found = connection.execute(
        """
        from (
            select table_name as name, comment, null as sql from duckdb_tables()
            where database_name = $1 and schema_name = 'main'
            union all
            select view_name, comment, sql from duckdb_views()
            where database_name = $1 and schema_name = 'main' and not internal
        )
        order by sql is not null, name
        """,
        [database],
    ).fetchall()
    columns = _columns(connection, database)
    return [
        Relation(
            name,
            tuple(ServedColumn(column, kind, column in layout_of(name).json) for column, kind, _ in columns[name]),
            comment=comment,
            comments={column: told for column, _, told in columns[name] if told is not None},
            sql=sql,
        )
        for name, comment, sql in found
    ]


def view_sql(view: Relation, schema: str) -> str:
    """The view's query in PostgreSQL's SQL, over the tables of `schema`."""
    import sqlglot  # late: it is needed when a view changes
    from sqlglot import exp

    assert view.sql is not None
    parsed = sqlglot.parse_one(view.sql, read="duckdb")
    query = parsed.args["expression"]
    types = view.types()
    for table in query.find_all(exp.Table):
        if table.db == "main":
            table.set("db", exp.to_identifier(schema))
            table.set("catalog", None)
    # The inner ones first: an outer one is copied with what is inside of it.
    for made in reversed(list(query.find_all(exp.JSONObject))):
        made.replace(_json_object(made))
    for called in list(query.find_all(exp.Anonymous)):
        if called.name.lower() == "count_star":  # how the engine writes down count(*)
            called.replace(exp.Count(this=exp.Star()))
    # A union of nulls is text there, and no union of text and numbers is a union.
    for projected in list(query.find_all(exp.Alias)):
        if isinstance(projected.this, exp.Null) and projected.alias in types:
            projected.this.replace(exp.cast(exp.Null(), types[projected.alias], dialect="postgres"))
    sql: str = query.sql(dialect="postgres", identify=True)
    return sql


def _json_object(made: object) -> object:
    from sqlglot import exp

    assert isinstance(made, exp.JSONObject)
    parts = [part for pair in made.expressions for part in (pair.this, pair.expression)]
    return exp.Anonymous(this="jsonb_build_object", expressions=[part.copy() for part in parts])


def _column(served: ServedColumn) -> Column[Any]:
    return Column(served.name, Text(collation=served.collation) if served.collation else served.type)


def _columns(connection: duckdb.DuckDBPyConnection, database: str) -> dict[str, list[tuple[str, str, str | None]]]:
    """Name, type and comment of each column, by relation. One look at the catalogue: each of them binds every view."""
    found = connection.execute(
        "select table_name, column_name, data_type, comment from duckdb_columns()"
        " where database_name = $1 and schema_name = 'main' order by table_name, column_index",
        [database],
    )
    columns: dict[str, list[tuple[str, str, str | None]]] = {}
    for table, *column in found.fetchall():
        columns.setdefault(table, []).append((column[0], column[1], column[2]))
    return columns
