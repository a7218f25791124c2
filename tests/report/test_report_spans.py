"""A trace as spans: devices, processes, the lock, transactions, acts."""

from __future__ import annotations

from drone_sim.report.deeds import ActSpan, act_spans
from drone_sim.report.played import played
from drone_sim.report.processes import process_rows
from drone_sim.report.spans import LockSpan, ProcessSpan, Transaction, process_spans
from drone_sim.report.views import first_view, near_violation
from drone_sim.scenario.model import Act, Scenario, SimulatedDevice, Verb
from drone_sim.trace import Kind, Trace
from tests.report import nights

ALONE = Scenario(name="one", seed=1, devices=(SimulatedDevice(id="d-01"),))


def test_a_device_is_in_a_state_until_the_next() -> None:
    """States follow each other without a gap, and the last one lasts to the end."""
    trace = Trace()
    trace.note(0.0, Kind.STATE, "d-01", "", version=1, operating=1, prepared=None, holds="", up=1)
    trace.note(2.0, Kind.STATE, "d-01", "", version=1, operating=None, holds="in doubt", up=True)
    trace.note(5.0, Kind.PHASE, "run", "end")
    spans = played(ALONE, trace).devices["d-01"]
    assert [(0.0, 2.0, 1, ""), (2.0, 5.0, None, "in doubt")] == [
        (one.from_s, one.to_s, one.operating, one.holds) for one in spans
    ]


def test_a_state_told_twice_is_one() -> None:
    """The same state told again makes no second span."""
    trace = Trace()
    for at_s in (0.0, 1.0, 2.0):
        trace.note(at_s, Kind.STATE, "d-01", "", version=1, operating=1, holds="", up=True)
    assert [(0.0, 2.0)] == [(one.from_s, one.to_s) for one in played(ALONE, trace).devices["d-01"]]


def test_the_state_of_the_last_instant_is_kept() -> None:
    """The state that broke something begins in the last instant, and is there to be drawn."""
    story = played(nights.scenario(3), nights.played(3, violated=True).trace or Trace())
    assert (2, 2.402) == (story.devices["d-01"][-1].operating, story.devices["d-01"][-1].from_s)


def test_a_violation_is_drawn_to_the_edge() -> None:
    """What lasts to the end of a violated run is drawn to the edge, whatever ended before not."""
    story = played(nights.scenario(3), nights.played(3, violated=True).trace or Trace())
    assert [3.0, 2.3] == [story.drawn_to(2.402, 3.0), story.drawn_to(2.3, 3.0)]


def test_an_empty_trace_is_a_second_of_nothing() -> None:
    """A trace without events is still a story."""
    story = played(ALONE, Trace())
    assert (0.0, 1.0, ()) == (story.begin_s, story.end_s, story.devices["d-01"])


def test_processes_live_pause_and_die() -> None:
    """A process is there from its start to its end, stopped where it was paused."""
    trace = Trace()
    trace.note(1.0, Kind.PROCESS, "c1", "starts: push", what="started")
    trace.note(2.0, Kind.PROCESS, "c1", "paused", what="paused")
    trace.note(3.0, Kind.PROCESS, "c1", "resumed", what="resumed")
    trace.note(4.0, Kind.PROCESS, "c1", "is killed", what="killed")
    assert (
        ProcessSpan(from_s=1.0, to_s=2.0, paused=False, end="paused", does="push", said="paused"),
        ProcessSpan(from_s=2.0, to_s=3.0, paused=True, end="resumed", does="push", said="resumed"),
        ProcessSpan(
            from_s=3.0, to_s=4.0, paused=False, end="killed", does="push", said="is killed"
        ),
    ) == process_spans(trace.events, 9.0)["c1"]


def test_an_agent_is_no_process() -> None:
    """What is told of the agent of a device makes no lane of its own."""
    trace = Trace()
    trace.note(1.0, Kind.PROCESS, "d-01", "starts", what="started")
    assert {} == played(ALONE, trace).processes


def test_the_lock_is_a_ghost_from_its_owners_death() -> None:
    """A lock whose owner was killed is a ghost until somebody takes it."""
    story = played(nights.scenario(3), nights.played(3).trace or Trace())
    assert (
        LockSpan(from_s=-2.0, to_s=1.01, state="free", owner="", epoch=""),
        LockSpan(from_s=1.01, to_s=2.204, state="held", owner="push-1", epoch="0.4"),
        LockSpan(from_s=2.204, to_s=5.05, state="held", owner="push-1", epoch="0.4", ghost=True),
        LockSpan(from_s=5.05, to_s=7.81, state="resolving", owner="ops", epoch="0.5"),
    ) == story.lock[:4]


