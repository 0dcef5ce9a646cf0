"""SQL for ratings that were collected elsewhere: a study stored whole, or brought up to date, row by row."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, SQLModel

from db.models import Rating, RatingRevision, Study

#: Rows per statement; PostgreSQL takes at most 65 535 parameters in one.
_AT_ONCE = 2_000


def lock_study(session: Session, study: Study) -> None:
    """Keep other imports of this study waiting until this transaction ends."""
    session.connection().execute(text("SELECT FROM study WHERE id = :id FOR UPDATE"), {"id": study.id})


def add_missing(session: Session, rows: Iterable[SQLModel]) -> None:
    """Store the rows of one table whose keys are not there yet."""
    every = list(rows)
    for start in range(0, len(every), _AT_ONCE):
        some = every[start : start + _AT_ONCE]
        statement = insert(type(some[0])).values([row.model_dump() for row in some]).on_conflict_do_nothing()
        session.connection().execute(statement)


def stored_scores(session: Session, study: Study) -> dict[UUID, dict[str, int]]:
    """Return rating id → scores, of the whole study."""
    rows = session.connection().execute(
        text(
            "SELECT r.id, r.scores FROM rating r JOIN answer a ON a.id = r.answer_id"
            " JOIN suggestion s ON s.id = a.suggestion_id WHERE s.study_id = :study"
        ),
        {"study": study.id},
    )
    return {row[0]: row[1] for row in rows}


def replace_scores(session: Session, changed: Mapping[UUID, tuple[dict[str, int], dict[str, int]]]) -> None:
    """Give ratings other scores (id → old, new) and keep the old ones in the history."""
    add_missing(session, (RatingRevision(rating_id=key, scores=old) for key, (old, _) in changed.items()))
    for key, (_, new) in changed.items():
        rating = session.get(Rating, key)
        if rating is not None:
            rating.scores = new
            session.add(rating)
    session.flush()


def candidate_ids(session: Session, fingerprints: Sequence[str]) -> dict[str, UUID]:
    """Return fingerprint → id of candidates."""
    rows: Any = session.connection().execute(
        text("SELECT fingerprint, id FROM candidate WHERE fingerprint = ANY(:some)"), {"some": list(fingerprints)}
    )
    return {row[0]: row[1] for row in rows}
