"""splink's 1,000 records of people: missing, mistyped and broken addresses."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import pytest

from eventpipe_tests.real.real_project import RealProject

# An address as far as these records have any: one @, no dot beside it, a dot in the domain.
_ADDRESS = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")


@dataclass(frozen=True)
class Person:
    """A record: its line, its number, what it has for an address, and whether that is one."""

    line: int
    number: str
    written: str

    @property
    def address(self) -> str | None:
        return self.written if _ADDRESS.fullmatch(self.written) else None


@pytest.fixture(scope="module")
def people(real_data: Path) -> list[Person]:
    with (real_data / "splink_fake_1000" / "fake_1000.csv").open(newline="", encoding="utf-8") as file:
        records = enumerate(csv.DictReader(file), start=2)
        return [Person(line, each["unique_id"], each["email"]) for line, each in records]


def test_every_record_is_accounted_for(many_shapes: RealProject) -> None:
    found = many_shapes.rows("""
        select source, lines, accepted, rejected, blank from ledger
        where source like 'people_%' order by source
    """)
    assert found == [("people_by_email", 1000, 1000, 0, 0), ("people_by_number", 1000, 1000, 0, 0)]


def test_what_is_no_address_is_flagged_and_no_identifier(many_shapes: RealProject, people: list[Person]) -> None:
    found = many_shapes.rows("""
        select line, coalesce(flags, [])::varchar[] from events
        where source = 'people_by_email' and contact_id is null order by line
    """)
    broken = ["email.invalid", "occurred_at.missing"]
    missing = ["occurred_at.missing"]
    assert [(line, sorted(flags)) for line, flags in found] == [
        (person.line, broken if person.written else missing) for person in people if person.address is None
    ]


def test_by_address_records_with_one_address_are_one_contact(many_shapes: RealProject, people: list[Person]) -> None:
    found = many_shapes.rows("""
        select any_value(c.email), list_sort(list(e.line))
        from events as e join contacts as c using (workspace_id, contact_id)
        where e.source = 'people_by_email' group by c.contact_id
    """)
    expected: dict[str, list[int]] = defaultdict(list)
    for person in people:
        if person.address is not None:
            expected[person.address].append(person.line)
    assert dict(found) == expected
    assert len(found) == len(expected)


def test_by_number_an_address_never_merges_two_people(many_shapes: RealProject, people: list[Person]) -> None:
    """Every record has a number of its own; the first one's, 0, says nothing: it is known by its address."""
    found = many_shapes.rows("""
        select e.line, c.customer_id, count(*) over (partition by c.contact_id)
        from events as e join contacts as c using (workspace_id, contact_id)
        where e.source = 'people_by_number' order by e.line
    """)
    assert [line for line, _, _ in found] == [person.line for person in people]
    assert {together for _, _, together in found} == {1}
    assert [number for _, number, _ in found][1:] == [person.number for person in people][1:]


def test_a_refused_tie_leaves_the_address_with_who_had_it_first(many_shapes: RealProject, people: list[Person]) -> None:
    """All records landed at one time, so the order of equal moments decides: by the sets' own text."""
    holders: dict[str, str] = {}
    sets = [
        (f'[["customer_id","{person.number}"],["email","{person.address}"]]', person)
        for person in people
        if person.address is not None and person.number != "0"
    ]
    for _, person in sorted(sets, key=lambda each: each[0]):
        assert person.address is not None
        holders.setdefault(person.address, person.number)
    found = many_shapes.rows("""
        select i.identifier_value, c.customer_id
        from contact_identifiers as i join contacts as c using (workspace_id, contact_id)
        where workspace_id = 'people_by_number' and i.identifier_type = 'email' and c.customer_id <> '0'
    """)
    assert dict(found) == holders
