"""CSV bytes to records with their physical line numbers."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from eventpipe.intake.delimited import DelimitedReader, Dialect
from eventpipe.intake.framing import LineCount
from eventpipe.intake.refusal import ExportRefused
from eventpipe_tests.builders import accepted, export, land, landed, ledger, project, reasons

SHOP: dict[str, Any] = {
    "format": "csv",
    "map": {
        "event_name": {"value": "order.completed"},
        "customer_id": "Customer",
        "order_id": "Invoice",
        "occurred_at": {"field": "Date", "format": "%d/%m/%Y %H:%M"},
        "value": {"sql": "cast(Quantity as decimal(18,4)) * cast(Price as decimal(18,4))"},
    },
}

Read = tuple[list[str], list[tuple[int, list[str | None] | str]], int, int]
"""The names; line and fields, or the fault, of each record; lines and blank ones."""


def read(content: bytes, *, chunk: int = 1 << 20, limit: int = 1 << 20, **dialect: Any) -> Read:
    counted = LineCount()
    chunks = (content[at : at + chunk] for at in range(0, len(content), chunk))
    reader = DelimitedReader(chunks, Dialect(**dialect), counted, line_bytes=limit)
    reader.open()
    found: list[tuple[int, list[str | None] | str]] = []
    for batch in reader.frames():
        for row in batch.to_pylist():
            fields = [row[f"f{index}"] for index in range(len(reader.names))]
            assert row["fault"] is None or fields == [None] * len(fields)
            found.append((row["line"], row["fault"] or fields))
    return list(reader.names), found, counted.lines, counted.blank


def records(content: bytes, **options: Any) -> list[tuple[int, list[str | None] | str]]:
    return read(content, **options)[1]


def test_a_header_names_the_columns_and_is_no_line() -> None:
    assert read(b"a, b\n1,2\n") == (["a", "b"], [(2, ["1", "2"])], 1, 0)


def test_without_a_header_columns_are_numbered() -> None:
    assert read(b"x,y\n1,2\n", header=False) == (["c1", "c2"], [(1, ["x", "y"]), (2, ["1", "2"])], 2, 0)


def test_empty_strings_are_null_quoted_or_not() -> None:
    assert records(b'a,b,c\n,"",x\n') == [(2, [None, None, "x"])]


def test_quotes_hold_delimiters_breaks_and_quotes() -> None:
    content = b'a,b\r\n"1,5","two\r\nlines"\r\n"say ""hi""",x\r\n'
    assert records(content) == [(2, ["1,5", "two\r\nlines"]), (4, ['say "hi"', "x"])]


def test_line_numbers_are_those_of_the_file() -> None:
    content = b'\n\na,b\n1,"x\ny\nz"\n\n2,"p\n\nq"\n3,4\n'
    _, found, lines, blank = read(content)
    assert [line for line, _ in found] == [4, 8, 11]
    assert (lines, blank) == (6, 3)


def test_a_record_with_another_number_of_fields_is_rejected_alone() -> None:
    assert records(b"a,b\n1,2\n1\n1,2,3\n3,4\n") == [
        (2, ["1", "2"]),
        (3, "csv.columns"),
        (4, "csv.columns"),
        (5, ["3", "4"]),
    ]


@pytest.mark.parametrize("stray", [b'"open,2', b'1,"open', b'1,2"', b'x"y,"open', b'"a"b,"c'])
@pytest.mark.parametrize("place", [0, 1, 5])
def test_a_stray_quote_costs_its_own_line_wherever_it_is(stray: bytes, place: int) -> None:
    rows = [b"%d,ok" % number for number in range(5)]
    rows.insert(place, stray)
    found = records(b"a,b\n" + b"\n".join(rows) + b"\n")
    assert [fields for line, fields in found if line != place + 2] == [[str(number), "ok"] for number in range(5)]
    assert len(found) == 6


def test_many_stray_quotes_cost_their_own_lines() -> None:
    content = b"a,b\n" + b"".join(b'%d,"%s\n' % (n, b"open") if n % 7 == 3 else b"%d,x\n" % n for n in range(500))
    found = dict(records(content))
    assert [line - 2 for line, fields in found.items() if fields == "csv.columns"] == list(range(3, 500, 7))
    assert len(found) == 500


def test_a_stray_quote_before_a_record_of_many_lines_leaves_that_record_whole() -> None:
    assert records(b'a,b\n1,"open\n2,"two\nlines"\n3,4\n') == [
        (2, "csv.columns"),
        (3, ["2", "two\nlines"]),
        (5, ["3", "4"]),
    ]


def test_a_quote_inside_an_unquoted_field_is_a_character() -> None:
    assert records(b'a,b\n5" disk,3\n12" disk,4\n') == [(2, ['5" disk', "3"]), (3, ['12" disk', "4"])]


