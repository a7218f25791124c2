"""What people say of devices, and what they do for a fleet that is healed."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import Final, Protocol

from drone_sim.checker import Said
from drone_sim.scenario.model import Act
from drone_sim.scenario.verbs import word_of
from drone_sim.shells.fleetware import Fleetware
from drone_sim.shells.hosts import Work
from drone_sim.shells.truth import Truth, story_s
from orchestrator.errors import Exit, OperatingError
from orchestrator.protocol.device import Durable
from orchestrator.protocol.orchestration import Timing
from orchestrator.protocol.types import DeviceId, Outcome, TxnId
from orchestrator.service import devices, locks, reading
from orchestrator.service.reading import FleetView
from orchestrator.service.results import DeviceWord
from orchestrator.service.world import World

UNHEARD: Final = frozenset({DeviceWord.UNKNOWN, DeviceWord.OFFLINE})


class Visible(Protocol):
    """A device that somebody stands beside: they see its record."""

    durable: Durable


def heard_s(world: World, at: float) -> float:
    """Return which instant of the story the clock of a process calls ``at``."""
    return story_s() - (world.clock.now() - at)


class People:
    """
    Whoever knows the devices: ``beside`` are those of the run, by their id.

    ``must_reseed`` says after :meth:`look` whether the devices were heard to know more than the
    journal.
    """

    def __init__(
        self, truth: Truth, ware: Fleetware, beside: Mapping[str, Visible], timing: Timing
    ) -> None:
        self.must_reseed = False
        self._truth = truth
        self._ware = ware
        self._beside = beside
        self._timing = timing

    def _word(self, device: str, reason: str = "drill") -> devices.Word:
        return devices.Word(fleet=self._ware.id, device=DeviceId(device), reason=reason)

    def retire(self, act: Act) -> Work:
        """Take devices out for good; members of the open transaction are passed over."""

        async def work(world: World) -> str:
            known = [name for name in act.target if name in self._beside]
            said = [
                await self.tried(_retired(world, self._word(name)), Exit.HOT) for name in known
            ]
            return "; ".join(said) or "nobody of that name"

        return work

    def decide(self, act: Act) -> Work:
        """Let devices in doubt operate on a person's word."""
        outcome = Outcome(word_of(act))

        async def work(world: World) -> str:
            doubts = [
                (name, self._beside[name].durable.prepared)
                for name in act.target
                if name in self._beside
            ]
            said = [
                await self.tried(self._decided(world, name, prepared.txn, outcome), Exit.USAGE)
                for name, prepared in doubts
                if prepared is not None
            ]
            return "; ".join(said) or "nobody is in doubt"

        return work

    async def _decided(self, world: World, device: str, txn: TxnId, outcome: Outcome) -> str:
        acted = await devices.decide(world, self._word(device), txn, outcome, self._timing)
        return acted.message

    async def tried(self, doing: Coroutine[None, None, str], *also: Exit) -> str:
        """
        Return what came of it, or why it can't be done now.

        Only of ``also``, where they are given; any other error is raised.
        """
        try:
            return await doing
        except OperatingError as error:
            if also and error.exit_code not in also:
                raise
            return error.message.partition("\n")[0]

    # --- after everything is healed -------------------------------------------------------------

    async def look(self, world: World) -> list[str]:
        """Look at the fleet as ``status`` does, and settle the words that may be settled."""
        view = await reading.status(world, self._ware.id, self._ware.members)
        self._told(world, view)
        state = await locks.read_fleet(world, self._ware.id)
        self.must_reseed = bool(view.contradictions) or state.reseeding is not None
        return [
            await self.tried(_settled(world, self._word(device, "looked at")))
            for device in state.heuristics
        ]

    def _told(self, world: World, view: FleetView) -> None:
        checker = self._truth.checker
        for device, seen in view.devices.items():
            known = seen.state not in UNHEARD
            heard_at = None if seen.heard_at is None else heard_s(world, seen.heard_at)
            said = Said(
                device=device,
                known=known,
                version=seen.version if known else None,
                operating=seen.operating if known else None,
                heard_at_s=heard_at,
            )
            checker.told(said)
        self._truth.look()


async def _retired(world: World, word: devices.Word) -> str:
    await devices.retire(world, word)
    return f"{word.device} is retired"


async def _settled(world: World, word: devices.Word) -> str:
    await devices.settle(world, word)
    return f"the word for {word.device} is settled"
