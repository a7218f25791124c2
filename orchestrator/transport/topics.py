"""
Where each message travels: topic names, direction, QoS and retention, as one table. Pure.

Everything lives under ``aim/v1/{fleet}/``. :data:`ROUTES` is the only place that knows it: the
codec, the MQTT adapter, the broker's access list and the AsyncAPI document are derived from it.

A path's parameters stand at its odd levels (``txn/{txn}/prepare``), which is what lets
:func:`parse` find the route with one look-up. Ids and digests hold no MQTT wildcard and no
slash, so a name can never be mistaken for a filter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from orchestrator.protocol.errors import ProtocolMisuse, require
from orchestrator.protocol.messages import (
    Ask,
    Blob,
    Decision,
    Hello,
    Message,
    Prepare,
    Presence,
    Report,
    Vote,
    Want,
)
from orchestrator.protocol.types import ID_PATTERN, DeviceId, Digest, FleetId, TxnId

ROOT: Final = "aim/v1"
QOS: Final = 1
TOPIC_CHARS_MAX: Final = 256

_PREFIX: Final = ROOT + "/"
_DIGEST_PREFIX: Final = "sha256:"
_PARAMETERS: Final[Mapping[str, re.Pattern[str]]] = {
    "fleet": re.compile(ID_PATTERN),
    "txn": re.compile(ID_PATTERN),
    "device": re.compile(ID_PATTERN),
    "sha256": re.compile(r"[0-9a-f]{64}"),
}


class Side(StrEnum):
    """Who publishes on a topic."""

    ORCHESTRATOR = "orchestrator"
    DEVICE = "device"


@dataclass(frozen=True, slots=True, kw_only=True)
class Orchestrator:
    """The role of a client that drives the fleet."""

    @property
    def side(self) -> Side:
        """The side whose messages it sends."""
        return Side.ORCHESTRATOR


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """The role of a client that is the device ``id``."""

    id: DeviceId

    @property
    def side(self) -> Side:
        """The side whose messages it sends."""
        return Side.DEVICE


Role = Orchestrator | Device


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """
    One row of the table: the topic of one kind of message in one direction.

    ``path`` is relative to ``aim/v1/{fleet}/`` and carries its parameters in braces. ``raw``
    says that the payload is the bytes themselves and not an envelope.
    """

    kind: str
    path: str
    sender: Side
    retain: bool = False
    raw: bool = False
    qos: int = QOS

    @property
    def levels(self) -> tuple[str, ...]:
        """The path's levels, parameters still in braces."""
        return tuple(self.path.split("/"))

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the path's parameters, in order; the fleet is not among them."""
        return tuple(level[1:-1] for level in self.levels if level.startswith("{"))

    @property
    def to_one_device(self) -> bool:
        """Whether exactly one device receives what is sent here."""
        return self.levels[0] == "to"

    def topic(self, fleet: str, **values: str) -> str:
        """Return the topic; a value may also be ``+``, which makes it a subscription filter."""
        return f"{ROOT}/{fleet}/{self.path.format(**values)}"


def _one_way(sender: Side, prefix: str, *kinds: str) -> tuple[Route, ...]:
    return tuple(
        Route(kind=kind, path=f"{prefix}/{{device}}/{kind}", sender=sender) for kind in kinds
    )


ROUTES: Final[tuple[Route, ...]] = (
    Route(kind="fence", path="fence", sender=Side.ORCHESTRATOR),
    Route(kind="prepare", path="txn/{txn}/prepare", sender=Side.ORCHESTRATOR),
    Route(kind="decision", path="txn/{txn}/decision", sender=Side.ORCHESTRATOR, retain=True),
    Route(
        kind="blob",
        path="txn/{txn}/blob/{sha256}",
        sender=Side.ORCHESTRATOR,
        retain=True,
        raw=True,
    ),
    *_one_way(Side.ORCHESTRATOR, "to", "welcome", "prepare", "decision", "catch-up"),
    *_one_way(Side.ORCHESTRATOR, "to", "heuristic", "fence"),
    *_one_way(Side.DEVICE, "from", "hello", "vote", "report", "ask", "want"),
    Route(kind="presence", path="from/{device}/presence", sender=Side.DEVICE, retain=True),
)

_Shape = tuple[int, tuple[str, ...]]


def _shape(levels: tuple[str, ...]) -> _Shape:
    return len(levels), levels[::2]


