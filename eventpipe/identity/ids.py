"""Contact ids as SQL: functions of one identifier, or of one set."""

from __future__ import annotations


def id_of_identifier(
    workspace: str = "workspace_id", type: str = "identifier_type", value: str = "identifier_value"
) -> str:
    """The id of a contact whose earliest-seen identifier is this one."""
    return f"md5(concat_ws(chr(0), 'contact', {workspace}, {type}, {value}))"


def id_of_set(workspace: str = "workspace_id", identifiers: str = "identifiers") -> str:
    """The id of a set's own contact."""
    return f"md5(concat_ws(chr(0), 'set', {workspace}, {identifiers}))"
