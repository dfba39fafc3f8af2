"""Orders: who reports them, what is sent again, changed, deleted, restored and refunded."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from eventpipe.sample.introductions import (
    Visit,
    arsel_who,
    customerio_form_and_who,
    redo_form,
    redo_who,
    redo_who_in_full,
)
from eventpipe.sample.report import Basket, Event, Version, Who
from eventpipe.sample.telling import DAY, Teller

_PAIRS = (("redo", "notifuse"), ("redo", "arsel"), ("redo", "notifuse", "customerio"))
_PAIR_WEIGHTS = (8, 4, 1)
_ALONE = {"redo": 2, "notifuse": 4, "customerio": 3, "arsel": 2}
_REFUND_EVERY = 8
_CYCLE = 8


class Orders:
    """The till. Rare things come in turn rather than by chance, so that small samples have them too."""

    def __init__(self, rng: Random, sources: tuple[str, ...], teller: Teller) -> None:
        self._rng = rng
        self._teller = teller
        self._pairs = [pair for pair in _PAIRS if all(source in sources for source in pair)]
        self._pair_weights = [_PAIR_WEIGHTS[_PAIRS.index(pair)] for pair in self._pairs]
        self._alone = [source for source in _ALONE if source in sources]
        self._alone_weights = [_ALONE[source] for source in self._alone]
        self._refunders = [source for source in ("notifuse", "redo", "customerio") if source in sources]
        self._placed = 0
        self._in_notifuse_alone = 0
        self._in_both = 0

    def place(self, visit: Visit, cart: Basket) -> None:
        """An order by a known shopper: by the browser and by a backend, or by one tool alone."""
        rng = self._rng
        self._placed += 1
        basket = replace(cart, order_id=f"ord-{100000 + self._placed}-{rng.getrandbits(16):04x}")
        if self._pairs and rng.random() < 0.5:
            reporters: tuple[str, ...] = rng.choices(self._pairs, self._pair_weights)[0]
            deleted = self._place_in_several(visit, basket, reporters)
        else:
            reporters = (rng.choices(self._alone, self._alone_weights)[0],)
            deleted = self._place_in_one(visit, basket, reporters[0])
        if self._placed % _REFUND_EVERY == 2 and not deleted:
            self._refund(visit, basket, reporters)

    def _place_in_several(self, visit: Visit, basket: Basket, reporters: tuple[str, ...]) -> bool:
        """All reports name the same email, and the checkout before it has already said all that redo's report
        says about the shopper: whichever report is kept, the contacts come out equal.
        """
        shopper, at, teller = visit.shopper, visit.at, self._teller
        form = visit.generation
        who = redo_who_in_full(visit, form)
        checkout = replace(basket, order_id=None)
        teller.tell("redo", form, Event.CHECKOUT_STARTED, shopper, who, at - 15, basket=checkout, punctual=True)
        teller.tell("redo", form, Event.ORDER_COMPLETED, shopper, who, at, basket=basket)
        by_email = Who(email=visit.email)
        if "arsel" in reporters:
            teller.tell("arsel", "send", Event.ORDER_COMPLETED, shopper, by_email, at + 3, basket=basket)
        if "notifuse" in reporters:
            self._in_both += 1
            stale = self._in_both % _CYCLE == 3
            self._to_notifuse(visit, basket, at + 2, Version.STALE if stale else None)
        if "customerio" in reporters:
            teller.tell("customerio", "v2", Event.ORDER_COMPLETED, shopper, by_email, at + 4, basket=basket)
        return False

    def _place_in_one(self, visit: Visit, basket: Basket, source: str) -> bool:
        """True when the order is deleted again. Only an order that no other tool reports is changed or
        deleted.
        """
        rng, shopper, at, teller = self._rng, visit.shopper, visit.at, self._teller
        if source == "notifuse":
            turn = self._in_notifuse_alone % _CYCLE
            self._in_notifuse_alone += 1
            fates = {0: Version.UPDATE, 1: Version.DELETE, 3: Version.RESTORE, 5: Version.STALE}
            self._to_notifuse(visit, basket, at, fates.get(turn))
            return turn in (1, 3)
        if source == "redo":
            form = redo_form(rng, visit.generation)
            teller.tell(source, form, Event.ORDER_COMPLETED, shopper, redo_who(rng, visit, form), at, basket=basket)
        elif source == "arsel":
            teller.tell(source, "send", Event.ORDER_COMPLETED, shopper, arsel_who(rng, visit), at, basket=basket)
        else:
            form, who = customerio_form_and_who(rng, visit)
            teller.tell(source, form, Event.ORDER_COMPLETED, shopper, who, at, basket=basket)
        return False

    def _to_notifuse(self, visit: Visit, basket: Basket, at: int, fate: Version | None) -> None:
        """One order in notifuse and what becomes of it: a newer version, an older one, a deletion with or
        without an end.
        """
        rng = self._rng
        who, key = Who(email=visit.email), basket.order_id

        def send(
            version: Version, basket: Basket, at: int, not_before: int = 0, deleted_at: int | None = None
        ) -> int | None:
            return self._teller.tell(
                "notifuse",
                "upsert",
                Event.ORDER_COMPLETED,
                visit.shopper,
                who,
                at,
                key=key,
                basket=basket,
                version=version,
                versioned=fate is not None,
                deleted_at=deleted_at,
                not_before=not_before,
                punctual=version is not Version.FIRST,
            )

        day = send(Version.FIRST, basket, at)
        if day is None or fate is None:
            return
        cents = basket.cents or 0
        if fate is Version.UPDATE:
            send(
                Version.UPDATE,
                replace(basket, cents=cents - cents // 7),
                at + 900 + int(rng.random() * 7200),
                day,
            )
        elif fate is Version.STALE:
            send(Version.STALE, replace(basket, cents=cents + 500), at - 10, day + 1)
        else:
            deleted_at = at + 7200
            gone = send(Version.DELETE, basket, at, day + 1 + int(rng.random() * 2), deleted_at)
            if gone is not None and fate is Version.RESTORE:
                send(Version.RESTORE, basket, at, gone + 1 + int(rng.random() * 2))

    def _refund(self, visit: Visit, basket: Basket, reporters: tuple[str, ...]) -> None:
        """All of it or a part, one to eight days later, told by one tool. Notifuse's may have the order's own
        external id: its ids count per event name.
        """
        rng = self._rng
        willing = [source for source in self._refunders if source in reporters] or self._refunders
        if not willing:
            return
        source = willing[0]
        cents = basket.cents or 0
        back = cents if rng.random() < 0.5 else cents * (2 + int(rng.random() * 6)) // 10
        refund = replace(basket, cents=-back, cart_id=None, coupon=None)
        at = visit.at + DAY + int(rng.random() * 7 * DAY)
        form, who, key = "v2", Who(email=visit.email), None
        if source == "notifuse":
            form, key = "upsert", basket.order_id if rng.random() < 0.5 else f"refund-{basket.order_id}"
        elif source == "redo":
            form = visit.generation
            who = redo_who_in_full(visit, form)
        self._teller.tell(source, form, Event.ORDER_REFUNDED, visit.shopper, who, at, key=key, basket=refund)
