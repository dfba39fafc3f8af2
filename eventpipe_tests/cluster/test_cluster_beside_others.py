"""What else a run imports does not see that Spark's package is there."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.spark

# As in a process whose main module has no file, where Spark's package takes itself for one of its own tests and exits.
_JUDGES = """
import sys
from eventpipe.audit.suites import library
library()
assert not [name for name in sys.modules if name.startswith("pyspark")]
import pyspark.sql as before
sys.modules.pop("great_expectations")
library()
import pyspark.sql as after
assert after is before
print("judged")
"""


def test_expectations_are_judged_without_it() -> None:
    done = subprocess.run([sys.executable, "-c", _JUDGES], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "judged\n"), done.stderr
