"""The settings of RFM as tables for the models.

run.rfm_settings  one row: timezone, goal_types, bins, history, and cut points per measure (null: found as quantiles)
run.rfm_segments  segment name: position, and the lowest and highest score of each measure
"""

from __future__ import annotations

import duckdb

from eventpipe.project.settings import Settings


def write_rfm_settings(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Write both tables anew."""
    rfm = settings.rfm
    fixed = rfm.cut_points
    connection.execute(
        "create or replace table run.rfm_settings as select $1::varchar as timezone, $2::varchar[] as goal_types,"
        " $3::integer as bins, $4::varchar as history, $5::double[] as recency_cuts, $6::double[] as frequency_cuts,"
        " $7::double[] as monetary_cuts",
        [
            settings.timezone,
            list(rfm.goal_types),
            rfm.bins,
            rfm.history,
            *(None if cuts is None else list(cuts) for cuts in (fixed.recency, fixed.frequency, fixed.monetary)),
        ],
    )
    connection.execute("""
        create or replace table run.rfm_segments (
            position integer, name varchar, r_from integer, r_to integer, f_from integer, f_to integer,
            m_from integer, m_to integer
        )""")
    rows = [[position, each.name, *each.r, *each.f, *each.m] for position, each in enumerate(rfm.segments)]
    if rows:
        connection.executemany("insert into run.rfm_segments values ($1, $2, $3, $4, $5, $6, $7, $8)", rows)
