"""Asking a living holder, and taking the lock from one who is not."""

from __future__ import annotations

import asyncio
import json

from orchestrator.protocol.records import LockTaken, Verb
from orchestrator.protocol.types import Outcome
from tests.storage.samples import begun
from tests.web.desk import BEARER, FLEET, HERE, MIRA, NOA, Desk, Raw, until

REASON = "mira's laptop is off"


async def test_a_living_holder_is_asked(desk: Desk) -> None:
    """Without waiting the answer is that nobody has answered yet; the journal has who asks."""
    lock_id = await desk.acquired()
    answer = await desk.post("request-release", lock_id=lock_id, reason=REASON, by=NOA)
    expected = {
        "schema": 1,
        "type": "release-requested",
        "lock_id": lock_id,
        "answer": None,
        "free": False,
    }
    assert (200, expected) == (answer.status_code, answer.json())
    asked = (await desk.state()).lock.release_requested
    assert asked is not None
    assert ("noa", REASON) == (asked.by.user, asked.reason)


async def test_who_asks_can_wait_for_the_lock_to_be_free(desk: Desk) -> None:
    """The holder releases meanwhile: the answer says so."""
    lock_id = await desk.acquired()
    asking = asyncio.ensure_future(
        desk.post("request-release", lock_id=lock_id, reason=REASON, wait_s=60)
    )

    async def asked() -> bool:
        return (await desk.state()).lock.release_requested is not None

    await until(asked)
    await desk.post("release", lock_id=lock_id, holder=MIRA)
    told = (await asking).json()
    assert ("release", True) == (told["answer"], told["free"])


async def test_a_ghost_can_not_be_asked(desk: Desk) -> None:
    """409 with the HOT document, which names the way out."""
    lock_id = await desk.acquired(HERE)
    desk.machine.dead.add(HERE["pid"])
    answer = await desk.post("request-release", lock_id=lock_id, reason=REASON)
    assert (409, "hot", "ghost") == (
        answer.status_code,
        answer.json()["type"],
        answer.json()["lock"]["liveness"]["verdict"],
    )


async def test_a_request_to_an_old_holder_is_stale(desk: Desk) -> None:
    """The lock id must be the lock's."""
    lock_id = await desk.acquired()
    await desk.post("release", lock_id=lock_id, holder=MIRA)
    answer = await desk.post("request-release", lock_id=lock_id, reason=REASON)
    told = answer.json()
    assert (412, "stale", 8) == (answer.status_code, told["code"], told["exit_code"])


# --- force-unlock -------------------------------------------------------------------------------


async def test_a_forced_unlock_frees_the_lock(desk: Desk) -> None:
    """It answers when the lock is free; the document is that of `aimctl lock force-unlock`."""
    lock_id = await desk.acquired()
    answer = await desk.post("force-unlock", lock_id=lock_id, reason=REASON)
    told = answer.json()
    assert (200, "force-unlock", False, "resolved", 0) == (
        answer.status_code,
        told["type"],
        told["dry_run"],
        told["action"],
        told["exit_code"],
    )
    assert "mira" == told["lock"]["owner"]["user"]
    assert "free" == (await desk.state()).lock.state


async def test_the_journal_names_who_ordered_it_and_why(desk: Desk) -> None:
    """The new owner is this server, shown to act for whoever ordered it."""
    lock_id = await desk.acquired()
    await desk.post("force-unlock", lock_id=lock_id, reason=REASON, by=NOA)
    taken = [entry.record for entry in await desk.store.read(FLEET)][1]
    assert isinstance(taken, LockTaken)
    assert (Verb.FORCE_UNLOCK, REASON) == (taken.purpose, taken.reason)
    assert "aimctl serve force-unlock for noa@yard-office, survey, pid 77" == taken.owner.program


async def test_what_is_undecided_is_aborted(desk: Desk) -> None:
    """In the same write, and it says so; devices that nobody heard are deferred by name."""
    lock_id = await desk.acquired()
    await desk.append(begun())
    told = (await desk.post("force-unlock", lock_id=lock_id, reason=REASON)).json()
    state = await desk.state()
    assert ("abort", 5, ["d-01", "d-02"]) == (
        told["decision"],
        told["exit_code"],
        told["deferred"],
    )
    assert state.last is not None
    assert (Outcome.ABORT, "free") == (state.last.outcome, state.lock.state)


async def test_of_two_who_force_at_once_one_wins(desk: Desk) -> None:
    """The second is told that its lock id is stale: nothing is done twice."""
    lock_id = await desk.acquired()
    answers = await asyncio.gather(
        desk.post("force-unlock", lock_id=lock_id, reason=REASON),
        desk.post("force-unlock", lock_id=lock_id, reason=REASON, by=NOA),
    )
    assert [200, 412] == sorted(answer.status_code for answer in answers)
    assert "free" == (await desk.state()).lock.state


async def test_the_old_holder_is_fenced_after_it(desk: Desk) -> None:
    """Its next heartbeat is refused, and tells that the lock was taken."""
    lock_id = await desk.acquired()
    await desk.post("force-unlock", lock_id=lock_id, reason=REASON)
    answer = await desk.post("renew", lock_id=lock_id, holder=MIRA)
    assert (412, "fenced") == (answer.status_code, answer.json()["code"])


async def test_a_client_that_goes_away_does_not_stop_it(desk: Desk) -> None:
    """What was begun is driven to its end, whether or not anybody still listens."""
    lock_id = await desk.acquired()
    await desk.append(begun())
    headers = {**BEARER, "content-type": "application/json"}
    order = json.dumps({"lock_id": lock_id, "reason": REASON}).encode()
    path = f"/api/v1/locks/{FLEET}/force-unlock"
    client = Raw(desk.app, "POST", path, headers=headers, parts=[order])
    await client.leave()
    assert "free" == (await desk.state()).lock.state


async def test_a_dry_run_says_what_would_be_done_and_does_nothing(desk: Desk) -> None:
    """The owner, the open transaction, the outcome; the journal stays as it is."""
    lock_id = await desk.acquired()
    await desk.append(begun())
    before = await desk.state()
    answer = await desk.post("force-unlock", lock_id=lock_id, reason=REASON, dry_run=True)
    told = answer.json()
    assert (200, True, "none", None) == (
        answer.status_code,
        told["dry_run"],
        told["action"],
        told["decision"],
    )
    assert "ABORT is stored in the same write" in told["message"]
    assert (0, []) == (told["votes"], told["in_doubt"])
    assert before == await desk.state()


async def test_a_dry_run_of_an_old_lock_id_is_stale(desk: Desk) -> None:
    """It is refused as the order itself would be."""
    lock_id = await desk.acquired()
    await desk.post("release", lock_id=lock_id, holder=MIRA)
    answer = await desk.post("force-unlock", lock_id=lock_id, reason=REASON, dry_run=True)
    assert (412, "stale") == (answer.status_code, answer.json()["code"])


async def test_without_a_broker_nothing_is_taken(desk: Desk) -> None:
    """A resolver that can tell nobody helps nobody: 503, and the holder has the lock still."""
    lock_id = await desk.acquired()
    desk.broker.stop()
    answer = await desk.post("force-unlock", lock_id=lock_id, reason=REASON)
    told = answer.json()
    assert (503, "unreachable", 11) == (answer.status_code, told["code"], told["exit_code"])
    assert 200 == (await desk.post("renew", lock_id=lock_id, holder=MIRA)).status_code
