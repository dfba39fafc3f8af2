"""Assets: the stages of the pipeline, each with everything that it writes.

Here: what Dagster materialises, stage by stage, and the metadata of it. Not here: the stages themselves
(`eventpipe.refresh`), lineage inside dbt (`models`), checks (`checks`).

A stage is one step however many tables it writes, for dbt and the engine are at their best with all of them at
once; so its tables are not selected one by one. Every asset has a single-run backfill policy: a range of landing
dates is one run, also where tables that have no partitions are selected with it.
"""

# No postponed annotations here: Dagster compares that of `context` with a class, not with its name.

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Final

import dagster as dg

from eventpipe.automations.history import TABLES as DECISION_TABLES
from eventpipe.defs.metadata import (
    Metadata,
    decision_metadata,
    empty_date_metadata,
    lake_metadata,
    landing_date_metadata,
    plan_metadata,
    published_metadata,
    stage_metadata,
    table_metadata,
)
from eventpipe.defs.models import IDENTITY_NODES, IDENTITY_SETS, LAKE, Model, Models
from eventpipe.defs.pictures import PICTURES, sizes_metadata
from eventpipe.defs.resources import REFRESH, shared_run
from eventpipe.defs.session import RunSession
from eventpipe.intake.land import Landed

ANALYTICS: Final = "analytics"
PLANNED: Final = "reports"
"""The model that everything which a run takes in goes through: the plan is shown beside it."""

SEGMENT_TABLES: Final = {
    "segment_history": "Memberships of segments, as runs observed them. Grain: segment and contact_id, one row per "
    "episode.",
    "segment_members": "Members of segments now. Grain: segment and contact_id.",
}

WRITER: Final = "eventpipe_writer"
"""The pool that every stage belongs to: an instance with a limit of 1 for it starts one run after another."""

_ONE_RUN: Final = dg.BackfillPolicy.single_run()
_NEEDED: Final = {REFRESH}

Results = Iterator[dg.MaterializeResult[None]]


def build_assets(models: Models, landing_dates: dg.DailyPartitionsDefinition) -> list[dg.AssetsDefinition]:
    """The assets of all stages, in order."""
    return [
        _lake(landing_dates),
        _resolve(models.resolve),
        _identify(),
        _model(models.marts),
        _segment(),
        _decide(),
        _analytics(models.published),
    ]


def _lake(landing_dates: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    @dg.asset(
        name=LAKE,
        group_name="land",
        description="Every line of every export, accepted or rejected, in one Parquet file per export. A partition "
        "is a landing date. A run without partitions looks at all dates and marks those where something was new.",
        kinds={"duckdb", "parquet"},
        partitions_def=landing_dates,
        backfill_policy=_ONE_RUN,
        required_resource_keys=_NEEDED,
        pool=WRITER,
    )
    def lake(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        with shared_run(context) as session:
            landed = session.land()
            if context.has_partition_key or context.has_partition_key_range:
                _describe_partitions(context, landed)
            else:
                _mark_changed_partitions(context, landing_dates, landed)
            metadata = {**lake_metadata(landed), **stage_metadata(session.stages, "land")}
        return dg.MaterializeResult(metadata=metadata)

    return lake


def _describe_partitions(context: dg.AssetExecutionContext, landed: Sequence[Landed]) -> None:
    """Dagster marks all partitions that a run was started for; this says of each what lies there."""
    found = {day.isoformat(): metadata for day, metadata in landing_date_metadata(landed).items()}
    for key in context.partition_keys:
        context.add_asset_metadata(found.get(key) or empty_date_metadata(), asset_key=LAKE, partition_key=key)


def _mark_changed_partitions(
    context: dg.AssetExecutionContext, landing_dates: dg.DailyPartitionsDefinition, landed: Sequence[Landed]
) -> None:
    """Dagster marks none for a run that was started for all dates. Marking all of them each time would write more
    about a small run than the run itself does."""
    changed = {each.key.landed_on for each in landed if each.outcome not in ("unchanged", "waiting")}
    for day, metadata in landing_date_metadata(landed).items():
        if day in changed and landing_dates.has_partition_key(day.isoformat()):
            context.log_event(dg.AssetMaterialization(LAKE, partition=day.isoformat(), metadata=metadata))


def _resolve(models: Sequence[Model]) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name="resolve",
        description="What the run touches, which reports are one event, and which version of it counts.",
        specs=[model.spec for model in models],
        backfill_policy=_ONE_RUN,
        required_resource_keys=_NEEDED,
        pool=WRITER,
    )
    def resolve(context: dg.AssetExecutionContext) -> Results:
        with shared_run(context) as session:
            plan = session.resolve()
            found = _tables(session, models)
            found[PLANNED] = {**found.get(PLANNED, {}), **plan_metadata(plan)}
        yield from _results(models, found)

    return resolve


def _identify() -> dg.AssetsDefinition:
    grains = {
        IDENTITY_SETS: "Which contact each set of identifiers belongs to. Grain: workspace_id and identifiers.",
        IDENTITY_NODES: "Which contact each identifier belongs to. Grain: workspace_id, identifier_type and "
        "identifier_value.",
    }

    @dg.multi_asset(
        name="identify",
        description="Ties identifiers that events carry together into contacts, within the limits of their types.",
        specs=[
            dg.AssetSpec(
                name, deps=["touched_sets"], group_name="identify", description=grain, kinds={"python", "polars"}
            )
            for name, grain in grains.items()
        ],
        backfill_policy=_ONE_RUN,
        required_resource_keys=_NEEDED,
        pool=WRITER,
    )
    def identify(context: dg.AssetExecutionContext) -> Results:
        with shared_run(context) as session:
            resolved = session.identify()
            took = stage_metadata(session.stages, "identify")
            with session.refresh.warehouse() as connection:
                found = {name: table_metadata(connection, name, f"work.{name}") for name in grains}
        found[IDENTITY_SETS].update({"solved": resolved.sets, "moved": resolved.moved_sets, **took})
        found[IDENTITY_NODES].update(
            {"solved": resolved.identifiers, "merges": resolved.merges, "conflicts": resolved.conflicts, **took}
        )
        for name, metadata in found.items():
            yield dg.MaterializeResult(asset_key=name, metadata=metadata)

    return identify


def _model(models: Sequence[Model]) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name="model",
        description="The tables that people read, in the working database, for the contacts that the run touches.",
        specs=[model.spec for model in models],
        backfill_policy=_ONE_RUN,
        required_resource_keys=_NEEDED,
        pool=WRITER,
    )
    def model(context: dg.AssetExecutionContext) -> Results:
        with shared_run(context) as session:
            session.model()
            found = _tables(session, models)
        yield from _results(models, found)

    return model


