"""Runs the stories that were asked for, and prints how they ended."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from drone_sim.demo import words
from drone_sim.demo.healthy import push_story
from drone_sim.demo.incident import incident_story, moments
from drone_sim.demo.processes import StepError
from drone_sim.demo.scene import Run, Scene, open_scene
from drone_sim.demo.script import naive_story
from drone_sim.demo.teller import Teller
from drone_sim.demo.workspace import check_size, make_workspace
from orchestrator.errors import Exit, OperatingError
from orchestrator.ports import TransportUnavailable
from orchestrator.transport.embedded import EmbeddedBroker, Preference
from orchestrator.wiring import SystemClock

SCHEMA: Final = 1
_SIGNALS: Final = (signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to play. ``mode`` is the JSON document's."""

    mode: str
    devices: int
    prefer: Preference


def run(
    *,
    devices: int = 12,
    incident: bool = False,
    naive: bool = False,
    output: str = "text",
    color: bool | None = None,
    broker: Preference = "auto",
) -> int:
    """
    Play the demo and return the exit code of ``aimctl demo``.

    ``incident`` replays the incident twice; ``naive`` (alone or with it) runs what scripts do
    today instead. ``output`` is ``text``, ``json`` or ``jsonl``; ``color=None`` looks at the
    terminal. ``broker`` is which embedded broker to run. 0 when everything went as told, 1 when
    anything did not. Raises OperatingError for a fleet of the wrong size (2), where the story
    could not go on (1), and when interrupted (130); nothing is left behind then either.
    """
    check_size(devices)
    mode = "naive" if naive else "incident" if incident else "push"
    order = Order(mode=mode, devices=devices, prefer=broker)
    text = output == "text"
    terminal = sys.stdout.isatty()
    colored = terminal if color is None else color and terminal
    teller = Teller(sys.stdout if text else None, SystemClock(), color=colored)
    try:
        runs = _play(order, teller)
    except (StepError, TransportUnavailable) as error:
        raise OperatingError(
            f"the demo could not go on: {error}",
            exit_code=Exit.UNEXPECTED,
            next_command="aimctl doctor",
        ) from error
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise OperatingError(
            "interrupted: whatever the demo had started is stopped and removed",
            exit_code=Exit.INTERRUPTED,
        ) from None
    kept = all(one.kept for one in runs)
    total_ms = round(teller.elapsed_s * 1e3, 1)
    if text:
        words.end(teller, order.mode, runs)
    else:
        _print(_document(order, runs, total_ms))
    return int(Exit.DONE if kept else Exit.UNEXPECTED)


def _play(order: Order, teller: Teller) -> list[Run]:
    """Play in a temporary folder that is removed whatever happens."""
    with tempfile.TemporaryDirectory(prefix="aim-demo-", ignore_cleanup_errors=True) as folder:
        return asyncio.run(_play_in(Path(folder), order, teller))


async def _play_in(folder: Path, order: Order, teller: Teller) -> list[Run]:
    """Play every story of the order, one after the other, each in a world of its own."""
    _let_signals_cancel()
    words.begin(teller, order.mode, order.devices)
    if order.mode == "incident":
        return [
            await _one(folder, order, teller, moment.name, moment.title)
            for moment in moments(order.devices)
        ]
    return [await _one(folder, order, teller, order.mode, None)]


async def _one(folder: Path, order: Order, teller: Teller, name: str, title: str | None) -> Run:
    clock = SystemClock()
    workspace = make_workspace(folder / name, order.devices)
    if title is not None:
        teller.title(title)
    async with EmbeddedBroker(prefer=order.prefer) as broker:
        teller.fact("broker", f"{broker.kind}, started by this program on {broker.url}")
        async with open_scene(name, workspace, broker.url, teller, clock) as scene:
            return await _story(scene, name, order)


async def _story(scene: Scene, name: str, order: Order) -> Run:
    if name == "push":
        return await push_story(scene)
    if name == "naive":
        return await naive_story(scene)
    moment = next(one for one in moments(order.devices) if one.name == name)
    return await incident_story(scene, moment)


def _let_signals_cancel() -> None:
    """Clean up on SIGTERM and SIGHUP too; asyncio does it for Ctrl-C."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    if task is None:
        return
    for number in _SIGNALS:
        with suppress(ValueError, RuntimeError):  # not in the main thread
            loop.add_signal_handler(number, task.cancel)


# --- output -----------------------------------------------------------------------------------


def _document(order: Order, runs: list[Run], total_ms: float) -> dict[str, Any]:
    last = runs[-1]
    return {
        "schema": SCHEMA,
        "type": "demo",
        "mode": order.mode,
        "devices": last.devices_document(),
        "activation_skew_ms": last.activation_skew_ms,
        "hold_ms": last.hold_ms,
        "total_ms": total_ms,
        "kept": all(one.kept for one in runs),
        "runs": [one.document() for one in runs],
    }


def _print(document: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()
