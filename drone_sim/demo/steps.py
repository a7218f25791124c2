"""The steps that the stories of the product share: start, push, look at the end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from drone_sim.demo.observer import Observer, observe
from drone_sim.demo.processes import Done, StepError
from drone_sim.demo.scene import DeviceEnd, Scene
from drone_sim.demo.teller import Style, milliseconds
from drone_sim.demo.workspace import OLD, SLOTS
from orchestrator.errors import Exit
from orchestrator.protocol.messages import DeviceState
from orchestrator.protocol.types import DeviceId

ATTEMPTS: Final = 5
PAUSE_S: Final = 0.5
MORE_TIME_S: Final = 2
SAID_CHARS_MAX: Final = 2000


async def push(scene: Scene, config: str, *codes: int, fault: str = "", window_s: int = 0) -> Done:
    """
    Push ``config`` until it ends with one of ``codes``.

    A busy machine may make a vote late or a clock too uncertain; then ABORT is decided, nothing
    has changed, and the same is tried again, as a person would. Raises StepError in the end.
    """
    first = f"aimctl push {config} --fleet {scene.workspace.fleet_file} --yes --output json"
    line = f"{first} --window {window_s}" if window_s else first
    environment = {"AIMCTL_FAULT": fault} if fault else {}
    done = await scene.run(line, **environment)
    for attempt in range(1, ATTEMPTS):
        if done.code != Exit.ABORTED:
            break
        told = document_of(done, Exit.ABORTED).get("message")
        scene.teller.result(f"{told}. This machine is busy: the same again", Style.HOT)
        await asyncio.sleep(PAUSE_S)
        more_s = MORE_TIME_S * attempt + len(scene.workspace.devices) // 20
        done = await scene.run(f"{first} --window {more_s}", **environment)
    if done.code not in codes:
        raise unexpected(done)
    return done


@asynccontextmanager
async def fleet_at_version_1(scene: Scene) -> AsyncIterator[Observer]:
    """Start the fleet and push the first version to it."""
    workspace, teller = scene.workspace, scene.teller
    async with observe(scene.broker, workspace.fleet, workspace.devices, scene.clock) as observer:
        teller.command(f"export AIMCTL_STORE={workspace.store_url}")
        teller.command(f"export AIMCTL_BROKER={scene.broker}")
        await scene.start(f"drone-sim fleet {workspace.fleet_file} --state-dir {SLOTS}")
        await observer.until_all(lambda _: True, "the fleet connects")
        teller.result(
            f"{len(workspace.devices)} simulated drones, each a real device agent with its own"
            " connection and files; they hold until they have a first configuration"
        )
        pushed = document_of(await push(scene, OLD, Exit.DONE))
        teller.result(f"COMMIT: every drone runs version {pushed['version']}", Style.GOOD)
        yield observer


def document_of(done: Done, *codes: int) -> dict[str, Any]:
    """Return the JSON document of a command that ended with one of ``codes`` (0)."""
    if done.code not in (codes or (Exit.DONE,)):
        raise unexpected(done)
    try:
        found = json.loads(done.stdout)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise StepError(f"{done.command}\nprinted no JSON document:\n{done.stdout[:500]}")
    return found


def unexpected(done: Done) -> StepError:
    """Make the error of a command that ended otherwise than it should."""
    said = (done.stderr.strip() or done.stdout.strip())[-SAID_CHARS_MAX:]
    return StepError(f"{done.command}\nended with code {done.code}\n{said}")


async def ends(scene: Scene, observer: Observer, expected: str) -> dict[DeviceId, DeviceEnd]:
    """Ask ``aimctl status``, read every active file, and check that they agree (I29)."""
    workspace = scene.workspace
    line = f"aimctl status --fleet {workspace.fleet_file} --output json"
    status = document_of(await scene.run(line))
    told: dict[str, Any] = status["devices"]
    wanted = workspace.old if expected == OLD else workspace.new
    states = observer.states()
    devices = {
        name: DeviceEnd(
            version=told.get(name, {}).get("version"),
            digest=workspace.active_digest(name),
            state=told.get(name, {}).get("state", "unknown"),
            hold_ms=_hold_ms(states.get(name)),
        )
        for name in workspace.devices
    }
    versions = {end.version for end in devices.values()}
    scene.teller.result(_summary(status, devices))
    scene.check(
        f"every active file is {expected}, byte for byte in canonical form",
        kept=all(workspace.active(name) == wanted[name] for name in workspace.devices),
    )
    scene.check(
        "the files on the disks and what `aimctl status` says are the same",
        kept=all(end.digest == told.get(name, {}).get("digest") for name, end in devices.items()),
    )
    scene.check(
        f"all {len(devices)} drones are active, on one version, the fleet's",
        kept=versions == {status["version"]}
        and not status["split"]
        and all(end.state == "active" for end in devices.values()),
    )
    scene.check("the lock is free", kept=status["lock"]["state"] == "free")
    return devices


def _summary(status: Mapping[str, Any], devices: Mapping[DeviceId, DeviceEnd]) -> str:
    held = milliseconds([end.hold_ms for end in devices.values()])
    lock = status["lock"]["state"]
    return f"the fleet is at version {status['version']}, its lock is {lock}; held {held}"


def _hold_ms(state: DeviceState | None) -> float | None:
    return None if state is None or state.hold_s is None else round(state.hold_s * 1e3, 1)
