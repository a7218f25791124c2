"""
The one output of the cores.

A core never speaks of what it has not been told is stored. So the contract of the host is:

1. perform ``writes`` in order and durably; tell their outcome to the core as its next event.
   Only a tick may come before, at ``wake_at``: a device must hold in time however slow its
   disk is. Such a tick starts effects at the most;
2. send ``messages``; each may be lost;
3. start ``effects``; each ends in an event of its own, later;
4. tell ``notices`` to people; they never change anything;
5. step the core with a tick at ``wake_at``, if nothing happens before.

A Ready that has writes has no messages and no effects: what depends on a write comes out of the
step that is told of its success. That makes I13 (write before send) a property of this class.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, TypeVar

from orchestrator.protocol.errors import require
from orchestrator.protocol.messages import Message
from orchestrator.protocol.types import DeviceId

W = TypeVar("W")
E = TypeVar("E")


class Level(StrEnum):
    """How much a notice should disturb a person."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something worth telling a person: ``event`` is a stable name, ``detail`` flat values."""

    level: Level
    event: str
    detail: tuple[tuple[str, str | int | float | None], ...] = ()


def notice(level: Level, event: str, **detail: str | float | None) -> Notice:
    """Make a :class:`Notice` with its details in the order given."""
    return Notice(level=level, event=event, detail=tuple(detail.items()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """One message to send. ``to`` is a device, or ``None`` for a broadcast or the orchestrator."""

    message: Message
    to: DeviceId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready(Generic[W, E]):
    """What a step asks of its host; the module's docstring is the contract."""

    writes: tuple[W, ...] = ()
    messages: tuple[Send, ...] = ()
    effects: tuple[E, ...] = ()
    notices: tuple[Notice, ...] = field(default=())
    wake_at: float | None = None

    def __post_init__(self) -> None:
        """Refuse messages beside writes (I13)."""
        require(
            not (self.writes and (self.messages or self.effects)),
            "I13: a step with writes sends nothing",
        )
