"""The shoppers: who they truly are, whatever the tools know of them.

Every identifier belongs to one shopper, except a device that two account holders of one household share.
Domains are those reserved for examples, telephone numbers those set aside for fiction.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

_FIRST_NAMES = (
    ("Zoë", "zoe"), ("José", "jose"), ("Łukasz", "lukasz"), ("Søren", "soren"),
    ("Amélie", "amelie"), ("Jürgen", "jurgen"), ("Mary", "mary"), ("Omar", "omar"),
    ("Priya", "priya"), ("Дарья", "darya"), ("美咲", "misaki"), ("Grace", "grace"),
    ("Noah", "noah"), ("Inés", "ines"), ("Åsa", "asa"), ("Tom", "tom"),
    ("Chloé", "chloe"), ("Kofi", "kofi"), ("ليلى", "layla"), ("Ruth", "ruth"),
    ("Björn", "bjorn"), ("Ana", "ana"), ("Siobhán", "siobhan"), ("Henry", "henry"),
)  # fmt: skip
_LAST_NAMES = (
    ("Müller", "muller"), ("O'Brien", "obrien"), ("García", "garcia"), ("Nguyễn", "nguyen"),
    ("Smith", "smith"), ("Kowalczyk", "kowalczyk"), ("Jensen", "jensen"), ("Dubois", "dubois"),
    ("Иванова", "ivanova"), ("佐藤", "sato"), ("Patel", "patel"), ("Mensah", "mensah"),
    ("Öztürk", "ozturk"), ("Rossi", "rossi"), ("Novák", "novak"), ("Silva", "silva"),
    ("Brown", "brown"), ("Haddad", "haddad"), ("Lindström", "lindstrom"), ("Walsh", "walsh"),
)  # fmt: skip
_CITIES = (
    "Zürich",
    "Portland",
    "São Paulo",
    "Kraków",
    "Austin",
    "Málaga",
    "Boston",
    "Köln",
    "Denver",
    "東京",
)
_DOMAINS = ("example.com", "example.org", "example.net")
_US_AREA_CODES = (
    201, 202, 203, 205, 206, 207, 208, 209, 210, 212, 213, 214, 215, 216, 217, 218,
    219, 224, 225, 228, 229, 231, 234, 239, 240, 248, 251, 252, 253, 254, 256, 260,
    262, 267, 269, 270, 276, 281, 301, 302, 303, 304, 305, 307, 308, 309, 310, 312,
)  # fmt: skip
_GERMAN_FICTION = ("3023125", "6990009", "4066969", "2214710", "8999998")
_MOST_DEVICES = 6


@dataclass(slots=True)
class Device:
    """A browser or a phone, by the anonymous id of its cookie. `linked`: numbers of the shoppers who made
    themselves known on it.
    """

    anonymous_id: str
    shared_by: tuple[int, int] | None = None
    linked: set[int] = field(default_factory=set)


@dataclass(slots=True, eq=False)
class Shopper:
    """One person. `customer_id` is None for those who only ever order as guests; `revealed` once the shop has
    an address of theirs.
    """

    number: int
    first_name: str
    last_name: str
    city: str
    customer_id: str | None
    emails: tuple[str, ...]
    phone: str | None
    currency: str
    devices: list[Device]
    signed_up: bool = False
    revealed: bool = False


class Population:
    """Everybody who ever came, and who comes next."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._shoppers: list[Shopper] = []
        self._us_phones = 0
        self._german_phones = 0

    def visitor(self) -> Shopper:
        """Somebody new, or somebody again: the longer known, the more often."""
        draw = self._rng.random()
        if not self._shoppers or draw < 0.35:
            return self._newcomer()
        return self._shoppers[int(len(self._shoppers) * self._rng.random() * self._rng.random())]

    def device(self, shopper: Shopper, day: int) -> Device:
        """The device of a visit. A shared one is in one hand on even days and in the other on odd days."""
        devices = shopper.devices
        if len(devices) < _MOST_DEVICES and self._rng.random() < 0.05:
            devices.append(self.new_device())
            return devices[-1]
        device = devices[int(len(devices) * self._rng.random() * self._rng.random())]
        if device.shared_by and device.shared_by[day % 2] != shopper.number:
            return self.other_device(shopper, device)
        return device

    def other_device(self, shopper: Shopper, device: Device) -> Device:
        """A device of the shopper's own that is not `device`."""
        for other in shopper.devices:
            if other is not device and not other.shared_by:
                return other
        shopper.devices.append(self.new_device())
        return shopper.devices[-1]

    def new_device(self) -> Device:
        return Device(f"anon-{self._rng.getrandbits(64):016x}")

    def _newcomer(self) -> Shopper:
        rng = self._rng
        number = len(self._shoppers)
        first, first_ascii = _FIRST_NAMES[int(rng.random() * len(_FIRST_NAMES))]
        last, last_ascii = _LAST_NAMES[int(rng.random() * len(_LAST_NAMES))]
        in_euro = rng.random() < 0.25
        has_account = rng.random() < 0.7
        shopper = Shopper(
            number=number,
            first_name=first,
            last_name=last,
            city=_CITIES[int(rng.random() * len(_CITIES))],
            customer_id=_customer_id(number) if has_account else None,
            emails=_emails(number, first.lower() if number % 16 == 0 else first_ascii, last_ascii),
            phone=self._phone(in_euro) if rng.random() < 0.4 else None,
            currency="EUR" if in_euro else "USD",
            devices=[self.new_device()],
        )
        if has_account and number % 30 == 11:
            self._move_in_with(shopper)
        self._shoppers.append(shopper)
        return shopper

    def _move_in_with(self, shopper: Shopper) -> None:
        """Lets the newcomer share the first device of somebody who also has an account."""
        for host in reversed(self._shoppers[-8:]):
            device = host.devices[0]
            if host.customer_id and not device.shared_by and device.linked <= {host.number}:
                device.shared_by = (host.number, shopper.number)
                shopper.devices.insert(0, device)
                return

    def _phone(self, in_euro: bool) -> str | None:
        """The next unused number in E.164; None once all numbers for fiction are given out."""
        if in_euro:
            block, line = divmod(self._german_phones, 1000)
            self._german_phones += 1
            return f"+49{_GERMAN_FICTION[block]}{line:03d}" if block < len(_GERMAN_FICTION) else None
        line, area = divmod(self._us_phones, len(_US_AREA_CODES))
        self._us_phones += 1
        return f"+1{_US_AREA_CODES[area]}55501{line:02d}" if line < 100 else None


def _customer_id(number: int) -> str:
    """Every 40th differs from the one before it by nothing but case: ids keep their case, so these are two
    people.
    """
    twin = number % 40 == 39
    scrambled = (number - 1 if twin else number) * 2654435761 % 2**32
    return f"cus_K{scrambled:08X}" if twin else f"cus_k{scrambled:08x}"


def _emails(number: int, first: str, last: str) -> tuple[str, ...]:
    """One address, or two for every 8th shopper. Some have letters outside ASCII in them."""
    handle = first if first.isascii() or _is_latin(first) else "shopper"
    main = f"{handle}.{last}{number}@{_DOMAINS[number % 3]}"
    return (main, f"{last}.{number}@{_DOMAINS[(number + 1) % 3]}") if number % 8 == 5 else (main,)


def _is_latin(name: str) -> bool:
    return all(letter < "\u0250" for letter in name)
