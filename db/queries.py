"""SQL for studies, raters, candidates, tickets, suggestions and answers. Nothing here commits."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col

from db.models import (
    Answer,
    Candidate,
    Presentation,
    Rater,
    Rating,
    Study,
    Suggestion,
    Ticket,
    now,
)
from replybench.contract import AnswerStatus

UNFINISHED = (AnswerStatus.WAITING, AnswerStatus.WRITING)
INTERRUPTED = "interrupted"


def ping(session: Session) -> None:
    """Raise if the database does not answer or is not migrated."""
    session.execute(text("SELECT 1 FROM suggestion LIMIT 1"))


# --- studies, raters, candidates


def add_study_if_new(session: Session, study: Study) -> None:
    """Store `study` unless one of its name is there (of two processes that start together, one does)."""
    values = study.model_dump()
    session.execute(insert(Study).values(**values).on_conflict_do_nothing(index_elements=["name"]))


def studies(session: Session) -> Sequence[Study]:
    """Return all studies, newest first."""
    return session.scalars(select(Study).order_by(col(Study.created_at).desc())).all()


def study_by_name(session: Session, name: str) -> Study | None:
    """Return a study."""
    return session.scalars(select(Study).where(col(Study.name) == name)).one_or_none()


def open_study(session: Session) -> Study | None:
    """Return the study that takes tickets which name none: of the open ones, the one opened last."""
    return session.scalars(
        select(Study)
        .where(col(Study.closed_at).is_(None), col(Study.is_read_only).is_(False))
        .order_by(col(Study.opened_at).desc().nulls_last(), col(Study.created_at).desc())
        .limit(1)
    ).one_or_none()


def rater(session: Session, name: str, name_key: str) -> Rater:
    """Return the rater of this key, made now if there is none."""
    known = select(Rater).where(col(Rater.name_key) == name_key)
    found = session.scalars(known).one_or_none()
    if found is None:
        values = Rater(name=name, name_key=name_key).model_dump()
        session.execute(insert(Rater).values(**values).on_conflict_do_nothing(index_elements=["name_key"]))
        found = session.scalars(known).one()
    return found


def pin_candidate(session: Session, candidate: Candidate) -> Candidate:
    """Return the stored snapshot with this fingerprint, storing it if it is new."""
    values = candidate.model_dump()
    session.execute(insert(Candidate).values(**values).on_conflict_do_nothing(index_elements=["fingerprint"]))
    return session.scalars(select(Candidate).where(col(Candidate.fingerprint) == candidate.fingerprint)).one()


# --- tickets and suggestions


def store_suggestion(session: Session, suggestion: Suggestion, answers: Iterable[Answer], lease_s: float) -> None:
    """Store an asking of a stored ticket, with all answers waiting and this process's lease."""
    session.add(suggestion)
    session.flush()
    session.add_all(answers)
    session.flush()
    _renew(session, [suggestion.id], lease_s)


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """An answer with what shows who wrote it."""

    answer: Answer
    candidate: Candidate


@dataclass(frozen=True, slots=True)
class SuggestionRows:
    """A suggestion with all that is shown with it. `answers` are the current ones, in no meaningful order."""

    suggestion: Suggestion
    ticket: Ticket
    study: Study
    answers: list[AnswerRow]


def suggestion_rows(session: Session, suggestion_id: UUID) -> SuggestionRows | None:
    """Return a suggestion with its ticket, study and current answers."""
    found = session.execute(
        select(Suggestion, Ticket, Study)
        .join(Ticket, col(Ticket.id) == col(Suggestion.ticket_id))
        .join(Study, col(Study.id) == col(Suggestion.study_id))
        .where(col(Suggestion.id) == suggestion_id)
    ).one_or_none()
    if found is None:
        return None
    answers = session.execute(
        select(Answer, Candidate)
        .join(Candidate, col(Candidate.id) == col(Answer.candidate_id))
        .where(col(Answer.suggestion_id) == suggestion_id, col(Answer.is_current))
        .order_by(col(Answer.id))
    ).all()
    return SuggestionRows(found[0], found[1], found[2], [AnswerRow(row[0], row[1]) for row in answers])


def has_suggestion(session: Session, suggestion_id: UUID) -> bool:
    """Return whether there is such a suggestion."""
    return session.get(Suggestion, suggestion_id) is not None


def presentation(session: Session, suggestion_id: UUID, rater_id: UUID, shuffled: Sequence[UUID]) -> list[UUID]:
    """Return the order of candidates that this rater was shown first; `shuffled` if this is the first time."""
    session.execute(
        insert(Presentation)
        .values(suggestion_id=suggestion_id, rater_id=rater_id, candidate_ids=list(shuffled), shown_at=now())
        .on_conflict_do_nothing()
    )
    return session.scalars(
        select(col(Presentation.candidate_ids)).where(
            col(Presentation.suggestion_id) == suggestion_id, col(Presentation.rater_id) == rater_id
        )
    ).one()


def own_suggestions(session: Session, rater_id: UUID, limit: int) -> Sequence[Row[Any]]:
    """Return (id, subject, opening, created_at, answers, done, rated) of those shown to a rater, newest first."""
    done = func.count(col(Answer.id)).filter(col(Answer.status) == AnswerStatus.DONE)
    statement = (
        select(
            col(Suggestion.id),
            col(Ticket.subject),
            func.left(col(Ticket.text), 200).label("opening"),
            col(Suggestion.created_at),
            func.count(col(Answer.id)).label("answers"),
            done.label("done"),
            func.count(col(Rating.id)).label("rated"),
        )
        .join(Presentation, col(Presentation.suggestion_id) == col(Suggestion.id))
        .join(Ticket, col(Ticket.id) == col(Suggestion.ticket_id))
        .join(Answer, (col(Answer.suggestion_id) == col(Suggestion.id)) & col(Answer.is_current))
        .outerjoin(Rating, (col(Rating.answer_id) == col(Answer.id)) & (col(Rating.rater_id) == rater_id))
        .where(col(Presentation.rater_id) == rater_id)
        .group_by(col(Suggestion.id), col(Ticket.subject), col(Ticket.text), col(Suggestion.created_at))
        .order_by(col(Suggestion.created_at).desc())
        .limit(limit)
    )
    return session.execute(statement).all()


