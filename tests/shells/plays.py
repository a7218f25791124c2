"""Small scenarios for whole shells, and what can be read in their traces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from drone_sim.result import Crash, Result
from drone_sim.scenario.model import Scenario, SimulatedDevice
from drone_sim.scenario.phrases import read
from drone_sim.shells.engine import play
from drone_sim.shells.fleetware import Fleetware
from drone_sim.trace import Event, Kind, Trace

THREE = tuple(SimulatedDevice(id=f"d-0{number}") for number in (1, 2, 3))


def scenario(*lines: str, **more: Any) -> Scenario:
    """Three drones, and what happens, each line as people write it."""
    acts = tuple(sorted((read(line) for line in lines), key=lambda act: act.at_s))
    settings = {"seed": 1, "devices": THREE, "safety_s": 10.0, **more}
    return Scenario(name="test", acts=acts, **settings)


@dataclass(frozen=True, kw_only=True)
class Played:
    """A run and its trace."""

    result: Result
    events: Sequence[Event]

    def of(self, kind: Kind, who: str = "") -> list[Event]:
        """The events of one kind, of the story and after it."""
        return [
            event
            for event in self.events
            if event.kind is kind and event.at_s >= 0 and who in ("", event.who)
        ]

    def records(self, kind: str) -> list[Event]:
        """The records of one kind that were stored."""
        return [event for event in self.of(Kind.JOURNAL) if event.detail["record"] == kind]

    def outcomes(self) -> list[object]:
        """What was decided, in order; the last is that of the healthy push."""
        return [event.detail["outcome"] for event in self.records("decided")]

    def end(self, process: str) -> str:
        """How a process ended, or was ended."""
        told = self.of(Kind.PROCESS, process)
        return told[-1].text

    def operated(self, device: str) -> list[object]:
        """What a device has aimed with, one after the other; ``None`` while it did not."""
        found: list[object] = []
        for event in self.of(Kind.STATE, device):
            if found[-1:] != [event.detail["operating"]]:
                found.append(event.detail["operating"])
        return found

    def state_at(self, device: str, at_s: float) -> dict[str, object]:
        """All that could be seen of a device at an instant."""
        told = [event for event in self.events if event.kind is Kind.STATE]
        before = [event for event in told if event.who == device and event.at_s <= at_s]
        return dict(before[-1].detail)


def played(
    made: Scenario, *, crashes: Sequence[Crash] = (), fleetware: Fleetware | None = None
) -> Played:
    """Play a scenario with a trace."""
    trace = Trace()
    result = play(made, trace=trace, crashes=crashes, fleetware=fleetware)
    return Played(result=result, events=trace.events)
