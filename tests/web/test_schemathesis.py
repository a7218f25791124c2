"""The API against its own OpenAPI document: whatever a client sends, the document is kept."""

from __future__ import annotations

from typing import Any

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.config import SchemathesisConfig

from orchestrator.web.guards import LOOPBACK_HOSTS
from tests.web.desk import FLEET, TOKEN, Desk

EXAMPLES = 40
ACCEPTED = ["2xx", "401", "403", "404", "409", "412"]
"""What a well-formed request may meet: a foreign owner, no such fleet, HOT, a stale lock id."""


def document(**parameters: str) -> schemathesis.BaseSchema:
    """The document of a server of its own; ``parameters`` are the same in every request."""
    desk = Desk(hosts={*LOOPBACK_HOSTS, "testserver"})
    desk.clock.least_s = 10.0  # who waits in line looks a few times, not hundreds
    config = {
        "auth": {"openapi": {"token": {"bearer": TOKEN}}},
        "checks": {"positive_data_acceptance": {"expected-statuses": ACCEPTED}},
        "generation": {"deterministic": True},
        "parameters": parameters,
    }
    return schemathesis.openapi.from_asgi(
        "/openapi.json", desk.app, config=SchemathesisConfig.from_dict(config)
    )


any_fleet = document()
one_fleet = document(fleet=FLEET)

limits = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@any_fleet.parametrize()
@limits
def test_the_document_is_kept_for_any_fleet(case: schemathesis.Case[Any]) -> None:
    """Status, schema, content type and headers are as described; no 5xx, no way past the token."""
    case.call_and_validate()


@one_fleet.parametrize()
@limits
def test_the_document_is_kept_for_a_fleet_that_exists(case: schemathesis.Case[Any]) -> None:
    """The same behind the check of the fleet: where locks are taken and forced."""
    case.call_and_validate()
