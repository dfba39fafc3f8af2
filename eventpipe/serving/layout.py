"""How published tables are kept where a server serves them: the key of each, and the indexes that its readers need.

The models say what is in a table; a file that is replaced whole needs no more. A server changes rows in place, which
takes a key, and looks them up for many readers at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Layout:
    """Of one table. `key`: columns that no two rows share; rows of a table without a key are replaced together.

    `long`: columns of the key that may hold text of any length, which no ordered index takes. `nullable`: those that
    may be null. `lookups`: columns of further indexes, `equal`: columns that are searched for equal text of any length,
    `documents`: JSON columns that are searched for what they contain. `json`: columns of text that is JSON.

    `marks`: columns that tell whether a row of the same key is the same, where there are many rows: whoever changes a row
    there writes it anew with the id of the run, or changes no column but these. Empty: it takes all columns to tell.

    `filled`: so much of a page a server fills with new rows, in percent. The rest is for the next versions of rows that
    many runs change: beside the old one a version costs no index anything.
    """

    key: tuple[str, ...] = ()
    long: tuple[str, ...] = ()
    nullable: tuple[str, ...] = ()
    lookups: tuple[tuple[str, ...], ...] = ()
    equal: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()
    json: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    filled: int = 100


_BY_CONTACT: Final = (("contact_id",),)
_BY_RUN: Final = ("run_id",)
_SOME_CHANGE: Final = 80
_PLACE: Final = ("source", "landed_on", "file", "line", "index")

LAYOUTS: Final[Mapping[str, Layout]] = {
    "events": Layout(
        key=("event_id",),
        # A contact's timeline, and what happened under a name lately.
        lookups=(("contact_id", "occurred_at"), ("event_name", "occurred_at")),
        documents=("properties",),
        json=("identifiers",),
        # An event follows its identifier set to another contact in place.
        marks=("run_id", "contact_id"),
    ),
    # Where it was reported: what as_of has not passed yet has no number among the versions of its event.
    "event_history": Layout(
        key=_PLACE,
        nullable=("index",),
        lookups=(("event_id",),),
        json=("identifiers", "changes"),
        marks=_BY_RUN,
    ),
    "rejected_events": Layout(key=_PLACE, nullable=("index",), marks=_BY_RUN),
    "contacts": Layout(key=("contact_id",), marks=_BY_RUN, filled=_SOME_CHANGE),
    "contact_identifiers": Layout(
        key=("workspace_id", "identifier_type", "identifier_value"),
        long=("identifier_value",),
        lookups=_BY_CONTACT,
        equal=("identifier_value",),
        marks=_BY_RUN,
        filled=_SOME_CHANGE,
    ),
    "contact_aliases": Layout(key=("workspace_id", "alias_id"), lookups=_BY_CONTACT, marks=_BY_RUN),
    "contact_merges": Layout(key=("workspace_id", "from_contact_id"), lookups=_BY_CONTACT, marks=_BY_RUN),
    "contact_id_changes": Layout(key=("run_id", "workspace_id", "from_contact_id", "into_contact_id")),
    "identity_conflicts": Layout(
        key=("workspace_id", "left_type", "left_value", "right_type", "right_value", "event_id"),
        long=("left_value", "right_value"),
    ),
    "contact_goals": Layout(
        key=("contact_id", "goal_type", "goal_name", "currency"),
        long=("goal_name",),
        nullable=("goal_name", "currency"),
        marks=_BY_RUN,
        filled=_SOME_CHANGE,
    ),
    # Days since an order: another number in every row, every day.
    "contact_rfm": Layout(key=("contact_id", "currency"), marks=_BY_RUN, filled=50),
    "contact_rfm_history": Layout(
        key=("snapshot_on", "contact_id", "currency"), lookups=_BY_CONTACT, marks=_BY_RUN, filled=_SOME_CHANGE
    ),
    "segment_history": Layout(key=("segment", "contact_id", "entered_at"), lookups=_BY_CONTACT),
    "trigger_decisions": Layout(key=("automation", "occasion"), long=("occasion",), lookups=_BY_CONTACT),
    "automation_triggers": Layout(key=("trigger_id",), lookups=_BY_CONTACT, json=("payload",)),
    "event_catalog": Layout(key=("event_name",), long=("event_name",)),
    "event_profile": Layout(key=("workspace_id", "source", "event_name", "day"), long=("event_name",)),
    "property_profile": Layout(
        key=("workspace_id", "source", "event_name", "day", "property"), long=("event_name", "property")
    ),
    "value_profile": Layout(
        key=("workspace_id", "source", "event_name", "day", "currency"), long=("event_name",), nullable=("currency",)
    ),
    "order_conflicts": Layout(key=("workspace_id", "order_id", "contact_id"), long=("order_id",)),
    "ledger": Layout(key=("source", "landed_on", "file")),
    "runs": Layout(key=("run_id",), json=("run_stages",)),
    "checks": Layout(
        key=("run_id", "check_name", "subject"), long=("check_name", "subject"), json=("observed", "failing_rows")
    ),
}


def layout_of(table: str) -> Layout:
    """The layout of a published table; one that is not listed has no key."""
    return LAYOUTS.get(table, Layout())
