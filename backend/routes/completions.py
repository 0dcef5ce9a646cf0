"""OpenAI's protocol, so that any OpenAI client, evaluation harness or helpdesk can use the candidates."""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from uuid import uuid4

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from backend import errors
from backend.dependencies import DeskDep
from backend.engines.base import Finished
from backend.logs import log
from backend.services import completions
from replybench.errors import ReplybenchError
from replybench.openai_contract import (
    AnswerMessage,
    ChatCompletion,
    ChatCompletionChunk,
    ChatCompletionRequest,
    Choice,
    ChunkChoice,
    CompletionUsage,
    ModelCard,
    ModelList,
)

router = APIRouter(prefix="/v1", tags=["openai"])


@router.get("/models")
def models(desk: DeskDep) -> ModelList:
    """Return the lineup's candidates as models."""
    seats = desk.roster.seats
    cards = [ModelCard(id=seat.candidate.key, created=int(seat.snapshot.created_at.timestamp())) for seat in seats]
    return ModelList(data=cards)


@router.post("/chat/completions", response_model=ChatCompletion)
async def complete(body: ChatCompletionRequest, desk: DeskDep, request: Request) -> ChatCompletion | StreamingResponse:
    """Let a candidate answer a conversation; with `stream`, as server-sent events."""
    seat, job = completions.job_of(desk.roster, body)
    job = await completions.grounded(desk, job)
    if body.stream:
        items = completions.Completion(seat, job).items()
        first = await anext(items)  # what fails at once still becomes a proper error response
        return StreamingResponse(_events(body, first, items), media_type="text/event-stream")
    text, finished = await completions.whole(seat, job, request.is_disconnected)
    choice = Choice(message=AnswerMessage(content=text), finish_reason=finished.reason)
    return ChatCompletion(
        id=_id(), created=int(time.time()), model=body.model, choices=[choice], usage=_usage(finished)
    )


async def _events(
    body: ChatCompletionRequest, first: str | Finished, items: AsyncGenerator[str | Finished, None]
) -> AsyncGenerator[str, None]:
    """Write chunks as OpenAI does: the role, the pieces, the reason, the usage if wanted, `[DONE]`."""
    head = ChatCompletionChunk(id=_id(), created=int(time.time()), model=body.model, choices=[])

    def chunk(delta: dict[str, str], reason: str | None = None) -> str:
        choice = ChunkChoice.model_validate({"delta": delta, "finish_reason": reason})
        return _line(head.model_copy(update={"choices": [choice]}))

    yield chunk({"role": "assistant", "content": ""})
    async with aclosing(items):
        try:
            item = first
            while not isinstance(item, Finished):
                yield chunk({"content": item})
                item = await anext(items)
        except ReplybenchError as error:
            log().warning("completion_failed", code=error.code)
            yield _data(errors.openai_error_json(error.status_code, error.code, error.message))
            return
    yield chunk({}, item.reason)
    if body.stream_options and body.stream_options.include_usage:
        yield _line(head.model_copy(update={"usage": _usage(item)}))
    yield _data("[DONE]")


def _line(model: BaseModel) -> str:
    return _data(model.model_dump_json())


def _data(text: str) -> str:
    return f"data: {text}\n\n"


def _id() -> str:
    return f"chatcmpl-{uuid4().hex}"


def _usage(finished: Finished) -> CompletionUsage:
    prompt, completion = finished.prompt_tokens or 0, finished.completion_tokens or 0
    return CompletionUsage(prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion)
