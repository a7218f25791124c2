/*
 * A device. Its phase is derived from its disk and the order at hand, as in the code; a step is
 * one arrival with its durable write, and after it the device first says what it has stored.
 */

#define PHASE_OF(d) (prepared[d] -> PREPARED : \
                     (order[d] -> STAGING : (pending[d] -> COMMITTED : IDLE)))
#define LISTENS(d) (!say[d])

/* --- PREPARE (D1) --------------------------------------------------------------------------- */

#define ASKED(d, t) (LISTENS(d) && HAS(prepares, t) && HAS(members[t], d))
/* What the record has against a yes. */
#define REFUSES(d, t) (BELOW(d, begun_epoch[t]) || BOUND(d) || pending[d] \
                       || runs[d] != base_version[t])
/* A PREPARE replaces an older one, and a CATCH-UP that does not know it to be decided. */
#define REPLACES(d, t) (order[d] == 0 || (order[d] < CATCH_UP && order[d] < (t)) \
                        || (order[d] > CATCH_UP && caught_up_seq[order[d] - CATCH_UP] < (t)))
/* Whoever has said no may be asked again, and then say yes. */
#define TAKES_UP(d, t) (ASKED(d, t) && !STALE(d, t) && !BELOW(d, begun_epoch[t]) \
                        && (PHASE_OF(d) == IDLE || PHASE_OF(d) == STAGING \
                            || (PHASE_OF(d) == PREPARED && !BOUND(d))) && REPLACES(d, t) \
                        && (!REFUSES(d, t) || (COUNTS(t) && !HAS(no[t], d))))
#define STAGED(d) (LISTENS(d) && order[d] && order[d] < CATCH_UP)
#define MAY_REFUSE(d, t) (REFUSES(d, t) || (REFUSALS && COUNTS(t) && !HAS(no[t], d)))
#define ASKED_AGAIN(d, t) (ASKED(d, t) && VOTES(d, t))
#define TURNED_DOWN(d, t) (ASKED(d, t) && COUNTS(t) && !STALE(d, t) && !HAS(no[t], d) \
                           && prepared[d] != (t) && (BELOW(d, begun_epoch[t]) \
                               || PHASE_OF(d) == PREPARED || PHASE_OF(d) == COMMITTED))

/* --- what it says --------------------------------------------------------------------------- */

#define VOTES(d, t) (prepared[d] == (t) && COUNTS(t) && !HAS(yes[t], d))
#define FOLLOWED(d, t) (prepared[d] != (t) && seq[d] >= (t) \
                        && (outcome[t] == ABORT || runs[d] > (t) \
                            || (runs[d] == (t) && !pending[d] && !unconfirmed[d])))
#define REPORTS(d, t) (FOLLOWED(d, t) \
                       && ((open == (t) && !HAS(told[t], d)) || HAS(deferred[t], d)))
#define SPEAKS(d) (VOTES(d, 1) || VOTES(d, 2) || REPORTS(d, 1) || REPORTS(d, 2))
/* Whoever hears again what it has followed says so again. */
#define ASKED_FOR_REPORT(d, t) (LISTENS(d) && REPORTS(d, t) \
                                && (HAS(commits | aborts, t) || ASKED(d, t)))

/* Whoever was deferred is settled by its report: it arrives, and `Settled` is appended. */
inline report(dev, txn) {
  if
  :: REPORTS(dev, txn) && open == txn -> told[txn] = told[txn] | BIT(dev)
  :: REPORTS(dev, txn) && open != txn -> deferred[txn] = deferred[txn] & ~BIT(dev)
  :: else
  fi
}

inline speak(dev) {
  say[dev] = false;
  yes[1] = (VOTES(dev, 1) -> yes[1] | BIT(dev) : yes[1]);
  yes[2] = (VOTES(dev, 2) -> yes[2] | BIT(dev) : yes[2]);
  report(dev, 1);
  report(dev, 2)
}

inline then_speak(dev) {
  if
  :: APART && SPEAKS(dev) -> say[dev] = true
  :: else -> speak(dev)
  fi
}

/* --- DECISION (D2) -------------------------------------------------------------------------- */

#ifdef TWO_DECIDERS
/* Devices are fenced against decisions, too: those of a lower epoch are refused. */
byte commit_epoch[TXNS + 1];
byte abort_epoch[TXNS + 1];
#define HEARD_COMMIT(d, t) (LISTENS(d) && HAS(commits, t) && commit_epoch[t] >= max_epoch[d])
#define HEARD_ABORT(d, t) (LISTENS(d) && HAS(aborts, t) && abort_epoch[t] >= max_epoch[d])
#else
#define HEARD_COMMIT(d, t) (LISTENS(d) && HAS(commits, t))
#define HEARD_ABORT(d, t) (LISTENS(d) && HAS(aborts, t))
#endif
#define OBEYS_COMMIT(d, t) (HEARD_COMMIT(d, t) && OF_MINE(d, t))
#define OBEYS_ABORT(d, t) (HEARD_ABORT(d, t) && OF_MINE(d, t))
#define RECORDS_ABORT(d, t) (HEARD_ABORT(d, t) && !OF_MINE(d, t) && (t) > seq[d] \
                             && ABORT_CONCERNS(d, t))