def _segment() -> dg.AssetsDefinition:
    @dg.multi_asset(
        name="segment",
        description="Who is a member of which segment: judges the contacts that the run touches, and those for whom "
        "a window turned.",
        specs=[
            dg.AssetSpec(
                name,
                deps=[
                    "contacts",
                    "contact_aliases",
                    "contact_identifiers",
                    "contact_rfm",
                    "events",
                    "unjudged_contacts",
                ],
                group_name="segment",
                description=description,
                kinds={"python", "duckdb"},
            )
            for name, description in SEGMENT_TABLES.items()
        ],
        backfill_policy=_ONE_RUN,
        required_resource_keys=_NEEDED,
        pool=WRITER,
    )
    def segment(context: dg.AssetExecutionContext) -> Results:
        with shared_run(context) as session:
            judgement = session.segment()
            took = stage_metadata(session.stages, "segment")
            with session.refresh.warehouse() as connection:
                found = {name: table_metadata(connection, name, f"main.{name}") for name in SEGMENT_TABLES}
                found["segment_members"].update(sizes_metadata(connection))
        for metadata in found.values():
            metadata.update({**asdict(judgement), **took})
        for name, metadata in found.items():
            yield dg.MaterializeResult(asset_key=name, metadata=metadata)

    return segment


def _decide() -> dg.AssetsDefinition:
    @dg.multi_asset(
        name="decide",
        description="Which automations fire for whom: judges new events, changes of membership, and what waited, in one "
        "transaction of the ops store.",
        specs=[
            dg.AssetSpec(
                name,
                deps=["events", "event_history", "contacts", "contact_aliases", *SEGMENT_TABLES],
                group_name="decide",
                description=description,
                kinds={"python", "duckdb"},
            )
            for name, description in DECISION_TABLES.items()
        ],
        backfill_policy=_ONE_RUN,
        required_resource_keys=_NEEDED,
        pool=WRITER,
    )
    def decide(context: dg.AssetExecutionContext) -> Results:
        with shared_run(context) as session:
            step = session.decide()
            took = stage_metadata(session.stages, "decide")
            with session.refresh.warehouse() as connection:
                found = {name: table_metadata(connection, name, f"main.{name}") for name in DECISION_TABLES}
        found["trigger_decisions"].update({**decision_metadata(step), **took})
        found["automation_triggers"].update({"fired": 0 if step is None else step.triggers.height, **took})
        for name, metadata in found.items():
            yield dg.MaterializeResult(asset_key=name, metadata=metadata)

    return decide


def _analytics(published: Sequence[Model]) -> dg.AssetsDefinition:
    @dg.asset(
        name=ANALYTICS,
        group_name="publish",
        description="The published tables, all of one run: in place of the last run's by one rename of analytics.duckdb, by "
        "one transaction where PostgreSQL serves, and only when no check failed.",
        kinds={"duckdb"},
        deps=[*(model.spec.key for model in published), *map(dg.AssetKey, (*SEGMENT_TABLES, *DECISION_TABLES))],
        backfill_policy=_ONE_RUN,
        required_resource_keys=_NEEDED,
        pool=WRITER,
    )
    def analytics(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        with shared_run(context) as session:
            metadata = published_metadata(session.publish())
            metadata |= {"as_of": session.refresh.as_of.isoformat(), "run_id": session.request.run_id}
            metadata |= stage_metadata(session.stages, "publish")
        return dg.MaterializeResult(metadata=metadata)

    return analytics


def _tables(session: RunSession, models: Sequence[Model]) -> dict[str, Metadata]:
    with session.refresh.warehouse() as connection:
        found = {
            model.name: table_metadata(
                connection,
                model.name,
                model.relation,
                is_view=model.is_view,
                node=session.nodes.get(model.unique_id),
            )
            for model in models
        }
        for name in found.keys() & PICTURES.keys():
            found[name].update(PICTURES[name](connection))
        return found


def _results(models: Sequence[Model], found: dict[str, Metadata]) -> Results:
    for model in models:
        yield dg.MaterializeResult(asset_key=model.spec.key, metadata=found[model.name])
