"""Plots and figures over many runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from xml.etree import ElementTree as ET

import pytest

from drone_sim.explore.figures import HEALTHY
from drone_sim.report.causes import causes, quantile, worst
from drone_sim.report.html import render_page
from drone_sim.report.plots import (
    Scale,
    render_acts_svg,
    render_holding_svg,
    render_skew_svg,
    scale_of,
)
from drone_sim.report.window import Window, ticks
from drone_sim.result import Figures, Hold, Result, Speed
from drone_sim.scenario.model import Scenario
from tests.report import nights
from tests.report.pages import body_of, words

Render = Callable[[Sequence[Result]], str]
RENDERED: tuple[Render, ...] = (render_holding_svg, render_skew_svg, render_acts_svg)


def with_holds(*holds: Hold) -> list[Result]:
    """One result with these holds."""
    scenario = Scenario(name="holds", seed=1, devices=())
    return [Result(scenario=scenario, speed=Speed.CORES, figures=Figures(holds=holds))]


def hold(lasted_s: float, *names: str, budget_s: float = 10.0) -> Hold:
    """A hold of that length with these causes."""
    return Hold(device="d-01", began_s=0.0, lasted_s=lasted_s, causes=names, budget_s=budget_s)


@pytest.mark.parametrize("render", RENDERED)
@pytest.mark.parametrize("runs", [0, 1, 50])
def test_a_plot_is_a_file_of_its_own(render: Render, runs: int) -> None:
    """A plot stands by itself, with its style, and refers to nothing."""
    made = render(nights.many(runs))
    root = ET.fromstring(made)
    assert "{http://www.w3.org/2000/svg}svg" == root.tag
    assert "url(" not in made
    assert made == render(nights.many(runs))


def test_nothing_is_said_to_be_nothing() -> None:
    """Without a hold, an activation or an act a plot says so."""
    for render, said in zip(
        RENDERED,
        ("No device has held.", "Nothing was activated.", "Nothing was done to the fleet."),
        strict=True,
    ):
        assert said in render([])


def test_holds_are_counted_for_each_cause() -> None:
    """A hold counts for every fault that had a part in it; alone, for one; without, as healthy."""
    found = causes(with_holds(hold(0.1), hold(1.0, "cut"), hold(2.0, "cut", "kill")))
    assert [(HEALTHY, 1, 0), ("cut", 1, 1), ("kill", 0, 1)] == [
        (one.name, len(one.alone), len(one.among)) for one in found
    ]


def test_what_comes_of_a_fault_is_no_cause_beside_it() -> None:
    """A state that follows from a fault counts only where there was no fault."""
    found = causes(with_holds(hold(1.0, "cut", "nobody-answers"), hold(2.0, "nobody-answers")))
    assert [("nobody-answers", 1, 0), ("cut", 1, 0)] == [
        (one.name, len(one.alone), len(one.among)) for one in found
    ]


def test_the_closest_is_measured_by_its_own_budget() -> None:
    """The longest hold need not be the one that came closest to what it was allowed."""
    (found,) = causes(with_holds(hold(8.0, "cut", budget_s=80.0), hold(3.0, "cut", budget_s=4.0)))
    closest = found.closest
    assert closest is not None
    longest = worst(found.alone)
    assert longest is not None
    assert (8.0, 3.0) == (longest.lasted_s, closest.lasted_s)


def test_a_hold_over_its_budget_cannot_be_overlooked() -> None:
    """Where a budget was exceeded the plot says so in words."""
    made = render_holding_svg(with_holds(hold(12.0, "cut", budget_s=10.0)))
    assert "OVER: 120 % of 10 s" in made


def test_the_budget_has_its_line() -> None:
    """The budget of a cause stands in its row, right of what stayed within it."""
    root = ET.fromstring(render_holding_svg(with_holds(hold(1.0, "cut", budget_s=10.0))))
    (limit,) = [one for one in root.iter() if one.get("class") == "limit"]
    bars = [one for one in root.iter() if one.get("class") == "alone"]
    ends = [float(bar.get("x", 0)) + float(bar.get("width", 0)) for bar in bars]
    assert 1 == len(bars)
    assert ends[0] < float(limit.get("x1", 0))


def test_every_hold_is_in_a_bar() -> None:
    """The bars of a cause hold as many holds as it has."""
    results = nights.many(200)
    root = ET.fromstring(render_holding_svg(results))
    told = Counter[str]()
    for bar in (one for one in root.iter() if one.get("class") == "with"):
        name, _, rest = "".join(bar.itertext()).partition(": ")
        told[name] += int(rest.split(": ")[1].split(" hold")[0].replace(",", ""))
    assert {one.name: len(one.holds) for one in causes(results)} == told


@pytest.mark.parametrize(
    ("times", "low", "high"),
    [([0.02, 3.0], -2, 1), ([1.0], 0, 1), ([1e-6], -3, -2), ([], -3, -2), ([100.0], 2, 3)],
)
def test_the_axis_has_whole_decades(times: list[float], low: int, high: int) -> None:
    """The axis of times reaches over all of them, and at least one decade."""
    assert Scale(low=low, high=high) == scale_of(times)


def test_a_time_on_the_edge_of_a_bin_is_in_it() -> None:
    """A bin has its lower edge and not its upper one, but for the last."""
    scale = Scale(low=-1, high=1)
    assert [0, 0, 4, 4, 7, 7] == [scale.bin_of(s) for s in (0.05, 0.1, 1.0, 1.5, 9.9, 10.0)]


@pytest.mark.parametrize(("share", "value"), [(0.5, 2.0), (0.99, 4.0), (0.0, 1.0)])
def test_quantiles_are_values_that_were_seen(share: float, value: float) -> None:
    """A quantile is the least value that so many are not above."""
    assert value == quantile([4.0, 1.0, 3.0, 2.0], share)


def test_the_skew_curve_ends_at_all() -> None:
    """The curve of the skews rises from 0 % to 100 %."""
    root = ET.fromstring(render_skew_svg(nights.many(20)))
    (curve,) = [one for one in root.iter() if one.get("class") == "curve"]
    heights = [float(part.split("H")[0]) for part in curve.get("d", "").split("V")[1:]]
    assert sorted(heights, reverse=True) == heights
    assert 26.0 == heights[-1]


def test_acts_are_counted_over_all_runs() -> None:
    """Each verb has its number, and one that dwarfs the others says that its bar is cut."""
    made = render_acts_svg(nights.many(10))
    assert "▸ push" in made
    assert ">20<" in made
    assert ">90 (bar is cut)<" in made


def test_many_runs_bound_the_rate() -> None:
    """Without a violation the page says what the rate is below; with few runs, or one, nothing."""
    assert "less than 3 % of all seeds" in words(body_of(render_page(nights.many(100), title="a")))
    assert "of all seeds" not in words(body_of(render_page(nights.many(20), title="a")))
    failed = [*nights.many(100), nights.played(3, violated=True)]
    assert "of all seeds" not in words(body_of(render_page(failed, title="a")))


def test_the_table_has_every_cause() -> None:
    """The table of holding times has a row for each cause, with its budget."""
    results = with_holds(hold(0.1, budget_s=0.2), hold(5.0, "cut"), hold(6.0, "cut", "kill"))
    told = words(body_of(render_page(results, title="holds")))
    assert "healthy 1 100 ms 100 ms 100 ms 200 ms 0 50 % of 200 ms" in told
    assert "cut 1 5 s 5 s 5 s 10 s 1 6 s 10 s 60 % of 10 s" in told


@pytest.mark.parametrize(
    ("from_s", "to_s", "most", "shown"),
    [
        (0.0, 10.0, 5, ["0", "2", "4", "6", "8", "10"]),
        (-0.5, 0.5, 4, ["-0.5", "0.0", "0.5"]),
        (2.2, 2.25, 6, ["2.20", "2.21", "2.22", "2.23", "2.24", "2.25"]),
        (0.0, 180.0, 8, ["0", "50", "100", "150"]),
    ],
)
def test_ticks_are_round(from_s: float, to_s: float, most: int, shown: list[str]) -> None:
    """Ticks are multiples of 1, 2 or 5, as precise as their step, within the window."""
    window = Window(from_s=from_s, to_s=to_s)
    assert shown == [words_ for _, words_ in ticks(window, most)]
