"""What the simulated fleet tells of a device that has a lease or a person's word."""

from __future__ import annotations

import json
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from orchestrator.faultpoints import VARIABLE
from orchestrator.protocol.device import Holding
from orchestrator.protocol.types import Outcome
from tests.agent.stub import CONFIG, Orchestrator, config
from tests.sim.simulators import DroneSim, StartBroker, drone_sim, home_of, orchestrator

OLD, NEW = config(90), config(110)


async def lines_after(
    boss: Orchestrator, sim: DroneSim, act: Callable[[], Awaitable[object]]
) -> list[dict[str, object]]:
    """Push a version, then do something, and return the lines of the whole life."""
    await sim.start()
    await boss.push(1, OLD)
    await act()
    _, out = await sim.stop()
    return [json.loads(line) for line in out.splitlines()]


async def test_a_lease_that_is_over_is_told(mosquitto: StartBroker, tmp_path: Path) -> None:
    """The line of a device that holds for its lease says so."""
    home, broker = home_of(tmp_path, "d-01"), mosquitto()
    async with (
        orchestrator(broker, "d-01") as boss,
        drone_sim(home, broker, "--output", "jsonl") as sim,
    ):
        boss.lease_s = 1.5

        async def nobody_answers() -> None:
            boss.answering = False
            await boss.state("d-01", lambda state: Holding.LEASE in state.holds)

        lines = await lines_after(boss, sim, nobody_answers)
    assert (None, [Holding.LEASE]) == (lines[-1]["operating"], lines[-1]["holds"])


async def test_a_word_is_told(mosquitto: StartBroker, tmp_path: Path) -> None:
    """The lines show the word, that the device operates on it, and that it is still in doubt."""
    home, broker = home_of(tmp_path, "d-01"), mosquitto()
    async with (
        orchestrator(broker, "d-01") as boss,
        drone_sim(home, broker, "--output", "jsonl") as sim,
    ):

        async def a_person_says_commit() -> None:
            prepare = await boss.prepare(2, NEW, window_s=0.5)
            await boss.votes(prepare.txn)
            await boss.state("d-01", lambda state: Holding.DOUBT in state.holds)
            await boss.say(prepare.txn, Outcome.COMMIT, "d-01")
            await boss.state("d-01", lambda state: state.operating == 2)

        lines = await lines_after(boss, sim, a_person_says_commit)
    told = [(line["heuristic"], line["operating"], line["prepared"]) for line in lines]
    assert (None, None, "t2") in told
    assert ("commit", 2, "t2") == told[-1]
    assert NEW == (home / "d-01" / CONFIG).read_bytes()


@pytest.mark.parametrize("point", ["save:heuristic:before", "save:heuristic:after"])
async def test_kill_9_at_a_word(mosquitto: StartBroker, tmp_path: Path, point: str) -> None:
    """A device that is killed while it stores a word has it or not; the decision is obeyed."""
    home, broker = home_of(tmp_path, "d-01"), mosquitto()
    async with orchestrator(broker, "d-01") as boss:
        async with drone_sim(home, broker, **{VARIABLE: f"kill@{point}"}) as sim:
            await sim.start()
            await boss.push(1, OLD)
            prepare = await boss.prepare(2, NEW, window_s=1.0)
            await boss.votes(prepare.txn)
            await boss.say(prepare.txn, Outcome.COMMIT, "d-01")
            assert -signal.SIGKILL == (await sim.ended())[0]
        boss.heard.clear()
        async with drone_sim(home, broker) as sim:
            await sim.start()
            word = Outcome.COMMIT if point.endswith("after") else None
            state = await boss.state("d-01", lambda state: state.prepared == prepare.txn)
            assert word == state.heuristic
            await boss.decide(prepare, Outcome.ABORT)
            await boss.state("d-01", lambda state: state.outcome is Outcome.ABORT)
            await boss.state("d-01", lambda state: (state.last_seq, state.operating) == (2, 1))
    assert OLD == (home / "d-01" / CONFIG).read_bytes()
