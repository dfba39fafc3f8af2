"""`eventpipe init`: a project that loads, knows the tools' spellings, harms nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from eventpipe.errors import UsageError
from eventpipe.project.folder import Project, load_project
from eventpipe.project.rfm import FixedCutPoints
from eventpipe.project.starter import SOURCES, create_project
from eventpipe.segments.grammar import EventCondition, leaves


@pytest.fixture
def starter(tmp_path: Path) -> Project:
    create_project(tmp_path / "shop")
    return load_project(tmp_path / "shop", {})


def test_it_lists_what_it_made(tmp_path: Path) -> None:
    made = create_project(tmp_path / "new" / "shop")
    assert sorted(str(path.relative_to(tmp_path / "new" / "shop")) for path in made) == [
        ".gitignore",
        "automations/journeys.yml",
        "eventpipe.yml",
        "events/engagement.yml",
        "events/orders.yml",
        "events/shopping.yml",
        "events/subscriptions.yml",
        "expectations.yml",
        "exports/arsel",
        "exports/customerio",
        "exports/notifuse",
        "exports/redo",
        "segments/customers.yml",
        "segments/flows.yml",
    ]
    assert all(path.exists() for path in made)


def test_it_loads_with_the_four_tools_as_sources(starter: Project) -> None:
    assert {name: profile.preset for name, profile in starter.profiles.items()} == {name: name for name in SOURCES}


NAMES = {
    "redo": {
        "Checkout Started": "checkout.started",
        "Order Completed": "order.completed",
        "Order Refunded": "order.refunded",
        "Product Viewed": "product.viewed",
        "Added To Cart": "product.added_to_cart",
        "User Signed Up": "user.signed_up",
        "Trial Started": "trial.started",
    },
    "notifuse": {
        name: name
        for name in (
            "order.completed",
            "order.refunded",
            "checkout.started",
            "user.signed_up",
            "trial.started",
            "subscription.started",
        )
    },
    "customerio": {
        "checkout_started": "checkout.started",
        "order_completed": "order.completed",
        "order_refunded": "order.refunded",
        "product_viewed": "product.viewed",
        "added_to_cart": "product.added_to_cart",
        "site_visit": "site.visited",
        "email_click": "email.clicked",
        "trial_started": "trial.started",
    },
    "arsel": {name: name for name in ("order.completed", "trial.started", "checkout.started", "subscription.started")},
    "dashes": {"checkout-started": "checkout.started", "order-completed": "order.completed"},
}


@pytest.mark.parametrize("tool", NAMES)
def test_each_tools_spellings_are_known(starter: Project, tool: str) -> None:
    assert {name: starter.registry.canonical(name) for name in NAMES[tool]} == NAMES[tool]


def test_an_order_counts_once_and_a_refund_is_its_own_event(starter: Project) -> None:
    order = starter.registry.by_name["order.completed"]
    refund = starter.registry.by_name["order.refunded"]
    assert order.goal is not None
    assert refund.goal is not None
    assert (order.goal.type, order.goal.value, order.dedupe_on) == ("purchase", "total", "order_id")
    assert (refund.goal.type, refund.goal.value, refund.dedupe_on) == ("purchase", "total", None)


def test_the_order_total_is_found_under_each_of_its_names(starter: Project) -> None:
    total = next(p for p in starter.registry.by_name["order.completed"].properties if p.name == "total")
    assert (total.type, total.maps_to, total.aliases) == ("number", "value", ("value", "cart_value"))


def test_the_settings_it_comments_out_are_the_defaults(starter: Project) -> None:
    """Uncommented, the sections below `sources` must load and change nothing but the four examples in them."""
    path = starter.root / "eventpipe.yml"
    head, sections = path.read_text().split("# Which identifiers", 1)
    sections = re.sub(r"^# ((?: *- | *)\w*[:{].*)$", r"\1", sections, flags=re.MULTILINE)
    head = re.sub(r"^# (earliest|settle|schedule)", r"\1", head, flags=re.MULTILINE)
    path.write_text(f"{head}# Which identifiers{sections}")
    loaded = load_project(starter.root, {}).settings
    assert loaded.identity.blocked == ("qa@example.com",)
    assert loaded.engine.threads == 2
    assert loaded.rfm.cut_points.recency == (30, 90, 180, 365)
    assert loaded.deliver.allow_hosts == ("localhost",)
    changed = {
        "deliver": loaded.deliver.model_copy(update={"allow_hosts": ()}),
        "identity": loaded.identity.model_copy(update={"blocked": ()}),
        "rfm": loaded.rfm.model_copy(update={"cut_points": FixedCutPoints()}),
        "engine": loaded.engine.model_copy(update={"threads": None}),
    }
    assert loaded.model_copy(update=changed) == starter.settings
    assert loaded.model_fields_set == type(loaded).model_fields.keys()


def test_the_mapping_that_it_comments_out_works(starter: Project) -> None:
    path = starter.root / "eventpipe.yml"
    text = path.read_text()
    start = text.index("  # shop:")
    example = re.sub(r"^  # ", "  ", text[start : text.index("# Which identifiers")], flags=re.MULTILINE)
    path.write_text(text[:start] + example + text[text.index("# Which identifiers") :])
    shop = load_project(starter.root, {}).profiles["shop"]
    assert (shop.preset, shop.format, shop.timezone) == (None, "csv", "Europe/London")
    assert set(shop.map) == {"event_name", "customer_id", "occurred_at", "order_id", "value"}


def test_its_automations_are_the_journeys_that_shops_ask_for(starter: Project) -> None:
    found = starter.automations.by_name
    assert found["cart_recovery"].unless is not None
    assert {each.awaits for each in found.values()} >= {
        "event user.signed_up",
        "segment_left recent_customers",
        "segment_entered vip_customers",
    }
    assert found["replenish_kitchen"].wait.days == 25
    assert all(each.description and each.deliver != "none" for each in found.values())


def test_its_segments_name_events_of_the_tracking_plan(starter: Project) -> None:
    names = {segment.name for segment in starter.segments.definitions}
    assert {"vip_customers", "at_risk_high_value", "new_high_potential", "cart_abandoners", "lapsed"} < names
    for segment in starter.segments.definitions:
        assert segment.description
        for leaf in leaves(segment.where):
            if isinstance(leaf, EventCondition):
                used = (*leaf.names, *([leaf.without.event] if leaf.without else []))
                assert starter.registry.by_name.keys() >= set(used), segment.name


def test_what_a_run_makes_is_ignored_by_git(starter: Project) -> None:
    ignored = (starter.root / ".gitignore").read_text().split()
    assert {"lake/", "*.duckdb", "ops.db", ".eventpipe/"} <= set(ignored)


def test_a_folder_with_other_things_is_filled(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    (tmp_path / ".gitignore").write_text("mine")
    made = create_project(tmp_path)
    assert tmp_path / ".gitignore" not in made
    assert (tmp_path / ".gitignore").read_text() == "mine"
    assert load_project(tmp_path, {})


@pytest.mark.parametrize("name", ["eventpipe.yml", "events/orders.yml"])
def test_nothing_is_overwritten(tmp_path: Path, name: str) -> None:
    (tmp_path / "events").mkdir()
    (tmp_path / name).write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UsageError, match=re.escape(name)):
        create_project(tmp_path)
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / name).read_text() == "mine"


def test_a_folder_that_no_run_could_use_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    for name in ("shop[1]", "shop?", "50%41"):
        with pytest.raises(UsageError, match="Rename the folder"):
            create_project(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "shop").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        create_project(tmp_path / "shop")
