"""The copy that a publish begins with (ADR 4)."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from eventpipe.serving.publish import copy_file

MEMORY = Path("/dev/shm")


@pytest.mark.parametrize("size", [0, 1, 3_000_001])
def test_a_copy_has_the_same_bytes_and_takes_the_place_of_what_was_there(tmp_path: Path, size: int) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(os.urandom(size))
    target.write_bytes(b"older, and longer" * 1000)

    copy_file(source, target)

    assert target.read_bytes() == source.read_bytes()


@pytest.mark.skipif(
    sys.platform != "linux", reason="elsewhere every file is copied the plain way, which is shown above"
)
def test_a_copy_goes_from_one_file_system_to_another(tmp_path: Path) -> None:
    """Blocks cannot be shared then, and the call is refused."""
    with TemporaryDirectory(dir=MEMORY) as elsewhere:
        source = Path(elsewhere) / "source"
        source.write_bytes(os.urandom(3_000_001))

        copy_file(source, tmp_path / "target")

        assert (tmp_path / "target").read_bytes() == source.read_bytes()


def test_a_copy_with_nowhere_to_go_says_so(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"rows")

    with pytest.raises(FileNotFoundError):
        copy_file(tmp_path / "source", tmp_path / "no such folder" / "target")
