"""A stage that fails: what the caller gets, what is recorded, what stays."""

from __future__ import annotations

import dagster as dg
import pytest

from eventpipe.audit.findings import Finding, Severity
from eventpipe.defs.models import read_models
from eventpipe.errors import AuditHeld, StageFailed
from eventpipe.identity.resolve import Resolved
from eventpipe.ops import runs
from eventpipe.ops.store import OpsStore
from eventpipe.refresh import Refresh
from eventpipe.warehouse.dbt import Dbt
from eventpipe.warehouse.plan import Plan
from eventpipe_tests.orchestration.shop import CANARIES, Shop, refresh

TEST = "unique_events_event_id"


def last_run(shop: Shop) -> tuple[runs.Run, dg.DagsterRun]:
    """The run that started last, in the ops store and in Dagster."""
    with shop.instance() as instance:
        [record] = instance.get_run_records(limit=1)
    with OpsStore.open(shop.project.ops) as store:
        run = next(run for run in runs.recent(store, 50) if run.run_id == record.dagster_run.run_id)
    return run, record.dagster_run


def failing(stage: str, error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def raises(*_: object) -> None:
        raise error

    monkeypatch.setattr(Refresh, stage, raises)


def test_the_caller_gets_the_error_of_the_stage(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    error = StageFailed("The lake is full. Make room and run again.")
    failing("land", error, monkeypatch)
    with pytest.raises(StageFailed) as raised:
        refresh(shop.project)
    assert raised.value is error
    run, in_dagster = last_run(shop)
    assert (run.status, run.error) == ("failed", str(error))
    assert in_dagster.status is dg.DagsterRunStatus.FAILURE


def test_a_fault_of_the_program_is_not_wrapped_either(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    failing("land", ZeroDivisionError(), monkeypatch)
    with pytest.raises(ZeroDivisionError):
        refresh(shop.project)
    assert last_run(shop)[0].status == "failed"


def test_an_interrupted_run_is_an_interrupt(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    failing("land", dg.DagsterExecutionInterruptedError(), monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        refresh(shop.project)
    run, _ = last_run(shop)
    assert (run.status, run.error) == ("failed", "KeyboardInterrupt: The run was interrupted.")


def test_dagster_keeps_the_paragraph_and_nothing_else(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def raises(*_: object) -> None:
        try:
            raise ValueError(f"could not convert {CANARIES[0]}")
        except ValueError as cause:
            raise StageFailed("A stage stopped.") from cause

    monkeypatch.setattr(Refresh, "land", raises)
    with pytest.raises(StageFailed):
        refresh(shop.project)
    run, _ = last_run(shop)
    with shop.instance() as instance:
        logged = "\n".join(str(entry) for entry in instance.all_logs(run.run_id))
    assert "A stage stopped." in logged
    assert CANARIES[0] not in logged


def test_the_audit_holds_the_publish_back(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    published = shop.project.analytics.read_bytes()
    audited(shop, "fail", monkeypatch)
    with pytest.raises(AuditHeld) as raised:
        refresh(shop.project)
    assert raised.value.exit_code == 3
    run, in_dagster = last_run(shop)
    assert run.status == "held"
    assert in_dagster.status is dg.DagsterRunStatus.FAILURE
    with shop.instance() as instance:
        [check] = failed_checks(instance, run.run_id)
        ended = {stats.step_key: stats.status for stats in instance.get_run_step_stats(run.run_id)}
    assert (check.check_name, check.passed, check.severity) == (TEST, False, dg.AssetCheckSeverity.ERROR)
    assert check.metadata["failures"].value == 2
    assert str(ended["audit"]).endswith("FAILURE")
    assert "analytics" not in ended
    assert shop.project.analytics.read_bytes() == published


def test_a_warning_does_not_hold_back(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    audited(shop, "warn", monkeypatch)
    run_id, _ = refresh(shop.project)
    with shop.instance() as instance:
        [check] = failed_checks(instance, run_id)
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert last_run(shop)[0].status == "published"


def audited(shop: Shop, status: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that changes nothing, and whose audit gives `status` for one test."""
    monkeypatch.setattr(Refresh, "resolve", lambda _: Plan(None, (), 0, 0))
    monkeypatch.setattr(Refresh, "identify", lambda _: Resolved(0, 0, 0, 0, 0))
    monkeypatch.setattr(Refresh, "model", lambda _: [])
    tests = read_models(Dbt(shop.project).manifest()).tests

    def audit(run: Refresh) -> list[Finding]:
        run.findings = [
            Finding(test.spec.name, "dbt", "events", "events", "error", "passed", {"failures": 0}) for test in tests
        ]
        severity: Severity = "warn" if status == "warn" else "error"
        run.findings.append(Finding(TEST, "dbt", "events", "event_id", severity, "failed", {"failures": 2}))
        run.findings = [each for each in run.findings if each.check != TEST or each.status == "failed"]
        if status == "fail":
            raise AuditHeld("The audit held the publish back.")
        return run.findings

    monkeypatch.setattr(Refresh, "audit", audit)


def failed_checks(instance: dg.DagsterInstance, run_id: str) -> list[dg.AssetCheckEvaluation]:
    logged = instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    found = [entry.dagster_event.event_specific_data for entry in logged if entry.dagster_event]
    return [each for each in found if isinstance(each, dg.AssetCheckEvaluation) and not each.passed]
