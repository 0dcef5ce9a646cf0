"""The tables. Texts of customers live in `ticket`, `answer`, `rating` and `correction` columns and nowhere else.

Keys are UUIDs, times are UTC. What a rating judged is pinned by a candidate snapshot, which is never changed.
"""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import REAL, BigInteger, CheckConstraint, Column, DateTime, Index, Text, UniqueConstraint, func
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TSVECTOR
from sqlalchemy.dialects.postgresql import UUID as PgUUID
from sqlmodel import Field, SQLModel

from replybench.contract import AnswerStatus, FlagKind, SkipReason, Source

#: Every constraint has a name, so that migrations can drop it.
SQLModel.metadata.naming_convention = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


def now() -> datetime:
    """Return the current time, UTC."""
    return datetime.now(UTC)


def _key() -> Any:
    return Field(default_factory=uuid4, primary_key=True)


def _time(*, index: bool = False) -> Any:
    return Field(default_factory=now, sa_type=DateTime(timezone=True), nullable=False, index=index)


def _maybe_time() -> Any:
    return Field(default=None, sa_type=DateTime(timezone=True), nullable=True)


def _json(default: type[Any] = dict) -> Any:
    return Field(default_factory=default, sa_type=JSONB, nullable=False)


class Study(SQLModel, table=True):
    """A named collection period, with the rubric's weights and scale that were in force.

    `candidates` are keys of the lineup, none meaning all of it. `overlap` is how many raters a queued ticket wants.
    A study is a draft until it is first opened (`opened_at`), and closed while `closed_at` is set; of the open ones,
    the one opened last takes the tickets that name no study.
    """

    id: UUID = _key()
    name: str = Field(unique=True)
    title: str
    description: str = ""
    instructions: str = Field(default="", sa_type=Text, sa_column_kwargs={"server_default": ""})
    lineup: str | None = None
    candidates: list[str] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))
    overlap: int = Field(default=1, sa_column_kwargs={"server_default": "1"})
    rubric_version: int
    weights: dict[str, float] = _json()
    lowest: int = Field(default=1, sa_column_kwargs={"server_default": "1"})
    highest: int = Field(default=5, sa_column_kwargs={"server_default": "5"})
    positive_from: int = Field(default=3, sa_column_kwargs={"server_default": "3"})
    is_read_only: bool = False
    created_at: datetime = _time()
    opened_at: datetime | None = _maybe_time()
    closed_at: datetime | None = _maybe_time()

    @property
    def is_draft(self) -> bool:
        """Whether it has never been open."""
        return self.closed_at is not None and self.opened_at is None


class Rater(SQLModel, table=True):
    """A person who scores; `name` is what they typed or what the identity provider said."""

    id: UUID = _key()
    name: str
    name_key: str = Field(unique=True)
    created_at: datetime = _time()


class Ticket(SQLModel, table=True):
    """A customer's request, personal data already replaced. `earlier` holds {role, text} turns, oldest first.

    `text_sha256` finds the same ticket again without comparing texts.
    """

    __table_args__ = (Index("ix_ticket_source_external_id", "source", "external_id"),)

    id: UUID = _key()
    subject: str = Field(default="", sa_type=Text)
    text: str = Field(sa_type=Text)
    text_sha256: str = Field(index=True)
    earlier: list[dict[str, str]] = _json(list)
    language: str | None = None
    category: str | None = None
    source: Source = Field(sa_type=Text)
    external_id: str | None = None
    redactions: dict[str, int] = _json()
    created_at: datetime = _time(index=True)
    purged_at: datetime | None = _maybe_time()


class Candidate(SQLModel, table=True):
    """A snapshot of a lineup's candidate: everything that decides what it writes. Never updated.

    `fingerprint` is the SHA-256 of all the rest, so the same candidate is stored once.
    """

    id: UUID = _key()
    fingerprint: str = Field(unique=True)
    key: str = Field(index=True)
    name: str
    engine: str
    base: str | None = None
    revision: str | None = None
    adapter: str | None = None
    adapter_sha256: str | None = None
    note: str = ""
    settings: dict[str, Any] = _json()
    created_at: datetime = _time()


