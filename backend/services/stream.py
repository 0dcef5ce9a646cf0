"""Follow a suggestion while it is written: from memory where this process writes it, else from the database."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import Row

from backend.services import views
from backend.services.live import LiveSuggestion
from backend.services.suggestions import Desk
from db import queries
from replybench.contract import AnswerChanged, AnswerDelta, AnswerPublic, AnswerStatus

#: How often the database is asked about answers that another process writes, in seconds.
POLL_S = 0.5
#: What is written within so many seconds goes out together: nobody reads faster, and an event for every token of every
#: column would take processor time from the models that write them.
PACE_S = 0.08
#: Before the database is looked at again, so that a disagreement between it and memory is no busy loop.
_PAUSE_S = 0.02


@dataclass(frozen=True, slots=True)
class State:
    """An answer at one moment."""

    id: UUID
    status: AnswerStatus
    text: str


async def events(desk: Desk, suggestion_id: UUID, rater_id: UUID) -> AsyncGenerator[tuple[str, BaseModel | None], None]:
    """Yield (event, data) until every answer has ended: what exists first, then what is added."""
    sent: dict[UUID, int] = {}
    ended: set[UUID] = set()
    async with aclosing(follow(desk, suggestion_id)) as moments:
        async for moment in moments:
            for state in moment:
                start = sent.get(state.id, 0)
                if len(state.text) > start:
                    sent[state.id] = len(state.text)
                    yield "answer.delta", AnswerDelta(answer_id=state.id, offset=start, text=state.text[start:])
            for state in moment:
                if state.status.is_final and state.id not in ended:
                    ended.add(state.id)
                    answer = await _answer(desk, suggestion_id, rater_id, state.id)
                    if answer is not None:
                        name = "answer.done" if answer.status is AnswerStatus.DONE else "answer.failed"
                        yield name, AnswerChanged(answer=answer)
    yield "done", None


async def follow(desk: Desk, suggestion_id: UUID) -> AsyncGenerator[list[State], None]:
    """Yield the states of the current answers whenever they may have changed, until all have ended."""
    while True:
        live = desk.runner.live(suggestion_id)
        rows = await desk.in_database(queries.progress, suggestion_id)
        states = _merged(rows, live)
        yield states
        if all(state.status.is_final for state in states):
            return
        if live is not None and _is_all_here(states, live):
            async with aclosing(_follow_here(live, rows)) as moments:
                async for moment in moments:
                    yield moment
            await asyncio.sleep(_PAUSE_S)
        else:
            await desk.in_database(queries.note_watched, suggestion_id, desk.runner.abandon_after_s / 4)
            await asyncio.sleep(POLL_S)


def _is_all_here(states: list[State], live: LiveSuggestion) -> bool:
    """Whether all that is unfinished is written by this process."""
    return all(state.status.is_final or state.id in live.answers for state in states)


async def _follow_here(live: LiveSuggestion, rows: Sequence[Row[Any]]) -> AsyncGenerator[list[State], None]:
    """Follow memory until it says more than `rows` can show: an answer has ended, or was asked for again."""
    live.join()
    next_at = 0.0  # the first words wait for nothing
    try:
        while True:
            changed = live.changed
            if _is_outdated(rows, live):
                return
            states = _merged(rows, live)
            if any(state.text for state in states):
                next_at = time.monotonic() + PACE_S
            yield states
            await changed.wait()
            await asyncio.sleep(next_at - time.monotonic())
    finally:
        live.leave()


def _is_outdated(rows: Sequence[Row[Any]], live: LiveSuggestion) -> bool:
    ended = {row.id: AnswerStatus(row.status).is_final for row in rows}
    return any(
        not ended.get(answer.id, True) if answer.status.is_final else answer.id not in ended
        for answer in live.answers.values()
    )


def _merged(rows: Sequence[Row[Any]], live: LiveSuggestion | None) -> list[State]:
    states = []
    for row in rows:
        state = State(row.id, AnswerStatus(row.status), row.text)
        here = live.answers.get(row.id) if live else None
        if here is not None and not state.status.is_final and not here.status.is_final:
            state = State(row.id, here.status, here.shown)
        states.append(state)
    return states


async def _answer(desk: Desk, suggestion_id: UUID, rater_id: UUID, answer_id: UUID) -> AnswerPublic | None:
    suggestion = await desk.in_database(views.suggestion_for, suggestion_id, rater_id)
    return next((answer for answer in suggestion.answers if answer.id == answer_id), None)
