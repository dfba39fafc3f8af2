"""eventpipe.yml: what it says, its defaults, how each mistake is told."""

from __future__ import annotations

from datetime import date, timedelta
from textwrap import dedent
from typing import Any

import pytest
from pydantic import ValidationError

import eventpipe.project.settings as settings_module
from eventpipe.errors import Problem
from eventpipe.project.identifiers import DEFAULT_TYPES, IdentifierType
from eventpipe.project.mapping import Constant, FieldPath, SqlField
from eventpipe.project.settings import VARIABLES, Settings, read_settings, with_environment
from eventpipe.project.sources import CsvOptions, Source, SourceProfile
from eventpipe.project.yaml import parse_document

FILE = "eventpipe.yml"


def read(text: str, **environ: str) -> tuple[Settings | None, list[Problem]]:
    """What eventpipe.yml with this text gives."""
    document, problems = parse_document(dedent(text).encode(), FILE, environ)
    settings, wrong = read_settings(with_environment(document, environ))
    return settings, problems + wrong


def settings_of(text: str = "", **environ: str) -> Settings:
    """The settings of a text without problems."""
    settings, problems = read(text, **environ)
    assert problems == []
    assert settings is not None
    return settings


def profile(source: str, settings: str = "") -> SourceProfile:
    """The profile of `source` (YAML between braces) under the name `web`."""
    project = settings_of(f"{settings}\nsources: {{web: {source}}}\n")
    return project.sources["web"].resolved("web", project)


def problem_of(text: str, **environ: str) -> Problem:
    """The only problem of a text."""
    settings, problems = read(text, **environ)
    assert settings is None
    assert len(problems) == 1, problems
    return problems[0]


def test_an_empty_file_is_all_defaults() -> None:
    settings = settings_of("")
    assert settings == Settings()
    assert (settings.workspace, settings.timezone, settings.currency) == ("default", "UTC", "USD")
    assert (settings.earliest, settings.settle) == (date(1990, 1, 1), timedelta(seconds=60))
    assert settings.paths.model_dump() == {
        "exports": "exports",
        "lake": "lake",
        "warehouse": "warehouse.duckdb",
        "analytics": "analytics.duckdb",
        "ops": "ops.db",
    }
    assert settings.engine.model_dump() == {"memory": "2GB", "threads": None, "temp_space": "20GB", "spark": None}
    assert settings.limits.model_dump() == {
        "line_bytes": 1_048_576,
        "depth": 32,
        "expansion_ratio": 200,
        "expanded_bytes": 50_000_000_000,
        "event_names": 10_000,
        "property_names": 10_000,
    }
    assert settings.identity.types == DEFAULT_TYPES
    assert (settings.identity.blocked, settings.identity.shared_above) == ((), 10)


def test_a_section_with_its_lines_commented_out_says_nothing() -> None:
    assert settings_of("sources:\n  # web: {preset: redo}\nengine:\nworkspace:\n") == Settings()


def test_the_example_of_the_specification_loads() -> None:
    settings = settings_of(
        """
        workspace: default
        timezone: UTC
        currency: USD
        sources:
          web:  {preset: redo}
          shop:
            format: csv
            csv: {delimiter: ",", header: true}
            timezone: Europe/London
            on_conflict: latest_wins
            authority: 10
            map:
              customer_id: CustomerID
              occurred_at: {field: InvoiceDate, format: "%Y-%m-%d %H:%M:%S"}
              event_name:  {value: order.completed}
              value:       {sql: "cast(Quantity as decimal(18,4)) * cast(UnitPrice as decimal(18,4))"}
              order_id:    InvoiceNo
              goal_type:   {value: purchase}
        identity:
          types:
            - {name: customer_id, limit: 1}
            - {name: domain_userid, known: false, limit: 50}
          blocked: ["qa@myshop.com"]
          shared_above: 10
        """
    )
    shop = settings.sources["shop"]
    assert shop.map["customer_id"] == FieldPath(field="CustomerID")
    assert shop.map["occurred_at"] == FieldPath(field="InvoiceDate", format="%Y-%m-%d %H:%M:%S")
    assert shop.map["event_name"] == Constant(value="order.completed")
    value = shop.map["value"]
    assert isinstance(value, SqlField)
    assert value.expression == 'CAST("Quantity" AS DECIMAL(18, 4)) * CAST("UnitPrice" AS DECIMAL(18, 4))'
    assert value.fields == ("Quantity", "UnitPrice")
    assert settings.identity.types == (
        IdentifierType(name="customer_id", limit=1),
        IdentifierType(name="domain_userid", known=False, limit=50),
    )


