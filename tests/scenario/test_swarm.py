"""Seeds: each draws one scenario, a valid one, and together they draw everything."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import pytest

from drone_sim.scenario.checks import wrong
from drone_sim.scenario.documents import Recorded, encode
from drone_sim.scenario.model import Scenario, SimulatedDevice, Verb
from drone_sim.scenario.swarm import ACTS_MAX, describe, draw
from drone_sim.scenario.verbs import VERBS, Who

SEEDS = 2_000
PINNED = "ade16fbe9225d4606947f42504071da0fc216e8df5f73020f741e06867b5c1f8"
"""SHA-256 of what the first two hundred seeds draw, on every Python."""

DIGEST = """
import hashlib
from drone_sim.scenario.documents import Recorded, encode
from drone_sim.scenario.swarm import draw
drawn = b"".join(encode(Recorded(scenario=draw(seed))) for seed in range(200))
print(hashlib.sha256(drawn).hexdigest())
"""


@lru_cache(maxsize=1)
def drawn() -> Sequence[Scenario]:
    """What the first seeds draw."""
    return [draw(seed) for seed in range(SEEDS)]


def test_every_seed_draws_something_valid() -> None:
    """What a seed draws can be played: sorted, in range, and not too much of it."""
    assert [] == [
        (scenario.name, *wrong(scenario)) for scenario in drawn() if any(wrong(scenario))
    ]
    assert max(len(scenario.acts) for scenario in drawn()) <= ACTS_MAX


def test_every_verb_is_drawn() -> None:
    """No verb is forgotten: each is in some seed."""
    seen = {act.verb for scenario in drawn() for act in scenario.acts}
    assert set(Verb) == seen


def test_faults_name_those_who_are_there() -> None:
    """Whoever is killed or cut off was started before, or is a device of the fleet."""
    for scenario in drawn():
        there = set(scenario.names)
        for act in scenario.acts:
            if VERBS[act.verb].who is Who.NEW:
                there.add(act.who)
            assert {*act.target, *filter(None, [act.who])} <= there


def test_every_process_has_a_name_of_its_own() -> None:
    """No two processes of a seed are called alike."""
    for scenario in drawn():
        names = Counter(act.who for act in scenario.acts if VERBS[act.verb].who is Who.NEW)
        assert {1} == set(names.values())


def test_leases_only_where_somebody_serves() -> None:
    """A seed with enable leases has a server from its start."""
    for scenario in drawn():
        serving = any(act.verb is Verb.SERVE and act.at_s == 0 for act in scenario.acts)
        assert scenario.pace.lease_s is None or serving


def test_some_seeds_are_without_faults() -> None:
    """Some seeds have no fault at all, others many: what one hides the other shows."""
    faults = [sum(VERBS[act.verb].fault for act in one.acts) for one in drawn()]
    assert SEEDS / 20 < faults.count(0) < SEEDS / 4
    assert max(faults) > 25


def test_what_is_beyond_the_design_is_seldom() -> None:
    """Stores that are rolled back, disks and clocks that lie: in one seed of eight or so."""
    kinds = {Verb.STORE_RESTORED, Verb.STORE_LIES, Verb.DISK_LIES, Verb.CLOCK_DRIFT}
    count = sum(any(act.verb in kinds for act in scenario.acts) for scenario in drawn())
    assert 0.08 * SEEDS < count < 0.2 * SEEDS


def test_some_stories_begin_after_a_long_silence() -> None:
    """So that what devices know of the time grows old; whoever serves does so from the start."""
    quiet = [one for one in drawn() if all(act.at_s > 30 for act in one.acts if act.at_s)]
    assert SEEDS / 20 < len(quiet) < SEEDS / 6


def test_some_links_are_slower_one_way() -> None:
    """All of a fleet then; half of a round trip is far from the truth there."""
    lopsided = [[bool(device.link.up_s) for device in one.devices] for one in drawn()]
    assert SEEDS / 10 < sum(any(found) for found in lopsided) < SEEDS / 5
    assert all(all(found) for found in lopsided if any(found))


def test_a_failed_write_is_mostly_followed_by_a_power_loss() -> None:
    """What a disk has not kept shows only then."""
    fails = [one for one in drawn() if any(a.verb is Verb.FAIL_AT_WRITE for a in one.acts)]
    dark = [one for one in fails if any(a.verb is Verb.CRASH for a in one.acts)]
    assert SEEDS / 20 < len(fails)
    assert len(fails) / 2 < len(dark)


def test_acts_are_placed_in_time() -> None:
    """Everything falls into the safety phase, after which all of it is healed."""
    for scenario in drawn():
        assert all(act.at_s < scenario.safety_s for act in scenario.acts)
        assert all(before.at_s <= after.at_s for before, after in pairwise(scenario.acts))


def test_the_same_seed_draws_the_same() -> None:
    """A seed says all: drawn again, it is equal, and its neighbour is not."""
    assert draw(7) == draw(7)
    assert draw(7) != draw(8)


@pytest.mark.parametrize("hash_seed", ["0", "4711"])
def test_the_same_in_another_process(hash_seed: str) -> None:
    """Whatever PYTHONHASHSEED is, a seed draws the same bytes."""
    here = b"".join(encode(Recorded(scenario=draw(seed))) for seed in range(200))
    there = subprocess.run(
        [sys.executable, "-c", DIGEST],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert hashlib.sha256(here).hexdigest() == there.stdout.strip()


def test_the_same_on_every_python() -> None:
    """
    The first two hundred seeds, as they are drawn on every supported Python.

    Who changes what is drawn changes this on purpose: old seeds mean something else from then on.
    """
    here = b"".join(encode(Recorded(scenario=draw(seed))) for seed in range(200))
    assert PINNED == hashlib.sha256(here).hexdigest()


def test_a_given_fleet_is_kept() -> None:
    """With devices of its own a seed draws what happens to them, not who they are."""
    fleet = (SimulatedDevice(id="arm-1", kind="arm"), SimulatedDevice(id="node-7", kind="node"))
    found = draw(3, devices=fleet)
    assert [("arm-1", "arm"), ("node-7", "node")] == [(d.id, d.kind) for d in found.devices]
    assert draw(4, devices=fleet) != found


def test_one_device_is_a_fleet_too() -> None:
    """Every seed can be played on a fleet of one."""
    lone = (SimulatedDevice(id="d-01"),)
    found = [draw(seed, devices=lone) for seed in range(300)]
    assert [] == [(one.name, *wrong(one)) for one in found if any(wrong(one))]


@pytest.mark.parametrize("seed", range(0, 60, 7))
def test_what_was_drawn_is_told(seed: int) -> None:
    """The description counts every act by its verb, and tells how many devices there are."""
    scenario = draw(seed)
    told = "\n".join(describe(scenario))
    counts = Counter(act.verb.value for act in scenario.acts)
    assert told.startswith(f"seed {seed}: {len(scenario.devices)} devices (")
    assert all(f"{count} {verb}" in told for verb, count in counts.items())
