"""
``/metrics``: the locks and what becomes of them, in Prometheus' text format.

Everything is computed when it is asked for, from the journals, the leases and the server: nothing
that is shown lives only in a counter that somebody forgot to raise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from orchestrator.errors import OperatingError
from orchestrator.ports import StoreUnavailable
from orchestrator.protocol.fleet import FleetState
from orchestrator.protocol.fold import fold
from orchestrator.protocol.records import Entry, LockState, LockTaken, Verb
from orchestrator.protocol.types import FleetId
from orchestrator.service import locks
from orchestrator.service.results import LockView
from orchestrator.web.api import Api

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fleet:
    """One fleet at this moment; ``forced`` counts locks taken from somebody, by verb."""

    view: LockView
    forced: Counter[str]


async def scrape(api: Api) -> bytes:
    """
    Return all metrics as they are now.

    Without a store the metrics of locks are missing and ``aim_store_up`` is 0: what the server
    knows by itself is told all the same.
    """
    try:
        fleets = [await _look(api, fleet) for fleet in await api.world.store.fleets()]
    except (StoreUnavailable, OperatingError):
        fleets = None
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Snapshot(api, fleets))
    return generate_latest(registry)


async def _look(api: Api, fleet: FleetId) -> _Fleet:
    entries = await api.world.store.read(fleet)
    state = fold(FleetState(fleet=fleet), entries)
    return _Fleet(view=await locks.look(api.world, state), forced=_forced(entries))


def _forced(entries: Sequence[Entry]) -> Counter[str]:
    """Count the locks that were taken from their owners, by the verb that the journal has."""
    return Counter(
        entry.record.purpose
        for entry in entries
        if isinstance(entry.record, LockTaken) and entry.record.state is LockState.RESOLVING
    )


class _Snapshot(Collector):
    """What was found, as metric families."""

    def __init__(self, api: Api, fleets: Sequence[_Fleet] | None) -> None:
        self._api = api
        self._up = fleets is not None
        self._fleets = fleets or ()

    def collect(self) -> Iterator[Metric]:
        """Yield every family, also those that have no sample now."""
        yield GaugeMetricFamily(
            "aim_store_up", "Whether the journals can be read.", value=int(self._up)
        )
        yield self._state()
        yield self._epoch()
        yield from self._ages()
        yield self._queue()
        yield self._forced()
        yield from self._doubt()
        yield from self._counts()

    # --- from the journals --------------------------------------------------------------------

    def _state(self) -> Metric:
        family = GaugeMetricFamily(
            "aim_lock_state",
            "The state of a fleet's lock: 1 for the one that it is in, 0 for the others.",
            labels=["fleet", "state"],
        )
        for fleet in self._fleets:
            for state in LockState:
                is_now = fleet.view.lock.state is state
                family.add_metric([fleet.view.fleet, state.value], int(is_now))
        return family

    def _epoch(self) -> Metric:
        family = GaugeMetricFamily(
            "aim_lock_epoch",
            "The epoch of a fleet's lock: it rises at every change of ownership.",
            labels=["fleet", "incarnation"],
        )
        for fleet in self._fleets:
            epoch = fleet.view.lock.epoch
            family.add_metric([fleet.view.fleet, str(epoch.incarnation)], epoch.number)
        return family

    def _ages(self) -> Iterator[Metric]:
        holder = GaugeMetricFamily(
            "aim_lock_holder_age_seconds",
            "How long the present owner has had the lock; missing while it is free.",
            labels=["fleet"],
        )
        heartbeat = GaugeMetricFamily(
            "aim_lock_heartbeat_age_seconds",
            "How long ago the owner has renewed its lease; missing while the lock is free.",
            labels=["fleet"],
        )
        now = self._api.world.clock.now()
        for fleet in self._fleets:
            lock, live = fleet.view.lock, fleet.view.liveness
            if lock.state is not LockState.FREE:
                holder.add_metric([fleet.view.fleet], max(0.0, now - lock.since))
            if live is not None and live.renewed_ago_s is not None:
                heartbeat.add_metric([fleet.view.fleet], live.renewed_ago_s)
        yield from (holder, heartbeat)

    def _queue(self) -> Metric:
        family = GaugeMetricFamily(
            "aim_lock_queue_length", "How many wait for a fleet's lock.", labels=["fleet"]
        )
        for fleet in self._fleets:
            family.add_metric([fleet.view.fleet], len(fleet.view.waiters))
        return family

    def _forced(self) -> Metric:
        family = CounterMetricFamily(
            "aim_forced_unlocks",
            "Locks that were taken from their owner and resolved, by what took them; all that"
            " the journal has.",
            labels=["fleet", "verb"],
        )
        for fleet in self._fleets:
            for verb in Verb:
                family.add_metric([fleet.view.fleet, verb.value], fleet.forced[verb.value])
        return family

    # --- from the server ----------------------------------------------------------------------

    def _doubt(self) -> Iterator[Metric]:
        devices = GaugeMetricFamily(
            "aim_devices_in_doubt",
            "Devices that have voted yes and do not know the decision, by their own word.",
            labels=["fleet"],
        )
        oldest = GaugeMetricFamily(
            "aim_devices_in_doubt_oldest_age_seconds",
            "How long the device has been in doubt that has been so longest; 0 without any.",
            labels=["fleet"],
        )
        now = self._api.world.clock.now()
        for fleet, since in self._api.observer.in_doubt().items():
            devices.add_metric([fleet], len(since))
            oldest.add_metric([fleet], max(0.0, now - min(since.values(), default=now)))
        yield from (devices, oldest)

    def _counts(self) -> Iterator[Metric]:
        rejections = CounterMetricFamily(
            "aim_fence_rejections",
            "Old epochs that were refused since the start, by who refused them.",
            labels=["by"],
        )
        told = {"device": 0, "holder": 0, **self._api.observer.fence_rejections()}
        for by, count in sorted({**told, "api": self._api.counts.fenced}.items()):
            rejections.add_metric([by], count)
        runs = CounterMetricFamily(
            "aim_cleanup_runs",
            "Clean-ups of ghosts' locks since the start, by how they ended.",
            labels=["result"],
        )
        for result, count in sorted(self._api.observer.cleanup_runs().items()):
            runs.add_metric([result], count)
        yield from (rejections, runs)