@pytest.mark.parametrize(
    ("preset", "differences"),
    [
        ("redo", {}),
        ("customerio", {}),
        ("canonical", {}),
        ("notifuse", {"on_conflict": "latest_wins", "key_scope": "event_name", "name_rule": "notifuse"}),
        ("arsel", {"coerce": False, "registry": "closed", "identifier_rule": "exactly_one"}),
    ],
)
def test_defaults_by_preset(preset: str, differences: dict[str, Any]) -> None:
    expected: dict[str, Any] = {
        "name": "web",
        "preset": preset,
        "format": None,
        "csv": CsvOptions(),
        "timezone": "Asia/Riyadh",
        "on_conflict": "first_wins",
        "authority": 0,
        "map": {},
        "explode": None,
        "default_region": None,
        "coerce": True,
        "registry": "open",
        "identifiers": "required",
        "compat": None,
        "key_scope": "none",
        "name_rule": "free",
        "identifier_rule": "any",
    }
    assert profile(f"{{preset: {preset}}}", "timezone: Asia/Riyadh") == SourceProfile(**(expected | differences))


def test_a_mapped_source_resolves_like_a_free_preset() -> None:
    mapped = profile("{map: {event_name: Event, email: Mail}, identifiers: optional, timezone: Europe/Paris}")
    assert (mapped.preset, mapped.on_conflict, mapped.registry, mapped.coerce) == (
        None,
        "first_wins",
        "open",
        True,
    )
    assert (mapped.identifiers, mapped.timezone) == ("optional", "Europe/Paris")


def test_what_a_source_says_wins_over_its_preset() -> None:
    said = profile("{preset: arsel, registry: open, coerce: true, on_conflict: latest_wins, identifiers: optional}")
    assert (said.registry, said.coerce, said.on_conflict, said.identifiers) == (
        "open",
        True,
        "latest_wins",
        "optional",
    )


def test_a_preset_with_a_map_keeps_both() -> None:
    both = profile("{preset: redo, map: {order_id: data.number}}")
    assert (both.preset, both.map) == ("redo", {"order_id": FieldPath(field="data.number")})


def test_compat_notifuse_updates_events_on_any_source() -> None:
    assert profile("{preset: canonical, compat: notifuse}").on_conflict == "latest_wins"


def test_a_map_may_fill_declared_identifier_types() -> None:
    settings = settings_of(
        """
        identity: {types: [{name: network_userid, limit: 5}]}
        sources: {web: {map: {event_name: e, network_userid: n, previous_id: p}}}
        """
    )
    assert "network_userid" in settings.sources["web"].map


def test_norway_is_a_region() -> None:
    assert profile("{preset: redo, default_region: NO}").default_region == "NO"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0s", 0), ("90s", 90), ("15m", 900), ("2h", 7200), ("3d", 259_200), ("1w", 604_800)],
)
def test_durations(text: str, seconds: int) -> None:
    assert settings_of(f"settle: {text}").settle == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("text", "size"),
    [("4096", 4096), ("64KiB", 65_536), ("1 MB", 1_000_000), ("1.5kb", 1500), ("2GiB", 2 * 1024**3)],
)
def test_sizes(text: str, size: int) -> None:
    assert settings_of(f"limits: {{line_bytes: {text}}}").limits.line_bytes == size


def test_engine_sizes_are_spelled_for_the_engine() -> None:
    assert settings_of("engine: {memory: 1.5 gib}").engine.memory == "1.5GiB"


def test_settings_cannot_be_changed() -> None:
    settings = settings_of("sources: {web: {preset: redo}}")
    for target in (settings, settings.sources["web"], settings.identity.types[0], settings.limits):
        with pytest.raises(ValidationError, match="frozen"):
            target.workspace = "other"  # type: ignore[union-attr]  # the assignment is what must fail


# --- mistakes: each with its line, its key and what would be accepted ---