_BY_SHAPE: Final[Mapping[_Shape, Route]] = {_shape(route.levels): route for route in ROUTES}
require(len(_BY_SHAPE) == len(ROUTES), "two routes can't be told apart by their topics")
_BROADCAST: Final = {
    route.kind: route
    for route in ROUTES
    if route.sender is Side.ORCHESTRATOR and not route.to_one_device
}
_TO_ONE: Final = {route.kind: route for route in ROUTES if route.to_one_device}
_FROM: Final = {route.kind: route for route in ROUTES if route.sender is Side.DEVICE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A topic that was understood: its route and the values of its parameters."""

    route: Route
    fleet: FleetId
    txn: TxnId | None = None
    device: DeviceId | None = None
    digest: Digest | None = None


def parse(topic: str) -> Address | None:
    """Return what ``topic`` says, or ``None`` if it is none of ours. Never raises."""
    if len(topic) > TOPIC_CHARS_MAX:
        return None
    fleet, _, path = topic.removeprefix(_PREFIX).partition("/")
    levels = tuple(path.split("/"))
    route = _BY_SHAPE.get(_shape(levels))
    if not topic.startswith(_PREFIX) or route is None:
        return None
    values = {"fleet": fleet, **dict(zip(route.parameters, levels[1::2], strict=True))}
    if not all(_PARAMETERS[name].fullmatch(value) for name, value in values.items()):
        return None
    return _address(route, values)


def _address(route: Route, values: Mapping[str, str]) -> Address:
    return Address(
        route=route,
        fleet=FleetId(values["fleet"]),
        txn=TxnId(values["txn"]) if "txn" in values else None,
        device=DeviceId(values["device"]) if "device" in values else None,
        digest=Digest(_DIGEST_PREFIX + values["sha256"]) if "sha256" in values else None,
    )


def route_of(message: Message, to: DeviceId | None) -> Route:
    """
    Return the route of a message that is about to be sent.

    Raises ProtocolMisuse where the table has none: a broadcast WELCOME, a blob to one device, a
    device's message to a device.
    """
    table = _TO_ONE if to is not None else {**_BROADCAST, **_FROM}
    route = table.get(message.kind)
    if route is None:
        where = "broadcast" if to is None else "sent to one device"
        msg = f"{message.kind} is never {where}"
        raise ProtocolMisuse(msg)
    return route


def topic_of(fleet: FleetId, message: Message, to: DeviceId | None = None) -> str:
    """Return the topic that ``message`` is published on. Raises ProtocolMisuse as route_of."""
    route = route_of(message, to)
    if to is not None:
        return route.topic(fleet, device=to)
    match message:
        case Blob(txn=txn, digest=digest):
            return blob_topic(fleet, txn, digest)
        case Prepare(txn=txn) | Decision(txn=txn):
            return route.topic(fleet, txn=txn)
        case (
            Hello(device=device)
            | Vote(device=device)
            | Report(device=device)
            | Ask(device=device)
            | Want(device=device)
            | Presence(device=device)
        ):
            return route.topic(fleet, device=device)
        case _:
            return route.topic(fleet)


def blob_topic(fleet: FleetId, txn: TxnId, digest: Digest) -> str:
    """Return the retained topic of one blob of one transaction."""
    return _BROADCAST["blob"].topic(fleet, txn=txn, sha256=digest.removeprefix(_DIGEST_PREFIX))


def decision_topic(fleet: FleetId, txn: TxnId) -> str:
    """Return the retained topic of a transaction's DECISION."""
    return _BROADCAST["decision"].topic(fleet, txn=txn)


def filters(fleet: FleetId, role: Role) -> tuple[str, ...]:
    """
    Return what a client of this role subscribes to in every new session.

    Blobs are not among them: a device asks for the exact ones that its PREPARE names, or every
    device would be sent every configuration.
    """
    if isinstance(role, Orchestrator):
        return (f"{ROOT}/{fleet}/from/+/+",)
    return (
        _BROADCAST["fence"].topic(fleet),
        _BROADCAST["prepare"].topic(fleet, txn="+"),
        _BROADCAST["decision"].topic(fleet, txn="+"),
        f"{ROOT}/{fleet}/to/{role.id}/+",
    )


def matches(pattern: str, topic: str) -> bool:
    """
    Tell whether a subscription filter matches a topic (MQTT 3.1.1 §4.7).

    Topics that begin with ``$`` are matched by no filter that begins with a wildcard.
    """
    if topic.startswith("$") and pattern[:1] in {"+", "#"}:
        return False
    wanted, given = pattern.split("/"), topic.split("/")
    for index, level in enumerate(wanted):
        if level == "#":
            return True
        if index >= len(given) or level not in {"+", given[index]}:
            return False
    return len(wanted) == len(given)
