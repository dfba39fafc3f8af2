"""Asset checks: the audit, one check per dbt test.

Here: how the results of the audit become Dagster's. Not here: the tests (`dbt_project/`), nor what they hold back:
a run that did not pass its own audit cannot publish, whatever Dagster was asked to select (`session`).
"""

# No postponed annotations here: Dagster compares that of `context` with a class, not with its name.

from collections.abc import Iterator, Sequence

import dagster as dg

from eventpipe.defs.metadata import test_metadata
from eventpipe.defs.models import Test
from eventpipe.defs.resources import REFRESH, shared_run
from eventpipe.errors import AuditHeld


def build_checks(tests: Sequence[Test]) -> list[dg.AssetChecksDefinition]:
    """One step that runs all tests and tells the results of the selected ones; nothing where there is no test."""
    if not tests:
        return []

    @dg.multi_asset_check(
        name="audit",
        description="Runs every dbt test on what the run made. A failure holds the publish back, a warning does not.",
        specs=[test.spec for test in tests],
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
        for test in tests:
            node = session.nodes.get(test.unique_id)
            if node is not None and test.spec.key in context.selected_asset_check_keys:
                yield dg.AssetCheckResult(
                    asset_key=test.spec.asset_key,
                    check_name=test.spec.name,
                    passed=node.status == "pass",
                    severity=dg.AssetCheckSeverity.WARN if node.status == "warn" else dg.AssetCheckSeverity.ERROR,
                    metadata=test_metadata(node),
                )
        if held is not None:
            raise dg.Failure(str(held), allow_retries=False)

    return [audit]
