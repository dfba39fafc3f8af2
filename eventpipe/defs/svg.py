"""Two kinds of chart as SVG, for what Dagster shows of an asset: small enough for its event log, sharp at any size."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Final

import dagster as dg

_CELL_WIDTH: Final = 96
_CELL_HEIGHT: Final = 46
_LABEL: Final = 34
_PLOT_WIDTH: Final = 340
_PLOT_HEIGHT: Final = 240
_MARGIN: Final = 52
_LINE_OF_TEXT: Final = 20
_INK: Final = "#1f2733"
_FAINT: Final = "#d9dee7"
_LIGHTEST: Final = (236, 242, 252)
_DARKEST: Final = (28, 78, 156)
# The Okabe-Ito palette, which colour-blind people can tell apart too, in an order in which neighbours differ.
_COLOURS: Final = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#56b4e9", "#cc79a7", "#8c7a00", "#000000")


@dataclass(frozen=True)
class Cell:
    """A field of a grid: the more weight, the darker; its lines of text."""

    weight: int
    text: tuple[str, ...]


@dataclass(frozen=True)
class Line:
    """A series over time, and what the legend calls it."""

    label: str
    points: Sequence[tuple[datetime, int]]


def grid(rows: Sequence[str], columns: Sequence[str], cells: Mapping[tuple[str, str], Cell]) -> str:
    """A heat map: the cell of each row and column, where there is one."""
    most = max((cell.weight for cell in cells.values()), default=1)
    parts = []
    for across, column in enumerate(columns):
        x = _LABEL + across * _CELL_WIDTH
        parts.append(_text(x + _CELL_WIDTH / 2, _LABEL - 12, column, anchor="middle", bold=True))
    for down, row in enumerate(rows):
        y = _LABEL + down * _CELL_HEIGHT
        parts.append(_text(_LABEL - 8, y + _CELL_HEIGHT / 2 + 4, row, anchor="end", bold=True))
        for across, column in enumerate(columns):
            x = _LABEL + across * _CELL_WIDTH
            parts.append(_field(x, y, cells.get((row, column)), most))
    return _svg(_LABEL + len(columns) * _CELL_WIDTH, _LABEL + len(rows) * _CELL_HEIGHT, parts)


def lines(series: Sequence[Line]) -> str:
    """Sizes over time from 0 upwards, with the legend below, in the order of the series."""
    instants = sorted({at for line in series for at, _ in line.points})
    first, last = instants[0].timestamp(), instants[-1].timestamp()
    most = max(max((size for line in series for _, size in line.points), default=0), 1)

    def place(at: datetime, size: int) -> tuple[float, float]:
        along = (at.timestamp() - first) / (last - first) if last > first else 1.0
        return _MARGIN + along * _PLOT_WIDTH, 12 + _PLOT_HEIGHT * (1 - size / most)

    parts = []
    for size in sorted({0, round(most / 2), most}):
        _, y = place(instants[0], size)
        parts.append(f'<path d="M{_MARGIN} {y:.1f}h{_PLOT_WIDTH}" stroke="{_FAINT}"/>')
        parts.append(_text(_MARGIN - 8, y + 4, f"{size:,}", anchor="end"))
    for at, anchor in ((instants[0], "start"), (instants[-1], "end"))[-min(len(instants), 2) :]:
        parts.append(_text(place(at, 0)[0], 12 + _PLOT_HEIGHT + 18, f"{at:%Y-%m-%d}", anchor=anchor))
    legend = 12 + _PLOT_HEIGHT + 44
    for number, line in enumerate(series):
        colour = _COLOURS[number % len(_COLOURS)]
        corners = [place(*point) for point in line.points]
        parts.append(
            f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in corners)}" fill="none" stroke="{colour}"'
            ' stroke-width="2"/>'
        )
        parts += (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour}"/>' for x, y in corners)
        y = legend + number * _LINE_OF_TEXT
        parts.append(f'<rect x="{_MARGIN}" y="{y - 9}" width="14" height="10" fill="{colour}"/>')
        parts.append(_text(_MARGIN + 22, y, line.label))
    return _svg(_MARGIN + _PLOT_WIDTH + 12, legend + len(series) * _LINE_OF_TEXT - 6, parts)


def markdown_image(svg: str, told: str) -> dg.MarkdownMetadataValue:
    """A picture with a sentence below it, as Dagster shows it; the sentence stands in for a picture that cannot be seen."""
    data = b64encode(svg.encode()).decode("ascii")
    return dg.MetadataValue.md(f"![{told}](data:image/svg+xml;base64,{data})\n\n{told}.")


def _field(x: float, y: float, cell: Cell | None, most: int) -> str:
    if cell is None:
        return f'<rect x="{x}" y="{y}" width="{_CELL_WIDTH - 2}" height="{_CELL_HEIGHT - 2}" fill="#f6f7f9"/>'
    share = cell.weight / most
    red, green, blue = (round(low + (high - low) * share) for low, high in zip(_LIGHTEST, _DARKEST, strict=True))
    ink = "#ffffff" if share > 0.5 else _INK
    parts = [
        f'<rect x="{x}" y="{y}" width="{_CELL_WIDTH - 2}" height="{_CELL_HEIGHT - 2}" fill="rgb({red},{green},{blue})"/>'
    ]
    for number, text in enumerate(cell.text):
        at = y + 19 + number * 16
        parts.append(_text(x + _CELL_WIDTH / 2 - 1, at, text, anchor="middle", ink=ink, bold=number == 0))
    return "".join(parts)


def _text(x: float, y: float, text: str, *, anchor: str = "start", ink: str = _INK, bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{ink}"{weight}>{escape(text)}</text>'


def _svg(width: float, height: float, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}"'
        f' viewBox="0 0 {width:.0f} {height:.0f}" font-family="sans-serif" font-size="12">'
        f'<rect width="100%" height="100%" fill="#ffffff"/>{"".join(parts)}</svg>'
    )
