"""Candidates: what an automation could be triggered by in this run (spec 4).

A new event is one that no decision step has seen in the table `events`, under its id or that of its order. So neither an
update, a deletion or a restoration, nor a merge, another source's report of the same order, or a rebuild from the lake
makes a new one; and what a killed run had taken in is new to the next.

    temp.candidates  automation, occasion, workspace_id, contact_id, event_id, event_name, source, segment, occurred_at,
                     is_new. Grain: automation and occasion
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

import duckdb
import polars as pl
from sqlglot import exp

from eventpipe.automations.grammar import Automation, EnteredTrigger, EventTrigger
from eventpipe.ops.quiet import LINES, QuietLines
from eventpipe.segments.expressions import sql
from eventpipe.segments.names import Names
from eventpipe.segments.selection import where_holds
from eventpipe.sql import literal, literals

CANDIDATES: Final = "temp.candidates"
FRESH: Final = "temp.fresh_events"
_COLUMNS: Final = (
    "automation, occasion, workspace_id, contact_id, event_id, event_name, source, segment, occurred_at, is_new"
)
_ISO: Final = "strftime({0} at time zone 'UTC', '%Y-%m-%dT%H:%M:%S.%fZ')"


class Candidates:
    """Fills `temp.candidates` in the working database, as of an instant."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, names: Names, as_of: datetime) -> None:
        self._connection = connection
        self._names = names
        self._as_of = as_of

    def begin(self, undecided: pl.DataFrame) -> None:
        """Those of earlier runs that are still to be decided."""
        self._connection.register("undecided_frame", undecided.to_arrow())
        self._connection.execute(
            f"create or replace temp table {CANDIDATES} as select {_COLUMNS.removesuffix(', is_new')}, false as is_new"
            " from undecided_frame"
        )
        self._connection.unregister("undecided_frame")

    def find_events(
        self,
        automations: Iterable[Automation],
        seen: Mapping[str, Iterable[pl.DataFrame]],
        quiet: Iterable[QuietLines],
    ) -> dict[str, pl.Series]:
        """New events of the names in `seen` (frames of keys that runs have seen) become candidates of these automations,
        but those that quiet lines made. Returns the keys of all new ones."""
        if not seen:
            return {}
        self._find_fresh(seen)
        self._quieten(quiet)
        for automation in automations:
            self._add(automation, f"semi join {FRESH} using (event_id) anti join temp.quiet_events using (event_id)")
        keys = self._connection.execute(
            f"select event_name, event_id as key from {FRESH}"
            f" union all select event_name, order_hash from {FRESH} where order_hash is not null"
        ).pl()
        return {str(name): rows["key"] for (name,), rows in keys.partition_by("event_name", as_dict=True).items()}

    def ask_for_events(self, automation: Automation, known: set[str]) -> None:
        """All events that match, as old as the automation takes, become candidates, but the occasions `known`."""
        self._connection.register(
            "known_frame", pl.DataFrame({"event_id": sorted(known)}, {"event_id": pl.String}).to_arrow()
        )
        since = literal((self._as_of - automation.max_lateness).isoformat())
        self._add(
            automation,
            f"anti join known_frame using (event_id) anti join (select occasion as event_id from {CANDIDATES}"
            f" where automation = {literal(automation.name)}) as found using (event_id)",
            f"occurred_at >= {since}::timestamptz",
        )
        self._connection.unregister("known_frame")

    def find_memberships(self, automations: Iterable[Automation]) -> None:
        """The changes of membership of this run become candidates of these automations."""
        for automation in automations:
            change, segment = _membership(automation)
            self._connection.execute(
                f"""
                insert into {CANDIDATES} by name
                select {literal(automation.name)} as automation,
                    segment || ':' || contact_id || ':' || {_ISO.format("$as_of::timestamptz")} as occasion,
                    workspace_id, contact_id, segment, $as_of::timestamptz as occurred_at, true as is_new
                from run.segment_changes
                where change = $change and segment = $segment""",
                {"as_of": self._as_of, "change": change, "segment": segment},
            )

    def ask_for_memberships(self, automation: Automation, known: set[str]) -> None:
        """All changes of membership of one segment, as old as the automation takes, become candidates, but those known."""
        change, segment = _membership(automation)
        at = "entered_at" if change == "entered" else "left_at"
        self._connection.register(
            "known_frame", pl.DataFrame({"occasion": sorted(known)}, {"occasion": pl.String}).to_arrow()
        )
        self._connection.execute(
            f"""
            insert into {CANDIDATES} by name
            with asked as (
                select {literal(automation.name)} as automation,
                    segment || ':' || contact_id || ':' || {_ISO.format(at)} as occasion,
                    workspace_id, contact_id, segment, {at} as occurred_at, true as is_new
                from main.segment_history
                where segment = $segment and {at} >= $since
                    and (left_at is null or {literal(change)} = 'left')
            )
            from asked anti join known_frame using (occasion) anti join {CANDIDATES} using (automation, occasion)""",
            {"segment": segment, "since": self._as_of - automation.max_lateness},
        )
        self._connection.unregister("known_frame")

    def _find_fresh(self, seen: Mapping[str, Iterable[pl.DataFrame]]) -> None:
        self._connection.execute("create or replace temp table seen_keys (key varchar)")
        for frames in seen.values():
            for frame in frames:
                self._connection.register("keys_frame", frame.to_arrow())
                self._connection.execute("insert into temp.seen_keys select key from keys_frame")
                self._connection.unregister("keys_frame")
        self._connection.execute(
            f"""
            create or replace temp table {FRESH} as
            with events as (
                select event_id, event_name, source, landed_on, file, line, index,
                    if(order_key is null, null, sha256(concat_ws(chr(31), workspace_id, event_name, order_key)))
                        as order_hash
                from main.events where event_name in ({literals(seen)})
            )
            from events
            where event_id not in (from temp.seen_keys)
                and (order_hash is null or order_hash not in (from temp.seen_keys))"""
        )
        self._connection.execute("drop table temp.seen_keys")

    def _quieten(self, quiet: Iterable[QuietLines]) -> None:
        whole = pl.DataFrame(
            schema={
                "source": pl.String,
                "landed_on": pl.Date,
                "file": pl.String,
                "sha256": pl.String,
                "is_whole": pl.Boolean,
                **LINES,
            }
        )
        frames = [whole]
        for each in quiet:
            lines = (
                each.lines if each.lines is not None else pl.DataFrame({"line": [None], "index": [None]}, schema=LINES)
            )
            frames.append(
                lines.select(
                    pl.lit(each.source).alias("source"),
                    pl.lit(each.landed_on).alias("landed_on"),
                    pl.lit(each.file).alias("file"),
                    pl.lit(each.sha256).alias("sha256"),
                    pl.lit(each.lines is None).alias("is_whole"),
                    *LINES,
                )
            )
        self._connection.register("quiet_frame", pl.concat(frames).to_arrow())
        self._connection.execute(
            f"""
            create or replace temp table quiet_events as
            select distinct fresh.event_id
            from {FRESH} as fresh
            inner join run.exports as exports
                on fresh.source = exports.source and fresh.landed_on = exports.landed_on and fresh.file = exports.file
            inner join quiet_frame as quiet
                on exports.source = quiet.source and exports.landed_on = quiet.landed_on
                and exports.file = quiet.file and exports.sha256 = quiet.sha256
                and (quiet.is_whole
                    or (fresh.line = quiet.line and fresh.index is not distinct from quiet.index))"""
        )
        self._connection.unregister("quiet_frame")

    def _add(self, automation: Automation, among: str, also: str = "true") -> None:
        trigger = automation.trigger
        assert isinstance(trigger, EventTrigger)
        event_name = self._names.event(trigger.event)
        tests = [*where_holds(trigger.where, self._names, (trigger.event,))]
        matches = sql(exp.and_(*tests)) if tests else "true"
        self._connection.execute(
            f"""
            insert into {CANDIDATES} by name
            select {literal(automation.name)} as automation, event_id as occasion, workspace_id, contact_id, event_id,
                event_name, source, occurred_at, true as is_new
            from (
                from main.events
                where event_name = {literal(event_name)} and deletion <> 'deleted' and contact_id is not null and {also}
            ) as events {among}
            where {matches}"""
        )


def _membership(automation: Automation) -> tuple[str, str]:
    change = "entered" if isinstance(automation.trigger, EnteredTrigger) else "left"
    return change, automation.awaits.partition(" ")[2]
