"""What the models ask for in DuckDB's words means the same in Spark's: both engines answer the same questions."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from random import Random
from typing import Any

import duckdb
import pytest
from jinja2 import Environment, FileSystemLoader

from eventpipe.cluster.dialect import tables, to_spark
from eventpipe.cluster.session import session
from eventpipe.warehouse.parsed import project_dir
from eventpipe_tests import builders
from eventpipe_tests.cluster.place import on_spark

pytestmark = pytest.mark.spark
Ask = Callable[[str], list[tuple[Any, ...]]]
_NAMES = ["sku", "category", "product_id", "a.b", "{x", "\\E", "ü", ""]
_TYPES = ["NULL", "VARCHAR", "UBIGINT", "ARRAY", "OBJECT"]


def facts(random: Random) -> Iterator[dict[str, Any]]:
    """Rows with values that engines differ about: halves, signs, limits of types, zones' changes, empty and odd texts."""
    for number in range(400):
        names = random.sample(_NAMES, random.randint(0, 4))
        types = [random.choice(_TYPES) for _ in names]
        units = random.choice([0, 1, 5, -5, 10**14 - 1, 10**18 - 1, 1 - 10**18, random.randint(-(10**9), 10**9)])
        at = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(microseconds=random.randint(0, 400 * 86_400_000_000))
        yield {
            "id": f"e{number}",
            "other": random.choice([f"e{number}", "e1", "none"]),
            "value": str(Decimal(units).scaleb(-4)),
            "parts": random.randint(1, 7),
            "instant": at.isoformat(),
            "zone": random.choice(["UTC", "Europe/Berlin", "Pacific/Auckland", "America/St_Johns"]),
            "property_types": random.choice([None, "\x1f".join(names) + "\x1e" + "\x1f".join(types)]),
        }


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Ask, Ask]]:
    """Both engines with the same table m.facts."""
    folder = tmp_path_factory.mktemp("facts")
    made = on_spark(builders.project(folder))
    made.state.mkdir()
    (folder / "facts.json").write_text(json.dumps(list(facts(Random(3)))), encoding="utf-8")
    answers = (folder / f"answer-{number}" for number in count())
    with duckdb.connect() as here, session(made, "a test") as there:
        here.execute("set TimeZone = 'UTC'; create schema m")
        here.execute(
            "create table m.facts as select id, other, value::decimal(18, 4) as value, parts::bigint as parts,"
            f" instant::timestamptz as instant, zone, property_types from read_json('{folder}/facts.json')"
        )
        here.execute(f"copy m.facts to '{folder}/facts.parquet'")
        there.show_files("m__facts", folder / "facts.parquet")

        def ask_there(sql: str) -> list[tuple[Any, ...]]:
            assert tables(sql) == {("m", "facts")}
            answer = next(answers)
            there.write("a test", to_spark(sql, lambda schema, name: f"{schema}__{name}"), answer)
            return here.execute(f"from '{answer}/*.parquet'").fetchall()

        yield lambda sql: here.execute(sql).fetchall(), ask_there


def rendered(macro: str) -> str:
    """A call of one of the models' macros as SQL."""
    folder = project_dir() / "macros"
    environment = Environment(loader=FileSystemLoader(folder), extensions=["jinja2.ext.do"])
    everything = "".join(
        (folder / name).read_text(encoding="utf-8")
        for name in ("days.sql", "event_names.sql", "contacts.sql", "exact_average.sql")
    )
    return environment.from_string(everything + "{{ " + macro + " }}").render()


_OF_ROWS = [
    f"select id, {rendered(macro)} as said from m.facts"
    for macro in (
        "utc_day('instant')",
        "shows_intent('property_types')",
        *(f"""engine_type_of("'{name}'", 'property_types')""" for name in ("sku", "a.b", "{x", "ü")),
        "exact_quotient('cast(value as decimal(38, 4))', 'parts')",
        "json_type_name('zone')",
    )
]
"""What the models' macros say of a row."""


@pytest.mark.parametrize(
    "sql",
    [
        *_OF_ROWS,
        f"select zone, {rendered('exact_average(' + repr('value') + ')')} as mean from m.facts group by zone",
        f"select zone, {rendered('facts_of_set(' + repr('e') + ')')} from"
        " (select *, 'no' as deletion, instant as occurred_at, nullif(parts, 3) as goal_type from m.facts) as e group by zone",
        "select id from m.facts where id not in (select other from m.facts)",
        "select f.id from m.facts as f where f.id not in (select id from m.facts where parts > 3) and not (f.parts = 2)",
        "select id, row_number() over (partition by zone order by nullif(parts, 2), instant desc, id) as place from m.facts",
        "select zone, arg_max(id, (instant, id)) filter (where parts > 3) as last, list_sort(list(distinct other)) as others"
        " from m.facts group by zone",
        "select id, last_value(nullif(parts, 3) ignore nulls) over (partition by zone order by id rows between"
        " unbounded preceding and current row) as kept from m.facts",
        "select id, (value, zone) is distinct from (value, 'UTC') as differs, value is distinct from 0 from m.facts",
        "with f as not materialized (select * from m.facts) select count(*) filter (where parts > 3) as some from f",
        "select sum(value) as total, cast(cast(sum(value) * 10000 as hugeint) // 7 as varchar) as part from m.facts",
    ],
)
def test_both_say_the_same(engines: tuple[Ask, Ask], sql: str) -> None:
    here, there = engines
    assert sorted(there(sql), key=repr) == sorted(here(sql), key=repr)