MISTAKES = [
    (
        "workspace: x\ncurency: EUR\n",
        2,
        "curency",
        ["unknown key", "did you mean 'currency'?", "timezone, currency"],
    ),
    ("rfn: {bins: 5}\n", 1, "rfn", ["unknown key", "did you mean 'rfm'?", "Accepted: workspace"]),
    ("- a\n", 1, "", ["a list is not a mapping"]),
    ("workspace: 5\n", 1, "workspace", ["5 is not text", "quotes"]),
    ('workspace: " x"\n', 1, "workspace", ["not a workspace"]),
    ("timezone: Europe/Lodnon\n", 1, "timezone", ["IANA", "did you mean 'Europe/London'?"]),
    ("timezone: localtime\n", 1, "timezone", ["IANA"]),
    ("currency: usd\n", 1, "currency", ["ISO 4217", "did you mean 'USD'?"]),
    ("currency: BTC\n", 1, "currency", ["'BTC'", "ISO 4217"]),
    ("earliest: 1990-02-30\n", 1, "earliest", ["a date like 1990-01-31"]),
    ("earliest: 1990\n", 1, "earliest", ["a date like 1990-01-31"]),
    ("settle: 60\n", 1, "settle", ["60 is not a duration", "like 60s"]),
    ("settle: soon\n", 1, "settle", ["s, m, h, d or w"]),
    ("settle: 999999999w\n", 1, "settle", ["a duration"]),
    ("sources: [redo]\n", 1, "sources", ["a list is not a mapping"]),
    ("sources:\n  Web: {preset: redo}\n", 2, "sources.Web", ["'Web'", "lower-case"]),
    ("sources:\n  ../x: {preset: redo}\n", 2, "sources.../x", ["not a name for a source"]),
    (
        "sources:\n  web:\n    preset: redoo\n",
        3,
        "sources.web.preset",
        ["'redo'?", "redo, notifuse, customerio, arsel"],
    ),
    ("sources:\n  web:\n", 2, "sources.web", ["null is not a mapping"]),
    ("sources:\n  web: {}\n", 2, "sources.web", ["needs a preset (redo, notifuse", "or a map"]),
    ("sources:\n  web: {preset: null}\n", 2, "sources.web", ["needs a preset"]),
    (
        "sources:\n  web: {prest: redo, map: {event_name: e}}\n",
        2,
        "sources.web.prest",
        ["did you mean 'preset'?"],
    ),
    (
        "sources: {web: {preset: redo, format: cvs}}\n",
        1,
        "sources.web.format",
        ["'csv'?", "jsonl, json, csv, parquet"],
    ),
    (
        "sources: {web: {preset: redo, on_conflict: last}}\n",
        1,
        "sources.web.on_conflict",
        ["first_wins, latest_wins"],
    ),
    (
        "sources: {web: {preset: redo, authority: '10'}}\n",
        1,
        "sources.web.authority",
        ["'10' is not a whole number"],
    ),
    (
        "sources: {web: {preset: redo, authority: 1.5}}\n",
        1,
        "sources.web.authority",
        ["1.5 is not a whole number"],
    ),
    (
        "sources: {web: {preset: redo, coerce: yes}}\n",
        1,
        "sources.web.coerce",
        ["'yes' is not true or false"],
    ),
    ("sources: {web: {preset: redo, coerce: 1}}\n", 1, "sources.web.coerce", ["1 is not true or false"]),
    (
        "sources: {web: {preset: redo, registry: close}}\n",
        1,
        "sources.web.registry",
        ["'closed'?", "open, closed"],
    ),
    (
        "sources: {web: {preset: redo, identifiers: none}}\n",
        1,
        "sources.web.identifiers",
        ["required, optional"],
    ),
    ("sources: {web: {preset: redo, compat: redo}}\n", 1, "sources.web.compat", ["Accepted: notifuse"]),
    ("sources: {web: {preset: redo, timezone: Mars}}\n", 1, "sources.web.timezone", ["IANA"]),
    (
        "sources: {web: {preset: redo, default_region: gb}}\n",
        1,
        "sources.web.default_region",
        ["'GB'?", "3166"],
    ),
    ("sources: {web: {preset: redo, explode: ''}}\n", 1, "sources.web.explode", ["it is empty"]),
    ("sources: {web: {preset: redo, csv: ';'}}\n", 1, "sources.web.csv", ["';' is not a mapping"]),
    (
        "sources: {web: {preset: redo, csv: {delimitr: ';'}}}\n",
        1,
        "sources.web.csv.delimitr",
        ["'delimiter'?", "quote"],
    ),
    (
        "sources: {web: {preset: redo, csv: {delimiter: ';;'}}}\n",
        1,
        "sources.web.csv.delimiter",
        ["one ASCII character"],
    ),
    (
        "sources: {web: {preset: redo, csv: {quote: ','}}}\n",
        1,
        "sources.web.csv.quote",
        ["the delimiter too"],
    ),
    (
        "sources: {web: {preset: redo, csv: {whitespace: true, delimiter: ';'}}}\n",
        1,
        "sources.web.csv.delimiter",
        ["whitespace: true"],
    ),
    ("sources: {web: {preset: redo, format: json, csv: {}}}\n", 1, "sources.web.csv", ["the format is json"]),
    (
        "sources: {web: {preset: redo, format: csv, explode: x}}\n",
        1,
        "sources.web.explode",
        ["CSV cannot hold"],
    ),
    (
        "sources: {web: {preset: canonical, compat: notifuse, on_conflict: first_wins}}\n",
        1,
        "sources.web.on_conflict",
        ["compat: notifuse"],
    ),
    ("sources:\n  web:\n    map: {email: e}\n", 3, "sources.web.map", ["must map event_name"]),
    ("sources: {web: {preset: redo, map: 5}}\n", 1, "sources.web.map", ["5 is not a mapping"]),
    (
        "sources:\n  web:\n    map:\n      event_name: e\n      occured_at: t\n",
        5,
        "sources.web.map.occured_at",
        ["did you mean 'occurred_at'?", "deleted_at", "customer_id"],
    ),
    (
        "sources: {web: {preset: redo, map: {source: x}}}\n",
        1,
        "sources.web.map.source",
        ["no canonical field"],
    ),
    (
        "sources: {web: {preset: redo, map: {email: 5}}}\n",
        1,
        "sources.web.map.email",
        ["{field: ...}", "{sql: ...}"],
    ),
    (
        "sources: {web: {preset: redo, map: {email: }}}\n",
        1,
        "sources.web.map.email",
        ["null is not", "a field name"],
    ),
    ("sources: {web: {preset: redo, map: {email: ''}}}\n", 1, "sources.web.map.email.field", ["it is empty"]),
    (
        "sources: {web: {preset: redo, map: {email: {vale: x}}}}\n",
        1,
        "sources.web.map.email",
        ["{value: ...}"],
    ),
    (
        "sources: {web: {preset: redo, map: {email: {value: x, format: y}}}}\n",
        1,
        "sources.web.map.email.format",
        ["unknown key", "Accepted: value"],
    ),
    (
        "sources: {web: {preset: redo, map: {occurred_at: {field: t, formt: y}}}}\n",
        1,
        "sources.web.map.occurred_at.formt",
        ["did you mean 'format'?", "Accepted: field, format"],
    ),
    (
        "sources: {web: {preset: redo, map: {occurred_at: {field: t, format: YYYY}}}}\n",
        1,
        "sources.web.map.occurred_at.format",
        ["'YYYY'", "strptime", "%Y-%m-%d"],
    ),
    (
        "sources: {web: {preset: redo, map: {email: {field: t, format: '%Y'}}}}\n",
        1,
        "sources.web.map.email.format",
        ["only to occurred_at and deleted_at"],
    ),
    (
        "sources: {web: {preset: redo, map: {email: {value: [x]}}}}\n",
        1,
        "sources.web.map.email.value",
        ["a constant"],
    ),
    (
        "sources: {web: {preset: redo, map: {goal_type: {value: purchse}}}}\n",
        1,
        "sources.web.map.goal_type.value",
        ["did you mean 'purchase'?", "purchase, subscription, lead, signup, booking, trial, other"],
    ),
    (
        "sources: {web: {preset: redo, map: {kind: {value: tracking}}}}\n",
        1,
        "sources.web.map.kind.value",
        ["did you mean 'track'?", "track, identify, alias, page, screen"],
    ),
    (
        "sources: {web: {preset: redo, map: {currency: {value: Euro}}}}\n",
        1,
        "sources.web.map.currency.value",
        ["ISO 4217"],
    ),
    (
        "sources: {web: {preset: redo, map: {value: {value: '5'}}}}\n",
        1,
        "sources.web.map.value.value",
        ["a number"],
    ),
    (
        "sources: {web: {preset: redo, map: {order_id: {value: 5}}}}\n",
        1,
        "sources.web.map.order_id.value",
        ["quotes"],
    ),
    (
        "sources: {web: {preset: redo, map: {traits: {value: x}}}}\n",
        1,
        "sources.web.map.traits.value",
        ["JSON object"],
    ),
    (
        "sources:\n  web:\n    preset: redo\n    map:\n      value: {sql: 'read_text(a)'}\n",
        5,
        "sources.web.map.value.sql",
        ["one scalar expression", "read_text() is not accepted", "coalesce, concat"],
    ),
    ("identity: {types: []}\n", 1, "identity.types", ["at least one"]),
    ("identity:\n  types:\n    - {name: email}\n", 3, "identity.types.0.limit", ["is required"]),
    (
        "identity:\n  types:\n    - {name: email, limit: 0}\n",
        3,
        "identity.types.0.limit",
        ["0 is not 1 or more"],
    ),
    (
        "identity:\n  types:\n    - {name: e-mail, limit: 1}\n",
        3,
        "identity.types.0.name",
        ["'e-mail'", "lower-case"],
    ),
    (
        "identity:\n  types:\n    - {name: email, limit: 1}\n    - {name: email, limit: 2}\n",
        4,
        "identity.types.1.name",
        ["declared twice", "identity.types.0"],
    ),
    (
        "identity: {types: [{name: kind, limit: 1}]}\n",
        1,
        "identity.types.0.name",
        ["a column", "workspace_id"],
    ),
    (
        "identity: {types: [{name: x, limit: 1, know: true}]}\n",
        1,
        "identity.types.0.know",
        ["'known'?", "name, known"],
    ),
    ("identity: {blocked: [5]}\n", 1, "identity.blocked.0", ["5 is not text", "quotes"]),
    ("identity: {blocked: a@b.c}\n", 1, "identity.blocked", ["'a@b.c' is not a list"]),
    ("identity: {shared_above: 0}\n", 1, "identity.shared_above", ["1 or more"]),
    (
        "paths: {lak: x}\n",
        1,
        "paths.lak",
        ["did you mean 'lake'?", "exports, lake, warehouse, analytics, ops"],
    ),
    ("paths: {lake: ''}\n", 1, "paths.lake", ["it is empty"]),
    ("paths: {lake: 's3://bucket/lake'}\n", 1, "paths.lake", ["not a local path"]),
    ("engine: {memory: 2}\n", 1, "engine.memory", ["2 is not text"]),
    ("engine: {memory: 2 gigs}\n", 1, "engine.memory", ["a size", "KB, MB, GB"]),
    ("engine: {threads: 0}\n", 1, "engine.threads", ["1 or more"]),
    ("engine: {threads: true}\n", 1, "engine.threads", ["true is not a whole number"]),
    ("limits: {line_bytes: 0}\n", 1, "limits.line_bytes", ["a size"]),
    ("limits: {expanded_bytes: lots}\n", 1, "limits.expanded_bytes", ["a size", "KB, MB, GB"]),
    ("limits: {depth: '5'}\n", 1, "limits.depth", ["'5' is not a whole number"]),
    ("limits: {depth: 1001}\n", 1, "limits.depth", ["1000 or less"]),
]


