"""A wrong definition is refused with its place and the fix, and every other one is looked at too."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from eventpipe.errors import ConfigurationError
from eventpipe.project.folder import load_project
from eventpipe.project.yaml import parse_document
from eventpipe.segments.definitions import read_segments
from eventpipe.segments.findings import MAX_CONDITIONS, MAX_DEPTH
from eventpipe.segments.published import PublishedSegments
from eventpipe_tests.builders import project
from eventpipe_tests.segments.asked import names, read
from eventpipe_tests.segments.reference import Definition

ORDERS = {
    "name": "order.completed",
    "aliases": ["Order Completed"],
    "properties": [{"name": "total", "type": "number", "aliases": ["cart_value"], "maps_to": "value"}],
    "unknown_properties": "reject",
}


def refused(text: str) -> list[str]:
    document, problems = parse_document(f"segments:\n{text}".encode(), "segments/all.yml", {})
    _, found = read_segments([document], names())
    return [str(each) for each in (*problems, *found)]


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("{goall: purchase}", "where: a mapping is not a condition: begin with one of all, any, not, goal"),
        ("7", "where: 7 is not a condition"),
        ("{goal: purchse}", "'purchse' is not a goal type; did you mean 'purchase'?"),
        ("{goal: purchase, at_leest: 1}", "where.at_leest: unknown key; did you mean 'at_least'?"),
        ("{goal: purchase, aggregate: summ, at_least: 1}", "'summ' is not accepted; did you mean 'sum'?"),
        ("{goal: purchase, aggregate: sum}", "an aggregate sum needs a comparison: one of at_least"),
        ("{goal: purchase, at_least: '5'}", "where.at_least: '5' is not a number (without quotes)"),
        ("{goal: purchase, at_least: true}", "where.at_least: true is not a number"),
        ("{goal: purchase, between: [2, 1]}", "is not a list of two numbers, the lower one first"),
        ("{goal: purchase, between: [2026-02-01, 2026-01-01]}", "two dates, the earlier one first"),
        (
            "{goal: purchase, in_last: 30}",
            "where.in_last: 30 is not a span of time: write a whole number and h, d or w",
        ),
        ("{goal: purchase, in_last: 30m}", "is not a span of time"),
        ("{goal: purchase, in_last: 0d}", "is not a span of time"),
        ("{goal: purchase, before: 2026-02-30}", "is not a date like 2026-01-31"),
        ("{goal: purchase, in_last: 3d, before: 2026-02-01}", "says when in more than one way"),
        ("{goal: purchase, first: true, last: true}", "the first and the last event at once"),
        ("{goal: purchase, currency: EURO}", "is not an ISO 4217 currency like EUR"),
        ("{goal: purchase, without: {event: x, after: it}}", "where.without: unknown key"),
        ("{event: a, any_event: [b]}", "names events twice"),
        ("{any_event: []}", "is not complete: list at least one"),
        ("{event: a, count: {at_least: 1}, at_most: 3}", "compares twice"),
        ("{event: a, count: {}}", "where.count: needs a comparison"),
        ("{event: a, count: 3}", "where.count: 3 is not a comparison: write {at_least: 3} or {equals: 3}"),
        ("{event: a, without: {event: b}}", "needs one of `after: it` and `before: it`"),
        ("{event: a, without: {event: b, after: that}}", "'that' is not accepted"),
        ("{event: a, where: {x: {gte: abc}}}", "where.x.gte: compares numbers with numbers or dates with dates"),
        ("{event: a, where: {x: {between: [1, 2026-01-01]}}}", "compares numbers with numbers or dates with dates"),
        ("{event: a, where: {x: {between: [2, 1]}}}", "the lower one first"),
        ("{event: a, where: {x: {}}}", "needs an operator: one of eq, ne, in"),
        ("{event: a, where: {x: {inn: [1]}}}", "unknown key; did you mean 'in'?"),
        ("{event: a, where: {x: {in: []}}}", "list at least one value"),
        ("{contact: age}", "age needs a comparison"),
        ("{contact: age, at_least: 90}", "where.at_least: 90 is not a span of time"),
        ("{contact: age, contains: 9}", "age takes at_least"),
        ("{contact: age, between: [9d, 1d]}", "where.between: [9d, 1d] is not a list of two spans of time, the lower"),
        ("{contact: age, between: [9d]}", "where.between: [9d] is not a list of two spans of time"),
        ("{contact: age, between: [9d, 1]}", "where.between.1: 1 is not a span of time"),
        ("{contact: is_anonymos}", "did you mean 'is_anonymous'?"),
        ("{contact: emial}", "did you mean 'email'?"),
        ("{contact: is_anonymous, equals: 3}", "is_anonymous equals true or false"),
        ("{contact: anonymous_id, equals: x}", "anonymous_id takes exists"),
        ("{contact: seats, at_least: many}", "compares numbers or dates"),
        ("{rfm: Champion}", "'Champion' is no RFM segment and no score; did you mean 'Champions'?"),
        ("{rfm: r_score}", "r_score needs a comparison"),
        ("{rfm: segment, in: [Champions, Loser]}", "'Loser' is no RFM segment"),
        ("{rfm: Champions, at_least: 3}", "takes equals or in"),
        ("{rfm: rfm_score, equals: 546}", "546 is no rfm_score: write the scores r, f and m side by side, like 543"),
        ("{rfm: rfm_score, in: [555, best]}", "'best' is no rfm_score"),
        ("{rfm: r_score, equals: '5'}", "where.equals: '5' is not a number"),
        ("{goal: purchase, after: 2026-01-31, before: 2026-01-31}", "ends before it begins"),
        ("{goal: purchase, after: 2026-01-31T12:00:00Z, before: 2026-01-31}", "ends before it begins"),
        ("{event: a, count: {between: [2, 1]}}", "where.count.between: a list is not a list of two numbers"),
        (
            "{event: a, count: {between: [2026-01-01, 2026-01-02]}}",
            "where.count.between: a list is not a list of two numbers",
        ),
        (
            "{event: a, where: {x: {between: [2026-01-01T00:00:00, 2026-01-02T00:00:00Z]}}}",
            "compares numbers with numbers or dates with dates",
        ),
        ("{event: a, in_last: 40000d}", "a span of time of at most a hundred years"),
        ("{event: a, between: [2026-01-01, 2026-01-02T00:00:00Z]}", "two dates or of two instants, written alike"),
        ("{event: a, where: {x: {eq: 0.0000000001}}}", "at most 20 digits before and 9 after the point"),
        ('{event: a, where: {x: "a\\0"}}', "holds a NUL"),
        ("{segment: its}", "'its' is no segment; did you mean 'it'?"),
        ("{all: []}", "where.all: a list is not complete: list at least one condition"),
        ("{all: {goal: purchase}}", "where.all: a mapping is not a list"),
        ("{not: [{goal: purchase}]}", "where.not: a list is not a condition"),
        ("'; drop table events; --'", "is not a condition"),
    ],
)
def test_it_is_said_what_is_wrong_and_where(where: str, said: str) -> None:
    found = refused(f"  - name: it\n    where: {where}")
    assert len(found) == 1, found
    assert said in found[0]
    assert found[0].startswith("segments/all.yml:3: segments.0.where")


@pytest.mark.parametrize("name", ["", "two words", "a'b", "-x", "x" * 65, '"; drop table x'])
def test_names_are_plain(name: str) -> None:
    text = name.replace("'", "''")
    assert "is not a name" in refused(f"  - name: '{text}'\n    where: {{goal: purchase}}")[0]


def test_every_definition_of_every_file_is_looked_at(tmp_path: Path) -> None:
    made = project(tmp_path, events=[ORDERS])
    folder = made.root / "segments"
    folder.mkdir()
    (folder / "a.yml").write_text(
        "segments:\n"
        "  - name: one\n"
        "    where: {goal: purchse}\n"
        "  - name: two\n"
        "    where:\n"
        "      all:\n"
        "        - {event: order.complated}\n"
        "        - {event: Order Completed, where: {cart_valu: {gte: 5}}}\n"
    )
    (folder / "b.yml").write_text("segments:\n  - name: two\n    where: {segment: three}\n")
    with pytest.raises(ConfigurationError) as raised:
        load_project(made.root, {})
    assert [(each.file, each.line, each.key) for each in raised.value.problems] == [
        ("segments/a.yml", 3, "segments.0.where.goal"),
        ("segments/a.yml", 7, "segments.1.where.all.0.event"),
        ("segments/a.yml", 8, "segments.1.where.all.1.where.cart_valu"),
        ("segments/b.yml", 2, "segments.0.name"),
        ("segments/b.yml", 3, "segments.0.where.segment"),
    ]
    said = "\n".join(str(each) for each in raised.value.problems)
    for part in (
        "did you mean 'purchase'",
        "did you mean 'order.completed'",
        "did you mean 'cart_value'",
        "'two' is the name of another segment too (segments/",
        "'three' is no segment",
    ):
        assert part in said


def test_a_wrong_event_definition_does_not_hide_a_wrong_segment(tmp_path: Path) -> None:
    made = project(tmp_path)
    (made.root / "segments").mkdir()
    (made.root / "segments" / "a.yml").write_text("segments:\n  - name: it\n    where: {goal: purchse}\n")
    (made.root / "events" / "all.yml").write_text("events:\n  - {nam: x}\n")
    with pytest.raises(ConfigurationError) as raised:
        load_project(made.root, {})
    assert {each.file for each in raised.value.problems} == {"events/all.yml", "segments/a.yml"}


def test_circles_are_refused() -> None:
    text = "".join(
        f"  - name: {name}\n    where: {{not: {{segment: {other}}}}}\n"
        for name, other in (("a", "b"), ("b", "c"), ("c", "a"))
    )
    text += "".join(f"  - name: {name}\n    where: {{segment: {other}}}\n" for name, other in (("x", "y"), ("y", "x")))
    found = sorted(refused(f"{text}  - name: alone\n    where: {{any: [{{goal: lead}}, {{segment: alone}}]}}\n"))
    assert [(each.split(":")[1], each.split(": ")[3].partition(".")[0]) for each in found] == [
        ("13", "alone -> alone"),
        ("3", "a -> b -> c -> a"),
        ("9", "x -> y -> x"),
    ]


def test_depth_and_size_have_limits() -> None:
    deep = "{not: " * MAX_DEPTH + "{goal: purchase}" + "}" * MAX_DEPTH
    assert "is nested deeper than" in refused(f"  - name: it\n    where: {deep}")[0]
    wide = ", ".join(["{goal: purchase}"] * MAX_CONDITIONS)
    assert "has more than 100 conditions" in refused(f"  - name: it\n    where: {{any: [{wide}]}}")[0]
    many = ", ".join(map(str, range(1_001)))
    assert "lists more than 1000 values" in refused(f"  - name: it\n    where: {{event: a, where: {{x: [{many}]}}}}")[0]
    endless = "{not: " * 40 + "{goal: purchase}" + "}" * 40
    assert "nested deeper than" in refused(f"  - name: it\n    where: {endless}")[0]


def test_a_name_that_nobody_knows_yet_is_taken_and_one_that_is_misspelled_is_not() -> None:
    known = names(checkout_started=frozenset({"cart_id"}))
    assert read({"it": {"event": "trial.ended"}}, known)
    with pytest.raises(AssertionError, match="did you mean 'checkout_started'"):
        read({"it": {"event": "checkout_strated"}}, known)
    with pytest.raises(AssertionError, match="did you mean 'cart_id'"):
        read({"it": {"event": "checkout_started", "where": {"cartid": "x"}}}, known)


def test_segments_come_after_those_that_they_name() -> None:
    found = read({"a": {"segment": "b"}, "b": {"not": {"segment": "c"}}, "c": {"goal": "purchase"}}, names())
    assert [each.name for each in found.definitions] == ["c", "b", "a"]


def test_what_is_right_in_a_wrong_definition_is_checked_all_the_same() -> None:
    """One mistake does not hide another beside it: one run shows all of them."""
    said = refused(
        """
  - name: one
    where:
      all:
        - {goal: purchse}
        - not: {any: [{segment: nobody}, {goal: purchase, aggregate: sum}]}
"""
    )
    assert len(said) == 3
    assert "segments.0.where.all.0.goal: 'purchse' is not a goal type" in said[0]
    assert "segments.0.where.all.1.not.any.0.segment: 'nobody' is no segment" in said[1]
    assert "an aggregate sum needs a comparison" in said[2]


def test_a_property_that_nobody_has_yet_is_taken_and_pointed_out() -> None:
    definitions: dict[str, Definition] = {
        "seen": {"event": "site_visit", "where": {"page": "/", "value": 5}},
        "unseen": {"event": "site_visit", "where": {"colour": "red", "size": {"gte": 5}}},
        "of a goal": {"goal": "purchase", "where": {"page": "/", "colour": "red"}},
        "of another event": {"event": "order", "where": {"page": "/"}},
    }
    known = names(site_visit=frozenset({"page"}))
    segments = read({name.replace(" ", "_"): where for name, where in definitions.items()}, known)
    with duckdb.connect() as connection:
        published = PublishedSegments(connection, segments, datetime(2026, 1, 1, tzinfo=UTC))
        found = {each.name: published.unseen_properties(each) for each in segments.definitions}
    assert found == {"seen": [], "unseen": ["colour", "size"], "of_a_goal": ["colour"], "of_another_event": ["page"]}
