"""`eventpipe segments` and the same from Python."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from eventpipe.client import connect
from eventpipe.errors import UsageError
from eventpipe_tests.cli.conftest import Ended, Shop

Call = Callable[..., Ended]

BUYERS = {"name": "buyers", "description": "Bought.", "where": {"goal": "purchase"}}


def test_ls_tells_of_every_definition(call: Call, shop: Shop) -> None:
    listed = call("segments", "ls", "--project", shop.root, "--json").good().json["segments"]
    names = [each["segment"] for each in listed]
    assert names == sorted(names)
    assert {"vip_customers", "cart_abandoners"} < set(names)
    assert all(each["description"] and each["unseen_events"] == [] for each in listed)
    assert all(each["unseen_properties"] == [] for each in listed)
    with connect(shop.root, {}) as client:
        for each in listed:
            assert each["members"] == client.segment(each["segment"]).height
    assert "vip_customers" in call("segments", "ls", "--project", shop.root).good().out


def test_preview_shows_size_sample_and_the_query(call: Call, own_shop: Shop) -> None:
    (own_shop.root / "segments" / "mine.yml").write_text(json.dumps({"segments": [BUYERS]}))
    told = call("segments", "preview", "buyers", "--project", own_shop.root, "--json").good().json
    with connect(own_shop.root, {}) as client:
        expected = client.sql("select distinct contact_id from contact_goals where goal_type = 'purchase' order by all")
        assert client.sql(told["sql"]).height == expected.height == told["members"]
    assert [each["contact_id"] for each in told["sample"]] == expected["contact_id"].to_list()[:10]
    shown = call("segments", "preview", "buyers", "--project", own_shop.root).good().out
    assert f"buyers has {told['members']:,} of {told['contacts']:,} contacts." in shown
    assert "goal_type = 'purchase'" in shown


def test_plan_tells_who_enters_and_who_leaves(call: Call, own_shop: Shop) -> None:
    at = ("--project", own_shop.root, "--json")
    same = call("segments", "plan", *at).good().json["segments"]
    assert all((each["state"], each["entering"], each["leaving"]) == ("same", 0, 0) for each in same)
    folder = own_shop.root / "segments"
    edited = {**BUYERS, "name": "vip_customers"}
    (folder / "customers.yml").write_text(json.dumps({"segments": [edited, BUYERS]}))
    planned = {each["segment"]: each for each in call("segments", "plan", *at).good().json["segments"]}
    buyers = planned["buyers"]
    assert (buyers["state"], buyers["entering"]) == ("new", buyers["members"])
    assert planned["vip_customers"]["members"] == buyers["members"] > 0
    assert len(buyers["entering_sample"]) == min(10, buyers["entering"])
    only = call("segments", "plan", "buyers", *at).good().json["segments"]
    assert [each["segment"] for each in only] == ["buyers"]
    shown = call("segments", "plan", "--project", own_shop.root).good().out
    assert "enter" in shown
    assert "\\n" not in shown


def test_explain_prints_each_condition_with_its_value(call: Call, shop: Shop) -> None:
    with connect(shop.root, {}) as client:
        best = client.sql(
            "select contact_id, value_sum::varchar as value_sum from contact_goals"
            " where goal_type = 'purchase' and currency = 'USD' order by value_sum desc, contact_id limit 1"
        ).row(0, named=True)
    at = ("--project", shop.root, "--json")
    told = call("segments", "explain", "at_risk_high_value", best["contact_id"], *at).good().json
    spent, recent = told["where"]["inside"]
    assert spent["condition"] == "{goal: purchase, aggregate: sum, at_least: 500}"
    assert (spent["value"], spent["currency"]) == (best["value_sum"], "USD")
    assert spent["holds"] is (float(best["value_sum"]) >= 500)
    assert recent["condition"] == "not"
    assert recent["holds"] is not recent["inside"][0]["holds"]
    assert recent["inside"][0]["currency"] is None, "days are counted of all currencies"
    assert told["holds"] is (spent["holds"] and recent["holds"])
    shown = call("segments", "explain", "at_risk_high_value", best["contact_id"], "--project", shop.root).good().out
    assert f"→  {best['value_sum']} (in USD)" in shown


@pytest.mark.parametrize("command", ["preview", "plan", "explain"])
def test_an_unknown_segment_is_wrong_usage(call: Call, shop: Shop, command: str) -> None:
    more = ("nobody",) if command == "explain" else ()
    ended = call("segments", command, "vip_customer", *more, "--project", shop.root)
    assert ended.code == 2
    assert "did you mean 'vip_customers'?" in ended.err


def test_a_wrong_definition_ends_a_run_before_it_begins(call: Call, own_shop: Shop) -> None:
    (own_shop.root / "segments" / "mine.yml").write_text(
        "segments:\n  - name: it\n    where: {event: order.complated}\n"
    )
    ended = call("segments", "ls", "--project", own_shop.root)
    assert ended.code == 2
    assert "segments/mine.yml:3" in ended.err
    assert "did you mean 'order.completed'?" in ended.err


def test_rfm_and_segments_are_frames(shop: Shop) -> None:
    with connect(shop.root, {}) as client:
        assert client.rfm().height == client.sql("select count(*) from contact_rfm").item() > 0
        assert {"contact_id", "email", "entered_at"} < set(client.segment("vip_customers").columns)
        with pytest.raises(UsageError, match="There is no segment 'vips'"):
            client.segment("vips")
