"""A world in which automations are active already."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from eventpipe_tests.automations.world import Make, World


@pytest.fixture
def world(tmp_path: Path) -> Make:
    def make(*automations: dict[str, Any]) -> World:
        made = World(tmp_path, list(automations))
        made.put("checkout", "past", 0)
        made.put("order", "past", 0)
        made.run(0)  # activates
        return made

    return make
