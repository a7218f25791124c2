"""Ways out of a rolled-back store that are none: one rule of a reseed taken out of each."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final

from drone_sim.mutants.mutant import Mutant, Patch, coordinator, replaced
from orchestrator.protocol import reseed
from orchestrator.protocol.coordinator import Coordinator
from orchestrator.protocol.evidence import Witness
from orchestrator.protocol.fleet import FleetState
from orchestrator.protocol.messages import DeviceState
from orchestrator.protocol.records import Adopted, Record, Reseeded
from orchestrator.protocol.reseed import adopt as _adopt  # as it is before it is replaced
from orchestrator.protocol.reseed import begin as _begin
from orchestrator.protocol.types import DeviceId, Epoch, Owner


class AbortsUnheard(Coordinator):
    """Ends a reseed by what was heard, whoever was not."""

    def _adopt(self, now: float) -> tuple[Record, ...]:
        records = super()._adopt(now)
        if self.doubtful is None or self.epoch is None:
            return records
        self._final, self.doubtful = None, None
        found = reseed.adopt(self.state, self.epoch, self.witness, (), "c")
        return () if isinstance(found, reseed.Doubtful) else found


def trust_the_backup(
    state: FleetState,
    epoch: Epoch,
    _witness: Witness,
    _unheard: tuple[DeviceId, ...],
    config: str,
) -> tuple[Record, ...] | reseed.Doubtful:
    """End a reseed by the journal alone, whatever the devices have recorded."""
    return _adopt(state, epoch, Witness(), (), config)


def begin_below(
    state: FleetState,
    told: Mapping[DeviceId, DeviceState],
    by: Owner,
    reason: str,
    members: Collection[DeviceId] = (),
) -> tuple[Record, ...]:
    """Begin a reseed without a look at how far the devices have counted."""
    return _counting_on(_begin(state, told, by, reason, members))


def end_below(
    state: FleetState,
    epoch: Epoch,
    witness: Witness,
    unheard: tuple[DeviceId, ...],
    config: str,
) -> tuple[Record, ...] | reseed.Doubtful:
    """End it so: go on counting where the backup ends."""
    found = _adopt(state, epoch, witness, unheard, config)
    return found if isinstance(found, reseed.Doubtful) else _counting_on(found)


def _counting_on(records: Sequence[Record]) -> tuple[Record, ...]:
    return tuple(
        replace(one, last_seq=0) if isinstance(one, Reseeded | Adopted) else one for one in records
    )


def nothing_contradicts(_fleet: FleetState, _told: DeviceState) -> None:
    """Believe the journal, whatever a device knows that it lacks."""


_RESEED: Final = "orchestrator.protocol.reseed"

MUTANTS: Final[tuple[Mutant, ...]] = (
    coordinator(
        "aborts-unheard",
        "a reseed gives no ABORT before every member was heard",
        AbortsUnheard,
        "I1",
        "I2",
        "I17",
    ),
    replaced(
        "trusts-the-backup",
        "a reseed adopts what devices have recorded",
        (_RESEED, "adopt", trust_the_backup),
        "I1",
        "I2",
        "I5",
        "I6",
        "I28",
    ),
    Mutant(
        name="counts-on-after-a-reseed",
        rule="seq goes on above every last_seq",
        breaks=("I4", "I6", "I11", "I28"),
        patches=(
            Patch(where=_RESEED, name="begin", value=begin_below),
            Patch(where=_RESEED, name="adopt", value=end_below),
        ),
    ),
    replaced(
        "believes-the-backup",
        "a store that devices contradict is refused",
        ("orchestrator.protocol.answers", "contradiction", nothing_contradicts),
        "I4",
        "I6",
        "I9",
        "I11",
    ),
)