class Suggestion(SQLModel, table=True):
    """One asking of a ticket. The process that works on it (`worker`) renews `lease_until`; when the lease has
    run out and answers are unfinished, that process has died and they count as failed. `watched_at` is when somebody
    last followed it through another process."""

    id: UUID = _key()
    ticket_id: UUID = Field(foreign_key="ticket.id", index=True)
    study_id: UUID = Field(foreign_key="study.id", index=True)
    lineup: str
    asked_by: UUID | None = Field(default=None, foreign_key="rater.id", index=True)
    worker: str | None = None
    lease_until: datetime | None = _maybe_time()
    watched_at: datetime | None = _maybe_time()
    created_at: datetime = _time(index=True)


class Answer(SQLModel, table=True):
    """What one candidate wrote for one suggestion. A retry makes a new row (`attempt` + 1); the old one stays."""

    __table_args__ = (
        UniqueConstraint("suggestion_id", "candidate_id", "attempt", name="uq_answer_attempt"),
        Index("ix_answer_unfinished", "status", postgresql_where="status IN ('waiting', 'writing')"),
    )

    id: UUID = _key()
    suggestion_id: UUID = Field(foreign_key="suggestion.id", index=True)
    candidate_id: UUID = Field(foreign_key="candidate.id", index=True)
    attempt: int = 1
    is_current: bool = True
    status: AnswerStatus = Field(default=AnswerStatus.WAITING, sa_type=Text)
    text: str = Field(default="", sa_type=Text)
    error_code: str | None = None
    error_message: str | None = None
    cut: list[str] = _json(list)
    sources: list[dict[str, Any]] = _json(list)
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    created_at: datetime = _time()
    first_token_at: datetime | None = _maybe_time()
    finished_at: datetime | None = _maybe_time()


class Presentation(SQLModel, table=True):
    """The order in which one rater saw one suggestion's candidates: `candidate_ids[0]` was slot A."""

    suggestion_id: UUID = Field(foreign_key="suggestion.id", primary_key=True)
    rater_id: UUID = Field(foreign_key="rater.id", primary_key=True)
    candidate_ids: list[UUID] = Field(sa_column=Column(ARRAY(PgUUID(as_uuid=True)), nullable=False))
    shown_at: datetime = _time()


class Rating(SQLModel, table=True):
    """One rater's scores of one answer: {metric key: 1…5}, as it now stands.

    `corrected_share` is how far the corrected text is from the answer: 0 the same, 1 nothing left of it.
    """

    __table_args__ = (UniqueConstraint("answer_id", "rater_id", name="uq_rating_answer_rater"),)

    id: UUID = _key()
    answer_id: UUID = Field(foreign_key="answer.id", index=True)
    rater_id: UUID = Field(foreign_key="rater.id", index=True)
    scores: dict[str, int] = _json()
    comment: str = Field(default="", sa_type=Text)
    corrected_text: str | None = Field(default=None, sa_type=Text)
    corrected_share: float | None = None
    slot: str
    seconds: float | None = None
    created_at: datetime = _time(index=True)
    updated_at: datetime = _time()


class RatingRevision(SQLModel, table=True):
    """What a rating said before it was changed."""

    __tablename__ = "rating_revision"

    id: UUID = _key()
    rating_id: UUID = Field(foreign_key="rating.id", index=True)
    scores: dict[str, int] = _json()
    comment: str = Field(default="", sa_type=Text)
    corrected_text: str | None = Field(default=None, sa_type=Text)
    written_at: datetime = _time()
    replaced_at: datetime = _time()


class Skip(SQLModel, table=True):
    """A rater gave a ticket back without rating it."""

    suggestion_id: UUID = Field(foreign_key="suggestion.id", primary_key=True, ondelete="CASCADE")
    rater_id: UUID = Field(foreign_key="rater.id", primary_key=True, ondelete="CASCADE")
    reason: SkipReason = Field(sa_type=Text)
    created_at: datetime = _time()


class Flag(SQLModel, table=True):
    """A rater says that an answer is harmful or holds personal data."""

    answer_id: UUID = Field(foreign_key="answer.id", primary_key=True, ondelete="CASCADE")
    rater_id: UUID = Field(foreign_key="rater.id", primary_key=True, ondelete="CASCADE")
    kind: FlagKind = Field(sa_type=Text, primary_key=True)
    created_at: datetime = _time(index=True)


