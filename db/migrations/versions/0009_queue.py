"""Studies that a lead runs, a queue of tickets for each, and how much of an answer its correction kept."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_AUDIT = """
DROP TRIGGER IF EXISTS audit_study ON study;
CREATE TRIGGER audit_study AFTER INSERT OR UPDATE OR DELETE ON study FOR EACH ROW
    EXECUTE FUNCTION audit_changed('study', 'name', 'weights', 'lowest', 'highest', 'positive_from', 'rubric_version',
        'is_read_only', 'closed_at', 'lineup'{more});
"""

#: A ticket of a queue with how many current answers its suggestion has.
_VIEW = """
CREATE VIEW queue_state AS
SELECT i.id, i.study_id, i.ticket_id, i.suggestion_id, i.tries, count(a.id) AS answers,
    count(a.id) FILTER (WHERE a.status = 'done') AS done,
    count(a.id) FILTER (WHERE a.status IN ('waiting', 'writing')) AS unfinished
FROM queue_item i LEFT JOIN answer a ON a.suggestion_id = i.suggestion_id AND a.is_current
GROUP BY i.id, i.study_id, i.ticket_id, i.suggestion_id, i.tries
"""


def upgrade() -> None:
    op.add_column("study", sa.Column("instructions", sa.Text(), server_default="", nullable=False))
    op.add_column("study", sa.Column("candidates", postgresql.JSONB(astext_type=sa.Text()), nullable=True))
    op.add_column("study", sa.Column("overlap", sa.Integer(), server_default="1", nullable=False))
    op.add_column("study", sa.Column("opened_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("rating", sa.Column("corrected_share", sa.Float(), nullable=True))
    op.execute("UPDATE study SET opened_at = created_at")
    op.execute(_AUDIT.format(more=", 'opened_at', 'overlap', 'candidates'"))
    op.create_table(
        "queue_item",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("study_id", sa.Uuid(), nullable=False),
        sa.Column("ticket_id", sa.Uuid(), nullable=False),
        sa.Column("suggestion_id", sa.Uuid(), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("tried_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name="fk_queue_item_study_id_study", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["ticket_id"], ["ticket.id"], name="fk_queue_item_ticket_id_ticket"),
        sa.ForeignKeyConstraint(["suggestion_id"], ["suggestion.id"], name="fk_queue_item_suggestion_id_suggestion"),
        sa.PrimaryKeyConstraint("id", name="pk_queue_item"),
        sa.UniqueConstraint("study_id", "ticket_id", name="uq_queue_item_study_ticket"),
    )
    op.create_index("ix_queue_item_ticket_id", "queue_item", ["ticket_id"])
    op.create_index("ix_queue_item_suggestion_id", "queue_item", ["suggestion_id"])
    op.create_table(
        "queue_assignment",
        sa.Column("item_id", sa.BigInteger(), nullable=False),
        sa.Column("rater_id", sa.Uuid(), nullable=False),
        sa.Column("assigned_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["item_id"], ["queue_item.id"], name="fk_queue_assignment_item_id_queue_item", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["rater_id"], ["rater.id"], name="fk_queue_assignment_rater_id_rater", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("item_id", "rater_id", name="pk_queue_assignment"),
    )
    op.execute(_VIEW)


def downgrade() -> None:
    op.execute("DROP VIEW queue_state")
    op.drop_table("queue_assignment")
    op.drop_table("queue_item")
    op.execute(_AUDIT.format(more=""))
    op.drop_column("rating", "corrected_share")
    for column in ("opened_at", "overlap", "candidates", "instructions"):
        op.drop_column("study", column)
