/*
 * The protocol as a second, independent model: one journal, N devices, and everybody who writes to
 * the journal or talks to the devices. `spin` explores every interleaving of it.
 *
 * Theory of operation
 * ===================
 * Names are the code's: Phase of orchestrator/protocol/phases.py, Phase of participant.py, Holding
 * of device.py, LockState of records.py, Outcome of types.py. A step of the model is one durable
 * write, one sending, one arrival or one fault, so a crash may come between any two of them.
 *
 * The journal is its fold (as in protocol/fold.py) and, for each orchestrator, whether something
 * was appended since it last read (`stale`): an append of somebody who is stale conflicts, is read
 * again, and tried anew or given up. Nothing else tells an orchestrator that it has lost the lock:
 * one that was paused goes on with what it last read (a zombie), by being scheduled late.
 *
 * The network is the set of messages that were ever sent. An arrival does not take a message out,
 * so each is delayed, reordered, repeated and replayed at will, or never arrives. Where LOSSES
 * are allowed a message is also taken out, so that somebody has to send it again.
 *
 * rules.pml has the rules that mutants take out, and what is done to have fewer states; checks.pml
 * the properties. README.md has the figures, and what is left out.
 */

/* --- the scope: what there is, and what may go wrong ---------------------------------------- */

#ifndef N
#define N 2 /* devices: 2 or 3 */
#endif
#ifndef PUSHES
#define PUSHES 2 /* transactions, at most: each push begins one */
#endif
#ifndef FAULTS
#define FAULTS 9 /* how many of the faults that follow, in all */
#endif
#ifndef FORCES
#define FORCES 1 /* a person takes the lock, at any point, whoever holds it: by force-unlock, */
#endif
#ifndef GLASS
#define GLASS 1 /* or by break-glass */
#endif
#ifndef CRASHES
#define CRASHES 1 /* orchestrators that end in the middle, or stop because they can't renew */
#endif
#ifndef RESTARTS
#define RESTARTS 1 /* power cuts of devices */
#endif
#ifndef LOST
#define LOST 1 /* answers of C2 that are lost: it is not stored, or it is stored later */
#endif
#ifndef LOSSES
#define LOSSES 1 /* messages taken out of the network */
#endif
#ifndef EXCUSES
#define EXCUSES 1 /* transactions that leave the last device out */
#endif
#ifndef EXPIRIES
#define EXPIRIES 1 /* leases that run out while their owner lives */
#endif
#ifndef ASKS
#define ASKS 1 /* a person asks the holder to release: it aborts what is not decided, and does */
#endif
/* Not counted: pauses, delays, repetition, reordering, and */
#ifndef REFUSALS
#define REFUSALS 1 /* whether a device may say no for a reason of its own */
#endif
#ifndef TIMEOUTS
#define TIMEOUTS 1 /* whether join_s, vote_by and settle_s may pass before the last answer */
#endif
#ifndef LATES
#define LATES 1 /* whether a doubt may last past activate_at */
#endif

/* --- how fine the steps are ----------------------------------------------------------------- */

#ifndef CONFIRMS
#define CONFIRMS 1 /* whether a device that may not know the fleet's version holds until it does */
#endif
#ifndef STAGES
#define STAGES 1 /* whether a PREPARE is taken up and answered in two steps */
#endif
#ifndef LOOKS
#define LOOKS 1 /* whether the person reads the journal and appends to it in two steps */
#endif
#ifndef ZOMBIES
#define ZOMBIES 1 /* whether who lost the lock, and has nothing to send, goes on until it reads */
#endif
#ifndef TICKS
#define TICKS 0 /* whether time passes: weak fairness looks at endless runs alone */
#endif
#ifndef RAW
#define RAW 0 /* whether states that nobody could tell apart are kept apart */
#endif

#define TXNS 2              /* a transaction is its sequence number, from 1 */
#define FORCER PUSHES       /* the person who forces the lock */
#define SERVER (PUSHES + 1) /* `aimctl serve`: recovers from ghosts; never ends for good */
#define WRITERS (PUSHES + 2)
#define NOBODY WRITERS
#define BIT(n) (1 << (n))
#define EVERYBODY (BIT(N) - 1)
#define HAS(set, n) ((set) & BIT(n))
#define MAX(a, b) ((a) > (b) -> (a) : (b))
#if N == 2
#define EACH(p) (p(0) && p(1))
#define SOME(p) (p(0) || p(1))
#else
#define EACH(p) (p(0) && p(1) && p(2))
#define SOME(p) (p(0) || p(1) || p(2))
#endif

