"""Every verb of a scenario, played on whole shells: what it does, and that everybody gets well."""

from __future__ import annotations

import pytest

from drone_sim.scenario.model import Pace, StoreQuality, Verb
from drone_sim.shells.store import StoreServer
from drone_sim.trace import Kind
from tests.shells.plays import Played, played, scenario

STORIES = {
    Verb.PUSH: ("at 1 s mira pushes", "at 3 s mira pushes version 1 again"),
    Verb.FORCE_UNLOCK: ("at 1 s ops holds the lock", "at 2 s noor force-unlocks"),
    Verb.RECOVER: ("at 1 s ops holds the lock", "at 2 s kill ops", "at 3 s noor recovers"),
    Verb.BREAK_GLASS: (
        "at 1 s cut d-02 from the broker for 4 s",
        "at 1.5 s mira pushes",
        "at 1.9 s noor breaks the glass",
    ),
    Verb.REQUEST_RELEASE: ("at 1 s ops holds the lock", "at 2 s noor asks for the lock"),
    Verb.ABORT: (
        "at 1 s cut d-02 from the broker for 4 s",
        "at 1.5 s mira pushes",
        "at 2.6 s noor aborts",
    ),
    Verb.RESEED: (
        "at 1 s mira pushes",
        "at 3 s the store is restored without its last 3 records",
        "at 4 s noor reseeds",
    ),
    Verb.SERVE: ("at 1 s ada serves for 3 s",),
    Verb.HOLD_LOCK: ("at 1 s ops holds the lock for 3 s", "at 2 s mira pushes"),
    Verb.RETIRE: ("at 1 s noor retires d-02", "at 2 s mira pushes"),
    Verb.DECIDE: (
        "at 1 s mira pushes",
        "at 1.06 s kill mira",
        "at 2 s noor decides commit for d-01",
    ),
    Verb.KILL: ("at 1 s mira pushes", "at 1.02 s kill mira", "at 2 s noor recovers"),
    Verb.PAUSE: ("at 1 s mira pushes", "at 1.02 s pause mira for 3 s"),
    Verb.REUSE_PID: ("at 1 s ops holds the lock", "at 2 s kill ops and reuse its pid"),
    Verb.POWER_CUT: ("at 1 s ops@aim-2 holds the lock", "at 2 s cut the power of ops@aim-2"),
    Verb.STORE_AWAY: ("at 1 s the store is away for 3 s", "at 2 s mira pushes"),
    Verb.STORE_SLOW: ("at 1 s the store takes 0.2 s longer for 6 s", "at 2 s mira pushes"),
    Verb.STORE_LOSES_ANSWERS: (
        "at 1 s the store loses answers at rate 1 for 6 s",
        "at 2 s mira pushes",
    ),
    Verb.STORE_RESTORED: (
        "at 1 s mira pushes",
        "at 3 s the store is restored without its last 3 records",
    ),
    Verb.STORE_LIES: ("at 1 s the store lies for 3 s", "at 2 s mira pushes"),
    Verb.BROKER_KILL: ("at 1 s mira pushes", "at 1.02 s the broker dies for 1 s and forgets"),
    Verb.BROKER_FORGETS: ("at 1 s mira pushes", "at 1.02 s the broker forgets its messages"),
    Verb.BROKER_SLOW: ("at 1 s the broker takes 0.1 s longer for 4 s", "at 2 s mira pushes"),
    Verb.BROKER_DROPS: ("at 1 s the broker drops messages at rate 0.5 for 4 s",),
    Verb.CUT: ("at 1 s cut d-02 from the broker on the way up for 3 s", "at 2 s mira pushes"),
    Verb.CLOG: ("at 1 s clog d-02 for 3 s", "at 2 s mira pushes"),
    Verb.LOSSY: (
        "at 1 s the links of d-01 delay messages at rate 0.9 for 4 s",
        "at 1 s the links of d-02 lose messages at rate 0.4 for 4 s",
        "at 1 s the links of d-03 repeat messages at rate 0.9 for 4 s",
        "at 2 s mira pushes",
    ),
    Verb.REPLAY: ("at 1 s mira pushes", "at 3 s replay the last 20 prepares of d-01 and d-02"),
    Verb.TAKE_OVER_CLIENT: (
        "at 1 s ada serves for 4 s",
        "at 2 s somebody takes the client id of d-01 and ada",
    ),
    Verb.CRASH: ("at 1 s mira pushes", "at 1.03 s d-01 is killed", "at 1.03 s d-02 loses power"),
    Verb.CRASH_AT_WRITE: ("at 1 s d-02 loses power at write 20", "at 2 s mira pushes"),
    Verb.REPLACE: ("at 1 s mira pushes", "at 3 s d-02 is replaced"),
    Verb.SUSPEND: ("at 1 s mira pushes", "at 1.03 s d-02 freezes for 3 s"),
    Verb.DISK_FULL: ("at 1 s the disk of d-02 is full for 3 s", "at 2 s mira pushes"),
    Verb.DISK_FAILS: ("at 1 s the disk of d-02 fails for 3 s", "at 2 s mira pushes"),
    Verb.FAIL_AT_WRITE: ("at 0.5 s the disk of d-02 fails at write 10", "at 1 s mira pushes"),
    Verb.DISK_SLOW: ("at 1 s the disk of d-02 takes 0.3 s longer for 4 s", "at 2 s mira pushes"),
    Verb.DISK_LIES: ("at 1 s the disk of d-02 lies for 3 s", "at 2 s mira pushes"),
    Verb.DAMAGE: ("at 1 s the flash of d-02 is damaged",),
    Verb.CLOCK_STEP: ("at 1 s the clock of d-02 jumps by -3 s for 2 s", "at 2 s mira pushes"),
    Verb.CLOCK_DRIFT: ("at 1 s the clock of d-02 drifts by 5000 ppm for 4 s",),
    Verb.LOW_BATTERY: ("at 1 s the battery of d-02 falls to 0 % for 3 s",),
    Verb.REFUSE: ("at 1 s d-02 refuses for 3 s because it is windy", "at 2 s mira pushes"),
    Verb.HOOK_FAILS: ("at 1 s the controller of d-02 fails for 4 s", "at 2 s mira pushes"),
}


