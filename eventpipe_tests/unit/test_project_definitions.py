"""events/*.yml: definitions, the registry, and how each mistake is told."""

from __future__ import annotations

from textwrap import dedent

import pytest

from eventpipe.errors import Problem
from eventpipe.project.definitions import GoalRule, PropertyDefinition, Registry
from eventpipe.project.tracking_plan import read_registry
from eventpipe.project.vocabulary import DEFAULT_IDENTIFIERS
from eventpipe.project.yaml import parse_document


def read(
    *texts: str, identifiers: tuple[str, ...] | None = DEFAULT_IDENTIFIERS, **environ: str
) -> tuple[Registry | None, list[Problem]]:
    """What files with these texts give; the first is events/0.yml."""
    documents, problems = [], []
    for number, text in enumerate(texts):
        document, wrong = parse_document(dedent(text).encode(), f"events/{number}.yml", environ)
        documents.append(document)
        problems += wrong
    registry, wrong = read_registry(documents, identifiers)
    return registry, problems + wrong


def registry_of(*texts: str) -> Registry:
    """The registry of files without problems."""
    registry, problems = read(*texts)
    assert problems == []
    assert registry is not None
    return registry


def event(rest: str = "", name: str = "order.completed") -> str:
    """A file with one definition: `rest` follows its name, on line 3 and on, indented by four blanks."""
    return f"events:\n  - name: {name}\n" + "".join(f"    {line}\n" for line in rest.splitlines())


ORDER = """
    events:
      - name: order.completed
        description: Fires once the payment is captured.
        aliases: [Order Completed, order_completed]
        properties:
          - {name: order_id, type: string, required: true, maps_to: order_id}
          - {name: total, type: number, required: true, maps_to: value, aliases: [value, cart_value]}
          - {name: currency, type: string, maps_to: currency}
          - {name: items, type: array, required: true}
          - {name: placed_on, type: date}
        goal: {type: purchase, value: total}
        dedupe_on: order_id
        unknown_properties: keep
        mode: enforce
    """


def test_the_example_of_the_specification_loads() -> None:
    definition = registry_of(ORDER).by_name["order.completed"]
    assert definition.aliases == ("Order Completed", "order_completed")
    assert definition.properties[1] == PropertyDefinition(
        name="total", type="number", required=True, maps_to="value", aliases=("value", "cart_value")
    )
    assert definition.goal == GoalRule(type="purchase", value="total")
    assert (definition.dedupe_on, definition.unknown_properties, definition.mode) == (
        "order_id",
        "keep",
        "enforce",
    )


def test_a_name_alone_is_a_definition() -> None:
    definition = registry_of(event()).by_name["order.completed"]
    assert (definition.properties, definition.goal, definition.dedupe_on) == ((), None, None)
    assert (definition.unknown_properties, definition.mode) == ("keep", "enforce")


def test_files_without_definitions_are_good() -> None:
    assert registry_of("", "events:\n", "events: []\n") == Registry()
    assert registry_of().definitions == ()


def test_spellings_are_exact() -> None:
    registry = registry_of(ORDER)
    assert registry.canonical("Order Completed") == "order.completed"
    assert registry.canonical("order.completed") == "order.completed"
    assert registry.canonical("ORDER COMPLETED") is None


def test_all_files_make_one_registry_sorted_by_name() -> None:
    registry = registry_of(event(name="b"), event(name="c"), event(name="a"))
    assert [definition.name for definition in registry.definitions] == ["a", "b", "c"]


@pytest.mark.parametrize(
    "rest",
    [
        "goal: {type: lead}",
        "goal: {type: subscription}\nproperties: [{name: price, type: number, maps_to: value}]",
        "goal: {type: purchase, value: value}",
        "goal: {type: booking, name: Spring sale}",
        "dedupe_on: order_id",
        "dedupe_on: booking\nproperties: [{name: booking, type: string}]",
        "properties: [{name: mail, type: string, maps_to: email}]",
        "mode: observe\nunknown_properties: reject",
    ],
)
def test_what_else_a_definition_may_say(rest: str) -> None:
    assert registry_of(event(rest)).definitions


def test_declared_identifier_types_can_be_filled() -> None:
    text = event("properties: [{name: n, type: string, maps_to: network_userid}]")
    registry, problems = read(text, identifiers=("network_userid",))
    assert problems == []
    assert registry is not None


def test_unknown_identifier_types_are_not_held_against_a_definition() -> None:
    _, problems = read(event("properties: [{name: n, type: string, maps_to: x}]"), identifiers=None)
    assert problems == []


