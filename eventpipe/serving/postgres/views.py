"""The views of a server: those that the models make, and the masked ones over all relations. They change together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from eventpipe.serving.postgres import masks
from eventpipe.serving.postgres.relations import Relation, view_sql
from eventpipe.serving.postgres.server import Server, named, run
from eventpipe.sql import identifier, literal


@dataclass(frozen=True)
class Views:
    """Views of an edition, queries of the masked views, and what tells by name whether any of them has changed."""

    plain: tuple[Relation, ...]
    masked: Mapping[str, str]
    digests: dict[str, str]


def views(server: Server, relations: Sequence[Relation]) -> Views:
    """The views that there are to be."""
    plain = tuple(each for each in relations if each.sql is not None)
    masked = masks.definitions(server, relations)
    hashes = {f"{server.masked_schema}.{name}": digest for name, digest in masks.digests(masked).items()}
    return Views(plain, masked, {**{view.name: view.digest() for view in plain}, **hashes})


def drop(connection: Connection, server: Server, names: Iterable[str]) -> None:
    """Drops views by the names under which their digests were kept; the masked ones, which read the others, first."""
    for name in sorted(names, key=lambda each: "." not in each):
        schema, _, view = name.rpartition(".")
        run(connection, f"drop view if exists {named(schema or server.schema, view)}")


def make(connection: Connection, server: Server, shown: Views) -> None:
    """Makes all of them, with their comments."""
    for view in shown.plain:
        name = named(server.schema, view.name)
        run(connection, f"create view {name} as {view_sql(view, server.schema)}")
        if view.comment:
            run(connection, f"comment on view {name} is {literal(view.comment)}")
        for column, told in view.comments.items():
            run(connection, f"comment on column {name}.{identifier(column)} is {literal(told)}")
    masks.make(connection, server, shown.masked)
