"""A device in doubt that operates on a person's word, and obeys the decision when it comes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from drone_sim.disk import Choose, PowerLost, everything_survives, nothing_survives
from orchestrator.protocol.device import Holding
from orchestrator.protocol.messages import DeviceState, Prepare
from orchestrator.protocol.types import Outcome, TxnId
from tests.agent.stub import Orchestrator
from tests.agent.virtual import virtual, virtual_world
from tests.agent.worlds import D1, NEW, OLD, World, until

ABORT, COMMIT = Outcome.ABORT, Outcome.COMMIT
AGAIN_S = 1.0
WINDOW_S = 0.5
LONG_S = 10.0
"""Far beyond ``activate_at``, and long enough for whatever is done again and again."""


async def in_doubt(boss: Orchestrator) -> Prepare:
    """Push version 1, let the device vote on version 2, and wait until it has held for long."""
    await boss.state(D1, lambda state: state.clock_error_s is None)
    await boss.push(1, OLD)
    prepare = await boss.prepare(2, NEW, window_s=WINDOW_S)
    await boss.votes(prepare.txn)
    await boss.state(D1, lambda state: Holding.DOUBT.value in state.holds)
    await asyncio.sleep(LONG_S)
    return prepare


@asynccontextmanager
async def doubting(world: World) -> AsyncIterator[tuple[Orchestrator, Prepare]]:
    """A device that was told to hold at version 1, in doubt about version 2."""
    async with world.orchestrator() as boss, world.device():
        prepare = await in_doubt(boss)
        await until(lambda: world.controller.told[-1] == "hold")
        world.controller.told.clear()
        boss.heard.clear()
        yield boss, prepare


def words(world: World) -> int:
    """How many words the device has stored."""
    return world.passed.count("save:heuristic:after")


# --- one word -----------------------------------------------------------------------------------


@virtual
async def test_commit_makes_it_operate_the_staged_version() -> None:
    """The active file has the new bytes, and the controller is told as at any activation."""
    world = virtual_world()
    async with doubting(world) as (boss, prepare):
        await boss.say(prepare.txn, COMMIT, D1)
        await boss.state(D1, lambda state: state.operating == 2)
        await until(lambda: world.controller.told == ["activate 2", "resume 2"])
        assert NEW == world.active


@virtual
async def test_abort_makes_it_operate_the_old_version() -> None:
    """The active file is untouched, and the controller is told to go on."""
    world = virtual_world()
    async with doubting(world) as (boss, prepare):
        await boss.say(prepare.txn, ABORT, D1)
        await boss.state(D1, lambda state: state.operating == 1)
        await until(lambda: world.controller.told == ["resume 1"])
        assert OLD == world.active


@pytest.mark.parametrize("word", Outcome)
@virtual
async def test_what_was_promised_stays(word: Outcome) -> None:
    """It tells the word and that it is still in doubt; version and last_seq are the old ones."""
    world = virtual_world()
    async with doubting(world) as (boss, prepare):
        await boss.say(prepare.txn, word, D1)
        state = await boss.state(D1, lambda state: state.heuristic is word)
        assert prepare.txn == state.prepared
        assert (1, 1, TxnId("t1")) == (state.version, state.last_seq, state.outcome_txn)


@virtual
async def test_a_word_is_durable_before_it_is_told() -> None:
    """No message tells of a word that a power loss would take back (I13)."""
    world = virtual_world()
    async with doubting(world) as (boss, prepare):
        await boss.say(prepare.txn, COMMIT, D1)
        await boss.state(D1, lambda state: state.operating == 2)
    told = [(getattr(message, "state", None), kept) for message, kept in world.sent]
    words = [(state.heuristic, kept.heuristic) for state, kept in told if state is not None]
    assert (COMMIT, COMMIT) in words
    assert all(kept is COMMIT for said, kept in words if said is COMMIT)


@virtual
async def test_the_word_has_a_fault_point() -> None:
    """A test can end the process before and after its save."""
    world = virtual_world()
    async with doubting(world) as (boss, prepare):
        await boss.say(prepare.txn, COMMIT, D1)
        await boss.state(D1, lambda state: state.heuristic is COMMIT)
    wanted = ["save:heuristic:before", "save:heuristic:after"]
    assert wanted == [name for name in world.passed if "heuristic" in name]


@virtual
async def test_the_same_word_again_is_told_not_stored() -> None:
    """A repeated message costs a report, and the controller hears nothing."""
    world = virtual_world()
    async with doubting(world) as (boss, prepare):
        await boss.say(prepare.txn, ABORT, D1)
        await until(lambda: world.controller.told == ["resume 1"])
        told = len(boss.states(D1))
        await boss.say(prepare.txn, ABORT, D1)
        await boss.until(lambda: len(boss.states(D1)) > told)
        assert (1, ["resume 1"]) == (words(world), world.controller.told)


@virtual
async def test_another_word_replaces_the_first() -> None:
    """Who has said commit may still say abort: the old bytes come back."""
    world = virtual_world()
    async with doubting(world) as (boss, prepare):
        await boss.say(prepare.txn, COMMIT, D1)
        await boss.state(D1, lambda state: state.operating == 2)
        await boss.say(prepare.txn, ABORT, D1)
        await boss.state(D1, lambda state: (state.heuristic, state.operating) == (ABORT, 1))
        await until(lambda: world.controller.told[-1] == "resume 1")
        assert OLD == world.active


@pytest.mark.parametrize("txn", ["t1", "t3"])
@virtual
async def test_a_word_on_another_transaction_is_ignored(txn: str) -> None:
    """It is in doubt about one transaction, and goes on holding."""
    world = virtual_world()
    async with doubting(world) as (boss, _):
        await boss.say(TxnId(txn), COMMIT, D1)
        await asyncio.sleep(LONG_S)
        assert (0, []) == (words(world), world.controller.told)


@virtual
async def test_without_a_doubt_there_is_nothing_to_say() -> None:
    """A device that knows the outcome takes nobody's word for another one."""
    world = virtual_world()
    async with doubting(world) as (boss, prepare):
        await boss.decide(prepare, ABORT)
        await boss.state(D1, lambda state: state.operating == 1)
        await boss.say(prepare.txn, COMMIT, D1)
        await asyncio.sleep(LONG_S)
        assert (0, OLD) == (words(world), world.active)


