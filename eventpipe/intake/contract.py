"""The row contract: records in, judged events out, as one SQL query per export.

Every line of an export becomes one row of the lake: accepted with its canonical event, or rejected with its raw text
and every reason that applies. The steps are the common table expressions of `judged`, top to bottom.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

from eventpipe.identity.blocked import blocked_sql
from eventpipe.intake import digits, normalise
from eventpipe.intake.definitions import DefinitionSql
from eventpipe.intake.reasons import by_definition, is_uncomputed, observed, reasons, uncomputable
from eventpipe.intake.second_look import SecondLook
from eventpipe.intake.sent import Sent
from eventpipe.project.definitions import Registry
from eventpipe.project.settings import Settings
from eventpipe.project.sources import SourceProfile
from eventpipe.project.vocabulary import DEFAULT_IDENTIFIERS
from eventpipe.sql import identifier, literal, literals

# An event may lie ahead of its landing date by clock differences and time zones, not by more.
AHEAD = timedelta(hours=24)

_STATUSES = ("accepted", "rejected")

LAKE_COLUMNS = (
    "status line index workspace_id source landed_on file event_id event_name raw_event_name kind occurred_at "
    "customer_id email phone anonymous_id identifiers dedupe_key order_id order_key goal_type goal_name value currency "
    "properties property_types extra traits deletion deleted_at flags coercions violations reasons raw raw_is_base64 "
    "definition_version"
).split()
"""One row per non-blank line. `identifiers` is the event's usable identifier set as JSON, strongest first;
`order_key` what `dedupe_on` found, null of a refund, which is an event of its own; `flags` what was accepted with a remark,
`coerced:<property>` too; `violations` what an observing definition would have rejected; `property_types` the names of the
top-level properties, 0x1E, and their JSON types as DuckDB calls them, both separated by 0x1F; event columns are null where a
rejected line gave none."""


@dataclass(frozen=True)
class Landing:
    """The exports of one source that are judged together. A record's `export` is the number of its own, from 1."""

    source: str
    exports: tuple[tuple[date, str], ...]
    """Landing dates and file names."""

    def of_days(self, expression: Callable[[date], str]) -> str:
        """The SQL expression that belongs to a record's landing date."""
        return self._each([expression(landed_on) for landed_on, _ in self.exports])

    @property
    def file(self) -> str:
        """The name of a record's export, as SQL."""
        return self._each([literal(file) for _, file in self.exports])

    @staticmethod
    def _each(values: list[str]) -> str:
        return values[0] if len(set(values)) == 1 else f"[{', '.join(values)}][export]"


