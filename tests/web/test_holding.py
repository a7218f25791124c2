"""Acquire, renew, release: who may, and who is refused with which reason."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from orchestrator.protocol.types import FleetId
from tests.storage.samples import begun, released
from tests.web.desk import BEARER, FLEET, HERE, MIRA, NOA, YARD, Desk, Raw

ACQUIRE = f"/api/v1/locks/{FLEET}/acquire"


def body(**fields: Any) -> bytes:
    """A body as a client sends it."""
    return json.dumps(fields).encode()


def waiting(desk: Desk, holder: Any) -> Raw:
    """A client that waits in line and can go away."""
    wish = body(holder=holder, purpose="survey", wait_s=60)
    headers = {**BEARER, "content-type": "application/json"}
    return Raw(desk.app, "POST", ACQUIRE, headers=headers, parts=[wish])


async def test_the_lock_is_granted_under_an_epoch(desk: Desk) -> None:
    """The grant tells the fencing token, and how to keep the lease alive."""
    answer = await desk.post("acquire", holder=MIRA, purpose="calibration")
    expected = {
        "schema": 1,
        "type": "acquired",
        "lock_id": "hazard-12@1",
        "fleet": "hazard-12",
        "epoch": 1,
        "incarnation": 1,
        "ttl_s": 15.0,
        "renew_every_s": 3.0,
        "stop_after_s": 10.0,
    }
    assert (200, expected) == (answer.status_code, answer.json())


async def test_the_journal_names_the_holder_as_given(desk: Desk) -> None:
    """What the client says of itself is the lock's owner; what it leaves out is unknown."""
    await desk.acquired()
    owner = (await desk.state()).lock.owner
    assert owner is not None
    assert ("mira", "recalibrate.sh", 4121) == (owner.user, owner.program, owner.pid)
    assert ("unknown", "unknown", 0) == (owner.boot_id, owner.machine_id, owner.start_ticks)


async def test_a_held_lock_is_hot(desk: Desk) -> None:
    """Who comes second is told who has it, whether they live, and the way out."""
    lock_id = await desk.acquired()
    answer = await desk.post("acquire", holder=NOA, purpose="survey")
    told = answer.json()
    assert (409, "hot", 1, 6) == (
        answer.status_code,
        told["type"],
        told["schema"],
        told["exit_code"],
    )
    assert ("mira", "live") == (told["lock"]["owner"]["user"], told["lock"]["liveness"]["verdict"])
    assert f"aimctl lock force-unlock {lock_id} --dry-run" == told["next"]
    assert [] == await desk.queue()


async def test_a_dead_holder_is_shown_as_a_ghost(desk: Desk) -> None:
    """Who gave the evidence of a process on this machine is proved dead once it is gone."""
    await desk.acquired(HERE)
    desk.machine.dead.add(HERE["pid"])
    told = (await desk.post("acquire", holder=NOA, purpose="survey")).json()
    assert ("ghost", True) == (
        told["lock"]["liveness"]["verdict"],
        told["lock"]["liveness"]["proved"],
    )
    assert "aimctl recover --fleet hazard-12" == told["recover"]


async def test_who_waits_gets_the_lock_in_turn(desk: Desk) -> None:
    """The request stays open until the holder releases."""
    lock_id = await desk.acquired()
    client = waiting(desk, NOA)
    await desk.until_queued("noa")
    assert 200 == (await desk.post("release", lock_id=lock_id, holder=MIRA)).status_code
    granted = json.loads(await client.heard(b"}"))
    assert (200, "hazard-12@3") == (client.status, granted["lock_id"])
    await client.leave()
    assert "held" == (await desk.state()).lock.state


async def test_who_has_waited_long_enough_leaves_the_queue(desk: Desk) -> None:
    """The time is up: HOT, and the place is given up."""
    await desk.acquired()
    answer = await desk.post("acquire", holder=NOA, purpose="survey", wait_s=2)
    assert 409 == answer.status_code
    assert 2.0 <= desk.clock.passed_s
    assert [] == await desk.queue()


async def test_a_client_that_goes_away_leaves_the_queue(desk: Desk) -> None:
    """Its place is withdrawn, and the next in line is not kept waiting."""
    await desk.acquired()
    client = waiting(desk, NOA)
    await desk.until_queued("noa")
    await client.leave()
    assert [] == await desk.queue()


async def test_a_grant_to_a_client_that_went_away_is_undone(desk: Desk) -> None:
    """A lock that was granted in the same moment is released, not left to nobody."""
    client = waiting(desk, NOA)
    client._gone.set()
    await client.leave()
    lock = (await desk.state()).lock
    assert ("free", 2) == (lock.state, lock.epoch.number)


async def test_a_second_wish_of_the_holder_undoes_nothing(desk: Desk) -> None:
    """A holder that asks again and goes away keeps the lock that it has had before."""
    lock_id = await desk.acquired(NOA)
    client = waiting(desk, NOA)
    await desk.until_queued("noa")
    await client.leave()
    assert 200 == (await desk.post("renew", lock_id=lock_id, holder=NOA)).status_code


async def test_a_server_that_ends_withdraws_who_waits(desk: Desk) -> None:
    """A request that is cancelled from above leaves no place behind."""
    await desk.acquired()
    client = waiting(desk, NOA)
    await desk.until_queued("noa")
    client.task.cancel()
    await asyncio.wait({client.task})
    assert [] == await desk.queue()


