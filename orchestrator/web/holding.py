"""The endpoints of a holder: acquire, renew, release."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Body
from starlette.requests import Request

from orchestrator.errors import Exit, OperatingError
from orchestrator.protocol import lease
from orchestrator.protocol.fleet import FleetState, Lock
from orchestrator.protocol.records import Answer, LockState, Record
from orchestrator.protocol.types import Epoch, FleetId, Owner
from orchestrator.service import holding, locks
from orchestrator.service.holding import Want
from orchestrator.service.locks import Held
from orchestrator.service.parts import RequestPart
from orchestrator.service.results import LockView
from orchestrator.web.api import SOON_S, Api, Fleet, while_there, within
from orchestrator.web.documents import (
    AcquiredDocument,
    HotOrError,
    ReleasedDocument,
    RenewedDocument,
)
from orchestrator.web.problems import Refusal, error_response, gone
from orchestrator.web.requests import WAIT_MAX_S, Acquire, Release, Renew

NOT_YOURS: dict[int | str, dict[str, Any]] = {
    403: error_response("The lock is held by somebody else under that very epoch."),
    412: error_response("Fenced, or stale: the lock id is no longer the lock's."),
}


def waiting_routes(api: Api) -> APIRouter:
    """Return the endpoint that may wait in line."""
    router = APIRouter(route_class=within(WAIT_MAX_S + SOON_S))

    @router.post(
        "/locks/{fleet}/acquire",
        operation_id="acquireLock",
        responses={
            409: {
                "model": HotOrError,
                "description": "Somebody else has it, or the queue is full.",
            }
        },
    )
    async def acquire(
        fleet: Fleet, wish: Annotated[Acquire, Body()], request: Request
    ) -> AcquiredDocument:
        """
        Take the lock, in turn.

        It is granted to exactly one, under an epoch that no other grant ever has. Who can't
        have it is told who does, whether that one lives, and the ways out. Calling again after a
        lost answer finds the lock held by oneself: `lock.id` in the answer is then one's own.
        """
        name, facts = await api.facts(fleet)
        owner = wish.holder.owner()
        granted: list[Held] = []
        want = Want(
            purpose=wish.purpose,
            wait_s=wish.wait_s or None,
            owner=owner,
            on_grant=granted.append,
        )
        try:
            found = await while_there(request, holding.acquire(api.world, name, want))
        except asyncio.CancelledError:
            await holding.undo(api.world, granted)
            raise
        if found is None:
            await holding.undo(api.world, granted)
            raise gone()
        if isinstance(found, LockView):
            raise locks.hot(found, facts.config or fleet)
        return _acquired(found)

    return router


def routes(api: Api) -> APIRouter:
    """Return the endpoints of whoever holds a lock."""
    router = APIRouter(route_class=within(SOON_S))

    @router.post("/locks/{fleet}/renew", operation_id="renewLock", responses=NOT_YOURS)
    async def renew(fleet: Fleet, beat: Annotated[Renew, Body()]) -> RenewedDocument:
        """
        Renew the lease of a lock that one holds; every few seconds.

        The answer tells of a request for release. Who is fenced must stop at once: somebody else
        works under a higher epoch.
        """
        name, _, epoch = await api.lock(fleet, beat.lock_id)
        owner = beat.holder.owner()
        lock = await _own(api, name, epoch, owner)
        with _counted(api):
            await holding.renew(api.world, name, epoch, owner)
        if beat.answer is not None:
            lock = await _answer(api, name, epoch, owner)
        return RenewedDocument(
            lock_id=f"{name}@{epoch}",
            ttl_s=lease.LEASE_TTL_S,
            renew_every_s=lease.RENEW_EVERY_S,
            release_requested=_request(lock),
        )

    @router.post(
        "/locks/{fleet}/release",
        operation_id="releaseLock",
        responses={
            **NOT_YOURS,
            409: error_response("A transaction is open under the lock: it is not freed."),
        },
    )
    async def release(fleet: Fleet, end: Annotated[Release, Body()]) -> ReleasedDocument:
        """Give the lock back: its owner alone may, and only while no transaction is open."""
        name, _, epoch = await api.lock(fleet, end.lock_id)
        owner = end.holder.owner()
        await _own(api, name, epoch, owner)
        with _counted(api):
            state = await holding.release(api.world, name, epoch, owner)
        now = state.lock.epoch
        return ReleasedDocument(fleet=name, epoch=now.number, incarnation=now.incarnation)

    return router


# --- acquire ------------------------------------------------------------------------------------


def _acquired(held: Held) -> AcquiredDocument:
    return AcquiredDocument(
        lock_id=f"{held.state.fleet}@{held.epoch}",
        fleet=held.state.fleet,
        epoch=held.epoch.number,
        incarnation=held.epoch.incarnation,
        ttl_s=lease.LEASE_TTL_S,
        renew_every_s=lease.RENEW_EVERY_S,
        stop_after_s=lease.STOP_SELF_AFTER_S,
    )


# --- the owner alone ----------------------------------------------------------------------------


async def _own(api: Api, fleet: FleetId, epoch: Epoch, owner: Owner) -> Lock:
    """Return the lock if it is ``owner``'s under ``epoch``. Raises Refusal or fenced (7)."""
    state = await locks.read_fleet(api.world, fleet)
    lock = state.lock
    if lock.state is LockState.FREE or lock.epoch != epoch:
        api.counts.fenced += 1
        raise holding.fenced(state, epoch, owner)
    if lock.owner != owner:
        raise Refusal(
            403,
            "foreign-owner",
            f"{fleet}@{epoch} is held by {lock.owner}; you said that you are {owner}",
            exit_code=Exit.HOT,
            next_command=f"aimctl lock request-release {fleet}@{epoch} --reason TEXT",
        )
    return lock


@contextmanager
def _counted(api: Api) -> Iterator[None]:
    """Count the old epochs that are refused between our look and the store's."""
    try:
        yield
    except OperatingError as error:
        api.counts.fenced += error.exit_code is Exit.FENCED
        raise


async def _answer(api: Api, fleet: FleetId, epoch: Epoch, owner: Owner) -> Lock:
    """Log that the holder finishes first; nothing where nobody has asked, or it has answered."""

    def rule(state: FleetState) -> tuple[Record, ...]:
        mine = state.lock.epoch == epoch and state.lock.owner == owner
        return lease.answer(state, owner, Answer.FINISH) if mine else ()

    return (await locks.change(api.world, fleet, rule)).lock


def _request(lock: Lock) -> RequestPart | None:
    asked, answered = lock.release_requested, lock.release_answered
    if asked is None:
        return None
    given = None if answered is None else answered.answer
    return RequestPart(by=str(asked.by), reason=asked.reason, answer=given)