/* Left out of Phase: ADOPTING, UNHEARD (a reseed). */
mtype:Phase = {JOINING, PREPARING, DRIVING, RELEASING, SETTLING, DONE, FENCED, UNKNOWN, STOPPED}
mtype:DevicePhase = {IDLE, STAGING, PREPARED, COMMITTED}
/* Left out of Holding: NEW (a new unit); REBORN (a reseed); DOUBT, ACTIVATING (DevicePhase says it,
   without clocks); LEASE, CLOCK (clocks); FAILED, DISOBEYED (the controller). */
mtype:Holding = {RESTARTED, LATE, BEHIND}
mtype:LockState = {FREE, HELD, RESOLVING}
mtype:Outcome = {COMMIT, ABORT}

/* --- the journal: its fold ------------------------------------------------------------------ */

mtype:LockState lock = FREE;
byte epoch;
byte owner = NOBODY;
byte open;                     /* the transaction that has begun and not ended; 0: none */
byte last_seq;
byte version;                  /* 0: what the fleet operates when the story begins */
byte begun_epoch[TXNS + 1];
byte base_version[TXNS + 1];
byte members[TXNS + 1];        /* a set of devices */
mtype:Outcome outcome[TXNS + 1];
byte deferred[TXNS + 1];       /* a set: who had not acknowledged it when it ended */
byte quarantined;              /* a set */

/* --- the network ---------------------------------------------------------------------------- */

byte prepares;                 /* sets of transactions: PREPARE, and DECISION */
byte commits;
byte aborts;
byte fence;                    /* the epoch of the newest FENCE: an older one refuses less */
byte caught_up[TXNS + 1];      /* the epoch of the newest CATCH-UP to this version; 0: none */
byte caught_up_seq[TXNS + 1];  /* and the last_seq in it */
byte yes[TXNS + 1];            /* sets of devices: votes, */
byte no[TXNS + 1];
byte told[TXNS + 1];           /* and reports that the decision of the open one is followed */

/* --- the devices ---------------------------------------------------------------------------- */

/* durable */
byte max_epoch[N];
byte seq[N];                   /* its last_seq */
byte runs[N];                  /* its version */
byte prepared[N];              /* the transaction that it has promised itself to; 0: none */
bool pending[N];               /* whether its version still waits for the activation */
/* volatile */
byte order[N];                 /* the PREPARE at hand, or CATCH_UP + version; 0: none */
bool say[N];                   /* whether what it has stored is still to be said */
mtype:Holding unconfirmed[N];
/* what nobody knows, for the checks: the highest that was ever stored, what no decision has
   released it from, and whether any device has recorded that outcome */
byte ever_epoch[N];
byte ever_seq[N];
byte ever_runs[N];
byte bound[N];
bool committed[TXNS + 1];
bool aborted[TXNS + 1];

#define CATCH_UP 16

/* --- who writes to the journal -------------------------------------------------------------- */

mtype:Phase phase[WRITERS];
byte mine[WRITERS];            /* the epoch that it believes to hold */
byte work[WRITERS];            /* the transaction that it works on */
byte stale;                    /* a set: who has not read the latest append */
byte unsure;                   /* a set: who has lost the answer of its C2 */
byte adrift;                   /* the transaction whose COMMIT may still be stored; 0: none */
bool looked;                   /* whether the person has read what is to be forced */
bool fresh;                    /* whether the lock's lease was renewed within its TTL */

/* --- the faults that are left --------------------------------------------------------------- */

byte faults = FAULTS;
byte forces = FORCES;
byte crashes = CRASHES;
byte restarts = RESTARTS;
byte lost = LOST;
byte losses = LOSSES;
byte excuses = EXCUSES;
byte expiries = EXPIRIES;
byte asks = ASKS;

#define LEFT(kind) (faults && kind)

inline spend(kind) {
  kind--;
  faults--
}

hidden byte i; /* for loops within one step: of no meaning between two */

#include "rules.pml"
#include "checks.pml"
#include "device.pml"
#include "journal.pml"
#include "orchestrator.pml"
#include "world.pml"

init {
  atomic {
    phase[SERVER] = SETTLING;
    i = 0;
    do
    :: i < N -> run device(i); i++
    :: else -> break
    od;
    i = 0;
    do
    :: i < WRITERS -> run orchestrator(i); i++
    :: else -> break
    od;
    run desk();
    run world()
  }
}
