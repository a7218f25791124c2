"""What was measured, as one JSON document and as a table for people. Medians over the rounds."""

from __future__ import annotations

import multiprocessing
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import median
from typing import Any, Final

from drone_sim.benchmark.measure import Measured, Round, Side
from drone_sim.benchmark.pattern import undisturbed

SCHEMA: Final = 1
MESSAGING: Final = ("join", "prepare", "tell")
"""The phases that are compared: what comes after waits for an instant."""

PHASES: Final = {
    "join": "FENCE → HELLO, WELCOME",
    "prepare": "PREPARE, blobs → VOTE",
    "tell": "decide, DECISION → REPORT",
    "activate": "activate_at → REPORT",
}

Document = dict[str, Any]


def machine(mosquitto: str) -> Document:
    """Return what the figures depend on."""
    return {
        "cores": multiprocessing.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "mosquitto": mosquitto,
    }


# --- the document -------------------------------------------------------------------------------


def document(found: Sequence[Measured], facts: Document) -> Document:
    """Return the whole benchmark."""
    return {
        "schema": SCHEMA,
        "type": "benchmark",
        "machine": facts,
        "fleets": [_fleet(one) for one in found],
    }


def _fleet(found: Measured) -> Document:
    product, floor = _product(found), _floor(found)
    return {
        "devices": found.devices,
        "window_s": found.window_s,
        "rounds": len(found.rounds),
        "undisturbed": {
            "published": undisturbed(found.devices).published,
            "delivered": undisturbed(found.devices).delivered,
        },
        "product": product,
        "floor": floor,
        "ratio": _ratios(product, floor),
        "range_ms": {
            "product": _ranges(found.rounds, lambda one: one.product),
            "floor": _ranges(found.rounds, lambda one: one.floor),
        },
    }


def _product(found: Measured) -> Document:
    rounds, count = found.rounds, found.devices
    cpu_ms = _median(one.product.cpu_ms for one in rounds)
    start_ms = _median(found.start_cpu_ms)
    net_ms = round(cpu_ms - start_ms, 3)
    syncs = _median(one.sync.count for one in rounds)
    return {
        **_side([one.product for one in rounds]),
        "timing_ms": _medians([one.pushed.timing_ms for one in rounds]),
        "waited_by_design_ms": _median(one.pushed.waited_ms for one in rounds),
        "elapsed_ms": _median(one.pushed.elapsed_s * 1e3 for one in rounds),
        "cpu_ms": {
            "orchestrator": cpu_ms,
            "orchestrator_start": start_ms,
            "orchestrator_net": net_ms,
            "orchestrator_net_per_device": round(net_ms / count, 4),
            "devices": _median(one.product.devices_cpu_ms for one in rounds),
        },
        "fsync": {
            "count": syncs,
            "per_device": round(syncs / count, 3),
            "total_ms": _median(one.sync.total_ms for one in rounds),
            "mean_ms": round(_median(one.sync.total_ms for one in rounds) / max(syncs, 1), 3),
            "max_ms": _median(one.sync.max_ms for one in rounds),
        },
    }


def _floor(found: Measured) -> Document:
    sides = [one.floor for one in found.rounds]
    cpu_ms = _median(side.cpu_ms for side in sides)
    return {
        **_side(sides),
        "cpu_ms": {
            "coordinator": cpu_ms,
            "coordinator_per_device": round(cpu_ms / found.devices, 4),
            "devices": _median(side.devices_cpu_ms for side in sides),
        },
    }


def _side(sides: Sequence[Side]) -> Document:
    return {
        "phases_ms": _medians([side.phases_ms for side in sides]),
        "messages": {
            "published": _median(side.counted.messages.published for side in sides),
            "delivered": _median(side.counted.messages.delivered for side in sides),
            "dropped": max(side.counted.dropped for side in sides),
            "by_kind": _medians([side.kinds for side in sides]),
        },
    }


def _ratios(product: Document, floor: Document) -> Document:
    mine, bare = product["phases_ms"], floor["phases_ms"]
    both = {name: (mine[name], bare[name]) for name in PHASES}
    both["messaging"] = _sum(mine), _sum(bare)
    cpu = product["cpu_ms"]["orchestrator_net"], floor["cpu_ms"]["coordinator"]
    found = {name: _ratio(*pair) for name, pair in both.items()}
    return {**found, "orchestrator_cpu": _ratio(*cpu)}


