"""Reading the locks, the journal, and what is new in it."""

from __future__ import annotations

import asyncio

from tests.storage.samples import NOA as OWNER
from tests.storage.samples import W1, begun, requested, taken
from tests.web.desk import BEARER, FLEET, MIRA, NOA, YARD, Desk, Raw

WATCH = f"/api/v1/locks/{FLEET}/watch"
EVENTS = {**BEARER, "accept": "text/event-stream"}


async def test_all_locks_are_listed(desk: Desk) -> None:
    """Every fleet of the store, in the form of `aimctl lock list --output json`."""
    await desk.acquired()
    await desk.acquired(NOA, YARD)
    told = (await desk.get("/locks")).json()
    assert (1, "locks") == (told["schema"], told["type"])
    found = {lock["id"]: lock["owner"]["user"] for lock in told["locks"]}
    assert {"hazard-12@1": "mira", "yard@1": "noa"} == found


async def test_an_empty_store_has_no_locks(desk: Desk) -> None:
    """Nobody has pushed yet: that is no error."""
    answer = await desk.get("/locks")
    assert (200, []) == (answer.status_code, answer.json()["locks"])


async def test_one_lock_is_shown_with_its_transaction(desk: Desk) -> None:
    """The owner, the purpose, what is open, and where its journal ends."""
    await desk.acquired()
    await desk.append(begun())
    told = (await desk.get(f"/locks/{FLEET}")).json()
    assert ("lock", "held", "calibration", 2) == (
        told["type"],
        told["state"],
        told["purpose"],
        told["head"],
    )
    assert ("t1", None, 2) == (
        told["txn"]["txn"],
        told["txn"]["decision"],
        told["txn"]["members"],
    )


async def test_a_fleet_that_nobody_has_locked_yet_is_free(desk: Desk) -> None:
    """A file is enough to be asked about; nothing is written."""
    told = (await desk.get(f"/locks/{YARD}")).json()
    assert ("free", 0, None) == (told["state"], told["head"], told["owner"])
    assert [] == list(await desk.store.fleets())


async def test_an_unknown_fleet_is_404(desk: Desk) -> None:
    """The reason names all that was looked at."""
    for path in ("", "/history", "/watch"):
        answer = await desk.get(f"/locks/nowhere{path}")
        assert (404, "unknown-fleet") == (answer.status_code, answer.json()["code"])


# --- history ------------------------------------------------------------------------------------


async def test_the_history_is_the_journal_as_a_story(desk: Desk) -> None:
    """Each record has its index, its time and a line for people."""
    lock_id = await desk.acquired()
    await desk.post("release", lock_id=lock_id, holder=MIRA)
    told = (await desk.get(f"/locks/{FLEET}/history")).json()
    assert (2, False) == (told["head"], told["more"])
    assert [(1, "lock_taken"), (2, "lock_released")] == [
        (entry["index"], entry["kind"]) for entry in told["entries"]
    ]
    assert "mira@aim-control" in told["entries"][1]["text"]


async def test_a_long_history_comes_in_pages(desk: Desk) -> None:
    """`after` and `limit` cut a page, and `more` says that it goes on."""
    lock_id = await desk.acquired()
    await desk.post("release", lock_id=lock_id, holder=MIRA)
    await desk.acquired(NOA)
    pages = [
        (await desk.get(f"/locks/{FLEET}/history", after=after, limit=2)).json()
        for after in (0, 2, 3)
    ]
    found = [([entry["index"] for entry in page["entries"]], page["more"]) for page in pages]
    assert [([1, 2], True), ([3], False), ([], False)] == found


# --- watch --------------------------------------------------------------------------------------


async def test_a_watch_tells_what_is_new_at_once(desk: Desk) -> None:
    """From a head that is old already nobody needs to wait."""
    await desk.acquired()
    told = (await desk.get(f"/locks/{FLEET}/watch", after=0)).json()
    assert (1, ["lock_taken"], "held") == (
        told["head"],
        [entry["kind"] for entry in told["entries"]],
        told["lock"]["state"],
    )
    assert desk.clock.passed_s == 0.0


