"""The vehicles of ``drone-sim fleet --fly``: real time passes, and they say how they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Final, NoReturn

from drone_sim.flight.gimbals import BLOCK_S
from drone_sim.flight.health import Health
from drone_sim.flight.squadron import Squadron
from drone_sim.flight.vehicle import Vehicle
from orchestrator.agent.disk import READABLE, Disk
from orchestrator.agent.lane import Offload, in_thread
from orchestrator.ports import Audience, Clock, DiskError
from orchestrator.protocol.ready import Level, notice
from orchestrator.staging.fleet import Device, FleetFile

SCHEMA: Final = 1

HEALTH: Final = ".flight.json"
"""Beside a device's active file; no configuration can be called so."""

TELLS_EVERY_S: Final = 1.0

LATE_MAX_S: Final = 0.5
"""Time beyond this is left out: nobody flies while the machine sleeps, or is far too slow."""


class Flights:
    """
    All vehicles of one process. :meth:`run` it until it is cancelled.

    ``directory`` has a directory for each device, in which its health is written once a second,
    whole but not durably. ``audience`` is told where that fails, once for each reason.
    """

    def __init__(
        self,
        fleet: FleetFile,
        *,
        seed: int,
        clock: Clock,
        disk: Disk,
        directory: Path,
        audience: Audience,
        offload: Offload = in_thread,
    ) -> None:
        self._fleet = fleet
        self._seed = seed
        self._clock = clock
        self._disk = disk
        self._directory = directory
        self._audience = audience
        self._offload = offload
        self._squadron = Squadron()
        self._trouble = ""

    def vehicle(self, device: Device) -> Vehicle:
        """Return the vehicle of a device, which flies from now on."""
        vehicle = Vehicle(
            device=device.id,
            kind=device.kind,
            profile=self._fleet.profile_of(device),
            policy=self._fleet.policy_of(device.kind),
            seed=self._seed,
        )
        self._squadron.add(vehicle)
        return vehicle

    def health(self) -> dict[str, Health]:
        """Return how each vehicle is, by device."""
        return {vehicle.id: vehicle.health() for vehicle in self._squadron.vehicles}

    async def run(self) -> NoReturn:
        """Let real time pass."""
        flown_s, told_s, before = 0.0, 0.0, self._clock.monotonic()
        while True:
            await self._clock.sleep(BLOCK_S)
            now = self._clock.monotonic()
            flown_s += min(now - before, LATE_MAX_S)
            before = now
            self._squadron.go_to(flown_s)
            if flown_s - told_s >= TELLS_EVERY_S:
                told_s = flown_s
                await self._tell()

    async def _tell(self) -> None:
        texts = {vehicle.id: encoded(vehicle) for vehicle in self._squadron.vehicles}
        trouble = await self._offload(lambda: self._write(texts))
        if trouble and trouble != self._trouble:
            self._audience.tell(notice(Level.WARNING, "health-not-written", why=trouble))
        self._trouble = trouble

    def _write(self, texts: Mapping[str, bytes]) -> str:
        """Write all of them; return what went wrong with the last that failed."""
        trouble = ""
        for device, text in texts.items():
            try:
                self._put(self._directory / device / HEALTH, text)
            except DiskError as error:
                trouble = str(error)
        return trouble

    def _put(self, path: Path, text: bytes) -> None:
        beside = path.with_name(f"{HEALTH}.new")
        file = self._disk.create(beside, READABLE)
        try:
            file.write(text)
        except DiskError:
            with suppress(DiskError):
                self._disk.remove(beside)
            raise
        finally:
            file.close()
        self._disk.rename(beside, path)


def encoded(vehicle: Vehicle) -> bytes:
    """Return how a vehicle is, as one line of JSON; times are those of its flight, in s."""
    lost = vehicle.lost()
    document = {
        "schema": SCHEMA,
        "type": "flight",
        "device": vehicle.id,
        "at_s": round(vehicle.at_s, 3),
        **asdict(vehicle.health()),
        "held": vehicle.held,
        "held_s": round(vehicle.held_s, 3),
        "lost": {"from": lost.taken_from, "amount": round(lost.amount, 6), "unit": lost.unit},
    }
    return (json.dumps(document, ensure_ascii=False) + "\n").encode()
