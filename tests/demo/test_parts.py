"""The parts of the demo that need no broker: files, words, sizes and exit codes."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from drone_sim.demo import main
from drone_sim.demo.incident import votes_before_death
from drone_sim.demo.processes import command
from drone_sim.demo.scene import Check, DeviceEnd, Run
from drone_sim.demo.teller import Row, Style, Teller, milliseconds
from drone_sim.demo.workspace import DEVICES_MAX, make_workspace
from drone_sim.naive import free, take
from orchestrator.errors import Exit, OperatingError
from orchestrator.protocol.types import DeviceId, Digest
from orchestrator.staging.load import load_fleet, read
from orchestrator.wiring import SystemClock


def ending(*, kept: bool) -> Run:
    """A story of two devices that has ended."""
    devices = {
        DeviceId(name): DeviceEnd(
            version=2, digest=Digest("sha256:" + "a" * 64), state="active", hold_ms=held
        )
        for name, held in (("d-01", 100.0), ("d-02", 120.0))
    }
    return Run(
        story="push",
        devices=devices,
        activation_skew_ms=4.1,
        total_ms=2600.0,
        checks=(Check(claim="the lock is free", kept=kept),),
        commands=(),
    )


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Callable[[Run], None]:
    """Return a function that makes the demo end as it is told."""

    def end_with(run: Run) -> None:
        monkeypatch.setattr(main, "_play", lambda _order, _teller: [run])

    return end_with


@pytest.mark.parametrize("devices", [-1, 0, 1, DEVICES_MAX + 1])
def test_a_wrong_size_is_wrong_use(devices: int) -> None:
    """A fleet that the demo can't carry is refused, with the bounds, before anything starts."""
    with pytest.raises(OperatingError, match="2 to 200") as refused:
        main.run(devices=devices)
    assert Exit.USAGE == refused.value.exit_code


def test_all_kept_is_exit_0(played: Callable[[Run], None]) -> None:
    """A demo whose promises were all kept ends with 0."""
    played(ending(kept=True))
    assert Exit.DONE == main.run()


def test_a_broken_promise_is_exit_1(
    played: Callable[[Run], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """A demo in which anything was not as promised ends with 1, and says so."""
    played(ending(kept=False))
    assert Exit.UNEXPECTED == main.run()
    assert "NOT as told: 1" in capsys.readouterr().out


def test_json_is_one_document(
    played: Callable[[Run], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """With JSON, stdout is exactly one document, with what INTERFACE names."""
    played(ending(kept=True))
    main.run(output="json")
    (line,) = capsys.readouterr().out.splitlines()
    document = json.loads(line)
    names = {"schema", "type", "mode", "devices", "activation_skew_ms", "hold_ms", "total_ms"}
    assert names | {"runs"} <= set(document)
    assert {"version", "digest", "state"} == set(document["devices"]["d-01"])
    assert (4.1, 120.0) == (document["activation_skew_ms"], document["hold_ms"])


@pytest.mark.parametrize("devices", [2, 12, 13, 120])
def test_the_fleet_file_has_that_many(tmp_path: Path, devices: int) -> None:
    """The fleet file that is made passes the checks of a real one, and names each drone once."""
    workspace = make_workspace(tmp_path / "story", devices)
    loaded = load_fleet(read(tmp_path / "story" / workspace.fleet_file)).file
    assert (devices, f"hazard-{devices}") == (len(loaded.device), loaded.fleet)
    assert workspace.old.keys() == workspace.new.keys() == set(workspace.devices)


def test_versions_differ_in_their_bytes(tmp_path: Path) -> None:
    """The two sample versions are told apart by the bytes that a device runs."""
    workspace = make_workspace(tmp_path / "story", 12)
    assert set(workspace.old.values()).isdisjoint(workspace.new.values())


@pytest.mark.parametrize(("devices", "votes"), [(2, 1), (3, 2), (12, 7), (120, 70)])
def test_votes_before_death(devices: int, votes: int) -> None:
    """The orchestrator dies after 7 of 12 votes, never before the first or after the last."""
    assert votes == votes_before_death(devices)


def test_a_command_is_shown_for_a_shell() -> None:
    """What is shown can be pasted into a shell, environment and quotes included."""
    wanted = command("aimctl lock force-unlock f@3 --reason 'it is dead'", AIMCTL_FAULT="kill@x")
    shown = "AIMCTL_FAULT=kill@x aimctl lock force-unlock f@3 --reason 'it is dead'"
    assert shown == str(wanted)


def test_large_fleets_are_grouped() -> None:
    """Twenty devices that run the same are one line of the table."""
    out = io.StringIO()
    rows = [
        Row(device=f"d-{n:02}", version="version 2", state="active", digest="x", held_ms=n)
        for n in range(1, 21)
    ]
    Teller(out, SystemClock(), color=False).table(rows)
    (line,) = [line for line in out.getvalue().splitlines() if "version 2" in line]
    assert ["d-01", "…", "d-20", "(20)"] == line.split()[:4]
    assert line.endswith("1 ms to 20 ms")


def test_without_colour_nothing_is_styled() -> None:
    """Without colour no escape sequence is written."""
    assert "x" == Teller(None, SystemClock(), color=False).styled("x", Style.BAD)


def test_a_closed_pipe_ends_the_telling_only() -> None:
    """When nobody reads any more, the story goes on without words, and so without an error."""
    reading, writing = os.pipe()
    os.close(reading)
    teller = Teller(os.fdopen(writing, "w"), SystemClock(), color=False)
    teller.title("nobody reads this")
    teller.title("nor this")


def test_times_held() -> None:
    """Times held are shown from the least to the most, in s from one second on."""
    assert ("-", "5 ms", "5 ms to 1.5 s") == (
        milliseconds([None]),
        milliseconds([5.0, None]),
        milliseconds([1500.0, 5.0]),
    )


def test_the_naive_lock_is_hot_until_deleted(tmp_path: Path) -> None:
    """The naive lock file says HOT to everybody, its dead owner included, until it is deleted."""
    lock = tmp_path / "lock"
    take(lock, "aim_lock_config.conf")
    with pytest.raises(OperatingError, match="HOT"):
        take(lock, "aim_lock_config.conf")
    free(lock)
    take(lock, "aim_lock_config.conf")
