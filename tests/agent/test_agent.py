"""The agent: the real core on slots, a transport in memory, and a device that only listens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from drone_sim.disk import everything_survives, nothing_survives
from orchestrator.agent import Agent, AgentPorts
from orchestrator.agent.device import fits_hardware
from orchestrator.agent.host import TRY_AGAIN_S
from orchestrator.ports import TransportUnavailable
from orchestrator.protocol.errors import InvariantViolation
from orchestrator.protocol.messages import Hello, Message, Vote
from orchestrator.protocol.types import DeviceId, Outcome, TxnId
from orchestrator.staging.canonical import digest_of
from orchestrator.staging.plan import decode_plan
from orchestrator.transport.topics import Device as DeviceRole
from orchestrator.wiring import RandomIds
from tests.agent.inline import inline
from tests.agent.worlds import ACTIVE, D1, NEW, OLD, STATE, Quick, Recording, World, until

# --- a transaction ----------------------------------------------------------------------------


async def test_a_push_ends_in_the_active_file() -> None:
    """PREPARE, blobs, yes, COMMIT: the active file holds exactly the pushed bytes."""
    world = World()
    async with world.orchestrator() as boss, world.device():
        await boss.fence(2)
        await boss.push(1, NEW)
    assert NEW == world.active


async def test_the_controller_is_told_in_order() -> None:
    """Hold first, since it may have gone on alone; then hold, activate and resume per push."""
    world = World()
    async with world.orchestrator() as boss, world.device():
        await boss.push(1, OLD)
        await boss.push(2, NEW)
    told = ["hold", "activate 1", "resume 1", "hold", "activate 2", "resume 2"]
    assert told == world.controller.told


async def test_a_yes_is_durable_before_it_is_sent() -> None:
    """When a yes is handed to the transport, a power loss would not take it back."""
    world = World()
    async with world.orchestrator() as boss, world.device():
        await boss.push(1, NEW)
    yes = [kept for message, kept in world.sent if isinstance(message, Vote) and message.yes]
    assert yes
    assert all(kept.prepared is not None and kept.prepared.txn == "t1" for kept in yes)


async def test_no_message_says_more_than_the_disk() -> None:
    """No HELLO, REPORT or vote tells of a state that a power loss would undo (I13)."""
    world = World()
    async with world.orchestrator() as boss, world.device():
        await boss.push(1, OLD)
        prepare = await boss.prepare(2, NEW)
        await boss.votes(prepare.txn)
        await boss.decide(prepare, Outcome.ABORT)
        await boss.state(D1, lambda state: state.outcome is Outcome.ABORT)
    for message, kept in world.sent:
        state = getattr(message, "state", None)
        if state is not None:
            promised = (state.version, state.digest, state.last_seq, state.max_epoch)
            assert (kept.version, kept.digest) == promised[:2]
            assert (kept.last_seq, kept.max_epoch) >= promised[2:]


async def test_the_steps_pass_their_fault_points_in_order() -> None:
    """A test can end the process before and after each write, the vote and the activation."""
    world = World()
    async with world.orchestrator() as boss, world.device():
        await boss.push(1, NEW)
    wanted = (
        *("stage:before", "stage:after", "save:prepared:before", "save:prepared:after"),
        *("send:vote:before", "send:vote:after"),
        *("save:decision:before", "save:decision:after", "activate:before", "activate:after"),
        *("save:activated:before", "save:activated:after"),
    )
    assert list(wanted) == [name for name in world.passed if name in wanted]


async def test_an_abort_keeps_the_old_version() -> None:
    """After ABORT the old file is untouched and the device goes on with it."""
    world = World()
    async with world.orchestrator() as boss, world.device():
        await boss.push(1, OLD)
        prepare = await boss.prepare(2, NEW)
        await boss.votes(prepare.txn)
        await boss.decide(prepare, Outcome.ABORT)
        await boss.state(D1, lambda state: state.outcome is Outcome.ABORT)
    assert OLD == world.active


async def test_in_doubt_the_controller_holds() -> None:
    """At hold_at, with no decision known, the aim is frozen, and the device asks."""
    world = World()
    async with world.orchestrator() as boss, world.device():
        await boss.push(1, OLD)
        await boss.prepare(2, NEW, window_s=0.5)
        state = await boss.state(D1, lambda state: "in doubt" in state.holds)
    assert state.operating is None
    assert "hold" == world.controller.told[-1]


async def test_a_dead_link_does_not_delay_the_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that hangs in the transport does not keep the device from holding in time."""
    world = World()
    async with world.orchestrator() as boss, world.device() as agent:
        await boss.push(1, OLD)
        stuck = asyncio.Event()

        async def hang(_message: Message, _to: DeviceId | None = None) -> None:
            await stuck.wait()

        monkeypatch.setattr(agent._ports.transport, "send", hang)
        before = len(world.controller.told)
        await boss.prepare(2, NEW, window_s=0.3)
        await until(lambda: len(world.controller.told) > before)
    assert "hold" == world.controller.told[-1]


