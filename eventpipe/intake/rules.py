"""What decides how lines are judged, as one hash: equal hashes, equal rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Final

from eventpipe.intake.lake import Manifest
from eventpipe.project.folder import Project

# Raise it when the same export and configuration would give other rows.
INTAKE_VERSION: Final = "9"


def judged_otherwise(project: Project, manifests: Iterable[Manifest]) -> Iterator[Manifest]:
    """Those of configured sources that today's definitions, settings or eventpipe have not judged."""
    today = {name: judged_by(project, name) for name in project.profiles}
    return (each for each in manifests if each.judged_by != today.get(each.source, each.judged_by))


def judged_by(project: Project, source: str) -> str:
    """The hash for this source, which must be configured: 12 hexadecimal digits."""
    settings = project.settings
    content = [
        INTAKE_VERSION,
        settings.workspace,
        settings.currency,
        settings.earliest.isoformat(),
        settings.identity.names,
        settings.limits.model_dump(mode="json"),
        repr(project.profiles[source]),
        project.registry.version,
    ]
    return hashlib.sha256(json.dumps(content, default=str).encode()).hexdigest()[:12]
