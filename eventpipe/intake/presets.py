"""What the vendors send, every generation of field names, as `Sent` expressions."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from eventpipe.intake import normalise, strict
from eventpipe.intake.document import Document
from eventpipe.intake.sent import Sent
from eventpipe.project.vocabulary import KINDS
from eventpipe.sql import json_path, literal

# What stands for an object without fields: in PHP that is a list without elements.
_EMPTY = r'null|"(\s|\\[tnr])*(\[(\s|\\[tnr])*\](\s|\\[tnr])*)?"|\[\s*\]'

# A body that carries many events under one of these keys is read as its elements.
BATCH_KEYS = {"redo": "events", "notifuse": "events", "customerio": "batch", "arsel": "events", "canonical": "events"}

# <destination>.<action>.<n>.track.csv, and before that <workspace>_tracks_<n>.csv; either part before may be named like the other.
_PIPELINES_FILES = (
    re.compile(r"\.(track|identify|page|screen|alias|group)\.[a-z.]+$"),
    re.compile(r".*_(track|identifie|page|screen|aliase)s_\d+(?:\.|$)"),
)


def sent_by(preset: str, document: Document, file: str) -> Sent:
    """The expressions of a preset. `file` matters where a vendor's file name tells what the records are."""
    return _PRESETS[preset](document, file)


def _first(document: Document, *paths: str) -> str:
    """The first path that holds a value, as text. An empty text is none, nor is one of blanks: where nothing stands beside a
    field the contract sees to that."""
    return _coalesce([_told(document.text(path.split("."))) for path in paths])


def _told(text: str) -> str:
    # What begins with a character of ASCII that can be seen is not blank: nearly all there is, and looked at no further, as
    # is what is not there.
    says = f"case when {normalise.trimmed(text)} is not null then {text} end"
    return f"case when {text} < '!' or {text} >= chr(127) then {says} else {text} end"


def _first_object(document: Document, *paths: str) -> str:
    """The first path that holds a JSON object; also one that was written as a string (CSV, Parquet)."""
    return _coalesce([as_object(document.json(path.split("."))) for path in paths])


def as_object(value: str) -> str:
    """A JSON value as an object: as it is, or unpacked from a string; null where it is empty. Anything else stays what it is:
    the contract refuses its line."""
    unpacked = f"({value} ->> '$')"
    return (
        f"case when {value} is null or {is_object(value)} then {value}"
        f" when {is_broken_object(value)}"
        f" then case when {strict.packed_fault(unpacked)} is null then cast({unpacked} as json) else {value} end"
        f" when not regexp_full_match({value}, {literal(_EMPTY)}) then {value} end"
    )


def is_object(value: str) -> str:
    """Whether what `as_object` gave is an object."""
    return f"starts_with({value}, '{{')"


def is_broken_object(value: str) -> str:
    """Whether it is a string that begins like an object, which it would have unpacked if it were one."""
    return f"starts_with({value}, '\"{{')"


def known_kind(text: str) -> str:
    """One of the kinds there are; what is called anything else, or nothing, happened: it is tracked."""
    same = " ".join(f"when {literal(kind)} then {literal(kind)}" for kind in KINDS)
    return f"case lower({text}) {same} when 'merge' then 'alias' else 'track' end"


def _coalesce(expressions: Sequence[str]) -> str:
    return expressions[0] if len(expressions) == 1 else f"coalesce({', '.join(expressions)})"


def _named(pairs: Sequence[tuple[str, str]]) -> str:
    """A JSON object of those values that are there; null when none is."""
    given = " or ".join(f"{value} is not null" for _, value in pairs)
    members = ", ".join(f"{literal(name)}, {value}" for name, value in pairs)
    return f"case when {given} then json_merge_patch('{{}}', json_object({members})) end"


def _without(document: str, key: str) -> str:
    """A JSON object without one of its keys."""
    return (
        f"case when {is_object(document)} and contains({document}, {literal(chr(34) + key + chr(34))})"
        f" then json_merge_patch({document}, {literal('{' + chr(34) + key + chr(34) + ': null}')}) else {document} end"
    )


