"""Ask a ticket, look at it, cancel it, ask one candidate again, or the whole ticket."""

from collections.abc import Callable, Collection, Sequence
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
from backend.services.runner import Jobs, Runner
from backend.services.tickets import Redactor, TicketDraft, conversation, ticket_row
from db import queries, queries_operations, queries_queue, queries_ratings
from db.models import Answer, Study, Suggestion, Ticket
from db.queries_retrieval import Found
from replybench.contract import (
    AnswerStatus,
    SuggestionBrief,
    SuggestionCreate,
    SuggestionList,
    SuggestionPublic,
)
from replybench.errors import Conflict, InvalidInput, NotFound
from replybench.prompts import Turn
from replybench.queue_contract import AskingList, AskingPublic

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
        return await self.runner.in_database(work, *arguments)


async def ask(desk: Desk, body: SuggestionCreate, rater_id: UUID) -> SuggestionPublic:
    """Store a ticket and let the candidates answer it; what is returned is already committed."""
    most = len(desk.roster.chosen(body.candidates))
    if not body.text.strip():
        raise InvalidInput("The ticket is empty. Paste what the customer wrote.")
    with desk.runner.room(most):
        public, jobs = await desk.in_database(_store, desk, body, rater_id)
        desk.runner.launch(public.id, jobs)
    return public


def _store(session: Session, desk: Desk, body: SuggestionCreate, rater_id: UUID) -> tuple[SuggestionPublic, Jobs]:
    study = _study_for(session, body.study)
    seats = seats_for(desk, study, body.candidates)
    earlier = tuple(Turn(turn.role, turn.text) for turn in body.earlier)
    draft = TicketDraft(body.subject, body.text, earlier)
    ticket = ticket_row(desk.redactor.ticket(draft), body.source, body.external_id)
    take_in(session, ticket, draft, body.contacts)
    suggestion, jobs = begin(session, desk, study, ticket, seats, rater_id)
    return views.suggestion_for(session, suggestion.id, rater_id), jobs


def take_in(session: Session, ticket: Ticket, draft: TicketDraft, contacts: Collection[str] = ()) -> None:
    """Store a ticket; whose it is (by the draft, where it still stands) stays as keyed hashes alone."""
    session.add(ticket)
    session.flush()
    words = (draft.subject, draft.text, *(turn.text for turn in draft.earlier))
    queries_operations.note_contacts(session, ticket.id, {*contacts, *contacts_in(words)})


def seats_for(desk: Desk, study: Study, keys: Collection[str] | None = None) -> list[Seat]:
    """Return who answers in a study: those named, else the study's own, else the whole lineup.

    Raises:
        Conflict: the lineup in use does not have all of the study's candidates.
        InvalidInput: an unknown candidate was named.
    """
    if keys is None and study.candidates is not None:
        missing = set(study.candidates) - {seat.candidate.key for seat in desk.roster.seats}
        if missing:
            raise Conflict(
                f"The study '{study.name}' compares candidates that the lineup in use does not have "
                f"({', '.join(sorted(missing))}). Change to the study's lineup, or choose another study."
            )
        keys = study.candidates
    return desk.roster.chosen(keys)


def begin(
    session: Session, desk: Desk, study: Study, ticket: Ticket, seats: Sequence[Seat], asked_by: UUID | None
) -> tuple[Suggestion, Jobs]:
    """Store an asking of a stored ticket, its answers waiting; return it with what is to be written."""
    suggestion = Suggestion(
        ticket_id=ticket.id,
        study_id=study.id,
        lineup=desk.roster.lineup.name,
        asked_by=asked_by,
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
    queries.store_suggestion(session, suggestion, answers.values(), desk.runner.lease_s)
    return suggestion, {answers[seat.candidate.key].id: (seat, job_for(seat, ticket, found)) for seat in seats}


def _found(session: Session, desk: Desk, seats: Sequence[Seat], ticket: Ticket) -> list[Found]:
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
    live = desk.runner.live(suggestion_id)
    if live:
        live.touch()
    suggestion = views.suggestion_for(session, suggestion_id, rater_id)
    if live is None and not suggestion.is_complete:
        queries.note_watched(session, suggestion_id, desk.runner.abandon_after_s / 4)
    return suggestion


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
        public, jobs = await desk.in_database(_renew, desk, answer_id, rater_id)
        desk.runner.launch(public.id, jobs)
    return public


async def ask_again(desk: Desk, suggestion_id: UUID, rater_id: UUID) -> SuggestionPublic:
    """Ask the lineup in use the same ticket once more, as a new suggestion of the same study; the old one stays."""
    most = len(desk.roster.chosen(None))
    with desk.runner.room(most):
        public, jobs = await desk.in_database(_again, desk, suggestion_id, rater_id)
        desk.runner.launch(public.id, jobs)
    return public


def _again(session: Session, desk: Desk, suggestion_id: UUID, rater_id: UUID) -> tuple[SuggestionPublic, Jobs]:
    rows = views.load(session, suggestion_id)
    check_open(rows.study)
    if rows.ticket.purged_at is not None:
        raise Conflict("The ticket's text has been removed, so it cannot be asked again.")
    suggestion, jobs = begin(session, desk, rows.study, rows.ticket, seats_for(desk, rows.study), rater_id)
    return views.suggestion_for(session, suggestion.id, rater_id), jobs


def askings(session: Session, suggestion_id: UUID, rater_id: UUID) -> AskingList:
    """Return all askings of a suggestion's ticket, newest first."""
    rows = queries_queue.askings(session, views.load(session, suggestion_id).ticket.id, rater_id)
    return AskingList(askings=[AskingPublic.model_validate(row, from_attributes=True) for row in rows])


def _renew(session: Session, desk: Desk, answer_id: UUID, rater_id: UUID) -> tuple[SuggestionPublic, Jobs]:
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
    fresh_id, job = next_try(session, desk, answer, seat, rows.ticket)
    return views.suggestion_for(session, suggestion.id, rater_id), {fresh_id: (seat, job)}


def next_try(session: Session, desk: Desk, answer: Answer, seat: Seat, ticket: Ticket) -> tuple[UUID, Job]:
    """Put a new waiting answer in the place of one that failed; return its id and what is to be written."""
    fresh = queries.next_attempt(session, answer, desk.runner.worker, desk.runner.lease_s)
    passages = _found(session, desk, [seat], ticket)
    fresh.sources = grounding.as_shown(passages)
    return fresh.id, job_for(seat, ticket, passages)
