"""contact_id_changes: what changed for who had read the contacts before, recorded once however a run ends."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from eventpipe.client import find_contact
from eventpipe.failpoints import VARIABLE, FailPointReached
from eventpipe.project.folder import load_project
from eventpipe.serving.reading import reading
from eventpipe_tests import builders
from eventpipe_tests.builders import event, export
from eventpipe_tests.pipeline.shop import Shop


def changes(shop: Shop, *columns: str) -> list[tuple[str, ...]]:
    """The published changes, contacts by the id that they are known by."""
    with duckdb.connect(str(shop.project.analytics), read_only=True) as connection:
        return connection.execute(f"select {', '.join(columns)} from contact_id_changes order by all").fetchall()


def runs_with_changes(shop: Shop) -> list[int]:
    with duckdb.connect(str(shop.project.analytics), read_only=True) as connection:
        found = connection.execute("select count(*) from contact_id_changes group by run_id order by all").fetchall()
    return [count for (count,) in found]


def contact_of(shop: Shop, value: str) -> str:
    with duckdb.connect(str(shop.project.analytics), read_only=True) as connection:
        found = connection.execute(
            "select contact_id from contact_identifiers where identifier_value = $1", [value]
        ).fetchone()
    assert found is not None
    return str(found[0])


MAIL = "ada@shop.example"


@pytest.fixture
def two(tmp_path: Path) -> Shop:
    """A shop that knows an address and a customer id, of which it has published nothing in common."""
    shop = Shop(builders.project(tmp_path / "shop"))
    export(shop.project, [event(customer_id=None, email=MAIL), event(occurred_at="2026-01-05T11:00:00Z")])
    shop.run()
    return shop


def bridge(shop: Shop) -> None:
    export(shop.project, [event(email=MAIL, occurred_at="2026-01-05T12:00:00Z")], name="bridge.jsonl")


def test_a_merge_is_told_by_the_run_that_published_it(two: Shop) -> None:
    assert changes(two, "change") == []
    old, kept = contact_of(two, "c1"), contact_of(two, MAIL)
    bridge(two)
    two.run()
    assert changes(two, "change", "from_contact_id", "into_contact_id") == [("merge", old, kept)]
    with reading(two.project) as store:
        assert [find_contact(store, two.project, each).contact_id for each in (old, kept)] == [kept, kept]
    two.run()
    two.run(full_refresh=True)
    assert changes(two, "change", "from_contact_id", "into_contact_id") == [("merge", old, kept)]


def test_unlink_splits_and_taking_it_back_merges(two: Shop) -> None:
    bridge(two)
    two.run()
    (two.project.root / "identity.yml").write_text(f"unlink:\n  - [{MAIL}, customer_id:c1]\n", encoding="utf-8")
    parted = Shop(load_project(two.project.root, {}))
    parted.run()
    assert contact_of(parted, "c1") != contact_of(parted, MAIL)
    (two.project.root / "identity.yml").unlink()
    back = Shop(load_project(two.project.root, {}))
    back.run()
    assert contact_of(back, "c1") == contact_of(back, MAIL)
    assert sorted(change for (change,) in changes(back, "change")) == ["merge", "merge", "split"]
    assert runs_with_changes(back) == [1, 1, 1]


@pytest.mark.parametrize("point", ["model.remembered", "publish.renamed"])
def test_an_interrupted_run_loses_nothing_and_doubles_nothing(
    two: Shop, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bridge(two)
    monkeypatch.setenv(VARIABLE, f"{point}:raise")
    with pytest.raises(FailPointReached):
        two.run()
    monkeypatch.delenv(VARIABLE)
    two.run()
    two.run()
    assert changes(two, "change") == [("merge",)]


def test_without_the_published_file_what_was_observed_is_kept(two: Shop) -> None:
    bridge(two)
    two.run()
    two.project.analytics.unlink()
    two.run()
    assert changes(two, "change") == [("merge",)]
