"""Starting is quick because nothing heavy is imported before it is needed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from eventpipe_tests.cli.conftest import Shop, clean_environment

HEAVY = ("dagster", "dbt", "polars", "sqlalchemy", "pandas", "pyarrow", "numpy", "scipy")
ASK = f"""
import sys
from eventpipe.cli.main import main
code = main(sys.argv[1:])
print(sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["run", "--help"],
        ["query", "select count(*) from events"],
        ["query", "from runs", "--json"],
    ],
)
def test_a_quick_command_imports_nothing_heavy(shop: Shop, arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ASK, *arguments],
        env=clean_environment(EVENTPIPE_PROJECT=str(shop.root)),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stderr == "[]\n"
