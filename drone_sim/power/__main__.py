"""
Cut the power under SQLite at a point drawn by chance, many times, and count what was lost.

``python -m drone_sim.power --cuts 400``: the store's own settings must lose nothing that it has
acknowledged. Beside it the same cuts with ``synchronous = NORMAL``, and on a disk whose syncs do
nothing: they show that this test can see a loss.
"""

from __future__ import annotations

import argparse
import sys
from typing import Final

from drone_sim.power.medium import PowerMedium
from drone_sim.power.trial import Careless, Machine
from drone_sim.scenario.chance import stream
from orchestrator.errors import OperatingError
from orchestrator.ports import StoreUnavailable
from orchestrator.protocol.errors import InvariantViolation
from orchestrator.protocol.records import LockReleased, LockState, LockTaken, Record
from orchestrator.protocol.types import Epoch, Owner

APPENDS: Final = 40
SEAMS: Final = 330
"""How many seams there are, about, before the last append: the cut comes at one of them."""

OWNER: Final = Owner(
    user="mira",
    host="aim-control",
    machine_id="m",
    boot_id="b",
    pid_namespace="n",
    pid=1,
    start_ticks=1,
    program="aimctl push",
)
KINDS: Final = (
    ("synchronous = FULL", PowerMedium, False),
    ("synchronous = NORMAL", Careless, False),
    ("a disk that lies", PowerMedium, True),
)


def story() -> list[list[Record]]:
    """Take the lock and give it back, again and again."""
    found: list[list[Record]] = []
    for number in range(1, APPENDS, 2):
        taken = LockTaken(
            epoch=Epoch(1, number), state=LockState.HELD, owner=OWNER, purpose="push"
        )
        found += [[taken], [LockReleased(epoch=Epoch(1, number + 1), by=OWNER)]]
    return found


def loses(seed: int, medium: type[PowerMedium], *, lies: bool) -> bool:
    """Cut once; whether something that was acknowledged is gone, or the whole file."""
    machine = Machine(seed, lies=lies, medium=medium)
    machine.disk.cut_at = 1 + stream(seed, "cut").randrange(SEAMS)
    told, tried = machine.play(story())
    try:
        found = machine.found()
    except (OperatingError, StoreUnavailable, InvariantViolation):
        return True
    return found not in (told, tried)


def main() -> int:
    """Cut as often as asked; 1 if the store's own settings have lost anything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cuts", type=int, default=400, help="how often, each kind")
    cuts = parser.parse_args().cuts
    lost = {
        name: sum(loses(seed, medium, lies=lies) for seed in range(cuts))
        for name, medium, lies in KINDS
    }
    for name, count in lost.items():
        sys.stdout.write(f"{name:22} {count:5} of {cuts} cuts lost what was acknowledged\n")
    return 1 if lost[KINDS[0][0]] else 0


if __name__ == "__main__":
    sys.exit(main())
