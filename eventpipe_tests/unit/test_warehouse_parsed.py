"""The models are parsed once for all projects of a user, and anew where what is kept cannot be used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from eventpipe.warehouse import parsed
from eventpipe.warehouse.dbt import Dbt
from eventpipe_tests.builders import project

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest


class Parse:
    """dbt's parsing, which counts how often it was asked for."""

    def __init__(self, folder: Path) -> None:
        self._dbt = Dbt(project(folder))
        self.times = 0

    def __call__(self) -> Manifest:
        self.times += 1
        return self._dbt._parse()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "eventpipe" / "dbt"


def test_one_parsing_serves_all_projects_until_what_is_kept_is_damaged(cache: Path, tmp_path: Path) -> None:
    parse = Parse(tmp_path)
    first = parsed.manifest(parse, tmp_path / "one")
    again = parsed.manifest(parse, tmp_path / "two")
    assert parse.times == 1
    assert again is not parsed.manifest(parse, tmp_path / "two")
    assert set(again.nodes) == set(first.nodes)
    assert set(again.macros) == set(first.macros)
    assert json.loads(parsed.manifest_json(parse, tmp_path / "two").read_text())["nodes"].keys() == first.nodes.keys()
    assert parse.times == 1
    [kept] = cache.glob("*/manifest.msgpack")
    kept.write_bytes(kept.read_bytes()[:-1000])
    assert set(parsed.manifest(parse, tmp_path / "two").nodes) == set(first.nodes)
    assert parse.times == 2
    assert not (tmp_path / "one").exists()


@pytest.mark.parametrize("name", ["file", "x" * 300], ids=["cannot be made", "cannot be looked into"])
def test_without_a_cache_folder_it_is_kept_in_the_project(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder can be made below this")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / name))
    parse = Parse(tmp_path)
    path = parsed.manifest_json(parse, tmp_path / "own")
    assert path.is_relative_to(tmp_path / "own")
    parsed.manifest(parse, tmp_path / "own")
    assert parse.times == 1
