"""How commands fail: exit codes, one paragraph on stderr, JSON on stdout."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from eventpipe.cli.failure import Failure
from eventpipe.errors import AuditHeld, LeaseHeld
from eventpipe_tests.cli.conftest import Ended, Shop, clean_environment, eventpipe

Call = Callable[..., Ended]


def command(*arguments: str, shop: Shop) -> list[str]:
    return [sys.executable, "-m", "eventpipe", *arguments, "--project", str(shop.root)]


def wait_until_open(pid: int, file: Path) -> None:
    """Until a process has opened a file, and a moment longer."""
    deadline = time.monotonic() + 60
    while file not in [each.resolve() for each in Path(f"/proc/{pid}/fd").iterdir()]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(1)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["frobnicate"], "No such command 'frobnicate'"),
        (["run", "--frobnicate"], "No such option: --frobnicate"),
        (["query"], "Missing argument 'SQL'"),
        (["contact"], "Missing command"),
        (["run", "--as-of", "yesterday"], "'yesterday' is no instant"),
        (["backfill", "--from", "2026-02-30", "--to", "2026-03-01"], "'2026-02-30' is no date"),
        (["backfill", "--from", "2026-01-02", "--to", "2026-01-01"], "give the earlier date as --from"),
        (["sample", "--events", "0"], "--events"),
        (["sample", "--events", "1", "--sources", "redo,abc", "--out", "x"], "unknown source 'abc'"),
        (["ui", "--port", "99999"], "--port"),
        (["contact", "show", os.fsdecode(b"Zo\xeb")], r"'Zo\udceb' is no text in UTF-8"),
    ],
)
def test_wrong_usage_ends_with_2_and_one_line(call: Call, arguments: list[str], said: str) -> None:
    ended = call(*arguments)
    assert ended.code == 2
    assert ended.out == ""
    assert said in ended.err
    assert ended.err.startswith("Error: ")
    assert len(ended.err.splitlines()) == 1


@pytest.mark.parametrize("command", [["run"], ["status"], ["doctor"], ["query", "select 1"], ["contact", "show", "x"]])
def test_without_a_project_nothing_is_done(call: Call, tmp_path: Path, command: list[str]) -> None:
    ended = call(*command, "--project", tmp_path)
    assert ended.code == 2
    assert "eventpipe init" in ended.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [["doctor"], ["query", "select 1"], ["contact", "show", "x"]])
def test_without_a_run_there_is_nothing_to_ask(call: Call, tmp_path: Path, command: list[str]) -> None:
    call("init", tmp_path / "new").good()
    ended = call(*command, "--project", tmp_path / "new")
    assert ended.code == 2
    assert "published nothing yet" in ended.err
    assert "eventpipe run" in ended.err


def test_each_problem_of_the_configuration_has_a_line(call: Call, tmp_path: Path) -> None:
    call("init", tmp_path / "shop").good()
    (tmp_path / "shop" / "eventpipe.yml").write_text("currency: dollars\nsources:\n  web: {preset: redoo}\n")
    ended = call("run", "--project", tmp_path / "shop", "--json")
    assert ended.code == 2
    first, *problems = ended.err.splitlines()
    assert first == "Error: 2 problems in the project's files; nothing was read or done."
    assert [line.split(" ")[0] for line in problems] == ["eventpipe.yml:1:", "eventpipe.yml:3:"]
    told = ended.json["error"]
    assert (told["type"], told["exit_code"]) == ("ConfigurationError", 2)
    assert [(each["file"], each["line"], each["key"]) for each in told["problems"]] == [
        ("eventpipe.yml", 1, "currency"),
        ("eventpipe.yml", 3, "sources.web.preset"),
    ]
    assert not (tmp_path / "shop" / "lake").exists()


def test_with_json_an_error_is_json_too(call: Call, shop: Shop) -> None:
    ended = call("query", "select * from nowhere", "--json", "--project", shop.root)
    assert ended.code == 2
    assert ended.json == {
        "error": {"type": "UsageError", "message": ended.err.removeprefix("Error: ").strip(), "exit_code": 2}
    }
    assert "nowhere" in ended.err


@pytest.mark.parametrize(("error", "code"), [(AuditHeld("held back"), 3), (LeaseHeld("somebody writes"), 1)])
def test_a_failed_run_ends_with_the_code_of_its_error(
    call: Call, shop: Shop, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("eventpipe.cli.launch.launch", fails)
    ended = call("run", "--project", shop.root)
    assert ended.code == code
    assert f"Error: {error}" in ended.err


def test_a_fault_of_the_program_shows_no_traceback_and_no_data(
    call: Call, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise ValueError("ada@example.com")

    monkeypatch.setattr("eventpipe.serving.reading.reading", fails)
    ended = call("query", "select 1", "--project", shop.root)
    assert ended.code == 1
    assert "ada@example.com" not in ended.err
    assert "Traceback" not in ended.err
    assert "eventpipe itself failed: ValueError in cli/query.py:" in ended.err
    shown = call("query", "select 1", "--project", shop.root, "--debug")
    assert shown.code == 1
    assert "Traceback" in shown.err
    assert "ada@example.com" in shown.err


def test_what_the_system_says_of_a_file_is_told(call: Call, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ended = call("sample", "--events", 10, "--out", tmp_path / "file" / "exports")
    assert ended.code == 1
    assert ended.err.startswith(f"Error: {tmp_path / 'file' / 'exports'}/")
    assert "Not a directory" in ended.err
    assert "itself failed" not in ended.err


def test_a_full_disk_is_told() -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "eventpipe", "--version"]
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False, timeout=60)
    told = b"Error: The disk is full. What was finished stays. Free some space and start again.\n"
    assert (ended.returncode, ended.stderr) == (1, told)


def test_a_full_disk_is_told_also_where_a_library_met_it() -> None:
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("pragma max_page_count = 1")
        with pytest.raises(sqlite3.OperationalError) as met:
            database.execute("create table t (a)")
    told = RuntimeError("what a library makes of it")
    told.__cause__ = met.value
    assert Failure.of(told).message.startswith("The disk is full. ")


def test_a_disk_that_fails_is_told() -> None:
    """As SQLite may call a full one too, under a library's own error."""
    met = sqlite3.OperationalError("disk I/O error")
    met.sqlite_errorcode = sqlite3.SQLITE_IOERR_WRITE
    told = RuntimeError("what a library makes of it")
    told.__cause__ = met
    assert Failure.of(told).message.startswith("The disk could not be read or written")


