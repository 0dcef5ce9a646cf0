"""Embeddings of the help centre's passages.

Plain arrays of numbers, so that a PostgreSQL without pgvector has the same schema; queries cast them to vectors.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("passage", sa.Column("embedding", postgresql.ARRAY(sa.REAL()), nullable=True))
    op.add_column("passage", sa.Column("embedding_model", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("passage", "embedding_model")
    op.drop_column("passage", "embedding")
