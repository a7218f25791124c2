"""The same night with a script: a lock file, and one retained message per device."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from drone_sim.demo.incident import votes_before_death
from drone_sim.demo.processes import KILLED, Done, Started, StepError
from drone_sim.demo.scene import DeviceEnd, Run, Scene
from drone_sim.demo.steps import unexpected
from drone_sim.demo.teller import Style
from drone_sim.demo.workspace import NEW, OLD, SLOTS
from drone_sim.naive import READY
from orchestrator.errors import Exit
from orchestrator.protocol.types import DeviceId

LOCK: Final = OLD + ".lock"
PATIENCE_S: Final = 10.0
POLL_S: Final = 0.02


async def naive_story(scene: Scene) -> Run:
    """Kill the script in the middle, delete its lock, and look."""
    workspace, teller = scene.workspace, scene.teller
    total = len(workspace.devices)
    sent = votes_before_death(total)
    fleet = await scene.start(
        f"python -m drone_sim.naive fleet {workspace.fleet_file} --state-dir {SLOTS}"
        f" --broker {scene.broker}"
    )
    await _until(fleet, lambda: READY in fleet.log.read_text(), "the devices connect")
    teller.result(f"{total} devices, same broker and files; each applies what arrives")
    await _first_version(scene, fleet)
    await _die(scene, fleet, sent)
    await _hot(scene)
    await _delete(scene)
    devices = _ends(scene)
    newer = sum(end.version == 2 for end in devices.values())  # noqa: PLR2004 - version 2
    older = sum(end.version == 1 for end in devices.values())
    teller.result(
        f"SPLIT: {newer} run version 2, {older} run version 1, all of them operate,"
        " and nothing knows it: no record, no owner, nobody asking",
        Style.BAD,
    )
    scene.check(
        f"as told, {sent} devices run version 2 and {total - sent} run version 1",
        kept=(newer, older) == (sent, total - sent),
    )
    gone = not (workspace.directory / LOCK).exists()
    scene.check("as told, the lock file is gone: the next push finds nothing unusual", kept=gone)
    return scene.ended(devices)


def _push(scene: Scene, config: str) -> str:
    return (
        f"python -m drone_sim.naive push {config} --fleet {scene.workspace.fleet_file}"
        f" --lock {LOCK} --broker {scene.broker}"
    )


async def _first_version(scene: Scene, fleet: Started) -> None:
    """Publish version 1 to everybody; nothing goes wrong."""
    done = await scene.run(_push(scene, OLD))
    _require(done, Exit.DONE)
    total = len(scene.workspace.devices)
    await _until(fleet, lambda: _count(scene, 1) == total, "every device runs version 1")
    scene.teller.result(f"{done.stdout.strip()}; every device runs version 1", Style.GOOD)


async def _die(scene: Scene, fleet: Started, sent: int) -> None:
    """Kill the script with -9 after it has published to some."""
    done = await scene.run(_push(scene, NEW), AIMCTL_FAULT=f"kill@publish:{sent}:after")
    _require(done, KILLED)
    total = len(scene.workspace.devices)
    scene.teller.result(f"killed with -9 after publish {sent} of {total}", Style.BAD)
    await _until(fleet, lambda: _count(scene, 2) == sent, f"{sent} devices run version 2")
    scene.teller.result("whoever got the message runs it; nobody waits for the others")


async def _hot(scene: Scene) -> None:
    """Find the lock file in the way."""
    done = await scene.run(_push(scene, NEW))
    _require(done, Exit.HOT)
    scene.teller.quote(done.stderr, Style.HOT)
    scene.teller.result("by whom, how far, is anybody alive? The file can't say")


async def _delete(scene: Scene) -> None:
    """Force the lock, as such locks are forced."""
    _require(await scene.run(f"rm {LOCK}"), Exit.DONE)


def _ends(scene: Scene) -> dict[DeviceId, DeviceEnd]:
    workspace = scene.workspace
    return {
        name: DeviceEnd(
            version=_version(scene, name),
            digest=workspace.active_digest(name),
            state="active",
            hold_ms=None,
        )
        for name in workspace.devices
    }


def _version(scene: Scene, device: DeviceId) -> int | None:
    """Tell the version by the bytes in the active file: nothing else knows it."""
    workspace = scene.workspace
    return {workspace.old[device]: 1, workspace.new[device]: 2}.get(
        workspace.active(device) or b""
    )


def _count(scene: Scene, version: int) -> int:
    return sum(_version(scene, name) == version for name in scene.workspace.devices)


def _require(done: Done, code: int) -> None:
    if done.code != code:
        raise unexpected(done)


async def _until(fleet: Started, what: Callable[[], bool], name: str) -> None:
    """Wait for something to be seen on the disk, in bounded time."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not what():
                fleet.require_running()
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        raise StepError(f"{name}: not within {PATIENCE_S:g} s") from None
