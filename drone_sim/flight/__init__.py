"""
The vehicles of a simulated fleet, which fly, carry and work while their gimbals aim.

Theory of operation
===================
A *body* (:mod:`.body`; :mod:`.drone`, :mod:`.arm`, :mod:`.node`) is where a device is and what it
is about: its phase, how its base sways, what there is to look at, what holding costs it. A
:class:`.vehicle.Vehicle` is a body with a gimbal that a configuration points, and the only thing
that others speak to: they configure it, hold it and let it go on, and ask for its flight state
(what a vote looks at) and its health.

A :class:`.squadron.Squadron` lets time pass for many vehicles at once, in steps of 50 ms. In each
step the bodies move, the reference of each axis goes towards what it looks at with the rate and
acceleration that the configuration allows, and all axes together are integrated, sample by
sample, by the physics that votes are judged by (:mod:`orchestrator.aim.rig`): one call for all
vehicles, since what a sample costs hardly depends on how many axes there are.

Everything is a value of the seed and of the time that is passed in: no clock, no thread.
:mod:`.device` puts a vehicle behind the port of a real agent, :mod:`.fleet` lets those of
``drone-sim fleet --fly`` pass real time, :mod:`.withheld` plays a push whose decision is withheld
(``python -m drone_sim.flight``).
"""
