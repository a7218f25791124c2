"""The verdict on an owner and on a waiter, as tables. Every process table here is fabricated."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.locksmith.liveness import (
    Liveness,
    Verdict,
    judge,
    judge_waiter,
    may_act_unasked,
)
from orchestrator.locksmith.processes import Sighting
from orchestrator.ports import Stamp
from orchestrator.protocol.types import Ticket
from tests.locksmith.samples import (
    DEAD,
    ELSEWHERE,
    GONE,
    HIDDEN,
    NOT_PROVED,
    NOW,
    OTHER_NAMESPACE,
    OWNER,
    REBOOTED,
    REUSED,
    RUNNING,
    STOPPED,
    ZOMBIE,
    abroad,
    here,
    lease,
)

LIVE, SUSPECT, GHOST = Verdict.LIVE, Verdict.SUSPECT, Verdict.GHOST
HARDNESS = (LIVE, SUSPECT, GHOST)
HOUR_S = 3600.0

AGES = st.floats(min_value=0.0, max_value=1e6)
STEPS = st.floats(min_value=-1e6, max_value=1e6)
UNPROVED = st.sampled_from(NOT_PROVED)


@pytest.mark.parametrize(
    ("sighting", "renewed", "expected"),
    [
        pytest.param(RUNNING, here(1.0), (LIVE, False), id="running"),
        pytest.param(RUNNING, here(15.0), (LIVE, False), id="running-to-the-end-of-its-ttl"),
        pytest.param(RUNNING, here(15.1), (SUSPECT, False), id="running-expired"),
        pytest.param(RUNNING, here(30.0), (SUSPECT, False), id="running-to-the-end-of-grace"),
        pytest.param(RUNNING, here(30.1), (GHOST, False), id="running-past-grace"),
        pytest.param(STOPPED, here(1.0), (LIVE, False), id="stopped"),
        pytest.param(STOPPED, here(16.0), (SUSPECT, False), id="stopped-expired"),
        pytest.param(STOPPED, here(31.0), (GHOST, False), id="stopped-past-grace"),
        pytest.param(GONE, here(1.0), (GHOST, True), id="gone"),
        pytest.param(ZOMBIE, here(1.0), (GHOST, True), id="zombie"),
        pytest.param(REUSED, here(1.0), (GHOST, True), id="pid-reuse"),
        pytest.param(REBOOTED, abroad(1.0), (GHOST, True), id="rebooted-host"),
        pytest.param(OTHER_NAMESPACE, here(1.0), (LIVE, False), id="namespace"),
        pytest.param(OTHER_NAMESPACE, here(16.0), (SUSPECT, False), id="namespace-expired"),
        pytest.param(OTHER_NAMESPACE, here(31.0), (GHOST, False), id="namespace-past-grace"),
        pytest.param(HIDDEN, here(1.0), (LIVE, False), id="hidepid"),
        pytest.param(HIDDEN, here(31.0), (GHOST, False), id="hidepid-past-grace"),
        pytest.param(ELSEWHERE, abroad(14.9), (LIVE, False), id="elsewhere"),
        pytest.param(ELSEWHERE, abroad(29.9), (SUSPECT, False), id="elsewhere-expired"),
        pytest.param(ELSEWHERE, abroad(30.1), (GHOST, False), id="elsewhere-past-grace"),
    ],
)
def test_fabricated_owner(
    sighting: Sighting, renewed: Stamp, expected: tuple[Verdict, bool]
) -> None:
    """Death is said on proof, or after TTL + grace (I20)."""
    found = judge(OWNER, lease(renewed), sighting, NOW)

    assert expected == (found.verdict, found.proved)


@pytest.mark.parametrize(
    ("sighting", "renewed", "expected"),
    [
        pytest.param(RUNNING, here(15.0), (LIVE, False), id="running"),
        pytest.param(RUNNING, here(15.1), (GHOST, False), id="running-expired"),
        pytest.param(STOPPED, here(16.0), (GHOST, False), id="stopped-expired"),
        pytest.param(GONE, here(1.0), (GHOST, True), id="gone"),
        pytest.param(REBOOTED, abroad(1.0), (GHOST, True), id="rebooted-host"),
        pytest.param(ELSEWHERE, abroad(14.9), (LIVE, False), id="elsewhere"),
        pytest.param(ELSEWHERE, abroad(15.1), (GHOST, False), id="elsewhere-expired"),
    ],
)
def test_fabricated_waiter(
    sighting: Sighting, renewed: Stamp, expected: tuple[Verdict, bool]
) -> None:
    """A waiter is passed over on proof, or after its TTL: nobody loses by it."""
    found = judge_waiter(OWNER, lease(renewed, claim=Ticket("t1")), sighting, NOW)

    assert expected == (found.verdict, found.proved)


# --- no lease -------------------------------------------------------------------------------


@pytest.mark.parametrize("sighting", NOT_PROVED)
def test_without_a_lease_an_owner_is_only_suspect(sighting: Sighting) -> None:
    """A missing lease is no proof of anything."""
    found = judge(OWNER, None, sighting, NOW)

    assert (SUSPECT, False, None, None, None) == (
        found.verdict,
        found.proved,
        found.renewed_at,
        found.renewed_ago_s,
        found.expires_in_s,
    )


@pytest.mark.parametrize("sighting", DEAD)
def test_without_a_lease_a_proof_is_still_a_proof(sighting: Sighting) -> None:
    """The kernel needs no lease."""
    found = judge(OWNER, None, sighting, NOW)

    assert (GHOST, True) == (found.verdict, found.proved)


def test_a_waiter_without_a_lease_never_blocks_the_queue() -> None:
    """Its lease began with its place: nobody keeps this one any more."""
    assert GHOST is judge_waiter(OWNER, None, RUNNING, NOW).verdict


# --- clocks ---------------------------------------------------------------------------------


@pytest.mark.parametrize("stepped_s", [HOUR_S, -HOUR_S])
def test_a_stepped_wall_clock_does_not_kill_a_living_owner(stepped_s: float) -> None:
    """Within one boot the age is by the boot clock, whichever way UTC was stepped."""
    found = judge(OWNER, lease(here(2.0, wall_stepped_s=stepped_s)), RUNNING, NOW)

    assert (LIVE, 2.0, 13.0, False) == (
        found.verdict,
        found.renewed_ago_s,
        found.expires_in_s,
        found.by_wall_clock,
    )


@pytest.mark.parametrize("stepped_s", [HOUR_S, -HOUR_S])
def test_a_stepped_wall_clock_does_not_keep_a_paused_owner(stepped_s: float) -> None:
    """TTL + grace pass by the boot clock, whichever way UTC was stepped."""
    found = judge(OWNER, lease(here(31.0, wall_stepped_s=stepped_s)), STOPPED, NOW)

    assert (GHOST, False, False) == (found.verdict, found.proved, found.by_wall_clock)


@pytest.mark.parametrize(
    ("ahead_s", "verdict", "ago_s"),
    [(-HOUR_S, GHOST, HOUR_S + 2.0), (HOUR_S, LIVE, 0.0)],
)
def test_a_clock_stepped_on_another_machine_is_said_to_be_one(
    ahead_s: float, verdict: Verdict, ago_s: float
) -> None:
    """Between machines there is only UTC: the verdict may be wrong, and says what it is by."""
    found = judge(OWNER, lease(abroad(2.0, ahead_s=ahead_s)), ELSEWHERE, NOW)

    assert (verdict, ago_s, True) == (found.verdict, found.renewed_ago_s, found.by_wall_clock)
    assert "judged by the wall clocks of two machines" in found.evidence


def test_a_boot_that_is_not_known_is_judged_by_the_wall_clock() -> None:
    """Two stamps without a boot are not of one boot."""
    nowhere = Stamp(utc_s=NOW.utc_s)
    renewed = Stamp(utc_s=NOW.utc_s - 41.0)

    found = judge(OWNER, lease(renewed), RUNNING, nowhere)

    assert (GHOST, True) == (found.verdict, found.by_wall_clock)
    assert "its age is by the wall clock: no boot clock spans it" in found.evidence


def test_an_owner_whose_clock_is_ahead_is_not_kept_for_ever() -> None:
    """What we have seen unchanged for TTL + grace is at least that old, whatever UTC says."""
    found = judge(OWNER, lease(abroad(0.0, ahead_s=HOUR_S)), ELSEWHERE, NOW, unchanged_s=31.0)

    assert (GHOST, 31.0) == (found.verdict, found.renewed_ago_s)
    assert "seen unchanged for 31 s by our own clock" in found.evidence


@pytest.mark.parametrize(
    ("sighting", "renewed", "unchanged_s", "expected"),
    [
        pytest.param(GONE, here(1.0), 0.0, True, id="proved"),
        pytest.param(REBOOTED, abroad(1.0), 0.0, True, id="proved-by-reboot"),
        pytest.param(STOPPED, here(31.0), 0.0, True, id="by-the-boot-clock"),
        pytest.param(STOPPED, here(29.0), 60.0, True, id="by-our-own-clock"),
        pytest.param(ELSEWHERE, abroad(31.0), 0.0, False, id="by-wall-clock-alone"),
        pytest.param(ELSEWHERE, abroad(31.0), 15.0, False, id="not-seen-for-its-ttl"),
        pytest.param(ELSEWHERE, abroad(31.0), 15.1, True, id="seen-for-its-ttl"),
        pytest.param(ELSEWHERE, abroad(20.0), 15.1, False, id="only-suspect"),
    ],
)
def test_fabricated_acts_without_being_asked(
    *, sighting: Sighting, renewed: Stamp, unchanged_s: float, expected: bool
) -> None:
    """A verdict by two wall clocks needs our own observation of a whole TTL as well."""
    found = judge(OWNER, lease(renewed), sighting, NOW, unchanged_s)

    assert expected is may_act_unasked(found, unchanged_s)


# --- the lock manager's restart -------------------------------------------------------------


@pytest.mark.parametrize(
    ("restarted_ago_s", "verdict"), [(2.0, LIVE), (16.0, SUSPECT), (31.0, GHOST)]
)
def test_the_managers_restart_gives_a_fresh_ttl(restarted_ago_s: float, verdict: Verdict) -> None:
    """Whoever could not renew while it was away is judged from its restart (I20)."""
    found = judge(OWNER, lease(here(100.0), here(restarted_ago_s)), RUNNING, NOW)

    assert (verdict, 100.0, 15.0 - restarted_ago_s) == (
        found.verdict,
        found.renewed_ago_s,
        found.expires_in_s,
    )


def test_the_managers_restart_gives_a_waiter_a_fresh_ttl() -> None:
    """A restart takes nobody's place in the queue away."""
    assert LIVE is judge_waiter(OWNER, lease(here(100.0), here(2.0)), RUNNING, NOW).verdict


