"""Random contacts, events at the edges of windows, and random definitions that are right."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from eventpipe_tests.segments.reference import Contact, Definition, Event, World

AS_OF = datetime(2026, 4, 1, 10, 30, tzinfo=UTC)
TIMEZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu")
EVENTS = ("order.completed", "checkout_started", "site_visit")
CURRENCIES = ("USD", "EUR")
SPANS = ("1h", "2h", "1d", "30d", "1w")
DATES = ("2026-03-01", "2026-03-28", "2026-03-29", "2026-03-30", "2026-04-01", "2025-11-02")
SCALARS = ("a", "ab", "50", "x'y", 50, 49.5, 0, -3, True, False)

_TICK = timedelta(microseconds=1)
_SPANS = [timedelta(hours=1), timedelta(hours=2), timedelta(days=1), timedelta(days=7), timedelta(days=30)]
EDGES = [
    length + nudge
    for length in (timedelta(0), *_SPANS)
    for nudge in (-_TICK, timedelta(0), _TICK)
    if length or nudge >= timedelta(0)
]
"""How long before AS_OF something is exactly, just, or not yet, in a window."""

_MIDNIGHTS = [
    datetime.fromisoformat(f"{day}T00:00:00").replace(tzinfo=UTC) + timedelta(minutes=minutes) + nudge
    for day in DATES
    # Around midnight of the zones, and the nights when their clocks change.
    for minutes in (0, 60, 120, -60, -120, 300, 240, -345)
    for nudge in (-_TICK, timedelta(0))
]
instants = st.one_of(
    st.sampled_from([AS_OF - length for length in _SPANS]),
    st.sampled_from([AS_OF - length for length in EDGES]),
    st.sampled_from([at for at in _MIDNIGHTS if at <= AS_OF]),
)
values = st.sampled_from([None, *map(Decimal, ("0", "-20", "10", "20.5", "49.9999", "50", "200.0001"))])
properties = st.dictionaries(
    st.sampled_from(["value", "category", "on", "tags", "*"]),
    st.one_of(
        st.none(),
        st.sampled_from([*SCALARS, "2026-03-29", "2026-03-28T23:30:00Z", "2026-03-29T01:00:00+02:00", "abc"]),
        st.lists(st.sampled_from(["a", "ab", "50", None, 3]), max_size=3),
    ),
    max_size=3,
)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    contacts = [draw(_contacts(f"k{number}")) for number in range(draw(st.integers(1, 4)))]
    events = [
        draw(_events(f"e{number:02}", [each.contact_id for each in contacts]))
        for number in range(draw(st.integers(0, 14)))
    ]
    return World(contacts, events, AS_OF, draw(st.sampled_from(TIMEZONES)))


scores: st.SearchStrategy[dict[str, dict[str, Any]]] = st.dictionaries(
    st.sampled_from(CURRENCIES),
    st.fixed_dictionaries(
        {
            "r_score": st.integers(1, 5),
            "f_score": st.integers(1, 5),
            "m_score": st.just(3),
            "rfm_score": st.sampled_from(["555", "111"]),
            "rfm_segment": st.sampled_from(["Champions", "Lost", "Others"]),
            "recency_days": st.just(3),
            "frequency": st.just(2),
            "monetary": st.sampled_from([Decimal("50"), Decimal("99.9999")]),
        }
    ),
)
"""Rows of contact_rfm of a contact, by currency."""


@st.composite
def _contacts(draw: st.DrawFn, contact_id: str) -> Contact:
    return Contact(
        contact_id,
        draw(instants),
        draw(st.booleans()),
        draw(st.sampled_from([None, "ada@example.com", "o'hara@example.org"])),
        draw(st.none() | st.dictionaries(st.sampled_from(["plan", "score"]), st.sampled_from([*SCALARS, None]))),
        draw(st.frozensets(st.sampled_from(["anonymous_id", "email"]))),
        draw(scores),
    )


@st.composite
def _events(draw: st.DrawFn, event_id: str, contacts: list[str]) -> Event:
    value = draw(values)
    return Event(
        draw(st.sampled_from(contacts)),
        event_id,
        draw(st.sampled_from(EVENTS)),
        draw(instants),
        draw(st.sampled_from([None, "purchase", "purchase", "lead"])),
        draw(st.sampled_from([None, "spring"])),
        value,
        None if value is None else draw(st.sampled_from(CURRENCIES)),
        draw(st.sampled_from([None, "o1", "o2"])),
        draw(st.none() | properties),
        draw(st.sampled_from(["unchanged", "unchanged", "restored", "deleted"])),
    )


numbers = st.sampled_from([0, 1, 2, 3, 10, 20.5, 50, 30.5, -20, 35.25])
_bounds = st.fixed_dictionaries(
    {},
    optional={"at_least": numbers, "at_most": numbers, "more_than": numbers, "less_than": numbers, "equals": numbers},
)
_one_bound = st.one_of(
    st.tuples(st.sampled_from(["at_least", "at_most", "more_than", "less_than", "equals"]), numbers).map(
        lambda each: dict([each])
    ),
    st.tuples(numbers, numbers).map(lambda pair: {"between": sorted(pair)}),
)
_dates = st.sampled_from(DATES)
_times: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}),
    st.sampled_from(SPANS).map(lambda each: {"in_last": each}),
    st.tuples(_dates, _dates).map(lambda pair: {"between": sorted(pair)}),
    st.fixed_dictionaries(
        {},
        optional={
            "before": _dates | st.just("2026-03-29T01:00:00+00:00"),
            "after": _dates | st.just(AS_OF.isoformat()),
        },
    ).filter(lambda each: len(each) < 2 or each["after"][:10] < each["before"][:10]),
)
_tests = st.one_of(
    st.sampled_from(SCALARS),
    st.lists(st.sampled_from(SCALARS), min_size=1, max_size=3),
    st.fixed_dictionaries(
        {},
        optional={
            "eq": st.sampled_from(SCALARS),
            "ne": st.sampled_from(SCALARS),
            "gt": numbers | _dates,
            "gte": numbers,
            "lt": _dates | st.just("2026-03-29T00:00:00+00:00"),
            "lte": numbers,
            "contains": st.sampled_from(["a", "'", "5", 3]),
            "starts_with": st.sampled_from(["a", "x'", "4"]),
            "exists": st.booleans(),
        },
    ).filter(bool),
)
_where = st.dictionaries(st.sampled_from(["value", "category", "on", "tags", "currency", "*"]), _tests, max_size=2).map(
    lambda where: {"where": where} if where else {}
)
_place = st.sampled_from([{}, {}, {"first": True}, {"last": True}])


def _merged(*parts: dict[str, Any]) -> Definition:
    """Of two parts with `between` the times' goes, as no mapping can have both."""
    merged: dict[str, Any] = {}
    for part in reversed(parts):
        merged.update(part)
    return merged


