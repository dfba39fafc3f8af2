"""`sql` mappings: one scalar expression, and nothing else."""

from __future__ import annotations

import duckdb
import pytest

from eventpipe.project.expression import FUNCTIONS, MAX_CHARACTERS, parse_expression
from eventpipe.project.refusal import Refusal


def refusal(text: str) -> str:
    """Why an expression is refused."""
    with pytest.raises(Refusal) as caught:
        parse_expression(text)
    assert caught.value.expected == "one scalar expression over the record's fields"
    return caught.value.detail


@pytest.mark.parametrize(
    ("text", "sql", "fields"),
    [
        ("total", '"total"', ["total"]),
        ("cart.total", '"cart.total"', ["cart.total"]),
        ("a.b.c.d.e.f", '"a.b.c.d.e.f"', ["a.b.c.d.e.f"]),
        ('"Unit Price"', '"Unit Price"', ["Unit Price"]),
        ('"a b"."c"', '"a b.c"', ["a b.c"]),
        ('"say ""hi"""', '"say ""hi"""', ['say "hi"']),
        ("b || a || b", '"b" || "a" || "b"', ["b", "a"]),
        ("lower(total) -- why not", 'LOWER("total")', ["total"]),
        ("user", '"user"', ["user"]),
        ("'constant'", "'constant'", []),
    ],
)
def test_fields_are_quoted_and_listed(text: str, sql: str, fields: list[str]) -> None:
    parsed = parse_expression(text)
    assert (parsed.sql, list(parsed.fields)) == (sql, fields)


EVALUATED = [
    "cast(quantity as decimal(18,4)) * cast(price as decimal(18,4))",
    "cast(price as double) / 3 - 1 % 2 + 7 // 2",
    "coalesce(try_cast(name as integer), -1)",
    "quantity::integer + -1",
    "coalesce(nullif(missing, ''), name)",
    "concat(name, '-', quantity)",
    "name || ' ' || upper(name) || lower(name)",
    "trim('  x ') || ltrim(' x') || rtrim('x ') || trim('xxyxx', 'x')",
    "replace(price, '.', ',')",
    "regexp_replace(name, '[aeiou]', '_', 'g')",
    "regexp_extract(name, '([a-z]+)', 1)",
    "regexp_matches(name, 'OHN') or regexp_matches(name, 'OHN', 'i')",
    "split_part(name, ' ', 2)",
    "substr(name, 2, 3) || substring(name, 2) || substring(name from 1 for 2)",
    "left(name, 2) || right(name, 2) || left(name, -1)",
    "length(name) + abs(-2)",
    "round(cast(price as double), 1) + floor(1.5) + ceil(1.5)",
    "greatest(quantity, price) || least(quantity, price)",
    "strptime(day, '%d/%m/%Y')",
    "try_strptime(name, '%d/%m/%Y') is null",
    "strftime(strptime(day, '%d/%m/%Y'), '%Y-%m')",
    "to_timestamp(cast(epoch as double))",
    "epoch_ms(cast(epoch as bigint) * 1000)",
    "make_timestamp(2020, 1, 2, 3, 4, 5.5)",
    "make_timestamp(cast(epoch as bigint))",
    "date_trunc('month', strptime(day, '%d/%m/%Y'))",
    "date_trunc('week', cast('2024-05-02' as date))",
    "if(quantity = '3', 'three', 'other')",
    "case when quantity in ('1', '3') then 1 else 2 end + 1",
    "case quantity when '3' then 'x' end",
    "not (quantity = '3' and price <> '2' or quantity is null)",
    "quantity is not null and name not in ('a') and name not like 'b%' and name ilike 'J%'",
    "name like 'J!%' escape '!'",
    "cast(price as double) between 1 and 3 and quantity >= '0' and quantity <= '9'",
    "missing is distinct from name",
    "lpad(quantity, 3, '0') || rpad(quantity, 3, '0')",
    "printf('%s-%s', name, quantity) || format('{}/{}', name, quantity)",
    "md5(name) || sha256(name)",
    "json_extract_string(document, '$.a.b')",
    "json_extract_string(document, 'c') = 'x' and json_extract_string(document, 'c') between 'a' and 'z'",
    "lower(json_extract_string(document, '$.list[0]')) || 'x'",
    "document ->> 'c'",
    "json_object('name', name, 'parts', json_object('price', cast(price as double)))",
    "timestamp '2024-01-01 00:00:00' < strptime(day, '%d/%m/%Y')",
    "1e3 + 1_000",
    "'it''s' || $$ raw $$",
    "cast(quantity as integer) = 3 is not null",
    "- -cast(quantity as integer)",
]