def test_a_field_may_be_larger_than_the_csv_module_takes() -> None:
    long = b"x" * 200_000
    assert records(b'a,b\n1,"' + long + b'\n"\n') == [(2, ["1", long.decode() + "\n"])]


def test_another_delimiter_and_another_quote_and_none() -> None:
    assert records(b"a;b\n1,5;'x;y'\n", delimiter=";", quote="'") == [(2, ["1,5", "x;y"])]
    assert records(b'a\tb\n"x\ty"\n', delimiter="\t", quote="") == [(2, ['"x', 'y"'])]


def test_whitespace_splits_on_runs_of_blanks_and_knows_no_quotes() -> None:
    content = b'  id  when\tamount\n 00001 19970101    1  \r\n\n00002\t19970112 "5"\r 3 4 5\r'
    assert read(content, whitespace=True)[:2] == (
        ["id", "when", "amount"],
        [(2, ["00001", "19970101", "1"]), (4, ["00002", "19970112", '"5"']), (5, ["3", "4", "5"])],
    )


def test_a_header_may_be_quoted_and_hold_a_break() -> None:
    assert read(b'"a\nb","c"\n1,2\n')[:2] == (["a\nb", "c"], [(3, ["1", "2"])])


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"a,b,a\n1,2,3\n", "names a more than once"),
        (b"a,\n1,2\n", "a column without a name"),
        (b",a,b\n0,1,2\n", "index=False"),
        (b"sep=,\na,b\n1,2\n", "Excel's sep="),
        (b'"a,b\n' + b"1,2\n" * 40, "not a CSV record"),
        (b'"a', "not a CSV record"),
        (b"a,\xff\n", "in UTF-8"),
    ],
)
def test_a_header_that_names_a_column_twice_or_not_or_is_none_refuses_the_file(content: bytes, told: str) -> None:
    with pytest.raises(ExportRefused, match=r"file\.header") as refused:
        read(content)
    assert told in str(refused.value)


def test_bytes_that_are_not_utf8_cost_their_line() -> None:
    assert records(b"a,b\n1,\xe9\n2,x\n") == [(2, "encoding.invalid"), (3, ["2", "x"])]


def test_a_nul_costs_its_line() -> None:
    assert records(b"a,b\n1,x\0y\n2,x\n") == [(2, "encoding.invalid"), (3, ["2", "x"])]


def test_a_record_over_the_limit_costs_only_itself() -> None:
    found = records(b"a,b\n1," + b"x" * 99 + b'\n2,"' + b"y\n" * 60 + b'"\n3,z\n', limit=50)
    assert found[0] == (2, "line.too_long")
    assert found[-1] == (64, ["3", "z"])


# --- any table that Python's csv module writes ---

CELL = st.text(st.sampled_from(['"', ",", ";", "\n", "\r", " ", "\t", "a", "é", "0", "'"]), max_size=6)
TABLE = st.integers(2, 4).flatmap(lambda width: st.lists(st.lists(CELL, min_size=width, max_size=width), min_size=1))


def written(rows: list[list[str]], break_: str) -> tuple[bytes, list[int]]:
    """The table under a header, and the physical line on which each record begins."""
    text = io.StringIO(newline="")
    # The module quotes a break by itself only where it is among those that end its lines.
    writer = csv.writer(text, lineterminator=break_, quoting=csv.QUOTE_MINIMAL if break_ == "\r\n" else csv.QUOTE_ALL)
    writer.writerow([f"h{index}" for index in range(len(rows[0]))])
    begins = []
    for row in rows:
        begins.append(len(re.findall("\r\n|\r|\n", text.getvalue())) + 1)
        writer.writerow(row)
    return text.getvalue().encode(), begins


@given(TABLE, st.sampled_from(["\n", "\r\n", "\r"]), st.integers(1, 60))
@example([["", '"'], ["\r", "\n"]], "\r\n", 1)
def test_what_the_csv_module_writes_is_read_back(rows: list[list[str]], break_: str, chunk: int) -> None:
    content, begins = written(rows, break_)
    expected = [(begin, [cell or None for cell in row]) for begin, row in zip(begins, rows, strict=True)]
    _, found, lines, blank = read(content, chunk=chunk)
    assert found == expected
    assert (lines, blank) == (len(rows), 0)


JUNK = st.lists(
    st.sampled_from([b'"', b",", b"\n", b"\r", b"a", b" ", b"\xff", b"\0", b'""', b"1,2\n", b'x,"y\n'])
).map(b"".join)


