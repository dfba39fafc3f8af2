"""Assets: the stages of the pipeline, each with everything that it writes.

Here: what Dagster materialises, in the order of the stages, and the metadata of it. Not here: the stages themselves
(`eventpipe.refresh`), lineage inside dbt (`models`), checks (`checks`).

A stage is one step however many tables it writes, for dbt and the engine are at their best with all of them at once;
so its tables cannot be selected one by one. Every asset has a single-run backfill policy: a range of landing dates is
one run, also when tables that have no partitions are selected with it.
"""

# No postponed annotations here: Dagster compares that of `context` with its class, not with its name.

from collections.abc import Iterator, Sequence
from typing import Final

import dagster as dg

from eventpipe.defs.metadata import (
    Metadata,
    empty_date_metadata,
    landed_metadata,
    landing_date_metadata,
    plan_metadata,
    published_metadata,
    seconds,
    table_metadata,
)
from eventpipe.defs.models import IDENTITY_NODES, IDENTITY_SETS, LAKE, Model, Models
from eventpipe.defs.resources import REFRESH, shared_run
from eventpipe.defs.session import RunSession
from eventpipe.intake.land import Landed

ANALYTICS: Final = "analytics"

_ONE_RUN: Final = dg.BackfillPolicy.single_run()
_NEEDED: Final = {REFRESH}
_PLANNED: Final = "reports"
"""The model that everything which a run takes in goes through: it shows the plan."""


def build_assets(models: Models, landing_dates: dg.DailyPartitionsDefinition) -> list[dg.AssetsDefinition]:
    """The assets of all stages, in order."""
    return [
        _lake(landing_dates),
        _resolve(models.resolve),
        _identify(),
        _model(models.marts),
        _analytics(models.published),
    ]


def _lake(landing_dates: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    @dg.asset(
        name=LAKE,
        group_name="land",
        description="Every line of every export, accepted or rejected, one Parquet file per export. A partition is a "
        "landing date. A run that names none looks at all dates, and marks those on which it found something new.",
        kinds={"duckdb", "parquet"},
        partitions_def=landing_dates,
        backfill_policy=_ONE_RUN,
        required_resource_keys=_NEEDED,
    )
    def lake(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        with shared_run(context) as session:
            landed = session.land()
            for key, metadata in _by_date(context, landing_dates, landed):
                if context.has_partition_key or context.has_partition_key_range:
                    context.add_asset_metadata(metadata, asset_key=LAKE, partition_key=key)
                else:
                    # Dagster records every date of a range, each time. All dates are marked by hand: those that changed.
                    context.log_event(dg.AssetMaterialization(LAKE, partition=key, metadata=metadata))
            return dg.MaterializeResult(metadata={**landed_metadata(landed), **seconds(session.stages, "land")})

    return lake


def _by_date(
    context: dg.AssetExecutionContext, landing_dates: dg.DailyPartitionsDefinition, landed: Sequence[Landed]
) -> Iterator[tuple[str, Metadata]]:
    """The partitions that the run speaks of, and what of: those it was started for, else those that changed."""
    found = {day.isoformat(): metadata for day, metadata in landing_date_metadata(landed).items()}
    if context.has_partition_key or context.has_partition_key_range:
        for key in context.partition_keys:
            yield key, found.get(key) or empty_date_metadata()
    else:
        changed = {each.key.landed_on.isoformat() for each in landed if each.outcome not in ("unchanged", "waiting")}
        for key in sorted(changed):
            if landing_dates.has_partition_key(key):
                yield key, found[key]


def _resolve(models: Sequence[Model]) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name="resolve",
        description="Which reports are one event, and which version of it counts; and before that, what the run touches.",
        specs=[model.spec for model in models],
        backfill_policy=_ONE_RUN,
        required_resource_keys=_NEEDED,
    )
    def resolve(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        with shared_run(context) as session:
            plan = session.resolve()
            results = _tables(session, models, {_PLANNED: plan_metadata(plan)})
        yield from results

    return resolve


def _identify() -> dg.AssetsDefinition:
    specs = [
        dg.AssetSpec(
            IDENTITY_SETS,
            deps=["touched_sets"],
            group_name="identify",
            description="Which contact each set of identifiers belongs to. Grain: workspace_id and identifiers.",
            kinds={"python", "polars"},
        ),
        dg.AssetSpec(
            IDENTITY_NODES,
            deps=["touched_sets"],
            group_name="identify",
            description="Which contact each identifier belongs to. Grain: workspace_id, identifier_type and "
            "identifier_value.",
            kinds={"python", "polars"},
        ),
    ]

    @dg.multi_asset(
        name="identify",
        description="Ties identifiers that events carry together into contacts, within the limits of their types.",
        specs=specs,
        backfill_policy=_ONE_RUN,
        required_resource_keys=_NEEDED,
    )
    def identify(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        with shared_run(context) as session:
            resolved = session.identify()
            took = seconds(session.stages, "identify")
            with session.refresh.warehouse() as connection:
                found = {
                    name: table_metadata(connection, name, f"work.{name}", is_view=False, node=None)
                    for name in (IDENTITY_SETS, IDENTITY_NODES)
                }
        yield dg.MaterializeResult(
            asset_key=IDENTITY_SETS,
            metadata={**found[IDENTITY_SETS], "solved": resolved.sets, "moved": resolved.moved_sets, **took},
        )
        yield dg.MaterializeResult(
            asset_key=IDENTITY_NODES, metadata={**found[IDENTITY_NODES], "solved": resolved.identifiers, **took}
        )

    return identify


def _model(models: Sequence[Model]) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name="model",
        description="The tables that people read, in the working database, for the contacts that the run touches.",
        specs=[model.spec for model in models],
        backfill_policy=_ONE_RUN,
        required_resource_keys=_NEEDED,
    )
    def model(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        with shared_run(context) as session:
            session.model()
            results = _tables(session, models, {})
        yield from results

    return model


def _analytics(published: Sequence[Model]) -> dg.AssetsDefinition:
    @dg.asset(
        name=ANALYTICS,
        group_name="publish",
        description="The published file, analytics.duckdb: all tables of one run, put in place of the last run's by one "
        "rename, and only when no check failed.",
        kinds={"duckdb"},
        deps=[model.spec.key for model in published],
        backfill_policy=_ONE_RUN,
        required_resource_keys=_NEEDED,
    )
    def analytics(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        with shared_run(context) as session:
            metadata = published_metadata(session.publish())
            run = {"as_of": session.refresh.as_of.isoformat(), "run_id": session.request.run_id}
            return dg.MaterializeResult(metadata={**metadata, **run, **seconds(session.stages, "publish")})

    return analytics


def _tables(
    session: RunSession, models: Sequence[Model], more: dict[str, Metadata]
) -> list[dg.MaterializeResult[None]]:
    with session.refresh.warehouse() as connection:
        return [
            dg.MaterializeResult(
                asset_key=model.spec.key,
                metadata={
                    **table_metadata(
                        connection,
                        model.name,
                        model.relation,
                        is_view=model.is_view,
                        node=session.nodes.get(model.unique_id),
                    ),
                    **more.get(model.name, {}),
                },
            )
            for model in models
        ]
