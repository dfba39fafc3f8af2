"""YAML of a project: lines, refusals, and values from the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml as pyyaml

from eventpipe.errors import Problem
from eventpipe.project import yaml
from eventpipe.project.document import Document
from eventpipe.project.yaml import MAX_BYTES, parse_document, read_document

FILE = "eventpipe.yml"


def parsed(text: str | bytes, **environ: str) -> Document:
    """The document of a file that has no problem."""
    document, problems = parse_document(text.encode() if isinstance(text, str) else text, FILE, environ)
    assert problems == []
    return document


def refused(text: str | bytes, **environ: str) -> list[Problem]:
    """The problems of a file that has some."""
    _, problems = parse_document(text.encode() if isinstance(text, str) else text, FILE, environ)
    assert problems
    return problems


@pytest.fixture(params=["c", "python"], autouse=True)
def _each_parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both parsers of PyYAML must tell the same: the one in C is missing on some machines."""
    loader = getattr(pyyaml, "CSafeLoader", None) if request.param == "c" else pyyaml.SafeLoader
    if loader is None:
        pytest.skip("PyYAML was built without libyaml")
    monkeypatch.setattr(yaml, "_LOADER", loader)


def test_each_key_and_item_has_its_line() -> None:
    document = parsed("a: 1\nb:\n  c: x\n  d:\n    - e\n    - {f: 2,\n       g: 3}\n")
    assert document.data == {"a": 1, "b": {"c": "x", "d": ["e", {"f": 2, "g": 3}]}}
    lines = {"a": 1, "b": 2, "b.c": 3, "b.d": 4, "b.d.0": 5, "b.d.1": 6, "b.d.1.f": 6, "b.d.1.g": 7}
    assert {".".join(map(str, path)): line for path, line in document.lines.items() if path} == lines


def test_a_problem_without_a_line_of_its_own_stands_at_the_key_above() -> None:
    document = parsed("a: 1\nb:\n  c: x\n")
    assert document.problem(("b", "missing"), "is required") == Problem(FILE, 2, "b.missing", "is required")


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("NO", "NO"),
        ("yes", "yes"),
        ("on", "on"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("1990-01-01", "1990-01-01"),
        ("12:30:00", "12:30:00"),
        ("0123", 123),
        ("-5", -5),
        ("1.50", 1.5),
        ("1e3", 1000.0),
        ("1e999", "1e999"),
        (".nan", ".nan"),
        ("1_000", "1_000"),
        ("12345678901234567890", "12345678901234567890"),
        ('"5"', "5"),
        ("'true'", "true"),
        ("=", "="),
    ],
)
def test_plain_scalars_follow_the_core_rules_of_yaml_1_2(written: str, value: Any) -> None:
    found = parsed(f"key: {written}\n").data["key"]
    assert found == value
    assert type(found) is type(value)


def test_keys_are_text_whatever_they_look_like() -> None:
    assert parsed("5: a\ntrue: b\nnull: c\n<<: d\n").data == {"5": "a", "true": "b", "null": "c", "<<": "d"}


def test_an_empty_file_says_nothing() -> None:
    assert parsed("").data == {}
    assert parsed("# only a comment\n").data == {}
    assert parsed(b"\xef\xbb\xbfa: 1\n").data == {"a": 1}


@pytest.mark.parametrize(
    ("text", "line", "key", "words"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "a", ["given twice", "first on line 1"]),
        ("x:\n  a: 1\n  a: {b: 2}\n", 3, "x.a", ["given twice", "first on line 2"]),
        ("a: &x 1\nb: *x\n", 2, "b", ["alias", "*x"]),
        ("a: &x [*x]\n", 1, "a.0", ["alias"]),
        ("a:\n  b: !!python/object:os.system x\n", 2, "a.b", ["tag", "plain YAML"]),
        ("a: !secret x\n", 1, "a", ["tag", "!secret"]),
        ("? [a, b]\n: 1\n", 1, "", ["key must be plain text"]),
        ("a: 1\n---\nb: 2\n", 2, "", ["second YAML document"]),
        ("a: " + "[" * 40 + "]" * 40, 1, "a" + ".0" * 31, ["deeper than 32"]),
        ("a: 1\nb: [1, 2\nc: 3\n", 3, "", ["not valid YAML"]),
        ("a: 1\nb: x\x07y\n", 2, "", ["not valid YAML"]),
        ('a: "x\\0y"\n', 1, "a", ["NUL"]),
        (b"a: 1\nb: caf\xe9\n", 2, "", ["UTF-8"]),
        (b"a: " + b"x" * MAX_BYTES, None, "", [f"over {MAX_BYTES} bytes"]),
    ],
)
def test_a_careless_or_hostile_file_is_refused_at_its_line(
    text: str | bytes, line: int | None, key: str, words: list[str]
) -> None:
    problem = refused(text)[0]
    assert (problem.file, problem.line, problem.key) == (FILE, line, key)
    assert all(word in problem.message for word in words), problem.message


def test_aliases_cannot_explode() -> None:
    bomb = "a: &a [x, x, x, x]\n" + "".join(
        f"{new}: &{new} [*{old}, *{old}, *{old}, *{old}]\n" for old, new in zip("abcdef", "bcdefg", strict=True)
    )
    assert "alias" in refused(bomb)[0].message


def test_a_variable_is_put_into_text() -> None:
    document = parsed('a: "${env:HOST}:${env:PORT}/x"\n', HOST="shop", PORT="80")
    assert document.data == {"a": "shop:80/x"}
    assert document.shown(("a",), document.data["a"]) == "the value of ${env:HOST} and ${env:PORT}"


def test_a_variable_is_typed_without_quotes_and_text_in_quotes() -> None:
    document = parsed('a: ${env:N}\nb: "${env:N}"\nc: ${env:T}\n', N="5", T="false")
    assert document.data == {"a": 5, "b": "5", "c": False}


def test_what_a_variable_holds_is_not_read_again() -> None:
    assert parsed('a: "${env:A}"\n', A="${env:B}", B="secret").data == {"a": "${env:B}"}


def test_every_missing_variable_is_named() -> None:
    problems = refused('a: "${env:ONE}${env:TWO}"\nb:\n  - ${env:THREE}\n', ONE_MORE="secret")
    assert [(problem.line, problem.key) for problem in problems] == [(1, "a"), (1, "a"), (3, "b.0")]
    assert [problem.message for problem in problems] == [
        f"the environment variable {name} is not set" for name in ("ONE", "TWO", "THREE")
    ]


@pytest.mark.parametrize("reference", ["${env:}", "${env:A B}", "${env:NAME", "${env:1}", "${env:A}${env:"])
def test_a_broken_reference_is_refused(reference: str) -> None:
    problems = refused(f"a: '{reference}'\n", A="secret", NAME="secret")
    assert [problem.line for problem in problems] == [1]
    assert "write ${env:NAME}" in problems[0].message
    assert "secret" not in problems[0].message


def test_a_reference_that_breaks_the_syntax_is_explained() -> None:
    assert "in quotes" in refused("a: {b: ${env:NAME}}\n", NAME="x")[0].message


def test_a_file_that_cannot_be_opened_is_a_problem(tmp_path: Path) -> None:
    document, problems = read_document(tmp_path, "events/a.yml", {})
    assert document.data is None
    assert problems[0].file == "events/a.yml"
    assert "cannot be read" in problems[0].message