# --- versions ---


def test_a_version_is_of_the_content_not_of_the_writing() -> None:
    short = registry_of(event("properties: [{name: a, type: string}]")).definitions[0]
    long = registry_of(
        "# moved\nevents:\n- mode: enforce\n  aliases: []\n"
        "  properties:\n  - {type: string, required: false, name: a}\n  name: order.completed\n"
    ).definitions[0]
    assert len(short.version) == 12
    assert int(short.version, 16)
    assert short.version == long.version
    assert short == long


@pytest.mark.parametrize(
    "rest",
    [
        "description: x",
        "aliases: [x]",
        "mode: observe",
        "goal: {type: lead}",
        "properties: [{name: a, type: date}]",
    ],
)
def test_each_change_is_a_new_version_of_the_definition_and_of_the_registry(rest: str) -> None:
    before, after = registry_of(event()), registry_of(event(rest))
    assert before.definitions[0].version != after.definitions[0].version
    assert before.version != after.version


def test_the_registry_version_does_not_depend_on_files() -> None:
    together = "events: [{name: a}, {name: b}]\n"
    assert registry_of(together).version == registry_of(event(name="b"), event(name="a")).version


# --- mistakes ---

MISTAKES = [
    ("event: []\n", 1, "event", ["unknown key", "did you mean 'events'?"]),
    ("events: {name: a}\n", 1, "events", ["a mapping is not a list"]),
    ("events:\n  - a\n", 2, "events.0", ["'a' is not a mapping"]),
    ("events:\n  - description: x\n", 2, "events.0.name", ["is required"]),
    (event(name="5"), 2, "events.0.name", ["5 is not text", "quotes"]),
    (event(name="''"), 2, "events.0.name", ["1 to 100 bytes"]),
    (event(name="' x'"), 2, "events.0.name", ["without blanks"]),
    (event(name="é" * 51), 2, "events.0.name", ["1 to 100 bytes"]),
    (event("alias: [x]"), 3, "events.0.alias", ["did you mean 'aliases'?", "name, description"]),
    (event("aliases: x"), 3, "events.0.aliases", ["'x' is not a list"]),
    (event("aliases:\n  - ''"), 4, "events.0.aliases.0", ["1 to 100 bytes"]),
    (event("aliases: [x, x]"), 3, "events.0.aliases.1", ["already", "events/0.yml:3 (events.0.aliases.0)"]),
    (
        event("aliases: [order.completed]"),
        3,
        "events.0.aliases.0",
        ["already", "events/0.yml:2 (events.0.name)"],
    ),
    (event("mode: enforced"), 3, "events.0.mode", ["did you mean 'enforce'?", "enforce, observe"]),
    (event("unknown_properties: drop"), 3, "events.0.unknown_properties", ["keep, reject"]),
    (
        event("properties:\n  - {name: a, type: numbr}"),
        4,
        "events.0.properties.0.type",
        ["did you mean 'number'?", "string, number, boolean, date, array, object"],
    ),
    (event("properties:\n  - {name: a}"), 4, "events.0.properties.0.type", ["is required"]),
    (
        event("properties:\n  - {name: a, type: date, require: true}"),
        4,
        "events.0.properties.0.require",
        ["did you mean 'required'?", "maps_to"],
    ),
    (
        event("properties:\n  - {name: a, type: date, required: 1}"),
        4,
        "events.0.properties.0.required",
        ["1 is not true or false"],
    ),
    (
        event("properties:\n  - {name: a, type: date}\n  - {name: a, type: date}"),
        5,
        "events.0.properties.1.name",
        ["already a name or alias of properties.0"],
    ),
    (
        event("properties:\n  - {name: a, type: date}\n  - {name: b, type: date, aliases: [c, a]}"),
        5,
        "events.0.properties.1.aliases.1",
        ["already a name or alias of properties.0"],
    ),
    (
        event("properties:\n  - {name: a, type: string, maps_to: orderid}"),
        4,
        "events.0.properties.0.maps_to",
        ["did you mean 'order_id'?", "value, currency"],
    ),
    (
        event("properties:\n  - {name: a, type: string, maps_to: occurred_at}"),
        4,
        "events.0.properties.0.maps_to",
        ["not a field that a property can fill"],
    ),
    (
        event("properties:\n  - {name: a, type: string, maps_to: value}"),
        4,
        "events.0.properties.0.maps_to",
        ["value takes a property of type number, not string"],
    ),
    (
        event("properties:\n  - {name: a, type: array, maps_to: order_id}"),
        4,
        "events.0.properties.0.maps_to",
        ["type string or number, not array"],
    ),
    (
        event("properties:\n" + "".join(f"  - {{name: {name}, type: string, maps_to: phone}}\n" for name in "ab")),
        5,
        "events.0.properties.1.maps_to",
        ["phone is filled by properties.0 already"],
    ),
    (
        event("goal: {type: purchse}"),
        3,
        "events.0.goal.type",
        ["'purchase'?", "purchase, subscription, lead"],
    ),
    (
        event("goal: {type: lead, valu: x}"),
        3,
        "events.0.goal.valu",
        ["did you mean 'value'?", "type, value, name"],
    ),
    (event("goal: purchase"), 3, "events.0.goal", ["'purchase' is not a mapping"]),
    (
        event("goal: {type: purchase}"),
        3,
        "events.0.goal",
        ["goal of type purchase needs a value", "maps_to: value"],
    ),
    (event("goal: {type: subscription}"), 3, "events.0.goal", ["goal of type subscription needs a value"]),
    (
        event("goal: {type: purchase, value: totl}\nproperties: [{name: total, type: number}]"),
        3,
        "events.0.goal.value",
        ["did you mean 'total'?", "Accepted: total, value"],
    ),
    (
        event("goal: {type: purchase, value: total}\nproperties: [{name: total, type: string}]"),
        3,
        "events.0.goal.value",
        ["'total' is not a defined property of type number"],
    ),
    (event("dedupe_on: orderid"), 3, "events.0.dedupe_on", ["'order_id'?", "Accepted: order_id, dedupe_key"]),
    (
        event("dedupe_on: items\nproperties: [{name: items, type: array}]"),
        3,
        "events.0.dedupe_on",
        ["not a defined property of type string or number"],
    ),
]


