"""
The command: ``python -m drone_sim.benchmark [--devices 12,100,1000] [--rounds 3]``.

Exit codes: 0 measured; 1 a push aborted or left a device behind, or something failed; 2 wrong
use, or Mosquitto is not installed; 130 interrupted. The result goes to stdout, narration to
stderr.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from drone_sim.arguments import count, tell
from drone_sim.benchmark import report
from drone_sim.benchmark.broker import Mosquitto, find_mosquitto
from drone_sim.benchmark.measure import Measured, directory_of, measure
from drone_sim.benchmark.site import make_site, raise_descriptor_limit
from drone_sim.benchmark.wire import WireError
from orchestrator.errors import Exit, OperatingError
from orchestrator.protocol.types import FLEET_DEVICES_MAX

ROUNDS_MAX: Final = 100
SIZES_MAX: Final = 20


def _sizes(text: str) -> tuple[int, ...]:
    sizes = tuple(count(part, FLEET_DEVICES_MAX) for part in text.split(","))
    if len(sizes) > SIZES_MAX:
        msg = f"at most {SIZES_MAX} sizes"
        raise argparse.ArgumentTypeError(msg)
    return tuple(dict.fromkeys(sizes))


def _rounds(text: str) -> int:
    return count(text, ROUNDS_MAX)


def _window(text: str) -> float:
    least, most = 0.05, 3600.0  # as in a fleet file
    try:
        window_s = float(text)
    except ValueError:
        window_s = 0.0
    if not least <= window_s <= most:
        msg = f"{text!r} is no number of seconds from {least:g} to {most:g}"
        raise argparse.ArgumentTypeError(msg)
    return window_s


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m drone_sim.benchmark",
        description="The cost of a push over Mosquitto, beside the floor: the same messages"
        " between bare clients, with no checks and no disk.",
    )
    add = parser.add_argument
    add("--devices", type=_sizes, default=(12, 100, 1000), metavar="N,N", help="sizes of fleets")
    add("--rounds", type=_rounds, default=3, metavar="N", help="medians are taken over them")
    add("--window", type=_window, metavar="S", help="time to vote; by the size unless given")
    add("--output", choices=("text", "json"), default="text", help="json: one document")
    return parser.parse_args(given)


async def _run(given: argparse.Namespace, program: str) -> report.Document:
    """Measure each size; SIGTERM ends it as Ctrl-C does."""
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with TemporaryDirectory(prefix="aim-benchmark-") as directory:
        found: list[Measured] = []
        for size in given.devices:
            site = make_site(directory_of(Path(directory), size), size, given.window)
            found.append(await measure(site, program, given.rounds, tell))
        version = Mosquitto(program, Path(directory)).version
    return report.document(found, report.machine(version))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and return its exit code."""
    given = _arguments(arguments)
    try:
        program = find_mosquitto()
        raise_descriptor_limit(max(given.devices))
        found = asyncio.run(_run(given, program))
    except OperatingError as error:
        following = f"\n  next      {error.next_command}" if error.next_command else ""
        tell(f"ERROR: {error.message}{following}")
        return int(Exit.USAGE if error.exit_code == Exit.USAGE else Exit.UNEXPECTED)
    except (WireError, OSError) as error:
        tell(f"ERROR: {error}")
        return int(Exit.UNEXPECTED)
    except (KeyboardInterrupt, asyncio.CancelledError):
        tell("interrupted")
        return int(Exit.INTERRUPTED)
    text = json.dumps(found) if given.output == "json" else report.table(found)
    sys.stdout.write(text + "\n")
    return int(Exit.DONE)


if __name__ == "__main__":
    sys.exit(main())
