"""``aimctl recover``: the locks of ghosts, and the devices that wait for a decision."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cyclopts import App

from orchestrator.cli.context import Context, Given
from orchestrator.cli.files import KnownFleet, chosen_fleets
from orchestrator.cli.text import some, state_cell
from orchestrator.cli.view import Screen
from orchestrator.errors import Exit, OperatingError

if TYPE_CHECKING:  # imported where a command needs them: --help stays quick
    from orchestrator.protocol.records import Verb
    from orchestrator.protocol.types import Epoch, FleetId
    from orchestrator.service.resolution import Resolution
    from orchestrator.service.resolving import Order
    from orchestrator.service.world import World


def register(app: App) -> None:
    """Add the command."""
    app.command(recover)


async def recover(  # noqa: D417 - the context is no option
    *,
    fleet: str | None = None,
    context: Given,
) -> int:
    """
    Resolve the locks of ghosts, and answer devices that wait for a decision.

    For example:
      aimctl recover
      aimctl recover --fleet hazard-12

    A living owner's lock is never taken: that ends HOT (6). Exits with 5 when
    devices have still not followed: run it again when they are back.

    Parameters
    ----------
    fleet
        A fleet file, or a fleet's name; all fleets of the store unless given.
    """
    async with context.world(reading=context.store_is_missing()) as world:
        fleets = await chosen_fleets(world, fleet)
        if len(fleets) == 1:
            return await _recover_one(context, world, fleets[0])
        return await _recover_all(context, world, fleets)


def order_of(known: KnownFleet, verb: Verb, reason: str = "", epoch: Epoch | None = None) -> Order:
    """Return the order to resolve a fleet's lock, with what its file says."""
    from orchestrator.protocol.records import Verb
    from orchestrator.protocol.types import Epoch
    from orchestrator.service.resolving import Order

    of_a_lock = verb in {Verb.FORCE_UNLOCK, Verb.BREAK_GLASS}
    return Order(
        fleet=known.id,
        epoch=Epoch() if epoch is None else epoch,
        reason=reason,
        timing=known.timing,
        members=known.members,
        config="" if known.loaded is None else known.loaded.file.config,
        verb=verb,
        command=f"lock {verb}" if of_a_lock else verb.value,
    )


async def _recover_one(context: Context, world: World, known: KnownFleet) -> int:
    from orchestrator.protocol.records import Verb
    from orchestrator.service.resolving import recover as run

    with left_alone(known.id):
        resolution = await run(world, order_of(known, Verb.RECOVER))
    return show_resolution(context, resolution, "recover")


async def _recover_all(context: Context, world: World, fleets: Sequence[KnownFleet]) -> int:
    """Recover one after the other; a fleet that can't be is told and does not stop the rest."""
    from orchestrator.protocol.records import Verb
    from orchestrator.service.resolving import recover as run

    codes: list[Exit] = []
    documents: list[dict[str, Any]] = []
    resolutions: list[Resolution] = []
    for known in fleets:
        try:
            with left_alone(known.id):
                resolution = await run(world, order_of(known, Verb.RECOVER))
        except OperatingError as error:
            codes.append(error.exit_code)
            context.view.say(f"ERROR: {error.message}", "bold red")
            document = error.document or {"type": "error", "message": error.message}
            documents.append({**document, "fleet": known.id, "exit_code": int(error.exit_code)})
            continue
        codes.append(resolution.exit_code)
        resolutions.append(resolution)
        documents.append({**resolution.document("recover"), "exit_code": int(codes[-1])})
    code = next((code for code in codes if code is not Exit.DONE), Exit.DONE)

    def text(screen: Screen) -> None:
        if not fleets:
            screen.line("no fleet is known: there is nothing to recover")
        for resolution in resolutions:
            _show_end(screen, resolution)

    context.view.show({"type": "recoveries", "fleets": documents, "exit_code": int(code)}, text)
    return int(code)


@contextmanager
def left_alone(fleet: FleetId, command: str = "recover") -> Iterator[None]:
    """
    Say what a Ctrl-C during a resolution leaves behind: a lock that is being resolved.

    ``command`` goes on with it.
    """
    from asyncio import CancelledError

    try:
        yield
    except CancelledError:
        raise OperatingError(
            f"interrupted: the lock of {fleet} may be left half resolved, which is safe",
            exit_code=Exit.UNKNOWN,
            next_command=f"aimctl {command} --fleet {fleet}",
        ) from None


# --- showing ----------------------------------------------------------------------------------


def show_resolution(context: Context, found: Resolution, kind: str) -> int:
    """Show what became of a lock and its transaction; return the exit code."""
    document: dict[str, Any] = {**found.document(kind), "exit_code": int(found.exit_code)}
    if kind != "recover":
        document |= {"dry_run": False}
    context.view.show(document, lambda screen: _show_end(screen, found))
    if found.next_command is not None:
        context.view.say(f"next      {found.next_command}")
    return int(found.exit_code)


def _show_end(screen: Screen, found: Resolution) -> None:
    done = found.exit_code is Exit.DONE
    screen.line(
        f"{'✔' if done else '◐'} fleet {found.fleet}: {found.message}",
        "bold green" if done else "bold yellow",
    )
    if found.quarantined:
        names = some(found.quarantined, len(found.quarantined))
        screen.line(f"quarantined: {names}. Not enabled until they have re-joined", "yellow")
    odd = [(name, word) for name, word in found.devices.items() if word != "active"]
    if odd:
        screen.table(("device", "state"), [(name, state_cell(word)) for name, word in odd])
