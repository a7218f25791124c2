"""The receiving half of every transport: codec, bounded inbox, notices at a bounded rate."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from orchestrator.ports import Audience, Clock, Received, Reconnected
from orchestrator.protocol.ready import Level, notice
from orchestrator.protocol.types import FleetId
from orchestrator.transport.codec import Cleared, Refused, decode
from orchestrator.transport.topics import Role

INBOX_MESSAGES_MAX: Final = 200_000
"""Ten messages from each device of the largest fleet."""

INBOX_BYTES_MAX: Final = 256 * 1024 * 1024
NOTICE_EVERY_S: Final = 1.0

_LEVELS: Final = {
    "message-refused": Level.WARNING,
    "message-astray": Level.DEBUG,
    "message-dropped": Level.WARNING,
}


class RateLimit:
    """Lets one of each key through per interval, and counts the rest."""

    def __init__(self, clock: Clock, every_s: float = NOTICE_EVERY_S) -> None:
        self._clock = clock
        self._every_s = every_s
        self._last_at: dict[str, float] = {}
        self._count: dict[str, int] = {}

    def due(self, key: str) -> int:
        """Count one, and return how many to tell of now: 0 while it is too early."""
        now = self._clock.monotonic()
        self._count[key] = self._count.get(key, 0) + 1
        if now - self._last_at.get(key, -self._every_s) < self._every_s:
            return 0
        self._last_at[key] = now
        return self._count.pop(key)

    def left(self) -> dict[str, int]:
        """Return the counts that nobody was told of yet, and forget them."""
        counts, self._count = self._count, {}
        return counts


class Reception:
    """
    What arrived, in order, for one reader.

    A transport calls :meth:`arrived` and :meth:`reconnected` from its loop; neither raises,
    blocks or waits. When the inbox is full the newest message is dropped with a notice (the
    cores ask again); a Reconnected never is.
    """

    def __init__(
        self,
        *,
        fleet: FleetId,
        role: Role,
        clock: Clock,
        audience: Audience,
        messages_max: int = INBOX_MESSAGES_MAX,
        bytes_max: int = INBOX_BYTES_MAX,
    ) -> None:
        self._fleet = fleet
        self._role = role
        self._clock = clock
        self._audience = audience
        self._messages_max = messages_max
        self._bytes_max = bytes_max
        self._queue: asyncio.Queue[tuple[Received | Reconnected | None, int]] = asyncio.Queue()
        self._bytes = 0
        self._rate = RateLimit(clock)

    def arrived(self, topic: str, payload: bytes) -> None:
        """Take what a broker delivered; stamp it with the clock at once."""
        at = self._clock.now()
        read = decode(topic, payload, fleet=self._fleet, role=self._role)
        match read:
            case Cleared():
                return
            case Refused(kind=kind, reason=reason, astray=astray):
                self._tell("message-astray" if astray else "message-refused", kind, reason)
            case _:
                self._keep(Received(message=read, at=at), len(payload))

    def _keep(self, received: Received, size: int) -> None:
        full = self._queue.qsize() >= self._messages_max or self._bytes + size > self._bytes_max
        if full:
            self._tell("message-dropped", received.message.kind, "the inbox is full")
            return
        self._bytes += size
        self._queue.put_nowait((received, size))

    def _tell(self, event: str, kind: str, reason: str) -> None:
        count = self._rate.due(f"{event} {kind}")
        if count:
            self._audience.tell(
                notice(_LEVELS[event], event, kind=kind, reason=reason, count=count)
            )

    def reconnected(self) -> None:
        """Let the reader know of a new session."""
        self._queue.put_nowait((Reconnected(), 0))

    def close(self) -> None:
        """End the reader's iteration after what it has not read yet, and tell what is untold."""
        for key, count in self._rate.left().items():
            event, _, kind = key.partition(" ")
            self._audience.tell(notice(_LEVELS[event], event, kind=kind, count=count))
        self._queue.put_nowait((None, 0))

    async def receive(self) -> AsyncIterator[Received | Reconnected]:
        """Yield what arrives until :meth:`close`. One reader at a time."""
        while True:
            item, size = await self._queue.get()
            self._bytes -= size
            if item is None:
                return
            yield item
