"""`eventpipe ui`: the command that serves the UI, and its environment."""

from __future__ import annotations

from eventpipe.cli.ui import ui_command
from eventpipe.project.folder import load_project
from eventpipe_tests.cli.conftest import Shop


def test_the_ui_serves_this_project_and_keeps_its_state_there(own_shop: Shop) -> None:
    project = load_project(own_shop.root, {})
    command, environ = ui_command(project, "127.0.0.1", 3333, {"PATH": "/bin", "DAGSTER_HOME": "/elsewhere"})
    assert "-m dagster dev" in " ".join(command)
    assert command[command.index("--port") + 1] == "3333"
    assert command[command.index("--module-name") + 1] == "eventpipe.definitions"
    assert environ["EVENTPIPE_PROJECT"] == str(project.root)
    assert environ["DAGSTER_HOME"] == str(project.state / "dagster")
    assert environ["PATH"] == "/bin"
    assert "enabled: false" in (project.state / "dagster" / "dagster.yaml").read_text()
