"""
Whether an axis of a gimbal will fly: the physics behind a vote. Pure; numpy is used here alone.

Theory of operation
===================
One axis is a camera that turns with a motor (:mod:`.plant`) under a cascade (:mod:`.loop`): a
trapezoidal motion profile, an angle loop (P) with the profile's rate fed forward, a rate loop
(PI and D) on the filtered gyro. The controller is digital, so everything linear is made exact for
its sample instants (:mod:`.sampled`): the plant by its zero-order-hold equivalent, the filters as
the biquads that autopilots run (:mod:`.filters`), the dead time in whole samples. From there two
ways lead to a verdict, and a configuration must pass both:

- *frequency* (:mod:`.margins`): poles of the closed loop, then margins and the sensitivity peak
  of the open loop, cut where the torque command leaves the controller;
- *time* (:mod:`.rig`, :mod:`.experiments`, :mod:`.measures`): a step, a load and a moving base,
  with what is not linear: torque clamp, integrator clamp, Coulomb friction.

:mod:`.judge` does both for every axis and every inertia of :class:`.criteria.Criteria` at once:
each is a *lane*, and numpy steps all lanes together. :mod:`.simulate` and :mod:`.portrait` show
one lane to whoever wants to see it. README.md beside this has the theory, with figures.

``plant``, ``loop``, ``criteria`` and ``filters`` need no numpy; the others load it. Whoever must
start quickly imports ``judge`` where it is called.
"""
