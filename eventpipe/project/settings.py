"""eventpipe.yml: settings, sources and identity as frozen typed objects.

Scalars and locations can also come from the environment, which wins over the file; an empty variable counts
as unset, one of another name is told of (eventpipe.project.environment). Sources, identity and RFM are set in the file only.

    variable                    key                        default           type
    EVENTPIPE_WORKSPACE         workspace                  default           text
    EVENTPIPE_TIMEZONE          timezone                   UTC               IANA time zone
    EVENTPIPE_CURRENCY          currency                   USD               ISO 4217
    EVENTPIPE_EARLIEST          earliest                   1990-01-01        date
    EVENTPIPE_SETTLE            settle                     60s               duration
    EVENTPIPE_SCHEDULE          schedule                   0 6 * * *         cron, in the project's time zone
    EVENTPIPE_EXPORTS           paths.exports              exports           folder
    EVENTPIPE_LAKE              paths.lake                 lake              folder
    EVENTPIPE_WAREHOUSE         paths.warehouse            warehouse.duckdb  file
    EVENTPIPE_ANALYTICS         paths.analytics            analytics.duckdb  file
    EVENTPIPE_OPS               paths.ops                  ops.db            file, or postgresql:// address
    EVENTPIPE_MEMORY            engine.memory              2GB               size
    EVENTPIPE_THREADS           engine.threads             all cores         whole number
    EVENTPIPE_TEMP_SPACE        engine.temp_space          20GB              size
    EVENTPIPE_SPARK             engine.spark               (none)            Spark master
    EVENTPIPE_LINE_BYTES        limits.line_bytes          1MiB              size
    EVENTPIPE_DEPTH             limits.depth               32                whole number
    EVENTPIPE_EXPANSION_RATIO   limits.expansion_ratio     200               whole number
    EVENTPIPE_EXPANDED_BYTES    limits.expanded_bytes      50GB              size
    EVENTPIPE_EVENT_NAMES       limits.event_names         10000             whole number
    EVENTPIPE_PROPERTY_NAMES    limits.property_names      10000             whole number
    EVENTPIPE_SERVING_URL       serving.url                (none)            postgresql:// address
    EVENTPIPE_SERVING_SCHEMA    serving.schema             eventpipe         schema
    EVENTPIPE_ALERT_WEBHOOK     alerts.webhook             (none)            https:// address
    EVENTPIPE_ALERT_SECRET      alerts.secret              (none)            whsec_ secret
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from eventpipe.errors import Problem
from eventpipe.project.codes import Currency, Timezone
from eventpipe.project.document import Document, KeyPath
from eventpipe.project.identifiers import IdentitySettings, declared_names, identity_findings
from eventpipe.project.quantities import ByteCount, Duration, EngineSize
from eventpipe.project.refusal import Refusal
from eventpipe.project.rfm import RfmSettings, rfm_findings
from eventpipe.project.serving import ServingSettings, is_address, server_address, serving_findings
from eventpipe.project.signing import signing_secret
from eventpipe.project.sources import Source, source_findings
from eventpipe.project.validation import Section, at, problems_of, validate

FILE: Final = "eventpipe.yml"
_CRON: Final = re.compile(r"[0-9*/,-]+( [0-9A-Za-z*/,-]+){4}")


_MASTER: Final = re.compile(
    r"local(\[([0-9]+|\*)(, *[0-9]+)?\])?|local-cluster\[[0-9]+, *[0-9]+, *[0-9]+\]|yarn|k8s://\S+"
    r"|spark://[^\s/,]+:[0-9]+(,[^\s/,]+:[0-9]+)*"
)
_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(:[0-9]{1,5})?")


def _location(text: str) -> str:
    if is_address(text):
        raise Refusal("a local path: addresses are not supported here")
    if not text.strip():
        raise Refusal("a path: it is empty")
    return text


def _store(text: str) -> str:
    return server_address(text) if is_address(text) else _location(text)


def _workspace(text: str) -> str:
    if not text.strip() or text != text.strip() or not text.isprintable() or len(text) > 255:
        raise Refusal("a workspace: take 1 to 255 printable characters without blanks around them")
    return text


Location = Annotated[str, AfterValidator(_location)]
Store = Annotated[str, AfterValidator(_store)]


class Paths(Section):
    """Where things are, relative to the project's folder or absolute; the ops store may
    be on a PostgreSQL server.
    """

    exports: Location = "exports"
    lake: Location = "lake"
    warehouse: Location = "warehouse.duckdb"
    analytics: Location = "analytics.duckdb"
    ops: Store = "ops.db"


def _master(text: str) -> str:
    if not _MASTER.fullmatch(text):
        raise Refusal("a Spark master: write spark://host:7077, yarn, k8s://https://host:6443 or local[*]")
    return text


class EngineSettings(Section):
    """What the engine may take. Sizes are spelled as DuckDB takes them; `threads` None is all cores. `spark` is the master
    of a cluster, on which rebuilds are computed."""

    memory: EngineSize = "2GB"
    threads: int | None = Field(default=None, ge=1, le=4096)
    temp_space: EngineSize = "20GB"
    spark: Annotated[str, AfterValidator(_master)] | None = None


class LimitSettings(Section):
    """Where intake stops reading on. Sizes in bytes."""

    line_bytes: ByteCount = 1024 * 1024
    depth: int = Field(default=32, ge=1, le=1000)
    expansion_ratio: int = Field(default=200, ge=1)
    expanded_bytes: ByteCount = 50 * 1000**3
    event_names: int = Field(default=10_000, ge=1)
    property_names: int = Field(default=10_000, ge=1)


def _hosts(written: tuple[str, ...]) -> tuple[str, ...]:
    for each in written:
        if not _HOST.fullmatch(each):
            raise Refusal("a list of hosts: write names or addresses, like localhost or 127.0.0.1:8080")
    return tuple(each.lower() for each in written)


class DeliverSettings(Section):
    """Where triggers may go. `allow_hosts` are targets of developers: hosts, or hosts with a port,
    that may be private and without TLS. `in_flight` is how many requests are under way at once."""

    allow_hosts: Annotated[tuple[str, ...], AfterValidator(_hosts)] = ()
    in_flight: int = Field(default=16, ge=1, le=256)


def _cron(text: str) -> str:
    if not _CRON.fullmatch(text):
        raise Refusal("a cron schedule: write minute, hour, day, month and weekday, like 0 6 * * *")
    return text


def _webhook(text: str) -> str:
    if urlsplit(text).scheme not in ("https", "http") or not urlsplit(text).hostname:
        raise Refusal("an address to post to: write https://host/path")
    return text


class AlertSettings(Section):
    """Who is told of failed runs: the address that `{"text": ...}` is posted to, signed where there is a `secret`."""

    webhook: Annotated[str, AfterValidator(_webhook)] | None = Field(default=None, repr=False)
    secret: Annotated[str, AfterValidator(signing_secret)] | None = Field(default=None, repr=False)


class Settings(Section):
    """The whole of eventpipe.yml."""

    workspace: Annotated[str, AfterValidator(_workspace)] = "default"
    timezone: Timezone = "UTC"
    currency: Currency = "USD"
    earliest: date = date(1990, 1, 1)
    settle: Duration = timedelta(seconds=60)
    schedule: Annotated[str, AfterValidator(_cron)] = "0 6 * * *"
    sources: Mapping[str, Source] = Field(default_factory=dict)
    identity: IdentitySettings = IdentitySettings()
    rfm: RfmSettings = RfmSettings()
    paths: Paths = Paths()
    engine: EngineSettings = EngineSettings()
    limits: LimitSettings = LimitSettings()
    deliver: DeliverSettings = DeliverSettings()
    serving: ServingSettings = ServingSettings()
    alerts: AlertSettings = AlertSettings()


_TOP_LEVEL: Final = ("workspace", "timezone", "currency", "earliest", "settle", "schedule")
_SECTIONS: Final[Mapping[str, type[Section]]] = {
    "paths": Paths,
    "engine": EngineSettings,
    "limits": LimitSettings,
}

VARIABLES: Final[Mapping[str, KeyPath]] = {
    **{f"EVENTPIPE_{key.upper()}": (key,) for key in _TOP_LEVEL},
    **{
        f"EVENTPIPE_{key.upper()}": (section, key) for section, model in _SECTIONS.items() for key in model.model_fields
    },
    "EVENTPIPE_SERVING_URL": ("serving", "url"),
    "EVENTPIPE_SERVING_SCHEMA": ("serving", "schema"),
    "EVENTPIPE_ALERT_WEBHOOK": ("alerts", "webhook"),
    "EVENTPIPE_ALERT_SECRET": ("alerts", "secret"),
}
"""The environment variables of the table above, with the key that each one overrides."""

_WHOLE_NUMBERS: Final = frozenset(
    (section, key)
    for section, model in _SECTIONS.items()
    for key, field in model.model_fields.items()
    if field.annotation in (int, int | None)
)


def read_settings(document: Document) -> tuple[Settings | None, list[Problem]]:
    """The settings in `document`, or None and every problem of it."""
    settings, problems = validate(Settings, document)
    problems += problems_of(document, identity_findings(document))
    problems += problems_of(document, rfm_findings(document))
    types = declared_names(document) or IdentitySettings().names
    problems += problems_of(document, serving_findings(document, types))
    sources = at(document.data, ("sources",))
    for name in sources if isinstance(sources, dict) else ():
        findings = source_findings(document, ("sources", name), declared_names(document) or ())
        problems += problems_of(document, findings)
    return (None if problems else settings), problems


def with_environment(document: Document, environ: Mapping[str, str]) -> Document:
    """`document` with the values that the variables of the table above give instead."""
    for variable, path in VARIABLES.items():
        if text := environ.get(variable):
            whole = path in _WHOLE_NUMBERS and re.fullmatch(r"\s*[0-9]{1,18}\s*", text)
            document = document.overridden(path, variable, int(text) if whole else text)
    return document