@given(JUNK, st.integers(1, 40))
@example(b'"\n\n', 1)
@example(b'1,"x\n2,y\n', 3)
def test_where_chunks_end_makes_no_difference_and_every_line_is_accounted_for(junk: bytes, chunk: int) -> None:
    content = b"a,b\n" + junk
    whole = read(content, limit=30)
    assert read(content, chunk=chunk, limit=30) == whole
    _, found, lines, blank = whole
    assert lines == len(found) + blank
    assert [line for line, _ in found] == sorted({line for line, _ in found})


@given(JUNK, st.integers(1, 40), st.booleans())
def test_a_file_of_anything_is_read_or_refused_whatever_its_chunks(junk: bytes, chunk: int, header: bool) -> None:
    def outcome(chunk: int) -> Read | str:
        try:
            return read(junk, chunk=chunk, limit=30, header=header)
        except ExportRefused as refused:
            return refused.reason

    assert outcome(chunk) == outcome(1000)


# --- landed ---


def shop(folder: Path, content: bytes | str, **source: object) -> pl.DataFrame:
    made = project(folder, sources={"shop": SHOP | source})
    export(made, content, source="shop", name="orders.csv")
    return landed(made)


def test_a_shop_without_a_preset_is_mapped_field_by_field(tmp_path: Path) -> None:
    content = "Invoice,Date,Customer,Quantity,Price,Country\n00536365,04/01/2026 08:26,17850,6,2.55,United Kingdom\n"
    row = accepted(shop(tmp_path, content, timezone="Europe/London"))
    assert (row["event_name"], row["customer_id"], row["order_id"]) == (
        "order.completed",
        "17850",
        "00536365",
    )
    assert row["occurred_at"].isoformat() == "2026-01-04T08:26:00+00:00"
    assert row["value"] == Decimal("15.3")
    assert row["properties"] == {"Country": "United Kingdom"}
    assert row["landed_on"] == date(2026, 1, 5)


def test_what_an_expression_cannot_compute_and_a_time_that_cannot_be_read_are_reasons(tmp_path: Path) -> None:
    at = "04/01/2026 08:26"
    content = f"Invoice,Date,Customer,Quantity,Price\n1,{at},a,six,2\n2,yesterday,a,1,2\n3,{at},a,1,2\n"
    rows = shop(tmp_path, content)
    assert rows["value"].to_list() == [None, Decimal(2), Decimal(2)]
    assert reasons(rows) == [["value.invalid"], ["occurred_at.invalid"], []]


def test_rejected_records_keep_their_bytes(tmp_path: Path) -> None:
    content = b'Invoice,Date,Customer,Quantity,Price\n1,"two\nlines",a\n1,\xff,a,1,2\n'
    rows = shop(tmp_path, content)
    assert rows["raw"][0] == '1,"two'
    assert base64.b64decode(rows["raw"][2]) == b"1,\xff,a,1,2"
    assert reasons(rows) == [["csv.columns"], ["csv.columns"], ["encoding.invalid"]]


def test_columns_of_any_name_are_only_names(tmp_path: Path) -> None:
    names = [
        "'; drop table x; --",
        'a"b',
        "a.b",
        "$.c",
        "{x}",
        "f0",
        "line",
        "doc",
        "ÜNÏ",
        "Customer",
        "customer",
    ]
    text = io.StringIO()
    csv.writer(text).writerows([names, [f"v{index}" for index in range(len(names))]])
    made = project(
        tmp_path,
        sources={"shop": {"map": {"event_name": {"value": "a"}, "customer_id": "Customer", "order_id": "a.b"}}},
    )
    export(made, text.getvalue(), source="shop", name="orders.csv")
    row = accepted(landed(made))
    assert (row["customer_id"], row["order_id"]) == ("v9", "v2")
    assert row["properties"] == {name: f"v{index}" for index, name in enumerate(names) if index not in (2, 9)}


def test_accounting_of_a_csv_file(tmp_path: Path) -> None:
    made = project(tmp_path)
    export(made, b'event_name,customer_id\na,1\n\nb,"2\n3,4\n,5\n', name="a.csv")
    land(made)
    manifest = ledger(made)["a.csv"]
    assert (manifest.lines, manifest.accepted, manifest.rejected, manifest.blank) == (5, 2, 2, 1)


def test_a_csv_file_in_utf16_is_refused(tmp_path: Path) -> None:
    made = project(tmp_path)
    export(made, "event_name,customer_id\na,1\n".encode("utf-16"), name="a.csv")
    land(made)
    assert ledger(made)["a.csv"].reason == "file.encoding"


def test_objects_inside_csv_cells_are_read(tmp_path: Path) -> None:
    made = project(tmp_path)
    text = io.StringIO()
    csv.writer(text).writerows([["event_name", "customer_id", "properties"], ["a", "c", json.dumps({"n": 1})]])
    export(made, text.getvalue(), name="a.csv")
    assert accepted(landed(made))["properties"] == {"n": 1}
