"""The expressions that queries over contacts and events are made of, and their text.

Names and values that come from a definition are passed as arguments and become literals; what is parsed is written here
or in the modules beside this one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import sqlglot
from sqlglot import exp

DIALECT: Final = "duckdb"


def sql(query: exp.Expr, dialect: str = DIALECT) -> str:
    """The text of a query, laid out to be read."""
    return query.sql(dialect=dialect, pretty=True, comments=False)


def parsed(fixed: str) -> exp.Expr:
    """A tree of text that stands in the code, never of a definition's."""
    return sqlglot.parse_one(fixed, dialect=DIALECT)


def table(name: str, alias: str) -> exp.Expr:
    """A table, read under another name where it has one."""
    found = exp.to_table(name, dialect=DIALECT)
    return found.as_(alias) if name != alias else found


def column(table: str, name: str) -> exp.Column:
    """A column of one of the tables that a query reads."""
    return exp.column(name, table=table)


def equals(column: str, value: str) -> exp.Expr:
    """A column has this text."""
    return exp.EQ(this=exp.column(column), expression=exp.Literal.string(value))


def one_of(column: str, values: tuple[str, ...]) -> exp.Expr:
    """A column has one of these texts."""
    if len(values) == 1:
        return equals(column, values[0])
    return exp.In(this=exp.column(column), expressions=[exp.Literal.string(each) for each in values])


def is_there(value: exp.Expr) -> exp.Expr:
    """A value is not null."""
    return exp.Not(this=exp.Is(this=value.copy(), expression=exp.Null()))


def or_zero(value: exp.Expr) -> exp.Expr:
    """A number, 0 where there is none."""
    return exp.Coalesce(this=value, expressions=[exp.Literal.number(0)])


def or_false(condition: exp.Expr) -> exp.Expr:
    """A condition that is never null."""
    return exp.Coalesce(this=condition, expressions=[exp.false()])


def distinct(conditions: Iterable[exp.Expr]) -> list[exp.Expr]:
    """Conditions of which no two read alike."""
    return list({sql(each): each for each in conditions}.values())
