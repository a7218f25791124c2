"""
The cost of a push, beside the floor of its own messages: ``python -m drone_sim.benchmark``.

Theory of operation
===================
For each size of fleet one Mosquitto is started with the settings that the product ships, and on
it, turn by turn, two things happen:

- *the product*: ``aimctl push`` in a process of its own, to simulated devices (real agents, real
  files, real fsync) in processes of their own;
- *the floor*: the same messages, of the sizes that the push was seen to send, to the same
  topics, in the same order, between clients that do nothing else: they check, store and decide
  nothing. Whatever the product takes beyond it is its own.

What is waited for by design is not a cost and is shown apart: a push activates at an instant
that PREPARE has named, however early the votes were in. The window is made long here, so that
every push commits; it changes that waiting alone.

How many messages there were is counted three times: by the devices, by kind; by the broker
(``$SYS``), for both; and the pattern of an undisturbed push says how many there should be. A push
that aborts, or that leaves a device behind, is an error and no measurement.
"""
