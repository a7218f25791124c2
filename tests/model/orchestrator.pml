/*
 * Whoever writes to the journal: the pushes, the person who forces, and the server.
 *
 * What is due is derived from the phase alone; only a record moves anybody from one phase to the
 * next. A guard looks at what this orchestrator has read (`phase`, `mine`, `work`), never at the
 * lock itself: what has changed since is found out by the append that conflicts.
 */

#define IS_PUSH(c) ((c) < PUSHES)
#define FINAL(c) (phase[c] == DONE || phase[c] == FENCED || phase[c] == UNKNOWN \
                  || phase[c] == STOPPED)
/* The pushes are alike: whoever comes first is called 0. */
#define TURN(c) ((c) == 0 || phase[(c) - 1])
#define HOLDS(c) (owner == (c) && epoch == mine[c])
/* A ghost: its owner is gone for certain (the server, too: by now it is another process), */
#define DEAD (lock != FREE && (FINAL(owner) || owner == SERVER))
/* or has not renewed its lease. */
#define EXPIRED (lock != FREE && !FINAL(owner) && owner != SERVER && !fresh)
#define FORCES_NOW(c) ((c) == FORCER && (!phase[c] || FINAL(c)) && LEFT(forces) && lock != FREE)
#define MAY_FORCE(c) ((c) == FORCER && looked && PASSES(c))

#define JOINED(d) (max_epoch[d] >= mine[c] && !prepared[d] && !pending[d] && runs[d] == version)
#define TOLD(t) HAS(commits | aborts, t)
/* Whoever resolves fences the devices before it tells them. */
#define SENDS_FENCE(c) (phase[c] == JOINING || (phase[c] == DRIVING \
                                               && begun_epoch[work[c]] != mine[c]))
#define NEEDS_FENCE(d) RAISES(d, mine[c])

/* A decision is told after it is stored. */
inline tell(txn, what, under) {
  CHECK(17, outcome[txn] == what);
#ifdef TWO_DECIDERS
  commit_epoch[txn] = (what == COMMIT -> under : commit_epoch[txn]);
  abort_epoch[txn] = (what == ABORT -> under : abort_epoch[txn]);
#endif
  commits = commits | (what == COMMIT -> BIT(txn) : 0);
  aborts = aborts | (what == ABORT -> BIT(txn) : 0)
}