@dataclass(frozen=True)
class Contract:
    """What a source's events are judged by."""

    profile: SourceProfile
    settings: Settings
    registry: Registry

    def judged(self, records: str, sent: Sent, landing: Landing, look: SecondLook) -> str:
        """The query that gives LAKE_COLUMNS and `export` for the query `records` (line, index, raw, doc, fault, export, j)."""
        profile = self.profile
        plan = DefinitionSql(self.registry, coerce=profile.coerce)
        extra_types = [t for t in self.settings.identity.names if t not in DEFAULT_IDENTIFIERS]
        others = {name: sent.other_identifiers.get(name, "null") for name in extra_types}
        landed = landing.of_days(_midnight)
        latest = landing.of_days(lambda day: _midnight(day + timedelta(days=1) + AHEAD))
        earliest = _midnight(self.settings.earliest)
        scope = "event_name" if profile.key_scope == "event_name" else "''"
        name = "sent_event_name" if profile.name_rule == "notifuse" else normalise.trimmed("sent_event_name")
        coalesced = {
            column: f"coalesce({normalise.trimmed('sent_' + column)}, {_filled(plan.mapped(column))})"
            for column in (*DEFAULT_IDENTIFIERS, "dedupe_key", "order_id", "goal_name")
        } | {column: f"coalesce(sent_{column}, {_filled(plan.mapped(column))})" for column in ("goal_type", "currency")}
        declared = {
            name: f"coalesce({normalise.trimmed(identifier('sent_' + name))}, {_filled(plan.mapped(name))})"
            for name in others
        }
        # A phone number costs a call into Python: not where nobody sends any.
        sends_phones = sent.phone != "null" or "phone" in plan_targets(self.registry)
        phone = normalise.phone("mapped_phone", profile.default_region) if sends_phones else "null::varchar"
        found = reasons(profile, latest, earliest, sent.uncomputed)
        if look.exceeding:
            found.append((look.too_many("complete.line", "complete.index"), "'cardinality.exceeded'"))
        remarked: list[tuple[str, str]] = []
        if any(definition.mode == "observe" for definition in self.registry.definitions):
            found, remarked = by_definition(found)
        found += uncomputable(sent.uncomputed)
        any_reason = " or ".join(f"coalesce({condition}, false)" for condition, _ in found)
        listed = ", ".join(f"case when {condition} then {code} end" for condition, code in found)
        return f"""
with records as ({records}),
sent as (
    select line, index, raw, fault, export,
        {sent.event_name} as sent_event_name,
        {sent.kind} as kind,
        {sent.workspace_id} as sent_workspace_id,
        {sent.occurred_at} as sent_occurred_at,
        {sent.customer_id} as sent_customer_id,
        {sent.email} as sent_email,
        {sent.phone} as sent_phone,
        {sent.anonymous_id} as sent_anonymous_id,
        {"".join(f"{value} as {identifier('sent_' + name)}, " for name, value in others.items())}
        {"".join(f"{value} as {identifier('previous_' + name)}, " for name, value in sent.previous)}
        {sent.dedupe_key} as sent_dedupe_key,
        {sent.order_id} as sent_order_id,
        {sent.goal_type} as sent_goal_type,
        {sent.goal_name} as sent_goal_name,
        {"null::varchar" if sent.value == "null" else sent.value} as sent_value,
        {sent.currency} as sent_currency,
        cast({look.properties(sent.properties)} as json) as properties,
        cast({sent.extra} as json) as extra,
        cast({sent.traits} as json) as traits,
        {sent.deletion} as deletion,
        {"".join(f"{condition} as {is_uncomputed(name)}, " for name, condition in sent.uncomputed.items())}
        {normalise.trimmed(sent.deleted_at)} as sent_deleted_at,
        {sent.given} as given
    from records
),
titled as (
    -- Pages and screens may go unnamed, and who identifies or merges has no name but that.
    select * replace (
            {normalise.trimmed("sent_goal_type")} as sent_goal_type,
            {_given_json("sent_value")} as sent_value,
            {normalise.trimmed("sent_currency")} as sent_currency
        ),
        coalesce({name}, nullif(kind, 'track')) as trimmed_name
    from sent
),
defined as (
    select *, case when kind <> 'identify' and kind <> 'alias' then {plan.number("trimmed_name")} end as definition
    from titled
),
named as (select *, coalesce({plan.canonical_name()}, trimmed_name) as event_name from defined),
listed as (select *, {plan.values()} as p from named),
declared as (select *, {plan.declared_values()} as v from listed),
spelled as (select *, {plan.texts()} as t from declared),
valued as (select *, {plan.coerced_flags()} as c from spelled),
mapped as (
    select *,
        {", ".join(f"{expression} as mapped_{column}" for column, expression in coalesced.items())},
        coalesce(sent_value, {plan.mapped("value", as_json=True)}, {plan.goal("value")}) as mapped_value,
        {plan.goal("type")} as goal_of_definition,
        {plan.goal("name")} as goal_name_of_definition,
        {normalise.trimmed("sent_occurred_at")} as written_at,
        {normalise.folded("mapped_email")} as folded_email{"".join(self._folded(name) for name, _ in sent.previous)}
    from valued
),
normal as (
    select * replace (coalesce({normalise.trimmed("sent_workspace_id")}, {literal(self.settings.workspace)}) as sent_workspace_id),
        {normalise.instant("written_at", profile.timezone, sent.occurred_at_format)} as read_at,
        {normalise.instant("sent_deleted_at", profile.timezone, sent.deleted_at_format)} as deleted_at,
        mapped_customer_id as customer_id,
        {normalise.email("folded_email")} as email,
        {phone} as phone,
        mapped_anonymous_id as anonymous_id,
        {"".join(f"{value} as {identifier('other_' + name)}, " for name, value in declared.items())}
        {"".join(self._previous(name) for name, _ in sent.previous)}
        {normalise.key("mapped_dedupe_key")} as dedupe_key,
        {normalise.key("mapped_order_id")} as order_id,
        coalesce(mapped_goal_type, goal_of_definition) as goal_type,
        coalesce(mapped_goal_name, goal_name_of_definition) as goal_name,
        {_exactly("mapped_value", "raw")} as value_text,
        {normalise.currency("mapped_currency")} as written_currency
    from mapped
),
complete as (
    select *,
        {normalise.money("value_text")} as value,
        coalesce(read_at, case when written_at is null then {landed} end) as occurred_at,
        {self._set(extra_types, [name for name, _ in sent.previous])} as identifiers,
        {plan.observes()} as observes,
        {plan.violations()} as violations
    from normal
),
judged as (
    select *,
        case when {any_reason} then list_filter(
            list_concat([{listed}], case when fault is null and not observes and deletion is distinct from 'deleted' then violations end),
            lambda r: r is not null
        ) end as reasons
    from complete
)
select
    case when reasons is null then {_of(_STATUSES, "accepted")} else {_of(_STATUSES, "rejected")} end as status,
    line,
    index,
    {_same(self.settings.workspace) if sent.workspace_id == "null" else "sent_workspace_id"} as workspace_id,
    {_same(landing.source)} as source,
    {landing.of_days(lambda day: f"date {literal(day)}")} as landed_on,
    {_same(landing.exports[0][1]) if len(landing.exports) == 1 else landing.file} as file,
    case when reasons is null then md5(case
        when dedupe_key is not null
            then concat_ws(chr(0), 'key', sent_workspace_id, {literal(landing.source)}, {scope}, dedupe_key)
        else concat_ws(
            chr(0), 'line', sent_workspace_id, {literal(landing.source)}, {landing.of_days(literal)},
            {landing.file}, line, index
        )
    end) end as event_id,
    event_name,
    sent_event_name as raw_event_name,
    kind,
    occurred_at,
    customer_id,
    email,
    phone,
    anonymous_id,
    identifiers,
    dedupe_key,
    order_id,
    cast(case when reasons is null and coalesce(value, 0) >= 0 then {plan.order_key()} end as varchar) as order_key,
    case when reasons is null then goal_type end as goal_type,
    case when goal_type is not null or sent_goal_name is not null then goal_name end as goal_name,
    value,
    case when value is not null then coalesce(written_currency, {literal(self.settings.currency)}) end as currency,
    case when reasons is null then {plan.canonical_properties()} end as properties,
    case when reasons is null and properties is not null then {_types("properties")} end as property_types,
    case when reasons is null then extra end as extra,
    case when reasons is null then traits end as traits,
    {_same("unchanged") if sent.deletion == "null" else "coalesce(deletion, 'unchanged')"} as deletion,
    deleted_at,
    {self._flags(plan)} as flags,
    cast(case when reasons is null then {plan.coercions()}{self._value_coercion()} else 0 end as bigint) as coercions,
    {observed(remarked)} as violations,
    reasons,
    case when reasons is not null then rtrim(raw, chr(10) || chr(13)) end as raw,
    fault is not distinct from 'encoding.invalid' as raw_is_base64,
    cast({plan.version()} as varchar) as definition_version,
    export
from judged"""

    def _set(self, others: list[str], previous: list[str]) -> str:
        """The usable identifiers as JSON text, in the declared order of strength; null when there is none.

        Values that can never link are left out here; the project's own list is applied when contacts are resolved,
        so that editing it needs no new landing.
        """
        members = []
        for name in self.settings.identity.names:
            if name not in (*DEFAULT_IDENTIFIERS, *others):
                continue
            own = "other_" + name if name in others else name
            for column in [own, *(["previous_id_" + name] if name in previous else [])]:
                value = identifier(column)
                prefix = literal(f'["{name}",')
                members.append(
                    f"case when {value} is not null and not {blocked_sql(value)}"
                    f" then {prefix} || to_json({value}) || ']' end"
                )
        # What stands inside a `case` is computed as often as it is named, and nullif() names it twice: the fault comes last.
        return f"'[' || nullif(concat_ws(',', {', '.join(members)}), '') || case when fault is null then ']' end"

    def _previous(self, name: str) -> str:
        raw = identifier("previous_" + name)
        clean = normalise.email(identifier("folded_previous_" + name)) if name == "email" else normalise.trimmed(raw)
        return f"{clean} as {identifier('previous_id_' + name)}, "

    @staticmethod
    def _folded(name: str) -> str:
        if name != "email":
            return ""
        return f", {normalise.folded(identifier('previous_' + name))} as {identifier('folded_previous_' + name)}"

    @staticmethod
    def _flags(plan: DefinitionSql) -> str:
        flags = (
            ("written_at is null", "occurred_at.missing"),
            ("mapped_email is not null and email is null", "email.invalid"),
            (f"email is not null and {normalise.email_is_mixed('email')}", "email.mixed_script"),
            ("mapped_phone is not null and phone is null", "phone.invalid"),
            ("mapped_dedupe_key is not null and dedupe_key is null", "dedupe_key.placeholder"),
            ("mapped_order_id is not null and order_id is null", "order_id.placeholder"),
        )
        anything = " or ".join(condition for condition, _ in flags)
        listed = ", ".join(f"case when {condition} then {literal(flag)} end" for condition, flag in flags)
        remarks = f"list_filter([{listed}], lambda f: f is not null)"
        coerced = f"list_contains(c, true) then list_concat({remarks}, {plan.coerced_properties()})"
        return f"case when fault is null and {coerced} when fault is null and ({anything}) then {remarks} end"

    @staticmethod
    def _value_coercion() -> str:
        return " + coalesce(starts_with(sent_value, '\"'), false)::int"


