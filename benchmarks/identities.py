"""Identifier sets as a run hands them to the identity step, and the same graph as ready integer codes.

A person has five identifiers and eight sets of them: devices before and after they were known, an address, sometimes a
phone number. One person in fifty was once on somebody else's device, which is a conflict. Everything follows from the
numbers; nothing is random but the order in time, which is DuckDB's `hash()`.

    work.touched_sets   workspace_id, identifiers, first_occurred_at     what the step reads
    ready.sets          set, place of the strongest member: code          for the plain script (`plain_components`)
    ready.nodes         code, identifier_type, identifier_value, first_seen_at
    ready.ties          left_code, right_code
"""

from __future__ import annotations

from pathlib import Path

import duckdb

from eventpipe.sql import literal

IDENTIFIERS_PER_PERSON = 5

_CUSTOMER = "'[\"customer_id\",\"c' || {p} || '\"]'"
_EMAIL = "'[\"email\",\"person.' || {p} || '@shop.example\"]'"
_PHONE = "'[\"phone\",\"+1' || (2000000000 + {p}) || '\"]'"
_DEVICE = "'[\"anonymous_id\",\"' || md5({p} || '/' || {n}) || '\"]'"


def _device(number: int | str, person: str = "p") -> str:
    return _DEVICE.format(p=person, n=number)


_C, _E, _P = (each.format(p="p") for each in (_CUSTOMER, _EMAIL, _PHONE))
_THIRD = "if(p % 2 = 0, 2, 0)"
_BORROWED = "if(p % 50 = 0, p + 1, p)"
_PHONED = f"if(p % 2 = 1, {_P} || ',', '')"
_SETS = (
    _device(0),
    _device(1),
    f"{_C} || ',' || {_device(0)}",
    f"{_C} || ',' || {_device(1, _BORROWED)}",
    f"{_C} || ',' || {_E} || ',' || {_device(_THIRD)}",
    f"{_C} || ',' || {_E} || ',' || {_PHONED} || {_device(1)}",
    f"{_E} || ',' || {_device(1)}",
    f"{_C} || ',' || {_E}",
)


def write_people(database: Path, people: int) -> None:
    """A new database with the sets of so many people, and their graph as codes."""
    _fresh(database)
    with _open(database) as connection:
        _touch(connection, _sets(f"select range as p from range({people})"))
        _write_codes(connection)


def known_figures(people: int) -> str:
    """What the identity step must find: nobody has two customer ids, and everything is somebody's who has one."""
    return f"{IDENTIFIERS_PER_PERSON * people:,} identifiers, {people:,} contacts"


def identity_figures(database: Path) -> str:
    """What it found."""
    with _open(database) as connection:
        found = connection.execute("select count(*), count(distinct contact_id) from work.identity_nodes").fetchone()
    assert found is not None
    return f"{found[0]:,} identifiers, {found[1]:,} contacts"


def touch_more(database: Path, people: int) -> None:
    """1 % more sets than `write_people` wrote: half of them of new people, half of people who have a new device."""
    new, known = people // 200, people // 100
    device = _device("'new'")
    visits = ", ".join(
        (device, f"{_C} || ',' || {device}", f"{_E} || ',' || {device}", f"{_C} || ',' || {_E} || ',' || {device}")
    )
    returning = f"select unnest([{visits}]) as members, p from (select range * 100 + 7 as p from range({known}))"
    newcomers = _sets(f"select {people} + range as p from range({new})")
    with _open(database) as connection:
        _touch(connection, f"{returning} union all {newcomers}")


def write_hub(database: Path, sets: int) -> None:
    """A new database in which so many people have one address, each in a set of their own."""
    _fresh(database)
    with _open(database) as connection:
        shared = _EMAIL.format(p="'everybody'")
        _touch(connection, f"select {_C} || ',' || {shared} as members, p from (select range as p from range({sets}))")


def _sets(people: str) -> str:
    members = ", ".join(_SETS)
    return f"select unnest([{members}]) as members, p from ({people})"


def _touch(connection: duckdb.DuckDBPyConnection, sets: str) -> None:
    connection.execute("create schema if not exists work; create schema if not exists run")
    connection.execute(f"""
        create or replace table work.touched_sets as
        select 'default' as workspace_id, '[' || members || ']' as identifiers,
            timestamptz '2026-01-01' + to_microseconds((hash(members) % 2592000000000)::bigint) as first_occurred_at
        from ({sets})""")


def _write_codes(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("""
        create schema ready;
        create temp table members as
        select "set", member[1] as kind, member[2] as value, first_occurred_at, place
        from (
            select rowid as "set", first_occurred_at, unnest(from_json(identifiers, '[["VARCHAR"]]')) as member,
                generate_subscripts(from_json(identifiers, '[["VARCHAR"]]'), 1) as place
            from work.touched_sets
        );
        create table ready.nodes as
        select (row_number() over () - 1)::integer as code, *
        from (
            select kind as identifier_type, value as identifier_value, min(first_occurred_at) as first_seen_at
            from members group by kind, value order by first_seen_at
        );
        create temp table coded as
        select "set", place, code from members join ready.nodes on kind = identifier_type and value = identifier_value;
        create table ready.sets as select "set", code from coded where place = 1;
        create table ready.ties as
        select strongest.code as left_code, coded.code as right_code
        from coded join ready.sets as strongest using ("set") where place > 1""")


def _open(database: Path) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(str(database))
    connection.execute("set TimeZone = 'UTC'; set preserve_insertion_order = false; set memory_limit = '4GB'")
    connection.execute(f"set temp_directory = {literal(f'{database}.tmp')}")
    return connection


def _fresh(database: Path) -> None:
    for path in (database, database.with_name(database.name + ".wal")):
        path.unlink(missing_ok=True)
    database.parent.mkdir(parents=True, exist_ok=True)
