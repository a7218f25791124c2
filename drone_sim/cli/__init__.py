"""
The command line of the simulator: ``drone-sim``.

Exit codes: 0 done, or all invariants held; 1 a violation, or an error; 2 wrong use. Results go
to stdout, narration to stderr.
"""

from __future__ import annotations

from drone_sim.cli.app import main

__all__ = ["main"]