def test_the_managers_restart_revives_nobody() -> None:
    """A proof outweighs an extension."""
    found = judge(OWNER, lease(here(100.0), here(2.0)), GONE, NOW)

    assert (GHOST, True) == (found.verdict, found.proved)


def test_a_restart_before_the_renewal_counts_for_nothing() -> None:
    """The age counts from the later of the two."""
    found = judge(OWNER, lease(here(2.0), here(100.0)), RUNNING, NOW)

    assert (LIVE, 13.0, ("pid 4121 is running", "last renewal 2 s ago at 13:46:38")) == (
        found.verdict,
        found.expires_in_s,
        found.evidence,
    )


def test_a_manager_elsewhere_can_not_shorten_a_life_of_this_boot() -> None:
    """Its clock is an hour behind; the owner has renewed two seconds ago by ours."""
    found = judge(OWNER, lease(here(2.0), abroad(1.0, ahead_s=-HOUR_S)), RUNNING, NOW)

    assert (LIVE, 13.0, True) == (found.verdict, found.expires_in_s, found.by_wall_clock)


# --- for any age ----------------------------------------------------------------------------


def hardness(found: Liveness) -> int:
    """How far the verdict is from LIVE."""
    return HARDNESS.index(found.verdict)


@given(younger_s=AGES, more_s=AGES, sighting=UNPROVED, stepped_s=STEPS)
def test_the_verdict_only_hardens_with_age(
    younger_s: float, more_s: float, sighting: Sighting, stepped_s: float
) -> None:
    """For any two ages the older lease is never judged more kindly, whatever UTC does."""
    older = lease(here(younger_s + more_s, wall_stepped_s=stepped_s))
    younger = lease(here(younger_s))

    for judged in (judge, judge_waiter):
        before = judged(OWNER, younger, sighting, NOW)
        assert hardness(before) <= hardness(judged(OWNER, older, sighting, NOW))


