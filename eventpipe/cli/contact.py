"""`eventpipe contact`: who somebody is, and what they did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from eventpipe.cli.options import DebugOption, JsonOption, ProjectOption, TypeOption, open_project
from eventpipe.cli.terminal import inert, out, print_json, table
from eventpipe.cli.values import JsonText, moment, plain

if TYPE_CHECKING:
    from eventpipe.client import ContactKey
    from eventpipe.serving.reading import Store

app = typer.Typer(help="Who somebody is, and what they did.", no_args_is_help=False)

_BATCH = 10_000
_DETAIL = 70  # characters of properties or changes on a line of the timeline

Row = dict[str, Any]


@app.callback()
def contact() -> None:
    """Who somebody is, and what they did."""


@app.command()
def show(
    identifier: Annotated[
        str, typer.Argument(metavar="IDENTIFIER", help="An identifier of any type, or a contact_id.")
    ],
    type: TypeOption = None,
    limit: Annotated[int, typer.Option(min=0, help="Entries of the timeline at most.")] = 50,
    project: ProjectOption = None,
    json: JsonOption = False,
    _debug: DebugOption = False,
) -> None:
    """Show a contact: identifiers, traits, and the timeline, newest first."""
    opened = open_project(project)

    from eventpipe.client import contact_sql, find_contact, identifiers_sql, timeline_sql
    from eventpipe.serving.reading import reading

    with reading(opened) as store, store.snapshot():
        key = find_contact(store, opened, identifier, type)
        profile = next(iter(_rows(store, contact_sql(key))), {})
        identifiers = _rows(store, identifiers_sql(key))
        timeline = _rows(store, timeline_sql(key, limit))
        entries = _rows(store, f"select count(*) as entries from ({timeline_sql(key)}) as timeline")[0]["entries"]
    if json:
        print_json(
            {
                "matched": {"type": key.type, "value": key.value},
                "contact": profile or {"workspace_id": key.workspace_id, "contact_id": key.contact_id},
                "identifiers": identifiers,
                "timeline": timeline,
                "timeline_entries": entries,
            }
        )
    else:
        _show(key, profile, identifiers, timeline, entries)


def _show(key: ContactKey, profile: Row, identifiers: list[Row], timeline: list[Row], entries: int) -> None:
    console = out()
    console.print(
        inert(f"Contact {key.contact_id} in workspace {key.workspace_id}, found by {key.type} {key.value}"),
        soft_wrap=True,
    )
    facts = [
        (name, plain(profile[name]))
        for name in (
            "customer_id",
            "email",
            "phone",
            "is_anonymous",
            "first_seen_at",
            "last_seen_at",
            "event_count",
            "last_intent",
            "traits",
        )
        if profile.get(name) is not None
    ]
    console.print(table(("", ""), facts))
    console.print(
        table(
            ("identifier", "value", "first seen (UTC)", "last seen (UTC)", "events"),
            [
                [
                    each["identifier_type"],
                    each["identifier_value"],
                    moment(each["first_seen_at"]),
                    moment(each["last_seen_at"]),
                    plain(each["event_count"]),
                ]
                for each in identifiers
            ],
            right=(4,),
            whole=(0, 1),
        )
    )
    console.print(
        table(
            ("occurred at (UTC)", "entry", "source", "goal", "details"),
            [
                [
                    moment(each["occurred_at"]),
                    _entry(each),
                    plain(each["source"]),
                    _worth(each),
                    _short(plain(each["changes"] or each["properties"])),
                ]
                for each in timeline
            ],
            whole=(0, 1),
        )
    )
    if len(timeline) < entries:
        console.print(f"The newest {len(timeline)} of {entries:,} entries; --limit N shows N.", soft_wrap=True)


def _rows(store: Store, query: str) -> list[Row]:
    answer = store.ask(query)
    pages = iter(lambda: answer.fetch(_BATCH), [])
    return [
        {
            column.name: JsonText(value) if column.type == "JSON" and value is not None else value
            for column, value in zip(answer.columns, row, strict=True)
        }
        for page in pages
        for row in page
    ]


def _entry(entry: Row) -> str:
    """An event by its name; of all else what it is first."""
    kind, event_name = entry["entry_type"], entry["event_name"]
    return plain(event_name) if kind == "event" else " ".join(filter(None, (kind, event_name)))


def _worth(entry: Row) -> str:
    goal = [entry["goal_type"], entry["goal_name"]]
    value = [entry["value"], entry["currency"]] if entry["value"] is not None else []
    return " ".join(plain(each) for each in (*goal, *value) if each is not None)


def _short(text: str) -> str:
    return text if len(text) <= _DETAIL else text[: _DETAIL - 1] + "…"
