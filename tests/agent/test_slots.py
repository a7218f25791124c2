"""The durable slots of a device: whole or not at all, whatever happens in between."""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from drone_sim.disk import CrashDisk, PowerLost, everything_survives, nothing_survives
from orchestrator.agent.os_disk import OsDisk
from orchestrator.agent.slots import open_slots
from orchestrator.errors import Exit, OperatingError
from orchestrator.ports import DiskError
from orchestrator.protocol.device import Durable, Save, Stage, Write
from orchestrator.protocol.errors import InvariantViolation
from orchestrator.protocol.types import DeviceId, Outcome
from tests.agent.histories import (
    DEVICE,
    FLEET,
    HOME,
    config,
    digest_of,
    history,
    opened,
    perform,
    worded,
)

ABORT, COMMIT = Outcome.ABORT, Outcome.COMMIT
TRANSACTIONS = 3
HISTORY = history(TRANSACTIONS)
HISTORIES = {
    "pushes": HISTORY,
    "a word and COMMIT": worded(COMMIT),
    "a word and ABORT": worded(ABORT),
}


def seams_of(writes: list[Write]) -> int:
    """How many seams a life with these writes has."""
    disk = CrashDisk()
    perform(opened(disk), writes)
    return disk.seams


SEAMS = seams_of(HISTORY)
CHOICES = {
    "nothing": nothing_survives,
    "everything": everything_survives,
    **{f"random-{seed}": random.Random(seed).randrange for seed in range(8)},
}


def live_until_the_crash(
    disk: CrashDisk, writes: list[Write] = HISTORY
) -> tuple[Durable | None, Durable | None]:
    """Return the record whose save had returned, and the one that was being saved."""
    stored: Durable | None = None
    saving: Durable | None = Durable(fleet=FLEET, device=DEVICE)
    try:
        slots = opened(disk)
        stored, saving = slots.durable, None
        for write in writes:
            saving = write.durable if isinstance(write, Save) else None
            slots.perform(write)
            stored, saving = slots.durable, None
    except PowerLost:
        pass
    return stored, saving


def crash_at(seam: int, survival: str, writes: list[Write]) -> None:
    """Crash there, reopen, and check what is left."""
    disk = CrashDisk()
    disk.crash_at = seam
    stored, saving = live_until_the_crash(disk, writes)
    disk.cut_power()
    disk.reboot(CHOICES[survival])
    slots = opened(disk)
    whole = slots.durable in {stored, saving} or (stored is None and slots.durable.version == 0)
    assert whole, f"crash at seam {seam}"
    known = {digest_of(config(number)): config(number) for number in range(1, TRANSACTIONS + 1)}
    for digest in slots.durable.digests_in_use():
        assert known[digest] == slots.blob(digest), f"crash at seam {seam}"


@pytest.mark.parametrize("life", HISTORIES)
@pytest.mark.parametrize("survival", CHOICES)
def test_crash_at_every_seam(survival: str, life: str) -> None:
    """
    After a power loss at any instant the record is entirely the old or the new one, what it
    needs is there and whole, and the slots open again.
    """
    for seam in range(seams_of(HISTORIES[life]) + 1):
        crash_at(seam, survival, HISTORIES[life])


@pytest.mark.parametrize("seam", range(0, SEAMS, 3))
def test_a_second_crash_while_cleaning_up(seam: int) -> None:
    """A crash in the clean-up after a crash changes nothing either."""
    disk = CrashDisk()
    disk.crash_at = seam
    live_until_the_crash(disk)
    disk.cut_power()
    disk.reboot(everything_survives)
    first = opened(disk).durable
    for again in range(4):
        disk.reboot()
        disk.crash_at = disk.seams + again
        try:
            opened(disk)
        except PowerLost:
            disk.reboot(random.Random(again).randrange)
        disk.crash_at = None
        disk.reboot(everything_survives)
        assert first == opened(disk).durable


