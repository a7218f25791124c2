"""What every endpoint has at hand, and the time that a request may take."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeVar

from fastapi import Path
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from orchestrator.errors import Exit
from orchestrator.protocol.types import Epoch, FleetId
from orchestrator.service.locks import parse_lock_id
from orchestrator.service.world import World
from orchestrator.web.fields import FleetName
from orchestrator.web.observer import Facts, Known, Observer
from orchestrator.web.problems import Refusal, other_fleet, unknown_fleet

T = TypeVar("T")

Fleet = Annotated[FleetName, Path(description="The fleet.")]

SOON_S: Final = 10.0
"""How long a request may take that waits for nothing but the store."""


@dataclass(slots=True)
class Counts:
    """What the API itself counts. ``fenced`` are the old epochs that it has refused."""

    fenced: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """The world behind the endpoints."""

    world: World
    known: Known
    observer: Observer
    counts: Counts

    async def facts(self, fleet: str) -> tuple[FleetId, Facts]:
        """Return a fleet that may be asked about. Raises Refusal (404) for any other."""
        name = FleetId(fleet)
        facts = self.known(name)
        if facts is None and name not in await self.world.store.fleets():
            raise unknown_fleet(fleet)
        return name, facts or Facts()

    async def lock(self, fleet: str, lock_id: str) -> tuple[FleetId, Facts, Epoch]:
        """Return the fleet and the epoch that a lock id of it names. Raises Refusal."""
        name, facts = await self.facts(fleet)
        named, epoch = parse_lock_id(lock_id)
        if named != name:
            raise other_fleet(lock_id, fleet)
        return name, facts, epoch


Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def within(limit_s: float) -> type[APIRoute]:
    """Return the class of routes whose handlers end within ``limit_s``, or are refused."""

    class Timed(APIRoute):
        """A route with a time limit."""

        def get_route_handler(self) -> Handler:
            """Return the handler, with its limit around it."""
            handle = super().get_route_handler()

            async def timed(request: Request) -> Response:
                try:
                    async with asyncio.timeout(limit_s):
                        return await handle(request)
                except TimeoutError:
                    raise _too_late(limit_s) from None

            return timed

    return Timed


def _too_late(limit_s: float) -> Refusal:
    return Refusal(
        503,
        "timed-out",
        f"the store did not answer within {limit_s:g} s: whether anything was done is not known",
        exit_code=Exit.UNREACHABLE,
        next_command="aimctl lock list",
    )


# --- clients that wait --------------------------------------------------------------------------


async def while_there(request: Request, work: Coroutine[Any, Any, T]) -> T | None:
    """Await ``work`` for as long as the client waits for it; ``None`` where it has gone."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_goes(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return None if leaving.done() else working.result()
    finally:
        leaving.cancel()
        working.cancel()
        await asyncio.wait({working, leaving})  # it leaves the queue before we go on


async def _goes(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
