"""The section `rfm` of eventpipe.yml: what counts as an order, how scores are cut, what score ranges are called."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, PlainValidator

from eventpipe.project.document import Document, KeyPath
from eventpipe.project.refusal import Finding, Refusal
from eventpipe.project.validation import Section, at
from eventpipe.project.vocabulary import GoalType

SECTION: Final[KeyPath] = ("rfm",)
OTHERS: Final = "Others"
"""The segment of whom no range describes."""

MAX_BINS: Final = 5
_RANGE: Final = re.compile(r"\s*([1-5])\s*(?:-\s*([1-5])\s*)?")

Period = Literal["day", "week", "month", "quarter", "year", "never"]


def _score_range(written: object) -> tuple[int, int]:
    """`4-5`, `4` or `[4, 5]` as the lowest and the highest score, both included."""
    text = "-".join(str(each) for each in written) if isinstance(written, list | tuple) else str(written)
    match = None if isinstance(written, bool) else _RANGE.fullmatch(text)
    if match is None:
        raise Refusal("a range of scores: write 4-5, or 1 for a single score")
    low, high = int(match[1]), int(match[2] or match[1])
    if low > high:
        raise Refusal("a range of scores: write the lower one first, like 4-5")
    return low, high


def _some(goal_types: tuple[str, ...]) -> tuple[str, ...]:
    if not goal_types:
        raise Refusal("complete: name at least one goal type, or leave it out for purchase")
    return goal_types


def _rising(points: tuple[float, ...] | None) -> tuple[float, ...] | None:
    if points is not None and (not points or any(low >= high for low, high in pairwise(points))):
        raise Refusal("a list of rising numbers, like [30, 90, 180, 365]")
    return points


Range = Annotated[tuple[int, int], PlainValidator(_score_range)]
CutPoints = Annotated[tuple[float, ...] | None, AfterValidator(_rising)]


class FixedCutPoints(Section):
    """Cut points that are set rather than found: days, orders, and money in whatever currency is scored."""

    recency: CutPoints = None
    frequency: CutPoints = None
    monetary: CutPoints = None


class RfmSegment(Section):
    """A name for ranges of the three scores; of several that fit, the first is taken."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    r: Range
    f: Range
    m: Range


DEFAULT_SEGMENTS: Final = (
    RfmSegment(name="Champions", r=(4, 5), f=(4, 5), m=(4, 5)),
    RfmSegment(name="Loyal Customers", r=(2, 5), f=(3, 5), m=(3, 5)),
    RfmSegment(name="Potential Loyalist", r=(3, 5), f=(1, 3), m=(1, 3)),
    RfmSegment(name="New Customers", r=(4, 5), f=(1, 1), m=(1, 1)),
    RfmSegment(name="Promising", r=(3, 4), f=(1, 1), m=(1, 1)),
    RfmSegment(name="Need Attention", r=(2, 3), f=(2, 3), m=(2, 3)),
    RfmSegment(name="About To Sleep", r=(2, 3), f=(1, 2), m=(1, 2)),
    RfmSegment(name="At Risk", r=(1, 2), f=(2, 5), m=(2, 5)),
    RfmSegment(name="Can't Lose Them", r=(1, 1), f=(4, 5), m=(4, 5)),
    RfmSegment(name="Lost", r=(1, 2), f=(1, 2), m=(1, 2)),
)
"""What ranges of scores are called. The table is written for five bins."""


class RfmSettings(Section):
    """Goals of `goal_types` are orders. Scores run from 1 to `bins`, or to one more than there are fixed cut points.
    `history` is the period at whose ends `contact_rfm_history` takes a snapshot."""

    goal_types: Annotated[tuple[GoalType, ...], AfterValidator(_some)] = ("purchase",)
    bins: int = Field(default=MAX_BINS, ge=2, le=MAX_BINS)
    cut_points: FixedCutPoints = FixedCutPoints()
    segments: tuple[RfmSegment, ...] = DEFAULT_SEGMENTS
    history: Period = "month"

    @property
    def segment_names(self) -> tuple[str, ...]:
        """Every value that `rfm_segment` can have."""
        return (*dict.fromkeys(segment.name for segment in self.segments), OTHERS)


def rfm_findings(document: Document) -> Iterator[Finding]:
    """Fixed cut points that make more scores than there are bins."""
    bins = at(document.data, (*SECTION, "bins"))
    most = (bins if isinstance(bins, int) else MAX_BINS) - 1
    for measure in FixedCutPoints.model_fields:
        where = (*SECTION, "cut_points", measure)
        points = at(document.data, where)
        if isinstance(points, list) and len(points) > most:
            yield Finding(where, f"has {len(points)} cut points: with {most + 1} bins there can be {most}")