def test_the_crash_test_can_fail() -> None:
    """On a disk that lies about fsync the same crash loses a record: the model has teeth."""
    disk = CrashDisk()
    slots = opened(disk)
    disk.lies = True
    perform(slots, HISTORY)
    disk.cut_power()
    disk.reboot()
    assert HISTORY[-1] != Save(durable=opened(disk).durable)


@pytest.mark.parametrize("failure", ["no space left on the disk", "input/output error"])
def test_a_failing_disk_at_every_seam(failure: str) -> None:
    """A write that fails raises DiskError with the reason, and the record on disk is whole."""
    for seam in range(SEAMS):
        fail_at(seam, failure)


def fail_at(seam: int, failure: str) -> None:
    """Fail there, and check the error and what is left."""
    disk = CrashDisk()
    disk.fail_at, disk.failure = seam, failure
    attempted = [Durable(fleet=FLEET, device=DEVICE)]
    said = attempt(disk, attempted)
    assert said is None or failure in said
    disk.reboot()
    assert opened(disk).durable in attempted[-2:]


def attempt(disk: CrashDisk, attempted: list[Durable]) -> str | None:
    """Live until a failure; note each record that was to be saved; return what was said."""
    try:
        slots = opened(disk)
        for write in HISTORY:
            if isinstance(write, Save):
                attempted.append(write.durable)
            slots.perform(write)
    except (DiskError, OperatingError) as error:
        return str(error)
    return None


def test_a_write_after_a_failed_one_succeeds() -> None:
    """A full disk that has space again takes the very same writes."""
    disk = CrashDisk()
    slots = opened(disk)
    disk.capacity_bytes = 100
    with pytest.raises(DiskError, match="no space left"):
        perform(slots, HISTORY)
    disk.capacity_bytes = 1_000_000
    perform(slots, HISTORY)
    assert HISTORY[-1] == Save(durable=slots.durable)


def test_the_last_two_versions_stay() -> None:
    """The configurations of the last two versions are kept, those of older ones removed."""
    disk = CrashDisk()
    slots = opened(disk)
    perform(slots, HISTORY)
    found = [slots.blob(digest_of(config(number))) for number in (1, 2, 3)]
    assert [None, config(2), config(3)] == found


def test_the_previous_version_stays_after_a_restart() -> None:
    """What is kept is durable knowledge, not that of one process."""
    disk = CrashDisk()
    perform(opened(disk), HISTORY)
    disk.reboot()
    assert config(2) == opened(disk).blob(digest_of(config(2)))


def test_staged_bytes_of_a_vote_that_was_never_stored_go() -> None:
    """A staged configuration that no record names is removed at the next start."""
    disk = CrashDisk()
    opened(disk).perform(HISTORY[0])
    disk.reboot()
    assert opened(disk).blob(digest_of(config(1))) is None


def test_staging_is_idempotent() -> None:
    """Staged again, a configuration is there once, and nothing is written."""
    disk = CrashDisk()
    slots = opened(disk)
    slots.perform(HISTORY[0])
    before = disk.seams
    slots.perform(HISTORY[0])
    assert [] == disk.trace[before:]


@pytest.mark.parametrize("failing", range(5))
def test_what_a_failed_sync_has_left_is_staged_anew(failing: int) -> None:
    """It can be read, and a second sync says yes: after a power loss it would be gone."""
    disk = CrashDisk()
    slots = opened(disk)
    disk.fail_at = disk.seams + failing
    with pytest.raises(DiskError):
        slots.perform(HISTORY[0])
    perform(slots, HISTORY[:2])
    disk.cut_power()
    disk.reboot()
    assert config(1) == opened(disk).blob(digest_of(config(1)))


