"""Conditions on the contact itself: its age, its traits, the identifiers it has, its row of contact_rfm."""

from __future__ import annotations

from typing import Final

from sqlglot import exp

from eventpipe.segments.expressions import column, equals, is_there, or_zero
from eventpipe.segments.grammar import ContactCondition, RfmCondition
from eventpipe.segments.names import (
    AGE,
    IS_ANONYMOUS,
    NUMBER_FIELDS,
    RFM_NUMBERS,
    RFM_SCORE,
    RFM_SEGMENT,
    TEXT_FIELDS,
    TRAIT_PREFIX,
    Names,
)
from eventpipe.segments.operands import span, spans
from eventpipe.segments.query import Query, Standpoint
from eventpipe.segments.values import Attribute, attribute_compared, compared, json_attribute, tests
from eventpipe.segments.window import instant

_FIRST_SEEN: Final[dict[str, type[exp.Binary]]] = {
    "at_least": exp.LTE,
    "at_most": exp.GTE,
    "more_than": exp.LT,
    "less_than": exp.GT,
    "equals": exp.EQ,
}
"""Older than N is first seen before as_of - N."""


def contact(node: ContactCondition, standpoint: Standpoint, query: Query) -> tuple[exp.Expr, exp.Expr]:
    """What a contact is or has, and whether that compares."""
    subject, names = node.contact, standpoint.names
    if subject == AGE:
        return _age(node, standpoint)
    if subject == IS_ANONYMOUS:
        anonymous = column("contacts", IS_ANONYMOUS)
        wanted = next((each for each in (node.eq, node.equals) if each is not None), True)
        return anonymous, anonymous.copy() if wanted else exp.Not(this=anonymous.copy())
    if subject in names.identifiers and not names.has_column(subject):
        return _identifier(node, standpoint, query)
    attribute = _attribute(subject, names)
    conditions = [*tests(attribute, node, names.timezone)] if list(node.tests()) else []
    conditions += (attribute_compared(attribute, name, value, names.timezone) for name, value in node.comparisons())
    return attribute.text, exp.and_(*(conditions or [is_there(attribute.text)]))


def rfm(node: RfmCondition, standpoint: Standpoint, query: Query) -> tuple[exp.Expr, exp.Expr]:
    """What a contact's row of contact_rfm says, in one currency, and whether that compares."""
    step = exp.select("contact_id", exp.alias_(exp.column(_rfm_column(node)), "value")).from_(standpoint.tables.rfm)
    value = query.value("rfm", step.where(_in_currency(node, standpoint.names)))
    return value, _rfm_compares(node, value)


def rfm_holds(node: RfmCondition, names: Names) -> exp.Expr:
    """The same of a row of contact_rfm."""
    return exp.and_(_in_currency(node, names), _rfm_compares(node, exp.column(_rfm_column(node))))


def _in_currency(node: RfmCondition, names: Names) -> exp.Expr:
    return equals("currency", node.asked_in(names.currency))


def _rfm_compares(node: RfmCondition, value: exp.Expr) -> exp.Expr:
    subject = str(node.rfm)
    if subject in RFM_NUMBERS:
        return exp.and_(*(compared(value, *bound) for bound in node.bounds()))
    wanted = (subject,) if subject not in (RFM_SEGMENT, RFM_SCORE) else node.in_ or (str(node.equals),)
    return exp.In(this=value.copy(), expressions=[exp.Literal.string(str(each)) for each in wanted])


def _rfm_column(node: RfmCondition) -> str:
    subject = str(node.rfm)
    return subject if subject in (*RFM_NUMBERS, RFM_SCORE) else "rfm_segment"


def _identifier(node: ContactCondition, standpoint: Standpoint, query: Query) -> tuple[exp.Expr, exp.Expr]:
    """How many identifiers of a type a contact has, and whether it has one."""
    step = exp.select("contact_id", "count(*) as value").from_(standpoint.tables.identifiers)
    step = step.where(equals("identifier_type", node.contact)).group_by("contact_id")
    held = or_zero(query.value("identifier", step))
    kind = exp.EQ if node.exists is False else exp.GT
    return held, kind(this=held.copy(), expression=exp.Literal.number(0))


def _attribute(subject: str, names: Names) -> Attribute:
    if names.has_column(subject) or subject in (*NUMBER_FIELDS, *TEXT_FIELDS):
        return Attribute(exp.cast(column("contacts", subject), "text"))
    return json_attribute(column("contacts", "traits"), subject.removeprefix(TRAIT_PREFIX))


def _age(node: ContactCondition, standpoint: Standpoint) -> tuple[exp.Expr, exp.Expr]:
    seen, as_of = column("contacts", "first_seen_at"), standpoint.as_of
    conditions: list[exp.Expr] = [
        _FIRST_SEEN[name](this=seen.copy(), expression=instant(as_of - span(age))) for name, age in node.comparisons()
    ]
    if node.between is not None:
        youngest, oldest = spans(node.between)
        conditions.append(exp.Between(this=seen.copy(), low=instant(as_of - oldest), high=instant(as_of - youngest)))
    return exp.Sub(this=instant(as_of), expression=seen.copy()), exp.and_(*conditions)
