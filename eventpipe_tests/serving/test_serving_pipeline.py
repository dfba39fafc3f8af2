"""A project that is served from PostgreSQL, its ops store there too, and its twin that is served from a file."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from itertools import combinations
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import psycopg
import pytest

from eventpipe.cli.main import main
from eventpipe.client import UnknownContact, connect
from eventpipe.errors import UsageError
from eventpipe.failpoints import VARIABLE, FailPointReached
from eventpipe.ops import runs
from eventpipe.ops.faults import OpsStoreError
from eventpipe.ops.move import move
from eventpipe.ops.store import OpsStore
from eventpipe.project.folder import Project, load_project
from eventpipe.serving.layout import LAYOUTS
from eventpipe.serving.reading import QueryFailed
from eventpipe.serving.reference import reference
from eventpipe_tests.pipeline import worlds
from eventpipe_tests.pipeline.histories import put
from eventpipe_tests.pipeline.shop import Shop
from eventpipe_tests.postgres import Postgres

SEGMENT = {"name": "buyers", "where": {"goal": "purchase", "aggregate": "count", "at_least": 1}}

AUTOMATIONS = [
    {
        "name": "thanks",
        "trigger": {"event": worlds.ORDER},
        "wait": "2d",
        "max_lateness": "3000d",
        "payload": ["email", "value", "contact.plan"],
        "deliver": {"file": "outbox"},
    },
    {"name": "buyer", "trigger": {"segment_entered": "buyers"}, "frequency": "once", "payload": ["segment"]},
]


@dataclass(frozen=True)
class Served:
    """The project on the server, what its environment says, and which candidates waited after the second run."""

    project: Project
    url: str
    environ: dict[str, str]
    editions: list[Path] = field(default_factory=list)
    waited: set[str] = field(default_factory=set)

    def occasions(self, status: str) -> set[str]:
        """Those of the candidates that readers of the server see in a status."""
        with psycopg.connect(self.url) as connection:
            query = "select occasion from eventpipe.trigger_decisions where status = %s"
            return {occasion for (occasion,) in connection.execute(query, [status])}

    def keep(self) -> None:
        """Puts the published file aside."""
        self.editions.append(self.project.root / f"edition{len(self.editions)}.duckdb")
        shutil.copyfile(self.project.analytics, self.editions[-1])

    def tables(self) -> dict[str, Counter[tuple[Any, ...]]]:
        """Every relation that is served."""
        with psycopg.connect(self.url) as connection:
            connection.execute("set timezone = 'UTC'")
            names = connection.execute(
                "select table_name from information_schema.tables"
                " where table_schema = 'eventpipe' and table_name <> 'publication'"
            ).fetchall()
            return {
                name: Counter(map(plain, connection.execute(f'select * from eventpipe."{name}"').fetchall()))
                for (name,) in names
            }

    def file(self) -> dict[str, Counter[tuple[Any, ...]]]:
        """The same of the file beside the project."""
        with duckdb.connect(str(self.project.analytics), read_only=True) as connection:
            connection.execute("set TimeZone = 'UTC'")
            names = connection.execute(
                "select table_name from information_schema.tables where table_schema = 'main'"
            ).fetchall()
            found = {}
            texts = {column for layout in LAYOUTS.values() for column in layout.json}
            for (name,) in names:
                result = connection.execute(f'from main."{name}"')
                is_json = [str(each[1]) == "JSON" or each[0] in texts for each in result.description or []]
                found[name] = Counter(
                    plain(tuple(json.loads(v) if j and v else v for v, j in zip(row, is_json, strict=True)))
                    for row in result.fetchall()
                )
            return found


def plain(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Values by what they mean: JSON as canonical text, numbers by their size."""
    return tuple(
        json.dumps(_numbers(value), sort_keys=True) if isinstance(value, dict | list) else value for value in row
    )


def _numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _numbers(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_numbers(each) for each in value]
    return float(value) if isinstance(value, int | float | Decimal) and not isinstance(value, bool) else value


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, server: Postgres) -> Iterator[Served]:
    """Three runs: after the first the ops store moved from its file to the server, the second was stopped between the
    server's commit and the rename of the file."""
    random = Random(83)
    root = tmp_path_factory.mktemp("served")
    worlds.project(root)
    (root / "segments").mkdir(exist_ok=True)
    (root / "segments" / "all.yml").write_text(json.dumps({"segments": [SEGMENT]}), encoding="utf-8")
    (root / "automations").mkdir(exist_ok=True)
    (root / "automations" / "all.yml").write_text(json.dumps({"automations": AUTOMATIONS}), encoding="utf-8")
    exports = worlds.exports(random, worlds=6, reports=25)
    with server.database() as url, pytest.MonkeyPatch.context() as patch:
        environ = {"EVENTPIPE_SERVING_URL": url}
        shop = Shop(load_project(root, environ))
        served = Served(shop.project, url, environ)
        put(shop, {key: worlds.edited(random, reports) for key, reports in exports.items()})
        shop.put("web", "2026-01-03", "broken.jsonl", b'{"event_name": "no end\n{"a": "\x00"}\n\xff\n')
        shop.run(worlds.AS_OF[0])
        served.keep()
        assert served.tables() == served.file()
        environ["EVENTPIPE_OPS"] = url
        shop = Shop(load_project(root, environ))
        with OpsStore.open(root / "ops.db") as old, OpsStore.open(url) as new:
            move(old, new, now=lambda: worlds.AS_OF[0], wait=timedelta())
        put(shop, exports)
        patch.setenv(VARIABLE, "publish.committed:raise")
        before = served.file()
        with pytest.raises(FailPointReached):
            shop.run(worlds.AS_OF[1])
        patch.delenv(VARIABLE)
        assert served.tables() != before
        assert served.file() == before
        assert (root / "analytics.duckdb.publishing").exists(), "the next run puts it in place"
        served.waited.update(served.occasions("waiting"))
        shutil.copyfile(root / "analytics.duckdb.publishing", root / "edition1.duckdb")
        served.editions.append(root / "edition1.duckdb")
        shop.run(worlds.AS_OF[2])
        served.keep()
        assert not (root / "analytics.duckdb.publishing").exists()
        yield served


