"""The project folder: where it is, where its parts lie, every problem of every file."""

from __future__ import annotations

from pathlib import Path

import pytest

from eventpipe.errors import ConfigurationError, UsageError
from eventpipe.project.folder import Project, load_project


def project(root: Path, settings: str = "", **events: str) -> Path:
    """A project folder: eventpipe.yml with `settings`, and events/<name>.yml for each of `events`."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "eventpipe.yml").write_text(settings)
    for name, text in events.items():
        (root / "events").mkdir(exist_ok=True)
        (root / "events" / f"{name}.yml").write_text(text)
    return root


def load(root: Path, **environ: str) -> Project:
    return load_project(root, environ)


def problems_of(root: Path, **environ: str) -> list[tuple[str, int | None, str]]:
    """Places of the problems of a project, as they are told."""
    with pytest.raises(ConfigurationError) as caught:
        load_project(root, environ)
    assert caught.value.exit_code == 2
    return [(problem.file, problem.line, problem.key) for problem in caught.value.problems]


def test_everything_lies_in_the_folder_by_default(tmp_path: Path) -> None:
    root = project(tmp_path / "shop")
    loaded = load(root)
    assert loaded.root == root.resolve()
    assert loaded.exports == loaded.root / "exports"
    assert loaded.lake == loaded.root / "lake"
    assert loaded.warehouse == loaded.root / "warehouse.duckdb"
    assert loaded.analytics == loaded.root / "analytics.duckdb"
    assert loaded.ops == loaded.root / "ops.db"
    assert loaded.state == loaded.root / ".eventpipe"


def test_loading_makes_nothing(tmp_path: Path) -> None:
    root = project(tmp_path / "shop", a="events: [{name: a}]")
    before = sorted(root.rglob("*"))
    load(root)
    assert sorted(root.rglob("*")) == before


def test_locations_are_relative_to_the_folder_or_absolute(tmp_path: Path) -> None:
    root = project(tmp_path / "shop", f"paths: {{exports: ../in, lake: '{tmp_path / 'big'}'}}")
    loaded = load(root, EVENTPIPE_OPS="state/ops.db")
    assert loaded.exports == (tmp_path / "in").resolve()
    assert loaded.lake == (tmp_path / "big").resolve()
    assert loaded.ops == loaded.root / "state" / "ops.db"


def test_profiles_are_resolved_by_source_name(tmp_path: Path) -> None:
    loaded = load(project(tmp_path, "timezone: Asia/Riyadh\nsources: {ksa: {preset: arsel}, web: {preset: redo}}"))
    assert list(loaded.profiles) == ["ksa", "web"]
    assert loaded.profiles["ksa"].name == "ksa"
    assert loaded.profiles["ksa"].timezone == "Asia/Riyadh"


def test_definitions_of_all_files_are_read(tmp_path: Path) -> None:
    root = project(tmp_path, "", b="events: [{name: b}]", a="events: [{name: a, aliases: [A]}]")
    (root / "events" / ".#a.yml").write_text("an editor's")
    (root / "events" / "notes.md").write_text("a person's")
    assert [definition.name for definition in load(root).registry.definitions] == ["a", "b"]


def test_a_project_without_definitions_is_good(tmp_path: Path) -> None:
    assert load(project(tmp_path)).registry.definitions == ()


def test_declared_identifier_types_reach_the_definitions(tmp_path: Path) -> None:
    event = "events: [{name: a, properties: [{name: p, type: string, maps_to: device}]}]"
    assert load(project(tmp_path, "identity: {types: [{name: device, limit: 1}]}", a=event))


def test_the_folder_is_named_by_argument_then_variable_then_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("argument", "variable", "place"):
        project(tmp_path / name, f"workspace: {name}")
    monkeypatch.chdir(tmp_path / "place")
    environ = {"EVENTPIPE_PROJECT": str(tmp_path / "variable")}
    assert load_project(tmp_path / "argument", environ).settings.workspace == "argument"
    assert load_project(None, environ).settings.workspace == "variable"
    assert load_project(None, {}).settings.workspace == "place"
    assert load_project(None, {"EVENTPIPE_PROJECT": ""}).settings.workspace == "place"


@pytest.mark.parametrize("name", ["empty", "missing", "file"])
def test_no_project_is_a_wrong_argument(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="eventpipe init") as caught:
        load(tmp_path / name)
    assert not isinstance(caught.value, ConfigurationError)
    assert str(tmp_path / name) in str(caught.value)


def test_problems_of_all_files_are_told_in_order(tmp_path: Path) -> None:
    root = project(
        tmp_path,
        'timezone: Nowhere\nsources:\n  web: {preset: redo, explode: "${env:LIST}"}\n',
        b="events:\n  - name: a\n    mode: x\n",
        a="events:\n  - name: a\n  - name: a\n    mod: x\n",
        c="events: [",
    )
    (root / "events" / "d.yaml").write_text("")
    assert problems_of(root, EVENTPIPE_THREADS="none") == [
        ("eventpipe.yml", 1, "timezone"),
        ("eventpipe.yml", 3, "sources.web.explode"),
        ("environment", None, "EVENTPIPE_THREADS"),
        ("events/a.yml", 3, "events.1.name"),
        ("events/a.yml", 4, "events.1.mod"),
        ("events/b.yml", 2, "events.0.name"),
        ("events/b.yml", 3, "events.0.mode"),
        ("events/c.yml", 1, ""),
        ("events/d.yaml", None, ""),
    ]


def test_the_message_has_one_line_per_problem(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(project(tmp_path, "curency: EUR\nsettle: 5\n"))
    first, second = str(caught.value).splitlines()
    assert first.startswith("eventpipe.yml:1: curency: unknown key; did you mean 'currency'?")
    assert second.startswith("eventpipe.yml:2: settle: 5 is not a duration")


def test_definitions_are_not_blamed_for_unreadable_settings(tmp_path: Path) -> None:
    event = "events: [{name: a, properties: [{name: p, type: string, maps_to: device}]}]"
    assert problems_of(project(tmp_path, "identity: [", a=event)) == [("eventpipe.yml", 1, "")]


@pytest.mark.parametrize(
    ("settings", "line", "key", "other"),
    [
        ("paths:\n  lake: exports\n", 2, "paths.lake", "paths.exports"),
        ("paths:\n  lake: ./x/../exports/deep\n", 2, "paths.lake", "paths.exports"),
        ("paths:\n  exports: .\n  lake: /elsewhere/lake\n", 2, "paths.exports", "paths.warehouse"),
        (
            "paths:\n  warehouse: one.duckdb\n  analytics: one.duckdb\n",
            2,
            "paths.warehouse",
            "paths.analytics",
        ),
        ("paths:\n  ops: lake/ops.db\n", 2, "paths.ops", "paths.lake"),
        ("paths:\n  lake: .eventpipe/lake\n", 2, "paths.lake", "the folder .eventpipe"),
    ],
)
def test_locations_must_lie_apart(tmp_path: Path, settings: str, line: int, key: str, other: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(project(tmp_path / "shop", settings))
    problem = caught.value.problems[0]
    assert (problem.line, problem.key) == (line, key)
    assert other in problem.message


def test_a_variable_that_puts_two_in_one_place_is_named(tmp_path: Path) -> None:
    assert problems_of(project(tmp_path), EVENTPIPE_ANALYTICS="warehouse.duckdb") == [
        ("environment", None, "EVENTPIPE_ANALYTICS")
    ]


def test_a_wrong_file_of_automations_is_named(tmp_path: Path) -> None:
    root = project(tmp_path)
    (root / "automations").mkdir()
    (root / "automations" / "x.yml").write_text("not: [valid")
    with pytest.raises(ConfigurationError, match=r"automations/x\.yml:1: is not valid YAML"):
        load(root)


def test_variables_that_nothing_reads_are_told_with_the_nearest_that_is_read(tmp_path: Path) -> None:
    root = project(tmp_path / "shop", "alerts: {webhook: 'https://${env:EVENTPIPE_HOST}/'}")
    loaded = load(
        root,
        EVENTPIPE_HOST="example.com",
        EVENTPIPE_SERVING_ULR="postgresql://secret@db/shop",
        EVENTPIPE_WAREHOUES="elsewhere.duckdb",
        EVENTPIPE_HOTS="one of the project's own, misspelled",
        EVENTPIPE_COFFEE="nothing is like it",
        EVENTPIPE_MEMROY="",  # empty is unset
        EVENTPIPE_THREADS="2",
        EVENTPIPE_ADMIN_URL="postgresql://owner@db/shop",
        OTHER="nobody's business",
    )
    assert loaded.unread == (
        "The environment variable EVENTPIPE_COFFEE is read by nothing.",
        "The environment variable EVENTPIPE_HOTS is read by nothing; did you mean EVENTPIPE_HOST?",
        "The environment variable EVENTPIPE_SERVING_ULR is read by nothing; did you mean EVENTPIPE_SERVING_URL?",
        "The environment variable EVENTPIPE_WAREHOUES is read by nothing; did you mean EVENTPIPE_WAREHOUSE?",
    )