@pytest.fixture(scope="module")
def record() -> duckdb.DuckDBPyConnection:
    """One record as a table of text columns."""
    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'")
    connection.execute(
        """
        create table record as select
            '3' as quantity,
            '2.55' as price,
            'John Smith' as name,
            null::varchar as missing,
            '31/01/2024' as day,
            '1700000000' as epoch,
            '{"a": {"b": "deep"}, "c": "x", "list": ["Y"]}' as document,
        """
    )
    return connection


@pytest.mark.parametrize("text", EVALUATED)
def test_what_is_generated_means_what_was_written(text: str, record: duckdb.DuckDBPyConnection) -> None:
    written = record.execute(f"select {text} as value from record").fetchone()
    generated = record.execute(f"select {parse_expression(text).sql} as value from record").fetchone()
    assert generated == written
    assert written is not None
    assert written[0] is not None


def test_each_function_that_messages_name_is_accepted_and_tried() -> None:
    tried = " ".join(EVALUATED)
    assert [name for name in FUNCTIONS if f"{name}(" not in tried] == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("   -- nothing", "empty"),
        ("lower(a", "line 1, column 7"),
        ("a b", "line 1"),
        ("a;b", "several statements"),
        ("a; drop table events", "cannot be parsed"),
        ("select a", "cannot be parsed"),
        ("drop table events", "cannot be parsed"),
        ("copy (select 1) to 'x'", "cannot be parsed"),
        ("a as b", "cannot be parsed"),
        ("(select 1)", "a subquery"),
        ("a in (select 1)", "a subquery"),
        ("exists(select 1)", "a subquery"),
        ("(from events)", "a subquery"),
        ("*", "a star"),
        ("a.*", "a star"),
        ("coalesce(*)", "a star"),
        ("columns('a')", "columns()"),
        ("sum(a)", "sum()"),
        ("count(*)", "count()"),
        ("any_value(a)", "not accepted"),
        ("row_number() over ()", "a window function"),
        ("lower(a) over ()", "a window function"),
        ("lower(a) filter (where b)", "a filter clause"),
        ("concat(distinct a)", "Distinct"),
        ("main.lower(a)", "of a schema"),
        ("system.main.lower(a)", "of a schema"),
        ("a.lower()", "of a schema"),
        ("read_text('/etc/passwd')", "read_text()"),
        ("read_csv('x')", "read_csv()"),
        ("getenv('HOME')", "getenv()"),
        ("current_setting('threads')", "current_setting()"),
        ("current_user", "current_user()"),
        ("now()", "now()"),
        ("current_timestamp", "current_timestamp()"),
        ("current_date", "current_date()"),
        ("get_current_timestamp()", "get_current_timestamp()"),
        ("today()", "not accepted"),
        ("random()", "random()"),
        ("uuid()", "uuid()"),
        ("nextval('s')", "nextval()"),
        ("list_transform(a, x -> x)", "not accepted"),
        ("[a]", "not accepted"),
        ("{'a': b}", "not accepted"),
        ("a[1]", "not accepted"),
        ("a ~ 'b'", "write regexp_matches()"),
        ("$1", "a parameter"),
        ("?", "a parameter"),
        (":a", "a parameter"),
        ("cast(a as integer[])", "a cast to this type"),
        ("cast(a as struct(b integer))", "not accepted"),
        ("cast(a as my_type)", "a cast to this type"),
        ("json_extract_string(a, '$.*')", "not accepted"),
        ("lower(x := a)", "not accepted"),
        ("json_object(*)", "a star"),
        ("json_object('a', a absent on null)", "a clause"),
        ("a || A", "differ only in case"),
        ("(" * 1500 + "a" + ")" * 1500, "cannot be parsed"),
        ("a" * (MAX_CHARACTERS + 1), f"longer than {MAX_CHARACTERS}"),
    ],
)
def test_anything_else_is_refused(text: str, words: str) -> None:
    assert words in refusal(text)


def test_a_refused_function_lists_those_that_are_accepted() -> None:
    assert all(name in refusal("read_text('x')") for name in FUNCTIONS)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("quantity * price", ["(VARCHAR, VARCHAR)", "Each field is text here: write cast("]),
        ("price + 1", ["(VARCHAR, INTEGER_LITERAL)", "cast("]),
        ("-price", ["-(VARCHAR)", "cast("]),
        ("coalesce(quantity, 0)", ["COALESCE", "cast("]),
        ("case when quantity > 1 then 5 end", ["VARCHAR", "cast("]),
        ("to_timestamp(epoch)", ["to_timestamp(VARCHAR)", "cast("]),
        ("regexp_extract(price, '(')", ["missing ): ("]),
        ("strptime(day, '%Q')", ["%Q"]),
    ],
)
def test_what_the_engine_would_not_take_is_refused_before_it_meets_a_record(text: str, told: list[str]) -> None:
    with pytest.raises(Refusal) as refused:
        parse_expression(text)
    assert refused.value.detail is not None
    assert all(each in refused.value.detail for each in told), refused.value.detail
