"""Two kinds of chart for what Dagster shows of an asset, written down in Vega-Lite and drawn as SVG: small enough for its
event log, sharp at any size.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import dagster as dg

_INK: Final = "#1f2733"
_FAINT: Final = "#d9dee7"
_SHADES: Final = ("#ecf2fc", "#1c4e9c")
# The Okabe-Ito palette, which colour-blind people can tell apart too, in an order in which neighbours differ.
_COLOURS: Final = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#56b4e9", "#cc79a7", "#8c7a00", "#000000")
_MOST_DOTS: Final = 20
_CELL, _DIGIT = 96, 8
"""Least width of a field of a grid, and what a character of its text takes of it, in pixels."""
_CONFIG: Final = {
    "background": "#ffffff",
    "aria": False,  # the sentence below says it in fewer bytes
    "view": {"stroke": None},
    "axis": {
        "domain": False,
        "ticks": False,
        "labelPadding": 8,
        "labelColor": _INK,
        "gridColor": _FAINT,
        "title": None,
    },
    "text": {"fontSize": 12},
}


@dataclass(frozen=True)
class Cell:
    """A field of a grid: the more weight, the darker; a heading and a line of text."""

    weight: int
    heading: str
    text: str


@dataclass(frozen=True)
class Line:
    """A series over time, and what the legend calls it."""

    label: str
    points: Sequence[tuple[datetime, int]]


def grid(rows: Sequence[str], columns: Sequence[str], cells: Mapping[tuple[str, str], Cell]) -> str:
    """A heat map as SVG: the cell of each row and column, where there is one."""
    most = max((cell.weight for cell in cells.values()), default=1)
    widest = max((len(text) for cell in cells.values() for text in (cell.heading, cell.text)), default=0)
    written = {"test": f"datum.weight > {most / 2}", "value": "#ffffff"}
    bold = {"labelFontSize": 12, "labelFontWeight": "bold", "labelAngle": 0}

    def text(field: str, **mark: Any) -> dict[str, Any]:
        encoding = {"text": {"field": field}, "color": {"condition": written, "value": _INK}}
        return {"mark": {"type": "text", **mark}, "encoding": encoding}

    return _drawn(
        {
            "data": {
                "values": [
                    {"row": row, "column": column, "weight": cell.weight, "heading": cell.heading, "text": cell.text}
                    for (row, column), cell in cells.items()
                ]
            },
            "width": {"step": max(_CELL, _DIGIT * widest)},
            "height": {"step": 46},
            "encoding": {
                "x": {
                    "field": "column",
                    "type": "ordinal",
                    "scale": {"domain": columns},
                    "axis": {"orient": "top", **bold},
                },
                "y": {"field": "row", "type": "ordinal", "scale": {"domain": rows}, "axis": bold},
            },
            "layer": [
                {
                    "mark": {"type": "rect", "stroke": "#ffffff", "strokeWidth": 2},
                    "encoding": {
                        "color": {
                            "field": "weight",
                            "type": "quantitative",
                            "scale": {"domain": [0, most], "range": _SHADES},
                            "legend": None,
                        }
                    },
                },
                text("heading", dy=-7, fontWeight="bold"),
                text("text", dy=9),
            ],
        }
    )


def lines(series: Sequence[Line]) -> str:
    """Sizes over time from 0 upwards as SVG, each as it stays until the next point, with the legend below, in the order of
    the series."""
    labels = [line.label for line in series]
    instants = sorted({_milliseconds(at) for line in series for at, _ in line.points})
    most = max((size for line in series for _, size in line.points), default=0)
    legend = {
        "orient": "bottom",
        "columns": 1,
        "title": None,
        "symbolType": "stroke",
        "labelFontSize": 12,
        "labelLimit": 0,
    }
    return _drawn(
        {
            "data": {
                "values": [
                    {"line": line.label, "at": _milliseconds(at), "size": size}
                    for line in series
                    for at, size in line.points
                ]
            },
            "width": 340,
            "height": 240,
            "mark": {
                "type": "line",
                "interpolate": "step-after",
                "point": {"size": 20} if len(instants) <= _MOST_DOTS else False,
            },
            "encoding": {
                "x": {
                    "field": "at",
                    "type": "temporal",
                    "scale": {"type": "utc"},
                    "axis": {
                        "format": "%Y-%m-%d",
                        "grid": False,
                        "labelFlush": True,
                        "values": sorted({instants[0], instants[-1]}),
                    },
                },
                "y": {
                    "field": "size",
                    "type": "quantitative",
                    "scale": {"domain": [0, max(most, 1)]},
                    "axis": {"format": ",d", "values": sorted({0, round(most / 2), most})},
                },
                "color": {
                    "field": "line",
                    "type": "nominal",
                    "scale": {"domain": labels, "range": _COLOURS[: len(labels)]},
                    "legend": legend,
                },
            },
        }
    )


def markdown_image(svg: str, told: str) -> dg.MarkdownMetadataValue:
    """A picture with a sentence below it, as Dagster shows it; the sentence stands in for a picture that cannot be seen."""
    data = b64encode(svg.encode()).decode("ascii")
    return dg.MetadataValue.md(f"![{told}](data:image/svg+xml;base64,{data})\n\n{told}.")


def _milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def _drawn(chart: dict[str, Any]) -> str:
    import vl_convert  # late: it is needed when there is something to draw

    # No address is allowed: a chart shows what it is given.
    return str(vl_convert.vegalite_to_svg({**chart, "config": _CONFIG}, allowed_base_urls=[]))
