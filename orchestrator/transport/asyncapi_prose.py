"""The words of the AsyncAPI document: how a device takes part, written for its author."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

PROTOCOL: Final = """\
How a device takes part in the atomic configuration of its fleet. A device written from this
document alone, in any language and with any MQTT 3.1.1 or 5 client, can do so.

Send and receive are said **from the device's point of view**. MUST, MUST NOT and MAY are those
of RFC 2119.

## What is promised, and what the device does for it

A configuration reaches every device of a fleet or none, and no two devices of a fleet *operate*
on different configurations at any instant. For that the orchestrator runs a two-phase commit, in
which the device is a participant. A device that cannot know which configuration is right
**holds**: it freezes its aim until it knows. Holding binds aiming, never flying: return,
landing, emergency stop and battery failsafe always win.

## The envelope

Every payload but a blob's is one JSON object in UTF-8:

    {"v": 1, "fleet": F, "kind": K, "body": {...}}

All members are required, none may be added, no key may be repeated, numbers are finite, integers
are below 2^53. `fleet` and `kind` equal those of the topic, and so do `device` and `txn` where
topic and body both have them. A message has at most 262144 bytes, a blob 2097152. What breaks a
rule is dropped without an answer. A message whose `v` is not 1 MUST be ignored.

Fleet, device and transaction ids match `[a-z0-9][a-z0-9._-]{0,62}`. A digest is `sha256:` and 64
lower-case hexadecimal digits, over the exact bytes. Times are in seconds: `*_at` and the
timeline are instants of the orchestrator's clock (Unix time), fields with `device` in their name
are readings of the device's own clock.

## Connecting

Clean session, keep-alive of some seconds, QoS 1 everywhere, a client id that is unique at the
broker. The last will is `presence` with `online: false`, retained; after connecting the device
publishes `presence` with `online: true`, retained. It subscribes to `fence`, `txn/+/prepare`,
`txn/+/decision` and `to/{its id}/+`, all below `aim/v1/{fleet}/`, and to the exact topic of a
blob when it needs one. After every loss it connects anew and subscribes again.

**Treat MQTT as lossy, repeating and reordering, whatever the QoS.** Every message may come
again, late, or never; a PUBACK is no receipt; a retained message is a cache; absence proves
nothing. So every message that a device awaits an answer to is sent again until the answer comes:
first after 0.2 s, then after twice as long each time, up to 5 s. An empty payload on a retained
topic means that it was cleared: ignore it.

## What a device keeps on disk

One record, replaced as a whole and made durable (fsync of file and directory) **before** the
message that speaks of it is sent:

| member | meaning |
|---|---|
| `max_epoch` | the highest epoch (incarnation, number) it has accepted; never decreases |
| `last_seq` | the highest transaction number that is over for it; never decreases |
| `version`, `digest`, `config` | `seq` that installed its configuration (0: none); digest; name |
| `prepared` | the transaction it said yes to and knows no decision of, and its PREPARE |
| `heuristic` | while prepared: the outcome that a person lets it operate on, see HEURISTIC |
| `pending` | `hold_at`, `activate_at` and the previous version of a configuration that waits |
| outcomes | the last 16 finished transactions: `txn`, `seq`, `outcome` |
| `known` | whether a HELLO was ever answered |

Epochs compare as (incarnation, number).

## HELLO and WELCOME: clock and permission

1. After every connection, and whenever it holds for want of confirmation, the device sends HELLO
   with its `state`, the id of this boot, a fresh `nonce` and t1 = `sent_at_device_s` from a
   monotonic clock. It sends it again, each time with a new nonce and a new t1, until answered.
   `nonce` and REPORT's `number` are one counter, which rises with each of them and starts again
   with each boot.
