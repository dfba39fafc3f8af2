"""Where a webhook may go: checked on the address that its name resolves to, when connecting.

A name could resolve to another address a moment later, so it is resolved once, every address that comes back is judged,
and the connection is made to one of those. TLS still proves the name.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import anyio
import httpcore
from httpcore import AnyIOBackend, AsyncNetworkBackend, AsyncNetworkStream

from eventpipe.errors import EventpipeError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAME: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252})")
_PRINTABLE: Final = re.compile(r"[\x21-\x7e]+")
_LONGEST: Final = 2048

# What `is_global` of the standard library lets through, or lets through in some versions of it.
_NOT_PUBLIC: Final = tuple(
    map(
        ipaddress.ip_network,
        (
            "0.0.0.0/8",  # this network
            "100.64.0.0/10",  # shared by carriers
            "192.0.0.0/24",  # protocol assignments
            "192.88.99.0/24",  # relays of 6to4
            "198.18.0.0/15",  # benchmarks
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, broadcast
            "2001::/23",  # protocol assignments, Teredo
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4: an IPv4 address inside
            "3fff::/20",  # documentation
            "5f00::/16",  # segment routing
        ),
    )
)
_GLOBAL_UNICAST: Final = ipaddress.IPv6Network("2000::/3")
"""All other IPv6 is local, multicast, or translates IPv4: ::ffff:0:0/96, 64:ff9b::/96, 64:ff9b:1::/48."""


class TargetRefused(EventpipeError):
    """An address that nothing may be delivered to. Never quotes more of it than its host."""


@dataclass(frozen=True)
class Endpoint:
    """A webhook's address, taken apart. `is_allowed`: its owner opened it, private or without TLS as it may be."""

    scheme: str
    host: str
    port: int
    path: str
    is_allowed: bool

    @property
    def title(self) -> str:
        """How it is named: the path may be a secret."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = {"https": 443, "http": 80}[self.scheme]
        return f"{self.scheme}://{host}" + ("" if self.port == usual else f":{self.port}")

    @property
    def url(self) -> httpcore.URL:
        """For the client."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return httpcore.URL(scheme=self.scheme, host=host, port=self.port, target=self.path)


def endpoint(url: str, allow_hosts: Iterable[str] = ()) -> Endpoint:
    """The address as far as its text tells. Raises TargetRefused."""
    if len(url) > _LONGEST or not _PRINTABLE.fullmatch(url) or "\\" in url:
        raise TargetRefused(
            "The webhook's address is no URL: it is too long, or has blanks, backslashes or other letters."
        )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise TargetRefused("The webhook's address is no URL. Write one like https://example.com/hooks.") from None
    host = (parts.hostname or "").lower()
    if parts.scheme not in ("http", "https"):
        raise TargetRefused("The webhook's address does not begin with https://.")
    if "@" in parts.netloc:
        raise TargetRefused("The webhook's address holds a user or a password: the signature says who sends.")
    if not (_NAME.fullmatch(host) or _as_address(host)):
        raise TargetRefused("The webhook's address has no valid host: write a name of letters, digits, '.' and '-'.")
    if port == 0:
        raise TargetRefused("The webhook's address uses port 0, which is not a valid port.")
    port = port or {"http": 80, "https": 443}[parts.scheme]
    allowed = set(allow_hosts)
    shown = f"[{host}]" if ":" in host else host
    is_allowed = bool(allowed & {shown, f"{shown}:{port}"})
    if parts.scheme == "http" and not is_allowed:
        raise TargetRefused(
            f"{host} is to be reached without TLS. Use https, or name a development target in eventpipe.yml: "
            f"deliver: {{allow_hosts: [{shown}]}}."
        )
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    found = Endpoint(parts.scheme, host, port, path, is_allowed)
    literal = _as_address(host)
    if literal is not None and not is_allowed:
        check([literal], host)
    return found


def is_public(address: Address) -> bool:
    """Whether an address is one of the internet, and no other one is hidden in it."""
    if isinstance(address, ipaddress.IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    return address.is_global and not any(address in each for each in _NOT_PUBLIC if each.version == address.version)


def check(addresses: Iterable[Address], host: str) -> None:
    """Raises TargetRefused unless every address is public: a name with two kinds of them is a trap."""
    for address in addresses:
        if not is_public(address):
            raise TargetRefused(
                f"{host} is at {address}, which is no public address. To deliver to a development target, name it in "
                "eventpipe.yml: deliver: {allow_hosts: [...]}."
            )


class GuardedBackend(AsyncNetworkBackend):
    """Connections to public addresses, and to hosts that are allowed."""

    def __init__(self, allow_hosts: Iterable[str] = ()) -> None:
        self._allowed = frozenset(allow_hosts)
        self._backend = AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> AsyncNetworkStream:
        """A connection to the first of the host's addresses that answers, after all of them were checked."""
        with anyio.fail_after(timeout):
            addresses = await _resolved(host, port)
            shown = f"[{host}]" if ":" in host else host
            if not self._allowed & {shown.lower(), f"{shown.lower()}:{port}"}:
                check(addresses, host)
            failure: Exception = httpcore.ConnectError(f"{host} has no address")
            for address in addresses:
                try:
                    return await self._backend.connect_tcp(str(address), port, timeout, local_address, socket_options)
                except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                    failure = error
            raise failure

    async def sleep(self, seconds: float) -> None:
        """Waits."""
        await anyio.sleep(seconds)


async def _resolved(host: str, port: int) -> list[Address]:
    try:
        found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError(f"{host} cannot be resolved") from error
    addresses = [_as_address(str(each[4][0])) for each in found]
    return list(dict.fromkeys(each for each in addresses if each is not None))


def _as_address(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