def test_a_lock_is_read_from_its_words_too() -> None:
    """Owner, state and epoch are found in a record's text where no detail has them."""
    trace = Trace()
    text = "lock_taken resolving by ops epoch 0.5"
    trace.note(0.0, Kind.JOURNAL, "journal", text, index=1, record="lock_taken")
    trace.note(1.0, Kind.PHASE, "run", "end")
    assert (
        LockSpan(from_s=0.0, to_s=1.0, state="resolving", owner="ops", epoch="0.5"),
    ) == played(ALONE, trace).lock


def test_a_transaction_is_what_the_journal_has_of_it() -> None:
    """Begin, instants, decision and end of a transaction come from its records."""
    story = played(nights.scenario(3), nights.played(3).trace or Trace())
    assert (
        Transaction(
            txn="t-2",
            seq=2,
            begun_s=1.1,
            hold_at_s=2.3,
            activate_at_s=2.4,
            decided_s=2.2,
            outcome="commit",
            ended_s=7.8,
        )
        == story.transactions[0]
    )


def test_nobody_named_is_everybody() -> None:
    """An act that may name devices and names none is about all of them, and none other is."""
    trace = Trace()
    trace.note(1.0, Kind.ACT, "-", "crash", verb="crash")
    trace.note(2.0, Kind.ACT, "-", "broker-slow", verb="broker-slow")
    acts = (
        Act(at_s=1.0, verb=Verb.CRASH, word="power"),
        Act(at_s=2.0, verb=Verb.BROKER_SLOW, amount=1.0),
    )
    scenario = Scenario(name="one", seed=1, devices=ALONE.devices, acts=acts)
    assert [("d-01",), ()] == [one.targets for one in act_spans(scenario, trace.events)]


def test_acts_last_until_they_are_healed() -> None:
    """An act ends when the trace says so, before the scenario's own time if need be."""
    trace = Trace()
    trace.note(1.0, Kind.ACT, "-", "cut", verb="cut")
    trace.note(3.0, Kind.HEALED, "d-01", "cut", verb="cut")
    trace.note(4.0, Kind.ACT, "c1", "kill", verb="kill")
    trace.note(4.0, Kind.HEALED, "c1", "kill", verb="kill")
    acts = (
        Act(at_s=1.0, verb=Verb.CUT, target=("d-01",), for_s=9.0),
        Act(at_s=4.0, verb=Verb.KILL, who="c1"),
    )
    scenario = Scenario(name="one", seed=1, devices=ALONE.devices, acts=acts)
    assert (
        ActSpan(
            number=1,
            verb="cut",
            text="cut d-01 from the broker for 9 s",
            targets=("d-01",),
            from_s=1.0,
            to_s=3.0,
        ),
        ActSpan(number=2, verb="kill", text="kill c1", targets=(), from_s=4.0, to_s=None),
    ) == act_spans(scenario, trace.events)


def test_a_standstill_is_explained_by_what_came_before_it() -> None:
    """A violation long after the last change is shown from the start to that change."""
    trace = Trace()
    trace.note(0.0, Kind.STATE, "d-01", "", version=1, operating=1, holds="", up=True)
    trace.note(5.0, Kind.STATE, "d-01", "", version=1, operating=None, holds="new", up=True)
    trace.note(90.0, Kind.JOURNAL, "journal", "", index=9, record="lease_horizon")
    trace.note(180.0, Kind.VIOLATION, "I6", "d-01 holds")
    near = near_violation(played(ALONE, trace), trace.events, 180.0)
    assert "Nothing changed from 5.000 s to the violation at 180.000 s; before that:" == near.words
    assert (True, False) == (near.window.holds(0.0), near.window.holds(10.0))


def test_a_violation_is_shown_from_its_transactions_beginning() -> None:
    """A violation soon after a transaction began is shown from there."""
    result = nights.played(3, violated=True)
    assert result.trace is not None
    near = near_violation(played(result.scenario, result.trace), result.trace.events, 2.402)
    assert (False, True, True) == tuple(near.window.holds(at_s) for at_s in (1.0, 1.1, 2.402))


def test_brief_processes_share_lanes() -> None:
    """Whoever lives long has a lane, the brief ones share some in which none covers another."""
    trace = Trace()
    lives = {"serve": (0.0, 90.0), "a": (1.0, 2.0), "b": (1.5, 3.0), "c": (2.5, 2.5)}
    for name, (from_s, to_s) in lives.items():
        trace.note(from_s, Kind.PROCESS, name, "starts: push", what="started")
        trace.note(to_s, Kind.PROCESS, name, "ended", what="ended")
    story = played(ALONE, trace)
    assert [("commands 1", ("a", "c")), ("commands 2", ("b",)), ("serve", ("serve",))] == [
        (row.name, row.names) for row in process_rows(first_view(story), story)
    ]
