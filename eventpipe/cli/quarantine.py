"""`eventpipe quarantine`: rejected lines, by reason, as they were sent, and judged again."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eventpipe.cli.options import (
    DayParser,
    DebugOption,
    JsonOption,
    ProjectOption,
    new_run_id,
    now,
    open_project,
)
from eventpipe.cli.terminal import inert, out, print_json, table
from eventpipe.cli.values import plain

if TYPE_CHECKING:
    from eventpipe.intake.replay import Replayed
    from eventpipe.project.folder import Project

app = typer.Typer(help="Rejected lines: by reason, as they were sent, and judged again.", no_args_is_help=False)

Row = dict[str, Any]

ReasonOption = Annotated[
    str | None,
    typer.Option("--reason", metavar="CODE", help="Lines rejected for this: property.type, or property.type:total."),
]
EventOption = Annotated[str | None, typer.Option("--event", metavar="NAME", help="Lines of this event.")]
SinceOption = Annotated[
    date | None, typer.Option("--since", parser=DayParser, metavar="D", help="Lines that landed on this date or later.")
]

_WIDTH = 100  # characters of a raw line
_NONE_LIKE_THAT = "No rejected line is like that: `eventpipe quarantine ls` by itself tells what there is."


@app.callback()
def quarantine() -> None:
    """Rejected lines: by reason, as they were sent, and judged again."""


@app.command()
def ls(
    reason: ReasonOption = None,
    event: EventOption = None,
    since: SinceOption = None,
    project: ProjectOption = None,
    json: JsonOption = False,
    _debug: DebugOption = False,
) -> None:
    """List rejected lines by reason, source and event, each with a sample."""
    found = _rows(
        project,
        f"""
        with rejected as ({_chosen(reason, event, since)}),
        each as (select *, unnest(reasons) as reason from rejected)
        select reason, source, event_name, count(*) as lines, min(landed_on) as first_landed_on,
            max(landed_on) as last_landed_on, list(distinct definition_version) as definition_versions,
            arg_min(landed_on || '/' || file || ':' || line, (landed_on, file, line)) as sample
        from each group by reason, source, event_name order by lines desc, reason, source, event_name
        """,
    )
    if json:
        print_json(found)
    elif not found:
        is_any = reason or event or since
        out().print(_NONE_LIKE_THAT if is_any else "Nothing is rejected.", soft_wrap=True)
    else:
        columns = ("reason", "source", "event_name", "lines", "first_landed_on", "last_landed_on", "sample")
        cells = [["" if row[name] is None else plain(row[name]) for name in columns] for row in found]
        out().print(table([name.replace("_", " ") for name in columns], cells, right=(3,)))


@app.command()
def show(
    reason: ReasonOption = None,
    event: EventOption = None,
    since: SinceOption = None,
    limit: Annotated[int, typer.Option(min=1, help="Lines at most.")] = 20,
    project: ProjectOption = None,
    json: JsonOption = False,
    _debug: DebugOption = False,
) -> None:
    """Show rejected lines as they were sent, in landing order."""
    found = _rows(
        project, f"{_chosen(reason, event, since)} order by source, landed_on, file, line, index limit {int(limit)}"
    )
    if json:
        print_json(found)
        return
    if not found:
        out().print(_NONE_LIKE_THAT, soft_wrap=True)
    for row in found:
        place = f"{row['source']}/{row['landed_on']}/{row['file']}:{row['line']}"
        out().print(inert(f"{place}  {', '.join(row['reasons'])}"), soft_wrap=True)
        raw = str(row["raw"])
        out().print(inert("    " + (raw if len(raw) <= _WIDTH else raw[: _WIDTH - 1] + "…")), soft_wrap=True)


@app.command()
def replay(
    reason: ReasonOption = None,
    event: EventOption = None,
    since: SinceOption = None,
    project: ProjectOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Judge rejected lines by today's definitions, then update every table.

    Only the lines that are asked for are judged again; they keep their place in landing order. What nothing changes for
    is not touched. The exports are not needed.
    """
    opened = open_project(project)

    from eventpipe.cli.launch import launch
    from eventpipe.cli.report import RunReport
    from eventpipe.cli.writer import say_that_we_wait, writing
    from eventpipe.intake.replay import Wanted
    from eventpipe.intake.replay import replay as replayed
    from eventpipe.ops import erasures
    from eventpipe.ops.quiet import marker
    from eventpipe.refresh import RunRequest

    say_that_we_wait(opened)
    request = RunRequest(new_run_id())
    with writing(opened, f"{request.run_id} (replay)") as lease:
        tombstones = erasures.tombstones_in(lease.store)
        done = replayed(opened, Wanted(reason, event, since), now(), tombstones=tombstones, quieten=marker(lease, now))
    changed = any(each.changed for each in done)
    outcome = launch(opened, request, lambda _: None, debug=debug) if changed else None
    report = RunReport.of(opened, request.run_id, outcome.landed) if outcome is not None else None
    if json:
        print_json({"replay": _summary(done), "run": report.as_dict() if report else None})
        return
    _tell(done)
    if report is not None:
        report.show()


def _summary(done: list[Replayed]) -> Row:
    return {
        "lines": sum(each.lines for each in done),
        "accepted": sum(each.accepted for each in done),
        "exports": len(done),
        "exports_changed": sum(each.changed for each in done),
    }


def _tell(done: list[Replayed]) -> None:
    told = _summary(done)
    out().print(
        f"Judged {told['lines']:,} rejected lines of {told['exports']:,} exports again: {told['accepted']:,} are accepted, "
        f"{told['exports_changed']:,} exports changed.",
        soft_wrap=True,
    )


def _chosen(reason: str | None, event: str | None, since: date | None) -> str:
    from eventpipe.sql import literal

    parts = ["true"]
    if reason is not None:
        wanted = literal(reason)
        parts.append(f"len(list_filter(reasons, lambda r: r = {wanted} or split_part(r, ':', 1) = {wanted})) > 0")
    if event is not None:
        parts.append(f"event_name = {literal(event)}")
    if since is not None:
        parts.append(f"landed_on >= {literal(since)}::date")
    return f"select * exclude (run_id) from rejected_events where {' and '.join(parts)}"


def _rows(project: str | None, query: str) -> list[Row]:
    from eventpipe.serving.file import execute, open_published

    opened: Project = open_project(project)
    with open_published(opened) as connection:
        result = execute(connection, query)
        columns = [each[0] for each in result.description or []]
        return [dict(zip(columns, row, strict=True)) for row in result.fetchall()]
