"""Golden values of normalisation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from eventpipe.intake import normalise
from eventpipe.sql import literal
from eventpipe_tests.builders import accepted, event, judged, reasons

Evaluate = Callable[[str], Any]


@pytest.fixture(scope="module")
def evaluate() -> Iterator[Evaluate]:
    """The value of a SQL expression over the text column `x`, for one text."""
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        normalise.register(connection)

        def evaluated(expression: str, text: str) -> Any:
            # A row of a table, and not a literal: an engine computes those while it plans, by other code.
            found = connection.execute(f"select {expression} from (select unnest([{literal(text)}]) as x)").fetchone()
            assert found is not None
            return found[0]

        yield evaluated  # type: ignore[misc]  # one argument is bound by each test


def instant(evaluate: Any, text: str, timezone: str = "UTC", form: str | None = None) -> str | None:
    found = evaluate(normalise.instant("x", timezone, form), text)
    return None if found is None else found.isoformat().replace("+00:00", "Z")


# --- email ---


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("ann@example.com", "ann@example.com"),
        ("  Ann.O'Neil+tag@EXAMPLE.Com\t", "ann.o'neil+tag@example.com"),
        ("\u00a0\u2003ann@example.com\u3000\n", "ann@example.com"),
        ("JOSE\u0301@example.com", "josé@example.com"),
        ("M\u00dcLLER@EXAMPLE.COM", "müller@example.com"),
        ("ivan@пример.рф", "ivan@пример.рф"),
        ("\u0130@example.com", "i\u0307@example.com"),
        ("a@b.c.d.e", "a@b.c.d.e"),
        ("x" * 242 + "@example.com", "x" * 242 + "@example.com"),
    ],
)
def test_an_email_is_trimmed_composed_and_in_lower_case(sent: str, kept: str, evaluate: Any) -> None:
    assert evaluate(normalise.email(normalise.folded("x")), sent) == kept


@pytest.mark.parametrize(
    "sent",
    [
        "",
        " ",
        "ann",
        "ann@",
        "@example.com",
        "ann@example",
        "ann@@example.com",
        "ann@ex ample.com",
        "a n@example.com",
        "ann@example..com",
        "ann@.com",
        "ann@example.com.",
        "Ann <ann@example.com>",
        "a@b.co,c@d.co",
        "x" * 243 + "@example.com",
    ],
)
def test_what_is_not_written_like_an_address_is_no_email(sent: str, evaluate: Any) -> None:
    assert evaluate(normalise.email(normalise.folded("x")), sent) is None


def test_an_address_that_may_be_taken_for_another_one_is_kept_and_flagged(tmp_path: Path) -> None:
    addresses = {
        "i\u0307van@example.com": ["email.mixed_script"],
        "\uff41nn@example.com": ["email.mixed_script"],
        "ann\u200b@example.com": ["email.mixed_script"],
        "m\u0131ke@example.com": ["email.mixed_script"],
        "p\u0430ypal@example.com": ["email.mixed_script"],
        "иван@пример.рф": None,
        "josé@example.com": None,
    }
    rows = judged(tmp_path, *(event(email=address) for address in addresses))
    assert rows["email"].to_list() == list(addresses)
    assert rows["flags"].to_list() == list(addresses.values())


# --- phone ---


@pytest.mark.parametrize(
    ("sent", "region", "kept"),
    [
        ("+41 79 123 45 67", None, "+41791234567"),
        ("+1 (201) 555-0123", None, "+12015550123"),
        (" +44 20 7946 0018 ", None, "+442079460018"),
        ("+49 (0)30 23125000", None, "+493023125000"),
        ("020 7946 0018", "GB", "+442079460018"),
        ("0041 79 123 45 67", "GB", "+41791234567"),
        ("+41791234567", "GB", "+41791234567"),
        ("tel:+1-201-555-0123", None, "+12015550123"),
        ("020 7946 0018", None, None),
        ("+41", None, None),
        ("+999 123", None, None),
        ("+1 201 555", None, None),
        ("call me", "GB", None),
        ("", "GB", None),
        ("9" * 300, "GB", None),
        ("'; drop table events; --", "GB", None),
    ],
)
def test_a_phone_number_is_e164_or_none(sent: str, region: str | None, kept: str | None, evaluate: Any) -> None:
    assert evaluate(normalise.phone("x", region), sent) == kept


def test_a_number_without_a_country_needs_the_region_of_the_source(tmp_path: Path) -> None:
    local = event(phone="020 7946 0018")
    assert accepted(judged(tmp_path / "a", local))["flags"] == ["phone.invalid"]
    with_region = {"web": {"preset": "canonical", "default_region": "GB"}}
    assert accepted(judged(tmp_path / "b", local, sources=with_region))["phone"] == "+442079460018"


# --- time ---


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("2026-01-05T10:00:00Z", "2026-01-05T10:00:00Z"),
        ("2026-01-05T10:00:00+00:00", "2026-01-05T10:00:00Z"),
        ("2026-01-05T10:00:00-00:00", "2026-01-05T10:00:00Z"),
        ("2026-01-05T10:00:00+05:30", "2026-01-05T04:30:00Z"),
        ("2026-01-05T10:00:00+0530", "2026-01-05T04:30:00Z"),
        ("2026-01-05T10:00:00-08", "2026-01-05T18:00:00Z"),
        ("2026-01-05 10:00:00+01:00", "2026-01-05T09:00:00Z"),
        ("2026-01-05 10:00:00 +01:00", "2026-01-05T09:00:00Z"),
        ("2026-01-05t10:00:00z", "2026-01-05T10:00:00Z"),
        ("2026-01-05T10:00Z", "2026-01-05T10:00:00Z"),
        ("2026-01-05T10:00+01:00", "2026-01-05T09:00:00Z"),
        ("2026-01-05 10:00", "2026-01-05T10:00:00Z"),
        ("2026-01-05T10:00:00,5Z", "2026-01-05T10:00:00.500000Z"),
        ("2026-01-05T10:00:00.1Z", "2026-01-05T10:00:00.100000Z"),
        ("2026-01-05T10:00:00.123456Z", "2026-01-05T10:00:00.123456Z"),
        ("2026-01-05T10:00:00.123456789Z", "2026-01-05T10:00:00.123456Z"),
        ("2026-01-05T10:00:00.9999999Z", "2026-01-05T10:00:00.999999Z"),
        ("2026-01-05", "2026-01-05T00:00:00Z"),
        ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z"),
        ("2025-12-31T23:59:59.999999Z", "2025-12-31T23:59:59.999999Z"),
    ],
)
def test_iso_8601_is_an_instant_in_microseconds(sent: str, kept: str, evaluate: Any) -> None:
    assert instant(evaluate, sent) == kept


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("0", "1970-01-01T00:00:00Z"),
        ("1767607200", "2026-01-05T10:00:00Z"),
        ("1767607200.25", "2026-01-05T10:00:00.250000Z"),
        ("1767607200.123456", "2026-01-05T10:00:00.123456Z"),
        ("1767607200.123456789", "2026-01-05T10:00:00.123457Z"),
        ("1767607200123", "2026-01-05T10:00:00.123000Z"),
        ("1767607200123.5", "2026-01-05T10:00:00.123500Z"),
        ("1767607200123456", "2026-01-05T10:00:00.123456Z"),
        ("-86400", "1969-12-31T00:00:00Z"),
        ("99999999999", "5138-11-16T09:46:39Z"),
        ("100000000000", "1973-03-03T09:46:40Z"),
    ],
)
def test_an_epoch_is_in_seconds_milliseconds_or_microseconds_by_its_magnitude(
    sent: str, kept: str, evaluate: Any
) -> None:
    assert instant(evaluate, sent) == kept


@pytest.mark.parametrize(
    "sent",
    [
        "yesterday",
        "",
        "2026-01-05T24:00:00Z",
        "2026-01-05T23:59:60Z",
        "2026-02-29T00:00:00Z",
        "2026-02-30",
        "2026-13-01",
        "2026-00-10",
        "2026-01-05T25:00:00Z",
        "2026-01-05T10:60:00Z",
        "55840-01-01T00:00:00Z",
        "26-01-05",
        "05/01/2026",
        "2026-01-05T10:00:00+24:00",
        "2026-01-05T10:00:00+05:60",
        "2026-01-05T10:00:00 Europe/London",
        "2026-W02-1",
        "1e9",
        "2026-01-05T10:00:00ZZ",
        "1767607200 ",
        "+1767607200",
        "NaN",
        "infinity",
        "epoch",
        "now",
        "today",
        "12345678901234567890",
    ],
)
def test_what_is_no_time_is_none(sent: str, evaluate: Any) -> None:
    assert instant(evaluate, sent) is None


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("2026-07-01 12:00:00", "2026-07-01T11:00:00Z"),
        ("2026-01-05 12:00:00", "2026-01-05T12:00:00Z"),
        ("2026-07-01", "2026-06-30T23:00:00Z"),
        # 01:30 does not exist on this day: moved forward by the hour that is skipped.
        ("2026-03-29 01:30:00", "2026-03-29T01:30:00Z"),
        # 01:30 exists twice: the later one, in standard time.
        ("2026-10-25 01:30:00", "2026-10-25T01:30:00Z"),
        ("2026-10-25 00:30:00", "2026-10-24T23:30:00Z"),
        ("2026-07-01 12:00:00Z", "2026-07-01T12:00:00Z"),
        ("1767607200", "2026-01-05T10:00:00Z"),
    ],
)
def test_a_naive_time_is_in_the_zone_of_the_source(sent: str, kept: str, evaluate: Any) -> None:
    assert instant(evaluate, sent, "Europe/London") == kept


def test_a_source_without_a_zone_has_that_of_the_project(tmp_path: Path) -> None:
    row = accepted(judged(tmp_path, event(occurred_at="2026-01-05 10:00:00"), timezone="Asia/Tokyo"))
    assert row["occurred_at"].isoformat() == "2026-01-05T01:00:00+00:00"


@pytest.mark.parametrize(
    ("form", "sent", "kept"),
    [
        ("%d/%m/%Y %H:%M", "05/01/2026 08:26", "2026-01-05T13:26:00Z"),
        ("%Y-%m-%d %H:%M:%S", "2026-01-05 08:26:00", "2026-01-05T13:26:00Z"),
        ("%Y%m%d", "20260105", "2026-01-05T05:00:00Z"),
        ("%Y-%m-%dT%H:%M:%S%z", "2026-01-05T08:26:00+0100", "2026-01-05T07:26:00Z"),
        ("%Y-%m-%dT%H:%M:%S.%f", "2026-01-05T08:26:00.5", "2026-01-05T13:26:00.500000Z"),
        ("%d/%m/%Y", "2026-01-05", None),
        ("%d/%m/%Y", "1767607200", None),
    ],
)
def test_with_a_format_only_that_format_is_read(form: str, sent: str, kept: str | None, evaluate: Any) -> None:
    assert instant(evaluate, sent, "America/New_York", form) == kept


def test_an_event_without_a_time_gets_that_of_its_landing_and_a_flag(tmp_path: Path) -> None:
    rows = judged(tmp_path, event(occurred_at=None), {**event(), "occurred_at": None}, event(occurred_at=""))
    assert {at.isoformat() for at in rows["occurred_at"]} == {"2026-01-05T00:00:00+00:00"}
    assert rows["flags"].to_list() == [["occurred_at.missing"]] * 3


def test_numbers_are_epochs_as_numbers_and_as_text(tmp_path: Path) -> None:
    rows = judged(
        tmp_path,
        event(occurred_at=1767607200),
        event(occurred_at="1767607200000"),
        event(occurred_at=1767607200.5),
    )
    assert [at.isoformat() for at in rows["occurred_at"]] == [
        "2026-01-05T10:00:00+00:00",
        "2026-01-05T10:00:00+00:00",
        "2026-01-05T10:00:00.500000+00:00",
    ]


def test_the_bounds_of_time_are_earliest_and_a_day_after_the_landing_date(tmp_path: Path) -> None:
    times = [
        "1990-01-01T00:00:00Z",
        "2026-01-07T00:00:00Z",
        "1989-12-31T23:59:59.999999Z",
        "2026-01-07T00:00:00.000001Z",
    ]
    times += ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "0000-01-01T00:00:00Z"]
    rows = judged(tmp_path, *(event(occurred_at=each) for each in times))
    assert reasons(rows) == [[], []] + [["occurred_at.range"]] * 5


def test_earliest_is_a_setting(tmp_path: Path) -> None:
    rows = judged(tmp_path, event(), event(occurred_at="2025-12-31T23:00:00Z"), earliest="2026-01-01")
    assert reasons(rows) == [[], ["occurred_at.range"]]


# --- money ---


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("149.99995", "150.0000"),
        ("149.99994", "149.9999"),
        ("-149.99995", "-150.0000"),
        ("0.00005", "0.0001"),
        ("-0.00005", "-0.0001"),
        ("0", "0.0000"),
        ("-0", "0.0000"),
        ("1e3", "1000.0000"),
        ("1.5E-3", "0.0015"),
        ("+5", "5.0000"),
        (".5", "0.5000"),
        ("5.", "5.0000"),
        ("007", "7.0000"),
        ("99999999999999.9999", "99999999999999.9999"),
        ("-99999999999999.9999", "-99999999999999.9999"),
        ("99999999999999.99995", None),
        ("100000000000000", None),
        ("1e14", None),
        ("1e999", None),
        ("1e-999", None),
        ("NaN", None),
        ("Infinity", None),
        ("1_000", None),
        ("1,000.00", None),
        ("12,50", None),
        ("$5", None),
        ("0x1F", None),
        ("1 000", None),
        ("", None),
        ("five", None),
        ("true", None),
        ("9" * 400, None),
    ],
)
def test_money_is_decimal_with_four_places_half_away_from_zero(sent: str, kept: str | None, evaluate: Any) -> None:
    found = evaluate(normalise.money("x"), sent)
    assert (None if found is None else str(found)) == kept


MONEY = {
    "149.99995": "150.0000",
    "99999999999999.9999": "99999999999999.9999",
    "-99999999999999.9999": "-99999999999999.9999",
    "12345678901234.5678": "12345678901234.5678",
    "1000000000000.00005": "1000000000000.0001",
    "0.30000000000000004": "0.3000",
    "1E3": "1000.0000",
    '" 12.50 "': "12.5000",
    '"12.5"': "12.5000",
    "100000000000000": None,
    "100000000000000.0": None,
    "1e999": None,
    "12345678901234567890123": None,
    '"1e999"': None,
    '"NaN"': None,
    '"1_000"': None,
    '"n/a"': None,
    "true": None,
    "[1]": None,
    "{}": None,
}


def test_the_digits_of_a_json_number_are_kept_and_what_is_no_amount_is_rejected(tmp_path: Path) -> None:
    line = '{"event_name": "a", "customer_id": "c", "properties": {"n": 3.5}, "value": %s}'
    rows = judged(tmp_path, *(line % sent for sent in MONEY))
    found = dict(zip(MONEY, rows["value"], strict=True))
    assert found == {sent: None if kept is None else Decimal(kept) for sent, kept in MONEY.items()}
    assert reasons(rows) == [[] if kept else ["value.invalid"] for kept in MONEY.values()]


def test_no_value_is_neither_zero_nor_invalid(tmp_path: Path) -> None:
    rows = judged(tmp_path, event(), event() | {"value": None}, event(value=""), event(value=" "), event(value=0))
    assert rows["value"].to_list() == [None, None, None, None, Decimal(0)]
    assert rows["currency"].to_list() == [None, None, None, None, "USD"]


def test_a_currency_is_iso_4217_and_that_of_the_project_where_none_is_sent(tmp_path: Path) -> None:
    sent = ["EUR", "eur", " gbp ", "", None, "US$", "EURO", "XXQ", 978]
    rows = judged(tmp_path, *(event(value=1) | {"currency": each} for each in sent), currency="CHF")
    assert rows["currency"].to_list()[:5] == ["EUR", "EUR", "GBP", "CHF", "CHF"]
    assert reasons(rows) == [[]] * 5 + [["currency.invalid"]] * 4


# --- identifiers ---


def test_ids_keep_their_case_and_lose_the_blanks_around_them(tmp_path: Path) -> None:
    row = accepted(judged(tmp_path, event(customer_id=" cUs_1 ", anonymous_id="\u00a0Anon-A\t", email=" A@B.co ")))
    assert row["identifiers"] == [["customer_id", "cUs_1"], ["email", "a@b.co"], ["anonymous_id", "Anon-A"]]


def test_numbers_are_ids_in_their_own_digits(tmp_path: Path) -> None:
    assert accepted(judged(tmp_path, event(customer_id=12345678901234567890)))["customer_id"] == "12345678901234567890"


BLOCKED = [
    "",
    " ",
    "null",
    "NULL",
    "none",
    "undefined",
    "false",
    "True",
    "Anonymous",
    "guest",
    "[object Object]",
    "NaN",
    "-1",
    "0",
    "000-00",
    "-",
    "{}",
    '{"id":1}',
    '["a",\n"b"]',
]


def test_blocked_values_stay_on_the_event_and_link_nobody(tmp_path: Path) -> None:
    rows = judged(tmp_path, *(event(customer_id=each, email="a@b.co") for each in BLOCKED))
    assert set(rows["identifiers"]) == {'[["email","a@b.co"]]'}
    assert rows["customer_id"].to_list() == [each if each.strip() else None for each in BLOCKED]


def test_an_object_or_a_list_where_an_id_should_be_links_nobody(tmp_path: Path) -> None:
    rows = judged(tmp_path, *(event(customer_id=each, email="a@b.co") for each in ({}, {"id": 1}, [], ["a", "b"])))
    assert set(rows["identifiers"]) == {'[["email","a@b.co"]]'}


def test_role_addresses_link_nobody(tmp_path: Path) -> None:
    rows = judged(
        tmp_path,
        *(event(email=f"{each}@shop.com") for each in ("noreply", "No-Reply", "postmaster", "do.not.reply+x")),
    )
    assert set(rows["identifiers"]) == {'[["customer_id","c1"]]'}
