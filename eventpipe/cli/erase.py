"""`eventpipe erase`: a person is forgotten, everywhere and for good."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eventpipe.cli.options import (
    DebugOption,
    JsonOption,
    ProjectOption,
    ResumeOption,
    SureOption,
    TypeOption,
    new_run_id,
    now,
    open_project,
)
from eventpipe.cli.terminal import err, inert, out, print_json, table
from eventpipe.cli.values import moment
from eventpipe.errors import EventpipeError, UsageError
from eventpipe.ops.place import is_made
from eventpipe.wording import several

if TYPE_CHECKING:
    from eventpipe.erasure.person import Person
    from eventpipe.ops.erasures import Erasure
    from eventpipe.project.folder import Project

_TOLD = {
    "exports": "exports in the lake written anew",
    "accepted_lines": "accepted lines",
    "rejected_lines": "rejected lines",
    "events_of_others": "events of others that lost an identifier",
    "decisions": "decisions of automations, which name nobody now",
    "triggers": "triggers, which name nobody and carry nothing now",
    "deliveries": "deliveries",
    "delivered_to_files": "triggers in files that were delivered to",
    "memberships": "entries and exits of segments",
    "contact_id_changes": "changes of contact ids",
    "corrections": "entries of identity.yml",
}


def erase(
    identifiers: Annotated[
        list[str] | None,
        typer.Argument(metavar="IDENTIFIER...", help="Of each person an identifier of any type, or a contact_id."),
    ] = None,
    type: TypeOption = None,
    yes: SureOption = False,
    resume: ResumeOption = False,
    receipts: Annotated[bool, typer.Option("--receipts", help="Show what earlier erasures removed.")] = False,
    project: ProjectOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Erase people: lake, rejected lines, tables, history, deliveries. Nothing brings them back, nor fires because of it.

    Shows who it is, asks, and gives a receipt. Several at once cost one rebuild of the tables. The files in the exports folder
    are yours: those that still name them are listed, and what they hold of them does not land again.
    """
    if sum((bool(identifiers), resume, receipts)) != 1:
        raise UsageError("Give identifiers, or --resume, or --receipts.")
    opened = open_project(project)
    if receipts:
        _show_receipts(_recorded(opened), json)
        return
    find: Callable[[], list[Person]] | None = None
    if identifiers:
        if not (yes or sys.stdin.isatty()):
            raise UsageError("erase shows who it would erase and asks. Without a terminal, add --yes.")
        people = _people(opened, identifiers, type)
        for person in () if json and yes else people:
            _show(person)
        if not yes:
            typer.confirm("Erase? Nothing brings back what is erased.", abort=True, err=True)
        find = partial(_the_same, opened, identifiers, type, people)
    done = _erased(opened, find, debug=debug)
    if json:
        print_json({"erasures": [_receipt(each) for each in done]})
    elif not done:
        out().print("There is no unfinished erasure.")
    for erasure in () if json else done:
        _tell(erasure)


def _people(project: Project, identifiers: list[str], type: str | None) -> list[Person]:
    """Who they stand for, each person once."""
    from eventpipe.client import UnknownContact
    from eventpipe.erasure.carried import LakeLines
    from eventpipe.erasure.person import Person
    from eventpipe.serving.reading import reading

    carried = LakeLines(project).sets_with
    with reading(project) as store, store.snapshot():
        try:
            found = [Person.found(store, project, carried, each, type) for each in identifiers]
        except UnknownContact as error:
            if type is not None:
                raise
            raise UnknownContact(
                f"{error} To erase it from rejected lines and keep it from landing all the same, say with --type what it is."
            ) from None
    return list(dict.fromkeys(found))


def _the_same(project: Project, identifiers: list[str], type: str | None, shown: list[Person]) -> list[Person]:
    """Who they stand for now that nobody else writes. Raises EventpipeError where that is not who was shown."""
    people = _people(project, identifiers, type)
    if people != shown:
        raise EventpipeError(
            "What belongs to the person changed while this waited for a run to end. Nothing was done. Start again, and look at who "
            "it is now."
        )
    return people


def _erased(project: Project, find: Callable[[], list[Person]] | None, *, debug: bool) -> list[Erasure]:
    from eventpipe.cli.launch import launch, taken_out
    from eventpipe.cli.writer import say_that_we_wait, writing_alone
    from eventpipe.cluster.session import require
    from eventpipe.erasure.erase import erase as erased
    from eventpipe.ops.store import OpsStore
    from eventpipe.project.folder import load_project

    def publish() -> None:
        with OpsStore.open(project.ops) as store:
            request = taken_out("erase", store)
        changed = load_project(project.root, os.environ)  # identity.yml is another one now
        launch(changed, request, lambda _: None, debug=debug)

    require(project)  # afterwards nothing but the run can be wanting
    say_that_we_wait(project)
    holder = f"{new_run_id()} (erase)"
    return erased(project, find, alone=lambda: writing_alone(project, holder), publish=publish, now=now)


def _recorded(project: Project) -> list[Erasure]:
    from eventpipe.ops import erasures
    from eventpipe.ops.store import OpsStore

    if not is_made(project.ops):  # looking makes nothing
        return []
    with OpsStore.open(project.ops) as store, store.read() as connection:
        return erasures.listed(connection)


def _show(person: Person) -> None:
    """On stderr: what is asked about."""
    who = ", ".join(f"{type} {value}" for type, value in person.identifiers) or "nothing of its own"
    if person.contact_ids:
        err().print(
            inert(f"One contact with {several(len(person.event_ids), 'event')}, known by {who}."), soft_wrap=True
        )
    else:
        err().print(inert(f"No contact is known by {who}: deleted or rejected lines may have it."), soft_wrap=True)


def _tell(erasure: Erasure) -> None:
    receipt = dict(erasure.receipt)
    out().print(f"Erasure {erasure.removal_id}, asked for at {moment(erasure.requested_at)} UTC, is done.")
    rows = [(told, f"{receipt[name]:,}") for name, told in _TOLD.items() if receipt.get(name)]
    if rows:
        out().print("Removed:")
        out().print(table(("", ""), rows, right=(1,)))
    else:
        out().print("Nothing was there to be removed. What names it later will not land either.", soft_wrap=True)
    if exports := receipt.get("still_in_exports"):
        out().print("These files in the exports folder still name them; delete those lines there:", soft_wrap=True)
        for each in exports:
            out().print(inert(f"    {each}"), soft_wrap=True)
    if files := receipt.get("named_in"):
        out().print(inert(f"So do these, which are yours to change: {', '.join(files)}."), soft_wrap=True)


def _receipt(erasure: Erasure) -> dict[str, Any]:
    return {
        "erasure_id": erasure.removal_id,
        "requested_at": erasure.requested_at,
        "ended_at": erasure.ended_at,
        "receipt": dict(erasure.receipt),
    }


def _show_receipts(done: list[Erasure], json: bool) -> None:
    if json:
        print_json({"erasures": [_receipt(each) for each in done]})
    elif not done:
        out().print("Nobody was erased.")
    else:
        rows = []
        for each in done:
            lines = sum(each.receipt.get(name, 0) for name in ("accepted_lines", "rejected_lines"))
            ended = "has not ended: --resume" if each.ended_at is None else moment(each.ended_at)
            rows.append((each.removal_id, moment(each.requested_at), ended, f"{lines:,}"))
        out().print(table(("erasure", "asked for (UTC)", "ended (UTC)", "lines"), rows, right=(3,), whole=(0,)))
