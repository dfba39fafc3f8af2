"""Imported by the server that runs are forked from (see `processes`): what every run does first is done once here."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import dbt.adapters.duckdb
import scipy.sparse.csgraph  # noqa: F401  # imported by the solver when it is called

from eventpipe_tests.pipeline import worlds
from eventpipe_tests.pipeline.shop import Shop

assert dbt.adapters.duckdb

with TemporaryDirectory() as folder:
    # `ParsedOnce` keeps it for the runs to come.
    Shop(worlds.project(Path(folder))).dbt.manifest()
