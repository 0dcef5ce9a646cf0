"""What wraps every request: an id for logs and errors, one log line, no lost exception."""

import re
import time
from uuid import uuid4

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend import errors, metrics
from backend.logs import REQUEST_ID, log

_GIVEN_ID = re.compile(r"^[A-Za-z0-9._-]{8,64}$")


class RequestScope:
    """Pure ASGI, so that streams pass through untouched and are cancelled when the client goes."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _GIVEN_ID.match(given) else uuid4().hex
        with structlog.contextvars.bound_contextvars(**{REQUEST_ID: request_id}):
            await self._answer(scope, receive, send, request_id)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        began, status = time.perf_counter(), 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception as error:
            if status:
                raise  # the response has begun; the server closes the connection, which tells the client
            await errors.unexpected(Request(scope), error)(scope, receive, send_with_id)
        finally:
            if scope["path"] not in {"/healthz", "/readyz"}:
                route = getattr(scope.get("route"), "path", "unknown")
                took = round((time.perf_counter() - began) * 1000)
                metrics.request_ended(scope["method"], route, status, time.perf_counter() - began)
                log().info("request", method=scope["method"], route=route, status=status, took_ms=took)
