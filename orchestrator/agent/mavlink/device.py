"""
The device adapter "MAVLink": the active file, and the parameters of an autopilot that say it.

``activate`` writes the file, then the parameter set as one unit. ``hold`` takes primary control
of the gimbal and freezes its aim (rates of zero, all axes locked to the earth); ``resume`` gives
the control back. Sources: https://mavlink.io/en/services/gimbal_v2.html and parameter.html.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn

from orchestrator.agent.active import ActiveFile
from orchestrator.agent.device import DeviceRefused, Judge, judged
from orchestrator.agent.flight import FlightRules
from orchestrator.agent.lane import Offload, in_thread
from orchestrator.agent.mavlink.link import GimbalRange, Verb
from orchestrator.agent.mavlink.state import Flight
from orchestrator.agent.mavlink.unit import ParameterSet
from orchestrator.agent.mavlink.vehicle import Setting, Silent, Vehicle, silence
from orchestrator.autopilot import ARDUPILOT, PX4, Encoded, Table, same, show
from orchestrator.autopilot.numbers import fits
from orchestrator.ports import Audience, Clock, DiskError
from orchestrator.protocol.device import Activate, Check
from orchestrator.protocol.ready import Level, notice
from orchestrator.protocol.types import Digest
from orchestrator.staging.bundle import decode_config
from orchestrator.staging.models import AimConfig
from orchestrator.staging.notes import InvalidInput
from orchestrator.staging.params import encode_params, flat

TABLES: Final = {table.number: table for table in (ARDUPILOT, PX4)}
"""The table of each autopilot by its MAV_AUTOPILOT: today's names only."""

UNCHANGED: Final = -1.0
GIVE_BACK: Final = -3.0
"""Values of DO_GIMBAL_MANAGER_CONFIGURE instead of an id."""

LOCKED: Final = 4 + 8 + 16
"""GIMBAL_MANAGER_FLAGS: roll, pitch and yaw are locked to the earth."""