2. WELCOME answers it, with t2 = `received_at`, t3 = `sent_at`. It counts only if `boot` and
   `nonce` are those of the *last* HELLO, its `epoch` is not below `max_epoch`, and version,
   digest, `last_seq` and prepared transaction have not changed since. With t4, the device's
   clock when it arrived, the orchestrator's clock minus the device's lies in the interval [t3 -
   t4, t2 - t1] (RFC 5905 section 8). Keep the interval; widen it by 200 ppm of the time since;
   intersect it with later ones. Half its width is `clock_error_s`.
3. Make durable: `known`; `max_epoch` = `epoch`; and, if nothing is prepared, `last_seq` = the
   larger of its own and WELCOME's.
4. If `enable` is true, (`version`, `digest`, `last_seq`) equal the device's own, and its clock
   error is at most `clock_error_s`, it MAY operate, unless another reason to hold exists.
   Otherwise it goes on holding and saying HELLO; CATCH-UP comes if it is behind.

In `state` every member is told, also where it is null: `prepared_seq`, `prepared_plan` and
`prepared_digest` with `prepared`, `outcome_seq` with `outcome_txn`. Where the orchestrator's
store was lost, they are all that is left of what was promised.

**After a restart a device holds** until a WELCOME has allowed it to operate, and its clock
interval starts anew. It then also makes the active file follow its record before anything
operates.

## Enable leases

`lease_s` of the WELCOME that enables a device (step 4) says for how long it may operate on it.

1. Count it on your own monotonic clock, from when you **sent** the HELLO that was answered (t1),
   never from when the answer came: the lease ends at t1 + `lease_s`. An answer that comes later
   than that enables nothing.
2. Ask again: say HELLO at t1 + `lease_s` / 3, and as every HELLO again until answered. Each
   WELCOME that enables replaces the lease, also by a shorter one; any other leaves it as it is.
3. When it is over, hold, and go on saying HELLO; the next WELCOME that enables ends the hold. The
   hold comes in time whatever else the device does: no write and no message may delay it.
4. A restart forgets the lease: a device holds then in any case.
5. `null` means no limit, and ends the limit of an earlier WELCOME.
6. Tell in `leased` of every `state` whether a lease bounds how long you operate: only who has told
   so is counted on to stop by itself.

## Quarantine

`enable: false` permits nothing. A device that holds for want of confirmation goes on holding, and
saying HELLO, until a later WELCOME enables it; a lease that it has is not renewed. The
orchestrator answers so while a transaction is open that the HELLO did not show, and to a device
in quarantine: one that was not heard to have followed a decision when somebody ended the
transaction without it. What it obeys is not less for that: FENCE, DECISION, CATCH-UP. It leaves
the quarantine once its HELLO or REPORT shows the fleet's version, digest and `last_seq`. A device
that operates already MAY hold at once; it MUST NOT take such an answer for a permission.

## FENCE

Above `max_epoch`: make `max_epoch` = `epoch` durable, then answer with HELLO. Any other is not
obeyed, but answered with HELLO all the same: whoever sent it may only want to know who is there,
or must learn of a later epoch.

A higher **incarnation** says that the orchestrator's store was rolled back and begins anew from
what the devices tell. Obey and answer it in the same way; the HELLO tells what the device knows.
From then on refuse the decisions of older incarnations, also those of the transaction that is
prepared: the new incarnation decides it, and tells so in a DECISION of its own.

## PREPARE: fetch, check, stage, vote

Answer without any new check: for the transaction that is prepared already, the same yes; for
`seq` <= `last_seq`, a REPORT and no vote. Otherwise:

1. Subscribe to `txn/{txn}/blob/{hex of plan}`. It is retained, so it comes at once if it is
   there; if not, send WANT until it does. Verify SHA-256 of the payload against the topic.
2. The plan is a JSON object in canonical form (RFC 8785) with the members `schema` (1), `type`
   ("plan"), `fleet`, `config`, `base_version`, `bundle` (a digest), `devices` (an object: the
   ids of the devices by the digest of what they will run) and `excused` (ids). A device that
   stands under no digest is not a member: it says nothing. Otherwise the plan's `fleet`,
   `config` and `base_version` and its own digest fit the PREPARE, or it votes no.
