"""What a monitoring scrapes, and that it can read it."""

from __future__ import annotations

import re

from prometheus_client.parser import text_string_to_metric_families

from orchestrator.protocol.types import DeviceId
from tests.web.desk import FLEET, HERE, MIRA, NOA, Desk

UNITS = ("_seconds", "_total", "_length", "_state", "_epoch", "_doubt", "_up")


async def scraped(desk: Desk) -> dict[tuple[str, ...], float]:
    """Every sample, by its name and the values of its labels."""
    text = (await desk.client.get("/metrics")).text
    return {
        (sample.name, *(sample.labels[key] for key in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_a_held_lock(desk: Desk) -> None:
    """Its state, its epoch, how long it is held and how old the heartbeat is."""
    lock_id = await desk.acquired()
    await desk.clock.sleep(5)
    await desk.post("renew", lock_id=lock_id, holder=MIRA)
    await desk.clock.sleep(2)
    found = await scraped(desk)
    assert [0.0, 1.0, 0.0] == [
        found["aim_lock_state", FLEET, state] for state in ("free", "held", "resolving")
    ]
    assert (1.0, 7.0, 2.0, 0.0) == (
        found["aim_lock_epoch", FLEET, "1"],
        found["aim_lock_holder_age_seconds", FLEET],
        found["aim_lock_heartbeat_age_seconds", FLEET],
        found["aim_lock_queue_length", FLEET],
    )


async def test_a_free_lock_has_no_ages(desk: Desk) -> None:
    """An age of nobody would look like a fresh owner."""
    await desk.post("release", lock_id=await desk.acquired(), holder=MIRA)
    found = await scraped(desk)
    assert 1.0 == found["aim_lock_state", FLEET, "free"]
    assert [] == [name for name in found if name[0].endswith(("holder_age_seconds", "beat_age"))]


async def test_devices_in_doubt(desk: Desk) -> None:
    """How many there are, and for how long the oldest has been."""
    since = desk.clock.now()
    await desk.clock.sleep(9)
    desk.server.doubts = {
        FLEET: {DeviceId("d-01"): since, DeviceId("d-02"): desk.clock.now()},
    }
    found = await scraped(desk)
    assert (2.0, 9.0) == (
        found["aim_devices_in_doubt", FLEET],
        found["aim_devices_in_doubt_oldest_age_seconds", FLEET],
    )


async def test_refused_epochs_by_who_refused_them(desk: Desk) -> None:
    """The API's own, the devices' and the holders'."""
    lock_id = await desk.acquired()
    await desk.post("release", lock_id=lock_id, holder=MIRA)
    await desk.post("renew", lock_id=lock_id, holder=MIRA)
    await desk.post("release", lock_id=lock_id, holder=MIRA)
    desk.server.rejections = {"device": 3}
    found = await scraped(desk)
    assert (2.0, 3.0, 0.0) == (
        found["aim_fence_rejections_total", "api"],
        found["aim_fence_rejections_total", "device"],
        found["aim_fence_rejections_total", "holder"],
    )


async def test_forced_unlocks_by_verb(desk: Desk) -> None:
    """Counted from the journal: a restart of the server forgets none; others are shown as 0."""
    lock_id = await desk.acquired(HERE)
    await desk.post("force-unlock", lock_id=lock_id, reason="gone", by=NOA)
    found = await scraped(desk)
    assert (1.0, 0.0, 0.0) == (
        found["aim_forced_unlocks_total", FLEET, "force-unlock"],
        found["aim_forced_unlocks_total", FLEET, "expire"],
        found["aim_forced_unlocks_total", FLEET, "break-glass"],
    )


async def test_clean_up_runs_by_result(desk: Desk) -> None:
    """As the server has counted them."""
    desk.server.runs = {"whole": 2, "failed": 1}
    found = await scraped(desk)
    assert (2.0, 1.0) == (
        found["aim_cleanup_runs_total", "whole"],
        found["aim_cleanup_runs_total", "failed"],
    )


async def test_without_a_store_the_rest_is_told(desk: Desk) -> None:
    """A scrape that fails would hide the devices in doubt as well."""
    await desk.acquired()
    desk.server.doubts = {FLEET: {}}
    desk.store.unavailable = True
    found = await scraped(desk)
    assert (0.0, 0.0) == (found["aim_store_up",], found["aim_devices_in_doubt", FLEET])
    assert [] == [name for name in found if name[0].startswith("aim_lock_")]


async def test_the_text_is_as_promtool_wants_it(desk: Desk) -> None:
    """Each family has a help text, names have units, counters end with _total, none twice."""
    await desk.acquired()
    desk.server.runs = {"whole": 1}
    answer = await desk.client.get("/metrics")
    assert "text/plain; version=0.0.4; charset=utf-8" == answer.headers["content-type"]
    families = list(text_string_to_metric_families(answer.text))
    assert len(families) == len({family.name for family in families})
    for family in families:
        assert re.fullmatch(r"aim_[a-z_]+", family.name), family.name
        assert family.documentation.endswith("."), family.name
        assert family.type in {"gauge", "counter"}, family.name
        for sample in family.samples:
            assert sample.name.endswith(UNITS), sample.name
            assert ("counter" == family.type) == sample.name.endswith("_total"), sample.name


async def test_nobody_is_named(desk: Desk) -> None:
    """Metrics need no token, so they tell of fleets and numbers alone."""
    await desk.acquired(MIRA)
    text = (await desk.client.get("/metrics")).text
    assert [] == [word for word in ("mira", "aim-control", "calibration") if word in text]
