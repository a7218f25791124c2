/*
 * The rules of the protocol that a mutant takes out, each beside what somebody might put in its
 * place; a rule that is a whole step has its switch where the step is. Then the reductions.
 */

/* D1: a PREPARE or CATCH-UP below the device's epoch is refused. */
#ifdef NO_EPOCH_CHECK
#define BELOW(d, e) false
#else
#define BELOW(d, e) ((e) < max_epoch[d])
#endif

/* D1: one of a transaction that is known to be decided is stale, when it comes, */
#ifdef NO_LAST_SEQ
#define STALE(d, t) false
#else
#define STALE(d, t) ((t) <= seq[d])
#endif

/* and still when the device votes. */
#if defined(NO_LAST_SEQ) || defined(STALE_ORDER)
#define OVERTAKEN(d, t) false
#else
#define OVERTAKEN(d, t) ((t) <= seq[d])
#endif

/* D1: a device promises itself to one transaction at a time. */
#ifdef SECOND_PROMISE
#define BOUND(d) false
#else
#define BOUND(d) (prepared[d])
#endif

/* A decision is obeyed if it is of the transaction that was prepared. */
#ifdef ANY_DECISION
#define OF_MINE(d, t) (prepared[d])
#else
#define OF_MINE(d, t) (prepared[d] == (t))
#endif

/* ABORT is recorded by everyone, also by those that never answered. */
#ifdef ABORT_TO_VOTERS
#define ABORT_CONCERNS(d, t) false
#else
#define ABORT_CONCERNS(d, t) true
#endif

/* The journal compares before it appends. */
#ifdef NO_COMPARE
#define PASSES(c) true
#else
#define PASSES(c) (!HAS(stale, c))
#endif

/* The decision is one row, written once, that everybody who may decide competes for. */
#ifdef TWO_DECIDERS
#define MAY_DECIDE(c) true
#else
#define MAY_DECIDE(c) PASSES(c)
#endif

/* A forced unlock decides only what is undecided. */
#ifdef OVERRULES
#define TO_BE_ABORTED open
#else
#define TO_BE_ABORTED (UNDECIDED -> open : 0)
#endif

/* A free lock is granted, no other. */
#ifdef GRANT_WHILE_HELD
#define GRANTED true
#else
#define GRANTED (lock == FREE)
#endif

/* C2: every member has voted yes for this very transaction. */
#if defined(FIRST_YES)
#define ALL_YES(t) (yes[t] & members[t])
#elif defined(ANY_VOTE)
#define ALL_YES(t) (((yes[t] | yes[(t) - 1]) & members[t]) == members[t])
#else
#define ALL_YES(t) ((yes[t] & members[t]) == members[t])
#endif

/* C2': silence is no answer before `vote_by`. */
#ifdef SILENCE_IS_NO
#define SILENCE(t) true
#else
#define SILENCE(t) (TIMEOUTS && HAS(prepares, t))
#endif

/* C3: whoever is missing is deferred by name, voted or not. */
#if defined(ABORT_TO_VOTERS)
#define MISSING(t) (members[t] & yes[t] & ~told[t])
#elif defined(FORGETS_THE_MISSING)
#define MISSING(t) 0
#else
#define MISSING(t) (members[t] & ~told[t])
#endif

/* The lock is given back with nothing open, */
#ifdef FREE_WITH_OPEN
#define MAY_RELEASE(c) (phase[c] == RELEASING || phase[c] == DRIVING)
#else
#define MAY_RELEASE(c) (phase[c] == RELEASING)
#endif

/* by whoever holds it. */
#ifdef ANYBODY_RELEASES
#define ITS_OWN(c) true
#else
#define ITS_OWN(c) PASSES(c)
#endif

/* Every change of ownership raises the epoch. */
#ifdef SAME_EPOCH
#define NEXT(e) (e)
#else
#define NEXT(e) ((e) + 1)
#endif

/* I21: a renewal needs the claim and its owner. */
#ifdef ANYBODY_RENEWS
#define RENEWS(c) true
#else
#define RENEWS(c) (owner == (c) && epoch == mine[c])
#endif

/* --- what is not kept apart, unless it is to be (-DRAW=1) ----------------------------------- */

/* Votes on what is decided are looked at by nobody. */
#if RAW
#define COUNTS(t) true
#define FORGET_VOTES(t) skip
#else
#define COUNTS(t) (!outcome[t])
#define FORGET_VOTES(t) yes[t] = 0; no[t] = 0
#endif

/* Once it is decided, a PREPARE that was not sent is as good as one that was and has not arrived:
   whoever was to send it still may. */
#if RAW
#define AS_GOOD_AS_SENT(t) 0
#else
#define AS_GOOD_AS_SENT(t) BIT(t)
#endif

/* What is stored is said in a step of its own as long as there may be a power cut in between. */
#define APART (RAW || LEFT(restarts))

/*
 * What an epoch is stored for is what it refuses: so a device stores one as the lowest that
 * refuses the same PREPAREs and CATCH-UPs, of those that there are. (Without time-outs a push
 * waits for devices that have its very epoch: there it is stored as it is.)
 */
#define EXACT (RAW || !TIMEOUTS)
#define MAY_COME(d, b, e) ((b) && max_epoch[d] <= (b) && (b) < (e))
#define MAY_PREPARE(d, t, e) (MAY_COME(d, begun_epoch[t], e) && !STALE(d, t) && prepared[d] != (t))
#define MAY_CATCH_UP(d, v, e) (MAY_COME(d, caught_up[v], e) && runs[d] < (v))
/* Whether the epoch `e` refuses the device anything that it does not refuse already. */
#define RAISES(d, e) (max_epoch[d] < (e) \
                      && (EXACT || MAY_PREPARE(d, 1, e) || MAY_PREPARE(d, 2, e) \
                          || MAY_CATCH_UP(d, 1, e) || MAY_CATCH_UP(d, 2, e)))

inline raise(dev, to) {
  if
  :: EXACT -> max_epoch[dev] = MAX(max_epoch[dev], to)
  :: else ->
    max_epoch[dev] = (MAY_PREPARE(dev, 1, to) -> begun_epoch[1] + 1 : max_epoch[dev]);
    max_epoch[dev] = (MAY_PREPARE(dev, 2, to) -> begun_epoch[2] + 1 : max_epoch[dev]);
    max_epoch[dev] = (MAY_CATCH_UP(dev, 1, to) -> caught_up[1] + 1 : max_epoch[dev]);
    max_epoch[dev] = (MAY_CATCH_UP(dev, 2, to) -> caught_up[2] + 1 : max_epoch[dev])
  fi
}

/* Whoever has nothing left to refuse is as if it had heard the newest epoch of all. */
#define ANY_EPOCH 255
inline reduce(dev) {
  if
  :: !EXACT && !RAISES(dev, ANY_EPOCH) ->
    max_epoch[dev] = MAX(max_epoch[dev], begun_epoch[1] + 1);
    max_epoch[dev] = MAX(max_epoch[dev], begun_epoch[2] + 1);
    max_epoch[dev] = MAX(max_epoch[dev], caught_up[1] + 1);
    max_epoch[dev] = MAX(max_epoch[dev], caught_up[2] + 1)
  :: else
  fi
}

/* A FENCE that raises nobody's epoch any more is gone. */
#define FENCES(d) (fence && RAISES(d, fence))