@pytest.mark.parametrize(("text", "line", "key", "words"), MISTAKES, ids=[f"{row[2]}-{row[0]}" for row in MISTAKES])
def test_each_mistake_is_told_at_its_place(text: str, line: int, key: str, words: list[str]) -> None:
    problem = problem_of(text)
    assert (problem.file, problem.line, problem.key) == (FILE, line, key)
    assert all(word in problem.message for word in words), problem.message


def test_all_mistakes_are_told_at_once_also_within_one_source() -> None:
    _, problems = read(
        """
        timezone: Nowhere
        sources:
          web:
            preset: redoo
            csv: {quote: ","}
            map:
              emial: x
              value: {sql: "random()"}
              kind: {value: nothing}
          shop: {map: {email: x}}
        identity:
          types:
            - {name: email, limit: 0}
            - {name: email, limit: 1}
        """
    )
    assert sorted((problem.line, problem.key) for problem in problems) == [
        (2, "timezone"),
        (5, "sources.web.preset"),
        (6, "sources.web.csv.quote"),
        (8, "sources.web.map.emial"),
        (9, "sources.web.map.value.sql"),
        (10, "sources.web.map.kind.value"),
        (11, "sources.shop.map"),
        (14, "identity.types.0.limit"),
        (15, "identity.types.1.name"),
    ]


