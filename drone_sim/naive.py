"""
What scripts do today, for comparison: a lock file, and one retained message per device.

``python -m drone_sim.naive fleet`` are devices that apply what arrives, when it arrives, to the
same active files as the simulated fleet's. ``python -m drone_sim.naive push`` takes a lock file,
publishes the configuration to one device after the other, and removes the lock file. Nobody
votes, nothing is decided, and nothing is left that could say how far it came. Broker and fault
points come by ``AIMCTL_BROKER`` and ``AIMCTL_FAULT`` (``kill@publish:7:after``).

It is as careful as such scripts are (QoS 1, retained, one at a time, each acknowledged by the
broker, an exclusive lock file): its flaw is not sloppiness.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import aiomqtt

from orchestrator.errors import Exit, OperatingError
from orchestrator.staging.bundle import make_bundle
from orchestrator.staging.fleet import FleetFile
from orchestrator.staging.load import LoadedFleet, load_config, load_fleet, read
from orchestrator.transport.broker_url import parse_broker_url
from orchestrator.wiring import environment_faults

PACE_S: Final = 0.05
"""Between two devices: scripts roll a change out one by one."""

CONNECTING_MAX: Final = 20
READY: Final = "connected"
_BROKER: Final = "mqtt://127.0.0.1:1883"


def topic(fleet: str, device: str) -> str:
    """Return where a device finds its configuration."""
    return f"naive/{fleet}/{device}/config"


def client(broker: str, name: str) -> aiomqtt.Client:
    """Return a client that is not connected yet."""
    url = parse_broker_url(broker)
    logger = logging.Logger(name)  # noqa: LOG001 - detached: its complaints are not the story
    logger.disabled = True
    return aiomqtt.Client(url.host, url.port, identifier=name, logger=logger)


# --- devices ----------------------------------------------------------------------------------


async def run_fleet(fleet: FleetFile, directory: Path, broker: str) -> None:
    """Run every device of the fleet until cancelled; say so once all are connected."""
    gate = asyncio.Semaphore(CONNECTING_MAX)
    async with asyncio.TaskGroup() as group:
        started = [asyncio.Event() for _ in fleet.device]
        for device, ready in zip(fleet.device, started, strict=True):
            active = directory / device.id / fleet.config
            active.parent.mkdir(parents=True, exist_ok=True)
            where = topic(fleet.fleet, device.id)
            group.create_task(
                _device(client(broker, f"naive-{device.id}"), where, active, gate, ready)
            )
        for ready in started:
            await ready.wait()
        say(f"{len(started)} of {len(started)} {READY}")


async def _device(
    mqtt: aiomqtt.Client, where: str, active: Path, gate: asyncio.Semaphore, ready: asyncio.Event
) -> None:
    """Apply whatever arrives, when it arrives."""
    await gate.acquire()
    async with mqtt:
        await mqtt.subscribe(where, qos=1)
        gate.release()
        ready.set()
        async for message in mqtt.messages:
            if isinstance(message.payload, bytes):
                apply(active, message.payload)


def apply(active: Path, data: bytes) -> None:
    """Replace the active file, whole: in this the script is as good as anybody."""
    new = active.with_name(f".{active.name}.new")
    new.write_bytes(data)
    new.replace(active)


# --- the script -------------------------------------------------------------------------------


async def push(config: Path, fleet: LoadedFleet, lock: Path, broker: str) -> None:
    """Publish to every device in turn, under the lock file."""
    bundle = make_bundle(load_config(read(config)), fleet)
    faults = environment_faults()
    take(lock, fleet.file.config)
    async with client(broker, "naive-script") as mqtt:
        for number, (device, digest) in enumerate(bundle.digests.items(), 1):
            where = topic(fleet.file.fleet, device)
            await mqtt.publish(where, bundle.configs[digest], qos=1, retain=True)
            await asyncio.sleep(PACE_S)
            faults.hit(f"publish:{number}:after")
    free(lock)
    say(f"published to {len(bundle.digests)} devices")


def take(lock: Path, config: str) -> None:
    """Make the lock file, or say that it is there: nothing more is known."""
    try:
        lock.touch(exist_ok=False)
    except FileExistsError:
        raise OperatingError(
            f"{config}: HOT",
            exit_code=Exit.HOT,
            next_command=f"rm {lock}   (if you are sure)",
        ) from None


def free(lock: Path) -> None:
    """Remove the lock file."""
    lock.unlink()


# --- the command line -------------------------------------------------------------------------


def say(text: str) -> None:
    """Print one line."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def parser() -> argparse.ArgumentParser:
    """Return the parser of both commands."""
    top = argparse.ArgumentParser(prog="python -m drone_sim.naive", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)
    devices = commands.add_parser("fleet", help="devices that apply what arrives")
    devices.add_argument("fleet", type=Path)
    devices.add_argument("--state-dir", type=Path, required=True)
    script = commands.add_parser("push", help="publish to one device after the other")
    script.add_argument("config", type=Path)
    script.add_argument("--fleet", type=Path, required=True)
    script.add_argument("--lock", type=Path, required=True)
    for one in (devices, script):
        one.add_argument("--broker", required=True)
    return top


async def _until_interrupted(arguments: argparse.Namespace) -> None:
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel if task else loop.stop)
    fleet = load_fleet(read(arguments.fleet))
    if arguments.command == "fleet":
        await run_fleet(fleet.file, arguments.state_dir, arguments.broker)
    else:
        await push(arguments.config, fleet, arguments.lock, arguments.broker)


def main(words: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = parser().parse_args(words)
    try:
        asyncio.run(_until_interrupted(arguments))
    except asyncio.CancelledError:
        return int(Exit.DONE if arguments.command == "fleet" else Exit.INTERRUPTED)
    except OperatingError as error:
        sys.stderr.write(f"ERROR: {error.message}\n  next      {error.next_command}\n")
        return int(error.exit_code)
    except aiomqtt.MqttError as error:
        sys.stderr.write(f"ERROR: the broker can't be reached: {error}\n")
        return int(Exit.UNREACHABLE)
    return int(Exit.DONE)


if __name__ == "__main__":
    sys.exit(main())