def _without_unset(document: str) -> str:
    """Redo: top-level 0, null and empty strings are unset, and no properties."""
    entries = f"map_entries(from_json({document}, '\"MAP(VARCHAR, JSON)\"'))"
    kept = (
        f"list_filter({entries}, lambda e: e.value is not null and not regexp_full_match(e.value, '-?0(\\.0+)?|\"\"'))"
    )
    members = f"list_transform({kept}, lambda e: to_json(e.key) || ':' || e.value)"
    return (
        f"case when {is_object(document)} and regexp_matches({document}, ':\\s*(-?0(\\.0+)?|null|\"\")\\s*[,}}]')"
        f" then cast('{{' || array_to_string({members}, ',') || '}}' as json) else {document} end"
    )


def deletion(is_said: str, time: str) -> str:
    """Three-valued: a time deletes, null or an empty text restores, absent leaves things as they are."""
    return (
        f"case when {is_said} then case when {normalise.trimmed(time)} is null then 'restored' else 'deleted' end end"
    )


def _deleted_at(document: Document) -> str:
    return deletion(Document.has(["deleted_at"]), document.text(["deleted_at"]))


def _beside(first: str, second: str) -> str:
    """Two JSON objects as one, each field of the second in place of the first's; one of them where there is no other."""
    return (
        f"case when {first} is null then {second} when {second} is null or not {is_object(first)} then {first}"
        f" else json_merge_patch({first}, {second}) end"
    )


def _redo(document: Document, _file: str) -> Sent:
    names = ("id", "email", "phoneNumber", "firstName", "lastName", "location", "customFields")
    customer = {name: document.json(("customer", name)) for name in names if name in ("location", "customFields")}
    text = {name: _first(document, f"customer.{name}") for name in names if name not in customer}
    # The overview draws `customer` as one string: an email, a phone number, else an id.
    person = (
        f"case when regexp_matches(doc, '\"customer\"\\s*:\\s*\"') and starts_with({document.json(('customer',))}, '\"')"
        f" then trim({document.text(('customer',))}) end"
    )
    properties = _first_object(document, "data", "properties")
    traits = _named(
        [("first_name", text["firstName"]), ("last_name", text["lastName"]), ("location", customer["location"])]
    )
    fields = as_object(customer["customFields"])
    return Sent(
        event_name=_first(document, "eventName", "event_name"),
        occurred_at=_first(document, "eventTimestamp", "event_timestamp", "timestamp"),
        customer_id=(
            f"coalesce({text['id']}, {_first(document, 'customer_id')},"
            f" case when not contains({person}, '@') and not starts_with({person}, '+') then {person} end)"
        ),
        email=f"coalesce({text['email']}, {_first(document, 'email')}, case when contains({person}, '@') then {person} end)",
        phone=f"coalesce({text['phoneNumber']}, {_first(document, 'phone')}, case when starts_with({person}, '+') then {person} end)",
        dedupe_key=_first(document, "uniqueId", "unique_id"),
        value=document.json(("value",)),
        currency=_first(document, "valueCurrency", "value_currency"),
        properties=_without_unset(_without(properties, "$extra")),
        extra=_beside(
            _beside(f"nullif(json_extract({properties}, '$.\"$extra\"'), 'null')", _first_object(document, "$extra")),
            _named([("cart_context", document.json(("cart_context",)))]),
        ),
        traits=_beside(fields, traits),
    )


def _notifuse(document: Document, _file: str) -> Sent:
    return Sent(
        workspace_id=document.text(("workspace_id",)),
        event_name=document.text(("event_name",)),
        occurred_at=document.text(("occurred_at",)),
        email=document.text(("email",)),
        dedupe_key=document.text(("external_id",)),
        goal_type=document.text(("goal_type",)),
        goal_name=document.text(("goal_name",)),
        value=document.json(("goal_value",)),
        properties=_first_object(document, "properties"),
        deletion=_deleted_at(document),
        deleted_at=document.text(("deleted_at",)),
    )