def test_every_verb_has_a_story() -> None:
    """None is forgotten here."""
    assert set(Verb) == set(STORIES)


@pytest.mark.parametrize("verb", STORIES)
def test_everybody_gets_well_after_each_verb(verb: Verb) -> None:
    """It takes place, it ends, and the fleet takes the last push."""
    run = played(scenario(*STORIES[verb]))

    assert () == run.result.violations
    assert verb.value in {event.detail["verb"] for event in run.of(Kind.ACT)}
    assert run.result.goals[f"act-{verb.value}"]


# --- people and their processes -----------------------------------------------------------------


def test_a_held_lock_is_hot_and_forced() -> None:
    """Whoever pushes meanwhile ends with 6; the holder is fenced and ends its program."""
    run = played(
        scenario(
            "at 1 s ops holds the lock",
            "at 2 s mira pushes",
            "at 3 s noor force-unlocks",
        )
    )

    assert run.end("mira").startswith("ends: exit 6: ")
    assert run.end("noor").startswith("ends: exit 0: ")
    assert "lost noor@control" in run.end("ops")


def test_a_push_waits_in_line_and_does_not_take_that_for_the_store_being_slow() -> None:
    """Its margin covers an append, not its time in the queue: the freeze is no later for it."""
    run = played(scenario("at 1 s ops holds the lock for 5 s", "at 2 s mira pushes waiting 20 s"))
    begun = run.records("begun")[0]
    hold_at = begun.detail["hold_at_s"]
    assert isinstance(hold_at, float)

    assert run.end("mira").startswith("ends: exit 0: ")
    assert hold_at - begun.at_s < 1.0


def test_a_device_that_was_left_out_is_caught_up() -> None:
    """The bundle has its configuration: whoever answers it brings it to the new version."""
    run = played(
        scenario(
            "at 0.5 s cut d-02 from the broker for 4 s",
            "at 1 s mira pushes without d-02",
            "at 4 s ada serves for 5 s",
        )
    )

    assert run.result.held
    assert (2, 1) == tuple(run.state_at(name, 4.0)["operating"] for name in ("d-01", "d-02"))
    assert 2 == run.state_at("d-02", 9.9)["operating"]


def test_whoever_detaches_does_not_wait_for_stragglers() -> None:
    """It ends half a second after all should be active, and says who has not followed."""
    run = played(
        scenario(
            "at 1 s mira pushes and detaches",
            "at 1.2 s cut d-02 from the broker for 3 s",
            pace=Pace(window_s=0.15, settle_s=6.0),
        )
    )
    ended = run.of(Kind.PROCESS, "mira")[-1]

    assert "exit 130: decided COMMIT, but not heard to be active yet: d-02" in ended.text
    assert ended.at_s < 2.5
    assert run.result.goals["interrupted-detached"]


def test_only_processes_of_one_machine_see_each_others_end() -> None:
    """A dead owner elsewhere is judged by its lease: its lock is its own until TTL and grace."""

    def taken_after_s(who: str) -> float:
        run = played(
            scenario(
                f"at 1 s {who} holds the lock for 40 s",
                "at 1 s ada serves for 58 s",
                f"at 2 s kill {who}",
                safety_s=60.0,
            )
        )
        return run.records("lock_taken")[1].at_s - 2.0

    assert taken_after_s("ops") < 2.0
    assert 29.0 < taken_after_s("ops@aim-2")


