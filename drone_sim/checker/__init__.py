"""
Judges a run: an own copy of the truth, and every invariant asked after every step.

Theory of operation
===================
An engine feeds one :class:`Checker` with what is true: what is durable in the journal and on each
disk, what each controller aims with, who lives, which faults are in force, which messages were
handed to the network. The checker shares no code with the cores and the fold; of the product it
uses the types, ``FleetState`` as it is given, and ``orchestrator.protocol.invariants``. All times
are true time of the story, in s: ``now_s`` is set by the engine before it feeds anything. What
orchestrators and records call UTC is ``utc_at_start_s`` more.

The rhythm of an engine::

    checker.now_s = ...            # at every event of its queue
    checker.sent(...), checker.device_stored(...), checker.appended(...)   # as they happen
    checker.look()                 # after the step; raises Violated

Feeding never raises but through :meth:`Checker.look`, :meth:`Checker.must_be_well` and
:meth:`Checker.must_have_committed`: what is found is kept until then.
"""

from __future__ import annotations

from drone_sim.checker.checker import Checker, Violated
from drone_sim.checker.goals import GOALS, Goal, missing
from drone_sim.checker.words import Disturbance, Said

__all__ = ["GOALS", "Checker", "Disturbance", "Goal", "Said", "Violated", "missing"]
