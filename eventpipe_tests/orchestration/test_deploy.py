"""The files of deploy/: taken by the tools that read them, and naming nothing that is not there."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from eventpipe.project.settings import VARIABLES

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
ELSEWHERE = {"DAGSTER_HOME", "DAGSTER_POSTGRES_URL", "EVENTPIPE_PROJECT", "EVENTPIPE_OPS", "POSTGRES_PASSWORD"}
"""Variables that are no settings of eventpipe.yml, beside those that turn telemetry off."""


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    return found


def commands() -> list[tuple[str, list[str]]]:
    """Every command that a unit or a container starts, by where it stands."""
    units = [(unit.name, re.findall(r"^ExecStart=(.*)$", unit.read_text(), re.M)[0].split()) for unit in UNITS]
    services = [(name, each["command"]) for name, each in compose()["services"].items() if "command" in each]
    return [*units, *services]


def test_the_settings_are_taken_by_dagster(tmp_path: Path) -> None:
    from dagster._core.instance.config import dagster_instance_config

    shutil.copy(DEPLOY / "dagster.yaml", tmp_path)
    config, _ = dagster_instance_config(str(tmp_path))
    assert config["run_retries"] == {"enabled": True, "max_retries": 2, "retry_on_asset_or_op_failure": False}
    assert config["concurrency"]["pools"] == {"default_limit": 1, "granularity": "run"}
    assert config["telemetry"] == {"enabled": False}
    monitoring = config["run_monitoring"]
    assert monitoring["enabled"] is True
    assert monitoring["start_timeout_seconds"] + monitoring["free_slots_after_run_end_seconds"] < 600


def test_the_compose_file_is_one() -> None:
    checker = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    checked = subprocess.run([*checker, DEPLOY / "compose.yaml"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


def test_what_services_name_is_there() -> None:
    found = compose()
    assert set(found["services"]) == {"postgres", "code-location", "webserver", "daemon"}
    for service in found["services"].values():
        assert set(service.get("depends_on", ())) <= set(found["services"])
        assert {volume.partition(":")[0] for volume in service["volumes"]} <= set(found["volumes"])
    build = found["services"]["daemon"]["build"]
    assert ((DEPLOY / build["context"]).resolve() / build["dockerfile"]).is_file()


def test_what_the_image_is_made_of_is_there() -> None:
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    paths = set(re.findall(r"(?:requirements|deploy)/[\w.-]+", text))
    assert paths >= {"requirements/runtime.txt", "requirements/build.txt", "deploy/dagster.yaml"}
    assert all((ROOT / path).is_file() for path in paths)
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").split()
    assert not {"eventpipe", "dbt_project", "requirements", "deploy", "pyproject.toml", "README.md"} & set(ignored)


def test_the_image_can_install_what_is_locked() -> None:
    """pip takes a locked version for a requirement with extras only where the lock names the extras too."""
    text = (ROOT / "requirements" / "runtime.txt").read_text(encoding="utf-8")
    lines = [Requirement(line) for line in re.findall(r"^([a-z0-9][^\s;]*==[^\s;]+)", text, re.M)]
    locked = {canonicalize_name(each.name): each.extras for each in lines}
    assert len(locked) > 100
    for name in locked:
        with suppress(PackageNotFoundError):  # of another system
            for needed in map(Requirement, requires(name) or []):
                if needed.extras and (needed.marker is None or needed.marker.evaluate({"extra": ""})):
                    assert needed.extras <= locked[canonicalize_name(needed.name)], f"{name} requires {needed}"


def test_units_that_a_unit_requires_are_there() -> None:
    for unit in UNITS:
        for needed in re.findall(r"^Requires=(.*)$", unit.read_text(), re.M):
            assert (DEPLOY / "systemd" / needed).is_file()


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="only systemd's own program can judge its units")
def test_units_are_taken_by_systemd() -> None:
    checked = subprocess.run(["systemd-analyze", "verify", *UNITS], capture_output=True, text=True, check=False)
    missing = r".*: Command /opt/eventpipe/.venv/bin/\S+ is not executable: No such file or directory"
    assert [line for line in checked.stderr.splitlines() if not re.fullmatch(missing, line)] == []


def test_what_is_started_exists() -> None:
    for place, command in commands():
        assert _program(command).is_file(), place


@pytest.mark.soak
@pytest.mark.parametrize(("place", "command"), commands())
def test_what_is_started_takes_its_options(place: str, command: list[str]) -> None:
    words = command[1 : next((n for n, word in enumerate(command) if word.startswith("-")), None)]
    told = subprocess.run([_program(command), *words, "--help"], capture_output=True, text=True, check=True).stdout
    for option in (word for word in command if word.startswith("--")):
        assert re.search(rf"{option}\b", told), f"{place}: {option}"


def _program(command: list[str]) -> Path:
    return Path(sys.executable).parent / Path(command[0]).name


def test_all_of_them_speak_of_one_port() -> None:
    (load,) = yaml.safe_load((DEPLOY / "workspace.yaml").read_text(encoding="utf-8"))["load_from"]
    started = dict(commands())
    for place in ("eventpipe-code-location.service", "code-location"):
        assert started[place][started[place].index("--port") + 1] == str(load["grpc_server"]["port"])
    for place in ("webserver", "daemon"):
        assert started[place][started[place].index("--grpc-port") + 1] == str(load["grpc_server"]["port"])


def test_variables_are_known() -> None:
    example = (DEPLOY / "environment.example").read_text(encoding="utf-8")
    named = set(re.findall(r"^(?:# )?([A-Z_]+)=", example, re.M)) | set(compose()["x-eventpipe"]["environment"])
    assert named - ELSEWHERE - {"DBT_SEND_ANONYMOUS_USAGE_STATS", "DO_NOT_TRACK"} <= set(VARIABLES)
