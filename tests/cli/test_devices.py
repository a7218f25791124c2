"""``aimctl devices``: what is known of each, and what a person may say of one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli.deciding import decide
from orchestrator.cli.devices import devices_list, devices_show
from orchestrator.cli.recover import recover
from orchestrator.cli.said import retire, settle
from orchestrator.errors import Exit, OperatingError
from orchestrator.protocol.records import HeuristicDecided
from orchestrator.protocol.types import Epoch, FleetId, Outcome
from orchestrator.service import holding, locks
from orchestrator.service.holding import Want
from orchestrator.service.push import push
from orchestrator.service.resolving import break_glass
from orchestrator.staging.canonical import digest_of
from orchestrator.staging.plan import encode_plan
from tests.cli.conftest import Aimctl, Desk, InMemory, left_hot, of_a_ghost
from tests.cli.doubts import D2, backup, held_in_doubt, left_deferred, left_in_doubt
from tests.service.fleet import FLEET, NEW, OLD, Fleet, fleet_of, order, resolving
from tests.service.steps import until


async def installed(fleet: Fleet) -> None:
    """Push version 1."""
    await push(fleet.world(), order(0, OLD, list(fleet.drones)))


async def shown(desk: Desk, context: InMemory, device: str = "d-02") -> dict[str, Any]:
    """Return the document of one device."""
    assert 0 == await devices_show(device, context=context)
    return desk.ran(0).document


def rename(path: str, name: str) -> None:
    """Give a fleet's file the name that it is looked for by."""
    Path(path).rename(Path(path).with_name(name))


async def records(fleet: Fleet) -> list[str]:
    """The kinds of records in the journal."""
    return [entry.record.kind for entry in await fleet.store.read(FLEET)]


# --- list -------------------------------------------------------------------------------------


async def test_list_names_every_device_with_its_kind(desk: Desk) -> None:
    """Those of the file too, which nobody has heard of yet."""
    async with fleet_of(2) as fleet:
        await installed(fleet)
        rename(desk.fleet_file(3), "hazard-12.toml")
        code = await devices_list(context=desk.context(fleet, "json"))
        (found,) = desk.ran(code).document["fleets"]
        await devices_list(fleet="hazard-12", context=desk.context(fleet))
        told = desk.ran(0).out.splitlines()
    assert (0, "hazard-12", 1) == (code, found["fleet"], found["version"])
    states = {name: (one["kind"], one["state"]) for name, one in found["devices"].items()}
    assert {
        "d-01": ("drone", "active"),
        "d-02": ("drone", "active"),
        "d-03": ("drone", "unknown"),
    } == states
    assert "DEVICE  KIND   STATE      VERSION  OPERATING  DIGEST        NOTE" == told[1].rstrip()
    assert told[2].startswith("d-01    drone  ✔ active   1        1")


async def test_list_notes_who_is_deferred_or_retired(desk: Desk) -> None:
    """In the note of the table, and by name above it."""
    async with fleet_of(3) as fleet:
        await left_deferred(fleet)
        await retire("d-03", reason="sold", confirm="d-03", context=desk.context(fleet))
        desk.ran(0)
        await devices_list(context=desk.context(fleet))
        told = desk.ran(0).out.splitlines()
    rows = {line.split()[0]: line for line in told}
    assert rows["d-02"].endswith("  deferred")
    assert rows["d-03"].endswith("  retired")
    assert "retired   d-03" in told


async def test_list_of_an_empty_store(desk: Desk) -> None:
    """No error: there is nothing yet."""
    async with fleet_of(1) as fleet:
        assert 0 == await devices_list(context=desk.context(fleet, "json"))
        assert [] == desk.ran(0).document["fleets"]
        await devices_list(context=desk.context(fleet))
        assert "no fleet is known" in desk.ran(0).out


def test_devices_alone_is_the_list(aimctl: Aimctl) -> None:
    """And what is announced for later says what to do now; a wrong word is wrong use."""
    ran = aimctl("devices", "--output", "json")
    assert (0, "devices") == (ran.code, ran.document["type"])
    ran = aimctl("devices", "catch-up", "d-01")
    assert (2, True) == (ran.code, "next      aimctl recover --fleet FLEET" in ran.err)
    assert 2 == aimctl("devices", "lsit").code
    assert "aimctl devices retire d-07" in aimctl("devices", "--help").out


# --- show -------------------------------------------------------------------------------------


async def test_show_has_both_sides(desk: Desk) -> None:
    """What the journal has of it, and its own last word."""
    async with fleet_of(2) as fleet:
        await installed(fleet)
        found = await shown(desk, desk.context(fleet, "json"))
        state = fleet.drones[D2].state
    assert ("device", "hazard-12", "d-02", True, 1) == tuple(
        found[key] for key in ("type", "fleet", "device", "member", "fleet_version")
    )
    assert found["digest"] == found["word"]["digest"] == state.digest
    assert (1, 1, "active", None) == (
        found["word"]["version"],
        found["word"]["operating"],
        found["state"],
        found["next"],
    )


