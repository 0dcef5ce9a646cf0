"""SQL for skipped tickets and flagged answers. Nothing here commits."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col

from db.models import Answer, Candidate, Flag, Rating, Skip, Study, Suggestion, Ticket
from replybench.contract import FlagKind, SkipReason


def put_skip(session: Session, skip: Skip) -> None:
    """Store a skip; of the same rater and suggestion, the newest reason holds."""
    session.execute(
        insert(Skip)
        .values(**skip.model_dump())
        .on_conflict_do_update(index_elements=["suggestion_id", "rater_id"], set_={"reason": skip.reason})
    )


def remove_skip(session: Session, suggestion_id: UUID, rater_id: UUID) -> None:
    """Take a skip back, if there is one."""
    session.execute(delete(Skip).where(col(Skip.suggestion_id) == suggestion_id, col(Skip.rater_id) == rater_id))


def skip_reason(session: Session, suggestion_id: UUID, rater_id: UUID) -> SkipReason | None:
    """Return why the rater skipped the suggestion, if they did."""
    found = session.get(Skip, (suggestion_id, rater_id))
    return SkipReason(found.reason) if found else None


def skipped_by(session: Session, rater_id: UUID) -> Sequence[UUID]:
    """Return the suggestions that a rater has skipped."""
    return session.scalars(select(col(Skip.suggestion_id)).where(col(Skip.rater_id) == rater_id)).all()


def has_rated(session: Session, suggestion_id: UUID, rater_id: UUID) -> bool:
    """Return whether the rater has scored any answer of the suggestion."""
    ratings = (
        select(col(Rating.id))
        .join(Answer, col(Answer.id) == col(Rating.answer_id))
        .where(col(Answer.suggestion_id) == suggestion_id, col(Rating.rater_id) == rater_id)
    )
    return session.scalar(ratings.limit(1)) is not None


def put_flag(session: Session, flag: Flag) -> None:
    """Store a flag once."""
    session.execute(insert(Flag).values(**flag.model_dump()).on_conflict_do_nothing())


def remove_flag(session: Session, answer_id: UUID, rater_id: UUID, kind: FlagKind) -> None:
    """Take a flag back, if there is one."""
    session.execute(
        delete(Flag).where(col(Flag.answer_id) == answer_id, col(Flag.rater_id) == rater_id, col(Flag.kind) == kind)
    )


def flags_of(session: Session, suggestion_id: UUID, rater_id: UUID) -> Sequence[Flag]:
    """Return the rater's own flags in a suggestion."""
    return session.scalars(
        select(Flag)
        .join(Answer, col(Answer.id) == col(Flag.answer_id))
        .where(col(Answer.suggestion_id) == suggestion_id, col(Flag.rater_id) == rater_id)
        .order_by(col(Flag.kind))
    ).all()


def flagged(session: Session, limit: int, study: str | None = None) -> Sequence[Row[Any]]:
    """Return the flagged answers (of a study), newest first, as `FlagPublic` names them."""
    last_at = func.max(col(Flag.created_at))
    what: tuple[Any, ...] = (
        col(Answer.suggestion_id),
        col(Flag.answer_id),
        col(Study.name).label("study"),
        col(Ticket.subject),
        col(Answer.text).label("answer"),
        col(Candidate.name).label("candidate"),
        col(Flag.kind),
    )
    statement = (
        select(*what, func.count().label("raters"), last_at.label("last_at"))
        .select_from(Flag)
        .join(Answer, col(Answer.id) == col(Flag.answer_id))
        .join(Suggestion, col(Suggestion.id) == col(Answer.suggestion_id))
        .join(Ticket, col(Ticket.id) == col(Suggestion.ticket_id))
        .join(Study, col(Study.id) == col(Suggestion.study_id))
        .join(Candidate, col(Candidate.id) == col(Answer.candidate_id))
        .group_by(*what)
        .order_by(last_at.desc())
        .limit(limit)
    )
    if study is not None:
        statement = statement.where(col(Study.name) == study)
    return session.execute(statement).all()
