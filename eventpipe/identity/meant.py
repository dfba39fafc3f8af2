"""What somebody means who writes down an identifier, by the rules of intake."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from eventpipe.project.corrections import split_type
from eventpipe.project.folder import Project

Meant = tuple[tuple[str, str], ...]
"""(type, value) of every identifier that something written may stand for; none, if nothing can be such a one."""


def meant(project: Project, written: Sequence[str]) -> list[Meant]:
    """What each of the texts may stand for: any declared type, or the one before it (`email:ada@example.com`)."""
    if not written:
        return []
    # Late: phone numbers and Arrow cost half a second that who writes nothing down need not pay.
    from eventpipe.intake import normalise

    names = project.settings.identity.names
    regions = sorted({profile.default_region or "" for profile in project.profiles.values()} | {""})
    rules = []
    for name in names:
        if name == "email":
            rules.append((name, normalise.email("folded")))
        elif name == "phone":
            rules += [(name, normalise.phone("given", region or None)) for region in regions]
        else:
            rules.append((name, normalise.trimmed("given")))
    query = (
        f"select {', '.join(rule for _, rule in rules)}"
        f" from (select given, {normalise.folded('given')} as folded from (select $1::varchar as given))"
    )
    found: list[Meant] = []
    with duckdb.connect() as connection:
        normalise.register(connection)
        for text in written:
            type, value = split_type(text, names)
            values = connection.execute(query, [value]).fetchone()
            assert values is not None
            meanings = [
                (kind, each)
                for (kind, _), each in zip(rules, values, strict=True)
                if each is not None and type in (None, kind)
            ]
            found.append(tuple(dict.fromkeys(meanings)))
    return found
