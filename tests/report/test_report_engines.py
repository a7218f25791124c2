"""Pages of real runs, of both engines."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from drone_sim.cores import engine as cores
from drone_sim.report.html import render_page
from drone_sim.result import Result
from drone_sim.scenario.model import Act, Scenario, SimulatedDevice, Verb
from drone_sim.shells import engine as shells
from drone_sim.trace import Trace
from tests.report.pages import body_of, charts, lane, of_class, tooltips, words

Play = Callable[..., Result]

NIGHT = Scenario(
    name="an orchestrator dies",
    seed=1,
    devices=tuple(SimulatedDevice(id=f"d-{number}") for number in (1, 2, 3)),
    acts=(
        Act(at_s=0.5, verb=Verb.PUSH, who="mira"),
        Act(at_s=0.55, verb=Verb.PAUSE, who="mira", for_s=3.0),
        Act(at_s=2.0, verb=Verb.CUT, target=("d-2",), for_s=1.0),
        Act(at_s=4.0, verb=Verb.CRASH, target=("d-3",), for_s=1.0),
        Act(at_s=6.0, verb=Verb.FORCE_UNLOCK, who="ops"),
    ),
    safety_s=12.0,
)


@pytest.fixture(scope="module", params=[cores.play, shells.play], ids=["cores", "shells"])
def page(request: pytest.FixtureRequest) -> str:
    """The page of the night as one of the engines plays it."""
    play: Play = request.param
    return render_page([play(NIGHT, trace=Trace())], title="real")


def test_devices_operate_and_are_down(page: str) -> None:
    """The lanes have what the devices went through: operating, off, and the last version."""
    chart = charts(page)[-1]
    assert 3 == len(of_class(chart, "device"))
    assert any("off" in tip for tip in tooltips(lane(chart, "d-3")))
    assert all("v1" in words(lane(chart, name)) for name in ("d-1", "d-2", "d-3"))


def test_acts_are_told_in_the_storys_words(page: str) -> None:
    """Acts stand in the lanes as a scenario file has them, and the faults at their devices."""
    chart = charts(page)[-1]
    told = words(lane(chart, "acts"))
    assert "▸ 1 mira pushes" in told
    assert "◆ 3 cut d-2 from the broker for 1 s" in told
    assert any("3. cut d-2" in tip for tip in tooltips(lane(chart, "d-2")))
    assert [] == of_class(lane(chart, "d-1"), "struck")


def test_a_pause_is_seen(page: str) -> None:
    """The process that was stopped is drawn so, in its lane or among the brief ones."""
    assert of_class(charts(page)[-1], "paused")


def test_the_lock_has_an_owner(page: str) -> None:
    """Whoever held the lock is named, with the epoch."""
    assert "held by mira, epoch" in words(lane(charts(page)[-1], "lock"))


def test_a_transaction_has_its_lines(page: str) -> None:
    """The push's decision and its instants are over all lanes."""
    overlay = of_class(charts(page)[-1], "overlay")[0]
    kinds = {one.get("class", "").split()[0] for one in overlay.iter("line")}
    assert {"decided", "hold-at"} <= kinds


def test_messages_and_phases_are_told(page: str) -> None:
    """There are marks of messages, and the phases have words."""
    chart = charts(page)[-1]
    assert of_class(chart, "sent")
    assert "anything may fail" in words(lane(chart, "phase"))
    assert "a last push must commit" in words(lane(chart, "phase"))


def test_the_verdict_is_the_runs(page: str) -> None:
    """The page says how the run ended."""
    assert "HELD: every invariant held." == words(of_class(body_of(page), "verdict")[0])
