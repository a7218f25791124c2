"""``aimctl history``, ``show`` and ``abort``: the journal as a story, and asking to end one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cyclopts import App

from orchestrator.cli.context import Given
from orchestrator.cli.files import KnownFleet, chosen_fleets, stored_fleets
from orchestrator.cli.status import no_such_txn, outcome_code
from orchestrator.cli.text import or_dash, rfc3339, some
from orchestrator.cli.view import Screen
from orchestrator.errors import Exit

if TYPE_CHECKING:  # imported where a command needs them: --help stays quick
    from orchestrator.protocol.fleet import Txn
    from orchestrator.protocol.records import Entry
    from orchestrator.protocol.types import FleetId
    from orchestrator.service.story import Line
    from orchestrator.service.world import World


def register(app: App) -> None:
    """Add the commands."""
    app.command(history)
    app.command(show)
    app.command(abort)


# --- history ----------------------------------------------------------------------------------


async def history(  # noqa: D417 - the context is no option
    *,
    fleet: str | None = None,
    context: Given,
) -> int:
    """
    Show a fleet's journal, oldest first: who held the lock, what was begun, decided, ended.

    For example:
      aimctl history --fleet hazard-12
      aimctl history --output json

    Parameters
    ----------
    fleet
        A fleet file, or a fleet's name; all fleets of the store unless given.
    """
    from orchestrator.service import story

    async with context.world(reading=True) as world:
        fleets = await chosen_fleets(world, fleet)
        stories = {one.id: await story.history(world, one.id) for one in fleets}
    document = {
        "type": "history",
        "fleets": [
            {"fleet": name, "entries": [_entry(line) for line in lines]}
            for name, lines in stories.items()
        ],
    }

    def text(screen: Screen) -> None:
        if not stories:
            screen.line("no fleet is known: nothing has been pushed with this store yet")
        for name, lines in stories.items():
            screen.line(f"fleet {name}", "bold")
            _table(screen, lines)

    context.view.show(document, text)
    return int(Exit.DONE)


def _entry(line: Line) -> dict[str, Any]:
    return {
        "index": line.index,
        "at": line.at,
        "time": rfc3339(line.at),
        "kind": line.kind,
        "txn": line.txn,
        "seq": line.seq,
        "text": line.text,
    }


def _table(screen: Screen, lines: Sequence[Line]) -> None:
    rows = [(str(line.index), rfc3339(line.at), or_dash(line.seq), line.text) for line in lines]
    screen.table(("#", "time", "txn", "what"), rows)


# --- show -------------------------------------------------------------------------------------


async def show(  # noqa: D417 - the context is no option
    txn: str,
    /,
    *,
    fleet: str | None = None,
    context: Given,
) -> int:
    """
    Tell one transaction as a story: its records with their times, who refused and why.

    For example:
      aimctl show hazard-12/18
      aimctl show 4f1c2a9be0d37715 --output json

    Parameters
    ----------
    txn
        Its id, FLEET/SEQ, or SEQ alone together with --fleet.
    fleet
        The name of its fleet.
    """
    from orchestrator.service import story
    from orchestrator.service.results import txn_document

    async with context.world(reading=True) as world:
        known, found = await find_txn(world, txn, fleet)
        lines = await story.history(world, known.id)
    mine = [line for line in lines if line.txn == found.begun.txn]
    document = {
        "type": "show",
        "fleet": known.id,
        **{key: value for key, value in txn_document(found).items() if key != "members"},
        "devices": dict(found.begun.digests),
        "excused": list(found.begun.excused),
        "entries": [_entry(line) for line in mine],
    }

    def text(screen: Screen) -> None:
        _show_txn(screen, known, found)
        screen.line()
        _table(screen, mine)

    context.view.show(document, text)
    return int(Exit.DONE)


def _show_txn(screen: Screen, known: KnownFleet, txn: Txn) -> None:
    begun = txn.begun
    fate = "undecided" if txn.outcome is None else txn.outcome.value.upper()
    screen.line(f"txn {begun.seq} of fleet {known.id}: {fate}", "bold")
    screen.line(f"id        {begun.txn}")
    screen.line(f"config    {begun.config}, bundle {begun.bundle}")
    screen.line(f"change    version {begun.base_version} → {begun.seq}, epoch {begun.epoch}")
    screen.line(f"members   {len(begun.digests)}: {some(tuple(begun.digests))}")
    if txn.decided is not None:
        screen.line(f"because   {txn.decided.cause}")
    if begun.excused:
        screen.line(f"excused   {some(begun.excused)}", "yellow")
    for device, reasons in ({} if txn.decided is None else txn.decided.refused).items():
        screen.line(f"refused   {device}: {'; '.join(reasons)}", "red")
    if txn.ended is not None and txn.ended.deferred:
        screen.line(f"deferred  {some(txn.ended.deferred)}", "yellow")
    if txn.ended is not None and txn.ended.quarantined:
        screen.line(f"quarantined {', '.join(txn.ended.quarantined)}", "yellow")


async def find_txn(world: World, txn: str, fleet: str | None) -> tuple[KnownFleet, Txn]:
    """Find a transaction by its id, FLEET/SEQ, or SEQ of ``fleet``; newest first."""
    named = await chosen_fleets(world, fleet) if fleet is not None else ()
    fleets = [one.id for one in named] or list(await stored_fleets(world))
    for name in fleets:
        found = _matching(await txns(world, name), name, txn, alone=fleet is not None)
        if found is not None:
            return KnownFleet(id=name, loaded=None), found
    raise no_such_txn(txn)


def _matching(found: Sequence[Txn], fleet: str, txn: str, *, alone: bool) -> Txn | None:
    for one in reversed(found):
        names = {one.begun.txn, f"{fleet}/{one.begun.seq}"}
        if txn in names or (alone and txn == str(one.begun.seq)):
            return one
    return None


async def txns(world: World, fleet: FleetId) -> tuple[Txn, ...]:
    """Return every transaction of a fleet, oldest first, folded from its journal."""
    from orchestrator.ports import StoreUnavailable
    from orchestrator.service.locks import unreachable

    try:
        entries = await world.store.read(fleet)
    except StoreUnavailable as error:
        raise unreachable(f"the store can't be read: {error}") from error
    return _txns(fleet, entries)


def _txns(fleet: FleetId, entries: Sequence[Entry]) -> tuple[Txn, ...]:
    from orchestrator.protocol.fleet import FleetState
    from orchestrator.protocol.fold import apply

    found: dict[str, Txn] = {}
    state = FleetState(fleet=fleet)
    for entry in entries:
        state = apply(state, entry)
        for txn in state.known_txns():  # those that a reseed has relisted were never open
            found[txn.begun.txn] = txn
    return tuple(sorted(found.values(), key=lambda txn: txn.begun.seq))


# --- abort ------------------------------------------------------------------------------------


async def abort(  # noqa: D417 - the context is no option
    txn: str,
    /,
    *,
    reason: str,
    context: Given,
) -> int:
    """
    Ask the living owner of an undecided transaction to abort it, and see it obeyed.

    For example:
      aimctl abort hazard-12/18 --reason "wrong file"

    Exits with 0 when it was aborted, 5 when COMMIT was decided first, 6 when the
    owner is a ghost and the lock must be resolved instead.

    Parameters
    ----------
    txn
        Its id, or FLEET/SEQ.
    reason
        Why; it is kept in the journal.
    """
    from orchestrator.protocol.types import Outcome, TxnId
    from orchestrator.service.asking import request_abort
    from orchestrator.service.results import txn_document

    async with context.world(reading=True) as world:
        state, found = await request_abort(world, TxnId(txn), reason)
    if found.outcome is None:
        code, message = Exit.UNKNOWN, "asked, and not obeyed yet: its owner does not answer"
        following = f"aimctl status --fleet {state.fleet}"
    elif found.outcome is Outcome.ABORT:
        code, message, following = Exit.DONE, "decided ABORT: the fleet is unchanged", None
    else:
        code, message = outcome_code(found), "COMMIT was decided first; a decision never changes"
        code = Exit.ACTIVATING if code is Exit.DONE else code
        following = f"aimctl status --fleet {state.fleet}"
    document = {
        "type": "abort",
        "fleet": state.fleet,
        "txn": txn_document(found),
        "decision": found.outcome,
        "message": message,
        "next": following,
        "exit_code": int(code),
    }
    context.view.show(document, lambda screen: screen.line(f"txn {found.begun.seq}: {message}"))
    if following is not None:
        context.view.say(f"next      {following}")
    return int(code)
