/*
 * The invariants. CHECK(n, p) is In of DESIGN §8, asserted in the step that could break it; the
 * number is in pan's message. -DONLY=n leaves the others out, to see whether this one would find
 * it, too. What speaks of a whole run is an LTL formula at the end.
 */

#ifdef ONLY
#define CHECK(n, p) assert((n) != ONLY || (p))
#else
#define CHECK(n, p) assert((n) == 0 || (p))
#endif

#define UNDECIDED (open && !outcome[open])
#define DECIDED_SEQ (last_seq - (UNDECIDED -> 1 : 0))

/* What must be true after every durable write, of a device or of the journal. */
inline look() {
  CHECK(15, lock != FREE || open == 0);
  i = 0;
  do
  :: i < N ->
    CHECK(15, !prepared[i] || prepared[i] == open || HAS(deferred[prepared[i]], i));
    i++
  :: else -> break
  od;
  i = 1;
  do
  :: i <= TXNS ->
    CHECK(1, !(committed[i] && aborted[i]));
    CHECK(17, !committed[i] || outcome[i] == COMMIT);
    CHECK(17, !aborted[i] || outcome[i] == ABORT);
    i++
  :: else -> break
  od;
  i = 0
}

/* Before an append that only the holder may make: C1, C2, C3, release. */
#define GUARDED(c) CHECK(14, lock != FREE && owner == c && epoch == mine[c])

/* After a device's durable write: what survives a power cut never goes back. */
inline stored(dev) {
  reduce(dev);
  CHECK(2, prepared[dev] == bound[dev]);
  CHECK(10, max_epoch[dev] >= ever_epoch[dev]);
  CHECK(11, seq[dev] >= ever_seq[dev]);
  CHECK(11, runs[dev] >= ever_runs[dev]);
  ever_epoch[dev] = MAX(max_epoch[dev], ever_epoch[dev]);
  ever_seq[dev] = MAX(seq[dev], ever_seq[dev]);
  ever_runs[dev] = MAX(runs[dev], ever_runs[dev]);
  look();
  fence = (SOME(FENCES) -> fence : 0)
}

/* --- whole runs ----------------------------------------------------------------------------- */

#define IS_THE_FLEETS(d) (runs[d] == version && seq[d] == last_seq && !prepared[d] && !pending[d] \
                          && !order[d] && !say[d])
#define OPERATES(d) (IS_THE_FLEETS(d) && !unconfirmed[d])
#define NOBODY_IS_AWAY (!deferred[1] && !deferred[2] && !quarantined)
#define WELL (lock == FREE && !open && NOBODY_IS_AWAY && EACH(OPERATES))

/* Without faults every push commits: to be checked with FAULTS, TIMEOUTS and REFUSALS at 0. */
ltl I4 { <> (version == PUSHES && WELL) }
/* Faults are bounded, so they stop in every run: then everything ends and everybody gets well. */
ltl I6 { <> [] WELL }
/* Whenever somebody has forced the lock, the lock gets free and the fleet uniform. */
ltl I16 { [] (lock == RESOLVING -> <> (lock == FREE && EACH(IS_THE_FLEETS))) }
/* However often a message arrives and in whatever order: in the end a device is what the journal
   says, and nothing that is still on its way changes that. */
ltl I18 { <> [] EACH(IS_THE_FLEETS) }
