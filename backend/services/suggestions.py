"""Ask a ticket, look at it, cancel it, ask one candidate again."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

import sqlalchemy
from sqlmodel import Session

from backend.engines.base import Job
from backend.retrieval import grounding
from backend.retrieval.grounding import Librarian
from backend.services import views
from backend.services.keeping import contacts_in
from backend.services.roster import Roster, Seat
from backend.services.runner import Runner
from backend.services.tickets import Redactor, TicketDraft, conversation, ticket_row
from db import queries, queries_operations, queries_ratings
from db.models import Answer, Study, Suggestion, Ticket
from db.queries_retrieval import Found
from db.session import session_scope
from replybench.contract import (
    AnswerStatus,
    SuggestionBrief,
    SuggestionCreate,
    SuggestionList,
    SuggestionPublic,
)
from replybench.errors import Conflict, InvalidInput, NotFound
from replybench.prompts import Turn

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Desk:
    """What the services work with; made once, at the start."""

    database: sqlalchemy.Engine
    roster: Roster
    runner: Runner
    redactor: Redactor
    librarian: Librarian

    async def in_database(self, work: Callable[..., _T], *arguments: Any) -> _T:
        """Run `work(session, *arguments)` in a thread, in a transaction of its own."""

        def run() -> _T:
            with session_scope(self.database) as session:
                return work(session, *arguments)

        return await asyncio.to_thread(run)


async def ask(desk: Desk, body: SuggestionCreate, rater_id: UUID) -> SuggestionPublic:
    """Store a ticket and let the candidates answer it; what is returned is already committed."""
    seats = desk.roster.chosen(body.candidates)
    if not body.text.strip():
        raise InvalidInput("The ticket is empty. Paste what the customer wrote.")
    with desk.runner.room(len(seats)):
        public, jobs = await desk.in_database(_store, desk, body, rater_id, seats)
        desk.runner.launch(public.id, jobs)
    return public


def _store(
    session: Session, desk: Desk, body: SuggestionCreate, rater_id: UUID, seats: list[Seat]
) -> tuple[SuggestionPublic, dict[UUID, tuple[Seat, Job]]]:
    study = _study_for(session, body.study)
    earlier = tuple(Turn(turn.role, turn.text) for turn in body.earlier)
    clean = desk.redactor.ticket(TicketDraft(body.subject, body.text, earlier))
    ticket = ticket_row(clean, body.source, body.external_id)
    suggestion = Suggestion(
        ticket_id=ticket.id,
        study_id=study.id,
        lineup=desk.roster.lineup.name,
        asked_by=rater_id,
        worker=desk.runner.worker,
    )
    found = _found(session, desk, seats, ticket)
    answers = {
        seat.candidate.key: Answer(
            suggestion_id=suggestion.id,
            candidate_id=seat.snapshot.id,
            sources=grounding.as_shown(found if seat.candidate.retrieval else ()),
        )
        for seat in seats
    }
    queries.store_suggestion(session, ticket, suggestion, answers.values(), desk.runner.lease_s)
    words = (body.subject, body.text, *(turn.text for turn in earlier))
    queries_operations.note_contacts(session, ticket.id, {*body.contacts, *contacts_in(words)})
    public = views.suggestion_for(session, suggestion.id, rater_id)
    return public, {answers[seat.candidate.key].id: (seat, job_for(seat, ticket, found)) for seat in seats}


def _found(session: Session, desk: Desk, seats: list[Seat], ticket: Ticket) -> list[Found]:
    """Return the help centre's passages for the ticket, if any of the candidates is grounded."""
    if not any(seat.candidate.retrieval for seat in seats):
        return []
    return desk.librarian.sources_for(session, ticket.subject, conversation(ticket), ticket.language)


def _study_for(session: Session, name: str | None) -> Study:
    study = queries.study_by_name(session, name) if name else queries.open_study(session)
    if study is None:
        if name:
            raise NotFound("There is no study of this name. GET /api/studies names them.")
        raise Conflict("No study is open. Open one before asking tickets.")
    check_open(study)
    return study


