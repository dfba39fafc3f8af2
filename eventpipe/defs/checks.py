"""Asset checks: the audit, one check per dbt test and per check that the project announces.

Here: how the findings of the audit become Dagster's. Not here: the checks (`eventpipe.audit`, `dbt_project/`), nor what
they hold back: a run that did not pass its own audit cannot publish, whatever Dagster was asked to select (`session`).
"""

# No postponed annotations here: Dagster compares that of `context` with a class, not with its name.

from collections.abc import Iterator, Sequence

import dagster as dg

from eventpipe.audit.audit import Announced
from eventpipe.defs.metadata import check_metadata
from eventpipe.defs.models import Test
from eventpipe.defs.resources import REFRESH, shared_run
from eventpipe.errors import AuditHeld


def build_checks(tests: Sequence[Test], announced: Sequence[Announced]) -> list[dg.AssetChecksDefinition]:
    """One step that makes all checks and tells the results of the selected ones; nothing where there is none."""
    specs = [test.spec for test in tests] + [_spec(each) for each in announced]
    if not specs:
        return []

    @dg.multi_asset_check(
        name="audit",
        description="Judges what the run made. An error holds the publish back, a warning does not.",
        specs=specs,
        can_subset=True,
        required_resource_keys={REFRESH},
    )
    def audit(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        held: AuditHeld | None = None
        with shared_run(context) as session:
            try:
                session.audit()
            except AuditHeld as error:
                session.error = held = error  # it fails this step below, once the results are told
        for spec in specs:
            findings = [each for each in session.findings if each.check == spec.name]
            if findings and spec.key in context.selected_asset_check_keys:
                yield dg.AssetCheckResult(
                    asset_key=spec.asset_key,
                    check_name=spec.name,
                    passed=not any(each.status == "failed" for each in findings),
                    severity=_severity(any(each.severity == "error" for each in findings)),
                    metadata=check_metadata(findings),
                )
        if held is not None:
            raise dg.Failure(str(held), allow_retries=False)

    return [audit]


def _spec(announced: Announced) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        name=announced.check,
        asset=announced.asset,
        description=announced.description,
        blocking=announced.holds_back,
    )


def _severity(is_error: bool) -> dg.AssetCheckSeverity:
    return dg.AssetCheckSeverity.ERROR if is_error else dg.AssetCheckSeverity.WARN
