"""A vehicle behind the port of an agent: its flight state votes, its gimbal obeys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from drone_sim.flight.vehicle import Vehicle
from orchestrator.agent.device import Device, DeviceRefused
from orchestrator.protocol.device import Activate, Check
from orchestrator.staging.bundle import decode_config
from orchestrator.staging.flight import flight_refusals, unsafe_to_activate
from orchestrator.staging.models import AimConfig
from orchestrator.staging.notes import InvalidInput

MS_PER_S: Final = 1000.0


class FlyingDevice:
    """
    See :class:`orchestrator.agent.device.Device`.

    ``inner`` does what there is to do on the disk. ``clock_error_s`` is the bound that the agent
    has of its own clock. Call it where time does not pass for the vehicle meanwhile.
    """

    def __init__(
        self,
        inner: Device,
        vehicle: Vehicle,
        *,
        clock_error_s: Callable[[], float | None],
        decode: Callable[[bytes], AimConfig] = decode_config,
    ) -> None:
        self._inner = inner
        self._vehicle = vehicle
        self._clock_error_s = clock_error_s
        self._decode = decode

    async def check(self, check: Check) -> tuple[str, ...]:
        """Return what speaks against it in the air, then what does on the ground."""
        error_s, vehicle = self._clock_error_s(), self._vehicle
        state = vehicle.state(clock_error_ms=None if error_s is None else error_s * MS_PER_S)
        flying = flight_refusals(vehicle.policy, vehicle.kind, state)
        return (*flying, *await self._inner.check(check))

    async def activate(self, activate: Activate, data: bytes) -> None:
        """Write the file; begin to aim by it, unless the phase is unsafe for that (I30)."""
        await self._inner.activate(activate, data)
        try:
            config = self._decode(data)
        except InvalidInput as invalid:
            raise DeviceRefused("; ".join(invalid.reasons)) from invalid
        error_s = self._clock_error_s()
        state = self._vehicle.state(clock_error_ms=None if error_s is None else error_s * MS_PER_S)
        unsafe = unsafe_to_activate(self._vehicle.policy, state, config)
        if unsafe is not None:
            raise DeviceRefused(f"not now: {unsafe}")
        self._vehicle.configure(config)

    async def hold(self, reasons: tuple[str, ...]) -> None:
        """Hold."""
        await self._inner.hold(reasons)
        self._vehicle.hold()

    async def resume(self, version: int) -> None:
        """Go on."""
        await self._inner.resume(version)
        self._vehicle.resume()
