"""`eventpipe events`: the tracking plan and what is really sent; definitions drafted, and tried before they are in force."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eventpipe.cli.options import DebugOption, JsonOption, ProjectOption, now, open_project
from eventpipe.cli.terminal import err, inert, out, print_json, table
from eventpipe.cli.values import plain
from eventpipe.errors import ConfigurationError, Problem, UsageError
from eventpipe.ops.place import is_made
from eventpipe.wording import several

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from eventpipe.intake.trial import Trial
    from eventpipe.project.definitions import Registry
    from eventpipe.project.draft import SeenProperty
    from eventpipe.project.folder import Project

app = typer.Typer(help="Event definitions, and what is really sent.", no_args_is_help=False)

Row = dict[str, Any]

_REASONS = 8


@app.callback()
def events() -> None:
    """Event definitions, and what is really sent."""


@app.command()
def ls(project: ProjectOption = None, json: JsonOption = False, _debug: DebugOption = False) -> None:
    """List every event that is defined or was seen."""
    opened = open_project(project)
    seen = {row["event_name"]: row for row in _catalog(opened)}
    rows = []
    for name in sorted(seen.keys() | opened.registry.by_name.keys()):
        definition, counted = opened.registry.by_name.get(name), seen.get(name, {})
        rows.append(
            {
                "event_name": name,
                "version": definition.version if definition else None,
                "mode": definition.mode if definition else None,
                "accepted": counted.get("accepted", 0),
                "rejected": counted.get("rejected", 0),
                "violating": counted.get("violating", 0),
                "last_seen_at": counted.get("last_seen_at"),
                "drift": counted.get("drift", []),
            }
        )
    if json:
        print_json(rows)
        return
    columns = ("event_name", "version", "mode", "accepted", "rejected", "violating", "last_seen_at", "drift")
    cells = [["" if row[name] in (None, []) else plain(row[name]) for name in columns] for row in rows]
    out().print(table([name.replace("_", " ") for name in columns], cells, right=(3, 4, 5)))


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="An event's name, or an alias.")],
    project: ProjectOption = None,
    json: JsonOption = False,
    _debug: DebugOption = False,
) -> None:
    """Show an event: its definition's versions, its properties as they are sent."""
    opened = open_project(project)

    from eventpipe.ops.definitions import DefinitionVersion, history
    from eventpipe.ops.store import OpsStore

    canonical = opened.registry.canonical(name) or name
    definition = opened.registry.by_name.get(canonical)
    seen = next((row for row in _catalog(opened) if row["event_name"] == canonical), None)
    if definition is None and seen is None:
        raise UsageError(f"No event {name!r} is defined or was seen: `eventpipe events ls` lists them.")
    versions: list[DefinitionVersion] = []
    if is_made(opened.ops):
        with OpsStore.open(opened.ops) as store:
            versions = history(store, canonical)
    if json:
        print_json(
            {
                "event_name": canonical,
                "definition": definition.model_dump(mode="json", exclude_defaults=True) if definition else None,
                "version": definition.version if definition else None,
                "versions": [each.__dict__ for each in versions],
                "seen": seen,
            }
        )
        return
    console = out()
    told = f"version {definition.version}, mode {definition.mode}" if definition else "not defined"
    console.print(inert(f"Event {canonical}: {told}"), soft_wrap=True)
    if definition is not None and definition.version not in {each.version for each in versions[:1]}:
        console.print("Edited since the last run: the next one judges by it. `eventpipe events check` tries it.")
    if versions:
        known = [
            (each.version, plain(each.from_at), "" if each.until_at is None else plain(each.until_at), each.run_id)
            for each in versions
        ]
        console.print(table(("version", "in force from", "until", "since run"), known))
    if seen is not None:
        declared = {each.name: each for each in definition.properties} if definition else {}
        entries = {each["name"]: each for each in seen["properties"]}
        rows = [
            (
                each,
                declared[each].type if each in declared else "not declared",
                "required" if each in declared and declared[each].required else "",
                ", ".join(entries[each]["types"]) if each in entries else "never seen",
                f"{entries[each]['fill_rate']:.1%}" if each in entries else "",
            )
            for each in sorted(declared.keys() | entries.keys())
        ]
        console.print(table(("property", "declared", "", "sent as", "filled"), rows, right=(4,)))


@app.command()
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file of definitions, as in events/.")],
    days: Annotated[int, typer.Option("--days", min=1, help="Landing dates to judge again, the last ones.")] = 7,
    project: ProjectOption = None,
    json: JsonOption = False,
    _debug: DebugOption = False,
) -> None:
    """Say what changed definitions would accept and reject of the last days, before they are in force."""
    opened = open_project(project)

    from eventpipe.intake.trial import attempt

    registry, names = _with(opened, file)
    with err().status("judging again"):
        trial = attempt(opened, registry, names, days, now())
    if json:
        print_json(
            {
                "first": trial.first,
                "last": trial.last,
                "exports": trial.exports,
                "gone": trial.gone,
                "events": {name: each.__dict__ for name, each in trial.events.items()},
            }
        )
    else:
        _show_trial(trial)