async def test_an_unknown_fleet_gets_no_journal(desk: Desk) -> None:
    """Only fleets that are served, stored or have a file can be locked."""
    answer = await desk.post("acquire", "nowhere", holder=MIRA, purpose="calibration")
    assert (404, "unknown-fleet") == (answer.status_code, answer.json()["code"])
    assert [] == list(await desk.store.fleets())


async def test_a_fleet_with_a_file_alone_can_be_locked(desk: Desk) -> None:
    """The first lock of a fleet makes its journal."""
    assert "yard@1" == await desk.acquired(fleet=YARD)
    assert [YARD] == list(await desk.store.fleets())


# --- renew --------------------------------------------------------------------------------------


async def test_a_renewal_keeps_the_holder_alive(desk: Desk) -> None:
    """The lease is young again, and nobody has asked for the lock."""
    lock_id = await desk.acquired()
    await desk.clock.sleep(14)
    answer = await desk.post("renew", lock_id=lock_id, holder=MIRA)
    await desk.clock.sleep(14)
    assert (200, None) == (answer.status_code, answer.json()["release_requested"])
    shown = (await desk.get(f"/locks/{FLEET}")).json()
    assert ("live", 14.0) == (shown["liveness"]["verdict"], shown["renewed_ago_s"])


async def test_a_renewal_tells_of_a_request_for_release(desk: Desk) -> None:
    """The holder hears who asks and why, and its answer is logged."""
    lock_id = await desk.acquired()
    await desk.post("request-release", lock_id=lock_id, reason="the site opens", by=NOA)
    told = (await desk.post("renew", lock_id=lock_id, holder=MIRA)).json()["release_requested"]
    assert ("the site opens", None) == (told["reason"], told["answer"])
    assert "noa@yard-office" in told["by"]
    told = (await desk.post("renew", lock_id=lock_id, holder=MIRA, answer="finish")).json()
    assert "finish" == told["release_requested"]["answer"]
    answered = (await desk.state()).lock.release_answered
    assert answered is not None


@pytest.mark.parametrize("verb", ["renew", "release"])
async def test_a_stale_epoch_is_fenced(desk: Desk, verb: str) -> None:
    """Whoever lost the lock is told so with 412, and the present owner is named."""
    old = await desk.acquired()
    await desk.post("release", lock_id=old, holder=MIRA)
    await desk.acquired(NOA)
    answer = await desk.post(verb, lock_id=old, holder=MIRA)
    told = answer.json()
    assert (412, "fenced", 7) == (answer.status_code, told["code"], told["exit_code"])
    assert "noa@yard-office" in told["message"]


@pytest.mark.parametrize("verb", ["renew", "release"])
async def test_a_foreign_owner_is_refused(desk: Desk, verb: str) -> None:
    """Knowing the lock id is not enough: 403, and both are named."""
    lock_id = await desk.acquired()
    before = await desk.state()
    answer = await desk.post(verb, lock_id=lock_id, holder=NOA)
    told = answer.json()
    assert (403, "foreign-owner", 6) == (answer.status_code, told["code"], told["exit_code"])
    assert "held by mira@aim-control" in told["message"]
    assert "you said that you are noa@yard-office" in told["message"]
    assert before == await desk.state()


async def test_the_same_pid_started_later_is_a_foreign_owner(desk: Desk) -> None:
    """A pid alone is reused: other start ticks are another process."""
    lock_id = await desk.acquired(HERE)
    answer = await desk.post("renew", lock_id=lock_id, holder={**HERE, "start_ticks": 9001})
    assert 403 == answer.status_code


@pytest.mark.parametrize("verb", ["renew", "release"])
async def test_a_lock_id_of_another_fleet_is_stale(desk: Desk, verb: str) -> None:
    """The fleet of the path and that of the lock id must be one."""
    lock_id = await desk.acquired(fleet=YARD)
    answer = await desk.post(verb, FLEET, lock_id=lock_id, holder=MIRA)
    assert (412, "stale") == (answer.status_code, answer.json()["code"])


# --- release ------------------------------------------------------------------------------------


async def test_the_owner_gives_the_lock_back(desk: Desk) -> None:
    """It is free at a higher epoch: the old id never counts again."""
    lock_id = await desk.acquired()
    answer = await desk.post("release", lock_id=lock_id, holder=MIRA)
    expected = {
        "schema": 1,
        "type": "released",
        "fleet": "hazard-12",
        "epoch": 2,
        "incarnation": 1,
    }
    assert (200, expected) == (answer.status_code, answer.json())


async def test_a_lock_with_an_open_transaction_is_not_freed(desk: Desk) -> None:
    """No path leads to FREE with a transaction open: 409, and the way out."""
    lock_id = await desk.acquired()
    await desk.append(begun())
    answer = await desk.post("release", lock_id=lock_id, holder=MIRA)
    told = answer.json()
    assert (409, "error", "hot") == (answer.status_code, told["type"], told["code"])
    assert "aimctl lock force-unlock hazard-12@1 --dry-run" == told["next"]


async def test_who_is_fenced_between_look_and_store_is_counted_too(desk: Desk) -> None:
    """The store itself refuses a heartbeat of an old epoch; the metrics know of it."""
    lock_id = await desk.acquired()
    touch = desk.store.touch

    async def late(fleet: FleetId, claim: Any, owner: Any) -> bool:
        await desk.append(released(2, owner))
        return await touch(fleet, claim, owner)

    desk.store.touch = late  # type: ignore[method-assign]
    assert 412 == (await desk.post("renew", lock_id=lock_id, holder=MIRA)).status_code
    scraped = (await desk.client.get("/metrics")).text
    assert 'aim_fence_rejections_total{by="api"} 1.0' in scraped
