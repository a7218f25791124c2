/* Whoever answers devices without the lock, and what nobody does. */

#define IN_DOUBT_1(d) (prepared[d] == 1)
#define IN_DOUBT_2(d) (prepared[d] == 2)
/* Somebody waits for the decision of `t`, and it is not on its way. */
#define IS_TOLD(t) HAS((outcome[t] == COMMIT -> commits : aborts), t)
#define AWAITED_1 (outcome[1] && (SOME(IN_DOUBT_1) || deferred[1]) && !IS_TOLD(1))
#define AWAITED_2 (outcome[2] && (SOME(IN_DOUBT_2) || deferred[2]) && !IS_TOLD(2))
/* A deferred device that is in quarantine is settled by the outcome that it has recorded. */
#define SETTLES(d, t) (HAS(deferred[t], d) && HAS(quarantined, d) && prepared[d] != (t) \
                       && seq[d] >= (t))
#define REJOINS(d) (HAS(quarantined, d) && EQUAL(d) && !prepared[d])
#define LEFT_BEHIND(d) (runs[d] != version && !prepared[d] && caught_up[version] < epoch \
                        && !(UNDECIDED && HAS(members[open], d)))

/* The desk of protocol/desk.py: `aimctl serve`, and every other orchestrator that is there. */
proctype desk() {
  byte t;
  byte d;
end:
  do
#ifndef NO_DESK
  :: atomic { if :: AWAITED_1 -> t = 1 :: AWAITED_2 -> t = 2 fi;
              d_step { tell(t, outcome[t], epoch); t = 0 } }
#endif
  :: atomic { if
              :: SETTLES(0, 1) -> d = 0; t = 1
              :: SETTLES(1, 1) -> d = 1; t = 1
              :: SETTLES(0, 2) -> d = 0; t = 2
              :: SETTLES(1, 2) -> d = 1; t = 2
#if N == 3
              :: SETTLES(2, 1) -> d = 2; t = 1
              :: SETTLES(2, 2) -> d = 2; t = 2
#endif
              fi;
              d_step { deferred[t] = deferred[t] & ~BIT(d); d = 0; t = 0; look() } }
  :: atomic { if
              :: REJOINS(0) -> d = 0
              :: REJOINS(1) -> d = 1
#if N == 3
              :: REJOINS(2) -> d = 2
#endif
              fi;
              d_step { quarantined = quarantined & ~BIT(d); d = 0; look() } }
  :: d_step { SOME(LEFT_BEHIND) ->
              caught_up[version] = epoch; caught_up_seq[version] = DECIDED_SEQ }
#ifdef PRESUMES_ABORT
  :: d_step { UNDECIDED && (prepared[0] == open || prepared[1] == open) && !TOLD(open) ->
              tell(open, ABORT, epoch) }
#endif
  od
}

proctype world() {
  byte t;
end:
  do
  /* --- an append whose answer was lost arrives, at the head that it was made for ------------ */
  :: d_step { adrift -> decide(adrift, COMMIT, begun_epoch[adrift]); appended(NOBODY) }

  /* --- messages are lost -------------------------------------------------------------------- */
  :: d_step { LEFT(losses) && UNDECIDED && HAS(prepares, open) ->
              spend(losses); prepares = prepares & ~BIT(open) }
  :: d_step { LEFT(losses) && (commits || aborts) -> spend(losses); commits = 0; aborts = 0 }
  :: d_step { LEFT(losses) && fence -> spend(losses); fence = 0 }
  :: atomic { if
              :: LEFT(losses) && (yes[1] || no[1]) -> t = 1
              :: LEFT(losses) && (yes[2] || no[2]) -> t = 2
              fi;
              d_step { spend(losses); yes[t] = 0; no[t] = 0; t = 0 } }
  :: atomic { if :: LEFT(losses) && told[1] -> t = 1 :: LEFT(losses) && told[2] -> t = 2 fi;
              d_step { spend(losses); told[t] = 0; t = 0 } }

  /* --- a lease runs out while its owner lives ----------------------------------------------- */
  :: d_step { LEFT(expiries) && fresh && lock != FREE -> spend(expiries); fresh = false }

#if TICKS
  /* --- time passes, also where nobody can do anything any more ------------------------------ */
  :: d_step { i == 0 -> i = 0 }
#endif
  od
}