#define MISSED(d, t) (CONFIRMS && HEARD_COMMIT(d, t) && !OF_MINE(d, t) && (t) > runs[d] \
                      && unconfirmed[d] != BEHIND)

inline record_commit(dev, txn) {
  bound[dev] = (outcome[txn] == COMMIT && bound[dev] == txn -> 0 : bound[dev]);
  seq[dev] = MAX(txn, seq[dev]);
  runs[dev] = txn;
  pending[dev] = true;
  committed[txn] = true;
  prepared[dev] = 0;
  stored(dev);
  then_speak(dev);
  txn = 0
}

inline record_abort(dev, txn) {
  bound[dev] = (outcome[txn] == ABORT && bound[dev] == txn -> 0 : bound[dev]);
  seq[dev] = MAX(txn, seq[dev]);
  order[dev] = (order[dev] == txn -> 0 : order[dev]);
  prepared[dev] = (prepared[dev] == txn -> 0 : prepared[dev]);
  aborted[txn] = true;
  stored(dev);
  then_speak(dev);
  txn = 0
}

#define LATER(d) (unconfirmed[d] -> unconfirmed[d] : LATE)

/* --- CATCH-UP (K), HELLO and WELCOME -------------------------------------------------------- */

#define BROUGHT_ON(d, v) (LISTENS(d) && caught_up[v] && !BELOW(d, caught_up[v]) \
                          && PHASE_OF(d) != PREPARED && runs[d] < (v) \
                          && order[d] != CATCH_UP + (v))

/* WELCOME is made from a fresh read of the journal, and answers the state that has asked. */
#define BEHIND_IN_SEQ(d) (!prepared[d] && seq[d] < DECIDED_SEQ)
#define WELCOMED(d) (LISTENS(d) && (RAISES(d, epoch) || BEHIND_IN_SEQ(d)))
#define EQUAL(d) (runs[d] == version && seq[d] == DECIDED_SEQ)
#define ENABLED(d) (!HAS(quarantined, d) \
                    && (!UNDECIDED || !HAS(members[open], d) || prepared[d] == open))
#define CONFIRMED(d) (LISTENS(d) && unconfirmed[d] && EQUAL(d) && ENABLED(d))
#define FOUND_BEHIND(d) (CONFIRMS && LISTENS(d) && unconfirmed[d] != BEHIND && !prepared[d] \
                         && !WELCOMED(d) && !EQUAL(d))
/* Whoever has heard that a transaction is decided can't commit it any more. */
#define OUT_OF(d, t) (HAS(members[t], d) && BEHIND_IN_SEQ(d) && seq[d] < (t) && (t) <= DECIDED_SEQ)

/* --- D1: what follows from an order --------------------------------------------------------- */

/* A yes is stored, and then said. */
inline promise(dev) {
  CHECK(10, begun_epoch[order[dev]] >= ever_epoch[dev]);
  CHECK(11, order[dev] > ever_seq[dev]);
  CHECK(12, !prepared[dev]);
  CHECK(2, !bound[dev]);
  prepared[dev] = order[dev];
  bound[dev] = order[dev];
  raise(dev, begun_epoch[order[dev]]);
  order[dev] = 0;
  stored(dev);
  then_speak(dev)
}

/* A no promises nothing. */
inline refuse(dev) {
  no[order[dev]] = (COUNTS(order[dev]) -> no[order[dev]] | BIT(dev) : no[order[dev]]);
  order[dev] = 0
}

