"""
A process with many simulated autopilots, for the tests that kill agents.

``python -m tests.agent.mavlink.hangar HOME... -- NAME...``: each keeps its parameters in its
HOME, and refuses to change the parameters NAME. Their ports are printed on one line.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from drone_sim.autopilot import Faults, InFile, SimulatedAutopilot, flying

STORED = "autopilot.json"


async def main(homes: list[str], refused: frozenset[str]) -> None:
    """Let all of them answer until stdin ends."""
    async with AsyncExitStack() as stack:
        ports = []
        for home in homes:
            store = InFile(Path(home) / STORED)
            made = SimulatedAutopilot(store=store, faults=Faults(reject=refused))
            found = await stack.enter_async_context(flying(made))
            ports.append(str(found.port))
        sys.stdout.write(" ".join(ports) + "\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    cut = sys.argv.index("--")
    asyncio.run(main(sys.argv[1:cut], frozenset(sys.argv[cut + 1 :])))