def _customerio(document: Document, file: str) -> Sent:
    named = next((found for pattern in _PIPELINES_FILES if (found := pattern.search(file))), None)
    from_file = named[1] if named else "track"
    from_file = {"identifie": "identify", "aliase": "alias"}.get(from_file, from_file)
    # v2 says type: person beside the action; v1 says type: event.
    called = f"coalesce({document.text(('action',))}, {document.text(('type',))}, {literal(from_file)})"
    kind = known_kind(called)
    # That a person belongs to a group happened to the person; the traits are the group's.
    is_group = f"lower({called}) = 'group'"
    attributes = _first_object(document, "attributes")
    identifies = f"{kind} = 'identify'"
    given = _first_object(document, "traits", "context.traits")
    traits = f"coalesce({given}, case when {identifies} then {attributes} end)"
    name = _first(document, "name", "event_text", "event")
    device = f"nullif(trim({_first(document, 'identifiers.anonymous_id', 'anonymous_id', 'anonymousId')}), '')"
    # Pipelines: the device, or where that is named beside it, the user id or address of before.
    previous = _first(document, "previousId", "previous_id")
    is_address = f"contains({previous}, '@')"
    is_user = f"not {is_address} and {previous} <> {device}"
    return Sent(
        event_name=f"case when {kind} not in ('identify', 'alias') then coalesce({name}, case when {is_group} then 'group' end) end",
        kind=kind,
        occurred_at=_first(document, "timestamp", "original_timestamp", "sent_at", "received_at"),
        customer_id=_first(document, "identifiers.id", "customer_id", "userId", "user_id", "primary.id"),
        email=(
            f"coalesce({_first(document, 'identifiers.email', 'email', 'primary.email')},"
            f" case when {identifies} then json_extract_string({traits}, '$.email') end)"
        ),
        phone=(
            f"coalesce({_first(document, 'identifiers.phone', 'phone')},"
            f" case when {identifies} then json_extract_string({traits}, '$.phone') end)"
        ),
        anonymous_id=(
            f"coalesce({device}, case when {identifies} then json_extract_string({traits}, '$.anonymous_id') end,"
            f" case when not {is_address} then {previous} end)"
        ),
        previous=(
            ("customer_id", f"coalesce({_first(document, 'secondary.id')}, case when {is_user} then {previous} end)"),
            ("email", f"coalesce({_first(document, 'secondary.email')}, case when {is_address} then {previous} end)"),
        ),
        dedupe_key=_first(document, "id", "messageId"),
        properties=(
            f"case when {kind} not in ('identify', 'alias') then"
            f" coalesce({_first_object(document, 'data', 'properties')}, {attributes},"
            f" case when {is_group} then {_group(document)} end) end"
        ),
        traits=f"case when {traits} is not null then case when not {is_group} then {traits} end end",
    )


def _group(document: Document) -> str:
    """What a Pipelines `group` call tells of the group. Such calls are rare: nobody else's line is parsed for their names."""

    def either(*names: str) -> str:
        return _coalesce([f"json_extract_string(doc, {json_path((name,))})" for name in names])

    own = _named(
        [("group_id", either("groupId", "group_id")), ("object_type_id", either("objectTypeId", "object_type_id"))]
    )
    return f"json_merge_patch(coalesce({_first_object(document, 'traits')}, '{{}}'), coalesce({own}, '{{}}'))"


def _arsel(document: Document, _file: str) -> Sent:
    given = [document.text((name,)) for name in ("email", "contact_id", "external_id", "phone_number")]
    return Sent(
        event_name=_first(document, "event"),
        occurred_at=_first(document, "timestamp"),
        customer_id=_first(document, "contact_id", "external_id"),
        email=given[0],
        phone=given[3],
        dedupe_key=_first(document, "id"),
        properties=_first_object(document, "data"),
        given=" + ".join(f"({_told(each)} is not null)::int" for each in given),
    )


def _canonical(document: Document, _file: str) -> Sent:
    state = f"lower({_first(document, 'deletion')})"
    return Sent(
        workspace_id=document.text(("workspace_id",)),
        event_name=document.text(("event_name",)),
        kind=known_kind(document.text(("kind",))),
        occurred_at=document.text(("occurred_at",)),
        customer_id=document.text(("customer_id",)),
        email=document.text(("email",)),
        phone=document.text(("phone",)),
        anonymous_id=document.text(("anonymous_id",)),
        dedupe_key=document.text(("dedupe_key",)),
        order_id=document.text(("order_id",)),
        goal_type=document.text(("goal_type",)),
        goal_name=document.text(("goal_name",)),
        value=document.json(("value",)),
        currency=document.text(("currency",)),
        properties=_first_object(document, "properties"),
        extra=_first_object(document, "extra"),
        traits=_first_object(document, "traits"),
        deletion=f"coalesce({normalise.trimmed(state)}, {_deleted_at(document)})",
        deleted_at=document.text(("deleted_at",)),
    )


_PRESETS: dict[str, Callable[[Document, str], Sent]] = {
    "redo": _redo,
    "notifuse": _notifuse,
    "customerio": _customerio,
    "arsel": _arsel,
    "canonical": _canonical,
}
