"""Which identifiers stand together on lines of the lake."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from eventpipe.engine import in_memory
from eventpipe.erasure.person import Identifier
from eventpipe.identity.rules import Rules
from eventpipe.intake.lake import Lake, parquet
from eventpipe.project.folder import Project
from eventpipe.sql import literal

_BATCH = 10_000


class LakeLines:
    """All lines of the lake, accepted or rejected. What the project blocks is left out: it says of nobody who they are."""

    def __init__(self, project: Project) -> None:
        lake = Lake(project.lake)
        self._rows = [path for each in lake.manifests() if (path := lake.data_path(each)) is not None]
        self._project = project
        self._rules = Rules.of(project)

    def sets_with(self, world: str, identifiers: Iterable[Identifier]) -> Iterator[tuple[Identifier, ...]]:
        """The identifier sets of a workspace that hold any of these, each strongest first."""
        wanted = ", ".join(f"[{literal(type)}, {literal(value)}]" for type, value in sorted(identifiers))
        if not self._rows or not wanted:
            return
        with in_memory(self._project) as connection:
            found = connection.execute(
                f"select distinct identifiers from {parquet(self._rows)} where workspace_id = {literal(world)}"
                f""" and list_has_any(from_json(identifiers, '[["VARCHAR"]]'), [{wanted}])"""
            )
            while rows := found.fetchmany(_BATCH):
                for (text,) in rows:
                    pairs = ((str(type), str(value)) for type, value in json.loads(text))
                    yield tuple(pair for pair in pairs if not self._rules.is_blocked(pair[1]))
