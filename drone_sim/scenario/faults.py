"""The meaning of what goes wrong: store, broker, network, devices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from drone_sim.scenario.meaning import (
    DEVICE_REBOOT_S,
    LANDING_PERCENT,
    RESERVE_PERCENT,
    TIME_MAX_S,
    Amount,
    Meaning,
    Target,
)
from drone_sim.scenario.model import Verb

_DELAY: Final = Amount(what="added to each", unit="s", least=0.001, most=10)
_RATE: Final = Amount(what="share of them", unit="", least=0, most=1)
_WRITE: Final = Amount(what="the write, from 1", unit="", least=1, most=200, whole=True)
_HOW: Final = {"error": "with an I/O error", "space": "with no space left"}
_WAYS: Final = {"": "", "up": "on the way up", "down": "on the way down"}

STORE: Final[Mapping[Verb, Meaning]] = {
    Verb.STORE_AWAY: Meaning(
        says="Whoever reads, appends or renews is told that the store is unavailable and nothing"
        " is stored; an append that is on its way is stored or not (even chance), and its answer"
        " is lost.",
        phrase="the store is away[ for {for}]",
        lasts="how long it is away",
    ),
    Verb.STORE_SLOW: Meaning(
        says="Each append takes amount s longer before it is stored.",
        phrase="the store takes {amount} s longer[ for {for}]",
        lasts="how long it is slow",
        amount=_DELAY,
    ),
    Verb.STORE_LOSES_ANSWERS: Meaning(
        says="Of the appends this share is stored or not (even chance), and its answer is lost:"
        " outcome unknown. What is read back afterwards is true.",
        phrase="the store loses answers at rate {amount}[ for {for}]",
        lasts="how long it does so",
        amount=_RATE,
    ),
    Verb.STORE_RESTORED: Meaning(
        says="The store is restored from a backup that lacks the last amount records, never those"
        " of version 1, and whose lease rows are those of now for locks that it still has.",
        phrase="the store is restored without its last {amount} records",
        amount=Amount(what="records that are gone", unit="", least=1, most=20, whole=True),
        beyond=("I1", "I2", "I5", "I9"),
    ),
    Verb.STORE_LIES: Meaning(
        says="What is appended meanwhile is acknowledged, and gone at the end (its machine lost"
        " power then): as 'restored' without those records.",
        phrase="the store lies[ for {for}]",
        lasts="how long it lies",
        beyond=("I1", "I2", "I5", "I9"),
    ),
}

BROKER: Final[Mapping[Verb, Meaning]] = {
    Verb.BROKER_KILL: Meaning(
        says="The broker is killed: every connection breaks and messages under way are lost; when"
        " it is back everybody connects again, and with 'keeps' sessions, queues and retained"
        " messages are as they were, with 'forgets' they are gone.",
        phrase="the broker dies[ for {for}] and {word}",
        lasts="how long it is down",
        words={"forgets": "forgets", "keeps": "keeps its messages"},
    ),
    Verb.BROKER_FORGETS: Meaning(
        says="Retained and queued messages are gone, acknowledged or not; no connection breaks.",
        phrase="the broker forgets its messages",
    ),
    Verb.BROKER_SLOW: Meaning(
        says="Each message spends amount s more inside the broker; their order stays.",
        phrase="the broker takes {amount} s longer[ for {for}]",
        lasts="how long it is slow",
        amount=_DELAY,
    ),
    Verb.BROKER_DROPS: Meaning(
        says="The broker acknowledges to the sender and drops this share of the deliveries to each"
        " subscriber, as a full queue does; it retains what is to be retained.",
        phrase="the broker drops messages at rate {amount}[ for {for}]",
        lasts="how long it does so",
        amount=_RATE,
    ),
}

NETWORK: Final[Mapping[Verb, Meaning]] = {
    Verb.CUT: Meaning(
        says="Nothing passes between the target and the broker: nothing from it ('up'), nothing"
        " to it ('down'), or both. What is under way is lost, what is sent meanwhile too; nobody"
        " notices a broken connection before its keep-alive has run out.",
        phrase="cut {target} from the broker[ {word}][ for {for}]",
        target=Target.PARTIES,
        lasts="how long it is cut off",
        words=_WAYS,
    ),
    Verb.CLOG: Meaning(
        says="What passes between the target and the broker (from it: 'up', to it: 'down') waits;"
        " at the end all of it comes at once, in order, and nothing is lost.",
        phrase="clog {target}[ {word}][ for {for}]",
        target=Target.PARTIES,
        lasts="how long it is clogged",
        words=_WAYS,
    ),
    Verb.LOSSY: Meaning(
        says="This share of the messages between target and broker, each way, is lost, comes"
        " twice ('repeats'), or comes up to 1 s late and so out of order ('delays'): on top of"
        " what the link does anyway.",
        phrase="the links of {target} {word} at rate {amount}[ for {for}]",
        target=Target.PARTIES,
        lasts="how long they do so",
        amount=_RATE,
        words={"loses": "lose messages", "repeats": "repeat messages", "delays": "delay messages"},
    ),
    Verb.REPLAY: Meaning(
        says="The last amount messages of that kind that reached each target (votes and hellos:"
        " that it sent) arrive once more, oldest first, from whatever time they are.",
        phrase="replay the last {amount} {word} of {target}",
        target=Target.DEVICES,
        amount=Amount(what="messages for each target", unit="", least=1, most=50, whole=True),
        words={
            "": "messages",
            "prepare": "prepares",
            "decision": "decisions",
            "catch-up": "catch-ups",
            "fence": "fences",
            "welcome": "welcomes",
            "vote": "votes",
            "hello": "hellos",
        },
    ),
    Verb.TAKE_OVER_CLIENT: Meaning(
        says="Somebody else connects with the target's client id and leaves at once: the broker"
        " breaks the target's connection, its last will is sent, it connects again.",
        phrase="somebody takes the client id of {target}",
        target=Target.PARTIES,
    ),
}

DEVICES: Final[Mapping[Verb, Meaning]] = {
    Verb.CRASH: Meaning(
        says="'power': the device is off and keeps what was synced (of the rest a part, by"
        " chance); 'kill': its agent is killed -9, and the next one finds all that was written,"
        " which is no more durable for that. It starts again at the end (not said:"
        f" {DEVICE_REBOOT_S:g} s later).",
        phrase="{target} {word}[ for {for}]",
        target=Target.DEVICES,
        lasts=f"how long it is down; not said: {DEVICE_REBOOT_S:g} s",
        words={"power": "lose{s} power", "kill": "{is} killed"},
    ),
    Verb.CRASH_AT_WRITE: Meaning(
        says="The device loses power ('kill': its agent is killed -9, see 'crash') just before the"
        " amount-th change to its disk that comes after this act (counted from 1; cores: the"
        " amount-th write of a step), and is down for for_s.",
        phrase="{target} {word} at write {amount}[ for {for}]",
        target=Target.DEVICES,
        lasts=f"how long it is down; not said: {DEVICE_REBOOT_S:g} s",
        amount=_WRITE,
        words={"power": "lose{s} power", "kill": "{is} killed"},
    ),
    Verb.REPLACE: Meaning(
        says="Another unit of the same id and kind, with an empty disk, stands in its place at"
        " once and starts.",
        phrase="{target} {is} replaced",
        target=Target.SOME_DEVICES,
    ),
    Verb.SUSPEND: Meaning(
        says="The computer of the device stands still, its aim too: it operates nothing meanwhile,"
        " its clocks go on, what is sent to it waits. At the end it goes on as if no time had"
        " passed, with what is overdue first: a hold that was due holds before anything operates.",
        phrase="{target} freeze{s}[ for {for}]",
        target=Target.DEVICES,
        lasts="how long it stands still",
    ),
    Verb.DISK_FULL: Meaning(
        says="Nothing new can be staged: every write of a configuration fails with 'no space', and"
        " the checks see no free space. The participant record can still be written.",
        phrase="the disk of {target} {is} full[ for {for}]",
        target=Target.DEVICES,
        lasts="how long it is full",
    ),
    Verb.DISK_FAILS: Meaning(
        says="Every change to the disk fails: creating, writing, syncing, renaming, removing. What"
        " a failed sync has not made durable no later one does, only writing it anew. An agent"
        f" that can't start for it is started again every {DEVICE_REBOOT_S:g} s.",
        phrase="the disk of {target} fails[ {word}][ for {for}]",
        target=Target.DEVICES,
        lasts="how long it fails",
        words=_HOW,
    ),
    Verb.FAIL_AT_WRITE: Meaning(
        says="The amount-th change to the disk that comes after this act fails, and that one only"
        " (counted from 1; cores: the amount-th write of a step), as with 'disk-fails'.",
        phrase="the disk of {target} fails at write {amount}[ {word}]",
        target=Target.DEVICES,
        amount=_WRITE,
        words=_HOW,
    ),
    Verb.DISK_SLOW: Meaning(
        says="Each durable write of the device takes amount s longer.",
        phrase="the disk of {target} takes {amount} s longer[ for {for}]",
        target=Target.DEVICES,
        lasts="how long it is slow",
        amount=Amount(what="added to each write", unit="s", least=0.001, most=10),
    ),
    Verb.DISK_LIES: Meaning(
        says="Syncs return and make nothing durable; at the end the device loses power for"
        f" {DEVICE_REBOOT_S:g} s, and finds of all that was written meanwhile nothing.",
        phrase="the disk of {target} lies[ for {for}]",
        target=Target.DEVICES,
        lasts="how long it lies",
        beyond=("I1", "I2", "I3", "I5", "I10", "I11"),
    ),
    Verb.DAMAGE: Meaning(
        says="The device loses power, and worn flash has changed bytes of its active configuration"
        " file when it starts again: it must notice and write it anew before it operates.",
        phrase="the flash of {target} {is} damaged[ for {for}]",
        target=Target.SOME_DEVICES,
        lasts=f"how long it is down; not said: {DEVICE_REBOOT_S:g} s",
    ),
    Verb.CLOCK_STEP: Meaning(
        says="The target's wall clock (of a process: of its machine) jumps by amount s, forward if"
        " positive, and jumps back at the end; its monotonic clock does not.",
        phrase="the clock of {target} jumps by {amount} s[ for {for}]",
        target=Target.PARTIES,
        lasts="how long it is wrong",
        amount=Amount(what="the jump", unit="s", least=-TIME_MAX_S, most=TIME_MAX_S),
        beyond=("I5",),
    ),
    Verb.CLOCK_DRIFT: Meaning(
        says="The target's wall clock (of a process: of its machine) runs amount ppm too fast; at"
        " the end it is set right again.",
        phrase="the clock of {target} drifts by {amount} ppm[ for {for}]",
        target=Target.PARTIES,
        lasts="how long it drifts",
        amount=Amount(what="too fast", unit="ppm", least=-500_000, most=1_000_000),
        beyond=("I5",),
    ),
    Verb.LOW_BATTERY: Meaning(
        says="The battery reads amount percent (at the end: what it read before): below"
        f" {RESERVE_PERCENT:g} the device votes no on every configuration, below"
        f" {LANDING_PERCENT:g} a drone lands by itself, which no hold keeps from doing so, and"
        " holds its aim meanwhile as always; at 0 it loses power.",
        phrase="the battery of {target} falls to {amount} %[ for {for}]",
        target=Target.DEVICES,
        lasts="how long it is low",
        amount=Amount(what="charge", unit="%", least=0, most=100),
    ),
    Verb.REFUSE: Meaning(
        says="Its own checks say no to every configuration, for this reason.",
        phrase="{target} refuse{s}[ for {for}][ because {word}]",
        target=Target.DEVICES,
        lasts="how long it says no",
        free_word=True,
    ),
    Verb.HOOK_FAILS: Meaning(
        says="The controller does not obey an activation: the file is written, the hook fails, the"
        " device holds and tries again. 'half-way': the hook of every event is killed, by chance"
        " before the controller has heard of it or after it has obeyed, but of a hold always"
        " after it; half of them come through.",
        phrase="the controller of {target} fails[ {word}][ for {for}]",
        target=Target.DEVICES,
        lasts="how long it fails",
        words={"": "", "half-way": "half-way"},
    ),
}
