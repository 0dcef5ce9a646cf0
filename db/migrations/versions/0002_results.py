"""Tables from which results are read, and the triggers that notice what has changed."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

#: The study of 2024 is listed like any other; its counts are a file of the backend (`backend.results.published`).
PUBLISHED_ID = "20240000-0000-4000-8000-000000000001"

FUNCTIONS = """
CREATE FUNCTION results_wake(study uuid) RETURNS void LANGUAGE sql AS $$
    SELECT pg_notify('replybench_results', study::text)
$$;

-- Ratings were written, changed or removed: `changed` holds the rows of the statement. A removed rating's answer may
-- be gone by now, so the study and ticket are looked up among the ratings already counted as well.
CREATE FUNCTION results_rating_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE study uuid;
BEGIN
    FOR study IN
        WITH touched AS (
            SELECT s.study_id, s.ticket_id
            FROM changed c JOIN answer a ON a.id = c.answer_id JOIN suggestion s ON s.id = a.suggestion_id
            UNION
            SELECT r.study_id, r.ticket_id FROM changed c JOIN results_rating r ON r.rating_id = c.id
        ), marked AS (
            INSERT INTO results_dirty (study_id, ticket_id) SELECT study_id, ticket_id FROM touched RETURNING study_id
        )
        SELECT DISTINCT study_id FROM marked
    LOOP
        PERFORM results_wake(study);
    END LOOP;
    RETURN NULL;
END $$;

CREATE FUNCTION results_everything_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO results_dirty (study_id) SELECT id FROM study;
    PERFORM results_wake(id) FROM study;
    RETURN NULL;
END $$;

CREATE FUNCTION results_ticket_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO results_dirty (study_id, ticket_id)
        SELECT DISTINCT study_id, NEW.id FROM suggestion WHERE ticket_id = NEW.id;
    PERFORM results_wake(study_id) FROM (SELECT DISTINCT study_id FROM suggestion WHERE ticket_id = NEW.id) AS s;
    RETURN NULL;
END $$;

CREATE FUNCTION results_study_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        DELETE FROM results_rating WHERE study_id = OLD.id;
        DELETE FROM results_tally WHERE study_id = OLD.id;
        DELETE FROM results_dirty WHERE study_id = OLD.id;
        DELETE FROM results_candidate WHERE study_id = OLD.id;
        DELETE FROM results_version WHERE study_id = OLD.id;
        PERFORM results_wake(OLD.id);
    ELSIF TG_OP = 'INSERT' OR OLD IS DISTINCT FROM NEW THEN
        -- Other weights or another scale: everything is counted anew. Another title: only a new version.
        INSERT INTO results_dirty (study_id, ticket_id) VALUES (NEW.id, CASE
            WHEN TG_OP = 'UPDATE' AND (OLD.weights, OLD.lowest, OLD.highest, OLD.positive_from)
                IS NOT DISTINCT FROM (NEW.weights, NEW.lowest, NEW.highest, NEW.positive_from)
            THEN '00000000-0000-0000-0000-000000000000'::uuid END);
        PERFORM results_wake(NEW.id);
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION results_answer_added() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE study uuid;
BEGIN
    FOR study IN
        WITH added AS (
            INSERT INTO results_candidate (study_id, candidate_id)
            SELECT DISTINCT s.study_id, c.candidate_id FROM changed c JOIN suggestion s ON s.id = c.suggestion_id
            WHERE NOT EXISTS (
                SELECT FROM results_candidate k WHERE k.study_id = s.study_id AND k.candidate_id = c.candidate_id)
            ORDER BY 1, 2
            ON CONFLICT DO NOTHING
            RETURNING study_id
        ), marked AS (
            -- No ticket has this id: nothing is counted anew, but the results get a new version.
            INSERT INTO results_dirty (study_id, ticket_id)
            SELECT DISTINCT study_id, '00000000-0000-0000-0000-000000000000'::uuid FROM added RETURNING study_id
        )
        SELECT study_id FROM marked
    LOOP
        PERFORM results_wake(study);
    END LOOP;
    RETURN NULL;
END $$;

CREATE TRIGGER results_rating_inserted AFTER INSERT ON rating REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION results_rating_changed();
CREATE TRIGGER results_rating_deleted AFTER DELETE ON rating REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION results_rating_changed();
CREATE TRIGGER results_rating_updated_from AFTER UPDATE ON rating REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION results_rating_changed();
CREATE TRIGGER results_rating_updated_to AFTER UPDATE ON rating REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION results_rating_changed();
CREATE TRIGGER results_rating_truncated AFTER TRUNCATE ON rating
    FOR EACH STATEMENT EXECUTE FUNCTION results_everything_changed();