def test_a_lost_answer_is_read_back() -> None:
    """Whether it was written or not, the push goes on from what is stored."""
    lossy = StoreQuality(loses_answer=1.0)
    run = played(scenario("at 1 s mira pushes", store=lossy))
    goals = run.result.goals

    assert run.result.held
    assert goals["answer-lost-written"]
    assert goals["answer-lost-not-written"]


@pytest.mark.parametrize("in_place", [False, True])
def test_what_a_restored_store_has_lost_is_reseeded(*, in_place: bool) -> None:
    """A server begins anew where its connection is gone; a person reseeds in both cases."""
    seeds = (seed for seed in range(100) if StoreServer(seed=seed).in_place is in_place)
    run = played(
        scenario(
            "at 1 s ada serves for 8 s",
            "at 2 s mira pushes",
            "at 4 s the store is restored without its last 4 records",
            seed=next(seeds),
        )
    )
    started = [event.text for event in run.of(Kind.PROCESS, "ada") if "starts" in event.text]

    assert run.result.held
    assert ["starts: serve"] * (1 if in_place else 2) == started
    assert run.records("reseeded")


# --- devices ------------------------------------------------------------------------------------


def refusals(run: Played) -> str:
    """Who said no to the first push, and why."""
    return str(run.records("decided")[0].detail.get("refused"))


@pytest.mark.parametrize(
    ("act", "why"),
    [
        ("the battery of d-02 falls to 15 %", "d-02: battery: 15 % are left, 20 % are needed"),
        ("the disk of d-02 is full", "d-02: disk: /state has 0 bytes free"),
        ("d-02 refuses because it is windy", "d-02: it is windy"),
        ("cut d-02 from the broker", "d-02: silent: no answer since the push began"),
    ],
)
def test_a_device_says_why_not(act: str, why: str) -> None:
    """One no, or one who can't be heard, and nothing changes anywhere."""
    run = played(scenario(f"at 1 s {act}", "at 2 s mira pushes"))

    assert run.result.held
    assert "abort" == run.outcomes()[0]
    assert why in refusals(run)


def test_a_frozen_device_does_not_aim_and_goes_on_with_what_is_overdue() -> None:
    """It had promised to hold; when it goes on it learns what was decided before it aims."""
    run = played(
        scenario(
            "at 1 s mira pushes",
            "at 1.2 s d-02 freezes for 3 s",
            "at 2 s ada serves for 7 s",
        )
    )

    assert run.result.held
    frozen = run.state_at("d-02", 3.0)
    assert (True, None) == (frozen["up"], frozen["operating"])
    assert [None, 2, None, 3] == run.operated("d-02")


def test_a_device_without_power_comes_back_as_it_was() -> None:
    """Its record has survived; it holds until somebody has confirmed it."""
    run = played(scenario("at 1 s d-02 loses power for 2 s", "at 1 s ada serves for 6 s"))

    assert run.result.held
    assert (False, None) == tuple(run.state_at("d-02", 2.0)[it] for it in ("up", "operating"))
    assert 1 == run.state_at("d-02", 5.0)["operating"]


def test_an_empty_battery_is_off_until_it_is_charged() -> None:
    """At 0 % there is no power, whatever else is well."""
    run = played(scenario("at 1 s the battery of d-02 falls to 0 % for 4 s"))

    assert run.result.held
    assert not run.state_at("d-02", 4.9)["up"]
    assert run.state_at("d-02", 9.0)["up"]


def test_a_controller_that_fails_is_told_again() -> None:
    """The file is written, the hook fails: the device holds, and follows when it works again."""
    run = played(
        scenario("at 1 s the controller of d-02 fails for 5 s", "at 2 s mira pushes"),
    )

    assert run.result.held
    assert "activation failed" in str(run.state_at("d-02", 5.0)["holds"])
    assert 2 == run.state_at("d-02", 9.9)["operating"]


def test_a_disk_that_lied_has_forgotten_its_version() -> None:
    """It comes back with what it had before, and is caught up."""
    run = played(scenario("at 1 s the disk of d-02 lies for 5 s", "at 2 s mira pushes"))

    assert run.result.held
    assert 1 == run.state_at("d-02", 8.0)["version"]
    assert 3 == run.operated("d-02")[-1]


def test_a_damaged_file_is_written_anew_before_anything_operates() -> None:
    """Worn flash is noticed at the start."""
    run = played(scenario("at 1 s the flash of d-02 is damaged", "at 1 s ada serves for 6 s"))

    assert run.result.held
    assert run.result.goals["torn-file-repaired"]
    assert 1 == run.state_at("d-02", 6.0)["operating"]