# --- the environment ---


def test_variables_win_over_the_file() -> None:
    settings = settings_of(
        "timezone: Nowhere\nlimits: {depth: 5}\n",
        EVENTPIPE_TIMEZONE="Asia/Riyadh",
        EVENTPIPE_WORKSPACE="12345",
        EVENTPIPE_EARLIEST="2001-01-01",
        EVENTPIPE_SETTLE="5m",
        EVENTPIPE_LAKE="/data/lake",
        EVENTPIPE_MEMORY="8GB",
        EVENTPIPE_THREADS="3",
        EVENTPIPE_DEPTH="7",
        EVENTPIPE_LINE_BYTES="2MiB",
        EVENTPIPE_EXPANDED_BYTES="1000",
        EVENTPIPE_CURRENCY="",
        EVENTPIPE_UNRELATED="x",
    )
    assert (settings.timezone, settings.workspace, settings.currency) == ("Asia/Riyadh", "12345", "USD")
    assert (settings.earliest, settings.settle) == (date(2001, 1, 1), timedelta(minutes=5))
    assert (settings.paths.lake, settings.engine.memory, settings.engine.threads) == ("/data/lake", "8GB", 3)
    assert settings.limits.model_dump(include={"depth", "line_bytes", "expanded_bytes"}) == {
        "depth": 7,
        "line_bytes": 2 * 1024**2,
        "expanded_bytes": 1000,
    }


