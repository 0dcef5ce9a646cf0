"""A provider that speaks OpenAI's protocol over real HTTP, and misbehaves as the name of the model says."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

ANSWER = ["Hello", ", use the ", "link. ", "Привіт! 👍"]


def provider() -> FastAPI:
    """Return the application; `app.state.seen` holds (path, body, headers) of every request."""
    app = FastAPI()
    app.state.seen = []
    app.state.cut_off = 0

    @app.post("/v1/chat/completions")
    async def chat(request: Request) -> Response:
        return await _answer(app, request, chat=True)

    @app.post("/v1/completions")
    async def complete(request: Request) -> Response:
        return await _answer(app, request, chat=False)

    return app


async def _answer(app: FastAPI, request: Request, *, chat: bool) -> Response:
    body = await request.json()
    app.state.seen.append((request.url.path, body, dict(request.headers)))
    model = body["model"]
    if model == "refuses":
        key = request.headers["authorization"].removeprefix("Bearer ")
        return _error(401, f"Incorrect API key provided: {key} or sk-abc123***xyz.", "invalid_api_key")
    if model == "retired":
        return _error(404, "The model `retired` has been deprecated, learn more in the docs.", "model_not_found")
    if model == "busy":
        return _error(429, "Rate limit reached.", "rate_limit_exceeded", {"Retry-After": "17"})
    if model == "echoes":
        return _error(400, f"Cannot handle: {body['messages'][-1]['content']}", "bad")
    if model == "broken-page":
        return Response("<html>Bad gateway</html>", 502)
    if model == "silent":
        await asyncio.sleep(30)
    return StreamingResponse(_stream(app, model, chat=chat), media_type="text/event-stream")


async def _stream(app: FastAPI, model: str, *, chat: bool) -> AsyncIterator[str]:
    try:
        for number, piece in enumerate(ANSWER):
            yield _chunk(chat, piece)
            if model == "slow":
                await asyncio.sleep(0.15)
            if number == 1 and model == "breaks":
                raise ConnectionResetError("the test pulls the plug")
            if number == 1 and model == "ends-early":
                return
            if number == 1 and model == "tells-an-error":
                yield f"data: {json.dumps({'error': {'message': 'The engine died.', 'code': 500}})}\n\n"
                return
        reason = {"long": "length", "filtered": "content_filter"}.get(model, "stop")
        yield _chunk(chat, "", reason)
        usage = {"prompt_tokens": 21, "completion_tokens": 9, "total_tokens": 30}
        last = {"id": "x", "object": "chunk", "created": 1, "model": model, "choices": [], "usage": usage}
        yield f"data: {json.dumps(last)}\n\n"
        yield "data: [DONE]\n\n"
    except asyncio.CancelledError:
        app.state.cut_off += 1
        raise


def _chunk(chat: bool, piece: str, reason: str | None = None) -> str:
    words: dict[str, Any] = {"delta": {"content": piece}} if chat else {"text": piece}
    choice = {"index": 0, "finish_reason": reason, **words}
    return f"data: {json.dumps({'id': 'x', 'object': 'chunk', 'created': 1, 'model': 'm', 'choices': [choice]})}\n\n"


def _error(status: int, message: str, code: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": {"message": message, "type": "error", "code": code}}, status, headers)
