"""
``aimctl demo``: an embedded broker, a simulated fleet and a real push, with nothing to set up.

Everything that runs is real: a broker on a free loopback port, device agents with their own
connections and files, ``aimctl`` in processes of its own, ``kill -9``. Journal, slots and broker
live in a temporary folder, so demos run side by side; nothing of them is left at the end.

:func:`run` is the entry point that ``aimctl demo`` looks up.
"""

from __future__ import annotations

from drone_sim.demo.main import run

__all__ = ["run"]
