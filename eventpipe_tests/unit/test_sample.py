"""The sample engine, held against a reader of its files that shares no code with it.

The reader judges lines by the shipped definitions, deduplicates them, and walks their ties.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import itertools
import json
import os
import re
import subprocess
import sys
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from eventpipe.errors import UsageError
from eventpipe.sample.generate import generate
from eventpipe.sample.request import SOURCES, SampleRequest, SampleSummary

TYPES = ("customer_id", "email", "phone", "anonymous_id")
LIMITS = {"customer_id": 1, "email": 5, "phone": 5, "anonymous_id": 50}
ORDER_NAMES = {"Order Completed", "order.completed", "order_completed"}
REFUND_NAMES = {"Order Refunded", "order.refunded", "order_refunded"}
ARSEL_NAMES = {"order.completed", "trial.started", "checkout.started", "subscription.started"}
GOALS = {"purchase", "subscription", "lead", "signup", "booking", "trial", "other"}
BAD_LINES = {
    "invalid_json",
    "truncated_json",
    "bad_utf8",
    "missing_identifier",
    "missing_event_name",
    "bad_event_name",
    "purchase_without_value",
    "value_not_a_number",
    "future_timestamp",
    "unknown_event",
    "both_identifiers",
    "missing_required_property",
}


@dataclass
class Line:
    """One line as it stands in a file: bytes of a JSON line, or an element or row that a container format has
    read.
    """

    source: str
    landed_on: date
    file: str
    content: bytes | dict[str, Any]


@dataclass
class Seen:
    """A line as the reader understands it."""

    line: Line
    body: dict[str, Any] = field(default_factory=dict)
    name: str | None = None
    key: tuple[str, ...] | None = None
    at: float | None = None
    identifiers: dict[str, str] = field(default_factory=dict)
    properties: dict[str, Any] = field(default_factory=dict)
    value: Any = None
    currency: str = "USD"
    goal: str | None = None
    reasons: set[str] = field(default_factory=set)


# --- reading files ---


def read(folder: Path) -> Iterator[Line]:
    """Every line of every file in landing order, blank ones as b""."""
    for path in sorted(folder.glob("*/*/*"), key=lambda path: (path.parent.name, path.parent.parent.name, path.name)):
        source, landed_on = path.parent.parent.name, date.fromisoformat(path.parent.name)
        for content in contents(path):
            yield Line(source, landed_on, path.name, content)


def contents(path: Path) -> list[bytes] | list[dict[str, Any]]:
    if path.suffix == ".parquet":
        return [row for row in pq.read_table(path).to_pylist() if row]
    raw = path.read_bytes()
    if path.suffix == ".csv":
        rows = csv.DictReader(io.StringIO(raw.decode(), newline=""))
        return [{column: cell or None for column, cell in row.items()} for row in rows]
    if path.suffix == ".json":
        elements: list[dict[str, Any]] = json.loads(raw)["events"]
        return elements
    if path.suffix == ".gz":
        raw = gzip.decompress(raw)
    elif path.suffix == ".zst":
        raw = pa.input_stream(pa.py_buffer(raw), compression="zstd").read()
    lines = raw.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").split(b"\n")
    return lines[:-1] if lines[-1] == b"" else lines


# --- judging lines ---


def no_nan(_text: str) -> float:
    raise ValueError("NaN is not JSON")


def judge(line: Line) -> Seen:
    """Fields by the vendor's names, and every reason to reject the line."""
    seen = Seen(line)
    if isinstance(line.content, bytes):
        try:
            text = line.content.decode()
        except UnicodeDecodeError:
            seen.reasons.add("encoding.invalid")
            return seen
        try:
            seen.body = json.loads(text, parse_constant=no_nan)
        except ValueError:
            seen.reasons.add("json.invalid")
            return seen
    else:
        seen.body = line.content
    {"redo": read_redo, "notifuse": read_notifuse, "customerio": read_customerio, "arsel": read_arsel}[line.source](
        seen
    )
    check(seen)
    return seen