async def test_a_watch_waits_for_the_journal_to_move(desk: Desk) -> None:
    """It returns with the record that ended the wait; the next one begins at its head."""
    lock_id = await desk.acquired()
    watching = asyncio.ensure_future(desk.get(f"/locks/{FLEET}/watch", timeout_s=60))
    await asyncio.sleep(0)
    await desk.post("release", lock_id=lock_id, holder=MIRA)
    told = (await watching).json()
    assert (2, ["lock_released"], "free") == (
        told["head"],
        [entry["kind"] for entry in told["entries"]],
        told["lock"]["state"],
    )


async def test_a_watch_ends_when_its_time_is_up(desk: Desk) -> None:
    """Nothing has happened: the same head, no entries, and the lock as it is."""
    await desk.acquired()
    answer = await desk.get(f"/locks/{FLEET}/watch", after=1, timeout_s=5)
    told = answer.json()
    assert (200, 1, []) == (answer.status_code, told["head"], told["entries"])
    assert 5.0 <= desk.clock.passed_s < 6.0


async def test_a_client_that_goes_away_is_not_watched_for(desk: Desk) -> None:
    """A long poll whose client has gone ends at once."""
    await desk.acquired()
    client = Raw(desk.app, "GET", WATCH, query="timeout_s=60")
    await client.leave()
    assert desk.clock.passed_s < 60.0


async def test_a_head_that_does_not_exist_is_refused(desk: Desk) -> None:
    """A journal that was longer once belongs to a store that was rolled back: say so."""
    await desk.acquired()
    answer = await desk.get(f"/locks/{FLEET}/watch", after=7, timeout_s=5)
    assert (412, "no-such-head") == (answer.status_code, answer.json()["code"])
    assert "rolled back" in answer.json()["message"]


async def test_a_watch_can_be_a_stream_of_events(desk: Desk) -> None:
    """Each record is an event with the record's index as its id, for as long as one listens."""
    lock_id = await desk.acquired()
    client = Raw(desk.app, "GET", WATCH, headers=EVENTS, query="after=0")
    await client.heard(b"id: 1\n")
    await desk.post("release", lock_id=lock_id, holder=MIRA)
    told = (await client.heard(b"id: 2\n")).decode()
    await client.leave()
    assert "text/event-stream" in dict(client.messages[0]["headers"])[b"content-type"].decode()
    assert ["lock_taken", "lock_released"] == [
        line.removeprefix("event: ") for line in told.splitlines() if line.startswith("event: ")
    ]


async def test_a_stream_goes_on_where_it_broke(desk: Desk) -> None:
    """Last-Event-ID goes before `after`: nothing is told twice, nothing is missed."""
    lock_id = await desk.acquired()
    await desk.post("release", lock_id=lock_id, holder=MIRA)
    headers = {**EVENTS, "last-event-id": "1"}
    client = Raw(desk.app, "GET", WATCH, headers=headers, query="after=0")
    told = await client.heard(b"id: 2\n")
    await client.leave()
    assert b"id: 1\n" not in told


async def test_a_silent_stream_shows_that_it_lives(desk: Desk) -> None:
    """A comment now and then keeps proxies from ending it."""
    await desk.acquired()
    client = Raw(desk.app, "GET", WATCH, headers=EVENTS)
    await client.heard(b": ping\n\n: ping\n\n: ping\n\n")
    await client.leave()
    assert 30.0 <= desk.clock.passed_s


async def test_a_stream_ends_when_the_store_goes_away(desk: Desk) -> None:
    """The client comes back with the last id that it has heard."""
    await desk.acquired()
    client = Raw(desk.app, "GET", WATCH, headers=EVENTS)
    await client.heard(b": ping")
    desk.store.unavailable = True
    async with asyncio.timeout(5):
        await client.task
    assert {"type": "http.response.body", "body": b"", "more_body": False} == client.messages[-1]


async def test_a_stream_does_not_go_on_into_another_history(desk: Desk) -> None:
    """A store that was rolled back in place ends it, whoever else has seen that first."""
    backup = desk.store.disk.live
    await desk.acquired()
    client = Raw(desk.app, "GET", WATCH, headers=EVENTS, query="after=0")
    await client.heard(b"id: 1\n")
    desk.store.disk.live = backup
    await desk.append(taken(1, OWNER), requested(W1))
    answers = [(await desk.get(f"/locks/{FLEET}")).status_code for _ in range(2)]
    async with asyncio.timeout(5):
        await client.task
    told = b"".join(message.get("body", b"") for message in client.messages)
    assert (200, False) == (answers[-1], b"id: 2\n" in told)