@pytest.mark.parametrize("variable", sorted(VARIABLES.keys() - {"EVENTPIPE_WORKSPACE"}))
def test_a_wrong_variable_is_told_by_its_name_and_not_by_its_value(variable: str) -> None:
    if variable.endswith(("EXPORTS", "LAKE", "WAREHOUSE", "ANALYTICS", "OPS", "SERVING_SCHEMA")):
        problem = problem_of("", **{variable: "hush://hush"})
    else:
        problem = problem_of("", **{variable: "hush"})
    assert (problem.file, problem.line, problem.key) == ("environment", None, variable)
    assert "hush" not in problem.message


@pytest.mark.parametrize("password", ["hu@sh", "hu@sh/er", "hu/sh@er", "hu#sh", "hu?sh", "hu%sh", "hu:sh/"])
@pytest.mark.parametrize("variable", ["EVENTPIPE_SERVING_URL", "EVENTPIPE_OPS"])
def test_a_password_that_an_address_cannot_hold_as_it_is_is_refused(variable: str, password: str) -> None:
    """Parts of it would be taken for a host, and be shown in messages."""
    problem = problem_of("", **{variable: f"postgresql://writer:{password}@db/shop"})
    assert "in a password @ as %40" in problem.message
    assert "hu" not in problem.message
    escaped = "".join(f"%{ord(each):02X}" for each in password)
    assert settings_of("", **{variable: f"postgresql://writer:{escaped}@db:5432/shop?options=-cx%3D@y"})


def test_the_documented_table_lists_exactly_the_variables_that_are_read() -> None:
    rows = [line.split()[:2] for line in (settings_module.__doc__ or "").splitlines() if "EVENTPIPE_" in line]
    assert rows == [[variable, ".".join(map(str, path))] for variable, path in VARIABLES.items()]


def test_a_variable_does_not_hide_that_its_section_is_wrong() -> None:
    assert problem_of("paths: 5\n", EVENTPIPE_LAKE="x").key == "paths"


def test_the_value_of_a_substituted_variable_is_in_no_message() -> None:
    text = """
        timezone: ${env:SECRET}
        currency: ${env:SECRET}
        settle: ${env:SECRET}
        earliest: "${env:SECRET}"
        engine: {threads: "${env:SECRET}", memory: "${env:SECRET}"}
        sources:
          web:
            preset: ${env:SECRET}
            coerce: ${env:SECRET}
            map:
              kind: {value: "${env:SECRET}"}
              value: {sql: "${env:SECRET}(a)"}
              occurred_at: {field: x, format: "${env:SECRET}"}
        """
    _, problems = read(text, SECRET="purchase_hush")
    assert len(problems) == 11
    for problem in problems:
        assert "hush" not in problem.message
        assert "${env:SECRET}" in problem.message


def test_an_unset_variable_is_told_once() -> None:
    problem = problem_of("timezone: ${env:TZ_NAME}\n")
    assert (problem.line, problem.key) == (1, "timezone")
    assert problem.message == "the environment variable TZ_NAME is not set"


def test_a_source_can_be_made_in_code() -> None:
    assert Source(preset="redo").resolved("x", Settings()).name == "x"
    assert Source(map={"email": FieldPath(field="mail")}).map["email"] == FieldPath(field="mail")