async def test_show_says_what_a_deferred_device_waits_for(desk: Desk) -> None:
    """The transaction and its outcome; the device itself is silent."""
    async with fleet_of(2) as fleet:
        await left_deferred(fleet)
        found = await shown(desk, desk.context(fleet, "json"))
        await devices_show("d-02", context=desk.context(fleet))
        told = desk.ran(0).out
    assert [(2, None)] == [(one["seq"], found["word"]) for one in found["deferred"]]
    assert "aimctl recover --fleet hazard-12" == found["next"]
    assert "deferred  on txn 2 (" in told
    assert "○ offline: it was not heard" in told


async def test_show_says_since_when_it_is_quarantined(desk: Desk) -> None:
    """The instant of break-glass; without a broker the journal's side alone is told."""
    async with fleet_of(2) as fleet:
        await left_hot(fleet)
        fleet.broker.stop()
        await break_glass(fleet.world(), resolving(Epoch(1, 3)))
        found = await shown(desk, desk.context(fleet, "json"))
        entries = await fleet.store.read(FLEET)
        await devices_show("d-02", context=desk.context(fleet))
        told = desk.ran(0).out
        fleet.broker.start()
    (ended,) = [one.at for one in entries if "quarantined" in dir(one.record)][-1:]
    assert (True, ended, False) == (
        found["quarantined"],
        found["quarantined_since"],
        found["asked"],
    )
    assert "not enabled until it has re-joined" in told
    assert "it could not be asked: the broker is stopped" in told


async def test_show_names_a_contradiction_first(desk: Desk) -> None:
    """A device that knows more than the journal: reseed."""
    async with fleet_of(2) as fleet:
        await installed(fleet)
        old = backup(fleet)
        await push(fleet.world(), order(1, NEW, list(fleet.drones)))
        rolled_back = replace(fleet, store=old)
        found = await shown(desk, desk.context(rolled_back, "json"))
        await devices_show("d-02", context=desk.context(rolled_back))
        told = desk.ran(0).out
    assert "it has seen epoch" in found["contradiction"]
    assert "aimctl reseed --fleet hazard-12 --dry-run" == found["next"]
    assert "AGAINST   it has seen epoch" in told


async def test_a_device_that_nobody_knows_is_wrong_use(desk: Desk) -> None:
    """2, and where they are listed."""
    async with fleet_of(1) as fleet:
        await installed(fleet)
        with pytest.raises(OperatingError, match="no fleet of this store has") as caught:
            await devices_show("d-99", context=desk.context(fleet))
        with pytest.raises(OperatingError, match="fleet hazard-12 has no device d-99"):
            await devices_show("d-99", fleet="hazard-12", context=desk.context(fleet))
    assert (Exit.USAGE, "aimctl devices list") == (
        caught.value.exit_code,
        caught.value.next_command,
    )


async def test_an_id_of_several_fleets_needs_its_fleet(desk: Desk) -> None:
    """Ids are unique in a fleet only: the error names the fleets, and --fleet chooses."""
    async with fleet_of(1) as fleet:
        await installed(fleet)
        rename(desk.other_fleet(1), "yard.toml")
        await holding.acquire(fleet.world(), FleetId("yard"), Want(purpose="x"))
        with pytest.raises(OperatingError, match="several fleets: hazard-12, yard") as caught:
            await devices_show("d-01", context=desk.context(fleet))
        assert 0 == await devices_show("d-01", fleet="yard", context=desk.context(fleet, "json"))
        document = desk.ran(0).document
    assert "aimctl devices show d-01 --fleet hazard-12" == caught.value.next_command
    assert ("yard", "drone", False) == (document["fleet"], document["kind"], document["member"])


# --- retire -----------------------------------------------------------------------------------


async def test_retire_is_for_good_and_kept_with_its_reason(desk: Desk) -> None:
    """A record with who and why, shown from then on."""
    async with fleet_of(2) as fleet:
        await installed(fleet)
        code = await retire(
            "d-02", reason="lost at sea", confirm="d-02", context=desk.context(fleet, "json")
        )
        document = desk.ran(code).document
        found = await shown(desk, desk.context(fleet, "json"))
        state = await locks.read_fleet(fleet.world(), FLEET)
    assert (0, "retire", False) == (code, document["type"], document["dry_run"])
    assert {D2} == state.retired
    assert ("lost at sea", None) == (found["retired"]["reason"], found["next"])


