"""
A simulated autopilot: what it answers, packet by packet. No socket, no clock.

It keeps parameters as ArduPilot and PX4 do: stored one by one, each echoed with the value that
it then has, whole numbers in the encoding of its kind. It speaks through pymavlink by itself
and shares nothing with the adapter that it answers but the tables' names and defaults.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

from pymavlink.dialects.v20 import common as mavlink

from drone_sim.scenario.chance import stream
from orchestrator.autopilot import ARDUPILOT, PX4

Kind = Literal["ardupilot", "px4"]

SYSTEM: Final = 7
_TABLES: Final = {"ardupilot": ARDUPILOT, "px4": PX4}
_OWN: Final = {"ardupilot": {"MNT1_TYPE": (2, 1.0)}, "px4": {"MNT_MODE_OUT": (6, 2.0)}}
"""A parameter of each that no configuration says."""

_INTEGERS: Final = {2: "<bxxx", 4: "<hxx", 6: "<i"}
_REAL: Final = mavlink.MAV_PARAM_TYPE_REAL32


class Store(Protocol):
    """Where parameters survive a loss of power."""

    def load(self) -> dict[str, float]:
        """Return what is stored."""
        ...

    def save(self, values: Mapping[str, float]) -> None:
        """Store all of them; called after each that was set."""
        ...


class InMemory:
    """A store for tests: ``values`` is what survives."""

    def __init__(self) -> None:
        self.values: dict[str, float] = {}

    def load(self) -> dict[str, float]:
        """Return what is stored."""
        return dict(self.values)

    def save(self, values: Mapping[str, float]) -> None:
        """Store all of them."""
        self.values = dict(values)


@dataclass(slots=True, kw_only=True)
class Faults:
    """
    What is wrong with the link and the autopilot; all of it may be changed at any time.

    ``loss`` and ``duplicate`` are probabilities of each packet, either way. A parameter in
    ``reject`` keeps its value, one in ``clamp`` is put between two; one in ``missing`` does
    not exist. ``deny`` answers commands with a MAV_RESULT. ``off_after`` loses power when
    so many parameters have been set.
    """

    loss: float = 0.0
    duplicate: float = 0.0
    reject: frozenset[str] = frozenset()
    clamp: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()
    deny: Mapping[int, int] = field(default_factory=dict)
    off_after: int | None = None


class SimulatedAutopilot:
    """
    Feed it packets, send what it returns; :meth:`beat` once a second.

    ``sets`` counts the parameters that were set, ``asked`` keeps the commands that were obeyed.
    """

    def __init__(
        self,
        kind: Kind = "ardupilot",
        *,
        store: Store | None = None,
        faults: Faults | None = None,
        seed: int = 0,
    ) -> None:
        self.kind = kind
        self.faults = faults or Faults()
        self.armed = False
        self.landed = mavlink.MAV_LANDED_STATE_ON_GROUND
        self.battery_pct = 80
        self.limits_deg = {"roll": (-45.0, 45.0), "pitch": (-120.0, 45.0), "yaw": (-200.0, 200.0)}
        self.has_gimbal = True
        self.on = True
        self.sets = 0
        self.asked: list[tuple[int, tuple[float, ...]]] = []
        self.primary = (0, 0)
        self._store = store or InMemory()
        self._chance = stream(seed, "autopilot", kind)
        table = _TABLES[kind]
        self._number, self._bytewise = table.number, table.bytewise
        own = _OWN[kind]
        self._types = {p.name: p.type.value for p in table.params.values()}
        self._types |= {name: number for name, (number, _) in own.items()}
        self._defaults = {p.name: float(p.default) for p in table.params.values()}
        self._defaults |= {name: value for name, (_, value) in own.items()}
        self._start()

    def _start(self) -> None:
        self.values = {**self._defaults, **self._store.load()}
        self._mav = mavlink.MAVLink(None, srcSystem=SYSTEM, srcComponent=1)
        self._mav.robust_parsing = True

    def restart(self) -> None:
        """Come back after a loss of power, with what was stored."""
        self.on = True
        self._start()

    # --- packets ------------------------------------------------------------------------------

    def feed(self, data: bytes) -> list[bytes]:
        """Take packets, return the answers."""
        answers: list[bytes] = []
        for message in self._mav.parse_buffer(data) or ():
            for _ in range(self._copies()):
                answers += self._send(self._answer(message))
        return answers

    def beat(self) -> list[bytes]:
        """Return what is sent once a second."""
        armed = mavlink.MAV_MODE_FLAG_SAFETY_ARMED if self.armed else 0
        return self._send(
            [
                mavlink.MAVLink_heartbeat_message(
                    mavlink.MAV_TYPE_QUADROTOR, self._number, armed, 0, mavlink.MAV_STATE_ACTIVE, 3
                ),
                mavlink.MAVLink_extended_sys_state_message(0, self.landed),
                mavlink.MAVLink_battery_status_message(
                    0, 0, 0, 0, [0xFFFF] * 10, -1, -1, -1, self.battery_pct
                ),
                mavlink.MAVLink_gimbal_manager_status_message(0, 0, 1, *self.primary, 0, 0),
            ]
        )

    def _copies(self) -> int:
        """Return how often a packet arrives."""
        if self._chance.random() < self.faults.loss:
            return 0
        return 2 if self._chance.random() < self.faults.duplicate else 1

    def _send(self, messages: Iterable[Any]) -> list[bytes]:
        sent: list[bytes] = []
        for message in messages if self.on else ():
            packet = bytes(message.pack(self._mav))
            self._mav.seq = (self._mav.seq + 1) % 256
            sent += [packet] * self._copies()
        return sent

    def _answer(self, message: Any) -> list[Any]:
        handle = self._handlers().get(message.get_type())
        if not self.on or handle is None or message.target_system not in {0, SYSTEM}:
            return []
        return handle(message)

    def _handlers(self) -> Mapping[str, Callable[[Any], list[Any]]]:
        return {
            "PARAM_REQUEST_READ": lambda message: self._value(message.param_id),
            "PARAM_SET": self._set,
            "COMMAND_LONG": self._command,
        }

    # --- parameters ---------------------------------------------------------------------------

    def _value(self, name: str) -> list[Any]:
        if name not in self.values or name in self.faults.missing:
            return []
        kind = self._types[name]
        field_ = self._as_float(kind, self.values[name])
        count = len(self.values)
        return [mavlink.MAVLink_param_value_message(name.encode(), field_, kind, count, 65535)]

    def _as_float(self, kind: int, value: float) -> float:
        if kind == _REAL or not self._bytewise:
            return value
        packed = struct.pack(_INTEGERS[kind], int(value))
        return float(struct.unpack("<f", packed)[0])

    def _set(self, message: Any) -> list[Any]:
        name = message.param_id
        if name not in self.values or name in self.faults.missing:
            return []
        value = self._meant(name, message)
        if name not in self.faults.reject and value is not None:
            low, high = self.faults.clamp.get(name, (value, value))
            self.values[name] = min(max(value, low), high)
            self._store.save(self.values)
            self.sets += 1
            if self.sets == self.faults.off_after:
                self.on = False
        return self._value(name)

    def _meant(self, name: str, message: Any) -> float | None:
        """Return the value of a PARAM_SET; PX4 takes none of another type."""
        kind = self._types[name]
        raw = bytes(message.get_msgbuf())[10:14]  # behind the header of MAVLink 2
        if self._bytewise and message.param_type != kind:
            return None
        if self._bytewise and kind != _REAL:
            return float(struct.unpack(_INTEGERS[kind], raw)[0])
        value = float(struct.unpack("<f", raw)[0])
        return value if kind == _REAL else float(int(value))

    # --- commands -----------------------------------------------------------------------------

    def _command(self, message: Any) -> list[Any]:
        number = message.command
        values = tuple(getattr(message, f"param{place}") for place in range(1, 8))
        source = (message.get_srcSystem(), message.get_srcComponent())
        result = self.faults.deny.get(number)
        more: list[Any] = []
        if result is None:
            result, more = self._obey(number, values, source)
        return [mavlink.MAVLink_command_ack_message(number, result), *more]

    def _obey(
        self, number: int, values: tuple[float, ...], source: tuple[int, int]
    ) -> tuple[int, list[Any]]:
        accepted, denied = mavlink.MAV_RESULT_ACCEPTED, mavlink.MAV_RESULT_DENIED
        if number == mavlink.MAV_CMD_REQUEST_MESSAGE:
            known = values[0] == mavlink.MAVLINK_MSG_ID_GIMBAL_DEVICE_INFORMATION
            if known and self.has_gimbal:
                return accepted, [self._gimbal()]
            return mavlink.MAV_RESULT_UNSUPPORTED, []
        if number == mavlink.MAV_CMD_DO_GIMBAL_MANAGER_CONFIGURE:
            self._configure(values, source)
        elif number != mavlink.MAV_CMD_DO_GIMBAL_MANAGER_PITCHYAW:
            return mavlink.MAV_RESULT_UNSUPPORTED, []
        elif self.primary != source:
            return denied, []
        self.asked.append((number, values))
        return accepted, []

    def _configure(self, values: tuple[float, ...], source: tuple[int, int]) -> None:
        system, component = int(values[0]), int(values[1])
        if system == -3:  # noqa: PLR2004 - MAVLink: give it back, if it is mine
            self.primary = (0, 0) if self.primary == source else self.primary
        elif system >= 0:
            self.primary = (system, component)

    def _gimbal(self) -> Any:
        limits = [
            struct.unpack("<f", struct.pack("<f", degrees * 0.017453292519943295))[0]
            for axis in ("roll", "pitch", "yaw")
            for degrees in self.limits_deg[axis]
        ]
        name = b"simulated"
        return mavlink.MAVLink_gimbal_device_information_message(
            0, name, name, name, 0, 0, 0, 0, 0, *limits
        )
