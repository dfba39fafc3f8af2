"""The SQL expression of a `map` entry: parsed, checked against what is allowed, written anew.

What runs is never the text of the file but what sqlglot generates from the checked tree, so nothing that the
check did not understand reaches the engine. Allowed are expressions over the fields of one record that give
the same answer for the same record: no subquery, aggregate or window, and no function that reads files,
network, settings, the clock or chance. A list of what is allowed stays right when the
engine learns new functions.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from sqlglot import TokenType, exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import ParseError, SqlglotError

from eventpipe.project.refusal import Refusal

MAX_CHARACTERS: Final = 4000

FUNCTIONS: Final = (
    "abs",
    "cast",
    "ceil",
    "coalesce",
    "concat",
    "date_trunc",
    "epoch_ms",
    "floor",
    "format",
    "greatest",
    "if",
    "json_extract_string",
    "json_object",
    "least",
    "left",
    "length",
    "lower",
    "lpad",
    "ltrim",
    "make_timestamp",
    "md5",
    "nullif",
    "printf",
    "regexp_extract",
    "regexp_matches",
    "regexp_replace",
    "replace",
    "right",
    "round",
    "rpad",
    "rtrim",
    "sha256",
    "split_part",
    "strftime",
    "strptime",
    "substr",
    "substring",
    "to_timestamp",
    "trim",
    "try_cast",
    "try_strptime",
    "upper",
)
"""The functions that messages name. Other spellings of the same functions pass too (`len`)."""

_UNTYPED_FUNCTIONS: Final = frozenset(("try_strptime", "printf"))  # allowed ones sqlglot has no class for

_ALLOWED: Final[frozenset[type[exp.Expr]]] = frozenset(
    (
        *(exp.Column, exp.Identifier, exp.Literal, exp.Null, exp.Boolean, exp.Paren, exp.RawString),
        *(
            exp.Neg,
            exp.Not,
            exp.And,
            exp.Or,
            exp.Add,
            exp.Sub,
            exp.Mul,
            exp.Div,
            exp.IntDiv,
            exp.Mod,
            exp.DPipe,
        ),
        *(exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ, exp.NullSafeNEQ),
        *(exp.Is, exp.In, exp.Between, exp.Like, exp.ILike, exp.Escape, exp.Case, exp.If),
        *(exp.Cast, exp.TryCast, exp.DataType, exp.DataTypeParam),
        *(exp.Coalesce, exp.Nullif, exp.Greatest, exp.Least, exp.Abs, exp.Round, exp.Floor, exp.Ceil),
        *(exp.Concat, exp.Lower, exp.Upper, exp.Trim, exp.Replace, exp.Pad, exp.Format, exp.Length),
        *(exp.Left, exp.Right, exp.Substring, exp.SplitPart, exp.MD5, exp.SHA2),
        *(exp.RegexpExtract, exp.RegexpLike, exp.RegexpReplace),
        *(exp.JSONObject, exp.JSONKeyValue),
        *(exp.JSONExtractScalar, exp.JSONPath, exp.JSONPathRoot, exp.JSONPathKey, exp.JSONPathSubscript),
        *(exp.StrToTime, exp.TimeToStr, exp.UnixToTime, exp.TimestampFromParts),
        *(exp.TimestampTrunc, exp.DateTrunc, exp.Var),
    )
)
"""Exactly these classes: a subclass may be another function."""

_TYPES: Final = frozenset(
    exp.DataType.build(name, dialect="duckdb").this
    for name in (
        *("text", "boolean", "decimal", "real", "double", "date", "time", "timestamp", "timestamptz", "json"),
        *(
            "tinyint",
            "smallint",
            "integer",
            "bigint",
            "hugeint",
            "utinyint",
            "usmallint",
            "uinteger",
            "ubigint",
        ),
    )
)

_NAMES: Final[tuple[tuple[type[exp.Expr], str], ...]] = (
    (exp.Query, "a subquery"),
    (exp.Exists, "a subquery"),
    (exp.Window, "a window function"),
    (exp.Filter, "a filter clause"),
    (exp.Star, "a star"),
    (exp.Columns, "columns()"),
    (exp.Placeholder, "a parameter"),
    (exp.Parameter, "a parameter"),
    (exp.Lambda, "a lambda"),
)


@dataclass(frozen=True)
class ScalarExpression:
    """A checked expression.

    `sql` is DuckDB SQL in which every field of the record is one quoted identifier: `"Quantity"`, and `"a.b"`
    for the JSON path a.b. `fields` lists those identifiers' names once each, in the order of their first use.
    """

    sql: str
    fields: tuple[str, ...]


def parse_expression(text: str) -> ScalarExpression:
    """`text` as a checked expression. Raises Refusal."""
    tree = _parsed(text)
    # the outermost dots first: a Dot holds the Column that its path begins with
    tree = tree.transform(_named_by_path, copy=False)
    for node in tree.walk():
        _check(node)
    tree = tree.transform(_with_parentheses)
    fields = tuple(dict.fromkeys(column.name for column in tree.find_all(exp.Column, bfs=False)))
    if len({name.casefold() for name in fields}) < len(fields):
        raise _refusal("two fields that differ only in case are one name in SQL")
    expression = ScalarExpression(tree.sql(dialect="duckdb", comments=False), fields)
    if (fault := _fault(expression)) is not None:
        raise _refusal(f"the engine says: {fault}")
    return expression


@lru_cache
def _fault(expression: ScalarExpression) -> str | None:
    """What the engine has against the expression over fields of text, before it sees any record; None where it takes it."""
    import duckdb  # late: few projects have an expression

    fields = ", ".join(
        f"cast(range as varchar) as {exp.to_identifier(name, quoted=True).sql('duckdb')}" for name in expression.fields
    )
    with duckdb.connect(config={"enable_external_access": "false"}) as connection:
        try:
            connection.execute(f"select try({expression.sql}) from (select {fields or 'null'} from range(1))")
        except duckdb.Error as error:
            said = str(error).splitlines()[0].partition(": ")[2].partition(" You might need")[0].strip().rstrip(".")
            types = ". Each field is text here: write cast(total as decimal(18,4))"
            return said + types if isinstance(error, duckdb.BinderException) else said
    return None


def _parsed(text: str) -> exp.Expr:
    if len(text) > MAX_CHARACTERS:
        raise _refusal(f"it is longer than {MAX_CHARACTERS} characters")
    dialect = Dialect.get_or_raise("duckdb")
    try:
        if any(token.token_type is TokenType.TILDE for token in dialect.tokenize(text)):
            raise _refusal("the operator ~ is not accepted: write regexp_matches()")
        trees = dialect.parse_into(exp.Condition, text)
    except ParseError as error:
        raise _refusal(_place_of(error)) from None
    except (SqlglotError, RecursionError):
        raise _refusal("it cannot be parsed") from None
    if len(trees) > 1:
        raise _refusal("it holds several statements")
    if not trees or trees[0] is None:
        raise _refusal("it is empty")
    return trees[0]


def _place_of(error: ParseError) -> str:
    """Where the parse stopped; not what stands there, which is for `detail` of the caller to decide."""
    cause: BaseException | None = error
    while isinstance(cause, ParseError):
        for entry in cause.errors:
            if entry.get("line"):
                return f"it cannot be parsed at line {entry['line']}, column {entry['col']}"
        cause = cause.__cause__
    return "it cannot be parsed as an expression"


def _named_by_path(node: exp.Expr) -> exp.Expr:
    """`a.b.c`, be it table and column or struct access to sqlglot, as one field of that path."""
    if isinstance(node, (exp.Column, exp.Dot)):
        parts = node.parts
        if all(isinstance(part, exp.Identifier) for part in parts):
            return exp.column(exp.to_identifier(".".join(part.name for part in parts), quoted=True))
    return node


def _with_parentheses(node: exp.Expr) -> exp.Expr:
    """json_extract_string() is generated as `->>`, which DuckDB binds weaker than most operators."""
    if isinstance(node, exp.JSONExtractScalar) and not isinstance(node.parent, exp.Paren):
        return exp.Paren(this=node)
    return node


def _check(node: exp.Expr) -> None:
    if isinstance(node, exp.Anonymous):
        if node.name.lower() not in _UNTYPED_FUNCTIONS:
            raise _refused_function(node.name)
    elif type(node) not in _ALLOWED:
        for kind, name in _NAMES:
            if isinstance(node, kind):
                raise _refusal(f"{name} is not accepted")
        if isinstance(node, exp.Func):
            raise _refused_function(_function_name(node))
        if isinstance(node, exp.Dot):
            raise _refusal("a function or column of a schema is not accepted")
        raise _refusal(f"{type(node).__name__} is not accepted")
    elif isinstance(node, exp.JSONObject) and any(node.args[key] for key in node.args if key != "expressions"):
        raise _refusal("a clause in json_object() is not accepted: it takes names and values")
    elif isinstance(node, exp.DataType) and node.this not in _TYPES:
        raise _refusal("a cast to this type is not accepted")


def _function_name(node: exp.Func) -> str:
    """As DuckDB spells it: sqlglot's own name for `random()` is RAND."""
    written = node.sql(dialect="duckdb").partition("(")[0]
    return written if written.isidentifier() else node.sql_name()


def _refused_function(name: str) -> Refusal:
    return _refusal(f"the function {name.lower()}() is not accepted; accepted are {', '.join(FUNCTIONS)}")


def _refusal(detail: str) -> Refusal:
    return Refusal("one scalar expression over the record's fields", detail=detail)
