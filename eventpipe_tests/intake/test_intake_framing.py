"""Bytes to numbered lines."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from eventpipe.intake.framing import LineCount, frames
from eventpipe.intake.refusal import ExportRefused

LIMIT = 12
Frames = tuple[list[tuple[int, str, str | None]], int, int]
"""(line, raw without its break, fault) of each frame; how many lines; how many of them blank."""


def framed(content: bytes, *, chunk: int = 1 << 20, limit: int = 1 << 20) -> Frames:
    def chunks() -> Iterator[bytes]:
        yield from (content[at : at + chunk] for at in range(0, len(content), chunk))

    counted = LineCount()
    found = []
    for batch in frames(chunks(), counted, line_bytes=limit, depth=32):
        for line, raw, fault in zip(
            *(batch.column(name).to_pylist() for name in ("line", "raw", "fault")), strict=True
        ):
            found.append((line, raw.rstrip("\r\n"), fault))
    return found, counted.lines, counted.blank


def plainly(content: bytes, limit: int) -> Frames:
    """The same, the slow and plain way."""
    content = content.removeprefix(b"\xef\xbb\xbf")
    pieces = re.split(rb"\r\n|\r|\n", content)
    if pieces[-1] == b"":
        pieces.pop()
    found: list[tuple[int, str, str | None]] = []
    blank = 0
    for number, piece in enumerate(pieces, start=1):
        if len(piece) > limit:
            found.append((number, piece[: limit + 1].decode("utf-8", "ignore").replace("\0", ""), "line.too_long"))
        elif not piece.strip():
            blank += 1
        else:
            try:
                text, fault = piece.decode(), None
            except UnicodeDecodeError:
                text, fault = "", "encoding.invalid"
            if fault or "\0" in text:
                text, fault = base64.b64encode(piece).decode(), "encoding.invalid"
            found.append((number, text, fault))
    return found, len(pieces), blank


@pytest.mark.parametrize(
    "content",
    [
        b"one\ntwo\n",
        b"one\r\ntwo\r\n",
        b"one\rtwo\r",
        b"one\r\ntwo",
        b"one\ntwo",
        b"one\rtwo\n",
        b"\xef\xbb\xbfone\ntwo\n",
    ],
    ids=["LF", "CRLF", "CR", "CRLF without the last", "LF without the last", "mixed", "BOM"],
)
def test_every_way_to_end_a_line_gives_the_same_lines(content: bytes) -> None:
    assert framed(content) == ([(1, "one", None), (2, "two", None)], 2, 0)


def test_blank_lines_are_counted_and_keep_the_numbers_of_the_others() -> None:
    assert framed(b"\n  \none\n\t\r\n\r\ntwo\n \n") == ([(3, "one", None), (6, "two", None)], 7, 5)


def test_an_empty_file_and_a_lone_mark_hold_no_line() -> None:
    assert framed(b"") == framed(b"\xef\xbb\xbf") == ([], 0, 0)


def test_a_line_over_the_limit_costs_only_itself_and_its_break_does_not_count() -> None:
    content = b"a" * LIMIT + b"\n" + b"b" * LIMIT + b"\r\n" + b"c" * (LIMIT + 1) + b"\n" + b"d\n"
    found, count, _ = framed(content, limit=LIMIT)
    assert [(line, fault) for line, _, fault in found] == [
        (1, None),
        (2, None),
        (3, "line.too_long"),
        (4, None),
    ]
    assert count == 4


def test_of_a_line_far_over_the_limit_only_the_beginning_is_kept() -> None:
    found, _, _ = framed(b"x" * 100_000 + b"\nok\n", limit=LIMIT)
    assert found == [(1, "x" * (LIMIT + 1), "line.too_long"), (2, "ok", None)]


def test_bytes_that_are_not_utf8_cost_their_line_and_are_kept_in_base64() -> None:
    found, _, _ = framed(b"one\n\xff\xfe\xe9\r\ntwo\n")
    assert found == [
        (1, "one", None),
        (2, base64.b64encode(b"\xff\xfe\xe9").decode(), "encoding.invalid"),
        (3, "two", None),
    ]


def test_a_nul_costs_its_line() -> None:
    found, _, _ = framed(b"first\na\0b\ntwo\n")
    assert found[1] == (2, base64.b64encode(b"a\0b").decode(), "encoding.invalid")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("chunk", [1, 3, 1000])
def test_a_file_in_utf16_or_utf32_is_refused(encoding: str, chunk: int) -> None:
    with pytest.raises(ExportRefused, match=r"file\.encoding"):
        framed('{"event_name": "é"}\n'.encode(encoding), chunk=chunk)


LINES = st.lists(
    st.sampled_from(
        [
            b"\n",
            b"\r",
            b"\r\n",
            b" ",
            b"a",
            b"bc",
            b'{"x": 1}',
            "é€😀".encode(),
            b"\xff",
            b"\0",
            b"x" * 11,
            b"y" * 40,
        ]
    )
).map(b"".join)


@given(LINES, st.integers(1, 50))
@example(b"a" * 40 + b"\rb\n", 41)
@example(b"a" * 40 + b"\r\nb\n", 41)
@example(b" " * 40 + b"{}\n", 7)
@example(b"\xef\xbb\xbfa\n", 1)
def test_where_chunks_end_makes_no_difference(content: bytes, chunk: int) -> None:
    if content[:4].count(b"\0"):
        content = b"text" + content
    assert framed(content, chunk=chunk, limit=LIMIT) == plainly(content, LIMIT)
