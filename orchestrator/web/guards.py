"""
What a request must pass before anything looks at it: host, token, size.

No page of another site can get through: a browser sends that site's name as the host of a
rebound address, and asks before it sends a token (nothing here answers such a question, there is
no CORS). The token is asked for everywhere but at the few places that programs probe without one.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Collection, Iterable
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orchestrator.errors import Exit
from orchestrator.web.problems import Refusal, answer

OPEN: Final = frozenset({"/healthz", "/readyz", "/metrics", "/openapi.json"})
"""Needs no token: probes, scrapers and generators of clients. Nothing there names a person."""

LOOPBACK_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "::1"})
"""What a client that means this machine calls it."""

BODY_BYTES_MAX: Final = 64 * 1024
BODY_WITHIN_S: Final = 10.0

_HEADERS: Final = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


class Guard:
    """
    An ASGI middleware around ``app``.

    ``hosts`` are the names under which the server may be asked, in lower case and without port;
    ``None`` lets every name pass. The body is read here, within BODY_WITHIN_S, so that a
    client that sends too much or too slowly is told so in the error model like any other.
    """

    def __init__(self, app: ASGIApp, *, token: str, hosts: Collection[str] | None) -> None:
        self._app = app
        self._token = token.encode()
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or answer why not."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # a websocket: nothing here speaks that
            await send({"type": "websocket.close", "code": 1008})
            return
        try:
            self._check(scope["path"], Headers(scope=scope))
            body = await _read_body(receive)
        except Refusal as refusal:
            await _refuse(answer(refusal), scope, receive, send)
            return
        if body is not None:
            await self._app(scope, _Replay(body, receive), _hardened(send))

    def _check(self, path: str, headers: Headers) -> None:
        host = host_of(headers.get("host", ""))
        if self._hosts is not None and host not in self._hosts:
            raise _misdirected(host)
        if path not in OPEN and not self._may(headers):
            raise _unauthorized()
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length[:20]) > BODY_BYTES_MAX:
            raise _too_large()

    def _may(self, headers: Headers) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        same = hmac.compare_digest(given.strip().encode("latin-1"), self._token)
        return same and scheme.lower() == "bearer"


def host_of(header: str) -> str:
    """Return the host of a Host header in lower case, without port and brackets."""
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    return header.partition(":")[0].lower()


async def _read_body(receive: Receive) -> bytes | None:
    """Read the whole body; ``None`` where the client is gone. Raises Refusal."""
    parts: list[bytes] = []
    try:
        async with asyncio.timeout(BODY_WITHIN_S):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return None
                parts.append(message.get("body", b""))
                _check_size(parts)
                if not message.get("more_body", False):
                    return b"".join(parts)
    except TimeoutError:
        raise Refusal(
            408,
            "too-slow",
            f"the body did not arrive within {BODY_WITHIN_S:g} s",
            exit_code=Exit.TIMED_OUT,
            headers={"connection": "close"},
        ) from None


def _check_size(parts: Iterable[bytes]) -> None:
    if sum(map(len, parts)) > BODY_BYTES_MAX:
        raise _too_large()


class _Replay:
    """Gives a body that was read already, and then whatever still comes: the end of the client."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        """Return the next message."""
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


def _hardened(send: Send) -> Send:
    """Add what every response says: keep no copy, and take the content for what it says it is."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sending


async def _refuse(response: Response, scope: Scope, receive: Receive, send: Send) -> None:
    await response(scope, receive, _hardened(send))


# --- refusals -----------------------------------------------------------------------------------


def _unauthorized() -> Refusal:
    return Refusal(
        401,
        "unauthorized",
        "the token is missing or wrong: send `Authorization: Bearer TOKEN`; `aimctl serve` says"
        " at its start in which file the token is",
        exit_code=Exit.USAGE,
        headers={"www-authenticate": 'Bearer realm="aimctl serve"'},
    )


def _misdirected(host: str) -> Refusal:
    return Refusal(
        421,
        "misdirected",
        f"this server is not {host!r}: it is bound to loopback and answers to localhost alone",
        exit_code=Exit.USAGE,
    )


def _too_large() -> Refusal:
    return Refusal(
        413,
        "too-large",
        f"a body has at most {BODY_BYTES_MAX} bytes",
        exit_code=Exit.USAGE,
        headers={"connection": "close"},
    )
