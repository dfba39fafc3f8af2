"""A small shop that ran once, and the command line as its users call it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from eventpipe.cli.main import main

EVENTS = 300
ODD = "Zoë's $HOME, 50%, {1}"
"""Characters that mean something to the shell, to addresses, to templates or to a library's settings."""


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, as JSON."""
        return json.loads(self.out)

    def good(self) -> Ended:
        """Itself, when it ended well; a test that needs that fails here with what was said."""
        assert self.code == 0, self.err
        return self


@dataclass(frozen=True)
class Shop:
    """A project folder, what its sample promised and what its first run reported."""

    root: Path
    expected: dict[str, Any]
    report: dict[str, Any]


def clean_environment(**variables: str) -> dict[str, str]:
    """The environment without what would name another project or set a setting."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("EVENTPIPE_")}
    return {**inherited, "NO_COLOR": "1", **variables}


def eventpipe(*arguments: object, cwd: Path | None = None, timeout: float = 240, **variables: str) -> Ended:
    """The command line in a process of its own, without a terminal."""
    done = subprocess.run(
        [sys.executable, "-m", "eventpipe", *map(str, arguments)],
        cwd=cwd,
        env=clean_environment(**variables),
        capture_output=True,
        timeout=timeout,
        check=False,
    )
    return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A shop with a few days of exports, landed and published. Tests that change it take `own_shop`."""
    root = tmp_path_factory.mktemp("cli") / ODD
    eventpipe("init", root).good()
    sample = eventpipe("sample", "--events", EVENTS, "--seed", 7, "--days", 3, "--out", root / "exports", "--json")
    report = eventpipe("run", "--project", root, "--json").good().json
    return Shop(root, sample.good().json, report)


@pytest.fixture
def own_shop(shop: Shop, tmp_path: Path) -> Shop:
    """A copy of the shop that a test may change. Its runs start no Great Expectations, which would cost each of them seconds."""
    shutil.copytree(shop.root, tmp_path / "shop")
    (tmp_path / "shop" / "expectations.yml").write_text("expectations: []\n")
    return Shop(tmp_path / "shop", shop.expected, shop.report)


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ended]:
    """The command line in this process: quick, for commands that import nothing that stays."""
    for name in [name for name in os.environ if name.startswith("EVENTPIPE_")]:
        monkeypatch.delenv(name)

    def called(*arguments: object) -> Ended:
        capfd.readouterr()
        code = main([str(each) for each in arguments])
        written = capfd.readouterr()
        return Ended(code, written.out, written.err)

    return called
