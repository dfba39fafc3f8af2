"""Every reason that a line may be rejected for, as SQL over the steps of the contract."""

from __future__ import annotations

from collections.abc import Collection

from eventpipe.intake.presets import is_broken_object, is_object
from eventpipe.project.codes import currencies
from eventpipe.project.sources import SourceProfile
from eventpipe.project.vocabulary import DELETIONS, GOAL_TYPES, GOAL_TYPES_WITH_VALUE
from eventpipe.sql import identifier, literal, one_of

# Reasons that a definition gives rise to, where the event itself did not send the field.
_FILLED_BY_DEFINITION = {
    "'value.invalid'": "sent_value",
    "'currency.invalid'": "sent_currency",
    "'goal_type.unknown'": "sent_goal_type",
    "'goal_value.required'": "sent_goal_type",
}

# What a field is rejected with that the source's mapping could not compute; any other with `property.type:<field>`.
_INVALID = {
    "occurred_at": "occurred_at.invalid",
    "deleted_at": "deleted_at.invalid",
    "value": "value.invalid",
    "currency": "currency.invalid",
    "goal_type": "goal_type.unknown",
}


def reasons(profile: SourceProfile, latest: str, earliest: str, uncomputed: Collection[str]) -> list[tuple[str, str]]:
    """Pairs of a condition and the SQL of its reason code. A faulty line has its fault and nothing else. `latest` and `earliest`
    bound `occurred_at`; `uncomputed` are the fields with an expression, and `is_uncomputed` names the column of each.
    """
    read = "fault is null"
    tracked = f"{read} and kind not in ('identify', 'alias')"
    live = f"{read} and deletion is distinct from 'deleted'"

    def owed(sent: str) -> str:
        """A deletion need not be whole: it answers for the fields that it sends, not for those that properties fill."""
        return f"({live} or {read} and {sent} is not null)"

    found = [
        ("fault is not null", "fault"),
        (f"{read} and ({is_broken_object('properties')} or {is_broken_object('traits')})", "'json.invalid'"),
        *(
            (f"{read} and not {is_object(name)} and not {is_broken_object(name)}", f"'property.type:{name}'")
            for name in ("properties", "traits")
        ),
        (f"{tracked} and coalesce(trimmed_name, '') = ''", "'event_name.missing'"),
        (f"{tracked} and strlen(trimmed_name) > 100", "'event_name.length'"),
        (f"{read} and written_at is not null and read_at is null", "'occurred_at.invalid'"),
        (f"{read} and (read_at < {earliest} or read_at > {latest})", "'occurred_at.range'"),
        (f"{read} and deletion is not null and not {one_of('deletion', DELETIONS)}", "'property.type:deletion'"),
        (f"{read} and sent_deleted_at is not null and deleted_at is null", "'deleted_at.invalid'"),
        (
            f"{owed('sent_value')} and mapped_value is not null and value_text is not null and value is null",
            "'value.invalid'",
        ),
        (
            f"{owed('sent_currency')} and written_currency is not null and not {_is_currency('written_currency')}",
            "'currency.invalid'",
        ),
        (f"{owed('sent_goal_type')} and not {one_of('goal_type', GOAL_TYPES)}", "'goal_type.unknown'"),
        (
            f"{live} and {one_of('goal_type', GOAL_TYPES_WITH_VALUE)} and value_text is null"
            + (f" and not {is_uncomputed('value')}" if "value" in uncomputed else ""),
            "'goal_value.required'",
        ),
        (f"{live} and not observes and len(violations) > 0", "null"),
    ]
    if profile.name_rule == "notifuse":
        legal = "regexp_full_match(trimmed_name, '[a-z0-9_./-]+')"
        found.insert(2, (f"{tracked} and trimmed_name <> '' and not {legal}", "'event_name.format'"))
    if profile.registry == "closed":
        found.insert(1, (f"{tracked} and trimmed_name <> '' and definition is null", "'event_name.unknown'"))
    if profile.identifiers == "required":
        found.append((f"{read} and identifiers is null", "'identifier.missing'"))
    if profile.identifier_rule == "exactly_one":
        found.append((f"{read} and given > 1", "'identifier.ambiguous'"))
    if not profile.coerce:
        found.append(
            (f"{owed('sent_value')} and starts_with(mapped_value, '\"') and value is not null", "'value.invalid'")
        )
    return found


def uncomputable(fields: Collection[str]) -> list[tuple[str, str]]:
    """The same for what the source's mapping could not compute: never due to a definition, though nothing was sent."""
    return [
        (f"fault is null and {is_uncomputed(name)}", literal(_INVALID.get(name, f"property.type:{name}")))
        for name in fields
        if name != "event_name"  # then it is missing
    ]


def by_definition(found: list[tuple[str, str]]) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """The reasons where none are due to a definition that only observes, and those that are."""
    strict, remarked = [], []
    for condition, code in found:
        sent = _FILLED_BY_DEFINITION.get(code)
        if sent is None:
            strict.append((condition, code))
        else:
            strict.append((f"({condition}) and not (observes and {sent} is null)", code))
            remarked.append((f"({condition}) and observes and {sent} is null", code))
    return strict, remarked


def observed(remarked: list[tuple[str, str]]) -> str:
    """What an observing definition would have rejected the event for; null where that is nothing."""
    if not remarked:
        return "null::varchar[]"
    listed = ", ".join(f"case when {condition} then {code} end" for condition, code in remarked)
    found = f"list_filter(list_concat(violations, [{listed}]), lambda r: r is not null)"
    live = "reasons is null and observes and deletion is distinct from 'deleted'"
    return f"case when {live} and len({found}) > 0 then {found} end"


def is_uncomputed(field: str) -> str:
    """The column that is true where a field's expression has no value."""
    return identifier(f"uncomputed_{field}")


def _is_currency(code: str) -> str:
    """ISO 4217, looked up in one text: DuckDB would make a join of an `in` this long."""
    known = " ".join(sorted(currencies()))
    return f"(regexp_full_match({code}, '[A-Z]{{3}}') and contains({literal(known)}, {code}))"
