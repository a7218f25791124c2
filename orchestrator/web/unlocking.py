"""The endpoints for everybody else: ask a living holder, or take the lock and resolve."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Body

from orchestrator.errors import Exit, OperatingError
from orchestrator.protocol.types import Epoch, FleetId
from orchestrator.service import asking, locks, reading, resolving
from orchestrator.service.preview import Preview
from orchestrator.service.resolution import Resolution
from orchestrator.service.resolving import Order
from orchestrator.web.api import SOON_S, Api, Fleet, within
from orchestrator.web.documents import AskedDocument, ForceUnlockDocument, HotOrError
from orchestrator.web.observer import Facts
from orchestrator.web.problems import error_response
from orchestrator.web.requests import WAIT_MAX_S, ForceUnlock, Holder, RequestRelease

COMMAND: Final = "serve force-unlock"

STALE: Final = error_response("Stale: the lock id is no longer the lock's, or it is free.")


def waiting_routes(api: Api) -> APIRouter:
    """Return the endpoint that may wait for an answer."""
    router = APIRouter(route_class=within(WAIT_MAX_S + SOON_S))

    @router.post(
        "/locks/{fleet}/request-release",
        operation_id="requestRelease",
        responses={
            409: {
                "model": HotOrError,
                "description": "The holder is a ghost, whom nobody can ask.",
            },
            412: STALE,
        },
    )
    async def request_release(
        fleet: Fleet, asked: Annotated[RequestRelease, Body()]
    ) -> AskedDocument:
        """Ask a living holder to finish or abort, and to release; its answer is logged."""
        name, _, epoch = await api.lock(fleet, asked.lock_id)
        by = None if asked.by is None else asked.by.owner()
        came = await asking.request_release(api.world, name, epoch, asked.reason, asked.wait_s, by)
        return AskedDocument(lock_id=f"{name}@{epoch}", answer=came.answer, free=came.free)

    return router


def resolving_routes(api: Api) -> APIRouter:
    """
    Return the endpoint that resolves.

    It has no time limit but the protocol's own: a resolution that was begun is driven to its end
    whether or not its client still listens.
    """
    router = APIRouter()

    @router.post(
        "/locks/{fleet}/force-unlock",
        operation_id="forceUnlock",
        responses={
            409: {"model": HotOrError, "description": "It can't be resolved now."},
            412: error_response("Stale: somebody was faster, or the lock is free."),
        },
    )
    async def force_unlock(
        fleet: Fleet, order: Annotated[ForceUnlock, Body()]
    ) -> ForceUnlockDocument:
        """
        Take the lock whoever holds it, and resolve: who drives changes, the decision does not.

        What is undecided is aborted in the same write; what is decided COMMIT is driven forward.
        Answers when the lock is free. Of two who do this at once one wins, the other is told
        that the lock id is stale. With `dry_run` it says exactly what it would do.
        """
        name, facts, epoch = await api.lock(fleet, order.lock_id)
        if order.dry_run:
            return await _foresee(api, name, facts, epoch)
        resolution = await resolving.force_unlock(api.world, _order(name, facts, epoch, order))
        return _resolved(resolution)

    return router


def _order(fleet: FleetId, facts: Facts, epoch: Epoch, order: ForceUnlock) -> Order:
    return Order(
        fleet=fleet,
        epoch=epoch,
        reason=order.reason,
        timing=facts.timing,
        members=facts.members,
        config=facts.config,
        command=_command(order.by),
    )


def _command(by: Holder | None) -> str:
    """Return what the new owner, who is this server, is shown to do, and for whom."""
    return COMMAND if by is None else f"{COMMAND} for {by.owner()}"


def _resolved(found: Resolution) -> ForceUnlockDocument:
    """Return what was done. Raises OperatingError where it was not brought to its end."""
    if found.exit_code not in {Exit.DONE, Exit.ACTIVATING}:
        raise OperatingError(
            found.message, exit_code=found.exit_code, next_command=found.next_command
        )
    document = found.document("force-unlock")
    return ForceUnlockDocument.model_validate(
        {**document, "dry_run": False, "exit_code": int(found.exit_code)}
    )


# --- dry run ------------------------------------------------------------------------------------


async def _foresee(api: Api, fleet: FleetId, facts: Facts, epoch: Epoch) -> ForceUnlockDocument:
    """Say exactly what would be done; the devices are asked, nothing is changed."""
    view = await locks.held_lock(api.world, fleet, epoch)
    asked = await reading.status(api.world, fleet, facts.members)
    ahead = Preview(view=view, asked=asked, would=resolving.foresee(view))
    named = {
        "deferred": [name for name, device in asked.devices.items() if device.deferred],
        "quarantined": [name for name, device in asked.devices.items() if device.quarantined],
    }
    return ForceUnlockDocument.model_validate(
        {
            **ahead.document(),
            **named,
            "type": "force-unlock",
            "action": "none",
            "timing_ms": {},
            "next": f"aimctl lock force-unlock {view.id} --reason TEXT --confirm {view.id}",
            "exit_code": int(Exit.DONE),
        }
    )
