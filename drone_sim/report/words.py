"""What the report says in words: durations, acts, and what of a scenario was drawn."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from drone_sim.report.markup import number
from drone_sim.scenario.model import Act, Link, Scenario, SimulatedDevice
from drone_sim.scenario.phrases import written
from drone_sim.trace import Event, Kind

NAMED_MAX: Final = 4
"""So many devices are named; more are counted."""

LOW_PERCENT: Final = 50.0
"""A device that begins with less is named."""

MILLISECOND_S: Final = 1e-3
SECONDS_TO_S: Final = 120.0
"""From here on a time is told in minutes, from :data:`MINUTES_TO_S` on in hours."""

MINUTES_TO_S: Final = 7200.0


def duration(seconds: float) -> str:
    """Return ``340 µs``, ``12 ms``, ``1.25 s``, ``3 min 20 s`` or ``25 h``."""
    size = abs(seconds)
    if size < MILLISECOND_S:
        return f"{_digits(seconds * 1e6)} µs" if size else "0 s"
    if size < 1:
        return f"{_digits(seconds * 1e3)} ms"
    if size < SECONDS_TO_S:
        return f"{_digits(seconds)} s"
    if size < MINUTES_TO_S:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{_digits(seconds / 3600)} h"


def _digits(value: float) -> str:
    """Return three digits of a number, or all in front of its point: ``0.003``, ``1,234``."""
    after = 2 - math.floor(math.log10(abs(value))) if value else 0
    shown = f"{value:,.{max(after, 0)}f}"
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


def at(seconds: float) -> str:
    """Return an instant of the story, to the millisecond: ``1.203 s``."""
    return f"{seconds:.3f} s"


def share(rate: float) -> str:
    """Return ``12 %``, ``0.15 %``."""
    return f"{_digits(rate * 100)} %" if rate else "0 %"


def counted(count: int, noun: str, nouns: str = "") -> str:
    """Return ``1 device``, ``1,200 devices``."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"


def listed(names: Iterable[str], most: int = NAMED_MAX) -> str:
    """Return ``a, b, c and 9 more``."""
    every = tuple(names)
    shown = ", ".join(every[:most])
    return f"{shown} and {len(every) - most} more" if len(every) > most else shown


def act_in_words(act: Act) -> str:
    """Return an act without its time: ``cut d-01 and d-02 from the broker for 2 s``."""
    return written(act).partition(" s ")[2]


def event_words(event: Event) -> str:
    """Return an event's text; a message's with its end and its receiver, where it lacks them."""
    if event.kind is not Kind.MESSAGE:
        return event.text
    to, end = str(event.detail.get("to") or "all"), str(event.detail.get("end") or "sent")
    return event.text if end in event.text else f"{event.text} → {to}, {end}"


# --- the scenario -----------------------------------------------------------------------------


def scenario_in_words(scenario: Scenario) -> Iterator[tuple[str, str]]:
    """Yield what was drawn: what it is about, and how it is."""
    yield "fleet", _fleet(scenario)
    yield "links", _links([device.link for device in scenario.devices])
    yield "control link", _links([scenario.control])
    yield "clocks", _clocks(scenario)
    yield "store", _store(scenario)
    yield "timing", _timing(scenario)
    yield "phases", _phases(scenario)


def _fleet(scenario: Scenario) -> str:
    kinds = Counter(device.kind for device in scenario.devices)
    of_kinds = ", ".join(f"{count} × {kind}" for kind, count in sorted(kinds.items()))
    begins = "no configuration yet" if scenario.fresh else "on version 1 when the story begins"
    weak = [device for device in scenario.devices if device.battery_percent < LOW_PERCENT]
    low = f"; battery below {number(LOW_PERCENT)} %: {listed(map(_battery, weak))}" if weak else ""
    return f"{counted(len(scenario.devices), 'device')} ({of_kinds}), {begins}{low}"


def _battery(device: SimulatedDevice) -> str:
    return f"{device.id} ({number(device.battery_percent, 0)} %)"


def _links(links: list[Link]) -> str:
    fastest = min((link.delay_s for link in links), default=0.0)
    slowest = max((link.delay_s + link.up_s + link.jitter_s for link in links), default=0.0)
    parts = [f"{duration(fastest)} to {duration(slowest)} each way"]
    for word, rates in (
        ("lost", [link.loss for link in links]),
        ("repeated", [link.duplicate for link in links]),
    ):
        if any(rates):
            parts.append(f"{_span(rates)} of the messages {word}")
    spikes = [link for link in links if link.spike]
    if spikes:
        late = max(link.spike_s for link in spikes)
        parts.append(f"{_span([link.spike for link in links])} up to {duration(late)} late")
    return ", ".join(parts)


def _span(rates: list[float]) -> str:
    low, high = share(min(rates)), share(max(rates))
    return low if low == high else f"{low} to {high}"


def _clocks(scenario: Scenario) -> str:
    offsets = [device.offset_s for device in scenario.devices] or [0.0]
    drift = max((abs(device.drift_ppm) for device in scenario.devices), default=0.0)
    parts = [f"the fleet allows ε = {duration(scenario.pace.clock_error_s)}"]
    if any(offsets):
        parts.append(f"off by {duration(min(offsets))} to {duration(max(offsets))}")
    if drift:
        parts.append(f"drifting by up to {number(drift, 0)} ppm")
    return ", ".join(parts)


def _store(scenario: Scenario) -> str:
    taken = f"an append takes {duration(scenario.store.append_s)}"
    lost = scenario.store.loses_answer
    return f"{taken}, {share(lost)} of the answers are lost" if lost else taken


def _timing(scenario: Scenario) -> str:
    pace = scenario.pace
    window = "measured" if pace.window_s is None else duration(pace.window_s)
    lease = "none" if pace.lease_s is None else duration(pace.lease_s)
    return (
        f"window {window}, settle {duration(pace.settle_s)}, join {duration(pace.join_s)},"
        f" enable lease {lease}"
    )


def _phases(scenario: Scenario) -> str:
    return (
        f"faults until {duration(scenario.safety_s)}; then everything is repaired, and everybody"
        f" must be well within {duration(scenario.liveness_s)}"
    )
