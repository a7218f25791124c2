/* What may be appended to the journal, as protocol/lease.py and protocol/fold.py have it. */

#define DRIVES(c) (phase[c] == JOINING || phase[c] == PREPARING || phase[c] == DRIVING \
                   || phase[c] == RELEASING)
/* Nothing that this one could still send is not sent already. */
#define HAS_SENT_ALL(c) ((phase[c] != PREPARING || HAS(prepares, work[c])) \
                         && (phase[c] != DRIVING || HAS(commits | aborts, work[c])))

/* Say nothing more, in the final phase `last`. */
inline rest(who, last) {
  stale = stale & ~BIT(who);
  unsure = unsure & ~BIT(who);
  mine[who] = 0;
  work[who] = 0;
  phase[who] = last
}

/* Whoever works from what it has read must read again before it appends. */
inline appended(who) {
  i = 0;
  do
  :: i < WRITERS ->
    if
    :: i != who && DRIVES(i) && !ZOMBIES && owner != i && HAS_SENT_ALL(i) -> rest(i, FENCED)
    :: i != who && DRIVES(i) && (ZOMBIES || owner == i || !HAS_SENT_ALL(i)) ->
      stale = stale | BIT(i)
    :: i != who && i == FORCER && looked -> stale = stale | BIT(i)
    :: else
    fi;
    i++
  :: else -> break
  od;
  i = 0;
  do
  :: i < N -> say[i] = (say[i] && SPEAKS(i)); i++
  :: else -> break
  od;
  stale = stale & ~BIT(who);
  adrift = 0; /* what was to be appended at the old head never will be */
  look()
}

/* Row L. */
inline take(who) {
  CHECK(14, lock == FREE);
  CHECK(9, NEXT(epoch) > epoch);
  epoch = NEXT(epoch);
  lock = HELD;
  owner = who;
  fresh = true;
  mine[who] = epoch;
  phase[who] = JOINING;
  appended(who)
}

/* C1. */
inline begin(who, whom) {
  GUARDED(who);
  CHECK(15, open == 0);
  last_seq++;
  open = last_seq;
  begun_epoch[open] = mine[who];
  base_version[open] = version;
  members[open] = whom;
  work[who] = open;
  phase[who] = PREPARING;
  appended(who)
}

/* C2, C2': the record itself, under the epoch `under`. */
inline decide(txn, what, under) {
  CHECK(7, !outcome[txn]);
  CHECK(2, !outcome[txn] || outcome[txn] == what);
  CHECK(8, under == epoch);
  i = 0;
  do
  :: i < N ->
    CHECK(3, what == ABORT || !HAS(members[txn], i)
             || (prepared[i] == txn && begun_epoch[txn] == under));
    i++
  :: else -> break
  od;
  version = (what == COMMIT -> txn : version);
  outcome[txn] = what;
  prepares = prepares | AS_GOOD_AS_SENT(txn);
  FORGET_VOTES(txn)
}

/* C3. */
inline conclude(who, missing) {
  GUARDED(who);
  CHECK(15, outcome[open]);
  deferred[open] = missing;
  told[open] = 0;
  open = 0;
  work[who] = 0;
  phase[who] = RELEASING;
  appended(who)
}

inline set_free() {
  CHECK(9, NEXT(epoch) > epoch);
  epoch = NEXT(epoch);
  lock = FREE;
  owner = NOBODY;
  fresh = false
}

inline release(who) {
  GUARDED(who);
  set_free();
  rest(who, DONE);
  appended(who)
}

/* Forced unlock and recovery: who drives changes, what was decided does not. `work` is what `who`
   has read to be open and undecided. */
inline resolve(who) {
  CHECK(14, lock != FREE);
  CHECK(9, NEXT(epoch) > epoch);
  epoch = NEXT(epoch);
  lock = RESOLVING;
  owner = who;
  fresh = true;
  mine[who] = epoch;
  if
  :: work[who] -> decide(work[who], ABORT, epoch)
  :: else
  fi;
  work[who] = open;
  phase[who] = (open -> DRIVING : RELEASING);
  appended(who)
}

/* Verb 4: the same, ended and released in one append; everybody unresolved is in quarantine. */
inline break_glass(who) {
  CHECK(14, lock != FREE);
  CHECK(9, NEXT(epoch) > epoch);
  epoch = NEXT(epoch);
  if
  :: work[who] ->
    decide(work[who], ABORT, epoch);
    told[open] = 0 /* nobody has followed what is only being decided */
  :: else
  fi;
  deferred[open] = (open -> members[open] & ~told[open] : 0);
  quarantined = quarantined | deferred[open];
  told[open] = 0;
  open = 0;
  set_free();
  rest(who, DONE);
  appended(who)
}
