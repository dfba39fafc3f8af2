"""Random automations and what happens to a few contacts from run to run, crowded around the edges of every length of time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

CONTACTS = ("a", "b", "c")
_TICK = 1 / 3.6e9
"""A microsecond, in hours."""


@dataclass(frozen=True)
class Put:
    """An event, `before` hours before the run that finds it first; `is_quiet`: a backfill took it in."""

    name: str
    contact: str | None
    before: float
    value: int
    cart: str | None
    source: str
    is_quiet: bool
    is_deleted: bool


@dataclass(frozen=True)
class Chapter:
    """What happens until a run, `hours` after the one before. Numbers choose among the events that there are by then."""

    hours: float
    puts: tuple[Put, ...]
    members: frozenset[str]
    plans: dict[str, str]
    held: frozenset[tuple[str, str]]
    merge: tuple[str, str] | None = None
    delete: int | None = None
    restore: int | None = None
    revalue: int | None = None
    purge: int | None = None
    change: tuple[int, dict[str, Any] | None] | None = None
    """The automation in this place becomes another one, or goes."""
    rebuilds: bool = False


@dataclass(frozen=True)
class Story:
    """Automations, and chapters."""

    automations: tuple[dict[str, Any], ...]
    chapters: tuple[Chapter, ...] = field(default_factory=tuple)


_nudges = st.sampled_from([-_TICK, 0.0, 0.0, 0.0, _TICK])
_where = st.just({"value": {"gte": 50}})
_event_triggers = st.fixed_dictionaries(
    {"event": st.sampled_from(["checkout", "checkout", "order"])}, optional={"where": _where}
)
_segment_triggers = st.sampled_from([{"segment_entered": "vip"}, {"segment_left": "vip"}])
_exits = st.one_of(
    st.fixed_dictionaries(
        {"event": st.sampled_from(["order", "order", "checkout"])},
        optional={"where": _where, "match": st.just(["cart_id"])},
    ),
    st.just({"any_event": ["order", "view"]}),
)
_conditions = st.sampled_from(
    [
        {"segment": "vip"},
        {"not": {"segment": "vip"}},
        {"contact": "traits.plan", "equals": "pro"},
        {"event": "view", "in_last": "2h"},
    ]
)


@st.composite
def _definitions(draw: st.DrawFn, name: str) -> dict[str, Any]:
    made: dict[str, Any] = draw(
        st.fixed_dictionaries(
            {
                "trigger": st.one_of(_event_triggers, _event_triggers, _segment_triggers),
                "frequency": st.sampled_from(["every_time", "once", {"every": "1h"}, {"every": "1h"}, {"every": "3h"}]),
                "max_lateness": st.sampled_from(["72h", "72h", "1h", "2h", "0s"]),
            },
            optional={"wait": st.sampled_from(["1h", "2h", "4h"]), "unless": _exits, "only_if": _conditions},
        )
    )
    if "event" not in made["trigger"]:
        made.get("unless", {}).pop("match", None)
    return {"name": name, **made}


_puts = st.builds(
    Put,
    name=st.sampled_from(["checkout", "checkout", "order", "order", "view"]),
    contact=st.sampled_from((*CONTACTS, *CONTACTS, None)),
    before=st.builds(float.__add__, st.sampled_from([0.0, 0.0, 0.5, 1.0, 2.0, 3.0, -0.5]), _nudges),
    value=st.sampled_from([49, 50, 70]),
    cart=st.sampled_from(["k1", "k1", "k2", None]),
    source=st.sampled_from(["web", "web", "app"]),
    is_quiet=st.sampled_from([False] * 7 + [True]),
    is_deleted=st.sampled_from([False] * 9 + [True]),
)
_landings = st.lists(_puts, min_size=4, max_size=7).flatmap(
    lambda puts: st.sampled_from([puts, [*puts, puts[0]]])  # two of the same instant
)
_places = st.none() | st.none() | st.integers(0, 20)


@st.composite
def stories(draw: st.DrawFn) -> Story:
    names = ["n0", "n1", "n2"]
    chapters = []
    for number in range(draw(st.integers(3, 5))):
        is_first = number == 0
        place = draw(st.integers(0, len(names) - 1))
        chapters.append(
            Chapter(
                hours=draw(st.sampled_from([1.0, 1.0, 1.0, 2.0, 0.5, 0.0]))
                + draw(st.sampled_from([0.0, 0.0, 0.0, _TICK])),
                puts=tuple(draw(_landings)),
                members=draw(st.frozensets(st.sampled_from(CONTACTS))),
                plans=draw(st.dictionaries(st.sampled_from(CONTACTS), st.sampled_from(["pro", "free"]))),
                held=draw(
                    st.sampled_from([frozenset(), frozenset(), frozenset({("web", "checkout")})])
                    if not is_first
                    else st.just(frozenset())
                ),
                merge=draw(st.none() | st.none() | st.sampled_from([("a", "b"), ("b", "c")])),
                delete=draw(_places),
                restore=draw(_places),
                revalue=draw(_places),
                purge=draw(st.none() | st.none() | st.none() | _places),
                change=None
                if is_first
                else draw(st.none() | st.none() | st.tuples(st.just(place), st.none() | _definitions(names[place]))),
                rebuilds=draw(st.booleans()),
            )
        )
    return Story(tuple(draw(_definitions(name)) for name in names), tuple(chapters))
