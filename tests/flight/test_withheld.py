"""The push whose decision is withheld: who holds when, what it takes, and the plot of it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from drone_sim.flight.__main__ import main
from drone_sim.flight.withheld import Track, Withheld, withheld
from drone_sim.flight.withheld_plot import render_withheld_svg
from orchestrator.staging.state import FlightPhase

played = cache(withheld)

NAMES = ("drone-01", "drone-02", "arm-01", "node-01")
DRONES = NAMES[:2]


def track(device: str, found: Withheld | None = None) -> Track:
    """What a device did in the push that is withheld for 10 s."""
    return next(one for one in (found or played(10.0)).tracks if one.device == device)


@pytest.mark.parametrize("device", NAMES)
def test_everybody_holds_from_hold_at(device: str) -> None:
    """Give or take the clock error of the fleet, whatever the device's own clock reads."""
    found = played(10.0)
    assert abs(track(device).held_from_s - found.hold_at_s) <= found.clock_error_s == 0.05


@pytest.mark.parametrize("device", NAMES)
def test_everybody_holds_until_the_decision(device: str) -> None:
    """Not a moment less, and half a second more at the most."""
    late_s = track(device).held_until_s - played(10.0).told_at_s
    assert 0.0 < late_s < 0.5


def test_commit_was_decided_before_anybody_held() -> None:
    """What is withheld is a decision that stands: nobody may guess it."""
    found = played(10.0)
    assert found.decided_at_s < found.hold_at_s
    assert pytest.approx(10.0) == found.told_at_s - found.hold_at_s


@pytest.mark.parametrize("device", DRONES)
def test_the_battery_falls_at_hover_power(device: str) -> None:
    """By as much as hovering for the time of the hold takes, to a block of 50 ms."""
    one = track(device)
    assert one.hover_power_w is not None
    expected_wh = one.hover_power_w * one.held_s / 3600.0
    assert pytest.approx(one.hover_power_w) == one.held_power_w
    assert pytest.approx(expected_wh, rel=0.06 / one.held_s) == one.lost.amount


@pytest.mark.parametrize("device", DRONES)
def test_a_drone_hovers_while_it_holds_and_flies_on(device: str) -> None:
    """In the middle of its way: hovering as long as it is held, transit before and after."""
    one, phases = track(device), {held: set[FlightPhase]() for held in (False, True)}
    for sample in one.samples:
        changes = (one.held_from_s, one.held_until_s)
        if all(abs(sample.at_s - at_s) > 0.1 for at_s in changes):
            phases[sample.held].add(sample.phase)
    assert {False: {FlightPhase.TRANSIT}, True: {FlightPhase.HOVERING}} == phases


def test_what_others_lose() -> None:
    """An arm the time, a node three quarters of its 25 pictures a second."""
    arm, node = track("arm-01"), track("node-01")
    assert pytest.approx(arm.held_s, abs=0.06) == arm.lost.amount
    assert pytest.approx(0.75 * 25.0 * node.held_s, abs=1.0) == node.lost.amount


def test_nothing_went_wrong() -> None:
    """So says the figure itself."""
    assert [] == played(10.0).wrong()


def test_a_longer_silence_costs_more() -> None:
    """In proportion: 20 s take of the battery twice what 10 s do."""
    one, two = track("drone-01"), track("drone-01", played(20.0))
    assert pytest.approx(two.held_s / one.held_s, rel=0.01) == two.lost.amount / one.lost.amount


def test_the_plot_is_well_formed_and_says_the_figures() -> None:
    """XML; a strip and figures for each device, both instants."""
    root = ET.fromstring(render_withheld_svg(played(10.0)))
    said = [node.text for node in root.iter() if node.tag.endswith("text")]
    for expected in (*NAMES, "hold_at ± 50 ms", "COMMIT gets out", "1.34 Wh of the battery"):
        assert expected in said
    assert 6 == sum(node.tag.endswith("path") for node in root.iter())


def test_the_command_writes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Same arguments, same bytes; a table on stdout, nothing on stderr, exit code 0."""
    first, again = tmp_path / "first.svg", tmp_path / "again.svg"
    assert 0 == main(["--withhold", "10", "--out", str(first)])
    out, err = capsys.readouterr()
    assert ("", 6) == (err, len(out.splitlines()))
    assert 0 == main(["--out", str(again)])
    assert first.read_bytes() == again.read_bytes()
    assert render_withheld_svg(played(10.0)) == first.read_text()


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["--withhold", "10"], id="no file"),
        pytest.param(["--out", "x.svg", "--withhold", "0"], id="too short"),
        pytest.param(["--out", "x.svg", "--withhold", "long"], id="no number"),
    ],
)
def test_wrong_use_of_the_command(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """It ends with 2, with the use on stderr."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert (2, "") == (ended.value.code, capsys.readouterr().out)


def test_a_file_that_can_not_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It ends with 2, and says why."""
    assert 2 == main(["--out", str(tmp_path / "missing" / "x.svg"), "--withhold", "10"])
    assert "can't be written" in capsys.readouterr().err
