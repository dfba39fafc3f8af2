"""`eventpipe contact show` and the same from Python: who it is and the timeline, newest first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC
from typing import Any

import pytest

from eventpipe.client import Client, UnknownContact, connect
from eventpipe.errors import UsageError
from eventpipe_tests.cli.conftest import Ended, Shop

Call = Callable[..., Ended]


@pytest.fixture
def client(shop: Shop) -> Iterator[Client]:
    with connect(shop.root, {}) as client:
        yield client


@pytest.fixture
def ada(client: Client) -> dict[str, Any]:
    """The contact with the most events of those that have an email, a customer_id and an anonymous_id."""
    found = client.sql(
        "select c.*, i.identifier_value as anonymous_id"
        " from contacts c join contact_identifiers i using (contact_id)"
        " where c.email is not null and c.customer_id is not null and i.identifier_type = 'anonymous_id'"
        " order by c.event_count desc, c.contact_id limit 1"
    )
    return found.row(0, named=True)


def test_a_contact_is_found_by_whatever_names_it(call: Call, shop: Shop, ada: dict[str, Any]) -> None:
    for identifier in (
        ada["email"],
        f"  {ada['email'].upper()} ",
        ada["customer_id"],
        ada["anonymous_id"],
        ada["contact_id"],
    ):
        ended = call("contact", "show", identifier, "--project", shop.root, "--json").good()
        assert ended.json["contact"]["contact_id"] == ada["contact_id"]


def test_a_phone_number_is_normalised_as_intake_does_it(call: Call, shop: Shop, client: Client) -> None:
    found = client.sql("from contact_identifiers where identifier_type = 'phone' order by identifier_value limit 1")
    phone, contact_id = found["identifier_value"].item(), found["contact_id"].item()
    spelled = f"{phone[:3]} ({phone[3:6]}) {phone[6:]}"
    ended = call("contact", "show", spelled, "--type", "phone", "--project", shop.root, "--json").good()
    assert ended.json["matched"] == {"type": "phone", "value": phone}
    assert ended.json["contact"]["contact_id"] == contact_id


def test_the_timeline_is_newest_first_and_limited(call: Call, shop: Shop, ada: dict[str, Any]) -> None:
    whole = call("contact", "show", ada["email"], "--project", shop.root, "--json", "--limit", 1000).good().json
    times = [entry["occurred_at"] for entry in whole["timeline"]]
    assert times == sorted(times, reverse=True)
    assert len(times) == whole["timeline_entries"] >= ada["event_count"]
    short = call("contact", "show", ada["email"], "--project", shop.root, "--json", "--limit", 2).good().json
    assert short["timeline"] == whole["timeline"][:2]
    assert short["timeline_entries"] == whole["timeline_entries"]
    shown = call("contact", "show", ada["email"], "--project", shop.root, "--limit", 2).good().out
    assert f"The newest 2 of {whole['timeline_entries']} entries" in shown
    for entry in short["timeline"]:
        kind = "" if entry["entry_type"] == "event" else entry["entry_type"]
        told = " ".join(filter(None, (kind, entry["event_name"])))
        assert f"{entry['occurred_at'][:19].replace('T', ' ')}   {told} " in shown


def test_identifiers_and_traits_are_shown(call: Call, shop: Shop, ada: dict[str, Any]) -> None:
    told = call("contact", "show", ada["email"], "--project", shop.root, "--json").good().json
    assert ("email", ada["email"]) in {(e["identifier_type"], e["identifier_value"]) for e in told["identifiers"]}
    assert told["contact"]["traits"] is None or isinstance(told["contact"]["traits"], dict)
    shown = call("contact", "show", ada["email"], "--project", shop.root).good().out
    for text in (ada["contact_id"], ada["email"], ada["customer_id"], ada["anonymous_id"]):
        assert text in shown


def test_an_unknown_identifier_suggests_close_ones(call: Call, shop: Shop, ada: dict[str, Any]) -> None:
    mistyped = ada["email"].replace("@", "x@")
    ended = call("contact", "show", mistyped, "--project", shop.root, "--json")
    assert ended.code == 1
    assert f"No contact is known by '{mistyped}'" in ended.err
    assert f"Did you mean {ada['email']}" in ended.err
    assert ended.json["error"]["type"] == "UnknownContact"


def test_an_identifier_like_no_other_suggests_nothing(call: Call, shop: Shop) -> None:
    ended = call("contact", "show", "'; drop table contacts; --", "--project", shop.root)
    assert ended.code == 1
    assert "Did you mean" not in ended.err


def test_a_type_narrows_the_search(call: Call, shop: Shop, ada: dict[str, Any]) -> None:
    assert call("contact", "show", ada["email"], "--type", "customer_id", "--project", shop.root).code == 1
    ended = call("contact", "show", ada["email"], "--type", "mail", "--project", shop.root)
    assert ended.code == 2
    assert "customer_id, email, phone, anonymous_id, contact_id" in ended.err


def test_python_gets_polars_frames(client: Client, ada: dict[str, Any]) -> None:
    contact = client.contact(ada["email"].upper())
    assert contact["contact_id"].to_list() == [ada["contact_id"]]
    timeline = client.timeline(ada["email"])
    assert timeline.height >= ada["event_count"]
    assert timeline["occurred_at"].to_list() == sorted(timeline["occurred_at"].to_list(), reverse=True)
    assert timeline["occurred_at"][0].tzinfo.utcoffset(None) == UTC.utcoffset(None)
    assert client.sql("select count(*) as n from contacts").to_pandas()["n"].tolist() == [
        client.sql("from contacts").height
    ]


def test_python_gets_errors_to_act_on(client: Client) -> None:
    with pytest.raises(UnknownContact, match="No contact is known by 'nobody'"):
        client.timeline("nobody")
    with pytest.raises(UsageError, match="not one query"):
        client.sql("drop table events")
    with pytest.raises(UsageError, match="nowhere"):
        client.sql("from nowhere")


def test_python_reads_no_variables_of_the_caller(client: Client) -> None:
    contacts_here = client.sql("from contacts")
    assert contacts_here.height > 0
    with pytest.raises(UsageError, match="contacts_here"):
        client.sql("from contacts_here")


def test_two_clients_read_one_project(client: Client, shop: Shop) -> None:
    with connect(shop.root, {}) as other:
        assert other.sql("select count(*) as n from events").equals(client.sql("select count(*) as n from events"))