3. Fetch its own configuration, the blob of its digest, in the same way.
4. Check everything; after a yes it can no longer refuse: `epoch` >= `max_epoch`; nothing
   prepared; no activation pending; `base_version` is its version; `known`; clock error at most
   the timeline's `clock_error_s`; `vote_by` not passed, counting its clock error; and that it
   can run the configuration: schema, hardware limits, flight state, battery, free space.
5. **Yes**: make the configuration's bytes durable, then the record with `prepared` and
   `max_epoch` = the larger of both epochs, then send VOTE with `yes: true`. **No**: send VOTE
   with `yes: false` and every reason (at most 16, of at most 300 characters). A no is not
   recorded and promises nothing. If `vote_by` passes before it is ready, it votes no.

**A device that said yes never decides alone**, neither way, at no time-out.

## The timeline of a yes

Until `hold_at` it operates its old version. At `hold_at`, knowing no decision, it holds and
sends ASK until it is told (the answer comes on `to/{device}/decision`). If its clock error
exceeds the timeline's `clock_error_s` before the activation, it holds from then on and says
HELLO.

## HEURISTIC: a person's word

The last resort, for a device that is in doubt and can't wait for the decision.

* Only while prepared for this very `txn`; otherwise ignore it. If `heuristic` is this `outcome`
  already: REPORT. Otherwise make `heuristic` = `outcome` durable, then REPORT. A later word for
  the same `txn` replaces it.
* Then operate as if the transaction had this outcome. **commit**: make the active file hold the
  staged configuration, and operate it as version `prepared_seq`. **abort**: operate the old one.
  The word ends every hold for what the device can't know (doubt, a restart, a late decision, a
  lease that is over), and no other: not one for an activation that fails.
* **Stay prepared.** `version`, `digest` and `last_seq` stay what they are; go on sending ASK. A
  restart does not end it: the record has the word.
* When DECISION comes, obey it as if there had been no word, whatever the word was, and forget
  `heuristic` in the same write. After `activate_at`, as it will be, hold until a WELCOME
  confirms; where the active file has the bytes of the other outcome, first make it follow.
* Tell it in `heuristic` of every `state` while it is there.

## DECISION

Valid at any epoch of the device's incarnation; one of an older incarnation than that of
`max_epoch` is ignored.

* It fits `prepared` (same `txn` and `plan`): obey. **commit**: make durable in one write: no
  longer prepared, no `heuristic`, the outcome, `last_seq` = max(`last_seq`, `seq`), `version` =
  `seq`, the new digest, and `pending`. **abort**: the outcome and `last_seq`, no longer prepared,
  no `heuristic`. Then REPORT.
* It is of the `txn` that is prepared, but of another `plan`: ignore it.
* `seq` <= `last_seq`: REPORT.
* abort of a transaction that it never prepared, `seq` > `last_seq`: make the outcome and
  `last_seq` durable all the same, then REPORT. A late PREPARE must find them.
* commit of one that it never prepared: it has missed a version. It holds and says HELLO.

## Activation

With `pending`: the old version operates until `hold_at`, nothing operates from then on, and at
`activate_at` the active file is replaced by rename, its directory made durable, the controller
told. Then `pending` is removed from the record, the new version operates, and REPORT tells it. A
device that learned of COMMIT only after `activate_at` activates too, but holds until a WELCOME
confirms it. A failed activation is held in, reported in `holds` and tried again; it is never
undone.

## CATCH-UP

