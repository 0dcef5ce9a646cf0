"""Skipped tickets and flagged answers."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "skip",
        sa.Column("suggestion_id", sa.Uuid(), nullable=False),
        sa.Column("rater_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["suggestion_id"], ["suggestion.id"], name="fk_skip_suggestion_id_suggestion", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["rater_id"], ["rater.id"], name="fk_skip_rater_id_rater", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("suggestion_id", "rater_id", name="pk_skip"),
    )
    op.create_table(
        "flag",
        sa.Column("answer_id", sa.Uuid(), nullable=False),
        sa.Column("rater_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["answer_id"], ["answer.id"], name="fk_flag_answer_id_answer", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["rater_id"], ["rater.id"], name="fk_flag_rater_id_rater", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("answer_id", "rater_id", "kind", name="pk_flag"),
    )
    op.create_index("ix_flag_created_at", "flag", ["created_at"])


def downgrade() -> None:
    op.drop_table("flag")
    op.drop_table("skip")