@app.command()
def draft(
    name: Annotated[str, typer.Argument(metavar="NAME", help="An event that was seen.")],
    project: ProjectOption = None,
    _debug: DebugOption = False,
) -> None:
    """Write a definition from what was seen, to stdout: events/NAME.yml is a place for it."""
    opened = open_project(project)

    from eventpipe.project.draft import draft as drafted
    from eventpipe.serving.file import open_published

    seen = next((row for row in _catalog(opened) if row["event_name"] == name), None)
    if seen is None or not seen["accepted"]:
        raise UsageError(f"No event {name!r} was accepted yet: `eventpipe events ls` lists those that were.")
    with open_published(opened) as connection:
        properties = _seen_properties(connection, name, seen["properties"])
    defined = opened.registry.canonical_names
    aliases = [each for each in (*seen["spellings"], *seen["drift"]) if each not in defined]
    typer.echo(drafted(name, properties, list(dict.fromkeys(aliases))), nl=False)


def _catalog(project: Project) -> list[Row]:
    """The published catalogue; nothing before the first run."""
    from eventpipe.serving.file import execute, open_published

    if not project.analytics.exists():
        return []
    with open_published(project) as connection:
        result = execute(connection, "select * from event_catalog order by event_name")
        columns = [each[0] for each in result.description or []]
        return [dict(zip(columns, row, strict=True)) for row in result.fetchall()]


def _seen_properties(connection: duckdb.DuckDBPyConnection, event: str, entries: Sequence[Row]) -> list[SeenProperty]:
    from eventpipe.intake import normalise
    from eventpipe.project.draft import SeenProperty
    from eventpipe.serving.file import execute
    from eventpipe.sql import json_path, literal

    found = []
    for entry in entries:
        types = tuple(entry["types"])
        if "string" in types:
            # As stored: what a definition read as a number is one.
            value = f"json_extract_string(properties, {json_path([entry['name']])})"
            row = execute(
                connection,
                f"select count(*), count(*) filter ({normalise.day(value)}), count(*) filter (try_cast({value} as double) is not null)"
                f" from (select properties from events where event_name = {literal(event)}"
                f" and json_type(properties, {json_path([entry['name']])}) = 'VARCHAR' limit 10000)",
            ).fetchone()
            assert row is not None
            strings, dates, numbers = row
            others = tuple(each for each in types if each != "string")
            if strings and strings == dates:
                types = (*others, "date")
            elif strings == numbers and "number" in others:
                types = others
        found.append(SeenProperty(entry["name"], types, float(entry["fill_rate"])))
    return found


def _with(project: Project, file: Path) -> tuple[Registry, frozenset[str]]:
    """The project's definitions with those of `file` in place of their namesakes, and all spellings of the latter."""
    import os

    from eventpipe.project.definitions import Registry
    from eventpipe.project.tracking_plan import read_registry
    from eventpipe.project.yaml import read_document

    document, problems = read_document(file, str(file), os.environ)
    changed, wrong = read_registry([document], project.settings.identity.names)
    if problems or wrong or changed is None:
        raise ConfigurationError(problems + wrong)
    others = [each for each in project.registry.definitions if each.name not in changed.by_name]
    taken = Registry(tuple(others)).canonical_names
    double = sorted(changed.canonical_names.keys() & taken.keys())
    if double:
        message = f"{double[0]!r} is already a name or alias of {taken[double[0]]}: keep one"
        raise ConfigurationError([Problem(str(file), None, "events", message)])
    both = Registry(tuple(sorted((*others, *changed.definitions), key=lambda each: each.name)))
    return both, frozenset(changed.canonical_names)


def _show_trial(trial: Trial) -> None:
    console = out()
    if trial.first is None:
        console.print("Nothing has landed yet, so there is nothing to judge.")
        return
    console.print(
        f"Landed {trial.first} to {trial.last}: {several(trial.exports, 'export')} judged again.", soft_wrap=True
    )
    if trial.gone:
        console.print(
            f"Left out, for they are no longer in the exports folder, or changed: {several(trial.gone, 'export')}.",
            soft_wrap=True,
        )
    rows = [
        (
            name,
            *(
                f"{count:,}"
                for count in (each.accepted, each.would_accept, each.newly_accepted, each.rejected, each.would_reject)
            ),
            f"{each.newly_rejected:,}",
            ", ".join(f"{reason} ({lines:,})" for reason, lines in each.reasons.most_common(_REASONS)),
        )
        for name, each in trial.events.items()
    ]
    columns = ("event", "accepted", "would accept", "new", "rejected", "would reject", "new", "because of")
    console.print(table(columns, rows, right=range(1, 7)))