def read_redo(seen: Seen) -> None:
    body = seen.body
    customer: Any = body.get("customer")
    if isinstance(customer, str):
        kind = "email" if "@" in customer else "phone" if customer.startswith("+") else "customer_id"
        identify(seen, **{kind: customer})
    elif "eventTimestamp" in body:
        identify(
            seen,
            customer_id=customer.get("id"),
            email=customer.get("email"),
            phone=customer.get("phoneNumber"),
        )
    else:
        identify(seen, customer_id=body.get("customer_id"), email=body.get("email"), phone=body.get("phone"))
    seen.name = body.get("eventName", body.get("event_name"))
    seen.properties = body["data"] if "data" in body else body["properties"]
    stamp(seen, body.get("eventTimestamp") or body.get("event_timestamp") or body.get("timestamp"))
    unique = body.get("uniqueId", body.get("unique_id"))
    seen.key = None if unique is None else ("redo", unique)
    price(seen, body.get("value"), body.get("valueCurrency", body.get("value_currency")))


def read_notifuse(seen: Seen) -> None:
    body = seen.body
    identify(seen, email=body.get("email"))
    seen.name, seen.properties, seen.goal = body.get("event_name"), body["properties"], body.get("goal_type")
    if seen.name is not None and not re.fullmatch(r"[a-z0-9_./-]+", seen.name):
        seen.reasons.add("event_name.format")
    stamp(seen, body["occurred_at"])
    seen.key = ("notifuse", str(seen.name), body["external_id"])
    price(seen, body.get("goal_value"), None)


def read_customerio(seen: Seen) -> None:
    body = seen.body
    seen.key = ("customerio", body["id"])
    if "sent_at" in body:
        traits = json.loads(body.get("traits") or "{}")
        identify(
            seen,
            customer_id=body["user_id"],
            anonymous_id=body.get("anonymous_id", body.get("previous_id")),
            email=traits.get("email"),
            phone=traits.get("phone"),
        )
        seen.name = body.get("event_text", "identify" if "traits" in body else "alias")
        seen.properties = json.loads(body.get("properties") or "{}")
        stamp(seen, body["sent_at"])
    elif "action" in body:
        (kind, value), *more = body["identifiers"].items()
        assert not more
        traits = body["attributes"] if body["action"] == "identify" else {}
        identify(seen, **({"email": traits.get("email"), "phone": traits.get("phone")} | {rename(kind): value}))
        seen.name = "identify" if body["action"] == "identify" else body.get("name")
        seen.properties = body["attributes"]
        stamp(seen, body["timestamp"])
    else:
        beside = {rename(kind): value for kind, value in body.get("identifiers", {}).items()}
        identify(seen, **({kind: body.get(kind) for kind in TYPES} | beside))
        seen.name, seen.properties = body.get("name"), body["data"]
        stamp(seen, body["timestamp"])
    price(seen, None, None)


def rename(kind: str) -> str:
    return "customer_id" if kind == "id" else kind


def read_arsel(seen: Seen) -> None:
    body = seen.body
    identify(seen, customer_id=body.get("contact_id"), email=body.get("email"))
    if len(seen.identifiers) > 1:
        seen.reasons.add("identifier.ambiguous")
    seen.name, seen.properties = body["event"], body["data"]
    if seen.name not in ARSEL_NAMES:
        seen.reasons.add("event_name.unknown")
    assert not any(isinstance(value, list | dict) for value in seen.properties.values())
    stamp(seen, body["timestamp"])
    price(seen, None, None)


def identify(seen: Seen, **sent: str | None) -> None:
    for kind, value in sent.items():
        if value is None or value in ("guest", "undefined"):
            continue
        if kind == "email":
            value = unicodedata.normalize("NFC", value.strip()).lower()
        elif kind == "phone":
            value = "+" + re.sub(r"\D", "", value)
        seen.identifiers[kind] = value


