"""
Locksmith as an HTTP API: the application that ``aimctl serve`` shows to other programs.

``/api/v1`` asks for the token, to read as well as to change: who holds a lock, and why, is told
to those who may know, as with kubectl and with nomad's ACLs. ``/healthz``, ``/readyz``,
``/metrics`` and ``/openapi.json`` are for probes, scrapers and generators, and need none.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Final

from fastapi import APIRouter, FastAPI, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from orchestrator import __version__
from orchestrator.errors import Exit, OperatingError
from orchestrator.ports import OutcomeUnknown, StoreUnavailable, TransportUnavailable
from orchestrator.protocol.errors import InvariantViolation
from orchestrator.protocol.ready import Level, notice
from orchestrator.service.world import World
from orchestrator.web import holding, metrics, reading, unlocking
from orchestrator.web.api import Api, Counts
from orchestrator.web.documents import Health, Readiness
from orchestrator.web.guards import BODY_BYTES_MAX, LOOPBACK_HOSTS, Guard
from orchestrator.web.observer import Known, Observer
from orchestrator.web.problems import Refusal, answer, encodable, error_response

PREFIX: Final = "/api/v1"
CAUSES_SHOWN: Final = 5

DESCRIPTION: Final = """\
The lock of each fleet, for programs in any language: take it under an epoch, keep it alive, give \
it back; see who holds it and whether they live; ask them, or resolve their lock.

The epoch is a fencing token. Whatever you write under a lock, send its epoch along, and refuse \
what comes with a lower one: a holder that was paused may wake up long after somebody else has \
the lock.
"""

_ALWAYS: Final[dict[int | str, dict[str, Any]]] = {
    400: error_response("The request could not be read."),
    401: error_response("The token is missing or wrong."),
    404: error_response("Nobody knows this fleet, or there is no such path."),
    408: error_response("The body came too slowly."),
    413: error_response(f"The body has more than {BODY_BYTES_MAX} bytes."),
    421: error_response("The server is bound to loopback, and was asked under another name."),
    422: error_response("The request is not as described here."),
    503: error_response("Store or broker can't be reached, or did not answer in time."),
}


def create_app(
    world: World,
    *,
    token: str,
    known: Known,
    observer: Observer,
    hosts: Collection[str] | None = LOOPBACK_HOSTS,
    broken: Callable[[InvariantViolation], None],
) -> FastAPI:
    """
    Make the application; the caller serves it in the event loop of ``world``.

    ``hosts`` are the names under which it may be asked, ``None`` lets every name pass: only for
    a server that is not bound to loopback. ``broken`` is told of an invariant that does not hold:
    the caller must end the process then, nothing may go on after it.
    """
    app = FastAPI(
        title="aimctl serve",
        version=__version__,
        description=DESCRIPTION,
        docs_url=None,  # its pages would load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        separate_input_output_schemas=False,
    )
    api = Api(world=world, known=known, observer=observer, counts=Counts())
    app.include_router(_api_router(api))
    app.include_router(_probes(api))
    _handle_errors(app, world, broken)
    app.add_middleware(Guard, token=token, hosts=hosts)
    return app


def _api_router(api: Api) -> APIRouter:
    """Return everything that needs the token. The guard asks for it; here it is described."""
    bearer = HTTPBearer(
        auto_error=False, scheme_name="token", description="The content of the token file."
    )
    router = APIRouter(prefix=PREFIX, dependencies=[Security(bearer)], responses=_ALWAYS)
    for part in (
        reading.routes(api),
        reading.waiting_routes(api),
        holding.waiting_routes(api),
        holding.routes(api),
        unlocking.waiting_routes(api),
        unlocking.resolving_routes(api),
    ):
        router.include_router(part)
    return router


# --- probes -------------------------------------------------------------------------------------


def _probes(api: Api) -> APIRouter:
    router = APIRouter()

    @router.get("/healthz", operation_id="isHealthy")
    async def healthz() -> Health:
        """Say that the process runs and answers: a failure is a reason to restart it."""
        return Health()

    @router.get(
        "/readyz",
        operation_id="isReady",
        responses={503: {"model": Readiness, "description": "It can't work now."}},
    )
    async def readyz(response: Response) -> Readiness:
        """Say whether store and broker can be reached: a failure is no reason to restart it."""
        reasons = {str(fleet): why for fleet, why in api.observer.not_ready().items()}
        try:
            await api.world.store.fleets()
        except StoreUnavailable:
            reasons["store"] = "the store can't be read"
        if not reasons:
            return Readiness(status="ready")
        response.status_code = 503
        return Readiness(status="not ready", reasons=reasons)

    @router.get(
        "/metrics",
        operation_id="scrapeMetrics",
        response_class=PlainTextResponse,
        responses={200: {"description": "Prometheus' text format."}},
    )
    async def scrape() -> Response:
        """Show the locks, the devices in doubt and the counts, as Prometheus reads them."""
        return Response(await metrics.scrape(api), media_type=metrics.CONTENT_TYPE)

    return router


# --- errors -------------------------------------------------------------------------------------


def _handle_errors(
    app: FastAPI, world: World, broken: Callable[[InvariantViolation], None]
) -> None:
    """Let whatever goes wrong be told in the one error model."""

    async def refused(_request: Request, error: Exception) -> JSONResponse:
        return answer(_as_refusal(error))

    async def unexpected(_request: Request, error: Exception) -> JSONResponse:
        if isinstance(error, InvariantViolation):
            broken(error)
        told = encodable(f"{type(error).__name__}: {error}")
        world.audience.tell(notice(Level.ERROR, "api-unexpected", error=told))
        return answer(OperatingError(f"unexpected: {told}", exit_code=Exit.UNEXPECTED))

    for kind in (
        OperatingError,
        StoreUnavailable,
        OutcomeUnknown,
        TransportUnavailable,
        RequestValidationError,
        HTTPException,
    ):
        app.add_exception_handler(kind, refused)
    app.add_exception_handler(Exception, unexpected)


def _as_refusal(error: Exception) -> OperatingError:
    match error:
        case OperatingError():
            return error
        case RequestValidationError():
            return OperatingError(_causes(error), exit_code=Exit.USAGE)
        case HTTPException():
            return Refusal(
                error.status_code,
                "not-found" if error.status_code == 404 else "refused",  # noqa: PLR2004
                error.detail,
                exit_code=Exit.USAGE,
                headers=error.headers,
            )
        case OutcomeUnknown():
            told = f"the answer of the store was lost: {error}"
            return OperatingError(told, exit_code=Exit.UNKNOWN, next_command="aimctl lock list")
        case _:
            return OperatingError(
                f"store or broker can't be reached: {error}",
                exit_code=Exit.UNREACHABLE,
                next_command="aimctl doctor",
            )


def _causes(error: RequestValidationError) -> str:
    """Say what is wrong, without the input: it may be huge, or a secret in a wrong place."""
    causes = [
        f"{'.'.join(str(part) for part in cause['loc'])}: {cause['msg']}"
        for cause in error.errors()[:CAUSES_SHOWN]
    ]
    return "; ".join(causes)