def _sum(phases: Mapping[str, float]) -> float:
    return sum(phases[name] for name in MESSAGING)


def _ratio(mine: float, bare: float) -> float | None:
    return round(mine / bare, 2) if bare > 0 else None


def _ranges(rounds: Sequence[Round], side: Callable[[Round], Side]) -> Document:
    sides = [side(one).phases_ms for one in rounds]
    return {name: [min(s[name] for s in sides), max(s[name] for s in sides)] for name in PHASES}


def _median(values: Iterator[float] | Sequence[float]) -> float:
    return round(float(median(list(values))), 3)


def _medians(values: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for one in values for name in one)
    return {name: _median([one.get(name, 0) for one in values]) for name in names}


# --- the table ----------------------------------------------------------------------------------


def table(whole: Document) -> str:
    """Return the document as a table for people."""
    facts = whole["machine"]
    system = f"{facts['system']} {facts['architecture']}"
    programs = f"Python {facts['python']}, Mosquitto {facts['mosquitto']}"
    lines = [f"{facts['cores']} cores, {system}, {programs}; medians"]
    for fleet in whole["fleets"]:
        lines += ["", *_lines(fleet)]
    return "\n".join(lines)


def _lines(fleet: Document) -> Iterator[str]:
    product, floor, ratio = fleet["product"], fleet["floor"], fleet["ratio"]
    count = fleet["devices"]
    yield _row(f"{count} devices, {fleet['rounds']} rounds", "product", "floor", "ratio")
    for name, what in PHASES.items():
        mine, bare = product["phases_ms"][name], floor["phases_ms"][name]
        yield _row(f"{name:<9} {what}", _ms(mine), _ms(bare), _times(ratio[name]))
    mine, bare = _sum(product["phases_ms"]), _sum(floor["phases_ms"])
    yield _row("join + prepare + tell", _ms(mine), _ms(bare), _times(ratio["messaging"]))
    yield from _cpu_lines(count, product["cpu_ms"], floor["cpu_ms"], ratio)
    for name in ("published", "delivered"):
        mine, bare = product["messages"][name], floor["messages"][name]
        yield _row(f"messages {name}", f"{mine:.0f}", f"{bare:.0f}")
    yield _repeated(count, product["messages"]["by_kind"], floor["messages"]["by_kind"])
    yield from _product_lines(product)


def _cpu_lines(
    count: int, mine: Mapping[str, float], bare: Mapping[str, float], ratio: Document
) -> Iterator[str]:
    net, times = mine["orchestrator_net"], _times(ratio["orchestrator_cpu"])
    yield _row("orchestrator CPU, its start apart", _ms(net), _ms(bare["coordinator"]), times)
    each = mine["orchestrator_net_per_device"], bare["coordinator_per_device"]
    yield _row("  per device", *map(_us, each))
    yield _row("  its start", _ms(mine["orchestrator_start"]))
    yield _row(f"CPU of {count} devices", _ms(mine["devices"]), _ms(bare["devices"]))


def _repeated(count: int, mine: Mapping[str, float], bare: Mapping[str, float]) -> str:
    """Say what a device has sent and received beyond the pattern."""
    more = {name: (number - bare.get(name, 0)) / count for name, number in mine.items()}
    told = [f"{name} {each:+.2g}" for name, each in more.items() if each]
    return f"  beyond the pattern, per device: {', '.join(told) or 'nothing'}"


def _product_lines(product: Document) -> Iterator[str]:
    sync = product["fsync"]
    yield _row("waited by design, until activate_at", _ms(product["waited_by_design_ms"]))
    parts = ", ".join(f"{name} {ms:.1f}" for name, ms in product["timing_ms"].items())
    yield f"  push says     {parts} (ms)"
    yield (
        f"  device fsyncs {sync['count']:.0f}, {sync['per_device']:g} each,"
        f" mean {sync['mean_ms']:.2f} ms, longest {sync['max_ms']:.1f} ms"
    )


def _row(what: str, product: str, floor: str = "", ratio: str = "") -> str:
    return f"{what:<38}{product:>13}{floor:>13}{ratio:>9}".rstrip()


def _ms(value: float) -> str:
    return f"{value:.1f} ms"


def _us(value_ms: float) -> str:
    return f"{value_ms * 1e3:.0f} µs"


def _times(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:g} ×"
