"""Power loss under SQLite: what was acknowledged is there, whole, wherever the power is cut."""

from __future__ import annotations

import pytest

from drone_sim.power.trial import Careless, Machine
from orchestrator.errors import OperatingError
from orchestrator.ports import StoreUnavailable
from orchestrator.protocol.records import Record
from tests.storage.samples import STORY, noise

CUTS = 40
TOLD = [list(records) for records in STORY]
LONG: list[list[Record]] = [[noise(number)] for number in range(60)]


def seams() -> int:
    """How many points there are in the story to cut the power at."""
    machine = Machine(0)
    machine.play(TOLD)
    count = machine.disk.seams
    machine.found()
    return count


@pytest.mark.parametrize("seed", range(3))
def test_a_cut_at_every_write_and_sync_loses_nothing_that_was_told(seed: int) -> None:
    """Each seam of the story once: what is found is what was told, or one append more."""
    for seam in range(1, seams() + 1):
        machine = Machine(1000 * seed + seam)
        machine.disk.cut_at = seam
        told, tried = machine.play(TOLD)
        assert machine.found() in (told, tried), f"cut at seam {seam}"


def test_a_second_cut_while_the_first_is_recovered() -> None:
    """The power fails again soon after it came back: what was told before is still there."""
    more: list[list[Record]] = [[noise(number)] for number in range(3)]
    for first in range(1, seams() + 1, 7):
        for second in range(1, 30, 4):
            machine = Machine(100 * first + second)
            machine.disk.cut_at = first
            machine.play(TOLD)
            before = machine.found()
            machine.disk.cut_at = machine.disk.seams + second
            told, tried = machine.play(more)
            found = machine.found()
            assert found in (told or before, tried or before), f"cut at {first}, then {second}"


def test_synchronous_normal_would_lose_what_was_told() -> None:
    """The same cuts without the sync at COMMIT: this test can see what FULL is for."""
    lost = 0
    for seed in range(CUTS):
        machine = Machine(seed, medium=Careless)
        told, _ = machine.play(LONG)
        lost += len(machine.found()) < len(told)
    assert CUTS == lost


def test_a_disk_that_lies_loses_what_was_told() -> None:
    """No program can help that; it is found out by what the devices know."""
    lost = 0
    for seed in range(CUTS):
        machine = Machine(seed, lies=True)
        told, _ = machine.play(LONG)
        try:
            lost += len(machine.found()) < len(told)
        except (OperatingError, StoreUnavailable):
            lost += 1  # the file itself is gone
    assert CUTS // 2 < lost
