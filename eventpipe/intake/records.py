"""Frames to records, as SQL: one row per event, with its JSON document.

A record's `doc` is the JSON object that presets and mappings read; `raw` is what a rejected row keeps. One line may
hold many events: a vendor's batch body, or a list that `explode` names; each element gets the line's other fields.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from eventpipe.intake import digits, strict
from eventpipe.intake.document import Document, mentions
from eventpipe.project.settings import LimitSettings
from eventpipe.sql import json_path, literal

# The fault of a line that turns out to hold many events where one was expected: the export is judged once more.
BATCH = "batch"

_EXPANSION = 16

# Under this name a mapping finds the record that a list stands in, also what an element has under the same name.
RECORD = "^"


def from_lines(frames: str, depth: int, document: Document, batch: Sequence[str] | None) -> str:
    """A query over FRAME rows of JSON text, one event a line, giving line, index, raw, doc, fault, export, j.

    `j` is null where a line is no JSON. A vendor's batch body (a list under the key `batch`) gets
    the fault BATCH.
    """
    many = f"case when starts_with({document.json(batch)}, '[') then {literal(BATCH)} end" if batch else "null"
    structure = literal(document.structure())
    parsed = (
        f"select line, raw, raw as doc, fault, suspect, export, try(from_json(raw, {structure})) as j from {frames}"
    )
    is_object = "j is not null and (starts_with(raw, '{') or regexp_matches(raw, '^[ \\t]*[{]'))"
    judged = f"coalesce(fault, {strict.fault('raw', is_object, 'suspect', depth)}, {many})"
    return (
        "select line, null::bigint as index, raw, case when fault is null then raw end as doc, fault, export, j"
        f" from (select line, raw, export, j, {judged} as fault from ({parsed}))"
    )


def from_many(
    frames: str,
    limits: LimitSettings,
    document: Document,
    batch: Sequence[str] | None,
    explode: Sequence[str] | None,
    *,
    with_record: bool = False,
) -> str:
    """The same where a line may hold many events: under the list `batch`, if it is there, or `explode`, which must be.
    `with_record`: each has what stands beside the list once more, under RECORD.

    A line whose other fields, repeated beside each of its events, would be `_EXPANSION` times as long as a line may be is too
    long: a megabyte could ask for a terabyte.
    """
    is_object = "case when json_valid(raw) then json_type(raw) = 'OBJECT' end"
    checked = (
        f"select line, raw, export, coalesce(fault, {strict.fault('raw', is_object, 'suspect', limits.depth)}) as fault"
        f" from {frames}"
    )
    path = explode or batch
    if path is None:
        return _parsed_anyway(
            "select line, null::bigint as index, raw, case when fault is null then raw end as doc, fault, export"
            f" from ({checked})",
            document,
        )
    # Parsing for the list is saved where its key does not occur.
    listed = f"fault is null and {mentions('raw', path[-1])} and json_type(raw, {json_path(path)}) = 'ARRAY'"
    missing = (
        f"case when fault is null and not coalesce({listed}, false) then 'explode.missing' end" if explode else "null"
    )
    outer = digits.restored(f"json_merge_patch(raw, {literal(_patch(path))})", "lost")
    elements = f"from_json(json_extract(raw, {json_path(path)}), '[\"JSON\"]')"
    places = f"range(json_array_length(raw, {json_path(path)})::bigint)"
    size = f"json_array_length(raw, {json_path(path)}) * strlen(outside)"
    too_long = f"case when outside is not null then {size} > {_EXPANSION * limits.line_bytes} end"
    # Whatever is computed beside an unnest() is computed for each of its rows: there are only columns.
    opened = f"""
        select line, export, outside, lost, fault, unnest(elements) as element, unnest(places) as index
        from (
            select line, export, outside, lost, case when {too_long} then 'line.too_long' else fault end as fault,
                case when ({too_long}) is false then {elements}::varchar[] else [raw] end as elements,
                case when ({too_long}) is false then {places} else [null] end as places
            from (
                select *, case when {listed} then {outer} end as outside from (
                    select line, raw, export, coalesce(fault, {missing}) as fault, {digits.lost("raw")} as lost
                    from ({checked})
                )
            )
        )"""
    whole = f"case when index is null then element else {_beside('inside', 'outside', with_record)} end"
    alone = f"""
        select line, export, index, {whole} as raw,
            coalesce(fault, case when index is not null and not coalesce(starts_with(inside, '{{'), false) then 'json.invalid' end)
                as fault
        from (select *, {digits.restored("element", "lost")} as inside from ({opened}))"""
    return _parsed_anyway(
        f"select line, index, raw, case when fault is null then raw end as doc, fault, export from ({alone})", document
    )


def _parsed(records: str, document: Document) -> str:
    structure = literal(document.structure())
    return f"select *, case when fault is null then from_json(doc, {structure}) end as j from ({records})"


def _parsed_anyway(records: str, document: Document) -> str:
    """What can be read of a faulty line too: its event's name says more of it than none."""
    return f"select *, try(from_json(coalesce(doc, raw), {literal(document.structure())})) as j from ({records})"


def from_columns(frames: str, names: Sequence[str], document: Document) -> str:
    """The same for frames that carry a text column `f0, f1, ...` for each of `names`. Nulls are left out of `doc`."""
    members = ", ".join(f"{literal(name)}, f{index}" for index, name in enumerate(names))
    text = f"json_merge_patch('{{}}', json_object({members}))" if names else "'{}'"
    return _parsed(
        f"select line, null::bigint as index, raw, case when fault is null then {text} end as doc, fault, export"
        f" from {frames}",
        document,
    )


def _patch(path: Sequence[str]) -> str:
    text = "null"
    for key in reversed(path):
        text = '{"' + key.replace("\\", "\\\\").replace('"', '\\"') + '": ' + text + "}"
    return text


def _beside(element: str, outer: str, with_record: bool) -> str:
    """The element's members, then the outer record's: where both have a key, the first wins, as for every record.

    Texts are joined because merging JSON objects would drop an element's nulls, and `deleted_at: null` has a meaning.
    """
    inside = f"substr({element}, 2, length({element}) - 2)"
    around = f"substr({outer}, 2, length({outer}) - 2)"
    record = f", {literal(json.dumps(RECORD) + ':')} || {outer}" if with_record else ""
    return (
        f"case when starts_with({element}, '{{')"
        f" then '{{' || concat_ws(',', nullif({inside}, ''), nullif({around}, ''){record}) || '}}'"
        f" else coalesce(cast({element} as varchar), 'null') end"
    )