async def test_a_dry_run_says_what_it_means_and_changes_nothing(desk: Desk) -> None:
    """In words: there is no way back, and a device that operates is not told to stop."""
    async with fleet_of(2) as fleet:
        await installed(fleet)
        before = await records(fleet)
        await retire("d-02", dry_run=True, context=desk.context(fleet, "json"))
        document = desk.ran(0).document
        await retire("d-02", dry_run=True, context=desk.context(fleet))
        told = desk.ran(0)
        after = await records(fleet)
    assert before == after
    assert "there is no way back" in document["message"]
    assert "it operates version 1 now, and is not told to stop: switch it off" in told.out
    following = "aimctl devices retire d-02 --fleet hazard-12 --reason TEXT --confirm d-02"
    assert (following, f"next      {following}\n") == (document["next"], told.err)


@pytest.mark.parametrize(("typed", "code"), [("d-02\n", 0), ("y\n", 130), ("", 130)])
async def test_a_terminal_asks_to_type_the_id(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, typed: str, code: int
) -> None:
    """The device's id and nothing else; what is known of it is shown before."""
    monkeypatch.setattr("orchestrator.cli.push.ask", lambda _question: typed)
    async with fleet_of(2) as fleet:
        await installed(fleet)
        ended = await retire("d-02", reason="x", context=desk.context(fleet, person=True))
        told = desk.ran(ended)
        state = await locks.read_fleet(fleet.world(), FLEET)
    assert (code, code == 0) == (ended, D2 in state.retired)
    assert "device d-02 of fleet hazard-12" in told.err
    assert "!  there is no way back" in told.err


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"confirm": "d-02"}, "needs --reason TEXT"),
        ({"confirm": "d-02", "reason": " "}, "needs --reason TEXT"),
        ({"confirm": "d-01", "reason": "x"}, "--confirm d-01 is not d-02"),
        ({"reason": "x"}, "no terminal to type d-02 on"),
    ],
)
async def test_what_retire_asks_for_first(desk: Desk, given: dict[str, Any], told: str) -> None:
    """Wrong use, 2, before anything is read."""
    async with fleet_of(2) as fleet:
        await installed(fleet)
        with pytest.raises(OperatingError, match=told) as caught:
            await retire("d-02", context=desk.context(fleet), **given)
    assert Exit.USAGE is caught.value.exit_code


async def test_a_member_of_an_open_transaction_is_not_retired(desk: Desk) -> None:
    """6: members never change inside one."""
    async with fleet_of(2) as fleet:
        await left_hot(fleet)
        with pytest.raises(OperatingError, match="never change inside") as caught:
            await retire("d-02", reason="x", confirm="d-02", context=of_a_ghost(desk, fleet))
    assert Exit.HOT is caught.value.exit_code


# --- decide -----------------------------------------------------------------------------------


async def test_decide_lets_a_device_in_doubt_operate(desk: Desk) -> None:
    """Recorded with who and why; the device acts on it and goes on doubting."""
    async with fleet_of(2) as fleet:
        txn = await held_in_doubt(fleet)
        code = await decide(
            "d-02",
            commit=True,
            reason="must land",
            confirm="d-02",
            context=of_a_ghost(desk, fleet),
        )
        document = desk.ran(code).document
        await until(lambda: fleet.drones[D2].state.operating == 2)
        state = fleet.drones[D2].state
        found = await shown(desk, of_a_ghost(desk, fleet))
    assert (0, "decide", txn, "commit", True) == (
        code,
        *(document[key] for key in ("type", "txn", "outcome", "obeyed")),
    )
    assert (txn, Outcome.COMMIT) == (state.prepared, state.heuristic)
    word = found["heuristic"]
    assert (txn, "commit", "must land") == (word["txn"], word["outcome"], word["reason"])
    assert word["agreement"].endswith("nothing is decided")
    assert word["at"] is not None


async def test_decide_warns_in_words(desk: Desk) -> None:
    """What the device will do, what may come of it, and what would be better."""
    async with fleet_of(2) as fleet:
        await held_in_doubt(fleet)
        before = await records(fleet)
        context = of_a_ghost(desk, fleet, "text")
        assert 0 == await decide("d-02", abort=True, dry_run=True, context=context)
        told = desk.ran(0).out
        after = await records(fleet)
    assert before == after
    for words in (
        "d-02 will operate the old version 1 on your word",
        "if the journal decides otherwise it is HEURISTIC_MIXED",
        "never cleared by itself",
        "better, since the owner is gone: aimctl recover --fleet hazard-12",
    ):
        assert words in told