proctype device(byte d) {
  byte t;
end:
  do
  /* --- after a write ------------------------------------------------------------------------ */
  :: d_step { say[d] -> speak(d) }

  /* --- PREPARE (D1) ------------------------------------------------------------------------- */
#if STAGES
  :: atomic { if :: TAKES_UP(d, 1) -> t = 1 :: TAKES_UP(d, 2) -> t = 2 fi;
#ifdef VOTE_FIRST
              yes[t] = yes[t] | BIT(d);
#endif
              order[d] = t; t = 0 }
  :: d_step { STAGED(d) && OVERTAKEN(d, order[d]) -> order[d] = 0 }
  :: d_step { STAGED(d) && !OVERTAKEN(d, order[d]) && !REFUSES(d, order[d]) -> promise(d) }
  :: d_step { STAGED(d) && !OVERTAKEN(d, order[d]) && MAY_REFUSE(d, order[d]) -> refuse(d) }
#else
  :: atomic { if :: TAKES_UP(d, 1) -> t = 1 :: TAKES_UP(d, 2) -> t = 2 fi; order[d] = t; t = 0;
              if
              :: d_step { !REFUSES(d, order[d]) -> promise(d) }
              :: d_step { MAY_REFUSE(d, order[d]) -> refuse(d) }
              fi }
#endif
  :: d_step { ASKED_AGAIN(d, 1) || ASKED_AGAIN(d, 2) -> speak(d) }
  :: atomic { if :: TURNED_DOWN(d, 1) -> t = 1 :: TURNED_DOWN(d, 2) -> t = 2 fi;
              no[t] = no[t] | BIT(d); t = 0 }

  /* --- DECISION (D2) ------------------------------------------------------------------------ */
  :: d_step { OBEYS_COMMIT(d, 1) || OBEYS_COMMIT(d, 2) ->
              t = prepared[d]; record_commit(d, t) }
  :: d_step { LATES && (OBEYS_COMMIT(d, 1) || OBEYS_COMMIT(d, 2)) ->
              unconfirmed[d] = LATER(d); t = prepared[d]; record_commit(d, t) }
  :: d_step { OBEYS_ABORT(d, 1) || OBEYS_ABORT(d, 2) ->
              t = prepared[d]; record_abort(d, t) }
  :: d_step { LATES && (OBEYS_ABORT(d, 1) || OBEYS_ABORT(d, 2)) ->
              unconfirmed[d] = LATER(d); t = prepared[d]; record_abort(d, t) }
  :: atomic { if :: RECORDS_ABORT(d, 1) -> t = 1 :: RECORDS_ABORT(d, 2) -> t = 2 fi;
              d_step { record_abort(d, t) } }
  :: d_step { MISSED(d, 1) || MISSED(d, 2) -> unconfirmed[d] = BEHIND }
  :: d_step { ASKED_FOR_REPORT(d, 1) || ASKED_FOR_REPORT(d, 2) -> speak(d) }
#ifdef ABORTS_ALONE
  :: d_step { LISTENS(d) && prepared[d] -> t = prepared[d]; record_abort(d, t) }
#endif
#ifdef COMMITS_ALONE
  :: d_step { LISTENS(d) && prepared[d] -> t = prepared[d]; record_commit(d, t) }
#endif
#ifdef DECISION_AGAIN
  :: atomic { if :: HEARD_COMMIT(d, 1) && seq[d] >= 1 && runs[d] != 1 -> t = 1
                 :: HEARD_COMMIT(d, 2) && seq[d] >= 2 && runs[d] != 2 -> t = 2 fi;
              d_step { record_commit(d, t) } }
#endif

  /* --- activation (D3) ---------------------------------------------------------------------- */
  :: d_step { LISTENS(d) && pending[d] -> pending[d] = false; then_speak(d) }

  /* --- FENCE (F) ---------------------------------------------------------------------------- */
  :: d_step { LISTENS(d) && FENCES(d) -> raise(d, fence); stored(d) }

  /* --- CATCH-UP (K) ------------------------------------------------------------------------- */
  :: atomic { if :: BROUGHT_ON(d, 1) -> t = 1 :: BROUGHT_ON(d, 2) -> t = 2 fi;
              d_step { order[d] = CATCH_UP + t; t = 0;
                       unconfirmed[d] = (CONFIRMS -> BEHIND : unconfirmed[d]) } }
  :: d_step { LISTENS(d) && order[d] > CATCH_UP ->
              t = order[d] - CATCH_UP;
              seq[d] = MAX(caught_up_seq[t], seq[d]);
              runs[d] = t;
              pending[d] = true;
              raise(d, caught_up[t]);
              order[d] = 0;
              t = 0;
              stored(d);
              then_speak(d) }

  /* --- HELLO and WELCOME -------------------------------------------------------------------- */
  :: d_step { WELCOMED(d) ->
              aborted[1] = (aborted[1] || OUT_OF(d, 1));
              aborted[2] = (aborted[2] || OUT_OF(d, 2));
              seq[d] = (prepared[d] -> seq[d] : DECIDED_SEQ);
              order[d] = ((STAGED(d) && OVERTAKEN(d, order[d])) -> 0 : order[d]);
              raise(d, epoch);
              stored(d) }
  :: d_step { CONFIRMED(d) -> unconfirmed[d] = 0; then_speak(d) }
  :: d_step { FOUND_BEHIND(d) -> unconfirmed[d] = BEHIND }

  /* --- a power cut -------------------------------------------------------------------------- */
  :: d_step { LEFT(restarts) && (CONFIRMS || order[d] || say[d]) ->
              spend(restarts);
              order[d] = 0;
              say[d] = false;
#ifdef PROMISE_IN_RAM
              prepared[d] = 0;
#endif
#ifdef EPOCH_IN_RAM
              max_epoch[d] = 0;
#endif
#ifdef SEQ_IN_RAM
              seq[d] = 0;
#endif
              unconfirmed[d] = (CONFIRMS -> RESTARTED : unconfirmed[d]) }
  od
}
