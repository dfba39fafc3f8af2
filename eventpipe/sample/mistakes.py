"""What goes wrong before an export is written: each kind of bad line, and the reasons it must be rejected
for.

A bad line is a spoilt copy of a good report that was sent again properly, under the same unique id: it adds a
line and changes nothing else, unless a rejected line is allowed to claim an id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from eventpipe.sample import redo
from eventpipe.sample.report import Event, Report, Who

_EVERY = 85
_FIRST = 20
_TEN_YEARS = 3650 * 86400
_SOURCES = ("redo", "notifuse", "customerio", "arsel")

Body = dict[str, Any]


def _as_is(report: Report) -> Report:
    return report


def _untouched(_report: Report, _body: Body) -> None:
    return None


def _always(_report: Report) -> bool:
    return True


@dataclass(frozen=True)
class Mistake:
    """One kind of bad line. `reasons` are all codes that it is rejected with.

    The copy is spoilt as a report, as a body or as a line, in this order; only a JSON line can be spoilt as
    one.
    """

    name: str
    reasons: tuple[str, ...]
    sources: tuple[str, ...]
    fits: Callable[[Report], bool] = _always
    spoil_report: Callable[[Report], Report] = _as_is
    spoil_body: Callable[[Report, Body], None] = _untouched
    spoil_line: Callable[[str], bytes] | None = None


def _is_event(report: Report) -> bool:
    return report.event not in (Event.IDENTIFY, Event.ALIAS)


def _is_api_body(report: Report) -> bool:
    return report.form != "pipelines"


def _properties(report: Report, body: Body) -> Body:
    """The event's own properties, where the vendor keeps them."""
    if report.source == "redo":
        field = redo.PROPERTY_FIELDS[report.form]
    elif report.source == "customerio":
        field = "attributes" if report.form == "v2" else "data"
    else:
        field = "data" if report.source == "arsel" else "properties"
    found: Body = body[field]
    return found


def _unname(report: Report, body: Body) -> None:
    if report.form == "pipelines":
        body["event"] = body["event_text"] = None
    elif report.source == "redo":
        del body[redo.NAME_FIELDS[report.form]]
    else:
        del body["name" if report.source == "customerio" else "event_name"]


def _name_in_title_case(_report: Report, body: Body) -> None:
    body["event_name"] = body["event_name"].replace(".", " ").title()


def _drop_value(report: Report, body: Body) -> None:
    del body["goal_value"], _properties(report, body)["total"]


def _value_in_words(report: Report, body: Body) -> None:
    _properties(report, body).pop("total", None)
    body["goal_value" if report.source == "notifuse" else "value"] = "n/a"


def _time_in_words(report: Report, body: Body) -> None:
    body[redo.TIME_FIELDS[report.form] if report.source == "redo" else "timestamp"] = "yesterday"


def _drop_order_id(report: Report, body: Body) -> None:
    del _properties(report, body)["order_id"]


def _currency_sign(report: Report, body: Body) -> None:
    body["valueCurrency" if report.form == "v2" else "value_currency"] = "US$"
    _properties(report, body)["currency"] = "US$"


def _not_a_number(report: Report, body: Body) -> None:
    _properties(report, body)["total"] = float("nan")


def _unknown_event(_report: Report, body: Body) -> None:
    body["event"] = "cart.exported"


def _unknown_goal(_report: Report, body: Body) -> None:
    body["goal_type"] = "sale"


def _nobody(report: Report) -> Report:
    return replace(report, who=Who())


def _both_identifiers(report: Report) -> Report:
    return replace(report, who=Who(customer_id=report.shopper.customer_id, email=report.shopper.emails[0]))


def _in_ten_years(report: Report) -> Report:
    return replace(report, at=report.at + _TEN_YEARS)


def _trailing_brace(line: str) -> bytes:
    return (line + "}").encode()


