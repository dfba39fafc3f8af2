"""identity.yml: read, refused with its lines, and added to without touching what people wrote."""

from __future__ import annotations

from pathlib import Path

import pytest

from eventpipe.errors import ConfigurationError
from eventpipe.project.corrections import Corrections, add_correction, read_corrections, remove_corrections
from eventpipe_tests import builders


def corrections(folder: Path, text: str) -> Corrections:
    (folder / "identity.yml").write_text(text, encoding="utf-8")
    found, problems = read_corrections(folder, {})
    assert not problems, problems
    assert found is not None
    return found


def test_without_the_file_nothing_is_corrected(tmp_path: Path) -> None:
    assert builders.project(tmp_path).corrections == Corrections()


def test_values_and_pairs_are_read(tmp_path: Path) -> None:
    found = corrections(tmp_path, "block: [x@shop.example]\nunlink:\n  - [a, 'customer_id:b']\n  - ['7', c]\n")
    assert found == Corrections(block=("x@shop.example",), unlink=(("a", "customer_id:b"), ("7", "c")))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("blok: [x]\n", "identity.yml:1: blok: unknown key; did you mean 'block'?"),
        ("block:\n  - x\n  - 7\n", "identity.yml:3: block.1: 7 is not text (put it in quotes)"),
        ("block: ['']\n", "identity.yml:1: block.0: '' is not an identifier"),
        ("unlink:\n  - [a]\n", "identity.yml:2: unlink.0: a list is not a pair: write [one identifier, the other]"),
        ("unlink:\n  - [a, b]\n  - [a, A]\n", "identity.yml:3: unlink.1: is one identifier twice"),
        ("unlink: a\n", "identity.yml:1: unlink: 'a' is not a list"),
        ("block: [x\n", "identity.yml:"),
    ],
)
def test_what_is_wrong_is_refused_before_anything_is_read(tmp_path: Path, text: str, expected: str) -> None:
    builders.project(tmp_path)
    (tmp_path / "identity.yml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as refused:
        builders.project(tmp_path)
    assert expected in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "# ours\nblock:\n  - x   # the till\n\n# pairs\nunlink:\n  - [a, b]\n",
        "block: [x]  # the till\nunlink: [[a, b]]\n",
        "block:\nunlink:\n- - a\n  - b\n- [c, d]",
        "{block: [x], unlink: []}\n",
        "block: null  # ours\nunlink: ~\n",
        "unlink:   # pairs\nblock: # the till\n",
        "{}\n",
        "{shared: [x]}\n",
    ],
)
def test_adding_keeps_what_is_there(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "identity.yml"
    before = Corrections() if text is None else corrections(tmp_path, text)
    assert add_correction(tmp_path, "block", 'qa: "1" #é')
    assert add_correction(tmp_path, "unlink", ("email:q@x.example", "a"))
    assert not add_correction(tmp_path, "block", 'qa: "1" #é')
    assert not add_correction(tmp_path, "unlink", ("a", "email:q@x.example"))
    after, problems = read_corrections(tmp_path, {})
    assert not problems
    assert after == Corrections(
        shared=before.shared, block=(*before.block, 'qa: "1" #é'), unlink=(*before.unlink, ("email:q@x.example", "a"))
    )
    for comment in ("# ours", "# the till", "# pairs"):
        assert (comment in (text or "")) <= (comment in path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (
            "# ours\nblock:\n  - x   # the till\n  - gone\n\n# pairs\nunlink:\n  - [a, b]\n  - [gone, c]\n",
            "# ours\nblock:\n  - x   # the till\n\n# pairs\nunlink:\n  - [a, b]\n",
        ),
        ("block: [gone, x]  # the till\nunlink: [[a, gone]]\n", "block: [x]  # the till\n"),
        ("block:\n- gone # whose\nunlink:\n- - gone\n  - b\n- [c, d]", "unlink:\n- [c, d]"),
        ("block: [gone, gone]\n", ""),
        ("shared:\n- gone\n- kiosk\n", "shared:\n- kiosk\n"),
        ("block: [x]\n", "block: [x]\n"),
    ],
)
def test_removing_leaves_the_rest_as_it_was_written(tmp_path: Path, text: str, left: str) -> None:
    before = corrections(tmp_path, text)
    count = remove_corrections(tmp_path, lambda entries: [entry == "gone" for entry in entries])
    assert count == before.block.count("gone") + before.shared.count("gone") + sum(
        "gone" in pair for pair in before.unlink
    )
    assert (tmp_path / "identity.yml").read_text(encoding="utf-8") == left


def test_without_the_file_nothing_is_removed(tmp_path: Path) -> None:
    assert remove_corrections(tmp_path, lambda _: []) == 0


def test_a_wrong_file_is_not_added_to(tmp_path: Path) -> None:
    path = tmp_path / "identity.yml"
    path.write_text("block: 7\n", encoding="utf-8")
    with pytest.raises(ConfigurationError):
        add_correction(tmp_path, "block", "x")
    assert path.read_text(encoding="utf-8") == "block: 7\n"
