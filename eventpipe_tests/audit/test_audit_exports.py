"""What no line is rejected for is told of: a column that a `map` reads and that is no more, a file that landed under two names, a
refund with the key of its order."""

from __future__ import annotations

from pathlib import Path

import pytest

from eventpipe.audit.drift import RENAMED
from eventpipe.audit.exports import COLUMNS, TWICE
from eventpipe_tests import builders
from eventpipe_tests.intake.arranged import parquet_bytes
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


def told(shop: Shop, check: str = COLUMNS) -> Told:
    """Status and message of the check in a run."""
    with shop.refresh() as refresh:
        refresh.everything()
    [finding] = [each for each in refresh.findings if each.check == check]
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


def test_a_header_without_records_says_nothing(shop: Shop) -> None:
    shop.put("till", "2026-01-09", "note.csv", b"Hello\n")
    assert "till: value reads" in str(told(shop)[1])  # as the day before


def test_fields_inside_of_a_list_are_no_columns(tmp_path: Path) -> None:
    lists = {"explode": "items", "map": {"customer_id": "who", "event_name": {"value": "a"}, "value": "price"}}
    shop = Shop(builders.project(tmp_path, sources={"till": lists}))
    shop.put("till", "2026-01-05", "a.parquet", parquet_bytes(who=["c"], items=[[{"price": 5}, {"price": 6}]]))
    assert told(shop) == ("passed", None)


def test_one_file_under_two_names_is_told_where_its_events_have_no_key(tmp_path: Path) -> None:
    shop = Shop(builders.project(tmp_path, sources={"web": "canonical"}))
    keyed, bare = (builders.lines(builders.event(**{"dedupe_key": key})) for key in ("k", None))
    for name, content in (("a", keyed), ("b", keyed), ("c", bare)):
        shop.put("web", "2026-01-05", f"{name}.jsonl", content)
    assert told(shop, TWICE) == ("passed", None)
    shop.put("web", "2026-01-06", "copy.jsonl", bare)
    status, message = told(shop, TWICE)
    assert status == "failed"
    assert "web: 2026-01-05/c.jsonl, 2026-01-06/copy.jsonl. Take the copies out" in str(message)


def test_a_refund_with_the_key_of_its_order_is_told(tmp_path: Path) -> None:
    shop = Shop(builders.project(tmp_path, sources={"web": "canonical"}))
    order, refund = (builders.event(event_name=name, dedupe_key="o1") for name in ("order.completed", "order.refunded"))
    shop.put("web", "2026-01-05", "a.jsonl", builders.lines(order, order))
    assert told(shop, RENAMED) == ("passed", None)
    shop.put("web", "2026-01-06", "a.jsonl", builders.lines(refund))
    assert told(shop, RENAMED)[0] == "failed"