@given(
    sighting=st.sampled_from(DEAD),
    renewed=st.builds(here, AGES) | st.builds(abroad, AGES),
    extended=st.none() | st.builds(here, AGES) | st.builds(abroad, AGES),
    unchanged_s=AGES,
)
def test_a_proved_death_is_never_undone_by_a_lease(
    sighting: Sighting, renewed: Stamp, extended: Stamp | None, unchanged_s: float
) -> None:
    """However fresh a lease is, and whoever extended it, the dead do not come back."""
    for judged in (judge, judge_waiter):
        found = judged(OWNER, lease(renewed, extended), sighting, NOW, unchanged_s)
        assert (GHOST, True) == (found.verdict, found.proved)


@given(
    ago_s=st.floats(min_value=0.0, max_value=29.999),
    sighting=UNPROVED,
    extended=st.none() | st.builds(here, AGES) | st.builds(abroad, AGES, ahead_s=STEPS),
    stepped_s=STEPS,
)
def test_no_owner_of_this_boot_is_a_ghost_within_ttl_and_grace(
    ago_s: float, sighting: Sighting, extended: Stamp | None, stepped_s: float
) -> None:
    """No wall clock and no restart ends a life early (I20)."""
    held = lease(here(ago_s, wall_stepped_s=stepped_s), extended)

    assert GHOST is not judge(OWNER, held, sighting, NOW).verdict
