"""What each invariant says, in words for whoever finds it broken; the list is DESIGN's §8."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

INVARIANTS: Final[Mapping[str, str]] = {
    "I1": "no transaction has one device committed and another aborted",
    "I2": "a decision, in the journal or on a device, never changes",
    "I3": "COMMIT only if every member has durably voted yes",
    "I4": "without faults, with every vote yes and in time, a push commits",
    "I5": "no two operating devices run different versions at the same time",
    "I6": "once faults stop, every transaction ends and every lock is free or held again, in time",
    "I7": "at most one decision per transaction",
    "I8": "a decision is written under the lock's present epoch",
    "I9": "the lock's epoch only rises",
    "I10": "no device acts on a PREPARE of an epoch below its own",
    "I11": "nothing old is replayed: no PREPARE of an old sequence number, no older version",
    "I12": "a device is prepared for one transaction at most",
    "I13": "nothing is said before what it depends on is on disk",
    "I14": "two holders never both write under the lock",
    "I15": "the lock is not free while its transaction is open",
    "I16": "a forced unlock stops the old holder and leaves the fleet uniform",
    "I17": "no outcome is told before it is stored",
    "I18": "a message that comes twice, or late, changes nothing",
    "I19": "whatever clocks do, only I5 may suffer, and it is noticed",
    "I20": "no lock is taken over before its time to live and its grace are over",
    "I21": "a heartbeat changes nothing unless owner and epoch match",
    "I22": "every lock that is not free names its owner",
    "I23": "every change of the lock has its audit record",
    "I24": "a decision whose answer was lost is read before it is told",
    "I25": "a device that missed versions is not enabled before it is the fleet's again",
    "I26": "who waits for the lock is served first in, first out",
    "I27": "a configuration file is entirely the old one or entirely the new one",
    "I28": "nobody holds for longer than the budget of the fault that caused it",
    "I29": "what is said of a device is true at the time that is stated, or 'unknown'",
    "I30": "no new version starts to aim in an unsafe phase of flight",
    "X": "the programs themselves do not break",
}
