"""
The world of a seed: which devices, over which links, with which clocks, timings and store.

In a calm seed nothing of it is in the way of a COMMIT.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from drone_sim.scenario.dice import Dice
from drone_sim.scenario.model import Link, Pace, SimulatedDevice, StoreQuality

_SIZES: Final = ((2, 15), (3, 40), (4, 25), (5, 10), (6, 5), (7, 5))
_KINDS: Final = ("drone", "arm", "node")
_DELAYS_S: Final = (((0.0005, 0.003), 3), ((0.002, 0.01), 4), ((0.01, 0.04), 2))
"""A cable, a good radio, a far one: the range of the delay each way, and how often."""

LOPSIDED_SHARE: Final = 0.15
"""In so many seeds links are slower one way than the other."""

_CONTROL: Final = Link(delay_s=0.0005, jitter_s=0.0005)


def fleet(
    seed: int, devices: tuple[SimulatedDevice, ...] | None, *, calm: bool
) -> tuple[SimulatedDevice, ...]:
    """Return the devices; where they are given, only what the world does to them is drawn."""
    dice = Dice(seed, "fleet")
    mixed = dice.chance(0.25)
    size = dice.weighted(_SIZES)
    kinds = [dice.one(_KINDS) if mixed else "drone" for _ in range(size)]
    drawn = devices or tuple(
        SimulatedDevice(id=f"d-{number:02}", kind=kind) for number, kind in enumerate(kinds, 1)
    )
    return _with_clocks(seed, _lopsided(seed, _with_links(seed, drawn, calm=calm)))


def _with_links(
    seed: int, devices: tuple[SimulatedDevice, ...], *, calm: bool
) -> tuple[SimulatedDevice, ...]:
    """All links of a fleet are of one sort; one seed in four has bad ones among them."""
    dice = Dice(seed, "links")
    least, most = dice.weighted(_DELAYS_S)
    bad = dice.chance(0.25) and not calm
    worst = dice.span(0.02, 0.3)
    links = [_link(dice, dice.span(least, most), worst if bad else 0.0) for _ in devices]
    return tuple(replace(device, link=link) for device, link in zip(devices, links, strict=True))


def _lopsided(seed: int, devices: tuple[SimulatedDevice, ...]) -> tuple[SimulatedDevice, ...]:
    """Let the way up be slower in some seeds: half of a round trip tells little of one way."""
    dice = Dice(seed, "lopsided")
    if not dice.chance(LOPSIDED_SHARE):
        return devices
    return tuple(
        replace(device, link=replace(device.link, up_s=dice.span(0.005, 0.06)))
        for device in devices
    )


def _link(dice: Dice, delay_s: float, worst: float) -> Link:
    link = Link(delay_s=delay_s, jitter_s=dice.number(0, 2 * delay_s))
    if not worst:
        return link
    return replace(
        link,
        loss=dice.number(0, worst),
        duplicate=dice.number(0, worst),
        spike=dice.number(0, worst),
        spike_s=dice.span(0.01, 1.0),
    )


def _with_clocks(seed: int, devices: tuple[SimulatedDevice, ...]) -> tuple[SimulatedDevice, ...]:
    """Clocks are hours apart in some fleets; all of them run as fast as a crystal does."""
    dice = Dice(seed, "clocks")
    apart_s = dice.weighted(((0.0, 1), (0.05, 3), (2.0, 3), (3600.0, 1)))
    drift_ppm = dice.weighted(((0.0, 1), (20.0, 3), (100.0, 1)))
    return tuple(
        replace(
            device,
            offset_s=dice.number(-apart_s, apart_s),
            drift_ppm=dice.number(-drift_ppm, drift_ppm),
            battery_percent=float(dice.count(40, 100)),
        )
        for device in devices
    )


def control(seed: int) -> Link:
    """Return the link between broker and orchestrators: a cable, or a little more."""
    dice = Dice(seed, "control")
    if dice.chance(0.7):
        return _CONTROL
    delay_s = dice.span(0.0005, 0.01)
    return Link(delay_s=delay_s, jitter_s=dice.number(0, delay_s))


def slowest_s(devices: tuple[SimulatedDevice, ...], link: Link) -> float:
    """Return the longest ordinary time of a message one way, from end to end."""
    return _longest(devices, link, 1.0)


def likely_s(devices: tuple[SimulatedDevice, ...], link: Link) -> float:
    """Return the likely time one way of the device that is the last to answer."""
    return _longest(devices, link, 0.6)


def _longest(devices: tuple[SimulatedDevice, ...], link: Link, jitter: float) -> float:
    longest = max(
        device.link.delay_s + device.link.up_s + jitter * device.link.jitter_s
        for device in devices
    )
    return longest + link.delay_s + jitter * link.jitter_s


def pace(seed: int, one_way_s: float, append_s: float) -> Pace:
    """
    Return the timings: those with which a healthy fleet votes yes, in time.

    So ε leaves room for what an exchange over these links can tell of a clock.
    """
    dice = Dice(seed, "pace")
    shortest_s = max(0.1, 12 * one_way_s + 4 * append_s)
    return Pace(
        window_s=None if dice.chance(0.6) else dice.span(shortest_s, max(3.0, shortest_s)),
        clock_error_s=round(max(dice.span(0.01, 0.1), 1.5 * one_way_s), 4),
        settle_s=dice.span(0.5, 6.0),
        join_s=dice.span(max(0.2, 6 * one_way_s), 1.5),
        lease_s=dice.span(2.0, 12.0) if dice.chance(0.25) else None,
    )


def store(seed: int, *, calm: bool) -> StoreQuality:
    """Return how good the store is: quick and honest mostly."""
    dice = Dice(seed, "store")
    append_s = dice.weighted(((0.0003, 6), (dice.span(0.0003, 0.05), 3)))
    return StoreQuality(
        append_s=append_s,
        loses_answer=dice.span(0.01, 0.2) if dice.chance(0.15) and not calm else 0.0,
    )
