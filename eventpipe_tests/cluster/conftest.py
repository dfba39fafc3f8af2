"""What the tests on Spark share: its own settings, for tables as small as these."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def _small_pieces(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Settings where Spark looks for them: a shuffle of a hundred rows in its 200 pieces takes seconds."""
    folder = tmp_path_factory.mktemp("spark-conf")
    (folder / "spark-defaults.conf").write_text("spark.sql.shuffle.partitions 2\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARK_CONF_DIR", str(folder))
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")  # whatever this machine is called
        patch.setenv("SPARK_LOCAL_DIRS", str(folder / "spill"))
        yield
