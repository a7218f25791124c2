"""
One autopilot at the other end of a link: asked until it answers, or given up.

Every question has a bounded number of tries. An echo that differs from what was asked may be an
older packet that was late, so it counts only when several tries bring no right one.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, NoReturn, TypeVar

from orchestrator.agent.device import DeviceRefused
from orchestrator.agent.lane import end_if_cancelled
from orchestrator.agent.mavlink.link import (
    AUTOPILOT,
    EVERYBODY,
    ONBOARD_COMPUTER,
    Ack,
    Address,
    Alive,
    Command,
    GimbalRange,
    Heartbeat,
    Incoming,
    Link,
    Outgoing,
    ParamValue,
    ReadParam,
    Result,
    Verb,
    WriteParam,
)
from orchestrator.agent.mavlink.state import SILENT_AFTER_S, Flight, Memory
from orchestrator.autopilot import ParamType, from_wire, same, show, to_wire
from orchestrator.ports import Clock

HEARTBEAT_S: Final = 1.0
ASK_AGAIN_S: Final = 30.0
"""How long a gimbal that did not say its limits is left alone."""

AT_ONCE_MAX: Final = 8
"""Parameters that are asked for at the same time: a radio has a short queue."""

NO_AUTOPILOT: Final = 8
"""MAV_AUTOPILOT_INVALID: a ground station, a camera, another computer."""

WRONG_ECHOES: Final = 3
"""Tries that are answered by another value only: then it is the answer, and no late packet."""

GIMBAL_DEVICE_INFORMATION: Final = 283
GIMBAL_MANAGER_INFORMATION: Final = 280

T = TypeVar("T")


class Silent(DeviceRefused):
    """The autopilot did not answer in all the tries."""


class Rejected(DeviceRefused):
    """The autopilot answers, and does not take what it was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How often a question is asked, and how long each time is waited for the answer."""

    tries: int = 8
    reply_s: float = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A parameter's name, type and value."""

    name: str
    type: ParamType
    value: float

    def equals(self, other: Setting) -> bool:
        """Whether both say the same."""
        return self.name == other.name and same(self.type, self.value, other.value)

    def __str__(self) -> str:
        """Show ``NAME 12.5``."""
        return f"{self.name} {show(self.type, self.value)}"