# --- no's -------------------------------------------------------------------------------------


async def vote_of(world: World, data: bytes) -> Vote:
    """What the device says to a first PREPARE of ``data``."""
    async with world.orchestrator() as boss, world.device():
        await until(lambda: bool(boss.of(Hello)))
        prepare = await boss.prepare(1, data)
        return (await boss.votes(prepare.txn))[D1]


async def test_a_full_disk_votes_no() -> None:
    """The reason says that there is no space; nothing was promised."""
    world = World()
    world.controller.file._judges = ()  # they would have seen it coming
    world.slots().close()
    used = world.disk.capacity_bytes - world.disk.free_bytes(STATE)
    world.disk.capacity_bytes = used + len(NEW) - 1
    vote = await vote_of(world, NEW)
    assert not vote.yes
    assert "no space left on the disk" in vote.reasons[0]
    assert world.slots().durable.prepared is None


async def test_too_little_free_space_votes_no_before_it_is_used() -> None:
    """The check asks for room for both copies and a reserve."""
    world = World()
    world.disk.capacity_bytes = 100_000
    vote = await vote_of(world, NEW)
    assert "are needed" in vote.reasons[0]


async def test_bytes_that_are_no_configuration_vote_no() -> None:
    """The device checks the content itself; it does not trust the plan."""
    vote = await vote_of(World(), b'{"schema":1}')
    assert any("yaw" in reason for reason in vote.reasons)


async def test_a_configuration_of_another_kind_votes_no() -> None:
    """An arm does not take a drone's configuration."""
    world = World()
    world.controller.file._judges = (fits_hardware(kind="arm"),)
    vote = await vote_of(world, NEW)
    assert ("the configuration is for a drone, this device is a arm",) == vote.reasons


# --- restarts ---------------------------------------------------------------------------------


@pytest.mark.parametrize("choose", [nothing_survives, everything_survives])
async def test_restart_in_doubt(choose: Callable[[int], int]) -> None:
    """A device that restarts after its yes is still bound, and obeys the decision then."""
    world = World()
    async with world.orchestrator() as boss:
        async with world.device():
            await boss.push(1, OLD)
            prepare = await boss.prepare(2, NEW, window_s=0.5)
            await boss.votes(prepare.txn)
        world.disk.reboot(choose)
        boss.heard.clear()
        async with world.device():
            state = await boss.state(D1, lambda state: state.prepared == prepare.txn)
            assert state.operating is None
            await boss.decide(prepare, Outcome.COMMIT)
            await boss.state(D1, lambda state: state.operating == 2)
    assert NEW == world.active


