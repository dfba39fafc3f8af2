"""Arsel: strict by default."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from eventpipe_tests.builders import (
    accepted,
    judged,
    reasons,
)


def arsel(folder: Path, *records: object, **source: object) -> pl.DataFrame:
    return judged(folder, *records, sources={"web": {"preset": "arsel", **source}}, events=[TRIAL])


TRIAL = {
    "name": "trial.started",
    "properties": [{"name": "plan", "type": "string"}, {"name": "price", "type": "number"}],
}


def test_arsel_event(tmp_path: Path) -> None:
    sent = {
        "event": "trial.started",
        "email": "A@b.co",
        "data": {"plan": "pro", "price": 5},
        "timestamp": "2026-01-05T10:00:00Z",
    }
    row = accepted(arsel(tmp_path, sent))
    assert (row["event_name"], row["identifiers"], row["dedupe_key"]) == (
        "trial.started",
        [["email", "a@b.co"]],
        None,
    )
    assert row["properties"] == {"plan": "pro", "price": 5}


def test_arsel_takes_exactly_one_identifier(tmp_path: Path) -> None:
    people: list[tuple[dict[str, object], list[str]]] = [
        ({"email": "a@b.co"}, []),
        ({"contact_id": "c"}, []),
        ({"external_id": "c"}, []),
        ({"phone_number": "+41791234567"}, []),
        ({"contact_id": "c", "email": ""}, []),
        ({"contact_id": "c", "email": None}, []),
        ({"contact_id": "c", "email": "\t"}, []),
        ({"email": "a@b.co", "contact_id": "c"}, ["identifier.ambiguous"]),
        ({"external_id": "a", "contact_id": "c"}, ["identifier.ambiguous"]),
        ({"email": "not an address", "contact_id": "c"}, ["identifier.ambiguous"]),
        ({}, ["identifier.missing"]),
        ({"email": "not an address"}, ["identifier.missing"]),
    ]
    rows = arsel(tmp_path, *({"event": "trial.started", "data": {}, **person} for person, _ in people))
    assert reasons(rows) == [found for _, found in people]


def test_arsel_takes_defined_events_only_unless_its_registry_is_opened(tmp_path: Path) -> None:
    sent = {"event": "cart.exported", "email": "a@b.co", "data": {}}
    assert reasons(arsel(tmp_path / "closed", sent)) == [["event_name.unknown"]]
    assert reasons(arsel(tmp_path / "open", sent, registry="open")) == [[]]


def test_arsel_takes_no_numbers_as_text_unless_told_to_coerce(tmp_path: Path) -> None:
    sent = {"event": "trial.started", "email": "a@b.co", "data": {"plan": 7, "price": "5"}}
    assert reasons(arsel(tmp_path / "strict", sent)) == [["property.type:plan", "property.type:price"]]
    row = accepted(arsel(tmp_path / "coerced", sent, coerce=True))
    assert (row["properties"], row["coercions"]) == ({"plan": "7", "price": 5}, 2)
