"""`eventpipe automations`: what is defined and how it does, why somebody was or was not triggered, what a run would change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eventpipe.cli.options import ContactArgument, DebugOption, JsonOption, ProjectOption, TypeOption, open_project
from eventpipe.cli.terminal import inert, out, print_json, table
from eventpipe.cli.values import moment
from eventpipe.ops.place import is_made

if TYPE_CHECKING:
    import duckdb

    from eventpipe.automations.definitions import Automations
    from eventpipe.automations.grammar import Automation
    from eventpipe.automations.published import PublishedAutomations
    from eventpipe.ops.automations import Activation
    from eventpipe.project.folder import Project

app = typer.Typer(help="Automations: what triggers them, for whom, and why not.", no_args_is_help=False)

_MOST = 50
_STATUSES = ("fired", "waiting", "held", "skipped")


@app.callback()
def automations() -> None:
    """Automations: what triggers them, for whom, and why not."""


@app.command("ls")
def ls(project: ProjectOption = None, json: JsonOption = False, _debug: DebugOption = False) -> None:
    """List the defined automations: since when they are active, their decisions, their deliveries."""
    opened = open_project(project)

    from eventpipe.delivery.deliver import destinations

    active, counts, delivered, _ = _state(opened)
    targets = destinations(opened)
    rows: list[dict[str, Any]] = []
    for each in opened.automations.definitions:
        since = active.get(each.name)
        is_active = since is not None and opened.automations.goes_on(each, since.awaits)
        rows.append(
            {
                "automation": each.name,
                "trigger": each.awaits,
                "active_since": since.as_of if since is not None and is_active else None,
                "rule_version": each.version,
                "decisions": {status: counts.get(each.name, {}).get(status, 0) for status in _STATUSES},
                "deliver": targets[each.name].title if each.name in targets else None,
                "refused": _refused(opened, each),
                "deliveries": delivered.get(each.name, {}),
                "description": each.description,
            }
        )
    if json:
        print_json({"automations": rows})
        return
    if not rows:
        out().print(f"{inert(str(opened.root))} defines no automation. Write one into automations/.", soft_wrap=True)
        return
    cells = [
        (
            row["automation"],
            row["trigger"],
            moment(row["active_since"]) or "from the next run on",
            _counted(row["decisions"]),
            ": ".join(filter(None, (row["deliver"] or "none", _counted(row["deliveries"])))),
        )
        for row in rows
    ]
    out().print(table(("automation", "trigger", "active since (UTC)", "decisions", "deliver to"), cells, whole=(0, 1)))
    for row in rows:
        if row["refused"]:
            out().print(inert(f"{row['automation']}: {row['refused']}"), style="red", soft_wrap=True)


@app.command()
def why(
    name: Annotated[str, typer.Argument(metavar="NAME", help="An automation of automations/*.yml.")],
    identifier: ContactArgument,
    type: TypeOption = None,
    project: ProjectOption = None,
    json: JsonOption = False,
    _debug: DebugOption = False,
) -> None:
    """Say of one contact what the automation decided, newest first, and why; or why it decided nothing."""
    opened = open_project(project)

    from eventpipe.client import find_contact
    from eventpipe.ops import automations as ops
    from eventpipe.ops.store import OpsStore
    from eventpipe.serving.file import PublishedFile

    with _published(opened) as (connection, found):
        automation = found.named(name)
        key = find_contact(PublishedFile(connection), opened, identifier, type)
        ids = found.ids_of(key.contact_id)
        matching = found.of_contact(automation, key.contact_id, _MOST)
    decisions: list[dict[str, Any]] = []
    if is_made(opened.ops):
        with OpsStore.open(opened.ops) as store:
            decisions = ops.decisions_of(store, name, ids, _MOST, [occasion for occasion, _ in matching])
    active, *_ = _state(opened)
    known = {row["occasion"] for row in decisions}
    # A change of membership has an occasion that begins with the segment's name; all of it is in the decisions.
    past = [(occasion, at) for occasion, at in matching if occasion not in known and ":" not in occasion]
    told = _verdict(automation, active.get(name), opened.automations, decisions, matching)
    if json:
        undecided = [{"occasion": occasion, "occurred_at": at} for occasion, at in past]
        print_json(
            {"automation": name, "contact_id": key.contact_id, "says": told, "decisions": decisions, "past": undecided}
        )
        return
    console = out()
    console.print(inert(f"{name}, {key.contact_id}: {told}"), soft_wrap=True)
    if decisions:
        cells = [
            (
                moment(row["occurred_at"]),
                row["status"] if row["status"] != "skipped" else row["reason"],
                "; ".join(filter(None, (_because(row), row["trigger_id"], _delivery(row)))),
            )
            for row in decisions
        ]
        console.print(table(("occurred at (UTC)", "decision", "because"), cells))


@app.command()
def plan(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One automation only.")] = None,
    project: ProjectOption = None,
    json: JsonOption = False,
    _debug: DebugOption = False,
) -> None:
    """After an edit: what the next run activates, changes or ends, and how often the triggers would have qualified."""
    opened = open_project(project)
    active, counts, _, due = _state(opened)
    with _published(opened) as (_, found):
        chosen = [found.named(name)] if name is not None and name not in active else opened.automations.definitions
        rows: list[dict[str, Any]] = [
            {
                "automation": each.name,
                "state": _change(each, active.get(each.name), opened.automations),
                **asdict(found.matches(each)),
                "waiting": counts.get(each.name, {}).get("waiting", 0),
                "next_due": due.get(each.name),
            }
            for each in chosen
            if name in (None, each.name)
        ]
    for gone in sorted(active.keys() - opened.automations.by_name.keys()):
        if name in (None, gone):
            waiting = counts.get(gone, {}).get("waiting", 0)
            rows.append({"automation": gone, "state": "ends", "waiting": waiting, "next_due": due.get(gone)})
    if json:
        print_json({"automations": rows})
        return
    cells = [
        (
            row["automation"],
            row["state"],
            *(f"{row[key]:,}" if key in row else "" for key in ("occasions", "contacts", "last_day", "waiting")),
            moment(row["next_due"]),
        )
        for row in rows
    ]
    columns = ("automation", "state", "in 30 days", "contacts", "in the last day", "waiting", "next judged at (UTC)")
    out().print(table(columns, cells, right=(2, 3, 4, 5), whole=(0,)))
    if any(row["state"] == "new" for row in rows):
        out().print(
            "A new automation begins with the next run: what that run finds is its past and never fires (--fire asks for it).",
            soft_wrap=True,
        )


def _change(automation: Automation, since: Activation | None, automations: Automations) -> str:
    if since is None or not automations.goes_on(automation, since.awaits):
        return "new"
    return "same" if since.rule_version == automation.version else "changed"


def _verdict(
    automation: Automation,
    since: Activation | None,
    automations: Automations,
    decisions: list[dict[str, Any]],
    matching: list[Any],
) -> str:
    if decisions:
        fired = sum(row["status"] == "fired" for row in decisions)
        return f"{len(decisions)} decision{'s' * (len(decisions) != 1)}, {fired} fired."
    if since is None or not automations.goes_on(automation, since.awaits):
        return "the automation is not active yet: the next run activates it, and fires for what comes after that."
    if matching:
        many = "1 thing that it did qualifies" if len(matching) == 1 else f"{len(matching)} things that it did qualify"
        return (
            f"no decision. {many}, but in the automation's past: it was there when the automation became active (as of "
            f"{moment(since.as_of)} UTC), or a backfill or a replay took it in."
        )
    return f"no decision: nothing that this contact did is {automation.awaits!r} as the trigger wants it."


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {status}" for status, count in counts.items() if count)


def _because(row: Mapping[str, Any]) -> str | None:
    return f"judged at {moment(row['due_at'])}" if row["status"] == "waiting" else row["detail"]


def _delivery(row: Mapping[str, Any]) -> str:
    match row["delivery"]:
        case None:
            return ""
        case "pending" if row["attempts"]:
            return f"attempt {row['attempts']} failed ({row['last_error']}), next at {moment(row['next_attempt_at'])}"
        case "pending":
            return "to be delivered"
        case "dead":
            return f"given up after {row['attempts']} attempts ({row['last_error']})"
    return str(row["delivery"])


def _refused(project: Project, automation: Automation) -> str | None:
    """Why nothing can be delivered to its target, as far as the address tells."""
    from eventpipe.automations.grammar import Webhook
    from eventpipe.delivery.targets import TargetRefused, endpoint

    if not isinstance(automation.deliver, Webhook):
        return None
    try:
        endpoint(automation.deliver.webhook, project.settings.deliver.allow_hosts)
    except TargetRefused as error:
        return str(error)
    return None


def _state(project: Project) -> tuple[dict[str, Activation], dict[str, dict[str, int]], dict[str, dict[str, int]], Any]:
    """Active automations, decisions and deliveries by status, and the next due, each by automation."""
    if not is_made(project.ops):  # looking makes nothing
        return {}, {}, {}, {}
    from eventpipe.ops import automations as ops
    from eventpipe.ops import deliveries
    from eventpipe.ops.store import OpsStore

    with OpsStore.open(project.ops) as store:
        return ops.activations(store), ops.counts(store), deliveries.by_automation(store), ops.next_due(store)


@contextmanager
def _published(project: Project) -> Iterator[tuple[duckdb.DuckDBPyConnection, PublishedAutomations]]:
    from eventpipe.automations.published import PublishedAutomations
    from eventpipe.serving.file import as_of_published, explained, open_published

    with open_published(project) as connection, explained():
        yield connection, PublishedAutomations(connection, project.automations, as_of_published(connection))
