"""
Plays many scenarios: seeds over all cores, crash points, shrinking, and the figures of it all.

Theory of operation
===================
A :class:`~.runs.Case` says all that one run depends on, and pickles; :func:`~.runs.play` plays it
in whatever process it is. :class:`~.pool.Pool` plays many, and hands their outcomes back in the
order of the cases however many processes there are, so that everything which is derived from
them, the sums of :class:`~.figures.Tally` and the first violation, is the same on every machine.
Where an invariant does not hold, :func:`~.shrink.shrink` looks for a smaller scenario in which
the same one does not hold, and :mod:`.traces` keeps it in a file that can be replayed.
"""
