"""Dagster's state in the project folder."""

# No postponed annotations here: Dagster compares that of `context` with a class, not with its name.

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.event_log import SqliteEventLogStorage
from sqlalchemy import Engine, event, text

from eventpipe.defs.home import SETTINGS, dagster_home, open_instance
from eventpipe.errors import UsageError
from eventpipe_tests.builders import project


def test_settings_are_written_and_kept(tmp_path: Path) -> None:
    made = project(tmp_path)
    settings = dagster_home(made) / "dagster.yaml"
    assert settings.read_text(encoding="utf-8") == SETTINGS
    settings.write_text("telemetry: {enabled: true}\n", encoding="utf-8")
    dagster_home(made)
    assert settings.read_text(encoding="utf-8") == SETTINGS


def test_a_folder_that_dagster_would_read_as_another_is_refused(tmp_path: Path) -> None:
    for name in ("what?x=1", "a%20b", "[shop]", "best*"):
        with pytest.raises(UsageError, match="Rename the folder"):
            dagster_home(project(tmp_path / name))
        assert not (tmp_path / name / ".eventpipe").exists()


def test_dagster_takes_the_settings(tmp_path: Path) -> None:
    with dg.DagsterInstance.from_config(str(dagster_home(project(tmp_path)))) as instance:
        assert instance.telemetry_enabled is False
        assert instance.nux_enabled is False
        assert instance.run_monitoring_enabled is True
        assert type(instance.compute_log_manager).__name__ == "NoOpComputeLogManager"


def test_a_run_can_be_read_while_it_goes_on_and_opens_its_files_once(tmp_path: Path) -> None:
    made = project(tmp_path)
    told: list[int] = []

    @dg.op
    def work(context: dg.OpExecutionContext) -> None:
        for number in range(20):
            context.log_event(dg.AssetMaterialization(f"table_{number}"))
        told.append(len(opened))
        # As the UI opens it, and as it lies there should this process be killed now.
        with dg.DagsterInstance.from_config(str(dagster_home(made))) as ui:
            logged = ui.all_logs(context.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
            told.extend((len(logged), len(ui.all_asset_keys()), ui.get_runs_count()))

    @dg.job
    def job() -> None:
        work()

    with open_instance(made) as instance, connections() as opened:
        assert job.execute_in_process(instance=instance).success
        events = instance.event_log_storage
        assert isinstance(events, SqliteEventLogStorage)
        with events.index_connection() as connection:
            assert connection.execute(text("pragma synchronous")).scalar() == 1
            assert connection.execute(text("pragma journal_mode")).scalar() == "wal"
    connected, *read = told
    assert read == [20, 20, 1]
    assert connected < 10


@contextmanager
def connections() -> Iterator[list[object]]:
    """The connections that SQLAlchemy opens within the block."""
    opened: list[object] = []

    def on_connect(connection: object, _record: object) -> None:
        opened.append(connection)

    event.listen(Engine, "connect", on_connect)
    yield opened
    event.remove(Engine, "connect", on_connect)
