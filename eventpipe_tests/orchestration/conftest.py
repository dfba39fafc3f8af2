"""A small shop that the pipeline has run on once, and dbt's manifest for projects that need no run."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest

from eventpipe.warehouse.dbt import Dbt
from eventpipe_tests.builders import event, export, project
from eventpipe_tests.orchestration.shop import CANARIES, FAILING, FIRST, SECOND, Shop, refresh


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Two landing dates with a day between them, an accepted person, rejected lines, a refused file, and a check that
    lists rows which fail it."""
    root = tmp_path_factory.mktemp("shop")
    starter = (files("eventpipe.project") / "starter" / "expectations.yml").read_text()
    (root / "expectations.yml").write_text(starter.replace("expectations:\n", f"expectations:\n{FAILING}", 1))
    made = project(root, sources={"web": "canonical", "crm": "canonical"})
    person = event(
        event_name="order.completed",
        customer_id=CANARIES[1],
        email=CANARIES[0],
        phone=CANARIES[2],
        anonymous_id=CANARIES[3],
        properties={"note": CANARIES[4], CANARIES[5]: 1},
        traits={"nickname": CANARIES[6]},
    )
    named = event(event_name=f"{CANARIES[0]} bought")
    export(made, [person, event(), event(customer_id="c2"), named, "{" + CANARIES[7]], day=FIRST)
    export(made, [event(occurred_at="2026-01-07T09:00:00Z")], source="crm", day=SECOND)
    export(made, b"\x1f\x8b\x08 no gzip", name="broken.jsonl.gz", day=SECOND)
    run_id, outcome = refresh(made)
    return Shop(made, outcome, run_id)


@pytest.fixture(scope="session")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """dbt's manifest, parsed once for all tests that need no run."""
    return Dbt(project(tmp_path_factory.mktemp("parsed"))).manifest()


@pytest.fixture
def parsed(manifest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every project has its dbt project parsed already."""
    monkeypatch.setattr(Dbt, "manifest", lambda _dbt: manifest)
