"""``aimctl serve``: the orchestrator that stays, a standby for every lock, and the HTTP API."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Self

from cyclopts import App, Parameter

from orchestrator.cli.context import Context, Given
from orchestrator.cli.files import KnownFleet, chosen_fleets, find_fleet, timing_of
from orchestrator.errors import Exit, OperatingError

if TYPE_CHECKING:  # imported where a command needs them: --help stays quick
    import asyncio
    import socket

    from orchestrator.protocol.errors import InvariantViolation
    from orchestrator.protocol.types import FleetId
    from orchestrator.service.serving import Served
    from orchestrator.service.world import World
    from orchestrator.staging.fleet import FleetFile
    from orchestrator.web.listener import Address
    from orchestrator.web.observer import Facts

LISTEN: Final = "127.0.0.1:8470"

Fleets = Annotated[list[str] | None, Parameter(name="--fleet", negative="")]


def register(app: App) -> None:
    """Add the command."""
    app.command(serve)


async def serve(  # noqa: D417 - the context is no option
    *,
    fleet: Fleets = None,
    listen: str = LISTEN,
    token_file: Path | None = None,
    context: Given,
) -> int:
    r"""
    Stand by for the fleets, and serve the HTTP API, until Ctrl-C or SIGTERM.

    For example:
      aimctl serve --fleet hazard-12.toml
      aimctl serve --fleet hazard-12.toml --fleet yard.toml --listen 127.0.0.1:9000
      curl -H "Authorization: Bearer $(cat ~/.local/state/aimctl/serve-token)" \
        http://127.0.0.1:8470/api/v1/locks

    /openapi.json describes the API; /healthz, /readyz and /metrics need no token.
    SIGTERM ends it with 0, Ctrl-C with 130.

    Parameters
    ----------
    fleet
        A fleet file, or a fleet's name; may be repeated. Fleets of the store are served anyway.
    listen
        HOST:PORT. There is no TLS: beyond loopback put it behind a proxy that has.
    token_file
        Holds the token of the API. Made at the first start, for its owner alone.
    """
    from orchestrator.web.listener import bound, parse_address
    from orchestrator.web.token_file import read_or_make

    address = parse_address(listen)
    files = [find_fleet(text) for text in fleet or ()]
    with bound(address) as (listening, really):
        path = _token_path(token_file)
        token = read_or_make(path)
        async with context.world() as world:
            fleets = (*files, *await _others(world, files))
            _announce(context, really, path, fleets)
            return await _run(world, fleets, listening, really, token)


async def _others(world: World, named: Sequence[KnownFleet]) -> tuple[KnownFleet, ...]:
    """Return the other fleets of the store, each with its file where one is found by its name."""
    known = {one.id for one in named}
    stored = await chosen_fleets(world, None)
    return tuple(_by_file(one.id) or one for one in stored if one.id not in known)


def _token_path(given: Path | None) -> Path:
    from orchestrator.settings import places
    from orchestrator.web.token_file import NAME

    return (places({}, {}).user_state / NAME if given is None else given).absolute()


def _announce(
    context: Context, address: Address, token_file: Path, fleets: Sequence[KnownFleet]
) -> None:
    """Say on stderr where it listens, and where the token is: never what it is."""
    say = context.view.say
    if not address.loopback:
        say(
            f"WARNING   {address.url} is not loopback, and there is no TLS: token and answers can"
            " be read on the way",
            "bold yellow",
        )
    say(f"serve     {', '.join(known.id for known in fleets) or 'no fleet yet'}")
    say(f"api       {address.url}/api/v1, described at {address.url}/openapi.json")
    say(f"token     {token_file}")


# --- running ------------------------------------------------------------------------------------


async def _run(
    world: World,
    fleets: Sequence[KnownFleet],
    listening: socket.socket,
    address: Address,
    token: str,
) -> int:
    import asyncio

    from orchestrator.service.serving import Server
    from orchestrator.service.session import alongside
    from orchestrator.web import listener
    from orchestrator.web.app import create_app
    from orchestrator.web.guards import LOOPBACK_HOSTS

    broken: list[InvariantViolation] = []
    server = Server(
        world, [_served(known.id, known.loaded.file) for known in fleets if known.loaded]
    )
    app = create_app(
        world,
        token=token,
        known=_known(fleets),
        observer=server,
        hosts=LOOPBACK_HOSTS | {address.host} if address.loopback else None,
        broken=lambda error: _end_for(broken, error, task),
    )

    async def both() -> None:
        async with listener.serving(app, listening) as ended:
            await alongside(server.run(), ended)

    task = asyncio.ensure_future(both())
    with _Signals(task=task) as signals, suppress(asyncio.CancelledError):
        await task
    if broken:
        raise broken[0]
    return int(signals.code)


def _end_for(
    broken: list[InvariantViolation], error: InvariantViolation, task: asyncio.Future[None]
) -> None:
    """End the server for an invariant that does not hold."""
    broken.append(error)
    task.cancel()


def _served(fleet: FleetId, file: FleetFile) -> Served:
    """Return a fleet for the server; one without a file it finds in the store by itself."""
    from orchestrator.protocol.types import DeviceId
    from orchestrator.service.serving import Served

    lease = file.timing.enable_lease
    return Served(
        id=fleet,
        timing=timing_of(file.timing),
        members=tuple(DeviceId(device.id) for device in file.device),
        config=file.config,
        lease_s=None if lease == "none" else lease,
    )


def _known(fleets: Sequence[KnownFleet]) -> Callable[[FleetId], Facts | None]:
    """
    Return what is known of a fleet: those that are served, and those that have a file here.

    A file is read once: big ones take a while, and nothing else runs meanwhile.
    """
    found = {known.id: known for known in fleets}

    def facts(fleet: FleetId) -> Facts | None:
        known = found.get(fleet) or _by_file(fleet)
        if known is None:
            return None
        found[fleet] = known
        return _facts(known)

    return facts


def _by_file(fleet: FleetId) -> KnownFleet | None:
    """Return the fleet whose file stands where files are looked for, under its own name."""
    try:
        found = find_fleet(fleet)
    except OperatingError:
        return None
    return found if found.id == fleet else None


def _facts(known: KnownFleet) -> Facts:
    from orchestrator.web.observer import Facts

    config = "" if known.loaded is None else known.loaded.file.config
    return Facts(timing=known.timing, members=known.members, config=config)


@dataclass(slots=True, kw_only=True)
class _Signals:
    """Cancels ``task`` at SIGINT and SIGTERM; ``code`` is how the program then ends."""

    task: asyncio.Future[None]
    code: Exit = field(default=Exit.DONE, init=False)

    def __enter__(self) -> Self:
        """Take the signals over."""
        from asyncio import get_running_loop

        loop = get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._end, Exit.INTERRUPTED)
        loop.add_signal_handler(signal.SIGTERM, self._end, Exit.DONE)
        return self

    def _end(self, code: Exit) -> None:
        self.code = code
        self.task.cancel()

    def __exit__(self, *_exc: object) -> None:
        """Give them back."""
        from asyncio import get_running_loop

        loop = get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            with suppress(ValueError):
                loop.remove_signal_handler(number)
