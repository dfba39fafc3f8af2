"""splink's 1,000 records of people: missing, mistyped and broken addresses, and who is really who (spec 2)."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from eventpipe_tests.real.real_project import RealProject

# An address as far as these records have any: one @, no dot beside it, a dot in the domain.
_ADDRESS = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")


@pytest.fixture(scope="module")
def people(real_data: Path) -> pd.DataFrame:
    """The records as text, with `line` and `address` ('' where there is none that could be one)."""
    records = pd.read_csv(real_data / "splink_fake_1000" / "fake_1000.csv", dtype=str, keep_default_na=False)
    usable = [each if _ADDRESS.fullmatch(each) else "" for each in records["email"]]
    return records.assign(line=range(2, len(records) + 2), address=usable)


def test_every_record_is_accounted_for(many_shapes: RealProject) -> None:
    found = many_shapes.rows("""
        select source, lines, accepted, rejected, blank from ledger where source like 'people_%' order by source
    """)
    assert found == [("people_by_email", 1000, 1000, 0, 0), ("people_by_number", 1000, 1000, 0, 0)]


def test_an_address_that_is_none_is_flagged_and_no_identifier(
    many_shapes: RealProject, people: pd.DataFrame
) -> None:
    broken = people[(people["email"] != "") & (people["address"] == "")]
    found = many_shapes.rows("""
        select line from events
        where source = 'people_by_email' and list_contains(flags, 'email.invalid') and contact_id is null order by line
    """)
    assert [line for (line,) in found] == broken["line"].to_list()
    assert many_shapes.one(
        "select count(*) from events where source = 'people_by_email' and contact_id is null"
    ) == (people["address"] == "").sum()


def test_by_address_records_with_one_address_are_one_contact(
    many_shapes: RealProject, people: pd.DataFrame
) -> None:
    found = many_shapes.rows("""
        select any_value(c.email), list_sort(list(e.line)) as lines
        from events as e join contacts as c using (workspace_id, contact_id)
        where e.source = 'people_by_email' group by c.contact_id order by lines
    """)
    expected = people[people["address"] != ""].groupby("address")["line"].agg(list)
    assert dict(found) == expected.to_dict()
    assert len(found) == len(expected)


def test_by_number_an_address_never_merges_two_people(
    many_shapes: RealProject, people: pd.DataFrame
) -> None:
    """Every record has a number of its own; the first one's, 0, says nothing, so it is known by its address."""
    found = many_shapes.rows("""
        select e.line, c.customer_id, count(*) over (partition by c.contact_id)
        from events as e join contacts as c using (workspace_id, contact_id)
        where e.source = 'people_by_number' order by e.line
    """)
    assert [line for line, _, _ in found] == people["line"].to_list()
    assert {together for _, _, together in found} == {1}
    numbers = [number for _, number, _ in found]
    assert numbers[1:] == people["unique_id"].to_list()[1:]


def test_a_refused_tie_leaves_the_address_with_who_had_it_first(
    many_shapes: RealProject, people: pd.DataFrame
) -> None:
    """All records landed at one time, so the order of equal moments decides: by the sets' own text."""
    numbered = people[(people["unique_id"] != "0") & (people["address"] != "")]
    text = [f'[["customer_id","{n}"],["email","{a}"]]' for n, a in zip(numbered["unique_id"], numbered["address"], strict=True)]
    first = numbered.assign(text=text).sort_values("text").drop_duplicates("address")
    found = many_shapes.rows("""
        select i.identifier_value, c.customer_id
        from contact_identifiers as i join contacts as c using (workspace_id, contact_id)
        where workspace_id = 'people_by_number' and i.identifier_type = 'email'
            and i.identifier_value <> (select email from events where source = 'people_by_number' and line = 2)
    """)
    assert dict(found) == dict(zip(first["address"], first["unique_id"], strict=True))
