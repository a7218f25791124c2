"""A whole run as it is drawn: its trace, read."""

from __future__ import annotations

from dataclasses import dataclass

from drone_sim.report.deeds import ActSpan, act_spans
from drone_sim.report.spans import (
    DeviceSpan,
    LockSpan,
    ProcessSpan,
    Transaction,
    device_spans,
    haunted,
    lock_spans,
    of_kind,
    process_spans,
    transactions,
)
from drone_sim.scenario.model import Scenario
from drone_sim.trace import Event, Kind, Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """A whole run, as it is drawn: from ``begin_s`` to ``end_s``."""

    begin_s: float
    end_s: float
    devices: dict[str, tuple[DeviceSpan, ...]]
    processes: dict[str, tuple[ProcessSpan, ...]]
    lock: tuple[LockSpan, ...]
    transactions: tuple[Transaction, ...]
    acts: tuple[ActSpan, ...]
    journal: tuple[Event, ...]
    messages: tuple[Event, ...]
    notices: tuple[Event, ...]
    phases: tuple[Event, ...]
    violations: tuple[Event, ...]

    def name_of(self, txn: str) -> str:
        """Return what people call a transaction."""
        return next((one.name for one in self.transactions if one.txn == txn), txn)

    def drawn_to(self, to_s: float, edge_s: float) -> float:
        """
        Return how far a span is drawn that lasted until ``to_s``.

        A violation is found in the instant in which a state begins: it is drawn to the edge, or
        nobody would see the state that broke something.
        """
        return edge_s if self.violations and to_s >= self.end_s else to_s


def played(scenario: Scenario, trace: Trace) -> Played:
    """Read a trace; an empty one gives one second in which nothing happens."""
    events = sorted(trace.events, key=lambda event: event.at_s)
    begin_s = min((event.at_s for event in events), default=0.0)
    end_s = max((event.at_s for event in events), default=1.0)
    end_s = max(end_s, begin_s + 1e-3)
    processes = process_spans(events, end_s, devices=scenario.names)
    return Played(
        begin_s=begin_s,
        end_s=end_s,
        devices={name: device_spans(events, name, end_s) for name in scenario.names},
        processes=processes,
        lock=tuple(haunted(lock_spans(events, begin_s, end_s), processes)),
        transactions=transactions(events),
        acts=act_spans(scenario, events, processes),
        journal=of_kind(events, Kind.JOURNAL),
        messages=of_kind(events, Kind.MESSAGE),
        notices=of_kind(events, Kind.NOTICE),
        phases=of_kind(events, Kind.PHASE),
        violations=of_kind(events, Kind.VIOLATION),
    )
