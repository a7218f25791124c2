"""
Pure cores in a world of values: no event loop, no codec, no file; for breadth.

Theory of operation
===================
Two worlds of the same parts stand here. The one is driven by hand: :class:`.minifleet.Fleet` and
:class:`.yard.Yard`, where everything that travels lies in one bag until somebody delivers it. The
other, :mod:`.engine`, plays a scenario by itself: an event queue of (true time, number), links
that delay, lose and repeat by streams of chance, processes and devices that run each core as
:class:`orchestrator.driver.Driver` does (:mod:`.executor`), and a checker that is told the truth.

The files build on each other, one class on the one before:

===========================  ====================================================================
``rules``                    the product's classes and rules, looked up when used: mutants replace
                             them
``ground``                   journal, disks, the bag of messages; on it stand ``orchestrators``,
                             ``minifleet`` and ``yard``
``town``                     the queue of events, the points to crash at
``wires``, ``lines``         the links, and the broker between devices and orchestrators
``shelf``                    the store: appends that take time, get lost, or are forgotten
``observed``                 the truth about devices, as the checker is told it
``disks``, ``battery``       what a device's writes and its charge come to
``units``                    devices: checks, activation, boot and crash
``sessions``                 coordinators with their heartbeat and their eye on the journal
``jobs``, ``kernel``         processes, what is seen of them, and commands as generators
``resolvers``, ``people``    what each verb on purpose does, and the server
``acts``                     what takes place, and for how long; ``storms`` and ``mishaps`` have
                             the faults
``engine``                   the phases of a run
===========================  ====================================================================

Assumed of a store that is restored under living processes: whoever has folded what is gone notices
it at its next look at the journal (its last entry is another one, or is not there), and stops.
"""
