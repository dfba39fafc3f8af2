"""`eventpipe query`: formats, and what a query may not do."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from eventpipe_tests.cli.conftest import Ended, Shop

Call = Callable[..., Ended]


@pytest.fixture
def ask(call: Call, shop: Shop) -> Call:
    """`eventpipe query` on the shop."""
    return lambda *arguments: call("query", "--project", shop.root, *arguments)


def rows(ended: Ended) -> list[list[str]]:
    return list(csv.reader(io.StringIO(ended.good().out)))


def test_a_table_shows_every_column_and_value(ask: Call) -> None:
    ended = ask("select 1 as one, 'two' as word, null as nothing, true as yes").good()
    names, _, values = (line.split() for line in ended.out.splitlines() if line.strip())
    assert names == ["one", "word", "nothing", "yes"]
    assert values == ["1", "two", "null", "true"]


def test_a_long_table_is_cut_and_says_so(ask: Call) -> None:
    ended = ask("select range as n from range(1000)").good()
    assert "--limit" in ended.err
    assert "199" in ended.out
    assert "200" not in ended.out
    assert "999" in ask("select range as n from range(1000)", "--limit", 1000).good().out


def test_a_wide_table_is_not_cropped_without_a_terminal(ask: Call) -> None:
    assert "x" * 500 in ask(f"select '{'x' * 500}' as long").good().out


@pytest.mark.parametrize("text", ["=1+1", "+44123", "-2", "@cmd", "\tx", "\rx", "＝1"])  # noqa: RUF001
def test_csv_text_that_a_spreadsheet_would_run_is_made_text(ask: Call, text: str) -> None:
    header, row = rows(ask(f"select '{text}' as cell, -5 as number, -1.5::decimal(9, 2) as money", "--csv"))
    assert header == ["cell", "number", "money"]
    assert row == [f"'{text}", "-5", "-1.50"]


def test_csv_column_names_are_cells_too(ask: Call) -> None:
    assert rows(ask('select 1 as "=cmd()"', "--csv"))[0] == ["'=cmd()"]


def test_csv_values(ask: Call) -> None:
    values = rows(
        ask(
            "select null as a, '' as empty, 'x,\"y\"' as b,"
            " timestamptz '2026-01-05 10:00:00.5+02' as c, date '2026-01-05' as d,"
            " [1, 2] as e, {'k': 'v'} as f, true as g, 1.50::decimal(9, 4) as h, 0.1::double as i",
            "--csv",
        )
    )[1]
    assert values == [
        "",
        "",
        'x,"y"',
        "2026-01-05 08:00:00.500000+00:00",
        "2026-01-05",
        "[1, 2]",
        '{"k": "v"}',
        "true",
        "1.5000",
        "0.1",
    ]


def test_json_is_a_list_of_objects_with_exact_numbers(ask: Call) -> None:
    ended = ask(
        "select 12345678901234.5678::decimal(18, 4) as money, '{\"a\": [1]}'::json as properties,"
        " 'text' as t, null as n, timestamptz '2026-01-05 10:00:00Z' as at, 'nan'::double as nan",
        "--json",
    ).good()
    (row,) = json.loads(ended.out, parse_float=Decimal)
    assert row == {
        "money": Decimal("12345678901234.5678"),
        "properties": {"a": [1]},
        "t": "text",
        "n": None,
        "at": "2026-01-05T10:00:00+00:00",
        "nan": None,
    }


def test_no_rows_are_still_a_result(ask: Call) -> None:
    assert ask("select 1 as a where false", "--json").good().json == []
    assert ask("select 1 as a where false", "--csv").good().out == "a\n"


def test_csv_tells_nothing_from_empty_text(ask: Call) -> None:
    assert ask("select null as a, '' as b, 1 as c", "--csv").good().out == 'a,b,c\n,"",1\n'


def test_two_columns_of_one_name_are_told_apart(ask: Call) -> None:
    assert ask("select 1 as a, 2 as a, 3 as a_1", "--json").good().json == [{"a": 1, "a_1": 2, "a_1_1": 3}]


def test_parquet_keeps_types_and_obeys_the_limit(ask: Call, tmp_path: Path) -> None:
    file = tmp_path / "rows.parquet"
    ended = ask("select event_id, value, occurred_at from events order by event_id", file, "--limit", 10).good()
    assert ended.out == ""
    table = pq.read_table(file)
    assert table.num_rows == 10
    assert [str(field.type) for field in table.schema] == [
        "string",
        "decimal128(18, 4)",
        "timestamp[us, tz=UTC]",
    ]


@pytest.mark.parametrize("form", [["rows.csv"], ["rows.txt", "--csv"], ["rows.json"], ["rows.parquet", "--parquet"]])
def test_a_file_is_written_whole_or_not_at_all(
    ask: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    failing = "select case when range = 150000 then 'x'::int else range end as n from range(200000)"
    Path(form[0]).write_text("before")
    assert ask(failing.replace("'x'::int", "error('stop')"), *form).code != 0
    assert Path(form[0]).read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == [form[0]]
    ask("select 1 as n", *form).good()
    assert Path(form[0]).read_bytes() != b"before"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--csv", "--json"], "one format"),
        (["rows.xyz"], "does not say the format"),
        (["nowhere/rows.csv"], "cannot be written"),
    ],
)
def test_wrong_outputs_are_refused(ask: Call, arguments: list[str], said: str) -> None:
    ended = ask("select 1", *arguments)
    assert ended.code == 2
    assert said in ended.err


@pytest.mark.parametrize(
    "query",
    [
        "",
        "-- nothing",
        "select 1; select 2",
        "delete from events",
        "drop table events",
        "update contacts set email = 'x'",
        "create table mine as select 1; drop table events",
        "insert into events select * from events",
        "attach 'other.duckdb'",
        "copy events to 'stolen.csv'",
        "export database 'stolen'",
        "install httpfs",
        "load httpfs",
        "set memory_limit = '1TB'",
        "pragma enable_external_access",
        "select * from read_csv('/etc/passwd')",
        "select * from read_text('eventpipe.yml')",
        "select * from glob('/*')",
        "select * from '/etc/passwd'",
        "explain analyze copy events to 'stolen.csv'",
        "select * from connection",  # a variable of the program
    ],
)
def test_what_does_not_read_the_tables_is_refused(
    ask: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = ask(query)
    assert ended.code == 2, ended.out
    assert ended.out == ""
    assert len(ended.err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "query",
    [
        "from events limit 1",
        "describe events",
        "summarize ledger",
        "show tables",
        "explain select 1",
        "with one as (select 1 as n) select * from one",
        "pivot ledger on source using sum(lines)",
        "select * from duckdb_columns() limit 1",
        "/* a comment */ select 1; -- and another",
    ],
)
def test_what_reads_is_answered(ask: Call, query: str) -> None:
    assert ask(query).good().out


def test_a_query_that_stops_while_it_runs_has_failed(ask: Call) -> None:
    ended = ask("select 'x'::int as n", "--json")
    assert ended.code == 1
    error: dict[str, Any] = ended.json["error"]
    assert error["type"] == "QueryFailed"


def test_text_from_data_is_inert_on_the_terminal(ask: Call) -> None:
    ended = ask("select chr(27) || '[31mred [bold]' || chr(8238) || 'x' as a").good()
    assert "\x1b" not in ended.out
    assert "\u202e" not in ended.out
    assert "\\x1b[31mred [bold]\\u202ex" in ended.out
