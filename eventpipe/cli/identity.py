"""`eventpipe identity`: why identifiers are or are not one contact's, and corrections of that.

`explain` and `plan` read the published tables, so they never wait for a run. `block` and `unlink` add to identity.yml.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from eventpipe.cli.options import DebugOption, JsonOption, ProjectOption, open_project
from eventpipe.cli.terminal import inert, out, print_json, table
from eventpipe.cli.values import plain

if TYPE_CHECKING:
    import duckdb

    from eventpipe.identity.explain import Explanation, Identifier, Step
    from eventpipe.identity.plan import Planned
    from eventpipe.project.folder import Project

app = typer.Typer(help="Who is who: why, and corrections.", no_args_is_help=False)

_NEXT = "`eventpipe identity plan` shows what that changes; the next `eventpipe run` applies it."

IdentifierArgument = Annotated[
    str,
    typer.Argument(metavar="IDENTIFIER", help="An identifier; its type may stand before it: email:ada@example.com."),
]


@app.callback()
def identity() -> None:
    """Who is who: why, and corrections."""


@app.command()
def explain(
    one: IdentifierArgument,
    other: IdentifierArgument,
    project: ProjectOption = None,
    json: JsonOption = False,
    _debug: DebugOption = False,
) -> None:
    """Show the chain of events that ties two identifiers, or what keeps them apart."""
    opened = open_project(project)

    from eventpipe.identity.explain import explain as explained
    from eventpipe.identity.rules import Rules
    from eventpipe.serving.file import open_published

    with open_published(opened) as connection:
        left, right = _pair(connection, opened, one, other)
        explanation = explained(connection, Rules.of(opened), left, right)
    if json:
        print_json(asdict(explanation))
    else:
        _show(explanation)


@app.command()
def block(
    value: Annotated[str, typer.Argument(metavar="VALUE", help="What must link nobody and make no contact.")],
    project: ProjectOption = None,
    json: JsonOption = False,
    _debug: DebugOption = False,
) -> None:
    """Make a value link nobody, also in the past."""
    opened = open_project(project)

    from eventpipe.project.corrections import FILE, add_correction

    added = add_correction(opened.root, "block", value)
    if json:
        print_json({"file": FILE, "block": value, "added": added})
    elif added:
        out().print(inert(f"{value} is blocked in {FILE}. ") + _NEXT, soft_wrap=True)
    else:
        out().print(inert(f"{value} is blocked in {FILE} already."), soft_wrap=True)


@app.command()
def unlink(
    one: IdentifierArgument,
    other: IdentifierArgument,
    project: ProjectOption = None,
    json: JsonOption = False,
    _debug: DebugOption = False,
) -> None:
    """Keep two identifiers on two contacts, also in the past."""
    opened = open_project(project)

    from eventpipe.errors import UsageError
    from eventpipe.project.corrections import FILE, add_correction
    from eventpipe.serving.file import open_published

    with open_published(opened) as connection:
        left, right = _pair(connection, opened, one, other)
    if (left.type, left.value) == (right.type, right.value):
        raise UsageError(f"{one!r} and {other!r} are one identifier: nothing can be unlinked from itself.")
    entry = (f"{left.type}:{left.value}", f"{right.type}:{right.value}")
    added = add_correction(opened.root, "unlink", entry)
    if json:
        print_json({"file": FILE, "unlink": list(entry), "added": added})
    elif added:
        out().print(inert(f"{entry[0]} and {entry[1]} are unlinked in {FILE}. ") + _NEXT, soft_wrap=True)
    else:
        out().print(inert(f"{entry[0]} and {entry[1]} are unlinked in {FILE} already."), soft_wrap=True)


@app.command()
def plan(
    limit: Annotated[int, typer.Option(min=0, help="Changes listed at most.")] = 50,
    project: ProjectOption = None,
    json: JsonOption = False,
    _debug: DebugOption = False,
) -> None:
    """Show which contacts would merge, split or change under the configuration as edited. Changes nothing."""
    opened = open_project(project)

    from eventpipe.identity.plan import plan as planned
    from eventpipe.serving.file import open_published

    open_published(opened).close()  # says it where nothing is published yet
    found = planned(opened, limit)
    if json:
        print_json(asdict(found))
    else:
        _show_plan(found)


def _pair(
    connection: duckdb.DuckDBPyConnection, project: Project, one: str, other: str
) -> tuple[Identifier, Identifier]:
    """Both identifiers, in one workspace if they are. Raises UnknownContact where nobody or several can be meant."""
    from eventpipe.client import UnknownContact, nobody
    from eventpipe.identity.explain import carried, is_blocked
    from eventpipe.identity.meant import meant
    from eventpipe.identity.rules import Rules
    from eventpipe.project.corrections import split_type
    from eventpipe.serving.file import PublishedFile

    found = []
    for written, candidates in zip((one, other), meant(project, [one, other]), strict=True):
        carrying = carried(connection, candidates)
        if not carrying:
            type, value = split_type(written, project.settings.identity.names)
            if is_blocked(connection, candidates, Rules.of(project)):
                raise UnknownContact(
                    f"{written!r} is blocked: it links nobody, makes no contact, and is not looked for."
                )
            raise UnknownContact(nobody(PublishedFile(connection), value, type, project.settings.identity.names))
        types = list(dict.fromkeys(each.type for each in carrying))
        if len(types) > 1:
            listed = " or ".join(f"{type}:{carrying[0].value}" for type in types)
            raise UnknownContact(f"{written!r} is carried as more than one type: write {listed}.")
        found.append(carrying)
    left, right = found
    return next(((a, b) for a in left for b in right if a.workspace_id == b.workspace_id), (left[0], right[0]))


def _show(explanation: Explanation) -> None:
    console = out()
    one, other = explanation.one, explanation.other
    if explanation.verdict == "linked":
        console.print(inert(f"{_named(one)} and {_named(other)} are one contact: {one.contact_id}."), soft_wrap=True)
        rows = [_cells(step)[:4] for step in explanation.chain]
        if rows:
            console.print(table(("from", "to", "first tied at", "by event"), rows))
        return
    console.print(inert(f"{_named(one)} and {_named(other)} are not one contact."), soft_wrap=True)
    for each in (one, other):
        contact = f"is on contact {each.contact_id}" if each.contact_id else "is on no contact"
        console.print(inert(f"{_named(each)} {contact}, in workspace {each.workspace_id}."), soft_wrap=True)
    for step in explanation.reasons:
        if step.event_id is None:
            console.print(inert(_sentence(step)), soft_wrap=True)
    refused = [_cells(step) for step in explanation.reasons if step.event_id is not None]
    if refused:
        console.print("Their contacts were kept apart by refused ties:", soft_wrap=True)
        console.print(table(("between", "and", "first at", "by event", "rule"), refused))


def _sentence(step: Step) -> str:
    name = ":".join(step.left)
    return {
        "blocked": f"{name} is blocked: it links nobody and makes no contact.",
        "shared": f"{name} is shared: it is seen with too many identifiers of a stronger type, and links nobody.",
        "workspace": "They are in different workspaces, which never meet.",
    }.get(step.rule or "", "No event ties them, neither directly nor through others.")


def _cells(step: Step) -> list[str]:
    return [":".join(step.left), ":".join(step.right), plain(step.occurred_at), plain(step.event_id), plain(step.rule)]


def _named(identifier: Identifier) -> str:
    return f"{identifier.type}:{identifier.value}"


def _show_plan(planned: Planned) -> None:
    console = out()
    counts = planned.counts
    console.print(f"Contacts: {planned.contacts_before:,} now, {planned.contacts_after:,} then.", soft_wrap=True)
    if not counts:
        console.print("Nothing would change.", soft_wrap=True)
        return
    console.print(
        ", ".join(f"{counts.get(kind, 0):,} {kind}" for kind in ("merge", "split", "change")) + ".", soft_wrap=True
    )
    rows = [
        [
            each.change,
            each.from_contact_id,
            each.into_contact_id or "(no contact)",
            plain(each.customer_id or ""),
            plain(each.email or ""),
        ]
        for each in planned.changes
    ]
    console.print(table(("change", "contact", "into", "customer_id", "email"), rows))
    if len(rows) < sum(counts.values()):
        console.print(f"The first {len(rows)} of {sum(counts.values()):,}; --limit N shows N.", soft_wrap=True)
