"""What wraps every request: an id for logs and errors, a bound on its size, one log line, no lost exception."""

import re
import time
from uuid import uuid4

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend import errors, metrics
from backend.logs import REQUEST_ID, log

_GIVEN_ID = re.compile(r"^[A-Za-z0-9._-]{8,64}$")


class RequestScope:
    """Pure ASGI, so that streams pass through untouched and are cancelled when the client goes."""

    def __init__(self, app: ASGIApp, max_body_bytes: int) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes

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
            if _declared_length(scope) > self._max_body_bytes:
                words = _too_large(self._max_body_bytes)
                await errors.response(Request(scope), 413, "too_large", words)(scope, receive, send_with_id)
            else:
                await self._app(scope, _bounded(receive, self._max_body_bytes), send_with_id)
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


def _declared_length(scope: Scope) -> int:
    declared = Headers(scope=scope).get("content-length", "")
    return int(declared) if declared.isdecimal() else 0


def _bounded(receive: Receive, limit: int) -> Receive:
    """Return a `receive` that counts, for bodies that come without a declared length."""
    seen = 0

    async def bounded() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            raise HTTPException(413, _too_large(limit))
        return message

    return bounded


def _too_large(limit: int) -> str:
    return f"The request is larger than {limit} bytes. Nothing was stored."