async def test_decide_is_refused_while_a_living_owner_is_at_work(desk: Desk) -> None:
    """6: wait, or take the lock; nothing is recorded."""
    async with fleet_of(2) as fleet:
        await held_in_doubt(fleet)
        with pytest.raises(OperatingError, match="is at work on it") as caught:
            await decide(
                "d-02", abort=True, reason="x", confirm="d-02", context=desk.context(fleet)
            )
        kinds = await records(fleet)
    assert Exit.HOT is caught.value.exit_code
    assert "aimctl lock force-unlock hazard-12@3 --dry-run" in caught.value.message
    assert "aimctl status --fleet hazard-12 --watch" == caught.value.next_command
    assert "heuristic_decided" not in kinds


async def test_decide_is_refused_where_it_is_decided(desk: Desk) -> None:
    """2: a device that hears of the decision needs nobody's word."""
    async with fleet_of(2) as fleet:
        await left_in_doubt(fleet, "after")
        with pytest.raises(OperatingError, match="is decided COMMIT") as caught:
            await decide("d-02", abort=True, dry_run=True, context=of_a_ghost(desk, fleet))
    assert Exit.USAGE is caught.value.exit_code
    assert "aimctl recover --fleet hazard-12" == caught.value.next_command


async def test_decide_needs_a_doubt_that_the_device_tells(desk: Desk) -> None:
    """2 without a doubt, or about another transaction; 11 where it is silent."""
    async with fleet_of(2) as fleet:
        await installed(fleet)
        context = desk.context(fleet)
        with pytest.raises(OperatingError, match="in doubt about nothing"):
            await decide("d-02", abort=True, dry_run=True, context=context)
        await fleet.drones[D2].kill()
        with pytest.raises(OperatingError, match="can't be asked") as caught:
            await decide("d-02", abort=True, dry_run=True, context=context)
        await fleet.drones[D2].start()
    assert Exit.UNREACHABLE is caught.value.exit_code


async def test_decide_checks_the_transaction_that_was_named(desk: Desk) -> None:
    """By its id or FLEET/SEQ; another one is refused."""
    async with fleet_of(2) as fleet:
        txn = await left_in_doubt(fleet)
        context = of_a_ghost(desk, fleet)
        for name in (txn, "hazard-12/2"):
            assert 0 == await decide("d-02", abort=True, txn=name, dry_run=True, context=context)
            assert txn == desk.ran(0).document["txn"]
        with pytest.raises(OperatingError, match="not about t9"):
            await decide("d-02", abort=True, txn="t9", dry_run=True, context=context)


@pytest.mark.parametrize("both", [True, False])
async def test_decide_needs_one_outcome(desk: Desk, *, both: bool) -> None:
    """--commit or --abort: neither and both are wrong use."""
    async with fleet_of(1) as fleet:
        with pytest.raises(OperatingError, match="say which") as caught:
            await decide("d-01", commit=both, abort=both, context=desk.context(fleet))
    assert Exit.USAGE is caught.value.exit_code


# --- settle -----------------------------------------------------------------------------------


async def test_settle_takes_it_out_of_what_is_shown(desk: Desk) -> None:
    """First it is offered by `show`; then nothing is left to settle."""
    async with fleet_of(2) as fleet:
        txn = await held_in_doubt(fleet)
        word = HeuristicDecided(
            device=D2,
            txn=txn,
            outcome=Outcome.COMMIT,
            by=fleet.world().me("x"),
            reason="must land",
        )
        await locks.change(fleet.world(), FLEET, lambda _state: (word,))
        await recover(context=of_a_ghost(desk, fleet))
        desk.ran(0)
        found = await shown(desk, desk.context(fleet, "json"))
        code = await settle("d-02", reason="looked at it", context=desk.context(fleet, "json"))
        document = desk.ran(code).document
        state = await locks.read_fleet(fleet.world(), FLEET)
        with pytest.raises(OperatingError, match="nothing to settle") as caught:
            await settle("d-02", reason="again", context=desk.context(fleet))
        with pytest.raises(OperatingError, match="needs --reason TEXT"):
            await settle("d-02", reason=" ", context=desk.context(fleet))
    following = "aimctl devices settle d-02 --fleet hazard-12 --reason TEXT"
    assert (following, 0, "settle") == (found["next"], code, document["type"])
    assert {} == state.heuristics
    assert Exit.USAGE is caught.value.exit_code


async def test_an_excused_device_is_known_too(desk: Desk) -> None:
    """It is in no map of digests, and the first that somebody asks about."""
    async with fleet_of(2) as fleet:
        wanted = order(0, OLD, ["d-01"])
        plan = replace(wanted.plan, excused=(D2,))
        data = encode_plan(plan)
        excusing = replace(wanted, plan=plan, plan_digest=digest_of(data), blobs=(data, OLD))
        await push(fleet.world(), excusing)
        found = await shown(desk, desk.context(fleet, "json"))
    assert (True, False) == (found["excused"], found["member"])
