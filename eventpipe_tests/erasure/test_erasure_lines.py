"""Which lines are an erased person's: those keep their place in an export and say nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventpipe.erasure.person import Person
from eventpipe.erasure.tombstones import NOBODY, Tombstones, new_key
from eventpipe.intake.erased import ERASED, Forgetting
from eventpipe.intake.lake import Lake
from eventpipe.intake.replay import Wanted, replay
from eventpipe.ops import erasures
from eventpipe.project.folder import Project
from eventpipe_tests import builders
from eventpipe_tests.builders import NOW, event, export

KEY = new_key()
MAIL, PHONE, DEVICE, ID = "ann@erase.example", "+15005550006", "device-of-ann", "customer-ann"
ANN = Person(
    "default", (), (("customer_id", ID), ("email", MAIL), ("phone", PHONE), ("anonymous_id", DEVICE)), ("her-event",)
)
SOURCES = {"web": {"preset": "canonical", "default_region": "US", "identifiers": "optional"}}


def stones(person: Person = ANN) -> Tombstones:
    """What an erasure of the person leaves."""
    return Tombstones(KEY, erasures.digests(Tombstones(KEY), person))


def landed(folder: Path, *records: object, tombstones: Tombstones | None = None, **settings: Any) -> pl.DataFrame:
    made = builders.project(folder, sources=SOURCES, **settings)
    export(made, builders.lines(*records))
    builders.land(made, tombstones=stones() if tombstones is None else tombstones)
    return builders.lake_rows(made)


def is_erased(row: dict[str, Any]) -> bool:
    """Whether nothing is left of a line but its place."""
    place = {"line", "index", "workspace_id", "source", "landed_on", "file"}
    said = {name: value for name, value in row.items() if name not in place and value is not None}
    if row["reasons"] != [ERASED]:
        return False
    instead = {"status": "rejected", "reasons": [ERASED], "raw": "", "raw_is_base64": False}
    assert said == instead | {"deletion": "unchanged", "coercions": 0}
    return True


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"customer_id": ID}, True),
        ({"customer_id": None, "email": " Ann@Erase.Example "}, True),
        ({"customer_id": None, "phone": "(500) 555-0006"}, True),
        ({"customer_id": None, "anonymous_id": DEVICE}, True),
        ({"customer_id": None, "anonymous_id": "another", "email": MAIL}, True),
        ({"customer_id": ID, "email": "bob@x.example"}, True),
        ({"customer_id": "customer-bob", "anonymous_id": DEVICE}, False),
        ({"customer_id": "customer-bob", "email": MAIL}, False),
        ({"customer_id": "qa-team", "email": MAIL}, True),  # blocked: the address says who it was
        ({"customer_id": ID.upper()}, False),
        ({"customer_id": "customer-bob"}, False),
        ({"customer_id": ID, "workspace_id": "another"}, False),
        ({"customer_id": "customer-bob", "properties": {"referred_by": MAIL}}, False),
    ],
)
def test_a_line_is_of_who_its_strongest_identifier_was(tmp_path: Path, fields: dict[str, Any], expected: bool) -> None:
    rows = landed(tmp_path, event(**fields), identity={"blocked": ["qa-team"]}).to_dicts()
    assert [is_erased(row) for row in rows] == [expected]


def test_an_event_of_somebody_else_loses_what_was_theirs_and_nothing_more(tmp_path: Path) -> None:
    bought = event(customer_id="customer-bob", anonymous_id=DEVICE, email="bob@x.example", dedupe_key="k", value=7)
    before = builders.only(landed(tmp_path / "before", bought, tombstones=NOBODY))
    after = builders.only(landed(tmp_path / "after", bought))
    changed = {name for name, value in after.items() if value != before[name]}
    assert changed == {"anonymous_id", "identifiers"}
    assert after["anonymous_id"] is None
    assert json.loads(after["identifiers"]) == [["customer_id", "customer-bob"], ["email", "bob@x.example"]]


def test_an_event_that_was_theirs_by_another_identifier_is_known_by_its_id(tmp_path: Path) -> None:
    """A family's address is nobody's; whose event it was, the phone number said."""
    shared = event(customer_id=None, email="family@x.example", phone=PHONE)
    (row,) = landed(tmp_path / "other", shared).to_dicts()
    assert (row["status"], row["phone"]) == ("accepted", None)
    person = Person("default", (), ANN.identifiers, (row["event_id"],))
    (row,) = landed(tmp_path / "hers", shared, tombstones=stones(person)).to_dicts()
    assert is_erased(row)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (f'{{"email": "{MAIL}"', True),
        (f'{{"email": "{MAIL.upper()}"', True),
        ('{"email": "ann\\u0040erase.example"', True),
        (f"hello {MAIL}, how are you", True),
        ('{"phone": "+1 (500) 555-0006"', True),
        (f'{{"id": "{ID}"', True),
        (f'{{"referrer": "https://x.example/?from={MAIL.replace("@", "%40")}&x"', True),
        (b'{"email": "' + MAIL.encode() + b'", "name": "\xff"}', True),
        (json.dumps(event(customer_id="customer-bob", anonymous_id=DEVICE, occurred_at="never")), True),
        (json.dumps(event(customer_id="customer-bob", occurred_at="never")), False),
        (f'{{"email": "jo{MAIL}"', False),
        ('{"email": "bob@x.example"', False),
    ],
)
def test_a_rejected_line_that_names_them_at_all_is_theirs(tmp_path: Path, line: str | bytes, expected: bool) -> None:
    rows = landed(tmp_path, line).to_dicts()
    assert [is_erased(row) for row in rows] == [expected]


def test_short_ids_are_looked_for_in_identifiers_alone(tmp_path: Path) -> None:
    """A text is full of numbers."""
    person = Person("default", (), (("customer_id", "42"),), ())
    rows = landed(
        tmp_path, '{"quantity": 42', event(customer_id="42"), event(customer_id="7"), tombstones=stones(person)
    )
    assert [is_erased(row) for row in rows.to_dicts()] == [False, True, False]


def test_counts_add_up_and_a_second_look_finds_nothing(tmp_path: Path) -> None:
    landed(tmp_path, event(customer_id=ID), "", event(), "{", event(customer_id=ID, occurred_at="never"))
    made = builders.project(tmp_path, sources=SOURCES)
    (manifest,) = Lake(made.lake).manifests()
    assert (manifest.lines, manifest.accepted, manifest.rejected, manifest.blank) == (5, 1, 3, 1)
    rows = Lake(made.lake).data_path(manifest)
    assert rows is not None
    assert Forgetting(made, stones()).rewritten(rows) is None
    assert [path.name for path in made.lake.glob("*/*/*.tmp")] == []


def test_what_landed_before_and_what_lands_after_become_the_same_rows(tmp_path: Path) -> None:
    records = [event(customer_id=ID), event(anonymous_id=DEVICE, customer_id="customer-bob"), event(), f"{{{MAIL}"]
    after = landed(tmp_path / "after", *records)
    landed(tmp_path / "before", *records, tombstones=NOBODY)
    made = builders.project(tmp_path / "before", sources=SOURCES)
    lake = Lake(made.lake)
    (manifest,) = lake.manifests()
    rows = lake.data_path(manifest)
    assert rows is not None
    erased = Forgetting(made, stones()).rewritten(rows)
    assert erased is not None
    lake.commit(erased.of(manifest), erased.path)
    assert builders.lake_rows(made).equals(after)
    assert (erased.accepted, erased.rejected, erased.stripped) == (1, 1, 1)
    builders.land(made, again=True, tombstones=stones())
    assert builders.lake_rows(made).equals(after), "landed again"


def test_small_exports_that_are_judged_together_are_held_against_them_too(tmp_path: Path) -> None:
    made = builders.project(tmp_path, sources=SOURCES)
    for number in range(3):
        export(made, [event(customer_id=ID), event()], name=f"{number}.jsonl")
    builders.land(made, tombstones=stones())
    assert [is_erased(row) for row in builders.lake_rows(made).to_dicts()] == [True, False] * 3


def test_replay_leaves_them_alone_and_lets_nothing_of_them_in(tmp_path: Path) -> None:
    """One line was theirs before it was judged again, one is found to be theirs when it is."""

    def project(type: str) -> Project:
        plan = {"name": "page.seen", "properties": [{"name": "total", "type": type}]}
        return builders.project(tmp_path, sources=SOURCES, events=[plan])

    made = project("number")
    export(
        made, [event(customer_id=each, properties={"total": "ten"}) for each in (ID, "customer-eve", "customer-bob")]
    )
    builders.land(made, tombstones=stones())
    eve = Person("default", (), (("customer_id", "customer-eve"),), ())
    both = Tombstones(KEY, stones().digests | stones(eve).digests)
    (done,) = replay(project("string"), Wanted(), NOW, tombstones=both)
    assert (done.lines, done.accepted) == (2, 1)
    rows = builders.lake_rows(made).to_dicts()
    assert [is_erased(row) for row in rows] == [True, True, False]
    (manifest,) = Lake(made.lake).manifests()
    assert (manifest.accepted, manifest.rejected) == (1, 2)


@given(st.text().filter(lambda text: "\0" not in text), st.text().filter(lambda text: "\0" not in text))
def test_the_engine_makes_the_same_hashes(type: str, value: str) -> None:
    tombstones = Tombstones(KEY)
    with duckdb.connect() as connection:
        query = f"select {tombstones.of_identifier_sql('$1', '$2', '$3')}"
        found = connection.execute(query, ["default", type, value]).fetchone()
    assert found == (tombstones.of_identifier("default", type, value),)


def test_hashes_say_nothing_to_who_has_not_the_key() -> None:
    other = Tombstones(new_key())
    assert len(erasures.digests(other, ANN)) == len(stones().digests) > len(ANN.identifiers)
    assert not erasures.digests(other, ANN) & stones().digests
    assert stones().names(MAIL)
    assert not Tombstones(other.key, stones().digests).names(MAIL)
