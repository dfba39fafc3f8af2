"""Where nothing is ever delivered to: by the address as it is written, and by what its name resolves to."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import httpcore
import pytest

from eventpipe.delivery.deliver import deliver
from eventpipe.delivery.targets import GuardedBackend, TargetRefused, endpoint, is_public
from eventpipe.ops import deliveries as ops
from eventpipe.ops.store import OpsStore
from eventpipe_tests.delivery.fired import fire, project
from eventpipe_tests.delivery.receiver import SECRET, receiving

HOSTILE = """
https://127.0.0.1/ https://127.1/ https://127.0.0.1:8443/ https://0.0.0.0/ https://0/ https://2130706433/ https://0x7f000001/
https://0177.0.0.1/ https://017700000001/ https://127.0.0.1.:443/ https://localhost/ https://LOCALHOST/ https://localhost./
https://10.0.0.1/ https://172.16.0.1/ https://172.31.255.255/ https://192.168.1.1/ https://169.254.169.254/latest/meta-data/
https://100.64.0.1/ https://100.127.255.254/ https://192.0.0.8/ https://192.0.2.1/ https://192.88.99.1/ https://198.18.0.1/
https://198.51.100.7/ https://203.0.113.9/ https://224.0.0.1/ https://239.255.255.250/ https://240.0.0.1/ https://255.255.255.255/
https://[::]/ https://[::1]/ https://[::127.0.0.1]/ https://[::ffff:127.0.0.1]/ https://[::ffff:10.0.0.1]/ https://[::ffff:7f00:1]/
https://[::ffff:0:127.0.0.1]/ https://[64:ff9b::127.0.0.1]/ https://[64:ff9b::8.8.8.8]/ https://[64:ff9b:1::a00:1]/
https://[2002:7f00:1::]/ https://[2002:a00:1::1]/ https://[2001::1]/ https://[2001:0:53aa:64c::1]/ https://[2001:db8::1]/
https://[3fff::1]/ https://[5f00::1]/ https://[100::1]/ https://[fc00::1]/ https://[fd00:ec2::254]/ https://[fe80::1]/
https://[fe80::1%25eth0]/ https://[fec0::1]/ https://[ff02::1]/ https://[ff0e::1]/
http://example.com/ http://127.0.0.1/ ftp://example.com/ file:///etc/passwd gopher://example.com/ javascript:alert(1) //example.com/
https:example.com https:/// https://user@example.com/ https://user:password@example.com/ https://example.com@127.0.0.1/
https://127.0.0.1#@example.com/ https://example.com:0/ https://example.com:99999/ https://example.com:port/ https://exa%6dple.com/
https://127.0.0.1%2f@example.com/ https://①②⑦.⓪.⓪.①/ https://ⓛocalhost/ https://example.com\\@127.0.0.1/ https://ex ample.com/
https://example.com/\r\nhost:evil https://[::1 https://[::ffff:169.254.169.254]/ https://[v1.x]/ https://ñ.example/
""".strip("\n")
# Two of them hold blanks or line breaks themselves.
ADDRESSES = [
    *(
        each
        for line in HOSTILE.split("\n")
        for each in line.split(" ")
        if each.startswith(("http", "ftp", "file", "goph"))
    ),
    "javascript:alert(1)",
    "//example.com/",
    "https://ex ample.com/",
    "https://example.com/\r\nhost: evil",
    "https://example.com/\x00",
    "https://example.com/" + "a" * 3000,
    "",
]

REAL_ADDRESSES = ("8.8.8.8", "1.1.1.1", "93.184.215.14", "2606:4700:4700::1111", "2a00:1450:4001:80b::200e")


@pytest.fixture
def never_connected(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Fails the test where anything is connected to at all."""
    connected: list[str] = []

    async def connect(_self: Any, host: str, *_: Any, **__: Any) -> Any:
        connected.append(host)
        raise httpcore.ConnectError("not in a test")

    monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", connect)
    yield connected
    assert connected == []


