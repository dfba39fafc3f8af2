"""A column that a `map` reads and that the exports have no more is told of: its field would be empty in silence."""

from __future__ import annotations

import pytest

from eventpipe.audit.columns import COLUMNS
from eventpipe_tests import builders
from eventpipe_tests.pipeline.shop import Shop

SOURCE = {
    "format": "csv",
    "map": {
        "customer_id": "Customer",
        "occurred_at": "At",
        "event_name": {"value": "order.completed"},
        "order_id": "Payload.order",
        "value": {"sql": "coalesce(Total, Amount)"},
    },
}
Told = tuple[str, str | None]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return Shop(builders.project(tmp_path_factory.mktemp("shop"), sources={"till": SOURCE, "web": "canonical"}))


def told(shop: Shop) -> Told:
    """Status and message of the check in a run."""
    with shop.refresh() as refresh:
        refresh.everything()
    [finding] = [each for each in refresh.findings if each.check == COLUMNS]
    return finding.status, finding.message


def landed(shop: Shop, day: str, *headers: str) -> Told:
    for number, header in enumerate(headers):
        record = ",".join("2026-01-05T10:00:00Z" if name == "At" else "1" for name in header.split(","))
        shop.put("till", day, f"{number}.csv", f"{header}\n{record}\n".encode())
    return told(shop)


def test_exports_of_other_formats_have_none(shop: Shop) -> None:
    shop.put("web", "2026-01-05", "a.jsonl", builders.lines(builders.event()))
    assert told(shop) == ("skipped", None)


def test_all_are_there(shop: Shop) -> None:
    assert landed(shop, "2026-01-05", "Customer,At,Payload,Total") == ("passed", None)


def test_one_that_was_renamed_is_named_with_what_reads_it(shop: Shop) -> None:
    status, message = landed(shop, "2026-01-06", "customer,At,Payload,Amount")
    assert status == "failed"
    assert message is not None
    assert "till: customer_id reads Customer. Correct `map`" in message


def test_exports_of_a_day_may_differ_and_older_ones_may_be_as_they_were(shop: Shop) -> None:
    assert landed(shop, "2026-01-07", "Customer,At,Amount", "At,Payload") == ("passed", None)


def test_an_expression_none_of_whose_columns_is_there_is_told_too(shop: Shop) -> None:
    status, message = landed(shop, "2026-01-08", "Customer,At,Payload")
    assert status == "failed"
    assert message is not None
    assert "till: value reads Total, Amount" in message