The fleet's version, for a device that missed it. Ignore it below `max_epoch`, while prepared, or
for a `version` below its own; answer with REPORT if version and digest are its own. Otherwise
hold, fetch the blob of `digest` below `txn`, check it as above but for the timeline, stage it,
make version, digest, `last_seq` = max(`last_seq`, message's), `max_epoch` and `pending`
(activation at `activate_at`) durable, and REPORT. It operates once a WELCOME allows it.

## REPORT

Sent after each change of the durable state and when operation begins or ceases. `number` lets
the orchestrator ignore an older one that comes later.
"""

SUMMARIES: Final[Mapping[str, str]] = {
    "hello": "Here I am; answer with WELCOME. Also the acknowledgement of FENCE.",
    "vote": "The answer to PREPARE. A yes is durable before it is sent.",
    "report": "My durable state has changed, or I began or ceased to operate.",
    "ask": "What was decided for this transaction? Sent while in doubt.",
    "want": "Publish this blob again, it has not reached me.",
    "presence": "Connected or not: a hint for people. Retained, and the last will.",
    "fence": "Refuse everything below this epoch. Acknowledge with HELLO.",
    "welcome": "The answer to HELLO: the fleet's version, the clock, and whether to operate.",
    "prepare": "Fetch, verify, check, stage, and vote.",
    "decision": "What was decided: written once, valid at any epoch.",
    "catch-up": "Install the fleet's version, which you missed.",
    "heuristic": "A person lets you operate as if the transaction had this outcome.",
    "blob": "Immutable bytes under their digest: a plan, or a configuration.",
}

MEMBERS: Final[Mapping[str, str]] = {
    "v": "version of the envelope",
    "fleet": "the fleet's id, as in the topic",
    "kind": "the kind of message, as in the topic",
    "body": "the message",
    "incarnation": "raised only when the orchestrator's store was rolled back and reseeded",
    "number": "in an epoch: raised at every change of the lock's owner; in REPORT: the counter",
    "device": "the device's id, as in the topic",
    "boot": "an id that is new with each start of the device",
    "nonce": "new with each HELLO; WELCOME repeats it",
    "sent_at_device_s": "t1: the device's monotonic clock when HELLO was sent",
    "state": "what the device durably is, and what it does about it",
    "version": "seq of the transaction that installed the configuration; 0 for none",
    "digest": "digest of this device's configuration, or of the blob that is asked for",
    "last_seq": "the highest transaction number that is over",
    "max_epoch": "the highest epoch that was accepted",
    "epoch": "the fencing token under which this was sent",
    "prepared": "the transaction it is in doubt about",
    "pending": "whether the version still waits for its activation",
    "prepared_seq": "the number of that transaction; null without one",
    "prepared_plan": "the plan's digest in its PREPARE",
    "prepared_digest": "digest of the configuration that it staged for it",
    "outcome_txn": "the last transaction with a recorded outcome",
    "outcome_seq": "the number of that transaction; null without one",
    "heuristic": "the outcome that a person lets it operate on while it is prepared; else null",
    "leased": "whether a lease bounds how long it operates; a restart forgets it, and holds",
    "outcome": "commit or abort",
    "operating": "the version that the controller aims with now; null while holding",
    "holds": "why it holds, in words; empty while it operates",
    "clock_error_s": "bound of the clock's error: the device's own, or the one that it must keep",
    "staging_s": "how long the last durable write took",
    "activated_at": "when the version was activated, by the device's bounded clock",
    "hold_s": "how long it held for that transaction",
    "txn": "the transaction's id",
    "seq": "the transaction's number: it becomes the version",
    "plan": "digest of the plan blob",
    "yes": "whether the device is bound to the transaction now",
    "reasons": "why not, in words; empty with a yes",
    "online": "whether it is connected",
    "received_at": "t2: the orchestrator's clock when it received the HELLO",
    "sent_at": "t3: the orchestrator's clock when it sent this",
    "enable": "whether a device that equals version, digest and last_seq may operate",
    "lease_s": "how long it may operate, counted from when the HELLO was sent; null: no limit",
    "base_version": "the version that the plan was made for",
    "config": "the configuration's name: the name of the active file",
    "digests": "the distinct digests of the configurations",
    "timeline": "the transaction's instants",
    "vote_by": "votes later than this are of no use",
    "hold_at": "who knows no decision holds from here on; the old version ends here",
    "activate_at": "the new version begins here",
}