@pytest.mark.parametrize("killed_at", range(5))
def test_what_a_killed_agent_has_left_is_durable_before_it_is_told(killed_at: int) -> None:
    """The next agent reads it: a power loss after that must not take it any more."""
    disk = CrashDisk()
    slots = opened(disk)
    slots.perform(HISTORY[0])
    disk.crash_at = disk.seams + killed_at
    with suppress(PowerLost):
        slots.perform(HISTORY[1])
    disk.kill()
    found = opened(disk).durable
    disk.cut_power()
    disk.reboot()
    assert found == opened(disk).durable


def test_what_a_failed_sync_has_left_is_durable_before_it_is_told() -> None:
    """An agent that was refused, and then killed, leaves a name that no sync makes durable."""
    disk = CrashDisk()
    slots = opened(disk)
    slots.perform(HISTORY[0])
    disk.fail_at = disk.seams + 4
    with pytest.raises(DiskError):
        slots.perform(HISTORY[1])
    disk.kill()
    found = opened(disk).durable
    disk.cut_power()
    disk.reboot()
    assert HISTORY[1] == Save(durable=found)
    assert found == opened(disk).durable


def test_a_device_starts_on_a_full_disk() -> None:
    """There is no room to write its record anew: it syncs the name, and can hold at least."""
    disk = CrashDisk()
    perform(opened(disk), HISTORY)
    disk.kill()
    disk.capacity_bytes = 0
    assert HISTORY[-1] == Save(durable=opened(disk).durable)


def test_bytes_are_staged_under_their_own_digest_only() -> None:
    """Other bytes under a digest would be an attack or a bug."""
    slots = opened(CrashDisk())
    with pytest.raises(InvariantViolation):
        slots.perform(Stage(digest=digest_of(b"a"), data=b"b"))


def test_damaged_bytes_are_no_configuration() -> None:
    """A configuration whose bytes have changed on disk is not read."""
    disk = CrashDisk()
    slots = opened(disk)
    slots.perform(HISTORY[0])
    digest = digest_of(config(1))
    disk.damage(HOME / "blobs" / digest.removeprefix("sha256:"), b"worn out")
    assert slots.blob(digest) is None


def test_a_device_that_lost_its_configuration_does_not_vouch_for_it() -> None:
    """The record as found names no digest that has no bytes."""
    disk = CrashDisk()
    slots = opened(disk)
    perform(slots, HISTORY)
    digest = digest_of(config(3))
    disk.damage(HOME / "blobs" / digest.removeprefix("sha256:"), b"worn out")
    assert (replace(slots.durable, digest=None), (digest,)) == slots.found()


# --- the directory ------------------------------------------------------------------------------


def test_another_devices_state_is_refused() -> None:
    """A state directory belongs to one device of one fleet."""
    disk = CrashDisk()
    opened(disk).close()
    with pytest.raises(OperatingError, match="is the state of device d-01") as refused:
        open_slots(disk, HOME, fleet=FLEET, device=DeviceId("d-02"))
    assert Exit.USAGE == refused.value.exit_code


def test_two_agents_never_share_a_state_directory(tmp_path: Path) -> None:
    """The second is refused with the pid of the first; after its end it may."""
    first = opened(OsDisk(), tmp_path)
    with pytest.raises(OperatingError, match=r"another agent, pid \d+,"):
        opened(OsDisk(), tmp_path)
    first.close()
    opened(OsDisk(), tmp_path).close()


def test_on_a_real_disk(tmp_path: Path) -> None:
    """The same history on real files reads back in a new process's place."""
    slots = opened(OsDisk(), tmp_path)
    perform(slots, HISTORY)
    slots.close()
    again = opened(OsDisk(), tmp_path)
    assert HISTORY[-1] == Save(durable=again.durable)
    assert config(3) == again.blob(digest_of(config(3)))
    again.close()


def test_a_state_directory_that_cannot_be_used(tmp_path: Path) -> None:
    """A file in its place is an operating error with a reason."""
    (tmp_path / "state").write_text("a file")
    with pytest.raises(OperatingError, match="can't be used"):
        opened(OsDisk(), tmp_path / "state")
