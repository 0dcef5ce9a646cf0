"""Ask a ticket, follow the answers, cancel, ask again."""

from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent

from backend.dependencies import DeskDep, RaterDep, SessionDep, SuggestionIdDep
from backend.security.gate import CallerDep
from backend.security.permissions import READ_RESULTS
from backend.services import stream, suggestions
from replybench.contract import SuggestionCreate, SuggestionList, SuggestionPublic
from replybench.queue_contract import AskingList

router = APIRouter(tags=["suggestions"])


@router.post("/api/suggestions", status_code=202)
async def create(body: SuggestionCreate, desk: DeskDep, caller: CallerDep, rater: RaterDep) -> SuggestionPublic:
    """Store a ticket and begin to answer it. Who chooses the candidates knows who answers, so that is for leads."""
    if body.candidates is not None:
        caller.require(READ_RESULTS)
    return await suggestions.ask(desk, body, rater.id)


@router.get("/api/suggestions")
def own(session: SessionDep, rater: RaterDep, limit: Annotated[int, Query(ge=1, le=500)] = 100) -> SuggestionList:
    """Return the caller's own suggestions, newest first."""
    return suggestions.own(session, rater.id, limit)


@router.get("/api/suggestions/{suggestion_id}")
def get(suggestion_id: UUID, desk: DeskDep, session: SessionDep, rater: RaterDep) -> SuggestionPublic:
    """Return a suggestion as it now is, texts that are still being written included."""
    return suggestions.get(session, desk, suggestion_id, rater.id)


@router.get("/api/suggestions/{suggestion_id}/events", response_class=EventSourceResponse)
async def events(suggestion_id: SuggestionIdDep, desk: DeskDep, rater: RaterDep) -> AsyncIterator[ServerSentEvent]:
    """Stream `answer.delta`, `answer.done`, `answer.failed` and, at the end, `done`."""
    async for name, data in stream.events(desk, suggestion_id, rater.id):
        yield ServerSentEvent(event=name, data=data or {})


@router.delete("/api/suggestions/{suggestion_id}")
async def cancel(suggestion_id: UUID, desk: DeskDep, rater: RaterDep) -> SuggestionPublic:
    """End what is unfinished at once."""
    return await suggestions.cancel(desk, suggestion_id, rater.id)


@router.post("/api/suggestions/{suggestion_id}/again", status_code=202)
async def ask_again(suggestion_id: UUID, desk: DeskDep, rater: RaterDep) -> SuggestionPublic:
    """Ask the same ticket once more, of the lineup in use; the earlier answers stay as they are."""
    return await suggestions.ask_again(desk, suggestion_id, rater.id)


@router.get("/api/suggestions/{suggestion_id}/askings")
def askings(suggestion_id: UUID, session: SessionDep, rater: RaterDep) -> AskingList:
    """Return all askings of the suggestion's ticket, newest first."""
    return suggestions.askings(session, suggestion_id, rater.id)


@router.post("/api/answers/{answer_id}/retry", status_code=202)
async def retry(answer_id: UUID, desk: DeskDep, rater: RaterDep) -> SuggestionPublic:
    """Let the candidate of a failed answer write again."""
    return await suggestions.retry(desk, answer_id, rater.id)