async def test_restart_before_the_activation() -> None:
    """A pending activation is restored; the file follows it at activate_at."""
    world = World()
    async with world.orchestrator() as boss:
        async with world.device():
            await boss.push(1, OLD)
            prepare = await boss.prepare(2, NEW, window_s=1.0)
            await boss.votes(prepare.txn)
            await boss.decide(prepare, Outcome.COMMIT)
            await boss.state(D1, lambda state: state.version == 2 and state.pending)
        world.disk.reboot()
        assert OLD == world.active
        boss.heard.clear()
        async with world.device():
            await boss.state(D1, lambda state: state.operating == 2 and not state.pending)
    assert NEW == world.active


async def test_restart_after_the_activation() -> None:
    """The device holds until it is confirmed, is told to activate again, and goes on."""
    world = World()
    async with world.orchestrator() as boss:
        async with world.device():
            await boss.push(1, NEW)
        world.disk.reboot()
        world.controller.told.clear()
        boss.heard.clear()
        async with world.device():
            await boss.state(D1, lambda state: state.operating == 1)
            await until(lambda: "resume 1" in world.controller.told)
    assert ["hold", "activate 1", "resume 1"] == world.controller.told


async def test_without_a_broker_the_file_follows_the_record() -> None:
    """A restarted device repairs its active file and holds, whether or not anybody answers."""
    world = World()
    async with world.orchestrator() as boss, world.device():
        await boss.push(1, NEW)
    world.disk.damage(ACTIVE, b"by hand")
    async with world.device() as agent:
        await until(lambda: world.active == NEW)
        assert agent.state().operating is None


async def test_a_device_that_lost_its_configuration_is_caught_up() -> None:
    """Damaged bytes are told of; the fleet's version brings them back."""
    world = World()
    async with world.orchestrator() as boss:
        async with world.device():
            await boss.push(1, NEW)
        name = digest_of(NEW).removeprefix("sha256:")
        world.disk.damage(STATE / "blobs" / name, b"worn out")
        boss.heard.clear()
        async with world.device():
            await boss.state(D1, lambda state: state.version == 1 and state.digest is None)
            await boss.catch_up(D1, NEW)
            await boss.state(D1, lambda state: state.operating == 1)
    assert "configuration-lost" in world.told.events


async def test_bytes_that_are_there_are_not_asked_for() -> None:
    """Going back to a kept version needs no blob from the broker but the plan."""
    world = World()
    async with world.orchestrator() as boss, world.device():
        await boss.push(1, OLD)
        await boss.push(2, NEW)
        world.broker.fault = lambda topic, _: 0 if digest_of(OLD)[7:] in topic else 1
        await boss.push(3, OLD)
    assert OLD == world.active


# --- the controller ---------------------------------------------------------------------------


async def test_a_refused_activation_is_tried_again() -> None:
    """It is reported as the reason of the hold, and never undone."""
    world = World()
    world.controller.refusing["activate"] = 1
    async with world.orchestrator() as boss, world.device():
        prepare = await boss.prepare(1, NEW, window_s=0.5)
        await boss.votes(prepare.txn)
        await boss.decide(prepare, Outcome.COMMIT)
        await boss.state(D1, lambda state: "no activate today" in state.holds)
        await boss.state(D1, lambda state: state.operating == 1)
    assert 2 == world.controller.told.count("activate 1")


async def test_a_refused_hold_is_tried_again_until_it_is_obeyed() -> None:
    """Each refusal is told; a device that has said that it holds must make it true."""
    world = World()
    world.controller.refusing["hold"] = 7
    async with world.device():
        await until(lambda: world.controller.told.count("hold") == 8)
    assert 7 == world.told.events.count("hold-failed")


async def test_a_hold_ends_a_resume_that_hangs() -> None:
    """A controller that is being told to aim is told to hold first of all."""
    world = World()
    async with world.orchestrator() as boss, world.device():
        world.controller.hanging = True
        prepare = await boss.prepare(1, NEW, window_s=0.5)
        await boss.votes(prepare.txn)
        await boss.decide(prepare, Outcome.COMMIT)
        await until(lambda: "resume 1" in world.controller.told)
        again = await boss.prepare(2, OLD, window_s=0.5)
        await boss.votes(again.txn)
        await until(lambda: world.controller.told[-1] == "hold")


