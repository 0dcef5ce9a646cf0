"""What one rater gets to see of a suggestion: blind until they have judged all of it.

A rater sees the candidates as slots in an order of their own, shuffled at the first showing and stored, so that
the influence of the position can be measured.
"""

import re
from collections.abc import Sequence
from random import SystemRandom
from urllib.parse import urlsplit
from uuid import UUID

from sqlmodel import Session

from db import queries, queries_ratings
from db.models import Answer, Candidate, Rating
from db.queries import AnswerRow, SuggestionRows
from replybench.contract import (
    SLOTS,
    AnswerPublic,
    AnswerStatus,
    CandidatePublic,
    ErrorPublic,
    RatingPublic,
    SourcePublic,
    SuggestionPublic,
    TicketPublic,
)
from replybench.errors import NotFound

_random = SystemRandom()
_ADDRESS = re.compile(r"https?://\S+")


def load(session: Session, suggestion_id: UUID) -> SuggestionRows:
    """Return the rows of a suggestion.

    Raises:
        NotFound: there is none.
    """
    rows = queries.suggestion_rows(session, suggestion_id)
    if rows is None:
        raise NotFound("There is no such suggestion.")
    return rows


def suggestion_for(session: Session, suggestion_id: UUID, rater_id: UUID) -> SuggestionPublic:
    """Return a suggestion as this rater sees it.

    Raises:
        NotFound: there is none.
    """
    rows = load(session, suggestion_id)
    slots = slots_for(session, rows, rater_id)
    ratings = queries_ratings.ratings_of(session, rater_id, [row.answer.id for row in rows.answers])
    is_revealed = may_see_names([row.answer for row in rows.answers], ratings)
    answers = [
        _answer(row, slots[row.candidate.id], ratings.get(row.answer.id), is_revealed=is_revealed)
        for row in sorted(rows.answers, key=lambda row: slots[row.candidate.id])
    ]
    return SuggestionPublic(
        id=rows.suggestion.id,
        ticket=TicketPublic.model_validate(rows.ticket, from_attributes=True),
        study=rows.study.name,
        created_at=rows.suggestion.created_at,
        answers=answers,
        is_complete=all(AnswerStatus(row.answer.status).is_final for row in rows.answers),
        is_revealed=is_revealed,
    )


def slots_for(session: Session, rows: SuggestionRows, rater_id: UUID) -> dict[UUID, str]:
    """Return candidate id → slot for this rater, shuffling at the first showing."""
    shuffled = [row.candidate.id for row in rows.answers]
    _random.shuffle(shuffled)
    order = queries.presentation(session, rows.suggestion.id, rater_id, shuffled)
    return {candidate_id: SLOTS[index] for index, candidate_id in enumerate(order)}


def may_see_names(answers: Sequence[Answer], ratings: dict[UUID, Rating]) -> bool:
    """Return whether a rater with these ratings has judged all that there is to judge."""
    done = [answer for answer in answers if answer.status == AnswerStatus.DONE]
    unfinished = any(not AnswerStatus(answer.status).is_final for answer in answers)
    return bool(done) and not unfinished and all(answer.id in ratings for answer in done)


def rating_public(rating: Rating) -> RatingPublic:
    """Return a rating for the one who made it."""
    return RatingPublic.model_validate(rating, from_attributes=True)


def candidate_public(candidate: Candidate) -> CandidatePublic:
    """Return who wrote an answer."""
    return CandidatePublic.model_validate(candidate, from_attributes=True)


def _answer(row: AnswerRow, slot: str, rating: Rating | None, *, is_revealed: bool) -> AnswerPublic:
    answer = row.answer
    error = None
    if answer.error_code:
        message = answer.error_message or ""
        shown = message if is_revealed else nameless(message, row.candidate)
        error = ErrorPublic(code=answer.error_code, message=shown)
    return AnswerPublic(
        id=answer.id,
        slot=slot,
        status=answer.status,
        text=answer.text,
        error=error,
        cut=answer.cut,
        sources=[SourcePublic.model_validate(source) for source in answer.sources],
        completion_tokens=answer.completion_tokens if is_revealed else None,
        candidate=candidate_public(row.candidate) if is_revealed else None,
        rating=rating_public(rating) if rating else None,
    )


def nameless(message: str, candidate: Candidate) -> str:
    """Return an error's words without what tells the candidate: names, models, addresses."""
    message = _ADDRESS.sub("…", message)
    settings = candidate.settings
    host = urlsplit(settings.get("base_url") or "").netloc
    names = [candidate.name, candidate.base, candidate.adapter, settings.get("model"), candidate.key, host]
    for name in sorted({name for name in names if name}, key=len, reverse=True):
        message = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "this model", message, flags=re.IGNORECASE)
    return re.sub(r"\bOpenAI(?:'s)?\b", "the provider", message, flags=re.IGNORECASE)
