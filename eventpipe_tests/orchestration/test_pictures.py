"""What is drawn beside assets: RFM as a heat map, segment sizes over time."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import dagster as dg
import duckdb
import pytest

from eventpipe.defs.charts import Cell, grid
from eventpipe.defs.pictures import MOST_LINES, heat_maps, sizes_metadata

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def tables() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("""
            set TimeZone = 'UTC'; create schema work;
            create table contact_rfm (currency varchar, r_score integer, f_score integer, monetary decimal(38, 4));
            create table segment_history (segment varchar, entered_at timestamptz, left_at timestamptz);
            create table work.judged_run (as_of timestamptz)""")
        yield connection


def drawn(picture: Any) -> ElementTree.Element:
    assert isinstance(picture, dg.MarkdownMetadataValue)
    found = re.search(r"\(data:image/svg\+xml;base64,([^)]+)\)", picture.md_str or "")
    assert found is not None
    return ElementTree.fromstring(base64.b64decode(found[1]))


def seen(picture: Any) -> list[str]:
    """The texts of a picture, in rows from the top, from left to right."""
    texts = placed(drawn(picture), 0, 0)
    return [text for _, _, text in sorted(texts)]


def placed(element: ElementTree.Element, x: float, y: float) -> Iterator[tuple[int, int, str]]:
    """Where the texts below an element are: y and x in whole pixels, and what they say."""
    moved = re.search(r"translate\(([-\d.]+),([-\d.]+)\)", element.get("transform", ""))
    if moved is not None:
        x, y = x + float(moved[1]), y + float(moved[2])
    if element.tag == f"{SVG}text":
        yield round(y), round(x), element.text or ""
    for below in element:
        yield from placed(below, x, y)


def test_rfm_is_a_heat_map_with_contacts_and_money_of_each_currency(tables: duckdb.DuckDBPyConnection) -> None:
    tables.execute("""
        insert into contact_rfm values
            ('EUR', 3, 1, 12.5), ('USD', 2, 2, 1200), ('USD', 2, 2, 34.4), ('USD', 1, 2, -7)""")
    maps = heat_maps(tables)
    assert list(maps) == ["heat_map/USD", "heat_map/EUR"], "the currency of most contacts first"
    assert seen(maps["heat_map/USD"]) == ["F1", "F2", "2", "R2", "1,234 USD", "1", "R1", "-7 USD"]
    assert "R3" in seen(maps["heat_map/EUR"])
    assert "net money in EUR" in str(maps["heat_map/EUR"])


def test_the_more_contacts_the_darker_and_nobody_is_no_field() -> None:
    picture = grid(["R1"], ["F1", "F2", "F3"], {("R1", "F1"): Cell(1, "1", ""), ("R1", "F3"): Cell(9, "9", "")})
    few, many = re.findall(r'fill="rgb\(([^)]+)\)"', picture)
    assert sum(map(int, few.split(","))) > 600
    assert sum(map(int, many.split(","))) < 300


def test_a_field_is_as_wide_as_what_it_says() -> None:
    narrow, wide = (
        ElementTree.fromstring(grid(["R1"], ["F1"], {("R1", "F1"): Cell(1, "1", text)}))
        for text in ("7 USD", "1,234,567,890 IDR")
    )
    assert float(wide.attrib["width"]) - float(narrow.attrib["width"]) > 20


def test_sizes_are_those_after_each_run_that_changed_any(tables: duckdb.DuckDBPyConnection) -> None:
    tables.execute("""
        insert into segment_history values
            ('<vip>', '2026-01-10', null), ('<vip>', '2026-01-10', '2026-01-20'), ('lapsed', '2026-01-20', null);
        insert into work.judged_run values ('2026-01-25')""")
    found = sizes_metadata(tables)
    assert (found["members of <vip>"], found["members of lapsed"]) == (1, 1)
    assert seen(found["sizes_over_time"]) == ["2", "1", "0", "2026-01-10", "2026-01-25", "<vip> 1", "lapsed 1"]
    picture = base64.b64decode(re.findall(r"base64,([^)]+)", str(found["sizes_over_time"]))[0]).decode()
    heights = [re.findall(r",(\d+)", line) for line in re.findall(r' d="(M\d[^"HVZ]*L[^"HVZ]*)"', picture)]
    steps = [["0", "0", "120", "120", "120"], ["240", "240", "120", "120", "120"]]
    assert heights == steps, "two until the second run, then one; none until then, then one"


def test_one_run_is_a_picture_too_and_many_segments_are_cut(tables: duckdb.DuckDBPyConnection) -> None:
    assert (heat_maps(tables), sizes_metadata(tables)) == ({}, {})
    tables.execute("""
        insert into segment_history select 's' || n, '2026-01-10', null from range(30) as numbers (n), range(n + 1);
        insert into work.judged_run values ('2026-01-10')""")
    found = sizes_metadata(tables)
    assert found["members of s29"] == 30
    assert seen(found["sizes_over_time"])[3:] == [
        "2026-01-10",
        *(f"s{n} {n + 1}" for n in range(29, 29 - MOST_LINES, -1)),
    ]
    assert "the 8 largest of 30" in str(found["sizes_over_time"])
