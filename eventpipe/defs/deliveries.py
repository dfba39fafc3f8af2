"""The asset `deliveries`: what was sent to the targets of automations, with checks that show what could not be.

Here: one process of delivery as a Dagster step. Not here: delivery itself (`eventpipe.delivery`), nor when it is asked for
(`sensors`). Nothing that it does depends on Dagster: what is due is what the ops store says.
"""

# No postponed annotations here: Dagster compares that of `context` with a class, not with its name.

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final

import dagster as dg

from eventpipe.defs.metadata import Metadata
from eventpipe.defs.previews import MOST_ROWS, markdown
from eventpipe.delivery.deliver import Delivered, deliver, destinations
from eventpipe.errors import EventpipeError
from eventpipe.ops import deliveries as ops
from eventpipe.ops.store import OpsStore
from eventpipe.project.folder import Project

DELIVERIES: Final = "deliveries"
NONE_DEAD: Final = "no_dead_deliveries"
ALL_ANSWER: Final = "targets_answer"

_SPECS: Final = [
    dg.AssetCheckSpec(NONE_DEAD, asset=DELIVERIES, description="No trigger was given up after ten attempts."),
    dg.AssetCheckSpec(ALL_ANSWER, asset=DELIVERIES, description="The last attempt at every target was a success."),
]


def deliveries_asset(project: Project, clock: Callable[[], datetime]) -> dg.AssetsDefinition:
    """Sends what is due. A target that fails is a warning beside the asset, not a failed run: it is tried again."""

    @dg.asset(
        name=DELIVERIES,
        group_name="deliver",
        description="Triggers sent to the targets of automations, by webhook or as files: at least once, under one id.",
        kinds={"python"},
        deps=["automation_triggers"],
        backfill_policy=dg.BackfillPolicy.single_run(),
        check_specs=_SPECS,
    )
    def deliveries(
        context: dg.AssetExecutionContext,
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        try:
            with OpsStore.open(project.ops) as store:
                done = deliver(project, store, clock)
                left = ops.backlog(store, clock(), destinations(project))
                troubled = ops.troubled(store)
        except EventpipeError as error:
            raise dg.Failure(str(error), allow_retries=False) from None
        for each in troubled:
            context.log.warning(f"Delivery to {each.title}: {each.failures} failures in a row: {each.last_error}.")
        yield dg.MaterializeResult(metadata=_metadata(done, left))
        yield dg.AssetCheckResult(
            check_name=NONE_DEAD,
            passed=left.dead == 0,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={"dead": left.dead, "what to do": "eventpipe deliveries ls --status dead, then replay"},
        )
        senders: dict[str, list[str]] = {}
        for name, target in destinations(project).items():
            senders.setdefault(target.key, []).append(name)
        rows = [
            (
                each.title,
                ", ".join(senders.get(each.endpoint, ["none any more"])),
                each.failures,
                each.last_error,
                _state(each),
            )
            for each in troubled
        ]
        yield dg.AssetCheckResult(
            check_name=ALL_ANSWER,
            passed=not troubled,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={
                "failing": len(troubled),
                "message": "; ".join(
                    f"{title} ({names}): {failures:,} failures in a row, {error}, {now}"
                    for title, names, failures, error, now in rows[:MOST_ROWS]
                )
                or "every target that was sent to answered",
                "targets": dg.MetadataValue.md(
                    markdown(["target", "automations", "failures in a row", "last error", "now"], rows)
                ),
            },
        )

    return deliveries


def _state(target: ops.EndpointState) -> str:
    if target.disabled_at is not None:
        return "disabled, it said that it is gone (410): eventpipe deliveries replay tries it again"
    if target.paused_until is not None:
        return f"left alone until {target.paused_until:%Y-%m-%d %H:%M:%S} UTC"
    return "tried again as its deliveries fall due"


def _metadata(done: Delivered, left: ops.Backlog) -> Metadata:
    rows = [(title, counts["delivered"], counts["failed"]) for title, counts in sorted(done.by_target.items())]
    return {
        "delivered": done.delivered,
        "failed": done.failed,
        "given_up": done.dead,
        "pending": left.pending,
        "due": left.due,
        "dead": left.dead,
        "targets": dg.MetadataValue.md(markdown(["target", "delivered", "failed"], rows)),
    }
