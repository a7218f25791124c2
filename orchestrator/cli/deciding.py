"""``aimctl devices decide``: a person's word for a device in doubt, XA's heuristic outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.cli.confirming import check_confirm, checked_reason, not_confirmed
from orchestrator.cli.context import Flag, Given
from orchestrator.cli.said import Confirm, Id, confirmed, foreseen, show_said
from orchestrator.errors import Exit, OperatingError

if TYPE_CHECKING:  # imported where a command needs them: --help stays quick
    from orchestrator.protocol.types import Outcome, TxnId
    from orchestrator.service.dossier import Dossier


async def decide(  # noqa: D417, PLR0913 - the context is no option, and each other is one
    device: Id,
    /,
    *,
    commit: Flag = False,
    abort: Flag = False,
    reason: str | None = None,
    txn: str | None = None,
    fleet: str | None = None,
    dry_run: Flag = False,
    confirm: Confirm = None,
    context: Given,
) -> int:
    """
    Let a device that is in doubt operate on your word: the last resort.

    For example:
      aimctl devices decide d-07 --abort --reason "must land" --dry-run
      aimctl devices decide d-07 --abort --reason "must land" --confirm d-07

    The doubt stays: the device obeys the decision when it hears of it. If that is
    another one than yours it is shown as HEURISTIC_MIXED, until somebody settles
    it. Refused where the journal has the decision (2), or a living owner is at work
    on it (6). Exits with 5 when the device was not heard to act on it.

    Parameters
    ----------
    device
        Its id.
    commit
        Operate the new version.
    abort
        Operate the old version.
    reason
        Why; it is kept in the journal.
    txn
        The transaction it is in doubt about, by its id or FLEET/SEQ; the device says it itself.
    fleet
        Its fleet, where several fleets of the store have a device of that id.
    dry_run
        Show what is known of it and what would happen; change nothing.
    confirm
        The id again, instead of typing it on a terminal.
    """
    from orchestrator.cli.dossiers import find_device
    from orchestrator.service.devices import Word
    from orchestrator.service.devices import decide as run

    outcome = _outcome(device, commit=commit, abort=abort)
    command = f"devices decide {device} --{outcome.value}"
    why = "" if dry_run else checked_reason(reason, command)
    if not dry_run:
        check_confirm(context, confirm, device, command)
    async with context.world(reading=dry_run, existing=not dry_run) as world:
        known, found = await find_device(world, device, fleet)
        doubted = _doubted(found, txn)
        _refuse_if_known(found, doubted)
        head = {
            "type": "decide",
            "fleet": known.id,
            "device": device,
            "dry_run": dry_run,
            "txn": doubted,
            "outcome": outcome,
            "obeyed": False,
        }
        meaning = _meaning(found, doubted, outcome)
        if dry_run:
            return foreseen(context, found, head, meaning, command)
        if confirm is None and not confirmed(context, found, meaning, "let it operate so"):
            return not_confirmed(context)
        word = Word(fleet=known.id, device=found.device, reason=why)
        acted = await run(world, word, doubted, outcome, known.timing)
    following = f"aimctl devices show {device} --fleet {known.id}"
    return show_said(
        context, head | {"obeyed": acted.obeyed}, acted.message, following, acted.exit_code
    )


def _outcome(device: str, *, commit: bool, abort: bool) -> Outcome:
    from orchestrator.protocol.types import Outcome

    if commit == abort:
        raise OperatingError(
            "say which: --commit for the new version, or --abort for the old one",
            exit_code=Exit.USAGE,
            next_command=f"aimctl devices show {device}",
        )
    return Outcome.COMMIT if commit else Outcome.ABORT


def _doubted(found: Dossier, txn: str | None) -> TxnId:
    """
    Return what the device is in doubt about, by its own word.

    Raises OperatingError: 2 where that is nothing, or not ``txn``; 11 where it does not answer.
    """
    told = found.told
    if told is None:
        why = found.found.why or "it was not heard"
        raise OperatingError(
            f"{found.device} can't be asked ({why}): nothing was changed, and it would not hear"
            " your word either",
            exit_code=Exit.UNREACHABLE,
            next_command="aimctl doctor",
        )
    if told.prepared is None:
        raise OperatingError(
            f"{found.device} is in doubt about nothing: there is nothing to decide",
            exit_code=Exit.USAGE,
            next_command=f"aimctl devices show {found.device} --fleet {found.fleet}",
        )
    if txn is not None and txn not in {told.prepared, f"{found.fleet}/{told.prepared_seq}"}:
        raise OperatingError(
            f"{found.device} is in doubt about txn {told.prepared_seq} ({told.prepared}), not"
            f" about {txn}",
            exit_code=Exit.USAGE,
            next_command=f"aimctl devices show {found.device} --fleet {found.fleet}",
        )
    return told.prepared


def _refuse_if_known(found: Dossier, txn: TxnId) -> None:
    """
    Refuse a word where the truth is there, or about to be.

    Raises OperatingError: 2 where it is decided, 6 where an owner who is not known to be gone is
    at work on it.
    """
    from orchestrator.protocol import answers

    state, lock = found.found.state, found.found.lock
    decided = answers.decided(state, txn)
    if decided is not None and decided.outcome is not None:
        raise OperatingError(
            f"txn {decided.begun.seq} is decided {decided.outcome.value.upper()}: that is what"
            f" {found.device} must be told, nobody has to decide for it",
            exit_code=Exit.USAGE,
            next_command=f"aimctl recover --fleet {found.fleet}",
        )
    verdict = None if lock.liveness is None else lock.liveness.verdict.value
    at_work = state.reseeding is not None or (
        state.open is not None and state.open.begun.txn == txn
    )
    if at_work and verdict in {"live", "suspect"}:
        raise OperatingError(
            f"{lock.lock.owner} ({verdict}) is at work on it under {lock.id}: wait for its"
            f" decision, or take the lock (aimctl lock force-unlock {lock.id} --dry-run)",
            exit_code=Exit.HOT,
            next_command=f"aimctl status --fleet {found.fleet} --watch",
        )


def _meaning(found: Dossier, txn: TxnId, outcome: Outcome) -> list[str]:
    """Say in words what a heuristic decision means, and what would be better."""
    told, state = found.told, found.found.state
    old = None if told is None else told.version
    new = None if told is None else told.prepared_seq
    commit = outcome.value == "commit"
    version = f"the new version {new}" if commit else f"the old version {old}"
    fate = f"as if txn {txn} were {outcome.value.upper()}"
    lines = [
        f"{found.device} will operate {version} on your word, {fate}",
        "nobody has decided that: other devices may operate another version at the same time",
        "if the journal decides otherwise it is HEURISTIC_MIXED; it obeys the decision then",
        "that is shown until somebody settles it by name: it is never cleared by itself",
    ]
    if found.contradiction is not None or state.reseeding is not None:
        lines.append(f"better: aimctl reseed --fleet {found.fleet} --dry-run")
    elif found.found.lock.lock.owner is not None:
        lines.append(f"better, since the owner is gone: aimctl recover --fleet {found.fleet}")
    return lines
