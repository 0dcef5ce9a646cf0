"""The whole OpenAPI, with a valid key, fed with what it allows and what it does not: no 5xx, no broken promise."""

import asyncio
import threading
import time
from collections.abc import Iterator

import httpx
import pytest
import uvicorn
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import openapi
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from backend.main import create_app
from backend.settings import Settings
from tests.operations.conftest import FIRST_KEY, bearer

CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture
def served(settings: Settings) -> Iterator[str]:
    config = uvicorn.Config(create_app(settings), port=0, log_config=None, lifespan="on")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    while not server.started:
        time.sleep(0.05)
    url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    while httpx.get(f"{url}/readyz").status_code != 200:
        time.sleep(0.05)
    yield url
    server.should_exit = True
    thread.join(20)


def test_every_endpoint_keeps_what_the_openapi_promises(served: str) -> None:
    schema = openapi.from_url(f"{served}/openapi.json")
    walked, statuses = 0, set()
    for found in schema.get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()
        for mode in GenerationMode:
            cases = operation.as_strategy(generation_mode=mode)

            @settings(
                max_examples=5, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
            )
            @given(case=cases)
            def check(case: object) -> None:
                nonlocal walked
                response = case.call(headers=bearer(FIRST_KEY, "Olena"), timeout=20)  # type: ignore[attr-defined]
                walked += 1
                statuses.add(response.status_code)
                assert response.status_code < 500, (operation.label, response.text)  # noqa: B023  # called at once
                case.validate_response(response, checks=CHECKS)  # type: ignore[attr-defined]

            try:
                check()
            except Unsatisfiable:  # nothing can be wrong about a request that takes nothing
                assert mode is GenerationMode.NEGATIVE, operation.label
    assert walked > 150
    assert {200, 202, 404, 422} <= statuses