def _cut_short(line: str) -> bytes:
    return line[: len(line) * 2 // 3].encode()


def _latin_1(line: str) -> bytes:
    """A single Latin-1 letter before the last quote: no UTF-8 sequence can end there."""
    before, quote, after = line.rpartition('"')
    return before.encode() + b"\xe9" + (quote + after).encode()


def _is(*events: Event) -> Callable[[Report], bool]:
    return lambda report: report.event in events


MISTAKES = (
    Mistake("invalid_json", ("json.invalid",), _SOURCES, _is_api_body, spoil_line=_trailing_brace),
    Mistake("truncated_json", ("json.invalid",), _SOURCES, _is_api_body, spoil_line=_cut_short),
    Mistake("bad_utf8", ("encoding.invalid",), _SOURCES, _is_api_body, spoil_line=_latin_1),
    Mistake("missing_identifier", ("identifier.missing",), ("redo", "notifuse", "arsel"), spoil_report=_nobody),
    Mistake(
        "missing_event_name",
        ("event_name.missing",),
        ("redo", "customerio", "notifuse"),
        _is_event,
        spoil_body=_unname,
    ),
    Mistake("bad_event_name", ("event_name.format",), ("notifuse",), spoil_body=_name_in_title_case),
    Mistake(
        "purchase_without_value",
        ("goal_value.required", "property.required:total"),
        ("notifuse",),
        _is(Event.ORDER_COMPLETED),
        spoil_body=_drop_value,
    ),
    Mistake(
        "value_not_a_number",
        ("value.invalid",),
        ("redo", "notifuse"),
        lambda report: (
            report.event is (Event.CHECKOUT_STARTED if report.source == "redo" else Event.TRIAL_STARTED)
            and report.form != "v0"
        ),
        spoil_body=_value_in_words,
    ),
    Mistake("future_timestamp", ("occurred_at.range",), _SOURCES, _is_event, spoil_report=_in_ten_years),
    Mistake("unknown_event", ("event_name.unknown",), ("arsel",), spoil_body=_unknown_event),
    Mistake(
        "both_identifiers",
        ("identifier.ambiguous",),
        ("arsel",),
        lambda report: report.shopper.customer_id is not None,
        spoil_report=_both_identifiers,
    ),
    Mistake(
        "missing_required_property",
        ("property.required:order_id",),
        ("arsel", "redo", "customerio", "notifuse"),
        lambda report: report.event is Event.ORDER_COMPLETED and _is_api_body(report),
        spoil_body=_drop_order_id,
    ),
    Mistake(
        "nan_number",
        ("json.invalid",),
        ("redo", "customerio"),
        lambda report: report.event is Event.CHECKOUT_STARTED and _is_api_body(report),
        spoil_body=_not_a_number,
        spoil_line=str.encode,
    ),
    Mistake(
        "unreadable_timestamp",
        ("occurred_at.invalid",),
        ("redo", "customerio"),
        lambda report: _is_event(report) and _is_api_body(report),
        spoil_body=_time_in_words,
    ),
    Mistake(
        "invalid_currency",
        ("currency.invalid",),
        ("redo",),
        lambda report: report.event is Event.CHECKOUT_STARTED and report.form != "v0",
        spoil_body=_currency_sign,
    ),
    Mistake(
        "unknown_goal_type",
        ("goal_type.unknown",),
        ("notifuse",),
        _is(Event.SIGNED_UP, Event.TRIAL_STARTED),
        spoil_body=_unknown_goal,
    ),
    Mistake(
        "subscription_without_value",
        ("goal_value.required",),
        ("notifuse",),
        _is(Event.SUBSCRIPTION_STARTED),
        spoil_body=_drop_value,
    ),
)


class Mishaps:
    """Deals out the mistakes: about one per hundred reports, every kind in turn, each to the first report it
    fits.
    """

    def __init__(self, sources: tuple[str, ...]) -> None:
        self._turns = _turns(sources)
        self._owed: list[tuple[Mistake, str]] = []
        self._reports = 0

    def befall(self, report: Report) -> Mistake | None:
        """The mistake that was made with this report before it was sent properly; mostly None."""
        self._reports += 1
        if self._reports % _EVERY == _FIRST:
            self._owed.append(next(self._turns))
        for position, (mistake, source) in enumerate(self._owed):
            if source == report.source and mistake.fits(report):
                del self._owed[position]
                return mistake
        return None


def _turns(sources: tuple[str, ...]) -> Iterator[tuple[Mistake, str]]:
    """All kinds in order, again and again, each time at another of the sources that make it."""
    turn = 0
    while True:
        for mistake in MISTAKES:
            possible = [source for source in mistake.sources if source in sources]
            if possible:
                yield mistake, possible[turn % len(possible)]
        turn += 1