def test_both_stores_hold_equal_tables(ran: Served) -> None:
    tables, file = ran.tables(), ran.file()
    assert tables.keys() == file.keys()
    for name, rows in file.items():
        assert tables[name] == rows, name
    filled = "events contacts contact_timeline segment_members rejected_events trigger_decisions automation_triggers"
    assert all(file[name] for name in filled.split())


def test_a_candidate_that_waited_and_fired_is_updated_on_the_server(ran: Served) -> None:
    assert ran.waited & ran.occasions("fired")
    with psycopg.connect(ran.url) as connection:
        orphans = connection.execute(
            "select count(*) from eventpipe.trigger_decisions as decisions"
            " full join eventpipe.automation_triggers as triggers using (trigger_id)"
            " where (decisions.status = 'fired') is distinct from (triggers.trigger_id is not null)"
        ).fetchone()
    assert orphans == (0,)


@pytest.mark.parametrize("table", [name for name, layout in LAYOUTS.items() if layout.marks])
def test_marks_tell_whether_a_row_has_changed(ran: Served, table: str) -> None:
    """Of any two editions: rows of one key and equal marks are equal in all columns."""
    layout = LAYOUTS[table]
    same = " and ".join(f'a."{name}" is not distinct from b."{name}"' for name in (*layout.key, *layout.marks))
    unchanged = 0
    for one, two in combinations(ran.editions, 2):
        with duckdb.connect() as connection:
            connection.execute(f"attach '{one}' as one (read_only); attach '{two}' as two (read_only)")
            found = connection.execute(
                f"select count(*), count(*) filter (a is distinct from b) from one.main.{table} as a"
                f" join two.main.{table} as b on {same}"
            ).fetchone()
        assert found is not None
        assert found[1] == 0
        unchanged += found[0]
    assert unchanged > 0 or table not in ("events", "contacts"), "some rows go unchanged from one edition to the next"


def test_every_published_table_has_a_layout_whose_key_holds(ran: Served) -> None:
    with psycopg.connect(ran.url) as connection:
        found = connection.execute(
            """
            select c.relname, bool_or(i.indisunique) from pg_class c left join pg_index i on i.indrelid = c.oid
            where c.relnamespace = 'eventpipe'::regnamespace and c.relkind = 'r' and c.relname <> 'publication'
            group by c.relname
            """
        ).fetchall()
    assert {name for name, _ in found} == LAYOUTS.keys()
    assert all(is_unique for _, is_unique in found)


def test_the_page_of_tables_is_what_the_models_say(ran: Served) -> None:
    page = Path(__file__).parents[2] / "docs" / "tables.md"
    assert page.read_text(encoding="utf-8") == reference(ran.project.analytics), "write it anew: make docs"


def test_the_ops_store_is_on_the_server(ran: Served) -> None:
    with OpsStore.open(ran.url) as store:
        assert [run.status for run in runs.recent(store, 10)] == ["published", "failed", "published"]
    with pytest.raises(OpsStoreError, match=r"moved to postgresql.*Set EVENTPIPE_OPS"):
        OpsStore.open(ran.project.root / "ops.db")


def test_what_fired_is_delivered_from_the_server(ran: Served, call: Callable[..., str]) -> None:
    """Decisions and deliveries of one ops store there: each trigger goes out once, and is replayed under its id."""
    with psycopg.connect(ran.url) as connection:
        query = "select trigger_id from eventpipe.automation_triggers where automation = 'thanks'"
        fired = {trigger_id for (trigger_id,) in connection.execute(query)}
    assert json.loads(call("deliver", "--json"))["delivered"] == len(fired) > 1
    assert json.loads(call("deliver", "--json"))["delivered"] == 0

    def sent() -> list[str]:
        files = sorted((ran.project.root / "outbox").glob("*.jsonl"))
        return [json.loads(line)["id"] for file in files for line in file.read_text().splitlines()]

    assert sorted(sent()) == sorted(fired)
    again = min(fired)
    call("deliveries", "replay", again)
    assert json.loads(call("deliver", "--json"))["delivered"] == 1
    assert sent().count(again) == 2
    shown = json.loads(call("deliveries", "show", again, "--json"))
    assert (shown["status"], len(shown["tried"])) == ("delivered", 2)


