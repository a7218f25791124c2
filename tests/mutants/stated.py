"""
In how many seeds each mutant is caught here, and from which seed on.

The seeds are those of the swarm as it is: whoever changes what a seed draws, or what a core does,
measures them anew by ``python -m drone_sim.mutants``. Most are caught within the first seeds; a
rare one is looked for where it is known to show, so that the tests stay quick. How many seeds it
takes on average, from several first ones, is in the README.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Stated(NamedTuple):
    """Caught within so many seeds, from ``first`` on."""

    first: int
    within: int


STATED: Final[dict[str, Stated]] = {
    "no-epoch-check": Stated(1, 100),
    "no-last-seq": Stated(1, 100),
    "stale-order": Stated(1, 100),
    "votes-first": Stated(1, 100),
    "changes-its-mind": Stated(1, 100),
    "votes-on-the-past": Stated(1, 100),
    "votes-as-a-stranger": Stated(401, 25),
    "prepares-while-pending": Stated(1, 100),
    "ignores-the-base": Stated(231, 22),
    "aborts-alone": Stated(1, 100),
    "commits-alone": Stated(1, 100),
    "word-ends-the-doubt": Stated(51, 30),
    "believes-any-decision": Stated(1, 100),
    "needs-its-epoch": Stated(1, 100),
    "forgets-its-yes": Stated(41, 26),
    "forgets-its-activation": Stated(1, 100),
    "aborts-in-memory": Stated(1, 100),
    "activates-at-once": Stated(1, 100),
    "catches-up-at-once": Stated(1, 100),
    "reverts-alone": Stated(1, 100),
    "obeys-any-catch-up": Stated(1, 100),
    "same-bytes-will-do": Stated(1, 114),
    "ignores-the-pending": Stated(1, 100),
    "never-holds": Stated(1, 108),
    "late-is-fine": Stated(1, 100),
    "boots-confirmed": Stated(1, 100),
    "enabled-is-enabled": Stated(1, 100),
    "lease-from-receipt": Stated(1, 100),
    "outlives-its-lease": Stated(1, 100),
    "fence-in-memory": Stated(1, 100),
    "forgets-its-epoch": Stated(1, 100),
    "takes-the-time-as-told": Stated(1, 100),
    "asks-first": Stated(1, 100),
    "tells-first": Stated(1, 100),
    "presumes-abort": Stated(1, 100),
    "commits-on-majority": Stated(1, 100),
    "commits-over-a-no": Stated(1, 100),
    "counts-any-vote": Stated(132, 30),
    "believes-its-commit": Stated(221, 30),
    "aborts-without-store": Stated(1, 100),
    "takes-its-commit-back": Stated(1, 100),
    "never-fenced": Stated(1, 100),
    "commits-when-asked-to-release": Stated(1, 100),
    "ignores-the-horizon": Stated(1, 100),
    "begins-without-a-pause": Stated(1, 100),
    "aborts-in-silence": Stated(1, 100),
    "defers-nobody": Stated(1, 100),
    "releases-while-open": Stated(1, 100),
    "keeps-the-lock": Stated(1, 100),
    "absence-is-abort": Stated(1, 100),
    "answers-only-the-last": Stated(1, 100),
    "counts-the-unprepared": Stated(1, 100),
    "enables-members": Stated(1, 100),
    "enables-on-the-old": Stated(1, 100),
    "enables-the-quarantined": Stated(41, 26),
    "enables-the-retired": Stated(1, 100),
    "enables-in-a-reseed": Stated(1, 100),
    "leases-beyond-the-horizon": Stated(1, 100),
    "aborts-unheard": Stated(151, 25),
    "trusts-the-backup": Stated(71, 28),
    "counts-on-after-a-reseed": Stated(1, 100),
    "believes-the-backup": Stated(1, 100),
    "deletes-the-lock": Stated(1, 100),
    "keeps-the-epoch": Stated(1, 100),
    "closes-the-books": Stated(1, 100),
    "refuses-while-busy": Stated(1, 100),
    "forgets-to-quarantine": Stated(62, 30),
    "frees-while-open": Stated(41, 25),
    "grants-past-the-queue": Stated(1, 100),
    "releases-for-anybody": Stated(521, 24),
    "queues-the-dead": Stated(1, 100),
    "takes-over-without-grace": Stated(1, 100),
    "never-expires": Stated(1, 100),
    "append-without-comparing": Stated(1, 100),
    "heartbeat-of-anybody": Stated(21, 23),
    "restart-without-a-ttl": Stated(1, 100),
    "looks-for-pids-here": Stated(1, 100),
    "appends-again": Stated(1, 100),
    "appends-hopefully": Stated(1, 100),
    "answers-without-reading": Stated(1, 100),
    "writes-without-sync": Stated(1, 100),
    "forgets-the-directory": Stated(1, 100),
    "writes-in-place": Stated(221, 30),
}
