"""Candidates: what an automation could be triggered by in this run.

A new event is one that no decision step has seen in the table `events`, under its id or that of its order. So neither an
update, a deletion or a restoration, nor a merge, another source's report of the same order, or a rebuild from the lake
makes a new one; and what a killed run had taken in is new to the next. Only what runs wrote that have not decided can be
new: of that, what earlier steps saw is taken out.

    temp.candidates  automation, occasion, workspace_id, contact_id, event_id, event_name, source, segment, occurred_at,
                     is_new. Grain: automation and occasion
    temp.undecided   those of earlier runs among them, as they stand in the ops store
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from itertools import chain
from typing import Any, Final

import duckdb
import polars as pl
from sqlglot import exp

from eventpipe.automations.grammar import Automation, EnteredTrigger, EventTrigger
from eventpipe.ops.automations import DECISION_SCHEMA
from eventpipe.ops.quiet import LINES, QuietLines
from eventpipe.ops.seen_events import KEY, MOST, Seen, SeenFrame
from eventpipe.segments.expressions import sql
from eventpipe.segments.names import Names
from eventpipe.segments.selection import where_holds
from eventpipe.sql import literal, literals

CANDIDATES: Final = "temp.candidates"
_FRESH: Final = "temp.fresh_events"
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

    def begin(self, undecided: Iterable[pl.DataFrame]) -> None:
        """Those of earlier runs that can be decided now, frames of DECISION_SCHEMA."""
        self._load("undecided", pl.DataFrame(schema=dict(DECISION_SCHEMA)), undecided)
        self._connection.execute(
            f"create or replace temp table {CANDIDATES} as select {_COLUMNS.removesuffix(', is_new')}, false as is_new"
            " from temp.undecided"
        )

    def find_fresh(self, decided: Mapping[str, set[str]], seen: Callable[[], Iterable[pl.DataFrame]]) -> None:
        """Events that no decision step has seen, of the names in `decided`, which tells for each of them the runs that
        decided about it. `seen` gives the keys of all that were seen, in frames: what is sent again under another name, or is
        called otherwise by its definition now, is no new event."""
        self._connection.execute(f"""
            create or replace temp table {_FRESH} as
            select event_id, event_name, source, landed_on, file, line, index,
                if(order_key is null, null, sha256(concat_ws(chr(31), workspace_id, event_name, order_key))) as order_hash
            from main.events where {self._undecided(decided)}""")
        if not self._connection.execute(f"select 1 from {_FRESH} limit 1").fetchall():
            return
        self._connection.execute(
            f"create or replace temp table fresh_keys as select event_id as key from {_FRESH}"
            f" union select order_hash from {_FRESH} where order_hash is not null"
        )
        self._connection.execute("create or replace temp table seen_keys (key varchar)")
        for frame in seen():
            self._connection.register("keys_frame", frame.to_arrow())
            self._connection.execute(
                "insert into temp.seen_keys select key from keys_frame where key in (from temp.fresh_keys)"
            )
            self._connection.unregister("keys_frame")
        self._connection.execute(
            f"delete from {_FRESH} where event_id in (from temp.seen_keys)"
            " or (order_hash is not null and order_hash in (from temp.seen_keys))"
        )
        self._connection.execute("drop table temp.fresh_keys; drop table temp.seen_keys")

    def fresh(self, event_names: Iterable[str]) -> Seen:
        """The keys of the fresh events of these names."""
        return {name: [*self._packed(name)] for name in event_names}

    def quieten(self, quiet: Iterable[QuietLines], *, lands_the_past: bool) -> None:
        """Lines that a backfill or a replay took in make no candidates, nor do the memberships that they change. In a run
        that `lands_the_past` itself these are the contacts that it touches, for lines can go too."""
        marks = _marks(quiet)
        lines = """
            select {columns} from {relation} as events
            inner join run.exports as exports
                on events.source = exports.source and events.landed_on = exports.landed_on and events.file = exports.file
            inner join {marks} as quiet
                on exports.source = quiet.source and exports.landed_on = quiet.landed_on
                and exports.file = quiet.file and exports.sha256 = quiet.sha256
                and (quiet.is_whole or (events.line = quiet.line and events.index is not distinct from quiet.index))"""
        untold = marks.filter(~pl.col("is_told"))
        touched = [lines.format(columns="contact_id", relation="main.events", marks="untold_frame")] * bool(len(untold))
        touched += ["select contact_id from work.touched_contacts"] * lands_the_past
        self._connection.register("quiet_frame", marks.to_arrow())
        self._connection.register("untold_frame", untold.to_arrow())
        self._connection.execute(
            "create or replace temp table quiet_events as"
            f" {lines.format(columns='distinct event_id', relation=_FRESH, marks='quiet_frame')}"
        )
        self._connection.execute(
            "create or replace temp table quiet_contacts as"
            f" {' union '.join(touched) or 'select null::varchar as contact_id where false'}"
        )
        self._connection.unregister("quiet_frame")
        self._connection.unregister("untold_frame")

    def find_events(self, automations: Iterable[Automation]) -> None:
        """Fresh events become candidates of these automations, but those that quiet lines made."""
        for automation in automations:
            self._add(automation, f"semi join {_FRESH} using (event_id) anti join temp.quiet_events using (event_id)")

    def ask_for_events(self, automation: Automation, known: set[str]) -> None:
        """All events that match, as old as the automation takes, become candidates, but the occasions `known`: those events, and
        whatever report stands for their orders now."""
        self._know("event_id", known)
        self._connection.execute(
            "create or replace temp table known_orders as select distinct workspace_id, event_name, order_key"
            " from main.event_history semi join known_frame using (event_id) where order_key is not null"
        )
        since = literal((self._as_of - automation.max_lateness).isoformat())
        self._add(
            automation,
            "anti join known_frame using (event_id)"
            " anti join temp.known_orders using (workspace_id, event_name, order_key)"
            f" anti join (select occasion as event_id from {CANDIDATES}"
            f" where automation = {literal(automation.name)}) as found using (event_id)",
            f"occurred_at >= {since}::timestamptz",
        )
        self._connection.unregister("known_frame")

    def find_memberships(self, automations: Iterable[Automation], known: Callable[[str], set[str]]) -> None:
        """The changes of membership of this run become candidates of these automations, but those of quiet contacts, and
        those `known` of a name: a run as of the same instant as the last can find the same change again."""
        for automation in automations:
            change, segment = _membership(automation)
            self._know("occasion", known(automation.name))
            self._connection.execute(
                f"""
                insert into {CANDIDATES} by name
                with changes as (
                    select {literal(automation.name)} as automation,
                        segment || ':' || contact_id || ':' || {_ISO.format("$as_of::timestamptz")} as occasion,
                        workspace_id, contact_id, segment, $as_of::timestamptz as occurred_at, true as is_new
                    from run.segment_changes
                    where change = $change and segment = $segment
                )
                from changes anti join temp.quiet_contacts using (contact_id) anti join known_frame using (occasion)""",
                {"as_of": self._as_of, "change": change, "segment": segment},
            )
            self._connection.unregister("known_frame")

    def ask_for_memberships(self, automation: Automation, known: set[str]) -> None:
        """All changes of membership of one segment, as old as the automation takes, become candidates, but those known, by
        whatever id their contact had then."""
        change, segment = _membership(automation)
        at = "entered_at" if change == "entered" else "left_at"
        self._know("occasion", known)
        self._connection.execute(
            f"""
            insert into {CANDIDATES} by name
            with decided as (
                select regexp_extract(occasion, '^([^:]*):([^:]*):(.*)$', ['segment', 'contact_id', 'at']) as parts
                from known_frame
            ),
            known as (
                select concat_ws(':', parts.segment, coalesce(aliases.contact_id, parts.contact_id), parts.at) as occasion
                from decided left join main.contact_aliases as aliases on parts.contact_id = aliases.alias_id
            ),
            asked as (
                select {literal(automation.name)} as automation,
                    segment || ':' || contact_id || ':' || {_ISO.format(at)} as occasion,
                    workspace_id, contact_id, segment, {at} as occurred_at, true as is_new
                from main.segment_history
                where segment = $segment and {at} >= $since
                    and (left_at is null or {literal(change)} = 'left')
            )
            from asked anti join known using (occasion) anti join {CANDIDATES} using (automation, occasion)""",
            {"segment": segment, "since": self._as_of - automation.max_lateness},
        )
        self._connection.unregister("known_frame")

    def _undecided(self, decided: Mapping[str, set[str]]) -> str:
        """The rows of `events` of these names that no run which decided about the name has written."""
        wrote = {run_id for (run_id,) in self._connection.execute("select distinct run_id from main.events").fetchall()}
        names: dict[frozenset[str], list[str]] = {}
        for name, runs in decided.items():
            names.setdefault(frozenset(wrote - runs), []).append(name)
        return (
            " or ".join(
                f"(event_name in ({literals(those)}) and run_id in ({literals(sorted(runs))}))"
                for runs, those in names.items()
                if runs
            )
            or "false"
        )

    def _packed(self, event_name: str) -> Iterator[SeenFrame]:
        reader = self._connection.execute(
            f"select event_id as {KEY} from {_FRESH} where event_name = $1"
            f" union all select order_hash from {_FRESH} where event_name = $1 and order_hash is not null",
            [event_name],
        ).to_arrow_reader(MOST)
        for batch in reader:
            frame = pl.DataFrame(batch)
            if frame.height:
                yield SeenFrame.of(frame)

    def _know(self, column: str, known: set[str]) -> None:
        self._connection.register("known_frame", pl.DataFrame({column: sorted(known)}, {column: pl.String}).to_arrow())

    def _load(self, table: str, empty: pl.DataFrame, frames: Iterable[pl.DataFrame]) -> None:
        for number, frame in enumerate(chain([empty], frames)):
            self._connection.register("loaded_frame", frame.to_arrow())
            insert = f"insert into temp.{table}" if number else f"create or replace temp table {table} as"
            self._connection.execute(f"{insert} from loaded_frame")
            self._connection.unregister("loaded_frame")

    def _add(self, automation: Automation, among: str, also: str = "true") -> None:
        assert isinstance(automation.trigger, EventTrigger)
        self._connection.execute(
            f"""
            insert into {CANDIDATES} by name
            select {literal(automation.name)} as automation, event_id as occasion, workspace_id, contact_id, event_id,
                event_name, source, occurred_at, true as is_new
            from (
                from main.events where deletion <> 'deleted' and contact_id is not null and {also}
            ) as events {among}
            where {awaited(automation.trigger, self._names)}"""
        )


def awaited(trigger: EventTrigger, names: Names) -> str:
    """Over the rows of `events`: whether a trigger is for this event."""
    tests = where_holds(trigger.where, names, (trigger.event,))
    return sql(
        exp.and_(
            exp.EQ(this=exp.column("event_name"), expression=exp.Literal.string(names.event(trigger.event))), *tests
        )
    )


def _marks(quiet: Iterable[QuietLines]) -> pl.DataFrame:
    """One row per line, or per export that is quiet as a whole."""
    schema: dict[str, Any] = {
        "source": pl.String,
        "landed_on": pl.Date,
        "file": pl.String,
        "sha256": pl.String,
        "is_whole": pl.Boolean,
        "is_told": pl.Boolean,
        **LINES,
    }
    whole = pl.DataFrame({"line": [None], "index": [None]}, schema=LINES)
    frames = [
        (whole if each.lines is None else each.lines).select(
            pl.lit(each.source).alias("source"),
            pl.lit(each.landed_on).alias("landed_on"),
            pl.lit(each.file).alias("file"),
            pl.lit(each.sha256).alias("sha256"),
            pl.lit(each.lines is None).alias("is_whole"),
            pl.lit(each.is_told).alias("is_told"),
            *LINES,
        )
        for each in quiet
    ]
    return pl.concat([pl.DataFrame(schema=schema), *frames])


def _membership(automation: Automation) -> tuple[str, str]:
    change = "entered" if isinstance(automation.trigger, EnteredTrigger) else "left"
    return change, automation.awaits.partition(" ")[2]
