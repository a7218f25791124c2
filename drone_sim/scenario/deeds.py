"""The meaning of what people and programs do on purpose, and of what happens to processes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from drone_sim.scenario.meaning import Amount, Meaning, Target, Who
from drone_sim.scenario.model import Verb

ON_PURPOSE: Final[Mapping[Verb, Meaning]] = {
    Verb.PUSH: Meaning(
        says="A new process pushes bytes that no push had before ('back': those of version 1) to"
        " every device that is not retired or left out, on the version that it finds; it waits"
        " in line for the lock for for_s (not said: it ends HOT at once), asks for ABORT when it"
        " has no decision after amount s (0: never), and, with 'detach', does not wait for"
        " stragglers after the decision.",
        phrase="{who} pushes[ {word}][ without {target}][ giving up after {amount} s]"
        "[ waiting {for}]",
        who=Who.NEW,
        target=Target.LEFT_OUT,
        lasts="how long it waits in line; not said: not at all",
        amount=Amount(what="its --timeout", unit="s", least=0, most=600, default=0),
        words={"": "", "detach": "and detaches", "back": "version 1 again"},
        fault=False,
    ),
    Verb.FORCE_UNLOCK: Meaning(
        says="A new process reads the lock and forces exactly that epoch (`lock force-unlock`):"
        " it resolves and drives to the end; nothing where the lock is free.",
        phrase="{who} force-unlocks",
        who=Who.NEW,
        fault=False,
    ),
    Verb.RECOVER: Meaning(
        says="A new process runs `recover`: it resolves the lock if its owner is provably gone"
        " or silent past TTL and grace, and else answers devices that wait for a decision for as"
        " long as `recover` does.",
        phrase="{who} recovers",
        who=Who.NEW,
        fault=False,
    ),
    Verb.BREAK_GLASS: Meaning(
        says="A new process reads the lock and breaks the glass on exactly that epoch: RESOLVING,"
        " ABORT if undecided, and the end that quarantines every unresolved member; nothing where"
        " the lock is free.",
        phrase="{who} breaks the glass",
        who=Who.NEW,
        fault=False,
    ),
    Verb.REQUEST_RELEASE: Meaning(
        says="A new process asks the living holder of the lock to finish or abort, and waits for"
        " its answer; nothing where the lock is free.",
        phrase="{who} asks for the lock[ for {for}]",
        who=Who.NEW,
        lasts="how long it waits for the answer; not said: 10 s",
        fault=False,
    ),
    Verb.ABORT: Meaning(
        says="A new process runs `abort` on the open txn: one AbortRequested, which the living"
        " owner obeys; nothing where no undecided txn is open.",
        phrase="{who} aborts",
        who=Who.NEW,
        fault=False,
    ),
    Verb.RESEED: Meaning(
        says="A new process hears the devices and, if any contradicts the journal, reseeds the"
        " fleet; else nothing.",
        phrase="{who} reseeds",
        who=Who.NEW,
        fault=False,
    ),
    Verb.SERVE: Meaning(
        says="A new process runs `serve`: answers devices, issues enable leases where the pace has"
        " them, resolves the locks of ghosts; its start is a restart of the lock manager. At its"
        " end it is asked to stop (SIGTERM), not killed.",
        phrase="{who} serves[ for {for}]",
        who=Who.NEW,
        lasts="how long it serves",
        fault=False,
    ),
    Verb.HOLD_LOCK: Meaning(
        says="A new process takes the free lock by hand (`lock run`) and keeps it alive, with no"
        " transaction; at its end, or when it is asked for the lock, it gives it back. A lock that"
        " is not free is not waited for.",
        phrase="{who} holds the lock[ for {for}]",
        who=Who.NEW,
        lasts="how long it holds the lock",
        fault=False,
    ),
    Verb.RETIRE: Meaning(
        says="A new process writes that the devices are out of the fleet for good; one that is a"
        " member of the open txn is passed over. A retired device plays on, but nobody waits for"
        " it.",
        phrase="{who} retires {target}",
        who=Who.NEW,
        target=Target.SOME_DEVICES,
        fault=False,
    ),
    Verb.DECIDE: Meaning(
        says="A new process writes a person's word (`devices decide`) for each device that is"
        " prepared for an undecided txn, and tells it: it operates as if that had been decided.",
        phrase="{who} decides {word} for {target}",
        who=Who.NEW,
        target=Target.SOME_DEVICES,
        words={"commit": "commit", "abort": "abort"},
        fault=False,
        beyond=("I5",),
    ),
}

PROCESSES: Final[Mapping[Verb, Meaning]] = {
    Verb.KILL: Meaning(
        says="kill -9: nothing of the process runs any more; an append that is on its way to the"
        " store may still land (even chance), a message that was handed over still travels.",
        phrase="kill {who}",
        who=Who.RUNNING,
    ),
    Verb.PAUSE: Meaning(
        says="SIGSTOP, and SIGCONT at the end: it does nothing meanwhile, its append that is on"
        " its way lands or not, its connection stays and what is sent to it waits; then it goes on"
        " as if no time had passed.",
        phrase="pause {who}[ for {for}]",
        who=Who.RUNNING,
        lasts="how long it is stopped",
    ),
    Verb.REUSE_PID: Meaning(
        says="kill -9, and at once another program of the same machine has its pid (with start"
        " ticks of its own).",
        phrase="kill {who} and reuse its pid",
        who=Who.RUNNING,
    ),
    Verb.POWER_CUT: Meaning(
        says="The machine of that process loses power and is back at once with another boot id:"
        " all its processes are killed.",
        phrase="cut the power of {who}",
        who=Who.RUNNING,
    ),
}
