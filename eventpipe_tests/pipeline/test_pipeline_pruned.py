"""Prune: what a deleted export brought is gone from the lake and every table, as if it had never landed."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime
from pathlib import Path
from random import Random

import duckdb
import pytest

from eventpipe.errors import UsageError
from eventpipe.failpoints import VARIABLE, FailPointReached
from eventpipe.intake.exports import ALL_DATES, Selection
from eventpipe.intake.lake import Lake
from eventpipe.intake.prune import gone, prune
from eventpipe.ops import runs
from eventpipe.ops.store import OpsStore
from eventpipe_tests import builders
from eventpipe_tests.builders import event
from eventpipe_tests.pipeline import histories, worlds
from eventpipe_tests.pipeline.published import assert_same
from eventpipe_tests.pipeline.shop import Shop

AS_OF = datetime(2026, 3, 1, tzinfo=UTC)
NEXT = datetime(2026, 1, 6, tzinfo=UTC)
SEGMENTS = [
    {"name": "buyers", "where": {"event": "order.completed"}},
    {"name": "starters", "where": {"all": [{"event": "page.viewed"}, {"not": {"event": "order.completed"}}]}},
]
AUTOMATIONS = [
    {"name": "come_back", "trigger": {"segment_entered": "starters"}},
    {"name": "thanks", "trigger": {"event": "order.completed"}},
]


def key_of(name: str, day: str = "2026-01-05") -> str:
    return f"web/{day}/{name}"


def found(made: Shop, selection: Selection = ALL_DATES, source: str | None = None) -> list[str]:
    return [str(each.key) for each in gone(made.project, selection, source).manifests]


def pruned(made: Shop, source: str | None = None) -> int:
    return prune(made.project, gone(made.project, ALL_DATES, source).manifests)


def test_pruned_equals_never_landed(tmp_path: Path) -> None:
    """Of random exports, half are deleted after they landed."""
    random = Random(5)
    exports = worlds.exports(random, worlds=2, reports=50)
    kept = {key: exports[key] for key in sorted(exports)[::2]}
    assert 0 < len(kept) < len(exports)
    never = Shop(worlds.project(tmp_path / "never"))
    histories.put(never, kept)
    made = Shop(worlds.project(tmp_path / "made"))
    histories.put(made, exports)
    made.run(AS_OF)
    shutil.rmtree(made.project.exports)
    histories.put(made, kept)
    builders.land(made.project)
    assert len([*Lake(made.project.lake).manifests()]) == len(exports), "what landed stays"
    assert pruned(made) == len(exports) - len(kept)
    after = made.take_out("prune")
    assert_same(after, never.run(AS_OF), by=("pruned", "never landed"))
    assert not found(made)


def shop(folder: Path) -> Shop:
    """One who looked and one who looked and bought; two exports on one day, of which the second has the order."""
    made = Shop(builders.project(folder, segments=SEGMENTS, automations=AUTOMATIONS))
    pages = [event(event_name="page.viewed", customer_id=each, occurred_at="2026-01-05T08:00:00Z") for each in "ab"]
    made.put("web", "2026-01-05", "pages.jsonl", builders.lines(*pages))
    made.put("web", "2026-01-05", "orders.jsonl", builders.lines(ORDER, "{"))
    return made


ORDER = event(event_name="order.completed", customer_id="b", occurred_at="2026-01-05T09:00:00Z")


def triggers(made: Shop) -> list[tuple[str, str]]:
    with duckdb.connect(str(made.project.analytics), read_only=True) as connection:
        return connection.execute("select automation, occasion from automation_triggers order by all").fetchall()


def test_nothing_fires_because_of_a_prune_nor_when_the_export_comes_back(tmp_path: Path) -> None:
    made = Shop(builders.project(tmp_path, segments=SEGMENTS, automations=AUTOMATIONS))
    made.run(datetime(2026, 1, 5, 1, tzinfo=UTC))
    made = shop(tmp_path)
    made.run(NEXT)
    fired = triggers(made)
    assert [name for name, _ in fired] == ["come_back", "thanks"]
    path = made.project.exports / key_of("orders.jsonl")
    content = path.read_bytes()
    path.unlink()
    assert pruned(made) == 1
    after = made.take_out("prune")
    assert len(after["rejected_events"].records()) == 0
    members = {row["contact_id"] for row in after["segment_members"].records() if row["segment"] == "starters"}
    assert len(members) == 2, "who bought has not, now"
    assert triggers(made) == fired
    with OpsStore.open(made.project.ops) as store:
        last = runs.last(store)
    assert last is not None
    assert (last.kind, last.as_of, last.status) == ("prune", NEXT, "published")
    path.write_bytes(content)
    again = made.run(datetime(2026, 1, 7, tzinfo=UTC))
    assert len(again["rejected_events"].records()) == 1
    assert triggers(made) == fired


def test_a_killed_prune_leaves_no_rows_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = shop(tmp_path)
    made.run(AS_OF)
    shutil.rmtree(made.project.exports / "web" / "2026-01-05")
    monkeypatch.setenv(VARIABLE, "lake.removed:raise")
    with pytest.raises(FailPointReached):
        pruned(made, "web")
    monkeypatch.delenv(VARIABLE)
    assert found(made, source="web") == [key_of("pages.jsonl")]
    assert len(made.run(AS_OF)["events"].records()) == 2
    assert len([*made.project.lake.glob("*/*/*.parquet")]) == 1
    assert pruned(made, "web") == 1
    assert not made.take_out("prune")["events"].records()


def test_only_what_is_asked_for_and_still_gone_is_taken_out(tmp_path: Path) -> None:
    made = shop(tmp_path)
    made.put("web", "2026-01-06", "more.jsonl", builders.lines(event(occurred_at="2026-01-05T10:00:00Z")))
    builders.land(made.project)
    contents = {path: path.read_bytes() for path in made.project.exports.rglob("*.jsonl")}
    for path in contents:
        path.unlink()
    assert found(made, Selection(date(2026, 1, 6)), "web") == [key_of("more.jsonl", "2026-01-06")]
    assert len(found(made, source="web")) == 3
    with pytest.raises(UsageError, match="say so with --source"):
        gone(made.project, ALL_DATES)
    chosen = gone(made.project, ALL_DATES, "web").manifests
    back, *_ = contents
    back.write_bytes(contents[back])
    assert prune(made.project, chosen) == 2
    assert [str(each.key) for each in Lake(made.project.lake).manifests()] == [key_of(back.name, back.parent.name)]


def test_a_folder_that_is_not_there_prunes_nothing(tmp_path: Path) -> None:
    made = shop(tmp_path)
    builders.land(made.project)
    made.project.exports.rename(tmp_path / "unmounted")
    with pytest.raises(UsageError, match="Mount it"):
        gone(made.project, ALL_DATES)
    (tmp_path / "unmounted").rename(made.project.exports)
    with pytest.raises(UsageError, match="Nothing of a source 'shop' has landed"):
        gone(made.project, ALL_DATES, "shop")
