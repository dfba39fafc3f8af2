"""Erasing somebody from all that eventpipe keeps: what a recorded erasure takes out, place by place (spec 5, promise 6).

    record     tombstones; from here on nothing of the person lands, and no other run begins
    take out   lake, working database, Data Docs, files of triggers, identity.yml, ops store
    publish    a run rebuilds the tables from what is left
    make room  the server and the ops store write their files anew, so that the bytes are gone too

Each step finds nothing to do where it was done before: an erasure that was cut short is begun again from the first.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path

from eventpipe.audit.audit import DOCS
from eventpipe.automations.grammar import FileTarget
from eventpipe.erasure.person import Person
from eventpipe.failpoints import reach
from eventpipe.identity.meant import meant
from eventpipe.intake.erased import Forgetting
from eventpipe.intake.lake import Lake, Manifest
from eventpipe.ops import erasures
from eventpipe.ops.erasures import Erasure
from eventpipe.ops.lease import Lease
from eventpipe.project.corrections import FILE, remove_corrections
from eventpipe.project.folder import Project
from eventpipe.serving.postgres.server import Server

_DEFINITIONS = ("*.yml", "*.yaml", "*/*.yml", "*/*.yaml")


def erase(
    project: Project,
    person: Person | None,
    *,
    alone: Callable[[], AbstractContextManager[Lease]],
    publish: Callable[[], object],
    now: Callable[[], datetime],
) -> list[Erasure]:
    """All steps, of this person's erasure and of every other that was begun and has not ended; as they are recorded then.

    `alone` gives the lease of who writes while nobody delivers either; `publish` is the run, which takes that lease itself.
    Errors: what the run raises, and `StageFailed` or `OpsStoreError` where who reads does not let files be written anew.
    """
    with alone() as lease:
        if person is not None:
            with lease.begin() as connection:
                erasures.begin(connection, lease, person, now=now())
            reach("erase.recorded")
        begun = _unfinished(lease)
        for erasure in begun:
            if erasure.person is not None:
                _take_out(project, lease, erasure.erasure_id, erasure.person)
        reach("erase.taken_out")
    if any(erasure.person is not None for erasure in begun):
        publish()
        reach("erase.published")
    with alone() as lease:
        ids = [erasure.erasure_id for erasure in begun]
        _make_room(project, lease, ids, now)
        with lease.store.read() as connection:
            return [each for each in erasures.listed(connection) if each.erasure_id in ids]


def _unfinished(lease: Lease) -> list[Erasure]:
    with lease.store.read() as connection:
        return erasures.listed(connection, unfinished=True)


def _take_out(project: Project, lease: Lease, erasure_id: str, person: Person) -> None:
    """Takes somebody out of everything but the published tables."""

    def note(counts: dict[str, object]) -> None:
        with lease.begin() as connection:
            erasures.note(connection, lease, erasure_id, counts)

    _clean_lake(project, lease, note)
    for path in (project.warehouse, project.warehouse.with_name(f"{project.warehouse.name}.wal")):
        path.unlink(missing_ok=True)
    _clear_state(project)
    note({"delivered_to_files": _clean_outboxes(project, person)})
    note({"corrections": _clean_corrections(project, person), "named_in": _named_in(project, person)})
    with lease.begin() as connection:
        erasures.note(connection, lease, erasure_id, erasures.forget(connection, lease, person))


def _make_room(project: Project, lease: Lease, erasure_ids: list[str], now: Callable[[], datetime]) -> None:
    """Forgets whom the erasures were about, and has every file written anew that still has their bytes."""
    if not erasure_ids:
        return
    with lease.begin() as connection:
        erasures.let_go(connection, lease, erasure_ids)
    server = Server.of(project.settings.serving)
    if server is not None:
        from eventpipe.serving.postgres.compact import compact  # late: who serves from a file needs no driver

        compact(server)
    lease.store.compact()
    with lease.begin() as connection:
        erasures.end(connection, lease, erasure_ids, now=now())


def _clean_lake(project: Project, lease: Lease, note: Callable[[dict[str, object]], None]) -> None:
    lake = Lake(project.lake)
    lake.sweep()
    with lease.store.read() as connection:
        forgetting = Forgetting(project, erasures.tombstones_of(connection))
    there: list[str] = []
    for manifest in lake.manifests():
        rows = lake.data_path(manifest)
        erased = None if rows is None else forgetting.rewritten(rows)
        if erased is None:
            continue
        lake.commit(erased.of(manifest), erased.path)
        note(
            {
                "exports": 1,
                "accepted_lines": erased.accepted,
                "rejected_lines": erased.rejected,
                "events_of_others": erased.stripped,
            }
        )
        there += [str(manifest.key)] if _lies_in_exports(project, manifest) else []
    if there:
        note({"still_in_exports": there})


def _lies_in_exports(project: Project, manifest: Manifest) -> bool:
    return (project.exports / manifest.source / manifest.landed_on.isoformat() / manifest.file).exists()


def _clear_state(project: Project) -> None:
    """What tools keep beside the tables and write anew: what spilled from memory, the pages on the last audit."""
    for folder in (*project.state.glob("*.tmp"), project.state / DOCS):
        if folder.is_dir():
            shutil.rmtree(folder)
        else:
            folder.unlink(missing_ok=True)


def _clean_outboxes(project: Project, person: Person) -> int:
    """Takes a person's triggers out of the files that were delivered to; how many there were."""
    folders = {
        (project.root / each.deliver.file).resolve()
        for each in project.automations.definitions
        if isinstance(each.deliver, FileTarget)
    }
    removed = 0
    for path in (path for folder in sorted(folders) for path in sorted(folder.glob("*.jsonl"))):
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if json.loads(line)["contact_id"] not in person.contact_ids]
        if len(kept) < len(lines):
            removed += len(lines) - len(kept)
            _replace(path, "".join(kept))
    return removed


def _replace(path: Path, text: str) -> None:
    """Another content for a file, whole or not at all; none is no file."""
    if not text:
        path.unlink()
        return
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _clean_corrections(project: Project, person: Person) -> int:
    """Takes corrections out of identity.yml that are about a person; how many there were."""
    theirs = set(person.identifiers)

    def is_theirs(entries: list[str]) -> list[bool]:
        return [bool(theirs.intersection(each)) for each in meant(project, entries)]

    return remove_corrections(project.root, is_theirs)


def _named_in(project: Project, person: Person) -> list[str]:
    """Files of the project that its people wrote and that name an address or a phone number of the person."""
    values = [value.casefold() for type, value in person.identifiers if type in ("email", "phone")]
    return sorted(
        str(path.relative_to(project.root))
        for path in _definitions(project.root)
        if path.name != FILE
        and any(value in path.read_text(encoding="utf-8", errors="replace").casefold() for value in values)
    )


def _definitions(root: Path) -> Iterator[Path]:
    for pattern in _DEFINITIONS:
        yield from root.glob(pattern)
