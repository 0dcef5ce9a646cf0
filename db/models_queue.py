"""The tables of the queue: tickets that a study is to have answered in advance, and who has which of them in hand."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, UniqueConstraint
from sqlmodel import Field, SQLModel

from db.models import now


class QueueItem(SQLModel, table=True):
    """A ticket of a study's queue; `id` is also its place in it.

    `suggestion_id` is the asking whose answers are rated, once the ticket has been asked; `tries` counts how often
    answers were asked for, the first time included.
    """

    __tablename__ = "queue_item"
    __table_args__ = (UniqueConstraint("study_id", "ticket_id", name="uq_queue_item_study_ticket"),)

    id: int | None = Field(default=None, sa_type=BigInteger, primary_key=True)
    study_id: UUID = Field(foreign_key="study.id", ondelete="CASCADE")
    ticket_id: UUID = Field(foreign_key="ticket.id", index=True)
    suggestion_id: UUID | None = Field(default=None, foreign_key="suggestion.id", index=True)
    tries: int = 0
    tried_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True), nullable=True)
    created_at: datetime = Field(default_factory=now, sa_type=DateTime(timezone=True), nullable=False)


class QueueAssignment(SQLModel, table=True):
    """A rater was given a ticket of the queue. Others leave it alone for a while; what was rated, ratings tell."""

    __tablename__ = "queue_assignment"

    item_id: int = Field(foreign_key="queue_item.id", primary_key=True, sa_type=BigInteger, ondelete="CASCADE")
    rater_id: UUID = Field(foreign_key="rater.id", primary_key=True, ondelete="CASCADE")
    assigned_at: datetime = Field(default_factory=now, sa_type=DateTime(timezone=True), nullable=False)
