"""One attempt to deliver a trigger by HTTP: within 15 seconds, to a checked address, with nothing followed or believed.

The client is httpcore itself: it follows no redirect, keeps no cookie and knows no proxy.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import anyio
import httpcore

from eventpipe.delivery.retries import retry_after
from eventpipe.delivery.targets import Endpoint, GuardedBackend, TargetRefused

CONNECT_SECONDS: Final = 5.0
TOTAL_SECONDS: Final = 15.0
RESPONSE_BYTES: Final = 64 * 1024

_GONE: Final = 410


@dataclass(frozen=True)
class Answer:
    """What came of it. `error` None is success; `wish` is when the target wants to be asked again."""

    status_code: int | None
    error: str | None
    wish: timedelta | None = None

    @property
    def is_gone(self) -> bool:
        """Whether the target wants nothing more, ever."""
        return self.status_code == _GONE


class WebhookClient:
    """Connections to one endpoint; an async context manager."""

    def __init__(self, endpoint: Endpoint, allow_hosts: Iterable[str], in_flight: int) -> None:
        self._endpoint = endpoint
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl.create_default_context() if endpoint.scheme == "https" else None,
            max_connections=in_flight,
            max_keepalive_connections=in_flight,
            network_backend=GuardedBackend(allow_hosts),
        )

    async def __aenter__(self) -> WebhookClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._pool.aclose()

    async def post(self, headers: Mapping[str, str], body: str, now: datetime) -> Answer:
        """Sends it once. Never raises for what a target does."""
        timeouts = {"connect": CONNECT_SECONDS, "read": TOTAL_SECONDS, "write": TOTAL_SECONDS, "pool": TOTAL_SECONDS}
        try:
            with anyio.fail_after(TOTAL_SECONDS):
                return await self._sent(headers, body.encode(), timeouts, now)
        except TargetRefused as error:
            return Answer(None, f"refused: {error}")
        except httpcore.ConnectTimeout:
            return Answer(None, f"no connection within {CONNECT_SECONDS:.0f} s")
        except (TimeoutError, httpcore.TimeoutException):
            return Answer(None, f"no answer within {TOTAL_SECONDS:.0f} s")
        except (httpcore.NetworkError, httpcore.ProtocolError, ssl.SSLError, OSError) as error:
            return Answer(None, f"{type(error).__name__}: {' '.join(str(error).split())[:200]}".rstrip(": "))

    async def _sent(self, headers: Mapping[str, str], body: bytes, timeouts: dict[str, float], now: datetime) -> Answer:
        request = self._pool.stream(
            "POST",
            self._endpoint.url,
            headers=[("host", self._endpoint.title.split("://")[1]), *headers.items()],
            content=body,
            extensions={"timeout": timeouts},
        )
        async with request as response:
            status = response.status
            found = {name.lower(): value for name, value in response.headers}
            # It is read so that the connection can be used again, as long as that is worth it; what it says is nothing to us.
            with (
                anyio.move_on_after(1),
                suppress(httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException),
            ):
                size = 0
                async for chunk in response.aiter_stream():
                    size += len(chunk)
                    if size > RESPONSE_BYTES:
                        break
        if 200 <= status < 300:
            return Answer(status, None)
        header = found.get(b"retry-after")
        return Answer(status, f"answered {status}", retry_after(header.decode("latin-1") if header else None, now))
