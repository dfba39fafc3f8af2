"""The models' SQL, which is DuckDB's, as Spark says it.

sqlglot knows both dialects; what is here are the few things that it leaves as they are, or whose meaning differs.
"""

from __future__ import annotations

from collections.abc import Callable

import sqlglot
from sqlglot import exp

WHOLE = exp.DataType.build("decimal(38, 0)")


def tables(sql: str) -> set[tuple[str, str]]:
    """Schema and name of each table or view that a query of DuckDB reads."""
    return {(table.db, table.name) for table in _parsed(sql).find_all(exp.Table) if table.db}


def to_spark(sql: str, name: Callable[[str, str], str]) -> str:
    """A query of DuckDB as a query of Spark, in ANSI mode and with the session's time zone UTC. `name` gives the name that a
    table has there, of its schema and name here.
    """
    tree = _parsed(sql)
    for table in tree.find_all(exp.Table):
        if table.db:
            table.replace(exp.to_table(name(table.db, table.name), alias=table.alias or None))
    # From the inside out: what takes the place of a node has its parts in Spark's words already.
    for node in reversed(list(tree.walk())):
        if (rule := _RULES.get(type(node))) is not None:
            node.replace(rule(node.copy()))
    return tree.sql(dialect="spark")


def _parsed(sql: str) -> exp.Expr:
    return sqlglot.parse_one(sql, read="duckdb")


def _cte(node: exp.Expr) -> exp.Expr:
    """Spark decides by itself what it computes once."""
    node.set("materialized", None)
    return node


def _type(node: exp.Expr) -> exp.Expr:
    """Spark has no integers of 128 bits."""
    return WHOLE.copy() if node.this == exp.DataType.Type.INT128 else node


def _quotient(node: exp.Expr) -> exp.Expr:
    """`//`: Spark's `div` gives 64 bits. What is left without the remainder divides exactly, in decimals too."""
    dividend, divisor = (exp.cast(exp.paren(side.copy()), WHOLE) for side in (node.this, node.expression))
    remainder = exp.Mod(this=dividend.copy(), expression=divisor.copy())
    exact = exp.Div(this=exp.paren(exp.Sub(this=dividend, expression=remainder)), expression=divisor)
    return exp.cast(exact, WHOLE)


def _sign(node: exp.Expr) -> exp.Expr:
    """Spark's is a float, whatever it is the sign of."""
    number = exp.paren(node.this)
    return exp.paren(
        exp.case()
        .when(exp.GT(this=number, expression=exp.Literal.number(0)), "1")
        .when(exp.LT(this=number.copy(), expression=exp.Literal.number(0)), "-1")
        .when(exp.EQ(this=number.copy(), expression=exp.Literal.number(0)), "0")
    )


def _element(node: exp.Expr) -> exp.Expr:
    """An element of a list, null where the list has none there; Spark's brackets fail. sqlglot counts from 0 where the
    place is written as a number, and leaves it as it was, from 1, where it is computed."""
    (place,) = node.expressions
    assert not isinstance(place, exp.Slice), "a part of a list has no word here yet"
    if not isinstance(place, exp.Literal):
        place = exp.Sub(this=exp.paren(place), expression=exp.Literal.number(1))
    return exp.func("get", node.this, place)


def _instant(node: exp.Expr) -> exp.Expr:
    """`make_timestamp(epoch_us(instant))`, the instant as a timestamp of UTC."""
    inner = node.this
    if isinstance(inner, exp.Anonymous) and inner.name.lower() == "epoch_us":
        return exp.cast(inner.expressions[0], exp.DataType.Type.TIMESTAMPNTZ)
    return node


def _function(node: exp.Expr) -> exp.Expr:
    match node.name.lower(), node.expressions:
        case "list_position", [values, value]:
            return exp.func("nullif", exp.func("array_position", values, value), exp.Literal.number(0))
        case "timezone", _:
            # Each machine of a cluster has the calendar of its Java, which may know another year's rules than ours.
            raise ValueError("Days of a time zone are not for a cluster: leave the model's tag by_event out.")
    return node


def _not(node: exp.Expr) -> exp.Expr:
    """`key not in (select ...)` as an anti join. Of keys that are never null, as all are here, both say the same; Spark
    would compare each row with each."""
    inner = node.this
    if not (isinstance(inner, exp.In) and isinstance(query := inner.args.get("query"), exp.Subquery)):
        return node
    select = query.this
    assert isinstance(select, exp.Select)
    # Under a name of its own: a key without its table would mean the column inside.
    (key,) = select.expressions
    select.set("expressions", [exp.alias_(key.unalias(), "key_found")])
    found = exp.EQ(this=exp.column("key_found", table="found"), expression=inner.this)
    others = exp.select("1").from_(exp.Subquery(this=select, alias=exp.TableAlias(this=exp.to_identifier("found"))))
    return exp.Not(this=exp.Exists(this=others.where(found)))


_RULES: dict[type[exp.Expr], Callable[[exp.Expr], exp.Expr]] = {
    exp.CTE: _cte,
    exp.DataType: _type,
    exp.IntDiv: _quotient,
    exp.Sign: _sign,
    exp.Bracket: _element,
    exp.UnixToTime: _instant,
    exp.Anonymous: _function,
    exp.Not: _not,
}
