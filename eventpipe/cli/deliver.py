"""`eventpipe deliver` and `eventpipe deliveries`: sending what is due, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eventpipe.cli.options import DebugOption, JsonOption, ProjectOption, now, open_project
from eventpipe.cli.terminal import inert, out, print_json, table
from eventpipe.cli.values import moment, plain
from eventpipe.errors import UsageError
from eventpipe.ops.place import is_made
from eventpipe.wording import several

if TYPE_CHECKING:
    from eventpipe.project.folder import Project

app = typer.Typer(help="Deliveries: what was sent, what is to be, what failed.", no_args_is_help=False)

_REPLAY_WAIT = timedelta(minutes=2)


def deliver(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be sent where, and send nothing.")
    ] = False,
    project: ProjectOption = None,
    json: JsonOption = False,
    _debug: DebugOption = False,
) -> None:
    """Send every trigger that is due to its target. What fails is tried again later, ten times in about 75 hours."""
    opened = open_project(project)
    from eventpipe.delivery.deliver import deliver as delivered
    from eventpipe.delivery.deliver import destinations
    from eventpipe.ops import deliveries as ops
    from eventpipe.ops.store import OpsStore

    targets = destinations(opened)
    if not is_made(opened.ops):  # looking makes nothing, and nothing was ever triggered
        _show_due([], {}, json=json)
        return
    with OpsStore.open(opened.ops) as store:
        if dry_run:
            found = ops.due_now(store, now(), targets)
            _show_due(found, {name: each.title for name, each in targets.items()}, json=json)
            return
        done = delivered(opened, store, now)
        left = ops.backlog(store, now(), targets)
    if json:
        print_json({**asdict(done), "left": asdict(left)})
        return
    console = out()
    if not done.by_target:
        console.print("Nothing was due.")
    for title, counts in sorted(done.by_target.items()):
        console.print(
            inert(f"{title}: {counts['delivered']:,} delivered, {counts['failed']:,} failed."), soft_wrap=True
        )
    if left.pending or left.dead:
        console.print(
            f"{left.pending:,} are still to be delivered, {left.dead:,} are dead: eventpipe deliveries ls.",
            soft_wrap=True,
        )


@app.callback()
def deliveries() -> None:
    """Deliveries: what was sent, what is to be, what failed."""


@app.command("ls")
def ls(
    status: Annotated[str | None, typer.Option("--status", help="Only those: pending, delivered or dead.")] = None,
    automation: Annotated[str | None, typer.Option("--automation", help="Only those of one automation.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="The last so many.")] = 50,
    project: ProjectOption = None,
    json: JsonOption = False,
    _debug: DebugOption = False,
) -> None:
    """List deliveries, newest first."""
    opened = open_project(project)

    from eventpipe.ops import deliveries as ops
    from eventpipe.ops.store import OpsStore

    wanted = next((each for each in ops.STATUSES if each == status), None)
    if status is not None and wanted is None:
        raise UsageError(f"A delivery is never {status!r}: take one of {', '.join(ops.STATUSES)}.")
    rows: list[dict[str, Any]] = []
    if is_made(opened.ops):  # looking makes nothing
        with OpsStore.open(opened.ops) as store:
            rows = ops.listed(store, status=wanted, automation=automation, limit=limit)
    if json:
        print_json({"deliveries": rows})
    elif rows:
        cells = [(row["trigger_id"], row["automation"], _fate(row)) for row in rows]
        out().print(table(("trigger", "automation", "what became of it"), cells, whole=(0,)))
    elif status is None and automation is None:
        out().print("There are no deliveries yet: no automation has fired.")
    else:
        out().print("There is no such delivery.")


@app.command()
def show(
    trigger_id: Annotated[str, typer.Argument(metavar="ID", help="The trigger's id, which is also the webhook-id.")],
    project: ProjectOption = None,
    json: JsonOption = False,
    _debug: DebugOption = False,
) -> None:
    """Show one delivery: what it carries, and every attempt."""
    opened = _with_store(project)

    from eventpipe.ops import deliveries as ops
    from eventpipe.ops.store import OpsStore

    with OpsStore.open(opened.ops) as store:
        delivery, attempts = ops.shown(store, trigger_id)
    if json:
        print_json({**delivery, "tried": attempts})
        return
    console = out()
    told = ("automation", "contact_id", "occasion", "occurred_at", "fired_at", "title", "status", "attempts")
    names = {
        "occurred_at": "occurred at (UTC)",
        "fired_at": "fired at (UTC)",
        "contact_id": "contact",
        "title": "deliver to",
    }
    rows = [(names.get(key, key), _shown(delivery[key])) for key in told]
    rows += [("next attempt (UTC)", moment(delivery["next_attempt_at"]))] if delivery["status"] == "pending" else []
    rows += [("trouble", trouble)] if (trouble := _trouble(delivery)) else []
    rows += [("payload", delivery["payload"])]
    console.print(table(("", ""), rows))
    if attempts:
        cells = [
            (
                str(each["attempt"]),
                moment(each["attempted_at"]),
                f"{each['seconds']:.2f}",
                _shown(each["status_code"]),
                each["error"] or "delivered",
            )
            for each in attempts
        ]
        console.print(table(("attempt", "at (UTC)", "seconds", "answer", "outcome"), cells, right=(0, 2)))


@app.command()
def replay(
    trigger_ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of triggers.")],
    project: ProjectOption = None,
    json: JsonOption = False,
    _debug: DebugOption = False,
) -> None:
    """Make deliveries due again, dead ones and delivered ones; a target that had disabled itself is tried again."""
    opened = _with_store(project)

    from eventpipe.delivery.deliver import delivering
    from eventpipe.ops import deliveries as ops
    from eventpipe.ops.store import OpsStore

    with (
        OpsStore.open(opened.ops) as store,
        delivering(store, now, _REPLAY_WAIT) as lease,
        lease.begin() as connection,
    ):
        for each in trigger_ids:
            ops.replay(connection, lease, each, now=now())
    if json:
        print_json({"replayed": trigger_ids})
    else:
        out().print(
            f"Due again, under the old ids: {several(len(trigger_ids), 'trigger')}. Send them: eventpipe deliver.",
            soft_wrap=True,
        )


def _with_store(project: str | None) -> Project:
    opened = open_project(project)
    if not is_made(opened.ops):
        raise UsageError("Nothing was ever triggered in this project: there are no deliveries.")
    return opened


def _shown(value: object) -> str:
    return moment(value) if isinstance(value, datetime) else plain(value)


def _fate(row: Mapping[str, Any]) -> str:
    """A delivery in one sentence."""
    target, attempts = row["title"] or "its target", row["attempts"]
    match row["status"]:
        case "delivered":
            tries = f", at attempt {attempts}" if attempts > 1 else ""
            return f"delivered to {target} at {moment(row['ended_at'])}{tries}"
        case "dead":
            return f"dead after {attempts} attempts at {target}: {row['last_error']}"
    if row["disabled_at"] is not None:
        return f"pending: {_trouble(row)}"
    due = f"attempt {attempts + 1} at {target} is due at {moment(row['next_attempt_at'])}"
    return f"pending: {row['last_error']}; {due}" if row["last_error"] else f"pending: {due}"


def _trouble(row: Mapping[str, Any]) -> str:
    if row["disabled_at"] is not None and row["status"] == "pending":
        return (
            f"{row['title']} said that it is gone for good (410) at {moment(row['disabled_at'])}: replay tries it again"
        )
    return str(row["last_error"] or "")


def _show_due(found: list[dict[str, Any]], titles: Mapping[str, str], *, json: bool) -> None:
    rows = [{**row, "deliver_to": titles[row["automation"]]} for row in found]
    if json:
        print_json({"due": rows})
    elif rows:
        cells = [(row["automation"], row["deliver_to"], f"{row['due']:,}", moment(row["oldest"])) for row in rows]
        out().print(table(("automation", "deliver to", "due", "oldest fired at (UTC)"), cells, right=(2,)))
    else:
        out().print("Nothing is due.")
