"""`eventpipe segments`: what is defined, whom it finds, what an edit changes, and why somebody is in or out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eventpipe.cli.options import ContactArgument, DebugOption, JsonOption, ProjectOption, TypeOption, open_project
from eventpipe.cli.terminal import inert, out, print_json, table
from eventpipe.cli.values import plain

if TYPE_CHECKING:
    import duckdb

    from eventpipe.project.folder import Project
    from eventpipe.segments.published import Change, Explained, PublishedSegments

app = typer.Typer(help="Segments: what is defined, whom it finds, and why.", no_args_is_help=False)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="A segment of segments/*.yml.")]


@app.callback()
def segments() -> None:
    """Segments: what is defined, whom it finds, and why."""


@app.command("ls")
def ls(project: ProjectOption = None, json: JsonOption = False, _debug: DebugOption = False) -> None:
    """List the defined segments with their published members."""
    opened = open_project(project)
    with _published(opened) as (_, found):
        members = found.members()
        rows: list[dict[str, Any]] = [
            {
                "segment": each.name,
                "members": members.get(each.name, 0),
                "description": each.description,
                "unseen_events": found.unseen(each),
                "unseen_properties": found.unseen_properties(each),
            }
            for each in sorted(opened.segments.definitions, key=lambda each: each.name)
        ]
    if json:
        print_json({"segments": rows})
        return
    console = out()
    if not rows:
        console.print(f"{inert(str(opened.root))} defines no segment. Write one into segments/.", soft_wrap=True)
        return
    cells = [(row["segment"], f"{row['members']:,}", row["description"]) for row in rows]
    console.print(table(("segment", "members", "description"), cells, right=(1,)))
    for row in rows:
        _show_unseen(row["unseen_events"], row["unseen_properties"], f"{row['segment']}: ")


@app.command()
def preview(
    name: NameArgument, project: ProjectOption = None, json: JsonOption = False, _debug: DebugOption = False
) -> None:
    """Show whom a definition finds in the published tables: how many, some of them, and the query."""
    opened = open_project(project)
    with _published(opened) as (_, found):
        seen = found.preview(name)
        unseen = found.unseen(found.named(name))
        properties = found.unseen_properties(found.named(name))
    if json:
        print_json({"segment": name, **asdict(seen), "unseen_events": unseen, "unseen_properties": properties})
        return
    console = out()
    console.print(f"{inert(name)} has {seen.members:,} of {seen.contacts:,} contacts.", soft_wrap=True)
    _show_unseen(unseen, properties)
    if seen.sample:
        console.print(_people(seen.sample))
    console.print(inert_lines(seen.sql), soft_wrap=True)


@app.command()
def plan(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One segment only.")] = None,
    project: ProjectOption = None,
    json: JsonOption = False,
    _debug: DebugOption = False,
) -> None:
    """After an edit: who would enter and who would leave, before it runs."""
    opened = open_project(project)
    with _published(opened) as (_, found):
        changes = found.plan(name)
    if json:
        print_json({"segments": [asdict(each) for each in changes]})
        return
    console = out()
    cells = [
        (each.segment, each.state, f"{each.members:,}", f"{each.entering:,}", f"{each.leaving:,}") for each in changes
    ]
    console.print(table(("segment", "state", "members", "enter", "leave"), cells, right=(2, 3, 4)))
    for each in changes:
        _show_change(each)


@app.command()
def explain(
    name: NameArgument,
    identifier: ContactArgument,
    type: TypeOption = None,
    project: ProjectOption = None,
    json: JsonOption = False,
    _debug: DebugOption = False,
) -> None:
    """Show each condition of a segment for one contact: its value, and whether it holds."""
    opened = open_project(project)

    from eventpipe.client import find_contact
    from eventpipe.serving.file import PublishedFile

    with _published(opened) as (connection, found):
        found.named(name)
        key = find_contact(PublishedFile(connection), opened, identifier, type)
        explained = found.explain(name, key.contact_id)
        since = connection.execute(
            "select entered_at from segment_members where segment = $1 and contact_id = $2", [name, key.contact_id]
        ).fetchone()
    entered_at = None if since is None else since[0]
    if json:
        told = {"segment": name, "contact_id": key.contact_id, "holds": explained.holds, "entered_at": entered_at}
        print_json({**told, "where": _as_dict(explained)})
        return
    console = out()
    verdict = "is" if explained.holds else "is not"
    member = "" if entered_at is None else f", a member since {plain(entered_at)}"
    console.print(inert(f"{key.contact_id} {verdict} in {name}{member}."), soft_wrap=True)
    for line in _lines(explained, 0):
        console.print(inert(line), soft_wrap=True)


@contextmanager
def _published(project: Project) -> Iterator[tuple[duckdb.DuckDBPyConnection, PublishedSegments]]:
    from eventpipe.segments.published import PublishedSegments
    from eventpipe.serving.file import as_of_published, explained, open_published

    with open_published(project) as connection, explained():
        yield connection, PublishedSegments(connection, project.segments, as_of_published(connection))


def inert_lines(text: str) -> str:
    """A text of several lines in which nothing but those breaks them."""
    return "\n".join(inert(line) for line in text.split("\n"))


def _show_unseen(events: list[str], properties: list[str], before: str = "") -> None:
    """Names that find nobody yet: rightly, where it is still to come."""
    for kind, names in (("event", events), ("property of such an event", properties)):
        if names:
            told = f"{before}no {kind} was seen yet called {', '.join(names)}."
            out().print(inert(told[0].upper() + told[1:] if not before else told), style="yellow", soft_wrap=True)


def _show_change(change: Change) -> None:
    for title, sample, count in (
        ("enter", change.entering_sample, change.entering),
        ("leave", change.leaving_sample, change.leaving),
    ):
        if sample:
            some = "" if len(sample) == count else f", {len(sample)} of them"
            out().print()
            out().print(inert(f"{change.segment}: {count:,} {title}{some}"), soft_wrap=True)
            out().print(_people(sample))


def _people(sample: list[dict[str, Any]]) -> Any:
    columns = list(sample[0])
    return table(columns, [[plain(row[column]) for column in columns] for row in sample])


def _as_dict(explained: Explained) -> dict[str, Any]:
    told: dict[str, Any] = {"condition": explained.condition, "holds": explained.holds}
    if explained.inside:
        return {**told, "inside": [_as_dict(each) for each in explained.inside]}
    return {**told, "value": explained.value, "currency": explained.currency}


def _lines(explained: Explained, depth: int) -> Iterator[str]:
    mark = "✓" if explained.holds else "✗"
    currency = "" if explained.currency is None else f" (in {explained.currency})"
    value = "" if explained.inside else f"  →  {'nothing' if explained.value is None else explained.value}{currency}"
    yield f"{'  ' * depth}{mark} {explained.condition}{value}"
    for each in explained.inside:
        yield from _lines(each, depth + 1)
