"""Erasing somebody from all that eventpipe keeps: what a recorded erasure takes out, place by place.

    record     tombstones; from here on nothing of the person lands, and no other run begins
    take out   lake, working database, Data Docs, files of triggers, identity.yml, ops store
    publish    a run rebuilds the tables from what is left
    make room  the server and the ops store write their files anew, so that the bytes are gone too

Each step finds nothing to do where it was done before: an erasure that was cut short is begun again from the first.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path

from eventpipe.erasure.carried import LakeLines
from eventpipe.erasure.person import Person
from eventpipe.erasure.tombstones import SHORTEST_WORD
from eventpipe.failpoints import reach
from eventpipe.files import write_whole
from eventpipe.identity.explain import Identifier, is_shared
from eventpipe.identity.meant import meant
from eventpipe.identity.rules import Rules
from eventpipe.intake.erased import Forgetting
from eventpipe.intake.lake import Lake
from eventpipe.ops import erasures, removals
from eventpipe.ops.deliveries import delivered_folders
from eventpipe.ops.erasures import Erasure
from eventpipe.ops.lease import Lease
from eventpipe.project.corrections import add_correction, remove_corrections
from eventpipe.project.folder import Project
from eventpipe.serving.file import open_published
from eventpipe.serving.postgres.server import Server
from eventpipe.serving.unpublished import refuse_unpublished

_KEPT_STATE = ("dagster", "dbt")
_DEFINITIONS = ("*.yml", "*.yaml", "*/*.yml", "*/*.yaml")


def erase(
    project: Project,
    find: Callable[[], Sequence[Person]] | None,
    *,
    alone: Callable[[], AbstractContextManager[Lease]],
    publish: Callable[[], object],
    now: Callable[[], datetime],
) -> list[Erasure]:
    """All steps, of the erasure of people who are found, or without `find` of those that were begun and have not ended; as they
    are recorded then.

    `find` is asked while nobody else writes; `alone` gives the lease of who writes while nobody delivers either; `publish` is the
    run, which takes that lease itself. Errors: what `find` and the run raise, `EventpipeError` where something has not ended or is
    not published, `StageFailed` or `OpsStoreError` where who reads does not let files be written anew.
    """
    with alone() as lease:
        if find is not None:
            with lease.store.read() as connection:
                removals.refuse_while_unfinished(connection)
            refuse_unpublished(project)
            people = find()
            _keep_shared(project, people)
            with lease.begin() as connection:
                erasures.begin(connection, lease, people, now=now())
            reach("erase.recorded")
        begun = _unfinished(lease)
        for erasure in begun:
            if erasure.people:
                _take_out(project, lease, erasure)
        reach("erase.taken_out")
    if any(erasure.people for erasure in begun):
        publish()
        reach("erase.published")
    with alone() as lease:
        ids = [erasure.removal_id for erasure in begun]
        _make_room(project, lease, ids, now)
        with lease.store.read() as connection:
            return [each for each in erasures.listed(connection) if each.removal_id in ids]


def _keep_shared(project: Project, people: Sequence[Person]) -> None:
    """What is shared by too many to tie anybody stays shared, though they become fewer: writes it into identity.yml."""
    lines, rules = LakeLines(project), Rules.of(project)
    with open_published(project) as published:
        for person in people:
            found = lines.sets_with(person.workspace_id, person.identifiers)
            for kind, value in sorted({each for one in found for each in one} - {*person.identifiers, *rules.shared}):
                beside = Identifier(person.workspace_id, kind, value, None)
                if is_shared(published, rules, beside, (kind, value)):
                    add_correction(project.root, "shared", f"{kind}:{value}")


def _unfinished(lease: Lease) -> list[Erasure]:
    with lease.store.read() as connection:
        return erasures.listed(connection, unfinished=True)


def _take_out(project: Project, lease: Lease, erasure: Erasure) -> None:
    """Takes people out of everything but the published tables."""

    def note(counts: dict[str, object]) -> None:
        with lease.begin() as connection:
            removals.note(connection, lease, erasure.removal_id, counts)

    _clean_lake(project, lease, erasure, note)
    for path in (project.warehouse, project.warehouse.with_name(f"{project.warehouse.name}.wal")):
        path.unlink(missing_ok=True)
    _clear_state(project)
    note({"delivered_to_files": _clean_outboxes(project, lease, erasure.people)})
    note({"corrections": _clean_corrections(project, erasure.people), "named_in": _named_in(project, erasure.people)})
    for person in erasure.people:
        with lease.begin() as connection:
            removals.note(connection, lease, erasure.removal_id, erasures.forget(connection, lease, person))


def _make_room(project: Project, lease: Lease, removal_ids: list[str], now: Callable[[], datetime]) -> None:
    """Forgets whom the erasures were about, and has every file written anew that still has their bytes."""
    if not removal_ids:
        return
    with lease.begin() as connection:
        removals.let_go(connection, lease, removal_ids)
    server = Server.of(project.settings.serving)
    if server is not None:
        from eventpipe.serving.postgres.compact import compact  # late: who serves from a file needs no driver

        compact(server)
    lease.store.compact()
    with lease.begin() as connection:
        removals.end(connection, lease, removal_ids, now=now())


def _clean_lake(project: Project, lease: Lease, erasure: Erasure, note: Callable[[dict[str, object]], None]) -> None:
    lake = Lake(project.lake)
    lake.sweep()
    forgetting = Forgetting(project, erasures.tombstones_in(lease.store))
    there = set(erasure.receipt.get("still_in_exports", ()))
    for manifest in lake.manifests():
        rows = lake.data_path(manifest)
        erased = None if rows is None else forgetting.rewritten(rows)
        if erased is None:
            continue
        if (project.exports / str(manifest.key)).exists():
            there.add(str(manifest.key))
            note({"still_in_exports": sorted(there)})
        lake.commit(erased.of(manifest), erased.path)
        note(
            {
                "exports": 1,
                "accepted_lines": erased.accepted,
                "rejected_lines": erased.rejected,
                "events_of_others": erased.stripped,
            }
        )


def _clear_state(project: Project) -> None:
    """What tools keep beside the tables and write anew: pages on the last audit, what spilled from memory or was left by the
    killed. Dagster's record and dbt's target hold nothing of a person."""
    for path in project.state.glob("*"):
        if path.is_dir() and path.name not in _KEPT_STATE:
            shutil.rmtree(path)
        elif not path.is_dir():
            path.unlink()


def _clean_outboxes(project: Project, lease: Lease, people: Sequence[Person]) -> int:
    """Takes people's triggers out of the files that were ever delivered to; how many there were. Files of others in those folders
    stay as they are."""
    theirs = {each for person in people for each in person.contact_ids}
    with lease.store.read() as connection:
        folders = {(project.root / each).resolve() for each in delivered_folders(connection)}
    removed = 0
    for folder in sorted(each for each in folders if each.is_dir()):
        for left in folder.glob(".*.jsonl.tmp"):
            left.unlink()
        for path in sorted(folder.glob("*.jsonl")):
            lines = path.read_bytes().splitlines(keepends=True)
            kept = [line for line in lines if _contact_of(line) not in theirs]
            if len(kept) < len(lines):
                removed += len(lines) - len(kept)
                _replace(path, b"".join(kept))
    return removed


def _contact_of(line: bytes) -> str | None:
    """Whom a line is about that was delivered; None of any other."""
    try:
        said = json.loads(line)
    except ValueError:
        return None
    found = said.get("contact_id") if isinstance(said, dict) else None
    return found if isinstance(found, str) else None


def _replace(path: Path, content: bytes) -> None:
    """Another content for a file, whole or not at all; none is no file."""
    if not content:
        path.unlink()
        return
    write_whole(path, content)


def _clean_corrections(project: Project, people: Sequence[Person]) -> int:
    """Takes corrections out of identity.yml that are about people; how many there were."""
    theirs = {each for person in people for each in person.identifiers}

    def is_theirs(entries: list[str]) -> list[bool]:
        return [bool(theirs.intersection(each)) for each in meant(project, entries)]

    return remove_corrections(project.root, is_theirs)


def _named_in(project: Project, people: Sequence[Person]) -> list[str]:
    """What is not rewritten and names people: files that the project's team wrote, names of exports and of their columns."""
    named = [each for person in people for each in person.identifiers]
    values = [value.casefold() for type, value in named if type in ("email", "phone") or len(value) >= SHORTEST_WORD]

    def names(text: str) -> bool:
        return any(value in text.casefold() for value in values)

    files = (path for pattern in _DEFINITIONS for path in project.root.glob(pattern))
    written = {
        str(path.relative_to(project.root))
        for path in files
        if names(path.read_text(encoding="utf-8", errors="replace"))
    }
    landed = {
        f"lake/{each.key}" for each in Lake(project.lake).manifests() if names(" ".join((each.file, *each.columns)))
    }
    return sorted(written | landed)