proctype orchestrator(byte c) {
end:
  do
  /* --- a push: joining, preparing ----------------------------------------------------------- */
  :: d_step { IS_PUSH(c) && !phase[c] && TURN(c) && GRANTED -> take(c) }
  :: d_step { SENDS_FENCE(c) && fence < mine[c] && SOME(NEEDS_FENCE) -> fence = mine[c] }
  :: d_step { phase[c] == JOINING && PASSES(c) && (TIMEOUTS || EACH(JOINED)) ->
              begin(c, EVERYBODY) }
  :: d_step { phase[c] == JOINING && PASSES(c) && LEFT(excuses) ->
              spend(excuses); begin(c, EVERYBODY & ~BIT(N - 1)) }
  :: d_step { phase[c] == JOINING && PASSES(c) && LEFT(asks) ->
              spend(asks); phase[c] = RELEASING }
  :: d_step { phase[c] == PREPARING && !HAS(prepares, work[c]) ->
              prepares = prepares | BIT(work[c]) }
  :: d_step { phase[c] == PREPARING && MAY_DECIDE(c) && !HAS(unsure, c) && ALL_YES(work[c]) ->
              GUARDED(c); decide(work[c], COMMIT, mine[c]); phase[c] = DRIVING; appended(c) }
  :: d_step { phase[c] == PREPARING && MAY_DECIDE(c) &&
              ((no[work[c]] & members[work[c]]) || SILENCE(work[c]) || HAS(unsure, c)) ->
              GUARDED(c); decide(work[c], ABORT, mine[c]); phase[c] = DRIVING;
              unsure = unsure & ~BIT(c); appended(c) }

  /* --- the answer of its COMMIT is lost: it is not stored, and may still be ----------------- */
  :: d_step { phase[c] == PREPARING && PASSES(c) && !HAS(unsure, c) && ALL_YES(work[c]) &&
              LEFT(lost) -> spend(lost); adrift = work[c]; unsure = unsure | BIT(c) }
  :: d_step { phase[c] == PREPARING && HAS(unsure, c) -> rest(c, UNKNOWN) }
#ifdef UNSURE_IS_ABORT
  :: d_step { phase[c] == PREPARING && HAS(unsure, c) && !TOLD(work[c]) ->
              tell(work[c], ABORT, mine[c]) }
#endif
#ifdef TOLD_FIRST
  :: d_step { phase[c] == PREPARING && ALL_YES(work[c]) && !TOLD(work[c]) ->
              tell(work[c], COMMIT, mine[c]) }
#endif

  /* --- whoever drives a decision, and gives the lock back ----------------------------------- */
#ifdef TWO_DECIDERS
  :: d_step { phase[c] == DRIVING && !HAS((begun_epoch[work[c]] == mine[c] -> commits : aborts),
                                          work[c]) ->
              tell(work[c], (begun_epoch[work[c]] == mine[c] -> COMMIT : ABORT), mine[c]) }
#else
  :: d_step { phase[c] == DRIVING && !TOLD(work[c]) ->
              tell(work[c], outcome[work[c]], mine[c]) }
#endif
#ifndef NEVER_DRIVES
  :: d_step { phase[c] == DRIVING && PASSES(c) && MISSING(work[c]) == 0 -> conclude(c, 0) }
  :: d_step { phase[c] == DRIVING && PASSES(c) && TIMEOUTS && TOLD(work[c]) &&
              MISSING(work[c]) != 0 -> conclude(c, MISSING(work[c])) }
#endif
  :: d_step { MAY_RELEASE(c) && ITS_OWN(c) -> release(c) }

  /* --- its heartbeat: no record, and nothing but a hint ------------------------------------- */
  :: d_step { DRIVES(c) && lock != FREE && !fresh && RENEWS(c) ->
              CHECK(21, owner == c && epoch == mine[c]); fresh = true }

  /* --- it reads what has happened since ----------------------------------------------------- */
  :: d_step { DRIVES(c) && HAS(stale, c) && HOLDS(c) && UNDECIDED -> stale = stale & ~BIT(c) }
  :: d_step { DRIVES(c) && HAS(stale, c) && HOLDS(c) && !UNDECIDED ->
              stale = stale & ~BIT(c); unsure = unsure & ~BIT(c);
              phase[c] = (phase[c] == PREPARING -> DRIVING : phase[c]) }
  :: d_step { DRIVES(c) && HAS(stale, c) && !HOLDS(c) -> rest(c, FENCED) }

  /* --- the person who forces reads, thinks, and appends ------------------------------------- */
#if LOOKS
  :: d_step { FORCES_NOW(c) && !looked ->
              spend(forces); mine[c] = epoch; work[c] = TO_BE_ABORTED; looked = true }
  /* what is open is not decided; or is; or nothing is */
  :: d_step { MAY_FORCE(c) && work[c] -> looked = false; resolve(c) }
  :: d_step { MAY_FORCE(c) && !work[c] && open -> looked = false; resolve(c) }
  :: d_step { MAY_FORCE(c) && !open -> looked = false; resolve(c) }
  :: d_step { MAY_FORCE(c) && GLASS && work[c] -> looked = false; break_glass(c) }
  :: d_step { MAY_FORCE(c) && GLASS && !work[c] && open -> looked = false; break_glass(c) }
  :: d_step { MAY_FORCE(c) && GLASS && !open -> looked = false; break_glass(c) }
  :: d_step { c == FORCER && looked && HAS(stale, c) && epoch == mine[c] ->
              stale = stale & ~BIT(c); work[c] = TO_BE_ABORTED }
  :: d_step { c == FORCER && looked && HAS(stale, c) && epoch != mine[c] ->
              looked = false; rest(c, DONE) }
#else
  :: d_step { FORCES_NOW(c) -> spend(forces); work[c] = TO_BE_ABORTED; resolve(c) }
  :: d_step { FORCES_NOW(c) && GLASS -> spend(forces); work[c] = TO_BE_ABORTED; break_glass(c) }
#endif
#ifdef DELETES_THE_LOCK
  :: d_step { FORCES_NOW(c) -> spend(forces); lock = FREE; owner = NOBODY; phase[c] = DONE;
              look() }
#endif

  /* --- the server takes what a ghost holds -------------------------------------------------- */
#ifndef NO_RECOVERY
  :: d_step { c == SERVER && phase[c] == SETTLING && DEAD ->
              work[c] = TO_BE_ABORTED; resolve(c) }
  :: d_step { c == SERVER && phase[c] == SETTLING && EXPIRED ->
              work[c] = TO_BE_ABORTED; resolve(c) }
#endif
  :: d_step { c == SERVER && FINAL(c) -> rest(c, SETTLING) }

  /* --- it ends in the middle, or its lease is lost ------------------------------------------ */
  :: d_step { DRIVES(c) && LEFT(crashes) -> spend(crashes); rest(c, STOPPED) }
  od
}