SETTLE_AGAIN_S: Final = 1.0
ROUNDED_DEG: Final = 0.05
"""What a limit in radians and single precision may be off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MavlinkParts:
    """
    What the adapter is made of.

    ``judges`` are the checks of row D1 that need no autopilot; ``rules`` is the fleet's policy.
    """

    active: ActiveFile
    vehicle: Vehicle
    parameters: ParameterSet
    clock: Clock
    audience: Audience
    judges: Sequence[Judge] = ()
    rules: FlightRules | None = None
    offload: Offload = in_thread
    decode: Callable[[bytes], AimConfig] = decode_config


class MavlinkDevice:
    """
    See :class:`orchestrator.agent.device.Device`. :meth:`run` it beside the agent.

    ``own`` is the configuration that the device's record says is its own: a set of another one
    that a crash left half-written is put back. ``autopilot`` is the one that must answer, by
    its table's name; whoever answers unless given.
    """

    def __init__(
        self, parts: MavlinkParts, *, own: Digest | None, autopilot: str | None = None
    ) -> None:
        self._parts = parts
        self._vehicle = parts.vehicle
        self._own = own
        self._autopilot = autopilot
        self._busy = asyncio.Lock()

    @property
    def flight(self) -> Flight:
        """What the vehicle last said of itself."""
        return self._vehicle.flight

    async def run(self) -> NoReturn:
        """Keep the link, and put a set back that nobody will finish. Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._vehicle.run())
            group.create_task(self._settle())
        raise AssertionError("the link is kept for ever")

    async def _settle(self) -> None:
        while self._parts.parameters.unfinished is not None:
            try:
                async with self._busy:
                    await self._vehicle.heard()
                    await self._parts.parameters.settle(self._own)
            except (DeviceRefused, DiskError) as error:
                told = notice(Level.ERROR, "parameters-half-written", why=str(error))
                self._parts.audience.tell(told)
            await self._parts.clock.sleep(SETTLE_AGAIN_S)

    # --- the port -----------------------------------------------------------------------------

    async def check(self, check: Check) -> tuple[str, ...]:
        """Ask all judges, then the autopilot."""
        reasons = await self._parts.offload(lambda: judged(self._parts.judges, check))
        reasons = (*reasons, *self._flying())
        try:
            config = self._parts.decode(check.data)
        except InvalidInput as invalid:
            return reasons or invalid.reasons
        try:
            return (*reasons, *await self._reasons(config))
        except DeviceRefused as refused:
            return (*reasons, str(refused))

    def _flying(self) -> tuple[str, ...]:
        """Return what the policy has against it; an autopilot that is silent is refused anyway."""
        rules, flight = self._parts.rules, self.flight
        return () if rules is None or not flight.link else rules.against(flight.seen())

    async def _reasons(self, config: AimConfig) -> tuple[str, ...]:
        """Return what the autopilot has against it. Raises DeviceRefused, which is one more."""
        if not self.flight.link:
            raise Silent(silence(self.flight))
        table = self._table()
        present = await self._vehicle.read_all(tuple(table.params))
        encoded = _encoded(config, table, present)
        return (
            *(f"{one.where} {one.why}" for one in encoded.unfit),
            *_misfits(encoded, present),
            *self._reboots(encoded, table, present),
            *_outside(config, await self._vehicle.gimbal()),
        )

    def _reboots(
        self, encoded: Encoded, table: Table, present: dict[str, Setting]
    ) -> Iterator[str]:
        """Yield the parameters that need a restart, which nobody can do in the air."""
        if self.flight.armed is False:
            return
        for name, value in encoded.params.items():
            now = present[name]
            if table.params[name].reboot and not same(now.type, now.value, value):
                yield (
                    f"{name} {show(now.type, now.value)} → {show(now.type, value)} needs a "
                    "restart of the autopilot, which is armed"
                )

    async def activate(self, activate: Activate, data: bytes) -> None:
        """Write the active file, then the parameters that say it (row D3)."""
        await self._parts.offload(lambda: self._parts.active.write(data))
        async with self._busy:
            self._own = activate.digest
            await self._vehicle.heard()
            await self._parts.parameters.settle(activate.digest)
            await self._write(activate, data)

    async def _write(self, activate: Activate, data: bytes) -> None:
        table = self._table()
        present = await self._vehicle.read_all(tuple(table.params))
        encoded = _encoded(self._parts.decode(data), table, present)
        why = [f"{one.where} {one.why}" for one in encoded.unfit] + [*_misfits(encoded, present)]
        if why:
            raise DeviceRefused("; ".join(why))
        target = [
            Setting(name=name, type=present[name].type, value=value)
            for name, value in encoded.params.items()
        ]
        await self._parts.parameters.make(activate.digest, target, present)

    async def hold(self, reasons: tuple[str, ...]) -> None:  # noqa: ARG002 - it is not told why
        """Take the gimbal and freeze its aim."""
        await self._vehicle.heard()
        me = self._vehicle.me
        await self._vehicle.command(
            Verb.GIMBAL_CONFIGURE, me.system, me.component, UNCHANGED, UNCHANGED
        )
        await self._vehicle.command(Verb.GIMBAL_PITCHYAW, math.nan, math.nan, 0, 0, LOCKED)

    async def resume(self, version: int) -> None:
        """Give the gimbal back, unless its parameters are half-written."""
        if self._parts.parameters.unfinished is not None:
            raise DeviceRefused(f"the parameters of version {version} are half-written")
        await self._vehicle.heard()
        await self._vehicle.command(
            Verb.GIMBAL_CONFIGURE, GIVE_BACK, GIVE_BACK, UNCHANGED, UNCHANGED
        )

    def _table(self) -> Table:
        """Return the table of the autopilot that answers. Raises DeviceRefused for another."""
        number = self._vehicle.autopilot
        table = None if number is None else TABLES.get(number)
        if table is None:
            known = ", ".join(one.title for one in TABLES.values())
            raise DeviceRefused(f"the autopilot is of kind {number}; known are {known}")
        if self._autopilot not in {None, table.autopilot}:
            raise DeviceRefused(f"the autopilot is {table.title}, not {self._autopilot}")
        return table


def _encoded(config: AimConfig, table: Table, present: dict[str, Setting]) -> Encoded:
    return encode_params(config, table, {name: one.value for name, one in present.items()})


def _misfits(encoded: Encoded, present: dict[str, Setting]) -> Iterator[str]:
    """Yield values that the autopilot's own type of a parameter can't hold."""
    for name, value in encoded.params.items():
        kind = present[name].type
        if not fits(kind, value):
            yield f"{name} {value:g} does not fit into the {kind.name} of this autopilot"


def _outside(config: AimConfig, gimbal: GimbalRange | None) -> Iterator[str]:
    """Yield the limits that are beyond those of the gimbal's hardware, as it says them."""
    if gimbal is None:
        return
    values = flat(config)
    for axis, (least, most) in (
        ("yaw", gimbal.yaw),
        ("pitch", gimbal.pitch),
        ("roll", gimbal.roll),
    ):
        if not values.get(f"{axis}.enabled", True):
            continue
        low, high = (float(values[f"{axis}.angle_{end}_deg"]) for end in ("min", "max"))
        if low < least - ROUNDED_DEG:
            yield f"{axis} angle_min_deg {low:g} < {least:.1f} of the gimbal's hardware"
        if high > most + ROUNDED_DEG:
            yield f"{axis} angle_max_deg {high:g} > {most:.1f} of the gimbal's hardware"