def connect(host: str, port: int, *, allow: tuple[str, ...] = ()) -> None:
    async def once() -> None:
        await GuardedBackend(allow).connect_tcp(host, port, timeout=5)

    anyio.run(once)


def try_to_connect(url: str) -> None:
    found = endpoint(url)
    connect(found.host, found.port)


def test_there_are_more_than_sixty_of_them() -> None:
    assert len(set(ADDRESSES)) >= 80


@pytest.mark.parametrize("url", ADDRESSES, ids=range(len(ADDRESSES)))
def test_a_hostile_address_is_refused(url: str, never_connected: list[str]) -> None:
    assert never_connected == []
    with pytest.raises((TargetRefused, httpcore.ConnectError)):
        try_to_connect(url)


def resolving_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    async def resolve(_host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(anyio, "getaddrinfo", resolve)


@pytest.mark.parametrize("address", ["10.0.0.1", "127.0.0.1", "169.254.169.254", "::1", "64:ff9b::1", "fe80::1%eth0"])
def test_a_good_name_with_a_private_address_is_refused(
    address: str, never_connected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    resolving_to(monkeypatch, "8.8.8.8", address)  # one good answer makes the others no better
    with pytest.raises(TargetRefused, match=r"no public address"):
        connect(endpoint("https://example.com/").host, 443)
    assert never_connected == []


def test_the_checked_address_is_the_one_that_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that resolves to another address a moment later gains nothing: it is asked once."""
    asked, connected = 0, []

    async def rebinding(_host: str, port: int, **_: Any) -> list[Any]:
        nonlocal asked
        asked += 1
        address = "8.8.8.8" if asked == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    async def connect_tcp(_self: Any, host: str, *_: Any, **__: Any) -> Any:
        connected.append(host)
        raise httpcore.ConnectError("not in a test")

    monkeypatch.setattr(anyio, "getaddrinfo", rebinding)
    monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", connect_tcp)
    with pytest.raises(httpcore.ConnectError):
        connect("example.com", 443)
    assert connected == ["8.8.8.8"]


@pytest.mark.parametrize("address", REAL_ADDRESSES)
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("url", ["https://example.com/hooks?key=1", "https://EXAMPLE.com:8443/", "https://8.8.8.8/"])
def test_an_address_of_the_internet_is_taken(url: str) -> None:
    assert endpoint(url).url.target.startswith(b"/")


def test_a_name_of_the_path_is_in_no_message() -> None:
    with pytest.raises(TargetRefused) as refused:
        endpoint("http://example.com/secret-path")
    assert "secret-path" not in str(refused.value)
    assert endpoint("https://example.com/secret-path").title == "https://example.com"


def test_a_development_target_is_open_by_name_only() -> None:
    assert endpoint("http://localhost:8080/x", ["localhost"]).is_allowed
    assert endpoint("http://[::1]:8080/x", ["[::1]:8080"]).is_allowed
    with pytest.raises(TargetRefused):
        endpoint("http://localhost:8081/x", ["localhost:8080"])
    with pytest.raises(TargetRefused):
        endpoint("http://127.0.0.1/x", ["localhost"])


def test_a_refused_target_is_listed_and_nothing_reaches_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also not by way of a proxy of the environment."""
    with receiving() as receiver:
        monkeypatch.setenv("HTTPS_PROXY", receiver.url())
        monkeypatch.setenv("ALL_PROXY", receiver.url())
        targets = {
            "plain": {"webhook": receiver.url(), "secret": SECRET},
            "private": {"webhook": f"https://127.0.0.1:{receiver.port}/", "secret": SECRET},
        }
        made = project(tmp_path, targets)
        with OpsStore.open(made.ops) as store:
            ids = fire(store, "plain", ["c1"]) + fire(store, "private", ["c1"])
            assert deliver(made, store, lambda: datetime.now(UTC)).failed == 2
            for trigger_id in ids:
                row, _ = ops.shown(store, trigger_id)
                assert row["status"] == "pending"
                assert "refused" in row["last_error"]
        assert receiver.got == []
