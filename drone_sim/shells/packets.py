"""
What travels over a connection to the simulated broker: MQTT 3.1.1, as far as it is spoken.

Plain values: nothing is encoded, since the bytes of MQTT are the library's business, not ours.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.transport.codec import Outgoing


@dataclass(frozen=True, slots=True, kw_only=True)
class Connect:
    """CONNECT, always with a clean session; ``keepalive_s`` is above 0."""

    client_id: str
    keepalive_s: float
    will: Outgoing | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscribe:
    """SUBSCRIBE to ``patterns``; answered by its number."""

    number: int
    patterns: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsubscribe:
    """UNSUBSCRIBE from ``pattern``; answered by its number."""

    number: int
    pattern: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Publish:
    """PUBLISH at QoS 1; answered by its number."""

    number: int
    outgoing: Outgoing


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """What is left of a PUBLISH that is lost on the way: its PUBACK, which promises nothing."""

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping:
    """PINGREQ, and its answer PINGRESP."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnect:
    """DISCONNECT: a goodbye."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """The other side's TCP is gone, with or without an MQTT goodbye."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connack:
    """CONNACK: the session has begun."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledged:
    """SUBACK, UNSUBACK or PUBACK of what had that number."""

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """A message for a subscriber."""

    topic: str
    payload: bytes


Request = Connect | Subscribe | Unsubscribe | Publish | Dropped | Ping | Disconnect | Closed
Answer = Connack | Acknowledged | Delivered | Ping | Closed
