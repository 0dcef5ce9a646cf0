"""The tables that results are computed from: written by triggers and recounts, read by `db.queries_results`."""

from datetime import date
from uuid import UUID

from sqlalchemy import BigInteger, Index, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel


class ResultsRating(SQLModel, table=True):
    """A rating laid flat, as it was last counted: what the results are computed from, one table wide.

    `candidate` is the group that results speak of (`db.queries_results.CANDIDATE_REF`): all snapshots of one key
    and name. No foreign keys on the results tables, so that a purge never has to know of them: triggers do.
    """

    __tablename__ = "results_rating"
    __table_args__ = (
        Index("ix_results_rating_study_ticket", "study_id", "ticket_id"),
        Index("ix_results_rating_study_candidate", "study_id", "candidate", "ticket_id"),
    )

    rating_id: UUID = Field(primary_key=True)
    study_id: UUID
    ticket_id: UUID
    answer_id: UUID
    rater_id: UUID
    candidate: str = Field(sa_type=Text)
    source: str = Field(sa_type=Text)
    language: str = Field(sa_type=Text)
    category: str = Field(sa_type=Text)
    slot: str = Field(sa_type=Text)
    seconds: float | None = None
    day: date
    scores: dict[str, int] = Field(default_factory=dict, sa_type=JSONB, nullable=False)


class ResultsTally(SQLModel, table=True):
    """Sums over a study's tickets from which every figure follows; its size does not grow with the ratings.

    `kind` says what is summed (see `db.queries_results`), `a`, `b`, `c` are its keys; `n` is a count, `s` a sum,
    `q` a sum of squares.
    """

    __tablename__ = "results_tally"

    study_id: UUID = Field(primary_key=True)
    kind: str = Field(sa_type=Text, primary_key=True)
    a: str = Field(sa_type=Text, primary_key=True)
    b: str = Field(sa_type=Text, primary_key=True)
    c: str = Field(sa_type=Text, primary_key=True)
    n: int = Field(sa_type=BigInteger)
    s: float
    q: float


class ResultsDirty(SQLModel, table=True):
    """A ticket whose ratings have changed since it was last counted; no ticket means the whole study."""

    __tablename__ = "results_dirty"

    id: int | None = Field(default=None, sa_type=BigInteger, primary_key=True)
    study_id: UUID = Field(index=True)
    ticket_id: UUID | None = None


class ResultsVersion(SQLModel, table=True):
    """How often a study's results have changed: their ETag. Its row is also the lock under which they are counted."""

    __tablename__ = "results_version"

    study_id: UUID = Field(primary_key=True)
    version: int = Field(default=0, sa_type=BigInteger)


class ResultsCandidate(SQLModel, table=True):
    """Which candidates have answered in a study, rated or not."""

    __tablename__ = "results_candidate"

    study_id: UUID = Field(primary_key=True)
    candidate_id: UUID = Field(primary_key=True)