def check_open(study: Study) -> None:
    """Raise Conflict unless the study takes tickets and ratings."""
    if study.is_read_only:
        raise Conflict(f"The study '{study.name}' was imported and is read-only. Choose another study.")
    if study.closed_at is not None:
        raise Conflict(f"The study '{study.name}' is closed. Choose another study.")


def job_for(seat: Seat, ticket: Ticket, found: Sequence[Found]) -> Job:
    """Return what the candidate is to do; `found` are the passages for it, if it is grounded."""
    sources = grounding.as_prompt(found) if seat.candidate.retrieval else ()
    return Job(seat.candidate, ticket.subject, conversation(ticket), sources=sources)


def get(session: Session, desk: Desk, suggestion_id: UUID, rater_id: UUID) -> SuggestionPublic:
    """Return a suggestion as this rater sees it."""
    if live := desk.runner.live(suggestion_id):
        live.touch()
    return views.suggestion_for(session, suggestion_id, rater_id)


def own(session: Session, rater_id: UUID, limit: int) -> SuggestionList:
    """Return what this rater has asked or been shown, newest first."""
    rows = queries.own_suggestions(session, rater_id, limit)
    return SuggestionList(suggestions=[SuggestionBrief.model_validate(row, from_attributes=True) for row in rows])


async def cancel(desk: Desk, suggestion_id: UUID, rater_id: UUID) -> SuggestionPublic:
    """End what is unfinished of a suggestion at once; what is done stays."""
    await desk.in_database(_end_as_cancelled, suggestion_id)
    await desk.runner.stop(suggestion_id, AnswerStatus.CANCELLED)
    return await desk.in_database(views.suggestion_for, suggestion_id, rater_id)


def _end_as_cancelled(session: Session, suggestion_id: UUID) -> None:
    views.load(session, suggestion_id)
    queries.end_unfinished(
        session, [suggestion_id], AnswerStatus.CANCELLED, "cancelled", "The writing was cancelled. Ask again."
    )


async def retry(desk: Desk, answer_id: UUID, rater_id: UUID) -> SuggestionPublic:
    """Let the candidate of a failed or cancelled answer write again."""
    desk.roster.chosen(None)
    with desk.runner.room(1):
        fresh_id, suggestion_id, seat, job = await desk.in_database(_renew, desk, answer_id, rater_id)
        desk.runner.launch(suggestion_id, {fresh_id: (seat, job)})
    return await desk.in_database(views.suggestion_for, suggestion_id, rater_id)


def _renew(session: Session, desk: Desk, answer_id: UUID, rater_id: UUID) -> tuple[UUID, UUID, Seat, Job]:
    found = queries.answer_rows(session, answer_id, lock=True)
    if found is None:
        raise NotFound("There is no such answer.")
    answer, suggestion, study = found
    check_open(study)
    if not answer.is_current:
        raise Conflict("This answer has been asked for again already.")
    if answer.status not in {AnswerStatus.FAILED, AnswerStatus.CANCELLED}:
        raise Conflict("Only an answer that failed or was cancelled can be asked for again.")
    rows = views.load(session, suggestion.id)
    ratings = queries_ratings.ratings_of(session, rater_id, [row.answer.id for row in rows.answers])
    if views.may_see_names([row.answer for row in rows.answers], ratings):
        raise Conflict(
            "You have seen who wrote what, so a new answer could not be judged blind. Ask the ticket again instead."
        )
    seat = desk.roster.by_snapshot(answer.candidate_id)
    if seat is None:
        raise Conflict("This model is no longer in the lineup. Ask the ticket again instead.")
    fresh = queries.next_attempt(session, answer, desk.runner.worker, desk.runner.lease_s)
    passages = _found(session, desk, [seat], rows.ticket)
    fresh.sources = grounding.as_shown(passages)
    return fresh.id, suggestion.id, seat, job_for(seat, rows.ticket, passages)
