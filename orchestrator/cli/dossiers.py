"""One device: found by its id, shown whole, and what helps it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from orchestrator.cli.files import KnownFleet, chosen_fleets, known_fleet
from orchestrator.cli.text import or_dash, rfc3339, short_digest, state_cell
from orchestrator.cli.view import Screen
from orchestrator.errors import Exit, OperatingError

if TYPE_CHECKING:  # imported where a command needs them: --help stays quick
    from orchestrator.protocol.types import DeviceId
    from orchestrator.service.dossier import Dossier
    from orchestrator.service.world import World


async def find_device(world: World, device: str, fleet: str | None) -> tuple[KnownFleet, Dossier]:
    """
    Find a device in the fleet that was named, or in the one of the store that has it.

    Raises OperatingError (wrong use) where none has it, or several have.
    """
    from orchestrator.protocol.types import DeviceId
    from orchestrator.service.dossier import open_dossier

    name = DeviceId(device)
    chosen = [await with_file(world, one) for one in await chosen_fleets(world, fleet)]
    having = [known for known in chosen if await _has(world, known, name)]
    if len(having) != 1:
        raise _not_one(device, fleet, [known.id for known in having])
    known = having[0]
    return known, await open_dossier(world, known.id, name, known.members)


async def _has(world: World, known: KnownFleet, device: DeviceId) -> bool:
    from orchestrator.service.locks import read_fleet
    from orchestrator.service.reading import known_devices

    return device in known_devices(await read_fleet(world, known.id), known.members)


def _not_one(device: str, fleet: str | None, having: Sequence[str]) -> OperatingError:
    if having:
        return OperatingError(
            f"{device} is a device of several fleets: {', '.join(having)}. Name one with --fleet",
            exit_code=Exit.USAGE,
            next_command=f"aimctl devices show {device} --fleet {having[0]}",
        )
    where = "no fleet of this store" if fleet is None else f"fleet {fleet} has no device {device}"
    why = f"{where} has a device {device}" if fleet is None else where
    return OperatingError(why, exit_code=Exit.USAGE, next_command="aimctl devices list")


async def with_file(world: World, known: KnownFleet) -> KnownFleet:
    """Return the fleet with its file, where one stands where it is looked for; else as it is."""
    if known.loaded is not None:
        return known
    try:
        found = await known_fleet(world, known.id)
    except OperatingError:  # a file that nobody has named keeps nobody from looking
        return known
    return found if found.id == known.id else known


def next_step(found: Dossier) -> str | None:
    """Return what helps this device; ``None`` where nothing has to be done."""
    if found.contradiction is not None:
        return f"aimctl reseed --fleet {found.fleet} --dry-run"
    if found.retired is not None:
        return None
    if found.found.lock.lock.owner is not None and found.word.value != "active":
        return "aimctl doctor"
    if found.heuristic is not None and found.word.value == "active":
        return f"aimctl devices settle {found.device} --fleet {found.fleet} --reason TEXT"
    waits = found.deferred or found.quarantined_since is not None
    if waits or found.word.value in {"in-doubt", "holding"}:
        return f"aimctl recover --fleet {found.fleet}"
    return None


def show_dossier(screen: Screen, found: Dossier, kind: str | None) -> None:
    """Write all that is known of a device, the journal's side first."""
    screen.line(
        f"device {found.device} of fleet {found.fleet}   {kind or 'kind not known'}", "bold"
    )
    for name, line, style in [*_journal_lines(found), *_own_lines(found)]:
        screen.line(f"{name:<9} {line}", style)


def _journal_lines(found: Dossier) -> list[tuple[str, str, str]]:
    """Return what the journal has of it: name, words, style."""
    state = found.found.state
    part = "excused" if found.excused else "member" if found.member else "no member"
    digest = short_digest(found.digest)
    lines = [("fleet", f"version {state.version}, {part} of it, configuration {digest}", "")]
    for txn in found.deferred:
        outcome = "undecided" if txn.outcome is None else txn.outcome.value.upper()
        lines.append(
            ("deferred", f"on txn {txn.begun.seq} ({txn.begun.txn}): {outcome}", "yellow")
        )
    if found.quarantined_since is not None:
        since = rfc3339(found.quarantined_since)
        lines.append(
            ("quarantine", f"since {since}: not enabled until it has re-joined", "yellow")
        )
    if state.lease_s is not None:
        until = (
            "none was issued" if found.horizon is None else f"none beyond {rfc3339(found.horizon)}"
        )
        lines.append(("lease", f"of {state.lease_s:g} s; {until}", ""))
    retired = found.retired
    if retired is not None:
        at = "" if found.retired_at is None else f", {rfc3339(found.retired_at)}"
        lines.append(("retired", f"by {retired.by}{at}: {retired.reason}", "yellow"))
    return lines + _word_lines(found)


def _word_lines(found: Dossier) -> list[tuple[str, str, str]]:
    """Return the word of a person for it, and how that agrees with the journal."""
    word = found.heuristic
    if word is None:
        return []
    agreement = found.agreement or ""
    mixed = agreement.startswith("HEURISTIC_MIXED")
    at = "" if found.heuristic_at is None else f" at {rfc3339(found.heuristic_at)}"
    said_by = f"{word.outcome.value.upper()} of {word.txn} by {word.by}{at}: {word.reason}"
    style = "bold red" if mixed else "yellow"
    return [("heuristic", said_by, style), ("", agreement, style)]


def _own_lines(found: Dossier) -> list[tuple[str, str, str]]:
    """Return its own last word, and when that came."""
    if found.contradiction is not None:
        against = f"{found.contradiction}: the store was rolled back, or is not this fleet's"
        return [("AGAINST", against, "bold red"), *_state_lines(found)]
    return _state_lines(found)


def _state_lines(found: Dossier) -> list[tuple[str, str, str]]:
    told, word = found.told, found.word.value
    sign, style = state_cell(word)
    if told is None:
        why = found.found.why
        silent = f"it could not be asked: {why}" if why is not None else "it was not heard"
        return [("state", f"{sign}: {silent}", style)]
    heard = "" if found.evidence.at is None else f", heard at {rfc3339(found.evidence.at)}"
    lines = [
        ("state", f"{sign}{heard}", style),
        ("version", f"{told.version}, operating {or_dash(told.operating)}", ""),
        ("file", short_digest(told.digest), ""),
        ("seen", f"txn {told.last_seq}, epoch {told.max_epoch}", ""),
    ]
    if told.prepared is not None:
        lines.append(("in doubt", f"about txn {told.prepared_seq} ({told.prepared})", "yellow"))
    if told.heuristic is not None:
        lines.append(("acts", f"as if that were {told.heuristic.value.upper()}", "yellow"))
    lines += [("holds", why, "yellow") for why in told.holds]
    if told.clock_error_s is not None:
        lines.append(("clock", f"known to {told.clock_error_s * 1e3:.1f} ms", ""))
    return lines