def _midnight(day: date) -> str:
    return f"timestamptz {literal(day.isoformat() + ' 00:00:00+00')}"


def _of(values: tuple[str, ...], value: str) -> str:
    """One of a few values. An enum is written to Parquet, where it is text, without a look at each row's characters."""
    return f"{literal(value)}::enum({literals(values)})"


def _same(value: str) -> str:
    """A value that all rows of the export share."""
    return _of((value,), value)


def plan_targets(registry: Registry) -> frozenset[str]:
    """The canonical fields that some property maps to."""
    return frozenset(
        declared.maps_to
        for definition in registry.definitions
        for declared in definition.properties
        if declared.maps_to is not None
    )


def _given_json(value: str) -> str:
    """A JSON value, null where it is JSON null or a text with nothing in it."""
    says = normalise.trimmed(f"({value} ->> '$')")
    return (
        f"case when starts_with({value}, '\"') then case when {says} is not null then {value} end"
        f" when {value} <> 'null' then {value} end"
    )


def _filled(text: str) -> str:
    """A property's text, trimmed as a field that is sent; null where it is empty."""
    return "null" if text == "null" else normalise.trimmed(text)


def _exactly(value: str, raw: str) -> str:
    """A JSON value as text, a number as it was sent."""
    unquoted = f"({value} ->> '$')"
    number = digits.as_sent(f"cast({value} as varchar)", raw)
    return f"case when starts_with({value}, '\"') then {normalise.trimmed(unquoted)} else {number} end"


def _types(properties: str) -> str:
    # Not array_to_string(), which names its list twice and so parses it twice here.
    names, types = f"json_keys({properties})", f"json_type({properties}, '$.*')"
    return " || chr(30) || ".join(
        f"coalesce(list_aggregate({texts}, 'string_agg', chr(31)), '')" for texts in (names, types)
    )