# --- answers, as they are written


def answer_rows(session: Session, answer_id: UUID, *, lock: bool = False) -> tuple[Answer, Suggestion, Study] | None:
    """Return an answer with its suggestion and study; `lock` keeps the answer as it is until the commit."""
    statement = (
        select(Answer, Suggestion, Study)
        .join(Suggestion, col(Suggestion.id) == col(Answer.suggestion_id))
        .join(Study, col(Study.id) == col(Suggestion.study_id))
        .where(col(Answer.id) == answer_id)
    )
    if lock:
        statement = statement.with_for_update(of=Answer)
    found = session.execute(statement).one_or_none()
    return (found[0], found[1], found[2]) if found else None


def progress(session: Session, suggestion_id: UUID) -> Sequence[Row[Any]]:
    """Return (id, status, text) of a suggestion's current answers."""
    return session.execute(
        select(col(Answer.id), col(Answer.status), col(Answer.text)).where(
            col(Answer.suggestion_id) == suggestion_id, col(Answer.is_current)
        )
    ).all()


def note_watched(session: Session, suggestion_id: UUID, every_s: float) -> None:
    """Note that somebody follows a suggestion that another process writes; not more often than so."""
    lately = func.now() - timedelta(seconds=every_s)
    session.execute(
        update(Suggestion)
        .where(col(Suggestion.id) == suggestion_id, func.coalesce(col(Suggestion.watched_at) < lately, True))
        .values(watched_at=func.now())
    )


def watched_elsewhere(session: Session, suggestion_ids: Sequence[UUID], within_s: float) -> set[UUID]:
    """Return those of the suggestions that somebody has followed through another process within so many seconds."""
    since = func.now() - timedelta(seconds=within_s)
    watched = select(col(Suggestion.id)).where(
        col(Suggestion.id).in_(suggestion_ids), col(Suggestion.watched_at) > since
    )
    return set(session.scalars(watched))


def write_partial(session: Session, answer_id: UUID, written: str, first_token_at: datetime | None) -> bool:
    """Store what an unfinished answer says so far; False if it has ended."""
    result = session.execute(
        update(Answer)
        .where(col(Answer.id) == answer_id, col(Answer.status).in_(UNFINISHED))
        .values(text=written, status=AnswerStatus.WRITING, first_token_at=first_token_at)
        .returning(col(Answer.id))
    )
    return result.one_or_none() is not None


def finish_answer(session: Session, answer_id: UUID, values: dict[str, Any]) -> bool:
    """Store an answer's end; False if it had ended otherwise before (cancelled meanwhile).

    An answer that was given up as interrupted while the database was away is taken back.
    """
    result = session.execute(
        update(Answer)
        .where(
            col(Answer.id) == answer_id,
            or_(col(Answer.status).in_(UNFINISHED), col(Answer.error_code) == INTERRUPTED),
            col(Answer.is_current),
        )
        .values(**values, finished_at=now())
        .returning(col(Answer.id))
    )
    return result.one_or_none() is not None


def end_unfinished(
    session: Session, suggestion_ids: Collection[UUID], status: AnswerStatus, code: str, message: str
) -> None:
    """End the unfinished answers of these suggestions, keeping what they said so far."""
    session.execute(
        update(Answer)
        .where(col(Answer.suggestion_id).in_(suggestion_ids), col(Answer.status).in_(UNFINISHED))
        .values(status=status, error_code=code, error_message=message, finished_at=now())
    )


def renew_leases(session: Session, suggestion_ids: Collection[UUID], lease_s: float) -> None:
    """Say that this process still works on these suggestions. By the database's clock, which all share."""
    if suggestion_ids:
        _renew(session, suggestion_ids, lease_s)


def _renew(session: Session, suggestion_ids: Collection[UUID], lease_s: float) -> None:
    session.execute(
        update(Suggestion)
        .where(col(Suggestion.id).in_(suggestion_ids))
        .values(lease_until=func.now() + timedelta(seconds=lease_s))
        .execution_options(synchronize_session=False)
    )


def orphaned(session: Session, mine: Collection[UUID]) -> Sequence[UUID]:
    """Return suggestions with unfinished answers whose process gives no sign of life; never one of `mine`."""
    return session.scalars(
        select(col(Suggestion.id))
        .where(
            col(Suggestion.id).in_(select(col(Answer.suggestion_id)).where(col(Answer.status).in_(UNFINISHED))),
            col(Suggestion.id).not_in(mine),
            or_(col(Suggestion.lease_until).is_(None), col(Suggestion.lease_until) < func.now()),
        )
        .with_for_update(skip_locked=True)
    ).all()


def next_attempt(session: Session, old: Answer, worker: str, lease_s: float) -> Answer:
    """Put a new waiting answer in the place of one that failed, and take its suggestion over."""
    old.is_current = False
    session.add(old)
    session.flush()
    fresh = Answer(suggestion_id=old.suggestion_id, candidate_id=old.candidate_id, attempt=old.attempt + 1)
    session.add(fresh)
    session.execute(update(Suggestion).where(col(Suggestion.id) == old.suggestion_id).values(worker=worker))
    _renew(session, [old.suggestion_id], lease_s)
    session.flush()
    return fresh