def test_debug_shows_the_traceback_of_an_expected_error_too(call: Call, tmp_path: Path) -> None:
    assert "Traceback" not in call("status", "--project", tmp_path).err
    assert "Traceback" in call("status", "--project", tmp_path, "--debug").err


def test_a_message_cannot_control_the_terminal(call: Call, shop: Shop) -> None:
    ended = call("contact", "show", "\x1b[31m[bold]nobody", "--project", shop.root)
    assert ended.code == 1
    assert "\x1b" not in ended.err
    assert "[bold]nobody" in ended.err


def test_an_interrupted_command_ends_with_130_and_one_line(shop: Shop) -> None:
    process = subprocess.Popen(
        command("query", "select count(*) from range(100000), range(100000), range(1000)", shop=shop),
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    wait_until_open(process.pid, shop.root / "analytics.duckdb")
    time.sleep(2)  # by then the query runs: what it interrupts, not what comes before, is the question here
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, b"")
    assert err.decode().splitlines() == ["Interrupted. What was finished stays; start again to go on."]


def test_a_reader_that_goes_away_is_no_error(shop: Shop) -> None:
    reading, writing = os.pipe()
    process = subprocess.Popen(
        command("query", "select range from range(1000000)", "--csv", shop=shop),
        env=clean_environment(),
        stdout=writing,
        stderr=subprocess.PIPE,
    )
    os.close(writing)
    assert os.read(reading, 5) == b"range"
    os.close(reading)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (141, b"")


def test_the_project_is_named_by_option_environment_or_folder(shop: Shop, tmp_path: Path) -> None:
    question = ("query", "select 42 as answer", "--csv")
    for ended in (
        eventpipe(*question, "--project", shop.root, cwd=tmp_path, EVENTPIPE_PROJECT="/nowhere"),
        eventpipe("--project", shop.root, *question, cwd=tmp_path),
        eventpipe(*question, cwd=tmp_path, EVENTPIPE_PROJECT=str(shop.root)),
        eventpipe(*question, cwd=shop.root),
    ):
        assert ended.good().out == "answer\n42\n"


def test_help_and_version(call: Call) -> None:
    assert call("--version").good().out.startswith("eventpipe ")
    for arguments in ([], ["--help"]):
        listed = call(*arguments).good().out
        for command in ("init", "sample", "run", "backfill", "status", "doctor", "query", "contact", "ui"):
            assert command in listed