class Usage(SQLModel, table=True):
    """What an agent did with an answer in the helpdesk. The client makes the id: a repeat is stored once."""

    __table_args__ = (
        CheckConstraint("action IN ('copied', 'inserted', 'sent', 'edited')", name="action"),
        CheckConstraint("edit_share >= 0 AND edit_share <= 1", name="edit_share"),
    )

    id: UUID = Field(primary_key=True)
    answer_id: UUID = Field(foreign_key="answer.id", index=True)
    rater_id: UUID | None = Field(default=None, foreign_key="rater.id")
    source: Source = Field(sa_type=Text)
    action: str
    edit_share: float | None = None
    created_at: datetime = _time()


class TrainingRun(SQLModel, table=True):
    """One training by one recipe. `summary` holds what was measured at the end (losses, memory, scores)."""

    __tablename__ = "training_run"

    id: UUID = _key()
    name: str = Field(unique=True)
    recipe: dict[str, Any] = _json()
    base: str
    method: str
    dataset_fingerprint: str | None = None
    status: str = "running"
    error_message: str | None = None
    total_steps: int | None = None
    adapter_path: str | None = None
    summary: dict[str, Any] = _json()
    started_at: datetime = _time()
    updated_at: datetime = _time()
    finished_at: datetime | None = _maybe_time()


class TrainingMetric(SQLModel, table=True):
    """What one step of a run measured: {loss, eval_loss, learning_rate, tokens_per_second, memory_mib …}."""

    __tablename__ = "training_metric"

    run_id: UUID = Field(foreign_key="training_run.id", primary_key=True)
    step: int = Field(primary_key=True)
    values: dict[str, float] = _json()
    at: datetime = _time()


class ApiKey(SQLModel, table=True):
    """A client's key: its hash alone is kept. Never deleted, so that the audit trail can name it."""

    __tablename__ = "api_key"

    id: UUID = _key()
    name: str = Field(unique=True)
    sha256: str = Field(unique=True)
    hint: str
    scopes: list[str] = _json(list)
    rate_per_minute: int
    max_concurrent: int
    created_at: datetime = _time()
    last_used_at: datetime | None = _maybe_time()
    revoked_at: datetime | None = _maybe_time()


class AuditEvent(SQLModel, table=True):
    """Who changed what, when. Written by triggers (`0005`), whichever way the change came; it takes no update and no
    delete. `detail` names what changed and never holds a text; people stand in it by their ids."""

    __tablename__ = "audit_event"
    __table_args__ = (Index("ix_audit_event_entity", "entity", "entity_id"),)

    id: int | None = Field(default=None, sa_type=BigInteger, primary_key=True)
    at: datetime = Field(
        default_factory=now,
        sa_type=DateTime(timezone=True),
        nullable=False,
        index=True,
        sa_column_kwargs={"server_default": func.now()},
    )
    actor: str = Field(sa_type=Text)
    action: str = Field(sa_type=Text)
    entity: str = Field(sa_type=Text)
    entity_id: str = Field(sa_type=Text)
    detail: dict[str, Any] = _json()


class ContactSecret(SQLModel, table=True):
    """One row: the random key under which contacts are hashed, so that the hashes mean nothing elsewhere."""

    __tablename__ = "contact_secret"

    id: int = Field(default=1, primary_key=True)
    secret: str


class TicketContact(SQLModel, table=True):
    """Which tickets an address or number stood in, as a keyed hash: by it a person can be forgotten."""

    __tablename__ = "ticket_contact"

    ticket_id: UUID = Field(foreign_key="ticket.id", primary_key=True)
    contact_hmac: str = Field(primary_key=True, index=True)


class Passage(SQLModel, table=True):
    """A stretch of a help-centre article, for grounded candidates. `search` holds its words, those of the title as 'A';
    `words` is how many there are; `embedding` its meaning as `embedding_model` sees it. A load replaces them all."""

    __table_args__ = (Index("ix_passage_search", "search", postgresql_using="gin"),)

    id: UUID = _key()
    article_id: str = Field(sa_type=Text, index=True)
    position: int
    title: str = Field(sa_type=Text)
    url: str | None = Field(default=None, sa_type=Text)
    language: str = Field(sa_type=Text)
    text: str = Field(sa_type=Text)
    words: int
    search: Any = Field(sa_column=Column(TSVECTOR, nullable=False))
    embedding: list[float] | None = Field(default=None, sa_column=Column(ARRAY(REAL), nullable=True))
    embedding_model: str | None = Field(default=None, sa_type=Text)
