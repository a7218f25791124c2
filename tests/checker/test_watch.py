"""The incremental form of the invariants says what a fresh look at everything says."""

from __future__ import annotations

from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drone_sim.cores import samples
from drone_sim.cores.yard import Yard
from orchestrator.protocol import invariants
from orchestrator.protocol.device import Durable, Finished, Prepared
from orchestrator.protocol.fleet import FleetState
from orchestrator.protocol.fold import apply
from orchestrator.protocol.invariants import DeviceView, Promise, Snapshot, Violation, Watch
from orchestrator.protocol.records import Entry
from orchestrator.protocol.types import DeviceId, Epoch, Outcome
from tests.protocol import journals, stories

DEVICES: Final = (samples.device_id(1), samples.device_id(2), samples.device_id(3))
NUMBERS: Final = st.integers(1, 5)


def in_order(found: list[Violation]) -> list[tuple[str, str]]:
    """Two lists of violations are compared as sets are."""
    return sorted((one.id, one.text) for one in found)


# --- what the minifleet's stories make ----------------------------------------------------------


class Watched(Yard):
    """A yard that keeps a watch beside its checks, and compares the two at each."""

    def __init__(self, devices: int = 3) -> None:
        self.watch = Watch(FleetState(fleet=samples.FLEET))
        self.seen = 0
        self.compared = 0
        super().__init__(devices)

    def roll_back(self, lost: int) -> None:
        super().roll_back(lost)
        self.watch = Watch(self.state, promised=self.promised, replaced=self.replaced)
        self.seen = 0

    def check(self) -> None:
        snapshot = self.snapshot()
        for entry in self.journal[self.seen :]:
            self.watch.append(entry, self.folds[min(entry.index, len(self.folds) - 1)])
        self.seen = len(self.journal)
        self.watch.fleet = self.state
        for one in self.promised - self.watch.promised:
            self.watch.promise(one)
        for name in self.replaced - self.watch.replaced:
            self.watch.replace(name)
        for name, view in snapshot.devices.items():
            self.watch.see(name, view)
        fresh = invariants.check(snapshot)
        assert in_order(fresh) == in_order(self.watch.violations(self.now))
        self.compared += 1
        super().check()


@pytest.mark.parametrize("name", stories.STORIES)
def test_it_agrees_with_a_fresh_check_through_a_story(name: str) -> None:
    """At every step of every story the two say the same."""
    fleet = Watched(3).steady()
    stories.STORIES[name](fleet)  # type: ignore[arg-type]
    assert isinstance(fleet, Watched)
    assert fleet.compared > 50


# --- what nobody would make ---------------------------------------------------------------------


def seqs(number: int) -> dict[str, Any]:
    """Name a transaction and its number."""
    return {"txn": samples.txn_id(number), "seq": number}


finished = st.lists(
    st.builds(
        lambda number, outcome: Finished(**seqs(number), outcome=outcome),
        NUMBERS,
        st.sampled_from(Outcome),
    ),
    max_size=3,
    unique_by=lambda done: done.txn,
)

prepared = st.none() | NUMBERS.map(
    lambda number: Prepared(
        **seqs(number),
        epoch=samples.epoch(1),
        plan=samples.digest("plan"),
        digest=samples.digest("own"),
        config=samples.CONFIG,
        timeline=samples.timeline(),
    )
)


@st.composite
def views(draw: st.DrawFn) -> tuple[DeviceId, DeviceView]:
    """Draw a device that may have recorded, promised and operate anything."""
    name = draw(st.sampled_from(DEVICES))
    durable = Durable(
        fleet=samples.FLEET,
        device=name,
        version=draw(st.integers(0, 5)),
        prepared=draw(prepared),
        finished=tuple(draw(finished)),
    )
    operating = draw(st.none() | st.integers(0, 3))
    return name, DeviceView(durable=durable, operating=operating, leased=draw(st.booleans()))


promises = st.builds(
    lambda name, number, digest: Promise(
        device=name,
        txn=samples.txn_id(number),
        digest=samples.digest(digest.format(number=number, name=name)),
        epoch=Epoch(1, 1),
    ),
    st.sampled_from(DEVICES),
    NUMBERS,
    st.sampled_from(["t{number}-{name}", "other"]),
)

moves = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.none()),
        st.tuples(st.just("skip"), st.none()),
        st.tuples(st.just("see"), views()),
        st.tuples(st.just("promise"), promises),
        st.tuples(st.just("replace"), st.sampled_from(DEVICES)),
        st.tuples(st.just("excuse"), st.frozensets(st.sampled_from(DEVICES))),
    ),
    max_size=40,
)


@settings(max_examples=300, derandomize=True, database=None, deadline=None)
@given(story=st.sampled_from(sorted(journals.STORIES)), moves=moves)
def test_it_agrees_with_a_fresh_check_whatever_happens(
    story: str, moves: list[tuple[str, Any]]
) -> None:
    """Whatever is appended, left out, seen, promised, replaced or excused: both say the same."""
    records = list(journals.STORIES[story])
    fleet, entries = FleetState(fleet=samples.FLEET), list[Entry]()
    watch, devices = Watch(fleet), dict[DeviceId, DeviceView]()
    promised, replaced, excused = set[Promise](), set[DeviceId](), frozenset[DeviceId]()
    head = 0
    for what, detail in moves:
        if what in {"append", "skip"} and head < len(records):
            head += 1
            fleet = apply(fleet, Entry(index=head, at=float(head), record=records[head - 1]))
            if what == "append":  # one that is left out makes the rest illegal
                entry = Entry(index=len(entries) + 1, at=1.0, record=records[head - 1])
                entries.append(entry)
                watch.append(entry, fleet)
        elif what == "see":
            name, view = detail
            devices[name] = view
            watch.see(name, view)
        elif what == "promise":
            promised.add(detail)
            watch.promise(detail)
        elif what == "replace":
            replaced.add(detail)
            watch.replace(detail)
        elif what == "excuse":
            excused = detail
            watch.excuse(detail)
        snapshot = Snapshot(
            fleet=watch.fleet,
            journal=entries,
            devices=devices,
            promised=frozenset(promised),
            replaced=frozenset(replaced),
            exceptions=excused,
            at=2.0,
        )
        assert in_order(invariants.check(snapshot)) == in_order(watch.violations(2.0))
