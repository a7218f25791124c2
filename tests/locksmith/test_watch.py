"""Our own observation of a lease."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.locksmith.watch import Watch
from orchestrator.protocol.types import Epoch, FleetId, Ticket
from tests.locksmith.samples import abroad, here, lease

HELD = lease(abroad(31.0))


def test_at_first_sight_nothing_has_been_observed() -> None:
    """However old its own stamp is."""
    assert 0.0 == Watch().unchanged_s(HELD, 100.0)


def test_a_lease_that_stands_still_ages_by_our_clock() -> None:
    """Each look tells how long ago the first one was."""
    watch = Watch()
    watch.unchanged_s(HELD, 100.0)

    assert [4.0, 16.0] == [watch.unchanged_s(HELD, at) for at in (104.0, 116.0)]


def test_a_renewal_or_an_extension_begins_anew() -> None:
    """Whatever changes in the row, somebody has written it."""
    watch = Watch()
    watch.unchanged_s(HELD, 100.0)
    renewed = replace(HELD, renewed=abroad(30.0))
    extended = replace(renewed, extended=here(1.0))

    seen = [watch.unchanged_s(renewed, 110.0), watch.unchanged_s(extended, 120.0)]

    assert [0.0, 0.0, 5.0] == [*seen, watch.unchanged_s(extended, 125.0)]


def test_claims_and_fleets_are_observed_apart() -> None:
    """A waiter's lease says nothing of the holder's, nor one fleet's of another's."""
    watch = Watch()
    watch.unchanged_s(HELD, 100.0)
    others = [
        replace(HELD, claim=Epoch(1, 2)),
        replace(HELD, claim=Ticket("t1")),
        replace(HELD, fleet=FleetId("other")),
    ]

    assert [0.0, 0.0, 0.0] == [watch.unchanged_s(one, 110.0) for one in others]
    assert 20.0 == watch.unchanged_s(HELD, 120.0)


def test_what_was_not_asked_about_for_longest_is_forgotten() -> None:
    """Memory is bounded; who is forgotten is only taken over later."""
    watch = Watch(watched_max=2)
    first, second, third = (replace(HELD, claim=Epoch(1, number)) for number in (1, 2, 3))
    watch.unchanged_s(first, 0.0)
    watch.unchanged_s(second, 1.0)
    watch.unchanged_s(first, 2.0)
    watch.unchanged_s(third, 3.0)

    assert [10.0, 0.0] == [watch.unchanged_s(first, 10.0), watch.unchanged_s(second, 10.0)]


@given(
    looks=st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 2), st.floats(0.0, 60.0)), max_size=40
    )
)
def test_it_never_claims_to_have_seen_more_than_it_has(
    looks: list[tuple[int, int, float]],
) -> None:
    """For any leases, renewals and pauses: at most the time since that row was first shown."""
    watch, at, first_shown = Watch(watched_max=2), 0.0, dict[tuple[int, int], float]()
    for number, renewal, pause_s in looks:
        at += pause_s
        row = replace(HELD, claim=Epoch(1, number), renewed=abroad(float(renewal)))
        since = first_shown.setdefault((number, renewal), at)

        assert watch.unchanged_s(row, at) <= at - since
