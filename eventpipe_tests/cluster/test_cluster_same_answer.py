"""A rebuild on Spark gives the tables that a rebuild here gives, and the next run goes on from them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from eventpipe.project.folder import Project
from eventpipe_tests.builders import event, lines
from eventpipe_tests.cluster.place import on_spark, standalone
from eventpipe_tests.intake.random_exports import world
from eventpipe_tests.pipeline import worlds
from eventpipe_tests.pipeline.agreement import assert_agrees
from eventpipe_tests.pipeline.histories import detours, folder_after, put
from eventpipe_tests.pipeline.published import assert_same
from eventpipe_tests.pipeline.shop import Shop
from eventpipe_tests.pipeline.worlds import AS_OF

pytestmark = pytest.mark.spark
EARLY, MIDDLE, LATE = AS_OF
BY = ("on Spark", "here")


@pytest.mark.parametrize("seed", [41, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(42, 48))])
def test_whatever_happened_to_the_events(tmp_path: Path, seed: int) -> None:
    """Repetitions, corrections, deletions, orders of several sources, people who become one, events after as_of; rebuilt on
    Spark in the middle of it, and again at its end."""
    random = Random(seed)
    exports = worlds.exports(random, worlds=24, reports=36, names="ab")
    here = Shop(worlds.project(tmp_path))
    there = Shop(on_spark(here.project))
    for shop, (step, folder) in zip(
        (here, there, here), folder_after(detours(random, exports, (EARLY, MIDDLE, LATE))), strict=True
    ):
        put(shop, step.files)
        tables = shop.run(step.as_of, full_refresh=shop is there)
        assert_agrees(tables, worlds.oracle(folder, step.as_of))
    assert_same(there.run(LATE, full_refresh=True), tables, by=BY)


def test_whatever_the_sources_send(tmp_path: Path) -> None:
    """All presets and mappings with the texts, numbers and times of random exports."""
    random = Random(7)
    made = world(random, records=30)
    here = Shop(made.project(tmp_path))
    for each in made.exports:
        here.put(each.source, each.landed_on.isoformat(), each.name, each.content)
    as_of = datetime(2026, 4, 1, tzinfo=UTC)
    expected = here.run(as_of)
    assert_same(Shop(on_spark(here.project)).run(as_of, full_refresh=True), expected, by=BY)


def test_on_a_cluster_of_several_machines(tmp_path: Path) -> None:
    """Nothing of the project is on the machines but the folder, which all of them see: the first run of a shop whose days end
    in Auckland, and whose files and folders have names that Spark would take for patterns."""
    root = tmp_path / "a [shop] {of} ours, 100%25 #1 \U0001f600"
    exports = worlds.exports(Random(51), worlds=12, reports=24, names="ab")
    strange = {(source, day, f"day=1 #%2F{{{name}"): reports for (source, day, name), reports in exports.items()}
    here = Shop(in_auckland(worlds.project(root)))
    put(here, strange)
    (tmp_path / "cluster").mkdir()
    with standalone(tmp_path / "cluster") as master:
        tables = Shop(on_spark(here.project, master)).run(LATE)
    assert_agrees(tables, worlds.oracle(strange, LATE))
    assert_same(tables, here.run(LATE, full_refresh=True), by=BY)


def test_a_shop_without_exports(tmp_path: Path) -> None:
    here = Shop(worlds.project(tmp_path))
    tables = Shop(on_spark(here.project)).run(LATE)
    assert_same(tables, here.run(LATE, full_refresh=True), by=BY)


def test_whatever_spark_is_told_by_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of the cluster, for the queries of others, change no answer; and of Java's output nothing is on ours."""
    others = tmp_path / "conf"
    others.mkdir()
    (others / "spark-defaults.conf").write_text(
        "spark.sql.shuffle.partitions 2\nspark.sql.parser.escapedStringLiterals true\nspark.sql.caseSensitive true\n"
        "spark.sql.session.timeZone America/New_York\nspark.sql.ansi.doubleQuotedIdentifiers true\n"
        "spark.hadoop.fs.defaultFS hdfs://127.0.0.1:9\nspark.driver.extraJavaOptions -Xlog:gc\n"
    )
    monkeypatch.setenv("SPARK_CONF_DIR", str(others))
    monkeypatch.setenv("SPARK_HOME", "/nowhere")
    monkeypatch.setenv("SPARK_REMOTE", "sc://nowhere")
    here = Shop(worlds.project(tmp_path / "shop"))
    look = event(customer_id="c1", occurred_at="2026-01-01T23:30:00-05:00", properties={"sku": "a"})
    here.put("web", "2026-01-02", "look.jsonl", lines(look | {"workspace": "default"}))
    expected = here.run(LATE)
    assert [row["last_intent"] for row in expected["contacts"].records()] == ["a"]
    assert_same(Shop(on_spark(here.project)).run(LATE, full_refresh=True), expected, by=BY)


def in_auckland(project: Project) -> Project:
    return replace(project, settings=project.settings.model_copy(update={"timezone": "Pacific/Auckland"}))
