"""Snowplow's fixture of late identification: two loads of web events, one visitor known only in the second.

The expected sessions say whose each session turned out to be, in New York's time.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from eventpipe_tests.real.real_project import RealProject, built_once

_CONTACT_OF = "select contact_id from events where {}"


@pytest.fixture(scope="session")
def loads(real_data: Path, shared_folder: Path) -> Iterator[tuple[RealProject, RealProject]]:
    """A project after the first load, and one after both, which were two runs."""
    events = real_data / "snowplow_late_identify" / "event"

    def build(folder: Path) -> None:
        before = RealProject.make(folder / "before", "late_identify")
        before.put("snowplow", "2018-01-01", events / "sp_event.csv")
        before.run()
        after = before.copied(folder / "after")
        after.put("snowplow", "2018-01-02", events / "sp_event_update.csv")
        after.run()

    with built_once(shared_folder / "late_identify", build) as folder:
        yield RealProject(folder / "before"), RealProject(folder / "after")


@pytest.fixture(scope="module")
def sessions(real_data: Path) -> list[dict[str, str]]:
    name = "snowplow_late_identify/expected/snowplow_sessions_expected.csv"
    with (real_data / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_one_identified_later_takes_the_first_load_along(loads: tuple[RealProject, RealProject]) -> None:
    before, after = loads
    earlier = _CONTACT_OF.format("json_extract_string(properties, '$.domain_sessionid') = 'user_3_session_1'")
    later = _CONTACT_OF.format("customer_id = 'user_id_3'")
    contact = f"select is_anonymous, event_count from contacts where contact_id = ({earlier})"
    assert before.rows(contact) == [(True, 1)]
    assert after.rows(contact) == [(False, 2)]
    assert after.one(earlier) == after.one(later) == before.one(earlier)


def test_every_session_is_whose_it_turned_out_to_be(
    loads: tuple[RealProject, RealProject], sessions: list[dict[str, str]]
) -> None:
    """`user_id` is the text NULL where nobody is known: if that linked, visitors 1, 3 and 4 were one."""
    _, after = loads
    found = after.rows("""
        select json_extract_string(e.properties, '$.domain_sessionid') as session,
            any_value(coalesce(k.identifier_value, e.domain_userid)),
            strftime(timezone('America/New_York', min(e.occurred_at)), '%Y-%m-%d %-H:%M:%S'),
            strftime(timezone('America/New_York', max(e.occurred_at)), '%Y-%m-%d %-H:%M:%S')
        from (
            select *, regexp_extract(identifiers, '"domain_userid","([^"]*)"', 1) as domain_userid from events
        ) as e left join contact_identifiers as k on e.contact_id = k.contact_id and k.is_known
        group by session order by session
    """)
    assert found == sorted(
        (each["session_id"], each["inferred_user_id"], each["session_start"], each["session_end"]) for each in sessions
    )


def test_a_contact_has_the_id_that_it_is_known_by(loads: tuple[RealProject, RealProject]) -> None:
    _, after = loads
    found = after.rows("select customer_id, is_anonymous from contacts order by customer_id nulls last")
    assert found == [("user_id_1", False), ("user_id_2", False), ("user_id_3", False), (None, True)]


def test_declared_types_are_identifiers(loads: tuple[RealProject, RealProject]) -> None:
    _, after = loads
    found = after.rows("""
        select identifier_type, is_known, list_sort(list(identifier_value)) from contact_identifiers
        group by all order by identifier_type
    """)
    assert found == [
        ("customer_id", True, ["user_id_1", "user_id_2", "user_id_3"]),
        ("domain_userid", False, [f"domain_userid_{n}" for n in (1, 2, 3, 4)]),
        ("network_userid", False, [f"network_userid_{n}" for n in (1, 2, 3, 4)]),
    ]


def test_both_loads_in_one_run_give_equal_tables(
    loads: tuple[RealProject, RealProject], real_data: Path, tmp_path: Path
) -> None:
    _, after = loads
    events = real_data / "snowplow_late_identify" / "event"
    at_once = RealProject.make(tmp_path / "at_once", "late_identify")
    at_once.put("snowplow", "2018-01-01", events / "sp_event.csv")
    at_once.put("snowplow", "2018-01-02", events / "sp_event_update.csv")
    at_once.run()
    assert at_once.digest() == after.digest()
