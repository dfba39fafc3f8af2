"""Names from public lists: IANA time zones, ISO 4217 currencies, ISO 3166 regions."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Final
from zoneinfo import available_timezones

from babel.core import get_global
from pydantic import AfterValidator

from eventpipe.project.refusal import Refusal

_OF_THIS_MACHINE: Final = frozenset(("localtime", "Factory", "posixrules"))


@cache
def timezones() -> frozenset[str]:
    """The IANA names; without those that mean whatever the machine is set to."""
    return frozenset(available_timezones()) - _OF_THIS_MACHINE


@cache
def currencies() -> frozenset[str]:
    """The ISO 4217 codes in upper case, withdrawn ones too: orders of 1990 were paid in them."""
    return frozenset(str(code) for code in get_global("all_currencies"))


@cache
def regions() -> frozenset[str]:
    """The ISO 3166 alpha-2 codes of the regions that have a telephone numbering plan."""
    from phonenumbers import (
        SUPPORTED_REGIONS,
    )  # imported late: its tables cost 90 ms, few projects set a region

    return frozenset(SUPPORTED_REGIONS)


def _timezone(name: str) -> str:
    if name not in timezones():
        raise Refusal("an IANA time zone like Europe/London", known=timezones())
    return name


def _currency(code: str) -> str:
    if code not in currencies():
        raise Refusal("an ISO 4217 currency like EUR", known=_nearby(code, currencies()))
    return code


def _region(code: str) -> str:
    if code not in regions():
        raise Refusal("an ISO 3166 region of two letters like GB", known=_nearby(code, regions()))
    return code


def _nearby(code: str, codes: frozenset[str]) -> tuple[str, ...]:
    """A code of two or three letters is close to too many others to guess: only its case is put right."""
    upper = code.strip().upper()
    return (upper,) if upper in codes else ()


Timezone = Annotated[str, AfterValidator(_timezone)]
Currency = Annotated[str, AfterValidator(_currency)]
Region = Annotated[str, AfterValidator(_region)]