@pytest.fixture
def call(ran: Served, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """The command line on the project, served from the server or (`here`) from its file."""

    def called(*arguments: object, here: bool = False) -> str:
        monkeypatch.setenv("EVENTPIPE_OPS", ran.url)
        monkeypatch.setenv("EVENTPIPE_SERVING_URL", "" if here else ran.url)
        capfd.readouterr()
        code = main([str(each) for each in (*arguments, "--project", ran.project.root)])
        written = capfd.readouterr()
        assert code == 0, written.err
        return written.out

    return called


def test_query_answers_alike(call: Callable[..., str], tmp_path: Path) -> None:
    query = "select event_id, occurred_at, value, flags, properties from events order by event_id"
    theirs, ours = json.loads(call("query", query, "--json")), json.loads(call("query", query, "--json", here=True))
    assert theirs == ours
    call("query", "select event_id, value, occurred_at from events", tmp_path / "rows.parquet")
    with duckdb.connect() as engine:
        count = engine.execute(f"select count(*), sum(value) from '{tmp_path}/rows.parquet'").fetchone()
    assert count == (len(ours), sum((Decimal(str(row["value"])) for row in ours if row["value"]), Decimal()))


def test_contact_show_answers_alike(call: Callable[..., str]) -> None:
    contacts = json.loads(call("query", "select contact_id from contacts order by contact_id limit 5", "--json"))
    for each in contacts:
        show = ("contact", "show", each["contact_id"], "--json")
        assert json.loads(call(*show)) == json.loads(call(*show, here=True))


def test_status_and_doctor_know_the_server(ran: Served, call: Callable[..., str]) -> None:
    status = json.loads(call("status", "--json"))
    assert status["published"]["tables"]["events"] == sum(ran.tables()["events"].values())


def test_python_answers_alike(ran: Served) -> None:
    with connect(ran.project.root, ran.environ) as there, connect(ran.project.root, {"EVENTPIPE_OPS": ran.url}) as here:
        assert there.rfm().equals(here.rfm())
        order = ["contact_id", "workspace_id"]
        assert (
            there.segment("buyers").drop("traits").sort(order).equals(here.segment("buyers").drop("traits").sort(order))
        )
        contact = there.sql("select contact_id from contact_timeline group by 1 order by count(*) desc limit 1").item()
        theirs, ours = there.timeline(contact), here.timeline(contact)
        assert theirs.schema == ours.schema
        assert theirs.drop("properties", "extra", "changes").equals(ours.drop("properties", "extra", "changes"))
        total = there.sql("select sum(value) as total from events where currency = 'USD'")
        assert total.equals(here.sql("select sum(value)::decimal(38, 10) as total from events where currency = 'USD'"))


def test_nobody_is_found_and_somebody_was_meant(ran: Served) -> None:
    with connect(ran.project.root, ran.environ) as there:
        known = there.sql(
            "select max(identifier_value) from contact_identifiers where identifier_type = 'email'"
        ).item()
        with pytest.raises(UnknownContact, match="Did you mean"):
            there.timeline(f"{known[:3]}x{known[3:]}")


@pytest.mark.parametrize(
    "query",
    [
        "delete from events",
        "create table t (a int)",
        "select 1; select 2",
        "select nothing from events",
        "selct",
        ";",
        "-- nothing",
        "set default_transaction_read_only = off",
        "copy events to stdout",
        "/* as the owner */ with gone as (delete from events returning 1) select * from gone",
    ],
)
def test_what_is_no_question_is_refused(ran: Served, query: str) -> None:
    with connect(ran.project.root, ran.environ) as there:
        there.sql("select set_config('default_transaction_read_only', 'off', false)")
        with pytest.raises(UsageError):
            there.sql(query)


def test_an_answer_is_a_frame_or_a_sentence(ran: Served) -> None:
    with connect(ran.project.root, ran.environ) as there:
        nobody = there.sql("select event_id, occurred_at, value from events where false")
        assert nobody.schema == there.sql("select event_id, occurred_at, value from events").schema
        one = there.sql("select time '12:00' as t, interval '1 day' as i, '{}'::uuid[] as u, row(1, 'a') as r")
        assert one.row(0) == ("12:00:00", "1 day", [], "(1,a)")
        for number in ("'NaN'::numeric", "1e30::numeric", "12345678901234567890123456789.5"):
            with pytest.raises(QueryFailed, match="A number of the column n has no place"):
                there.sql(f"select {number} as n")


def test_who_has_read_holds_up_no_change_of_columns(ran: Served) -> None:
    with connect(ran.project.root, ran.environ) as there, psycopg.connect(ran.url) as owner:
        there.rfm()
        owner.execute("set lock_timeout = '1s'")
        owner.execute("lock table eventpipe.contact_rfm in access exclusive mode")