def stamp(seen: Seen, sent: Any) -> None:
    try:
        seen.at = float(sent) if isinstance(sent, int) else datetime.fromisoformat(sent).timestamp()
    except ValueError:
        seen.reasons.add("occurred_at.invalid")
        return
    if datetime.fromtimestamp(seen.at, UTC).toordinal() > seen.line.landed_on.toordinal() + 1:
        seen.reasons.add("occurred_at.range")


def price(seen: Seen, value: Any, currency: str | None) -> None:
    seen.value = value if value is not None else seen.properties.get("total")
    seen.currency = currency or seen.properties.get("currency") or "USD"
    if not re.fullmatch("[A-Z]{3}", seen.currency):
        seen.reasons.add("currency.invalid")
    if isinstance(seen.value, str) and not re.fullmatch(r"-?\d+\.\d\d", seen.value):
        seen.reasons.add("value.invalid")


def check(seen: Seen) -> None:
    if seen.name is None:
        seen.reasons.add("event_name.missing")
    if not seen.identifiers:
        seen.reasons.add("identifier.missing")
    if seen.goal is not None and seen.goal not in GOALS:
        seen.reasons.add("goal_type.unknown")
    if seen.goal in ("purchase", "subscription") and seen.value is None:
        seen.reasons.add("goal_value.required")
    if seen.name in ORDER_NAMES | REFUND_NAMES and "event_name.format" not in seen.reasons:
        missing = {"order_id", "total"} - seen.properties.keys()
        seen.reasons |= {f"property.required:{name}" for name in missing}


# --- counting again ---


def recount(folder: Path) -> dict[str, Any]:
    """The numbers of SampleSummary, from the files alone."""
    counts: Counter[tuple[str, str]] = Counter()
    reasons: Counter[tuple[str, str]] = Counter()
    accepted: list[Seen] = []
    bodies: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for line in read(folder):
        if line.content == b"":
            counts[line.source, "blank"] += 1
            continue
        seen = judge(line)
        if seen.reasons:
            counts[line.source, "rejected"] += 1
            reasons.update((line.source, reason) for reason in seen.reasons)
            continue
        counts[line.source, "accepted"] += 1
        assert seen.at is not None
        counts[line.source, "late"] += datetime.fromtimestamp(seen.at, UTC).date() < line.landed_on
        if seen.key is not None:
            counts[line.source, "duplicates"] += seen.body in bodies[seen.key]
            bodies[seen.key].append(seen.body)
        accepted.append(seen)
    live = current(accepted)
    contacts, known = resolve(live)
    alone = {seen.identifiers["anonymous_id"] for seen in live if seen.identifiers.keys() == {"anonymous_id"}}
    return {
        "counts": counts,
        "reasons": reasons,
        "live": live,
        "contacts": len(set(contacts.values())),
        "known_contacts": len(known),
        "became_known": sum(contacts["anonymous_id", value] in known for value in alone),
        "contact_of": contacts,
    }


def current(accepted: list[Seen]) -> list[Seen]:
    """First wins, and for notifuse the newest; deletion follows what landed last."""
    kept: dict[Any, Seen] = {}
    deleted: set[Any] = set()
    for number, seen in enumerate(accepted):
        key = seen.key or number
        before = kept.setdefault(key, seen)
        if seen.line.source == "notifuse":
            assert seen.at is not None
            assert before.at is not None
            if seen.at > before.at:
                kept[key] = seen
            if "deleted_at" in seen.body:
                (deleted.discard if seen.body["deleted_at"] is None else deleted.add)(key)
    return [seen for key, seen in kept.items() if key not in deleted]


