"""SQL for ratings, their history, and what was done with answers. Nothing here commits."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col

from db.models import Rating, RatingRevision, Usage


def ratings_of(session: Session, rater_id: UUID, answer_ids: Collection[UUID]) -> dict[UUID, Rating]:
    """Return this rater's ratings by answer."""
    found = session.scalars(
        select(Rating).where(col(Rating.rater_id) == rater_id, col(Rating.answer_id).in_(answer_ids))
    )
    return {rating.answer_id: rating for rating in found}


def put_rating(session: Session, rating: Rating) -> tuple[Rating, bool]:
    """Store a rating, or return the one that is there, locked, and False."""
    inserted = session.execute(
        insert(Rating)
        .values(**rating.model_dump())
        .on_conflict_do_nothing(index_elements=["answer_id", "rater_id"])
        .returning(col(Rating.id))
    ).one_or_none()
    stored = session.scalars(
        select(Rating)
        .where(col(Rating.answer_id) == rating.answer_id, col(Rating.rater_id) == rating.rater_id)
        .with_for_update()
    ).one()
    return stored, inserted is not None


def keep_revision(session: Session, rating: Rating) -> None:
    """Keep what a rating says now, before it is changed."""
    session.add(
        RatingRevision(
            rating_id=rating.id,
            scores=rating.scores,
            comment=rating.comment,
            corrected_text=rating.corrected_text,
            written_at=rating.updated_at,
        )
    )


def put_usage(session: Session, usage: Usage) -> Usage:
    """Store a use of an answer once; return what is stored under its id."""
    session.execute(insert(Usage).values(**usage.model_dump()).on_conflict_do_nothing(index_elements=["id"]))
    return session.scalars(select(Usage).where(col(Usage.id) == usage.id)).one()