async def test_a_refused_resume_is_tried_again_until_it_is_obeyed() -> None:
    """The device has said that it operates: it would hover for nothing, and nobody would know."""
    world = World()
    world.controller.refusing["resume"] = 7
    async with world.orchestrator() as boss, world.device():
        await boss.push(1, NEW)
        await until(lambda: world.controller.told.count("resume 1") == 8)
    assert 7 == world.told.events.count("resume-failed")


class Napping(Quick):
    """Nobody wakes who sleeps for as long as the first pause of whoever tells a controller."""

    async def sleep(self, delay_s: float) -> None:
        if delay_s == TRY_AGAIN_S:
            await asyncio.Event().wait()


async def test_a_hold_ends_the_pause_of_a_refused_resume() -> None:
    """It may aim though its hook has failed: it is told to hold now, not to aim once more."""
    world = World(clock=Napping())
    world.controller.refusing["resume"] = 1
    async with world.orchestrator() as boss, world.device():
        await boss.push(1, NEW)
        await until(lambda: "resume 1" in world.controller.told)
        again = await boss.prepare(2, OLD, window_s=0.5)
        await boss.votes(again.txn)
        await until(lambda: world.controller.told[-1] == "hold")
    assert 1 == world.controller.told.count("resume 1")


# --- the shell --------------------------------------------------------------------------------


async def test_a_broken_invariant_ends_the_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is swallowed: the exception of a part is the exception of run()."""
    world = World()

    async def broken(_reasons: tuple[str, ...]) -> None:
        raise InvariantViolation("I27")

    monkeypatch.setattr(world.controller, "hold", broken)
    with pytest.raises(InvariantViolation, match="I27"):
        async with world.orchestrator(), world.device():
            await until(ended)


def ended() -> bool:
    """Whether no agent runs any more."""
    return not [task for task in asyncio.all_tasks() if task.get_name() == "agent"]


async def test_it_ends_when_its_transport_is_closed() -> None:
    """run() returns by itself then."""
    world = World()
    async with world.device() as agent:
        transport = agent._ports.transport
        assert isinstance(transport, Recording)
        await transport.inner.close()
        await until(ended)


async def test_it_connects_patiently() -> None:
    """A broker that is not there yet is waited for, and each failure is told."""
    world = World()
    failures = 2

    async def connect() -> None:
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise TransportUnavailable("no broker")
        await transport.connect()

    transport = world._client(DeviceRole(id=D1), D1, Quick())
    slots = world.slots()
    ports = AgentPorts(
        device=world.controller,
        transport=transport,
        clock=Quick(),
        ids=RandomIds(),
        audience=world.told,
        offload=inline,
    )
    agent = Agent(slots, ports, decode_plan=decode_plan, connect=connect)
    async with world.orchestrator() as boss:
        task = asyncio.create_task(agent.run())
        await boss.until(lambda: bool(boss.of(Hello)))
        task.cancel()
        await asyncio.wait({task})
    assert 2 == world.told.events.count("broker-unreachable")


async def test_a_plan_that_is_none_votes_no() -> None:
    """What the plan decoder refuses becomes a reason."""
    world = World()
    async with world.orchestrator() as boss, world.device():
        await until(lambda: bool(boss.of(Hello)))
        prepare = await boss.prepare(1, NEW, publish=False)
        bad = replace(prepare, txn=TxnId("bad"), seq=2, plan=digest_of(b"no plan"))
        await boss.publish(bad.txn, b"no plan")
        await boss.transport.send(bad)
        vote = (await boss.votes(bad.txn))[D1]
    assert "the plan can't be read" in vote.reasons[0]