def resolve(live: list[Seen]) -> tuple[dict[tuple[str, str], int], set[int]]:
    """The contact of each identifier, and which contacts are known."""
    first: dict[tuple[tuple[str, str], ...], float] = {}
    for seen in live:
        one_set = tuple((kind, seen.identifiers[kind]) for kind in TYPES if kind in seen.identifiers)
        first[one_set] = min(first.get(one_set, float("inf")), seen.at or 0)
    contact: dict[tuple[str, str], int] = {}
    members: dict[int, set[tuple[str, str]]] = {}
    numbers = itertools.count()
    for one_set in sorted(first, key=lambda each: (first[each], each)):
        for identifier in one_set:
            if identifier not in contact:
                contact[identifier] = next(numbers)
                members[contact[identifier]] = {identifier}
        for other in one_set[1:]:
            into, gone = contact[one_set[0]], contact[other]
            kinds = Counter(kind for kind, _ in members[into] | members[gone])
            if into != gone and all(kinds[kind] <= limit for kind, limit in LIMITS.items()):
                members[into] |= members.pop(gone)
                contact |= dict.fromkeys(members[into], into)
    known = {number for number, held in members.items() if {kind for kind, _ in held} - {"anonymous_id"}}
    return contact, known


def money(live: list[Seen], names: set[str]) -> tuple[int, dict[str, Decimal]]:
    """Distinct orders and their sums per currency; refunds count by event, orders by order id."""
    sums: dict[str, Decimal] = defaultdict(Decimal)
    orders: set[str] = set()
    for seen in live:
        order_id = seen.properties.get("order_id")
        if seen.name in names and not (names is ORDER_NAMES and order_id in orders):
            orders.add(str(order_id))
            sums[seen.currency] += Decimal(str(seen.value))
    return len(orders), dict(sums)


def assert_equal_to_recount(summary: SampleSummary, folder: Path) -> None:
    found = recount(folder)
    live: list[Seen] = found["live"]
    for source, told in summary.sources.items():
        counts = {
            what: found["counts"][source, what] for what in ("accepted", "rejected", "blank", "late", "duplicates")
        }
        assert counts == {
            "accepted": told.expected_accepted,
            "rejected": told.rejected_lines,
            "blank": told.blank,
            "late": told.late,
            "duplicates": told.duplicates,
        }
        assert told.lines == told.expected_accepted + told.rejected_lines + told.blank
        assert told.expected_rejected == {
            reason: count for (where, reason), count in found["reasons"].items() if where == source
        }
        own = [seen for seen in live if seen.line.source == source]
        assert (told.orders, told.gross) == money(own, ORDER_NAMES)
        assert told.refunds == money(own, REFUND_NAMES)[1]
        strongest = {next((kind, seen.identifiers[kind]) for kind in TYPES if kind in seen.identifiers) for seen in own}
        assert told.contacts == len({found["contact_of"][identifier] for identifier in strongest})
    assert (summary.orders, summary.gross) == money(live, ORDER_NAMES)
    assert summary.refunds == money(live, REFUND_NAMES)[1]
    assert summary.contacts == found["contacts"]
    assert summary.known_contacts == found["known_contacts"]
    assert summary.anonymous_became_known == found["became_known"]


# --- the tests ---


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> tuple[SampleSummary, Path]:
    """2,000 events of all four sources."""
    out = tmp_path_factory.mktemp("exports")
    return generate(SampleRequest(events=2000, seed=1, out=out)), out


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_same_request_writes_the_same_bytes_in_any_process(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from eventpipe.sample.generate import generate;"
        "from eventpipe.sample.request import SampleRequest;"
        "print(generate(SampleRequest(events=1200, seed=5, out=Path(sys.argv[1]))).as_dict())"
    )
    printed = []
    for hash_seed, zone in (("1", "UTC"), ("2", "Asia/Tokyo")):
        environment = {"PYTHONHASHSEED": hash_seed, "TZ": zone, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / hash_seed)],
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        )
        printed.append(done.stdout)
    assert printed[0] == printed[1]
    assert digests(tmp_path / "1") == digests(tmp_path / "2")


def test_another_seed_writes_other_bytes(tmp_path: Path) -> None:
    for seed in (1, 2):
        generate(SampleRequest(events=50, seed=seed, out=tmp_path / str(seed)))
    assert digests(tmp_path / "1") != digests(tmp_path / "2")