class Vehicle:
    """
    The autopilot. :meth:`run` it beside everything else, until cancelled.

    ``bytewise`` tells from MAV_AUTOPILOT how whole numbers travel. The first autopilot that is
    heard is ours for good; what others say is not looked at.
    """

    def __init__(
        self,
        link: Link,
        clock: Clock,
        *,
        bytewise: Callable[[int], bool],
        patience: Patience | None = None,
    ) -> None:
        self._link = link
        self._clock = clock
        self._bytewise = bytewise
        self._patience = patience or Patience()
        self._memory = Memory()
        self._system: int | None = None
        self._asked_gimbal_at = -math.inf
        self._waiting: list[asyncio.Queue[Incoming]] = []

    # --- beside everything --------------------------------------------------------------------

    async def run(self) -> NoReturn:
        """Tell that we live, and hear what comes."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._beat())
            group.create_task(self._listen())
        raise AssertionError("both go on for ever")

    async def _beat(self) -> NoReturn:
        while True:
            self._send(Alive())
            await self._clock.sleep(HEARTBEAT_S)

    async def _listen(self) -> NoReturn:
        while True:
            message = await self._link.receive()
            if self._is_ours(message):
                self._memory.note(message, self._clock.monotonic())
                for queue in self._waiting:
                    queue.put_nowait(message)

    def _is_ours(self, message: Incoming) -> bool:
        if isinstance(message, Heartbeat):
            if message.autopilot == NO_AUTOPILOT or message.source.component != AUTOPILOT:
                return False
            if self._system is None:
                self._system = message.source.system
        if message.source.system != self._system:
            return False
        return message.source.component == AUTOPILOT or isinstance(message, GimbalRange)

    # --- what is known ------------------------------------------------------------------------

    @property
    def flight(self) -> Flight:
        """What the vehicle has said of itself."""
        return self._memory.snapshot(self._clock.monotonic())

    @property
    def autopilot(self) -> int | None:
        """Its MAV_AUTOPILOT, once it was heard."""
        return self._memory.autopilot

    @property
    def me(self) -> Address:
        """Who we are: a component of the vehicle's own system."""
        return Address(system=self._system or 1, component=ONBOARD_COMPUTER)

    async def heard(self) -> None:
        """Wait for a heartbeat, unless there was one lately. Raises Silent."""
        if self.flight.link:
            return
        with self._hearing() as queue:
            beat = await _first(queue, SILENT_AFTER_S, _heartbeat)
        if beat is None:
            raise Silent(silence(self.flight))

    # --- parameters ---------------------------------------------------------------------------

    async def read(self, name: str) -> Setting:
        """Return a parameter. Raises Silent where it never comes: it may not exist."""
        with self._hearing() as queue:
            for _ in range(self._patience.tries):
                self._send(ReadParam(to=self._autopilot(), name=name))
                found = await _first(queue, self._patience.reply_s, self._setting(name))
                if found is not None:
                    return found
        raise Silent(f"the autopilot does not say its {name}")

    async def read_all(self, names: tuple[str, ...]) -> dict[str, Setting]:
        """Return several, asked for at the same time. Raises Silent with all that miss."""
        few = asyncio.Semaphore(AT_ONCE_MAX)

        async def one(name: str) -> Setting | None:
            async with few:
                try:
                    return await self.read(name)
                except Silent:
                    return None

        found = await asyncio.gather(*(one(name) for name in names))
        missing = [name for name, setting in zip(names, found, strict=True) if setting is None]
        if missing:
            raise Silent(f"the autopilot does not say its {', '.join(missing)}")
        return {setting.name: setting for setting in found if setting is not None}

    async def write(self, setting: Setting) -> None:
        """Set a parameter and hear its echo. Raises Rejected with what it says, or Silent."""
        raw = self._raw(setting)
        order = WriteParam(
            to=self._autopilot(), name=setting.name, type=setting.type.value, raw=raw
        )
        read, got = self._setting(setting.name), list[Setting]()

        def echo(message: Incoming) -> Setting | None:
            found = read(message)
            if found is not None:
                got.append(found)
            return found if found is not None and found.equals(setting) else None

        answered = 0
        with self._hearing() as queue:
            for _ in range(self._patience.tries):
                before = len(got)
                self._send(order)
                if await _first(queue, self._patience.reply_s, echo) is not None:
                    return
                answered += len(got) > before
                if answered == WRONG_ECHOES:
                    break
        if not got:
            raise Silent(f"the autopilot does not answer to {setting}")
        raise rejection(setting, got[-1])

    def _raw(self, setting: Setting) -> bytes:
        return to_wire(setting.type, setting.value, bytewise=self._encoding())

    def _encoding(self) -> bool:
        return self._bytewise(self._memory.autopilot or 0)

    def _setting(self, name: str) -> Callable[[Incoming], Setting | None]:
        """Return what finds a parameter's value in a message."""

        def read(message: Incoming) -> Setting | None:
            if not isinstance(message, ParamValue) or message.name != name:
                return None
            try:
                kind = ParamType(message.type)
                value = from_wire(kind, message.raw, bytewise=self._encoding())
            except ValueError:
                return None
            return Setting(name=name, type=kind, value=value)

        return read

    # --- commands -----------------------------------------------------------------------------

    async def command(self, verb: Verb, *values: float, gimbal: int = 0) -> None:
        """Have a command accepted. Raises Rejected with the answer, or Silent."""
        seven = (*values, *[0.0] * (6 - len(values)), float(gimbal))
        with self._hearing() as queue:
            for again in range(self._patience.tries):
                to = self._autopilot()
                self._send(Command(to=to, verb=verb, values=seven, again=again))
                result = await _first(queue, self._patience.reply_s, _result_of(verb))
                if result is Result.ACCEPTED:
                    return
                if result is not None:
                    raise Rejected(f"the autopilot answers {verb.name} with {result.name}")
        raise Silent(f"the autopilot does not answer to {verb.name}")

    async def gimbal(self) -> GimbalRange | None:
        """Return the gimbal's hardware limits; ``None`` where nobody says them."""
        if self._memory.gimbal is not None:
            return self._memory.gimbal
        now = self._clock.monotonic()
        if now - self._asked_gimbal_at < ASK_AGAIN_S:
            return None
        with self._hearing() as queue:
            for _ in range(self._patience.tries // 2):
                for number in (GIMBAL_DEVICE_INFORMATION, GIMBAL_MANAGER_INFORMATION):
                    self._send(self._request(number))
                if await _first(queue, self._patience.reply_s, _range) is not None:
                    return self._memory.gimbal
        self._asked_gimbal_at = now
        return None

    def _request(self, number: int) -> Command:
        to = Address(system=self._autopilot().system, component=EVERYBODY)
        values = (float(number), 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
        return Command(to=to, verb=Verb.REQUEST_MESSAGE, values=values)

    # --- the link -----------------------------------------------------------------------------

    def _autopilot(self) -> Address:
        if self._system is None:
            raise Silent(silence(self.flight))
        return Address(system=self._system, component=AUTOPILOT)

    def _send(self, message: Outgoing) -> None:
        self._link.send(message, self.me)

    @contextmanager
    def _hearing(self) -> Iterator[asyncio.Queue[Incoming]]:
        """Get a copy of everything from now on."""
        queue: asyncio.Queue[Incoming] = asyncio.Queue()
        self._waiting.append(queue)
        try:
            yield queue
        finally:
            self._waiting.remove(queue)


async def _first(
    queue: asyncio.Queue[Incoming], time_s: float, find: Callable[[Incoming], T | None]
) -> T | None:
    """Return the first that ``find`` finds in the messages of the next ``time_s``."""
    ends_at = asyncio.get_running_loop().time() + time_s
    while True:
        try:
            async with asyncio.timeout_at(ends_at):
                message = await queue.get()
        except TimeoutError:
            return None
        end_if_cancelled()
        found = find(message)
        if found is not None:
            return found


def _heartbeat(message: Incoming) -> Heartbeat | None:
    return message if isinstance(message, Heartbeat) else None


def _range(message: Incoming) -> GimbalRange | None:
    return message if isinstance(message, GimbalRange) else None


def _result_of(verb: Verb) -> Callable[[Incoming], Result | None]:
    """Return what finds the final answer to a command."""

    def read(message: Incoming) -> Result | None:
        if not isinstance(message, Ack) or message.command != verb:
            return None
        result = Result(message.result) if message.result in {*Result} else Result.FAILED
        return None if result is Result.IN_PROGRESS else result

    return read


def rejection(asked: Setting, got: Setting) -> Rejected:
    """Make the refusal of a value: the parameter, what was asked, what it is."""
    return Rejected(
        f"the autopilot does not take {asked.name}: asked {show(asked.type, asked.value)},"
        f" got {show(got.type, got.value)}"
    )


def silence(flight: Flight) -> str:
    """Say for how long nothing was heard."""
    if flight.heard_ago_s is None:
        return "the autopilot was never heard"
    return f"the autopilot was not heard for {flight.heard_ago_s:.1f} s"
