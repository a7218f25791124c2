"""The device's record on its disk: read strictly, or not at all."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drone_sim.disk import CrashDisk
from orchestrator.agent import record
from orchestrator.agent.host import step_of
from orchestrator.errors import OperatingError
from orchestrator.protocol.device import Durable, Save, Write
from orchestrator.protocol.types import Digest, Epoch, Outcome
from tests.agent.histories import (
    DEVICE,
    FLEET,
    HOME,
    config,
    digest_of,
    history,
    opened,
    perform,
    prepared,
    worded,
)

HISTORY = history(3)
ABORT, COMMIT = Outcome.ABORT, Outcome.COMMIT


def written() -> tuple[CrashDisk, bytes]:
    """A disk with a whole record, and its bytes."""
    disk = CrashDisk()
    slots = opened(disk)
    perform(slots, HISTORY)
    slots.close()
    data = disk.read(HOME / "participant.json", 1_000_000)
    assert data is not None
    return disk, data


def refusal(disk: CrashDisk) -> OperatingError:
    """The error that opening ends in."""
    with pytest.raises(OperatingError) as refused:
        opened(disk)
    assert refused.value.next_command
    return refused.value


@given(st.data())
def test_any_damage_of_the_record_is_noticed(data: st.DataObject) -> None:
    """A record with a bit turned, cut or grown is refused by name, and left as it is."""
    disk, whole = written()
    at = data.draw(st.integers(0, len(whole) - 1))
    mask = data.draw(st.integers(1, 255))
    how = data.draw(st.sampled_from(["turn", "cut", "grow"]))
    turned = bytes([whole[at] ^ mask])
    bad = {
        "turn": whole[:at] + turned + whole[at + 1 :],
        "cut": whole[:at],
        "grow": whole + turned,
    }[how]
    disk.damage(HOME / "participant.json", bad)
    error = refusal(disk)
    assert "participant.json" in error.message
    assert bad == disk.read(HOME / "participant.json", 1_000_000)


def test_a_missing_record_is_not_made_anew() -> None:
    """Configurations without a record are the state of a device that has promised something."""
    disk, _ = written()
    disk.remove(HOME / "participant.json")
    assert "it is missing" in refusal(disk).message


def test_a_record_of_a_newer_format_is_left_alone() -> None:
    """A later version's record is not called damaged."""
    disk, whole = written()
    line = whole.split(b"\n")[0].replace(b'"format":1', b'"format":2')
    disk.damage(HOME / "participant.json", line + b"\n" + record._checksum(line) + b"\n")
    assert "format 2" in refusal(disk).message


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(b'"last_seq":3', b'"last_seq":"3"', id="a text for a number"),
        pytest.param(b'"known":true', b'"known":true,"more":1', id="an unknown key"),
        pytest.param(b'"number":6', b'"number":6,"more":1', id="an unknown key inside"),
        pytest.param(b'"known":true,', b"", id="nothing"),
    ],
)
def test_the_record_is_read_strictly(old: bytes, new: bytes) -> None:
    """A record with a right checksum is still refused where it says what it can't say."""
    disk, whole = written()
    line = whole.split(b"\n")[0].replace(old, new)
    disk.damage(HOME / "participant.json", line + b"\n" + record._checksum(line) + b"\n")
    if new:
        assert "can't be trusted" in refusal(disk).message
    else:
        assert not opened(disk).durable.known, "a field that is missing has its default"


@pytest.mark.parametrize("word", [None, ABORT, COMMIT])
def test_every_record_reads_back(word: Outcome | None) -> None:
    """Prepared, on a person's word or not, in a later incarnation: all of it returns equal."""
    durable = Durable(
        fleet=FLEET,
        device=DEVICE,
        max_epoch=Epoch(3, 9),
        prepared=prepared(4),
        heuristic=word,
        last_seq=3,
    )
    stored = record.Stored(record=durable, kept=(Digest("sha256:" + "0" * 64),))
    assert stored == record.decode(record.encode(stored), HOME)


def rewritten(disk: CrashDisk, old: bytes, new: bytes) -> CrashDisk:
    """A disk whose record says ``new`` in the place of ``old``, under a right checksum."""
    whole = disk.read(HOME / "participant.json", 1_000_000)
    assert whole is not None
    line = whole.split(b"\n")[0]
    assert 1 == line.count(old)
    line = line.replace(old, new)
    disk.damage(HOME / "participant.json", line + b"\n" + record._checksum(line) + b"\n")
    return disk


def in_doubt(word: Outcome | None = None) -> tuple[CrashDisk, Durable]:
    """A disk whose record is prepared for the second transaction, and that record."""
    disk = CrashDisk()
    slots = opened(disk)
    perform(slots, HISTORY[:6])
    perform(slots, [Save(durable=replace(slots.durable, heuristic=word))])
    slots.close()
    return disk, slots.durable


def test_a_record_from_before_there_were_words_is_read() -> None:
    """An older program's record, without the field, is that of a device that has none."""
    disk, durable = in_doubt()
    older = rewritten(disk, b'"heuristic":null,', b"")
    assert durable == opened(older).durable


@pytest.mark.parametrize("word", Outcome)
def test_a_word_survives_the_restart(word: Outcome) -> None:
    """A record with the field is read with it: the device goes on with what it was told."""
    disk, _ = in_doubt(word)
    disk.reboot()
    assert word is opened(disk).durable.heuristic


def test_a_word_that_is_none_is_damage() -> None:
    """A record that names no outcome is not guessed at."""
    disk, _ = in_doubt(COMMIT)
    broken = rewritten(disk, b'"heuristic":"commit"', b'"heuristic":"perhaps"')
    assert "heuristic" in refusal(broken).message


def test_a_word_alone_keeps_the_bytes_of_both_versions() -> None:
    """Whatever is decided, the device has the configuration for it."""
    disk, _ = in_doubt(COMMIT)
    slots = opened(disk)
    found = [slots.blob(digest_of(config(number))) for number in (1, 2)]
    assert [config(1), config(2)] == found


# --- the names of the steps ---------------------------------------------------------------------


def steps_of(writes: list[Write]) -> list[str]:
    """The fault points of a life, by the saves that it is made of."""
    before, steps = Durable(fleet=FLEET, device=DEVICE), []
    for write in writes:
        if isinstance(write, Save):
            steps.append(step_of(before, write.durable))
            before = write.durable
    return steps


def test_each_save_has_a_name() -> None:
    """The save of a word is told from the promise before it and the decision after it."""
    push = ["prepared", "decision", "activated"]
    assert [*push, "prepared", "heuristic", "decision"] == steps_of(worded(ABORT))
    assert [*push, "prepared", "heuristic", "decision", "activated"] == steps_of(worded(COMMIT))