def test_the_order_in_which_sources_are_named_changes_nothing(tmp_path: Path) -> None:
    generate(SampleRequest(events=300, seed=1, out=tmp_path / "a", sources=("redo", "arsel")))
    generate(SampleRequest(events=300, seed=1, out=tmp_path / "b", sources=("arsel", "redo", "arsel")))
    assert digests(tmp_path / "a") == digests(tmp_path / "b")


def test_a_second_run_replaces_its_own_files_and_leaves_no_other(tmp_path: Path) -> None:
    request = SampleRequest(events=200, seed=1, out=tmp_path)
    generate(request)
    before = digests(tmp_path)
    generate(request)
    assert digests(tmp_path) == before
    assert not [name for name in before if ".part" in name]


@pytest.mark.parametrize("sources", [SOURCES, *((source,) for source in SOURCES), ("notifuse", "customerio")])
@pytest.mark.parametrize(("events", "days"), [(1, 30), (7, 30), (333, 3)])
def test_total_is_exact(tmp_path: Path, sources: tuple[str, ...], events: int, days: int) -> None:
    start = date(2024, 2, 27)
    summary = generate(SampleRequest(events=events, seed=9, out=tmp_path, sources=sources, start=start, days=days))
    lines = [line for line in read(tmp_path) if line.content != b""]
    assert len(lines) == summary.events == events
    assert {line.source for line in lines} <= set(sources) == set(summary.sources)
    assert all(0 <= (line.landed_on - start).days < days for line in lines)
    assert summary.files == len(digests(tmp_path))


@pytest.mark.parametrize(
    ("seed", "sources"),
    [
        (1, SOURCES),
        (2, SOURCES),
        (3, ("redo", "customerio")),
        (4, ("notifuse", "arsel")),
        (5, ("customerio",)),
    ],
)
def test_summary_equals_a_recount_of_the_files(tmp_path: Path, seed: int, sources: tuple[str, ...]) -> None:
    summary = generate(SampleRequest(events=4000, seed=seed, out=tmp_path, sources=sources))
    assert_equal_to_recount(summary, tmp_path)


def test_every_format_of_every_vendor_is_there(exports: tuple[SampleSummary, Path]) -> None:
    _, out = exports
    names = {source: {path.name for path in out.glob(f"{source}/*/*")} for source in SOURCES}
    assert names["redo"] == {"events.jsonl", "bulk.json"}
    assert names["notifuse"] == {"upserts.jsonl.gz", "import.json"}
    assert names["arsel"] == {"sends.jsonl.zst"}
    exported = {re.sub(r"\.\d+\.", ".N.", name) for name in names["customerio"]}
    assert exported == {
        "track.jsonl",
        *(f"shop.production.N.{act}.{kind}" for act in ("track", "identify", "alias") for kind in ("csv", "parquet")),
    }
    lines = [judge(line) for line in read(out) if line.content != b""]
    shapes = {tuple(sorted(seen.body)) for seen in lines if seen.line.source == "redo" and not seen.reasons}
    for field_name in ("event_name", "unique_id", "uniqueId", "customer_id", "cart_context", "customer"):
        assert any(field_name in shape for shape in shapes)
    actions = {seen.body.get("action") for seen in lines if seen.line.file == "track.jsonl"}
    assert actions >= {None, "event", "identify"}
    ulids = [seen.key for seen in lines if seen.line.file == "track.jsonl" and not seen.reasons]
    assert all(key is not None and re.fullmatch("[0-7][0-9A-HJKMNP-TV-Z]{25}", key[1]) for key in ulids)


def test_batch_bodies_keep_the_vendors_limits(tmp_path: Path) -> None:
    generate(SampleRequest(events=6000, seed=1, out=tmp_path, sources=("redo", "notifuse"), days=3))
    sizes = {"bulk.json": 100, "import.json": 50}
    for name, limit in sizes.items():
        found = [len(contents(path)) for path in tmp_path.glob(f"*/*/{name}")]
        assert max(found) == limit