@pytest.mark.parametrize(("text", "line", "key", "words"), MISTAKES, ids=[f"{row[2]}-{row[0]}" for row in MISTAKES])
def test_each_mistake_is_told_at_its_place(text: str, line: int, key: str, words: list[str]) -> None:
    registry, problems = read(text)
    assert registry is None
    assert len(problems) == 1, problems
    assert (problems[0].file, problems[0].line, problems[0].key) == ("events/0.yml", line, key)
    assert all(word in problems[0].message for word in words), problems[0].message


def test_a_name_taken_in_another_file_is_told_with_both_places() -> None:
    _, problems = read(event("aliases: [Order Completed]"), event(), event("aliases: [Order Completed]", "order.paid"))
    assert [(problem.file, problem.line, problem.key) for problem in problems] == [
        ("events/1.yml", 2, "events.0.name"),
        ("events/2.yml", 3, "events.0.aliases.0"),
    ]
    assert "events/0.yml:2 (events.0.name)" in problems[0].message
    assert "events/0.yml:3 (events.0.aliases.0)" in problems[1].message


def test_one_mistake_hides_no_other() -> None:
    _, problems = read(
        """
        events:
          - name: a
            mode: enforcing
            aliases: [x]
            properties:
              - {name: p, type: number, maps_to: order}
              - {name: p, type: number}
            goal: {type: purchase, value: q}
          - name: x
            dedupe_on: nothing
            goal: {type: nonsense}
        """
    )
    assert sorted((problem.line, problem.key) for problem in problems) == [
        (4, "events.0.mode"),
        (7, "events.0.properties.0.maps_to"),
        (8, "events.0.properties.1.name"),
        (9, "events.0.goal.value"),
        (10, "events.1.name"),
        (11, "events.1.dedupe_on"),
        (12, "events.1.goal.type"),
    ]


def test_a_broken_property_makes_no_consequences_of_its_own() -> None:
    _, problems = read(event("goal: {type: purchase, value: total}\nproperties: [{name: total, type: numbr}]"))
    assert [problem.key for problem in problems] == ["events.0.properties.0.type"]


def test_the_value_of_a_substituted_variable_is_in_no_message() -> None:
    _, problems = read(
        """
        events:
          - name: ${env:SECRET}
            aliases: ["${env:SECRET}"]
            properties:
              - {name: "${env:SECRET}", type: string}
              - {name: "${env:SECRET}", type: string, maps_to: "${env:SECRET}"}
            goal: {type: "${env:SECRET}", value: "${env:SECRET}"}
            dedupe_on: ${env:SECRET}_id
        """,
        SECRET="hush",
    )
    assert len(problems) == 6
    for problem in problems:
        assert "${env:SECRET}" in problem.message
        assert "hush" not in problem.message
