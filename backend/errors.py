"""Every error leaves the backend in one form, `ErrorPublic` (OpenAI's own under /v1), with the request's id."""

import json
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from backend.logs import REQUEST_ID, log
from replybench.contract import ErrorPublic
from replybench.errors import Busy, ReplybenchError


class OpenAIErrorPublic(BaseModel):
    """The form of an error under /v1."""

    error: dict[str, str | None]


_UNEXPECTED = "Something went wrong on our side. Try again; if it stays, give this id to whoever runs Replybench."
#: OpenAI's names for kinds of errors, by HTTP status.
_OPENAI_TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}
#: What any endpoint with a key may answer besides success, for the OpenAPI.
_MAY_ANSWER = {
    400: "The body cannot be read at all.",
    401: "No valid key.",
    403: "The key or the role does not allow this.",
    404: "There is no such thing, or not for this caller.",
    409: "Not in the present state of the thing.",
    413: "The request is too large.",
    422: "The request cannot be used as it is.",
    429: "No place is free, or the key's limits are reached; Retry-After says when to come again.",
    503: "A part that this needs is away.",
}
#: An error is JSON also where the success is a stream or a file; `model` would take the route's own media type.
_ERROR_CONTENT = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorPublic"}}}
RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": _ERROR_CONTENT} for status, text in _MAY_ANSWER.items()
}
OPENAI_RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "model": OpenAIErrorPublic} for status, text in _MAY_ANSWER.items()
}


def install(app: FastAPI) -> None:
    """Register the handlers."""
    app.add_exception_handler(ReplybenchError, _domain)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, unexpected)


def request_id() -> str | None:
    """Return the id of the request that is being answered."""
    value = structlog.contextvars.get_contextvars().get(REQUEST_ID)
    return str(value) if value else None


def response(
    request: Request, status: int, code: str, message: str, headers: dict[str, str] | None = None
) -> JSONResponse:
    """Return an error in the form that the address's clients know."""
    if request.url.path.startswith("/v1/"):
        status = 400 if status == 422 else status  # OpenAI's clients know no other
        content: dict[str, Any] = {"error": openai_error(status, code, message)}
    else:
        content = ErrorPublic(code=code, message=message, request_id=request_id()).model_dump()
    return JSONResponse(content, status, headers)


def openai_error(status: int, code: str, message: str) -> dict[str, str | None]:
    """Return the inner object of an error as OpenAI's clients expect it."""
    kind = _OPENAI_TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"message": message, "type": kind, "param": None, "code": code}


def openai_error_json(status: int, code: str, message: str) -> str:
    """Return a whole error, as JSON, for a stream that has begun."""
    return json.dumps({"error": openai_error(status, code, message)})


def _domain(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, ReplybenchError):
        raise TypeError("registered for ReplybenchError only") from error
    if error.status_code >= 500:
        log().warning("request_failed", code=error.code, exc_info=error)
    headers = {}
    if isinstance(error, Busy):
        headers["Retry-After"] = str(error.retry_after_s)
    if error.status_code == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return response(request, error.status_code, error.code, error.message, headers)


def _validation(request: Request, error: Exception) -> JSONResponse:
    """Tell where the input is wrong, and never what it was: it may be a customer's text."""
    if not isinstance(error, RequestValidationError):
        raise TypeError("registered for RequestValidationError only") from error
    problems = "; ".join(
        f"{'.'.join(str(part) for part in item['loc'][1:]) or item['loc'][0]}: {_reason(item)}"
        for item in error.errors()[:5]
    )
    return response(request, 422, "invalid_input", f"The request cannot be used as it is. {problems}.")


def _reason(item: Any) -> str:
    # The messages of these kinds hold what was sent (or the pattern, which says nothing to people).
    if item["type"] == "string_pattern_mismatch":
        return "holds a character that cannot be stored (NUL)"
    if item["type"] in {"json_invalid", "value_error", "assertion_error"}:
        return "is not valid" if item["type"] != "json_invalid" else "is not valid JSON"
    return str(item["msg"])


def _http(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise TypeError("registered for HTTPException only") from error
    code = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}.get(error.status_code, "invalid_request")
    messages = {404: "There is nothing at this address.", 405: "This address does not take that method."}
    message = messages.get(error.status_code, str(error.detail))
    return response(request, error.status_code, code, message, dict(error.headers or {}))


def unexpected(request: Request, error: Exception) -> JSONResponse:
    """Tell nothing of the error but its id, and log its type and place."""
    log().error("unexpected_error", exc_info=error)
    return response(request, 500, "internal_error", _UNEXPECTED)
