"""What a host owes the cores, shown by what happens without it."""

from __future__ import annotations

import pytest

from drone_sim.cores import samples
from drone_sim.cores.ground import BrokenError
from drone_sim.cores.minifleet import Fleet
from orchestrator.protocol import device as dev

D1, D2 = samples.device_id(1), samples.device_id(2)


def moved_on(*, stale_answers: bool) -> Fleet:
    """
    A fleet at version 3, a coordinator that was paused at version 2, and a new unit that greets.

    The paused process wakes up when the unit's HELLO has come in; it still has the fold of the
    day when version 2 was the fleet's.
    """
    fleet = Fleet(2).steady()
    fleet.stale_answers = stale_answers
    zombie = fleet.push("c1", 2, timing=samples.timing(settle_s=60.0))
    assert zombie is not None
    fleet.run(0.9, keep=lambda packet: packet.message.kind == "report")
    fleet.drop()
    assert 2 == fleet.state.version
    zombie.alive = False  # paused
    fleet.force("r1")
    fleet.run(4.0)
    fleet.push("c2", 3)
    fleet.run(4.0)
    assert (3, 3) == (fleet.state.version, fleet.devices[D1].disk.version)
    zombie.alive = True
    fleet.replace_unit(D2)
    fleet.boot(D2)
    return fleet


def test_an_answer_from_an_old_fold_splits_the_fleet() -> None:
    """
    Without a reading of the journal before each HELLO, a zombie enables a unit without memory.

    Nothing in the unit's empty record can tell that the answer is old: its max_epoch is lost.
    """
    fleet = moved_on(stale_answers=True)
    with pytest.raises(BrokenError, match="I25"):
        fleet.deliver_all()


def test_reading_the_journal_first_silences_the_zombie() -> None:
    """With the reading it sees that it was fenced, and says nothing."""
    fleet = moved_on(stale_answers=False)
    fleet.deliver_all()
    assert None is fleet.devices[D2].core.operating  # type: ignore[union-attr]
    fleet.settle("s1")
    fleet.event(D2, dev.Connected())
    fleet.run(3.0)
    assert 3 == fleet.devices[D2].core.operating  # type: ignore[union-attr]
