"""How a shopper is introduced by each tool: which of the true identifiers a report carries."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from eventpipe.sample.population import Device, Shopper
from eventpipe.sample.report import Who


@dataclass(slots=True)
class Visit:
    """A shopper on a device. `at`: the second of the next thing to happen. `known`: this device's events say
    who it is.

    `generation`: the one of redo's field names that the shop's browser code uses on this visit.
    """

    shopper: Shopper
    device: Device
    at: int
    email: str
    known: bool
    generation: str


def redo_form(rng: Random, generation: str) -> str:
    """The visit's generation; one in eight of the second draws the customer as one string."""
    return "v1-drawn" if generation == "v1" and rng.random() < 0.125 else generation


def redo_who(rng: Random, visit: Visit, form: str) -> Who:
    """Redo takes id, email and phone, v0 no id, and a drawn customer is only one of them. It has no anonymous
    id.
    """
    shopper, draw = visit.shopper, rng.random()
    if form == "v1-drawn":
        if draw < 0.2 and shopper.customer_id is not None:
            return Who(customer_id=shopper.customer_id)
        return Who(phone=shopper.phone) if draw < 0.4 and shopper.phone is not None else Who(email=visit.email)
    if form != "v0" and draw < 0.1 and shopper.customer_id is not None:
        return Who(customer_id=shopper.customer_id)
    if draw < 0.15 and shopper.phone is not None:
        return Who(phone=shopper.phone)
    return redo_who_in_full(visit, form)


def redo_who_in_full(visit: Visit, form: str) -> Who:
    """All that the form carries, always with the email: what the reports of one order have in common."""
    customer_id = visit.shopper.customer_id if form != "v0" else None
    return Who(customer_id=customer_id, email=visit.email, phone=visit.shopper.phone)


def arsel_who(rng: Random, visit: Visit) -> Who:
    """Exactly one of email and contact id."""
    if visit.shopper.customer_id is not None and rng.random() < 0.35:
        return Who(customer_id=visit.shopper.customer_id)
    return Who(email=visit.email)


def customerio_form_and_who(rng: Random, visit: Visit) -> tuple[str, Who]:
    """A body of the track API or a row of a storage export.

    Guests have no user id, so the storage export knows them by their device only. On a shared device a known
    event always carries the customer id: an email beside the device alone would hand it to whoever used the
    device first.
    """
    shopper, device, draw = visit.shopper, visit.device.anonymous_id, rng.random()
    if not visit.known:
        return ("v1" if draw < 0.5 else "pipelines"), Who(anonymous_id=device)
    if draw < 0.3:
        return "pipelines", Who(customer_id=shopper.customer_id, anonymous_id=device)
    if draw < 0.5:
        return "v2", customerio_single(rng, visit)
    beside = None if draw > 0.9 else device
    if shopper.customer_id is None:
        return "v1", Who(email=visit.email, anonymous_id=beside)
    email = visit.email if draw < 0.65 else None
    return "v1", Who(customer_id=shopper.customer_id, email=email, anonymous_id=beside)


def customerio_single(rng: Random, visit: Visit) -> Who:
    """Exactly one of id, email and phone, as version 2 of the track API takes it."""
    shopper, draw = visit.shopper, rng.random()
    if shopper.customer_id is not None and draw < 0.5:
        return Who(customer_id=shopper.customer_id)
    return Who(phone=shopper.phone) if draw < 0.6 and shopper.phone is not None else Who(email=visit.email)
