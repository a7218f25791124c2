"""One push of the product, in a process of its own, and what it took."""

from __future__ import annotations

import json
import resource
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from drone_sim.benchmark.lines import Answer, run
from drone_sim.benchmark.site import Site
from orchestrator.errors import Exit, OperatingError
from orchestrator.protocol.fleet import FleetState, Txn
from orchestrator.protocol.fold import fold
from orchestrator.protocol.types import FleetId
from orchestrator.storage import open_store
from orchestrator.wiring import SystemClock

BESIDE_S: Final = 120.0
"""A push takes its window and this at most."""

REASONS_SHOWN: Final = 5
_CLOCK: Final = SystemClock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """A push that every device has followed. ``cpu_s`` is that of the whole process."""

    document: Mapping[str, Any]
    txn: Txn
    cpu_s: float
    elapsed_s: float

    @property
    def timing_ms(self) -> dict[str, float]:
        """The product's own timing, by its names."""
        return dict(self.document["timing_ms"])

    @property
    def waited_ms(self) -> float:
        """What was waited for by design, from the decision to the instant of activation."""
        decided_at = self.txn.decided_at or 0.0
        return round((self.txn.begun.timeline.activate_at - decided_at) * 1e3, 3)

    def phases_ms(self, devices: Sequence[Answer]) -> dict[str, float]:
        """
        Return the phases as the floor has them; ``devices`` are the snapshots of this push.

        The decision's record is in ``tell``: the floor has none. A phase that the product had
        to wait out is shown without that.
        """
        timing, decided_at, ended_at = self.timing_ms, self.txn.decided_at, self.txn.ended_at
        recorded_at = max(float(answer["recorded_at"]) for answer in devices)
        tell_ms = (recorded_at - (decided_at or 0.0)) * 1e3
        activate_ms = ((ended_at or 0.0) - self.txn.begun.timeline.activate_at) * 1e3
        return {
            "join": timing["join"],
            "prepare": timing["prepare"],
            "tell": round(timing["decide"] + tell_ms, 3),
            "activate": round(activate_ms, 3),
        }


async def push(site: Site, broker: str, number: int) -> Pushed:
    """Run ``aimctl push``. Raises OperatingError unless every device has activated."""
    before, began = _children_s(), _CLOCK.monotonic()
    code, out, err = await _aimctl(
        site, broker, "push", str(site.config(number)), "--fleet", str(site.fleet_file), "--yes"
    )
    elapsed_s, cpu_s = _CLOCK.monotonic() - began, _children_s() - before
    document = _document(out)
    _require_committed(document, code, out + err)
    return Pushed(document=document, txn=await _last(site), cpu_s=cpu_s, elapsed_s=elapsed_s)


async def start_cpu_s(site: Site, broker: str) -> float:
    """
    Return what an ``aimctl`` costs before it has anything to do.

    It loads everything, opens the store, connects, and asks after a device that does not run.
    """
    before = _children_s()
    code, out, err = await _aimctl(
        site, broker, "status", "--fleet", str(site.idle_file), timeout_s=BESIDE_S
    )
    if code != Exit.DONE:
        raise _failed("aimctl status", code, out + err)
    return _children_s() - before


async def _aimctl(
    site: Site, broker: str, *words: str, timeout_s: float | None = None
) -> tuple[int, str, str]:
    return await run(
        *("-m", "orchestrator.cli", *words),
        *("--store", site.store, "--broker", broker, "--output", "json"),
        *("--log-level", "warning"),
        timeout_s=timeout_s or site.window_s + BESIDE_S,
    )


def _children_s() -> float:
    """Return the CPU time of all children that have ended: none of them runs beside a push."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _document(out: str) -> dict[str, Any]:
    try:
        found = json.loads(out)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _require_committed(document: Mapping[str, Any], code: int, said: str) -> None:
    devices = document.get("devices", {})
    idle = [name for name, part in devices.items() if part["state"] != "active"]
    good = code == Exit.DONE and document.get("decision") == "commit" and devices and not idle
    if not good:
        refusals = _refusals(devices) or [f"not active: {name}" for name in idle[:REASONS_SHOWN]]
        why = [str(document["message"]), *refusals] if document.get("message") else [said.strip()]
        raise _failed("the push", code, "\n  ".join(why))


def _refusals(devices: Mapping[str, Any]) -> list[str]:
    told = (
        f"{name}: {'; '.join(part['reasons'])}"
        for name, part in devices.items()
        if part.get("reasons")
    )
    return list(islice(told, REASONS_SHOWN))


def _failed(what: str, code: int, why: str) -> OperatingError:
    return OperatingError(
        f"{what} ended with code {code}, so nothing was measured\n  {why}",
        exit_code=Exit.UNEXPECTED,
        next_command="a longer --window, or fewer --devices",
    )


async def _last(site: Site) -> Txn:
    """Read the transaction that installed the present version, from the journal."""
    store, fleet = open_store(site.store, now=_CLOCK.now), FleetId(site.fleet)
    try:
        state = fold(FleetState(fleet=fleet), await store.read(fleet))
    finally:
        await store.close()
    if state.installed is None:
        raise OperatingError("the journal has no version", exit_code=Exit.UNEXPECTED)
    return state.installed