CREATE TRIGGER results_ticket_changed AFTER UPDATE ON ticket FOR EACH ROW
    WHEN ((OLD.language, OLD.category, OLD.source) IS DISTINCT FROM (NEW.language, NEW.category, NEW.source))
    EXECUTE FUNCTION results_ticket_changed();
CREATE TRIGGER results_study_changed AFTER INSERT OR UPDATE OR DELETE ON study
    FOR EACH ROW EXECUTE FUNCTION results_study_changed();
CREATE TRIGGER results_answer_added AFTER INSERT ON answer REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION results_answer_added();
"""

TRIGGERS = {
    "rating": [
        "results_rating_inserted",
        "results_rating_deleted",
        "results_rating_updated_from",
        "results_rating_updated_to",
        "results_rating_truncated",
    ],
    "ticket": ["results_ticket_changed"],
    "study": ["results_study_changed"],
    "answer": ["results_answer_added"],
}


def upgrade() -> None:
    _columns()
    _tables()
    op.execute(FUNCTIONS)
    op.execute(
        "INSERT INTO results_candidate (study_id, candidate_id) SELECT DISTINCT s.study_id, a.candidate_id"
        " FROM answer a JOIN suggestion s ON s.id = a.suggestion_id"
    )
    op.execute("INSERT INTO results_dirty (study_id) SELECT id FROM study")
    op.execute(
        sa.text(
            "INSERT INTO study (id, name, title, description, rubric_version, weights, is_read_only, created_at, closed_at)"
            " VALUES (CAST(:id AS uuid), 'published-2024', 'The study of 2024', 'Counts of scores as published; no tickets.',"
            " 1, CAST(:weights AS jsonb), true, '2024-06-01T00:00:00Z', '2024-06-01T00:00:00Z')"
            " ON CONFLICT (name) DO NOTHING"
        ).bindparams(id=PUBLISHED_ID, weights='{"content": 0.45, "grammar": 0.20, "structure": 0.20, "style": 0.15}')
    )


def _columns() -> None:
    for name, value in (("lowest", "1"), ("highest", "5"), ("positive_from", "3")):
        op.add_column("study", sa.Column(name, sa.Integer(), server_default=value, nullable=False))


def _tables() -> None:
    op.create_table(
        "results_rating",
        sa.Column("rating_id", sa.Uuid(), nullable=False),
        sa.Column("study_id", sa.Uuid(), nullable=False),
        sa.Column("ticket_id", sa.Uuid(), nullable=False),
        sa.Column("answer_id", sa.Uuid(), nullable=False),
        sa.Column("rater_id", sa.Uuid(), nullable=False),
        sa.Column("candidate", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("slot", sa.Text(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=True),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("scores", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("rating_id", name=op.f("pk_results_rating")),
    )
    op.create_index("ix_results_rating_study_ticket", "results_rating", ["study_id", "ticket_id"])
    op.create_index("ix_results_rating_study_candidate", "results_rating", ["study_id", "candidate", "ticket_id"])
    op.create_table(
        "results_tally",
        sa.Column("study_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("a", sa.Text(), nullable=False),
        sa.Column("b", sa.Text(), nullable=False),
        sa.Column("c", sa.Text(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("s", sa.Float(), nullable=False),
        sa.Column("q", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("study_id", "kind", "a", "b", "c", name=op.f("pk_results_tally")),
    )
    op.create_table(
        "results_dirty",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("study_id", sa.Uuid(), nullable=False),
        sa.Column("ticket_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_results_dirty")),
    )
    op.create_index(op.f("ix_results_dirty_study_id"), "results_dirty", ["study_id"])
    op.create_table(
        "results_version",
        sa.Column("study_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("study_id", name=op.f("pk_results_version")),
    )
    op.create_table(
        "results_candidate",
        sa.Column("study_id", sa.Uuid(), nullable=False),
        sa.Column("candidate_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("study_id", "candidate_id", name=op.f("pk_results_candidate")),
    )


def downgrade() -> None:
    for table, triggers in TRIGGERS.items():
        for trigger in triggers:
            op.execute(f"DROP TRIGGER {trigger} ON {table}")
    for function in (
        "results_rating_changed()",
        "results_everything_changed()",
        "results_ticket_changed()",
        "results_study_changed()",
        "results_answer_added()",
        "results_wake(uuid)",
    ):
        op.execute(f"DROP FUNCTION {function}")
    op.execute(sa.text("DELETE FROM study WHERE id = CAST(:id AS uuid)").bindparams(id=PUBLISHED_ID))
    for table in ("results_candidate", "results_version", "results_dirty", "results_tally", "results_rating"):
        op.drop_table(table)
    for column in ("positive_from", "highest", "lowest"):
        op.drop_column("study", column)
