"""
A set of parameters as one unit: written wholly, or put back wholly.

Written down before the first is touched, each echoed, all read back at the end. A value that the
autopilot does not take makes the whole set be put back. What a crash leaves is finished where
the device's record says that it is the device's, else put back; until then nothing else is done.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from orchestrator.agent.device import DeviceRefused
from orchestrator.agent.lane import Offload
from orchestrator.agent.mavlink.journal import SetJournal, Unfinished
from orchestrator.agent.mavlink.vehicle import Rejected, Setting, Vehicle, rejection
from orchestrator.faultpoints import FaultPoints
from orchestrator.protocol.types import Digest

VERIFIED_AGAIN: Final = 2
"""How often a set that reads back wrong is written once more: a late packet may have lied."""


class ParameterSet:
    """The set of one autopilot. No two calls overlap."""

    def __init__(
        self, vehicle: Vehicle, journal: SetJournal, *, offload: Offload, faults: FaultPoints
    ) -> None:
        self._vehicle = vehicle
        self._journal = journal
        self._offload = offload
        self._faults = faults
        self._refused: str | None = None
        """The parameter that was refused last. It is tried first: the others are spared."""

    @property
    def unfinished(self) -> Unfinished | None:
        """The set that was begun and not ended."""
        return self._journal.unfinished

    async def settle(self, own: Digest | None) -> None:
        """Put a half-written set back, unless it is that of ``own``, which is to be finished."""
        unfinished = self._journal.unfinished
        if unfinished is not None and unfinished.digest != own:
            await self._put_back(unfinished)

    async def make(
        self, digest: Digest, target: Iterable[Setting], present: Mapping[str, Setting]
    ) -> None:
        """
        Make the autopilot hold ``target``, the set of ``digest``.

        ``present`` is what it holds now. Raises Rejected when it is wholly as it was before;
        Silent when the set is left to be finished; DiskError.
        """
        wanted = tuple(target)
        begun = self._journal.unfinished
        if begun is not None and begun.target != wanted:  # another table has begun it
            await self._put_back(begun)
            present = await self._vehicle.read_all(tuple(one.name for one in wanted))
            begun = None
        if begun is None:
            if all(present[one.name].equals(one) for one in wanted):
                return
            previous = tuple(present[one.name] for one in wanted)
            begun = Unfinished(digest=digest, target=wanted, previous=previous)
            await self._begin(begun)
        try:
            await self._write("set", begun.target)
        except Rejected as refused:
            await self._undo(begun, refused)
        await self._end()

    async def _undo(self, begun: Unfinished, refused: Rejected) -> None:
        try:
            await self._put_back(begun)
        except DeviceRefused as stuck:
            raise Rejected(f"{refused}; and the former set is not back yet: {stuck}") from refused
        raise Rejected(f"{refused}; the former set is back") from refused

    async def _put_back(self, unfinished: Unfinished) -> None:
        await self._write("back", unfinished.previous)
        await self._end()

    async def _begin(self, unfinished: Unfinished) -> None:
        self._faults.hit("mavlink:journal:before")
        await self._offload(lambda: self._journal.begin(unfinished))
        self._faults.hit("mavlink:journal:after")

    async def _end(self) -> None:
        self._faults.hit("mavlink:end:before")
        await self._offload(self._journal.end)
        self._faults.hit("mavlink:end:after")

    async def _write(self, what: str, settings: tuple[Setting, ...]) -> None:
        """Write those that differ, then read all back. Raises Rejected or Silent."""
        wrong = await self._wrong(settings)
        for _ in range(VERIFIED_AGAIN):
            for asked, _got in sorted(wrong, key=lambda pair: pair[0].name != self._refused):
                self._faults.hit(f"mavlink:{what}:{_point(asked)}:before")
                await self._try(asked)
                self._faults.hit(f"mavlink:{what}:{_point(asked)}:after")
            wrong = await self._wrong(settings)
            if not wrong:
                return
        raise rejection(*wrong[0])

    async def _try(self, asked: Setting) -> None:
        try:
            await self._vehicle.write(asked)
        except Rejected:
            self._refused = asked.name
            raise

    async def _wrong(self, settings: tuple[Setting, ...]) -> list[tuple[Setting, Setting]]:
        found = await self._vehicle.read_all(tuple(one.name for one in settings))
        return [(one, found[one.name]) for one in settings if not found[one.name].equals(one)]


def _point(setting: Setting) -> str:
    return setting.name.lower().replace("_", "-")