@pytest.mark.parametrize(("word", "version"), [(ABORT, 1), (COMMIT, 2)])
@virtual
async def test_a_restart_does_not_end_it(word: Outcome, version: int) -> None:
    """The record has the word: it operates on it again, though nobody answers."""
    world = virtual_world()
    async with world.orchestrator() as boss:
        async with world.device():
            prepare = await in_doubt(boss)
            await boss.say(prepare.txn, word, D1)
            await boss.state(
                D1, lambda state: (state.heuristic, state.operating) == (word, version)
            )
        world.disk.reboot()
        boss.answering = False
        world.controller.told.clear()
        async with world.device() as agent:
            again = ["hold", f"activate {version}", f"resume {version}"]
            await until(lambda: world.controller.told == again)
            assert prepare.txn == agent.state().prepared


@virtual
async def test_it_outlives_its_lease() -> None:
    """A person who lets it operate need not be asked again after each lease."""
    world = virtual_world()
    world.boss.lease_s = 3.0
    async with doubting(world) as (boss, prepare):
        await boss.say(prepare.txn, ABORT, D1)
        await until(lambda: world.controller.told == ["resume 1"])
        boss.answering = False
        await asyncio.sleep(60.0)
        assert ["resume 1"] == world.controller.told


# --- the decision after it ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What a person says, what is decided in truth, and the version and bytes after each."""

    word: Outcome
    decision: Outcome
    meanwhile: tuple[int, bytes]
    end: tuple[int, bytes]


RIGHT = History(word=COMMIT, decision=COMMIT, meanwhile=(2, NEW), end=(2, NEW))
RIGHT_TOO = History(word=ABORT, decision=ABORT, meanwhile=(1, OLD), end=(1, OLD))
TOO_EARLY = History(word=COMMIT, decision=ABORT, meanwhile=(2, NEW), end=(1, OLD))
TOO_CAREFUL = History(word=ABORT, decision=COMMIT, meanwhile=(1, OLD), end=(2, NEW))
HISTORIES = {
    "right": RIGHT,
    "right too": RIGHT_TOO,
    "too early": TOO_EARLY,
    "too careful": TOO_CAREFUL,
}


def over(history: History) -> Callable[[DeviceState], bool]:
    """Return a condition: the device has obeyed the decision and operates as it says."""
    version = history.end[0]
    return lambda state: (
        (state.outcome, state.prepared, state.heuristic) == (history.decision, None, None)
        and (state.version, state.operating, state.pending) == (version, version, False)
    )