def test_every_named_trait_is_there(exports: tuple[SampleSummary, Path]) -> None:
    summary, _ = exports
    notifuse = summary.sources["notifuse"]
    assert summary.bad_lines.keys() >= BAD_LINES
    assert 0.005 < summary.rejected_lines / summary.events < 0.02
    assert summary.duplicates > 20
    assert summary.late > 20
    assert summary.anonymous_became_known > 10
    assert summary.contacts > summary.known_contacts > 10
    assert summary.orders_reported_twice > 10
    assert summary.gross.keys() == {"USD", "EUR"}
    assert summary.gross["USD"] > summary.gross["EUR"]
    assert all(amount < 0 for amount in summary.refunds.values())
    assert all(part.blank for part in (summary, summary.sources["customerio"]))
    assert min(notifuse.updates, notifuse.stale, notifuse.deletions, notifuse.restorations) > 0
    assert sum(part.expected_accepted for part in summary.sources.values()) == summary.expected_accepted


def test_refunds_are_negative_and_name_their_order(exports: tuple[SampleSummary, Path]) -> None:
    accepted = [seen for seen in map(judge, read(exports[1])) if seen.line.content != b"" and not seen.reasons]
    orders = {seen.properties["order_id"] for seen in accepted if seen.name in ORDER_NAMES}
    refunds = [seen for seen in accepted if seen.name in REFUND_NAMES]
    assert refunds
    assert all(float(seen.value) < 0 and seen.properties["order_id"] in orders for seen in refunds)


def test_late_lines_land_days_after_they_occurred(exports: tuple[SampleSummary, Path]) -> None:
    delays: Counter[int] = Counter()
    for seen in map(judge, read(exports[1])):
        if seen.line.content != b"" and not seen.reasons:
            assert seen.at is not None
            delays[(seen.line.landed_on - datetime.fromtimestamp(seen.at, UTC).date()).days] += 1
    assert min(delays) == 0
    assert {0, 1, 2, 3} <= delays.keys()


def test_identifiers_are_spelt_in_several_ways(exports: tuple[SampleSummary, Path]) -> None:
    spellings: dict[str, set[str]] = defaultdict(set)
    for line in read(exports[1]):
        email = judge(line).body.get("email") if line.content != b"" else None
        if isinstance(email, str):
            spellings[unicodedata.normalize("NFC", email.strip()).lower()].add(email)
    several = [email for email, seen in spellings.items() if len(seen) > 1]
    assert any(email.isascii() for email in several)
    assert any(not email.isascii() for email in spellings)


def test_the_limits_of_identity_are_put_to_the_test(tmp_path: Path) -> None:
    summary = generate(SampleRequest(events=12000, seed=1, out=tmp_path, sources=("customerio",)))
    assert summary.identity_conflicts > 0
    ids = {seen.identifiers["customer_id"] for seen in map(judge, read(tmp_path)) if "customer_id" in seen.identifiers}
    assert len({value.lower() for value in ids}) < len(ids)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"events": 0}, "--events is 0"),
        ({"days": 0}, "days is 0"),
        ({"sources": ()}, "no source"),
        (
            {"sources": ("redo", "shopify")},
            "unknown source 'shopify': choose from redo, notifuse, customerio, arsel",
        ),
        ({"start": date(1980, 1, 1)}, "not all between"),
    ],
)
def test_what_cannot_be_used_is_a_usage_error(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"events": 10, "seed": 1, "out": tmp_path}
    with pytest.raises(UsageError, match=re.escape(message)):
        SampleRequest(**(arguments | changed))


def test_out_must_not_be_a_file(tmp_path: Path) -> None:
    out = tmp_path / "exports"
    out.write_text("")
    with pytest.raises(UsageError, match="is not a folder"):
        generate(SampleRequest(events=1, seed=1, out=out))


def test_summary_as_plain_values_is_json(exports: tuple[SampleSummary, Path]) -> None:
    plain = json.loads(json.dumps(exports[0].as_dict()))
    assert plain["gross"]["USD"] == str(exports[0].gross["USD"])
    assert plain["sources"].keys() == set(SOURCES)
