"""What shoppers do: they look around unnamed, some make themselves known, some check out, and some of those
order.

One visit is told with everything that follows from it: the order on another device hours later, the refund
days later.
"""

from __future__ import annotations

from random import Random

from eventpipe.sample.catalogue import COUPONS, PLANS, draw_product
from eventpipe.sample.introductions import (
    Visit,
    arsel_who,
    customerio_form_and_who,
    redo_form,
    redo_who,
)
from eventpipe.sample.orders import Orders
from eventpipe.sample.population import Population
from eventpipe.sample.report import Basket, Event, Who
from eventpipe.sample.telling import DAY, Landing, Teller, Window

_WEIGHTS = {
    Event.CHECKOUT_STARTED: {"redo": 5, "notifuse": 4, "arsel": 3},
    Event.SIGNED_UP: {"redo": 1, "notifuse": 2},
    Event.TRIAL_STARTED: {"redo": 1, "notifuse": 3, "customerio": 1, "arsel": 3},
    Event.SUBSCRIPTION_STARTED: {"notifuse": 3, "arsel": 2},
}
"""Which tools hear of what, and how often one rather than another."""


class Story:
    """The shop from its first visit on. Every call of `visit` goes on with it."""

    def __init__(self, rng: Random, sources: tuple[str, ...], window: Window) -> None:
        self._rng = rng
        self._sources = sources
        self._window = window
        self._population = Population(rng)
        self._teller = Teller(rng, sources, window)
        self._orders = Orders(rng, sources, self._teller)
        self._weights = {
            event: [(source, weight) for source, weight in weights.items() if source in sources]
            for event, weights in _WEIGHTS.items()
        }
        self._count = 0

    def visit(self, day: int) -> list[Landing]:
        """One visit on that day of the window, in landing order; empty when no chosen source heard of it."""
        rng = self._rng
        shopper = self._population.visitor()
        device = self._population.device(shopper, day)
        progress = (day + 0.5) / self._window.days + (rng.random() - 0.5) * 0.5
        visit = Visit(
            shopper=shopper,
            device=device,
            at=self._window.opens_at + day * DAY + int((rng.random() + rng.random()) * 0.5 * DAY),
            email=shopper.emails[0] if rng.random() < 0.85 else shopper.emails[-1],
            known=shopper.number in device.linked,
            generation="v0" if progress < 1 / 3 else "v1" if progress < 2 / 3 else "v2",
        )
        self._count += 1
        if shopper.revealed and rng.random() < 0.15:
            self._customerio(visit, Event.EMAIL_CLICK, only_email=True)
        self._browse(visit)
        if not shopper.signed_up and shopper.customer_id is not None and rng.random() < 0.2:
            self._sign_up(visit)
        if shopper.revealed and rng.random() < 0.08:
            self._try(visit)
        if rng.random() < 0.5:
            self._fill_cart(visit)
        return self._teller.collect()

    def _browse(self, visit: Visit) -> None:
        rng = self._rng
        if rng.random() < 0.7:
            self._customerio(visit, Event.SITE_VISIT)
        for _ in range(int(rng.random() * 3)):
            visit.at += 5 + int(rng.random() * 120)
            sku, category, _price = draw_product(rng)
            self._look(visit, Event.PRODUCT_VIEWED, Basket((sku,), category))

    def _fill_cart(self, visit: Visit) -> None:
        """Puts one to three products in the cart; two thirds go on to the checkout, and six in ten of those
        order.
        """
        rng = self._rng
        products = [draw_product(rng) for _ in range(1 + int(rng.random() * 3))]
        for sku, category, _price in products:
            visit.at += 5 + int(rng.random() * 200)
            self._look(visit, Event.ADDED_TO_CART, Basket((sku,), category))
        if rng.random() < 0.33:
            return
        basket = Basket(
            skus=tuple(sku for sku, _category, _price in products),
            category=products[0][1],
            cents=sum(price for _sku, _category, price in products),
            currency=visit.shopper.currency,
            cart_id=f"cart-{self._count:06d}-{rng.getrandbits(24):06x}",
            coupon=COUPONS[int(rng.random() * len(COUPONS))] if rng.random() < 0.15 else None,
        )
        visit.at += 20 + int(rng.random() * 200)
        if visit.known or rng.random() < 0.7:
            self._become_known(visit)
            self._check_out(visit, basket)
            if rng.random() < 0.6:
                visit.at += 30 + int(rng.random() * 900)
                self._orders.place(visit, basket)
        else:
            self._customerio(visit, Event.CHECKOUT_STARTED, basket)
            if rng.random() < 0.6:
                self._order_elsewhere(visit, basket)

    def _order_elsewhere(self, visit: Visit, basket: Basket) -> None:
        """The checkout stays unnamed on this device; the order comes from another one where the shopper is
        known.
        """
        visit.device = self._population.other_device(visit.shopper, visit.device)
        visit.at += 3600 + int(self._rng.random() * 18 * 3600)
        visit.known = visit.shopper.number in visit.device.linked
        self._become_known(visit)
        self._orders.place(visit, basket)

    def _look(self, visit: Visit, event: Event, basket: Basket) -> None:
        """A product looked at or put in the cart: redo hears only of shoppers who are known, and only some of
        it.
        """
        rng = self._rng
        if visit.known and "redo" in self._sources and ("customerio" not in self._sources or rng.random() < 0.55):
            form = redo_form(rng, visit.generation)
            self._teller.tell("redo", form, event, visit.shopper, redo_who(rng, visit, form), visit.at, basket=basket)
        else:
            self._customerio(visit, event, basket)

    def _check_out(self, visit: Visit, basket: Basket) -> None:
        if self._rng.random() < 0.5:
            self._customerio(visit, Event.CHECKOUT_STARTED, basket)
        self._report(visit, Event.CHECKOUT_STARTED, basket, key=basket.cart_id)

    def _sign_up(self, visit: Visit) -> None:
        self._become_known(visit)
        visit.shopper.signed_up = True
        visit.at += 30
        self._report(visit, Event.SIGNED_UP, key=f"signup-{visit.shopper.number}")

    def _try(self, visit: Visit) -> None:
        """A trial, and for most of them a subscription days later."""
        rng = self._rng
        plan = tuple(PLANS)[int(rng.random() * len(PLANS))]
        visit.at += 60
        self._report(visit, Event.TRIAL_STARTED, plan=plan, key=f"trial-{self._count}")
        if rng.random() < 0.6:
            later = Visit(visit.shopper, visit.device, visit.at, visit.email, visit.known, visit.generation)
            later.at += (2 + int(rng.random() * 9)) * DAY + int(rng.random() * 3600)
            price = Basket((), "", cents=PLANS[plan], currency=visit.shopper.currency)
            self._report(later, Event.SUBSCRIPTION_STARTED, price, plan=plan, key=f"subscription-{self._count}")

    def _become_known(self, visit: Visit) -> None:
        """The shopper types an address or logs in. The device learns of it in the storage exports: by an
        identify or an alias.
        """
        shopper, device, rng = visit.shopper, visit.device, self._rng
        shopper.revealed = True
        was_known, visit.known = visit.known, True
        if was_known:
            if "customerio" in self._sources and shopper.customer_id is not None and rng.random() < 0.1:
                who = Who(shopper.customer_id, visit.email, shopper.phone)
                self._teller.tell("customerio", "v2", Event.IDENTIFY, shopper, who, visit.at)
            return
        device.linked.add(shopper.number)
        if "customerio" not in self._sources:
            return
        visit.at += 2
        if shopper.customer_id is not None and rng.random() < 0.3:
            alias = Who(customer_id=shopper.customer_id, anonymous_id=device.anonymous_id)
            self._teller.tell("customerio", "pipelines", Event.ALIAS, shopper, alias, visit.at)
        else:
            phone = shopper.phone if rng.random() < 0.5 else None
            who = Who(shopper.customer_id, visit.email, phone, device.anonymous_id)
            self._teller.tell("customerio", "pipelines", Event.IDENTIFY, shopper, who, visit.at)
        visit.at += 2

    def _customerio(
        self, visit: Visit, event: Event, basket: Basket | None = None, *, only_email: bool = False
    ) -> None:
        if "customerio" not in self._sources:
            return
        form, who = ("v2", Who(email=visit.email)) if only_email else customerio_form_and_who(self._rng, visit)
        self._teller.tell("customerio", form, event, visit.shopper, who, visit.at, basket=basket)

    def _report(
        self,
        visit: Visit,
        event: Event,
        basket: Basket | None = None,
        *,
        plan: str | None = None,
        key: str | None = None,
    ) -> None:
        """One of the tools that know the shopper by name hears of it. `key` is notifuse's; the others make
        their own.
        """
        rng = self._rng
        hearing = self._weights[event]
        if not hearing:
            return
        source = rng.choices([source for source, _ in hearing], [weight for _, weight in hearing])[0]
        if source == "redo":
            form = redo_form(rng, visit.generation)
            who = redo_who(rng, visit, form)
        elif source == "notifuse":
            form, who = "upsert", Who(email=visit.email)
        elif source == "arsel":
            form, who = "send", arsel_who(rng, visit)
        else:
            form, who = customerio_form_and_who(rng, visit)
        own_key = key if source == "notifuse" else None
        self._teller.tell(source, form, event, visit.shopper, who, visit.at, key=own_key, basket=basket, plan=plan)
