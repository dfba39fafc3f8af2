"""The decision about each candidate: one status and, unless it fired or waits, one reason.

In this order: the automation is gone (inactive); it was too old when it was found (too_late); the audit holds its event
back (held); its wait is not over (waiting); the event was deleted, or is nobody's any more (condition); the contact is gone
(erased); nobody judged it for too long since (too_late); the event has become another that the automation does not wait for
(condition); an exit since the trigger (exited); `only_if` does not hold (condition); the contact had its share (frequency);
else it fires. So while it waits nothing is asked about it. All of it is judged with what is known
as of the run, of the contact as it is now.

    temp.judged   temp.candidates and contact_id as it is now, current_event_id, due_at, status, reason, detail
    temp.ready    those of one automation that neither an exit nor `only_if` stopped
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Final

import duckdb
import polars as pl
from sqlglot import exp

from eventpipe.automations.candidates import CANDIDATES, awaited
from eventpipe.automations.grammar import Automation, EventTrigger
from eventpipe.automations.payload import payload_sql
from eventpipe.ops.automations import DECISION_SCHEMA, TRIGGER_SCHEMA
from eventpipe.segments.compile import Compiler
from eventpipe.segments.expressions import sql
from eventpipe.segments.names import Names
from eventpipe.segments.query import Standpoint, Tables
from eventpipe.segments.selection import event_attribute, where_holds
from eventpipe.sql import literal, literals

LastFired = Callable[[str, list[str]], pl.DataFrame]
"""When an automation last fired for each of some contact ids: contact_id and fired_at."""

JUDGED: Final = "temp.judged"
_TICK: Final = timedelta(microseconds=1)
_ISO: Final = "strftime({0} at time zone 'UTC', '%Y-%m-%d %H:%M:%S UTC')"
_VIEWS: Final = Tables("temp.their_events", "temp.their_contacts", "temp.their_identifiers", "temp.their_rfm")


class Judge:
    """Decides about `temp.candidates` in the working database, as of an instant."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, names: Names, as_of: datetime, run_id: str) -> None:
        self._connection = connection
        self._names = names
        self._as_of = as_of
        self._run_id = run_id

    def judge(
        self,
        automations: Iterable[Automation],
        started: set[str],
        held: set[tuple[str, str]],
        last_fired: LastFired,
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """What changed: decisions (DECISION_SCHEMA and is_new) and triggers (TRIGGER_SCHEMA). `started` are automations
        that this run activates: what waited under their name before waited for something else.
        """
        automations = list(automations)
        self._rules(automations, started)
        self._holds(held)
        self._resolve()
        fired = []
        for automation in automations:
            if self._exists(f"from {JUDGED} where automation = {literal(automation.name)} and status = 'open'"):
                self._changes(automation)
                self._exits(automation)
                self._conditions(automation)
                self._frequency(automation, last_fired)
                fired.append(self._fire(automation))
        return self._decisions(), pl.concat(fired) if fired else pl.DataFrame(schema=TRIGGER_SCHEMA)

    def _rules(self, automations: list[Automation], started: set[str]) -> None:
        rules = pl.DataFrame(
            [
                (
                    each.name,
                    each.version,
                    each.wait // _TICK,
                    each.max_lateness // _TICK,
                    _span(each.max_lateness),
                    each.name in started,
                )
                for each in automations
            ],
            schema={
                "automation": pl.String,
                "rule_version": pl.String,
                "wait": pl.Int64,
                "lateness": pl.Int64,
                "latest": pl.String,
                "is_started": pl.Boolean,
            },
            orient="row",
        )
        self._store("automation_rules", rules)

    def _holds(self, held: set[tuple[str, str]]) -> None:
        frame = pl.DataFrame(sorted(held), schema={"source": pl.String, "event_name": pl.String}, orient="row")
        self._store("held_events", frame)

    def _resolve(self) -> None:
        """Each candidate with its event and its contact as they are now, and what that alone decides."""
        # The event of an order that another source's report stands for now has another id.
        self._connection.execute(f"""
            create or replace temp table current_events as
            with wanted as (select distinct event_id from {CANDIDATES} where event_id is not null),
            direct as (
                select event_id as wanted_id, event_id, contact_id, deletion from main.events semi join wanted using (event_id)
            ),
            superseded as (
                select distinct event_id as wanted_id, workspace_id, event_name, order_key
                from main.event_history semi join wanted using (event_id)
                where order_key is not null and event_id not in (select wanted_id from direct)
            )
            from direct
            union all
            select wanted_id, events.event_id, events.contact_id, events.deletion
            from (from main.events where order_key is not null) as events
            inner join superseded using (workspace_id, event_name, order_key)
            where deletion <> 'deleted'""")
        as_of = f"{literal(self._as_of.isoformat())}::timestamptz"
        self._connection.execute(f"""
            create or replace temp table judged as
            with now as (
                select candidates.* exclude (contact_id), candidates.contact_id as known_contact_id,
                    coalesce(current.contact_id, aliases.contact_id, candidates.contact_id) as contact_id,
                    current.event_id as current_event_id, current.deletion,
                    current.event_id is not null and current.contact_id is null as is_nobodys,
                    rules.rule_version, rules.lateness, rules.latest,
                    occurred_at + to_microseconds(coalesce(rules.wait, 0)) as due_at,
                    rules.automation is null or (rules.is_started and not is_new) as is_inactive, held.source is not null as is_held
                from {CANDIDATES} as candidates
                left join temp.automation_rules as rules using (automation)
                left join temp.current_events as current on candidates.event_id = current.wanted_id
                left join main.contact_aliases as aliases
                    on candidates.workspace_id = aliases.workspace_id and candidates.contact_id = aliases.alias_id
                left join temp.held_events as held
                    on candidates.source = held.source and candidates.event_name = held.event_name
            ),
            found as (
                select now.*, contacts.contact_id is null as is_gone
                from now left join main.contacts as contacts using (workspace_id, contact_id)
            ),
            first_look as (
                select *, case
                    when is_inactive then 'inactive'
                    when is_new and {as_of} - occurred_at > to_microseconds(lateness) then 'too_late'
                    when is_held then 'held'
                    when due_at > {as_of} then 'waiting'
                    when deletion = 'deleted' then 'deleted'
                    when is_nobodys then 'nobodys'
                    when is_gone then 'erased'
                    when event_id is not null and current_event_id is null then 'deleted'
                    when {as_of} - due_at > to_microseconds(lateness) then 'missed'
                    else 'open'
                end as outcome
                from found
            )
            select automation, occasion, workspace_id, contact_id, known_contact_id, event_id, current_event_id, event_name,
                source, segment, occurred_at, due_at, rule_version, is_new,
                if(outcome in ('open', 'held', 'waiting'), outcome, 'skipped') as status,
                case when outcome in ('deleted', 'nobodys') then 'condition' when outcome = 'missed' then 'too_late'
                    when outcome not in ('waiting', 'open') then outcome end as reason,
                case outcome
                    when 'inactive' then 'the automation is no longer defined, or waits for something else'
                    when 'deleted' then 'the event was deleted'
                    when 'nobodys' then 'the event is nobody''s any more'
                    when 'erased' then 'the contact is no longer there'
                    when 'too_late' then 'it was older than ' || latest || ' when it came'
                    when 'missed' then 'nobody judged it within ' || latest || ' of its time'
                    when 'held' then 'the audit holds ' || event_name || ' of ' || source || ' back'
                end as detail
            from first_look""")

    def _changes(self, automation: Automation) -> None:
        """Skips those whose event, as it was sent again or reported by another source, would not be a candidate now."""
        trigger = automation.trigger
        if not isinstance(trigger, EventTrigger):
            return
        self._connection.execute(f"""
            create or replace temp table changed as
            with waited as (
                from {JUDGED} where automation = {literal(automation.name)} and status = 'open' and not is_new
            )
            select occasion from waited
            where current_event_id in (
                select event_id from (from main.events semi join waited on events.event_id = waited.current_event_id) as events
                where ({awaited(trigger, self._names)}) is not true
            )""")
        self._skip(
            automation, "condition", "'the event is not what it was, and none to wait for'", "temp.changed", "changed"
        )

    def _exits(self, automation: Automation) -> None:
        """Skips those whose contact did what `unless` names since the trigger."""
        unless = automation.unless
        if unless is None:
            return
        names = dict.fromkeys(self._names.event(name) for name in unless.names)
        tests = [*where_holds(unless.where, self._names, unless.names)]
        theirs = ", ".join(
            f"{sql(event_attribute(name, self._names, unless.names).text)} as match_{place}"
            for place, name in enumerate(unless.match)
        )
        trigger = automation.trigger
        events = (trigger.event,) if isinstance(trigger, EventTrigger) else ()
        own_name = self._names.event(events[0]) if events else None
        ours = ", ".join(
            f"{sql(event_attribute(name, self._names, events).text)} as match_{place}"
            for place, name in enumerate(unless.match)
        )
        alike = "".join(f" and mine.match_{place} = exits.match_{place}" for place in range(len(unless.match)))
        # Its own event exits nobody, whenever a later report of it says that it occurred. Of two at the same instant that
        # could exit each other, the one with the later id does.
        self._connection.execute(f"""
            create or replace temp table exited as
            with waiting as (
                from {JUDGED} where automation = {literal(automation.name)} and status = 'open'
            ),
            exits as (
                select contact_id, event_id, event_name, occurred_at {", " + theirs if theirs else ""}
                from main.events
                where event_name in ({literals(names)}) and deletion <> 'deleted'
                    and contact_id in (select contact_id from waiting)
                    and {sql(exp.and_(*tests)) if tests else "true"}
            ),
            matched as (
                select event_id {", " + ours if ours else ""}
                from main.events semi join waiting on events.event_id = waiting.current_event_id
                where {str(bool(ours)).lower()}
            )
            select waiting.occasion, min_by(
                struct_pack(name := exits.event_name, at := exits.occurred_at), (exits.occurred_at, exits.event_id)
            ) as found
            from waiting
            inner join exits using (contact_id)
            left join matched as mine on waiting.current_event_id = mine.event_id
            where exits.event_id is distinct from waiting.current_event_id and (
                exits.occurred_at > waiting.occurred_at
                or (exits.occurred_at = waiting.occurred_at and (exits.event_name is distinct from {literal(own_name)}
                    or exits.event_id > waiting.current_event_id))
            ){alike}
            group by waiting.occasion""")
        self._skip(
            automation,
            "exited",
            f"from_exit.found.name || ' at ' || {_ISO.format('from_exit.found.at')}",
            "temp.exited",
            "from_exit",
        )

    def _conditions(self, automation: Automation) -> None:
        """Skips those for whose contact `only_if` does not hold."""
        if automation.only_if is None:
            return
        self._connection.execute(
            f"create or replace temp table asked_contacts as select distinct contact_id from {JUDGED}"
            f" where automation = {literal(automation.name)} and status = 'open'"
        )
        sources = ("events", "contacts", "contact_identifiers", "contact_rfm")
        for view, source in zip(vars(_VIEWS).values(), sources, strict=True):
            self._connection.execute(
                f"create or replace temp view {view.removeprefix('temp.')} as"
                f" from main.{source} semi join temp.asked_contacts using (contact_id)"
            )
        compiler = Compiler(Standpoint(self._names, self._as_of, _VIEWS), _members_of)
        members = sql(compiler.query(automation.only_if).members())
        self._connection.execute(
            "create or replace temp table failed as select judged.occasion from"
            f" (from {JUDGED} where automation = {literal(automation.name)} and status = 'open') as judged"
            f" where contact_id not in ({members})"
        )
        self._skip(automation, "condition", "'only_if does not hold'", "temp.failed", "failed")

    def _frequency(self, automation: Automation, last_fired: LastFired) -> None:
        """Skips those whose contact had a trigger already, under whatever id, or gets one in this run."""
        every = automation.every
        is_event = isinstance(automation.trigger, EventTrigger)
        if every is None and is_event:
            return
        mine = f"automation = {literal(automation.name)} and status = 'open'"
        history = pl.DataFrame(schema={"contact_id": pl.String, "fired_at": pl.Datetime("us", "UTC")})
        if every is not None:
            ids = self._connection.execute(
                f"with asked as (select distinct contact_id from {JUDGED} where {mine})"
                " select contact_id from asked"
                " union select alias_id from main.contact_aliases semi join asked using (contact_id)"
            ).fetchall()
            history = last_fired(automation.name, [contact_id for (contact_id,) in ids])
        since = None if every in (None, timedelta.max) else self._as_of - (every or timedelta())
        self._connection.register("fired_frame", history.to_arrow())
        # One run sends one contact one, also of two memberships that a merge has made one.
        self._connection.execute(
            f"""
            create or replace temp table too_often as
            with fired as (
                select coalesce(aliases.contact_id, frame.contact_id) as contact_id, max(fired_at) as fired_at
                from fired_frame as frame
                left join main.contact_aliases as aliases on frame.contact_id = aliases.alias_id
                group by all
            ),
            turns as (
                select occasion, contact_id, row_number() over (partition by contact_id order by occurred_at, occasion) as turn
                from {JUDGED} where {mine}
            )
            select occasion, if(fired.contact_id is null, 'another one fires in this run',
                'the last one fired at ' || {_ISO.format("fired.fired_at")}) as why
            from turns
            left join fired on turns.contact_id = fired.contact_id and ($since is null or fired.fired_at > $since::timestamptz)
            where turn > 1 or fired.contact_id is not null""",
            {"since": since},
        )
        self._connection.unregister("fired_frame")
        self._skip(automation, "frequency", "too_often.why", "temp.too_often", "too_often")

    def _fire(self, automation: Automation) -> pl.DataFrame:
        """Fires what is left of it."""
        mine = f"automation = {literal(automation.name)} and status = 'open'"
        self._connection.execute(f"create or replace temp table ready as from {JUDGED} where {mine}")
        triggers = self._connection.execute(f"""
            select {trigger_id("ready")} as trigger_id, ready.automation, ready.workspace_id, ready.contact_id, ready.occasion,
                {literal(self._as_of.isoformat())}::timestamptz as fired_at,
                {payload_sql(automation, self._names)} as payload, ready.rule_version,
                {literal(self._run_id)} as run_id
            from temp.ready as ready
            left join (from main.events semi join temp.ready on events.event_id = ready.current_event_id) as events
                on ready.current_event_id = events.event_id
            inner join (from main.contacts semi join temp.ready using (workspace_id, contact_id)) as contacts
                on ready.workspace_id = contacts.workspace_id and ready.contact_id = contacts.contact_id
            order by ready.occurred_at, ready.occasion""").pl()
        self._connection.execute(f"update {JUDGED} set status = 'fired' where {mine}")
        return triggers.select(pl.col(name).cast(kind) for name, kind in TRIGGER_SCHEMA.items())

    def _skip(self, automation: Automation, reason: str, detail: str, found: str, alias: str) -> None:
        self._connection.execute(
            f"update {JUDGED} as judged set status = 'skipped', reason = {literal(reason)}, detail = {detail}"
            f" from {found} as {alias}"
            f" where judged.automation = {literal(automation.name)} and judged.status = 'open'"
            f" and judged.occasion = {alias}.occasion"
        )

    def _decisions(self) -> pl.DataFrame:
        """New candidates, and those of before about whom something is new."""
        columns = ", ".join(DECISION_SCHEMA)
        return (
            self._connection.execute(f"""
            select {columns}, is_new from (
                select judged.* exclude (rule_version),
                    {literal(self._as_of.isoformat())}::timestamptz as decided_at,
                    if(judged.status = 'fired', {trigger_id("judged")}, null) as trigger_id,
                    coalesce(judged.rule_version, before.rule_version) as rule_version,
                    {literal(self._run_id)} as run_id
                from {JUDGED} as judged
                left join temp.undecided as before using (automation, occasion)
                where is_new or judged.status <> before.status or judged.contact_id <> before.contact_id
                    or judged.due_at <> before.due_at
            ) order by occurred_at, automation, occasion""")
            .pl()
            .select(*(pl.col(name).cast(kind) for name, kind in DECISION_SCHEMA.items()), "is_new")
        )

    def _store(self, name: str, frame: pl.DataFrame) -> None:
        self._connection.register("stored_frame", frame.to_arrow())
        self._connection.execute(f"create or replace temp table {name} as from stored_frame")
        self._connection.unregister("stored_frame")

    def _exists(self, query: str) -> bool:
        return self._connection.execute(f"{query} limit 1").fetchone() is not None


def trigger_id(row: str) -> str:
    """The id of a row's trigger, as SQL: a function of the workspace, the automation and the occasion."""
    parts = f"{row}.workspace_id, {row}.automation, {row}.occasion"
    return f"'trg_' || left(sha256(concat_ws(chr(31), {parts})), 32)"


def _members_of(segment: str) -> exp.Select:
    members = exp.select("contact_id").from_("segment_members")
    return members.where(exp.EQ(this=exp.column("segment"), expression=exp.Literal.string(segment)))


def _span(length: timedelta) -> str:
    hours, rest = divmod(int(length.total_seconds()), 3600)
    return f"{hours}h" if not rest else f"{length.total_seconds():.0f}s"
