"""What decides how lines are judged, as one hash: equal hashes, equal rows."""

from __future__ import annotations

import hashlib
import json
from typing import Final

from eventpipe.project.folder import Project

# Raise it when the same export and configuration would give other rows.
INTAKE_VERSION: Final = "8"


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
