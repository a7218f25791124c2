"""
A random walk that ends with a store restored from an old backup, and a reseed (DESIGN §6).

Whatever the journal has lost, if a device knows it then that is found out; a reseed that hears
everybody ends; afterwards nobody is in doubt and the fleet operates one version. Agreement itself
can't be held under lost durable writes, but between devices it holds here: all were heard.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hypothesis import strategies as st
from hypothesis.stateful import initialize

from drone_sim.cores.yard import Yard
from orchestrator.protocol import answers
from orchestrator.protocol import device as dev
from orchestrator.protocol.coordinator import Phase
from orchestrator.protocol.messages import DeviceState
from orchestrator.protocol.types import DeviceId
from tests.protocol.lock_machine import LockMachine, end_the_faults, get_well
from tests.protocol.machine import WELL_S

LOST_MAX: Final = 12


class RollbackMachine(LockMachine):
    """Everything that the walk around the lock has; then the store loses its end."""

    def __init__(self) -> None:
        super().__init__()
        self.lost = 0

    @initialize(lost=st.integers(1, LOST_MAX))
    def how_much(self, lost: int) -> None:
        self.lost = lost

    def teardown(self) -> None:
        """Restore the backup; where a device contradicts it, reseed, and get well."""
        fleet = self.fleet
        if not fleet.state.head:
            return
        end_the_faults(fleet)
        fleet.roll_back(self.lost)
        if any(answers.contradiction(fleet.state, one) for one in told(fleet).values()):
            _reseed(fleet)
        else:  # nothing is lost that anybody could miss
            fleet.rolled_back = False
            get_well(fleet)


def told(fleet: Yard) -> Mapping[DeviceId, DeviceState]:
    """What every device that is up says of itself."""
    return {
        name: device.core.state(device.reading(fleet.now))
        for name, device in fleet.devices.items()
        if device.core is not None
    }


def _reseed(fleet: Yard) -> None:
    driver = fleet.reseed("reseeder")
    fleet.run(WELL_S / 2, step_s=0.25)
    doubtful = driver.core.doubtful
    if doubtful is not None:  # only where somebody is in doubt about what all others have left
        assert ((), True) == (doubtful.unheard, bool(doubtful.waiting)), doubtful
        return
    assert Phase.DONE is driver.core.phase
    fleet.settle_words()
    fleet.serve(fleet.state.lease_s)
    for name in fleet.devices:
        fleet.event(name, dev.Connected())
    fleet.run(WELL_S, step_s=0.25)
    state = fleet.state
    for name, device in fleet.devices.items():
        if name in state.retired:
            continue
        assert device.core is not None
        assert None is device.disk.prepared, name
        if state.digest_of(name) is not None:
            assert state.version == device.disk.version == device.core.operating, name
        else:  # left out of a version that the journal has lost: it holds until the next push
            assert device.core.operating in (None, state.version), name
    for one in told(fleet).values():
        assert None is answers.contradiction(state, one)