_goals = st.builds(
    _merged,
    st.fixed_dictionaries(
        {"goal": st.sampled_from(["purchase", "lead", "any"])},
        optional={
            "goal_name": st.just("spring"),
            "currency": st.sampled_from(CURRENCIES),
            "event": st.sampled_from(EVENTS),
        },
    ),
    st.sampled_from(["count", "orders", "sum", "avg", "min", "max"]).map(lambda each: {"aggregate": each}),
    _one_bound,
    _times,
    _where,
    _place,
)
_without = st.builds(
    _merged,
    st.fixed_dictionaries({"event": st.sampled_from(EVENTS)}, optional={"within": st.sampled_from(SPANS)}),
    st.sampled_from([{"after": "it"}, {"before": "it"}]),
).map(lambda each: {"without": each})
_of_events = st.builds(
    _merged,
    st.sampled_from(EVENTS).map(lambda name: {"event": name})
    | st.lists(st.sampled_from(EVENTS), min_size=1, max_size=2).map(lambda some: {"any_event": some}),
    st.just({}) | _bounds | _one_bound.map(lambda bound: {"count": bound}),
    _times,
    _where,
    _place,
    st.just({}) | _without,
)
_of_contacts = st.one_of(
    st.tuples(st.sampled_from(["at_least", "at_most", "more_than", "less_than", "equals"]), st.sampled_from(SPANS)).map(
        lambda each: {"contact": "age", each[0]: each[1]}
    ),
    st.sampled_from(
        [
            {"contact": "age", "between": ["2h", "1w"]},
            {"contact": "is_anonymous"},
            {"contact": "is_anonymous", "equals": False},
            {"contact": "anonymous_id"},
            {"contact": "anonymous_id", "exists": False},
            {"contact": "email", "contains": "'"},
            {"contact": "email", "exists": False},
            {"contact": "plan"},
            {"contact": "traits.plan", "equals": "a"},
            {"contact": "score", "at_least": 49.5},
            {"contact": "score", "less_than": 50, "ne": 0},
        ]
    ),
)
_of_rfm = st.sampled_from(
    [
        {"rfm": "Champions"},
        {"rfm": "segment", "in": ["Lost", "Others"], "currency": "EUR"},
        {"rfm": "rfm_score", "equals": "555"},
        {"rfm": "r_score", "at_least": 4},
        {"rfm": "monetary", "between": [50, 60], "currency": "EUR"},
    ]
)
conditions = st.recursive(
    st.one_of(_goals, _of_events, _of_contacts, _of_rfm),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda some: {"all": some}),
        st.lists(inner, min_size=1, max_size=3).map(lambda some: {"any": some}),
        inner.map(lambda one: {"not": one}),
    ),
    max_leaves=5,
)