@pytest.mark.parametrize("history", HISTORIES.values(), ids=HISTORIES)
@virtual
async def test_the_decision_is_obeyed_whatever_the_word_was(history: History) -> None:
    """The active file has the decided bytes, and the controller aims with them."""
    world = virtual_world()
    async with doubting(world) as (boss, prepare):
        await boss.say(prepare.txn, history.word, D1)
        await boss.state(D1, lambda state: state.operating == history.meanwhile[0])
        assert history.meanwhile[1] == world.active
        await boss.decide(prepare, history.decision)
        await boss.state(D1, over(history))
        await until(lambda: world.controller.told[-1] == f"resume {history.end[0]}")
        assert history.end[1] == world.active


@pytest.mark.parametrize("history", [TOO_EARLY, TOO_CAREFUL], ids=["too early", "too careful"])
@virtual
async def test_it_holds_between_the_word_and_the_decision(history: History) -> None:
    """Nobody gets other bytes while it aims: hold, activate, and be confirmed before it aims."""
    world = virtual_world()
    async with doubting(world) as (boss, prepare):
        await boss.say(prepare.txn, history.word, D1)
        resumed = f"resume {history.meanwhile[0]}"
        await until(lambda: world.controller.told[-1:] == [resumed])
        boss.answering = False
        world.controller.told.clear()
        await boss.decide(prepare, history.decision)
        await asyncio.sleep(LONG_S)
        assert ["hold", f"activate {history.end[0]}"] == world.controller.told
        boss.answering = True
        await until(lambda: world.controller.told[-1] == f"resume {history.end[0]}")


# --- the power goes -----------------------------------------------------------------------------


async def insist(
    boss: Orchestrator, say: Callable[[], Awaitable[None]], done: Callable[[DeviceState], bool]
) -> None:
    """Say it again and again until the device's last word on itself is ``done``."""
    while not any(done(state) for state in boss.states(D1)[-1:]):
        await say()
        await asyncio.sleep(AGAIN_S)


async def restarting(world: World, choose: Choose) -> None:
    """Run the device again after each loss of power; its active file is whole each time."""
    while True:
        try:
            async with world.device():
                while not world.disk._off:  # noqa: ASYNC110 - the disk has no event
                    await asyncio.sleep(0.01)
        except* PowerLost:
            world.disk.reboot(choose)
            assert world.active in {OLD, NEW}


CHOICES: dict[str, Choose] = {
    "nothing": nothing_survives,
    "everything": everything_survives,
    **{f"random-{seed}": random.Random(seed).randrange for seed in range(3)},
}


async def live(history: History, seam: int, choose: Choose) -> bool:
    """Lose power at a seam behind the doubt, and end right; false where there was no such seam."""
    world = virtual_world()
    async with world.orchestrator() as boss:
        device = asyncio.create_task(restarting(world, choose))
        prepare = await in_doubt(boss)
        world.disk.crash_at = world.disk.seams + seam

        def obeys(state: DeviceState) -> bool:
            return (state.heuristic, state.operating) == (history.word, history.meanwhile[0])

        await insist(boss, lambda: boss.say(prepare.txn, history.word, D1), obeys)
        assert history.meanwhile[1] == world.active, f"crash at seam {seam}"
        await insist(boss, lambda: boss.decide(prepare, history.decision), over(history))
        assert history.end[1] == world.active, f"crash at seam {seam}"
        device.cancel()
        await asyncio.wait({device})
    return world.disk.crash_at is None


SEAMS = {
    # a save and the writing of the active file have five each: make, write, sync, rename, sync
    "right": 5 + 5 + 5 + 0 + 5,  # word, its file, decision, the file is right, no longer pending
    "right too": 5 + 5 + 1,  # word, decision, the staged bytes go
    "too early": 5 + 5 + 5 + 1 + 5,  # word, its file, decision, staged bytes, the old file again
    "too careful": 5 + 5 + 5 + 5,  # word, decision, the new file, no longer pending
}


@pytest.mark.parametrize("choose", CHOICES.values(), ids=CHOICES)
@pytest.mark.parametrize("name", HISTORIES)
@virtual
async def test_power_is_lost_at_every_seam(name: str, choose: Choose) -> None:
    """Whatever is lost on the way, the word is taken and the decision is obeyed in the end."""
    seam = 0
    while await live(HISTORIES[name], seam, choose):
        seam += 1
    assert SEAMS[name] == seam
