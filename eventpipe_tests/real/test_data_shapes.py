"""docs/data-shapes.md shows what these tests use: each block of YAML is part of a configuration here."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from eventpipe.project.folder import load_project
from eventpipe_tests.real.real_project import CONFIGURATIONS, RealProject

_DOCUMENT = Path(__file__).parents[2] / "docs" / "data-shapes.md"
_BLOCK = re.compile(r"^```yaml\n# (\w+\.yml)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks() -> list[tuple[str, str]]:
    """The configuration that each block of the document names, and the block."""
    return _BLOCK.findall(_DOCUMENT.read_text(encoding="utf-8"))


def test_every_block_of_the_document_names_its_configuration() -> None:
    assert len(blocks()) == _DOCUMENT.read_text(encoding="utf-8").count("```yaml") > 0


@pytest.mark.parametrize(("name", "block"), blocks())
def test_what_the_document_shows_is_what_the_tests_use(name: str, block: str) -> None:
    lines = (CONFIGURATIONS / name).read_text(encoding="utf-8").splitlines(keepends=True)
    length = block.count("\n")
    parts = (textwrap.dedent("".join(lines[at : at + length])) for at in range(len(lines) - length + 1))
    assert block in parts


@pytest.mark.parametrize("name", sorted(path.stem for path in CONFIGURATIONS.glob("*.yml")))
def test_the_configurations_are_projects(name: str, tmp_path: Path) -> None:
    project = load_project(RealProject.make(tmp_path / name, name).root, {})
    assert all(profile.preset is None for profile in project.profiles.values())
