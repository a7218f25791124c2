"""
Everything that the cores of a yard say and write, with every field: the long form of a story.

A line for each event of a core and for each thing that it asks for. Fields that are what they are
by default are left out; of a device's state and record there is only what has changed since they
were shown last. Instants are in s, to the microsecond.
"""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from drone_sim.cores.yard import Yard
from orchestrator.protocol import device as dev
from orchestrator.protocol import orchestration as orc
from orchestrator.protocol.coordinator import Coordinator
from orchestrator.protocol.device import Durable
from orchestrator.protocol.messages import DeviceState
from orchestrator.protocol.participant import DeviceReady, Participant
from orchestrator.protocol.ready import Notice, Ready, Send
from orchestrator.protocol.records import Record
from orchestrator.protocol.types import Epoch, Owner

WIDTH: Final = 99

Listener = Callable[[str, object, float, Ready[Any, Any]], None]
"""Hears who was stepped, with what event, when, and what it has asked for."""


def wrapped(line: str) -> list[str]:
    """Break a long line."""
    return textwrap.wrap(line, WIDTH, subsequent_indent="      ")


class Shower:
    """Shows values; remembers what was shown of each device."""

    def __init__(self) -> None:
        self._shown: dict[tuple[type, str], dict[str, str]] = {}

    def show(self, value: object) -> str:
        """Show a value with all its fields that are not what they are by default."""
        if isinstance(value, Owner):
            return value.user
        if isinstance(value, Epoch):
            return f"epoch-{value}"
        if isinstance(value, float):
            return f"{value:.6f}".rstrip("0").rstrip(".")
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return self._dataclass(value)
        if isinstance(value, Mapping):
            pairs = (f"{self.show(name)}: {self.show(value[name])}" for name in sorted(value))
            return "{" + ", ".join(pairs) + "}"
        if isinstance(value, tuple):
            return "[" + ", ".join(map(self.show, value)) + "]"
        if isinstance(value, frozenset):
            return "[" + ", ".join(sorted(map(self.show, value))) + "]"
        return str(value)

    def fields_of(self, value: Any) -> list[str]:
        """Show the fields that are not what they are by default, one by one."""
        return [f"  {name}={one}" for name, one in self._fields(value).items()]

    def _dataclass(self, value: Any) -> str:
        fields = self._fields(value)
        if isinstance(value, Durable):
            fields = self._changed((Durable, value.device), fields)
        elif isinstance(getattr(value, "state", None), DeviceState):
            of = (DeviceState, value.device)
            changed = self._changed(of, self._fields(value.state))
            fields["state"] = " ".join(f"{name}={one}" for name, one in changed.items()) or "same"
        pairs = (f"{name}={one}" for name, one in fields.items())
        return f"{type(value).__name__}({', '.join(pairs)})"

    def _fields(self, value: Any) -> dict[str, str]:
        found = {}
        for field in dataclasses.fields(value):
            one, usual = getattr(value, field.name), field.default
            if field.default_factory is not dataclasses.MISSING:
                usual = field.default_factory()
            if one != usual and not isinstance(one, DeviceState):
                found[field.name] = self.show(one)
        return found

    def _changed(self, key: tuple[type, str], fields: dict[str, str]) -> dict[str, str]:
        before = self._shown.get(key, {})
        self._shown[key] = fields
        gone = {name: "usual" for name in before if name not in fields}
        return {n: one for n, one in fields.items() if before.get(n) != one} | gone


class LoudParticipant(Participant):
    """A device that tells everything it does."""

    listener: Listener

    def step(self, event: dev.Event, now: float) -> DeviceReady:
        """Step, and tell what came of it."""
        ready = super().step(event, now)
        self.listener(self.durable.device, event, now, ready)
        return ready


class LoudCoordinator(Coordinator):
    """An orchestrator that tells everything it does."""

    listener: Listener

    def step(self, event: orc.Event, now: float) -> orc.CoordinatorReady:
        """Step, and tell what came of it."""
        ready = super().step(event, now)
        self.listener(type(self.goal).__name__.lower(), event, now, ready)
        return ready


class LoudYard(Yard):
    """A yard that keeps, in ``lines``, everything that its cores say and its journal has."""

    def __init__(self, devices: int = 2) -> None:
        super().__init__(devices)
        self.lines: list[str] = []
        self._shower = Shower()

    def check(self) -> None:
        """Ask nothing: other tests play in yards that ask the invariants, here words count."""

    def steady(self) -> LoudYard:
        """Bring everybody to version 1, and forget what was said."""
        for name in self.devices:
            self.boot(name)
        self.push("c0", 1)
        self.run(1.0)
        self.forget()
        self.lines.clear()
        return self

    def participant(self, *args: Any, **options: Any) -> Participant:
        """Make a device that is heard."""
        core = LoudParticipant(*args, **options)
        core.listener = self._stepped
        return core

    def coordinator(self, *args: Any, **options: Any) -> Coordinator:
        """Make an orchestrator that is heard."""
        core = LoudCoordinator(*args, **options)
        core.listener = self._stepped
        return core

    def append(self, head: int, records: Sequence[Record]) -> bool:
        """Compare and append, and tell the records that are there now."""
        landed = super().append(head, records)
        for record in records if landed else ():
            self._line(f"journal at {self._shower.show(self.now)}: {self._shower.show(record)}")
        return landed

    def _stepped(self, who: str, event: object, now: float, ready: Ready[Any, Any]) -> None:
        """Tell a step, unless nothing came of it."""
        show = self._shower.show
        asked = (*ready.writes, *ready.messages, *ready.effects, *ready.notices)
        if not asked:
            return
        heard = type(getattr(event, "message", event)).__name__
        wake = "" if ready.wake_at is None else f", to wake at {show(ready.wake_at)}"
        self._line(f"{who} at {show(now)}: {heard}{wake}")
        for one in asked:
            self._line(f"  {self._asked(one)}")

    def _asked(self, one: object) -> str:
        show = self._shower.show
        match one:
            case Send(message=message, to=to):
                return f"-> {to or '*'}: {show(message)}"
            case Notice(level=level, event=event, detail=detail):
                return " ".join((level, event, *(f"{name}={show(why)}" for name, why in detail)))
            case orc.Append(expected_head=head, records=records):
                return f"append at {head}: {', '.join(record.kind for record in records)}"
        return show(one)

    def _line(self, line: str) -> None:
        self.lines += wrapped(line)
