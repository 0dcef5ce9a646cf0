"""Keys of clients, an audit trail that nothing escapes, and what is needed to forget a person."""

from collections.abc import Sequence

import sqlalchemy as sa
import sqlmodel.sql.sqltypes
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0005"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

FUNCTIONS = """
-- Who acts: what the application said for this transaction, else the database's own user.
CREATE FUNCTION audit_actor() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce(nullif(current_setting('replybench.actor', true), ''), 'database:' || session_user)
$$;

-- Columns that changed, by name; their values only where they can hold no words of a person.
CREATE FUNCTION audit_changes(old_row jsonb, new_row jsonb, shown text[]) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(jsonb_object_agg(key, CASE WHEN key = ANY (shown)
        THEN jsonb_build_object('from', old_row -> key, 'to', new_row -> key) ELSE '"changed"'::jsonb END), '{}'::jsonb)
    FROM jsonb_object_keys(coalesce(new_row, old_row)) AS key
    WHERE old_row -> key IS DISTINCT FROM new_row -> key
$$;

-- Arguments: the entity, then the columns whose values may be shown. Columns named '-x' are not worth an event.
CREATE FUNCTION audit_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    old_row jsonb := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) END;
    new_row jsonb := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) END;
    shown text[] := ARRAY[]::text[];
    name text;
BEGIN
    FOREACH name IN ARRAY TG_ARGV[1:] LOOP
        IF name LIKE '-%' THEN
            old_row := old_row - substr(name, 2);
            new_row := new_row - substr(name, 2);
        ELSE
            shown := shown || name;
        END IF;
    END LOOP;
    IF old_row IS DISTINCT FROM new_row THEN
        INSERT INTO audit_event (actor, action, entity, entity_id, detail) VALUES (
            audit_actor(),
            TG_ARGV[0] || CASE TG_OP WHEN 'INSERT' THEN '.created' WHEN 'UPDATE' THEN '.changed' ELSE '.deleted' END,
            TG_ARGV[0],
            coalesce(new_row, old_row) ->> 'id',
            CASE TG_OP WHEN 'UPDATE' THEN audit_changes(old_row, new_row, shown) ELSE
                (SELECT coalesce(jsonb_object_agg(key, coalesce(new_row, old_row) -> key), '{}'::jsonb)
                 FROM unnest(shown) AS key) END);
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION audit_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail takes no update and no delete';
END $$;

-- A rating's row itself tells who gave it and when; the trail has what became of it afterwards.
CREATE TRIGGER audit_rating AFTER UPDATE OR DELETE ON rating FOR EACH ROW
    EXECUTE FUNCTION audit_changed('rating', 'answer_id', 'rater_id', 'scores', '-updated_at');
CREATE TRIGGER audit_study AFTER INSERT OR UPDATE OR DELETE ON study FOR EACH ROW
    EXECUTE FUNCTION audit_changed('study', 'name', 'weights', 'lowest', 'highest', 'positive_from', 'rubric_version',
        'is_read_only', 'closed_at', 'lineup');
CREATE TRIGGER audit_api_key AFTER INSERT OR UPDATE OR DELETE ON api_key FOR EACH ROW
    EXECUTE FUNCTION audit_changed('api_key', 'name', 'hint', 'scopes', 'rate_per_minute', 'max_concurrent',
        'revoked_at', '-last_used_at');
CREATE TRIGGER audit_event_stays BEFORE UPDATE OR DELETE ON audit_event FOR EACH ROW EXECUTE FUNCTION audit_stays();
"""

TRIGGERS = {"rating": "audit_rating", "study": "audit_study"}


def upgrade() -> None:
    _tables()
    op.execute("INSERT INTO contact_secret (id, secret) VALUES (1, gen_random_uuid()::text || gen_random_uuid()::text)")
    op.execute(FUNCTIONS)


def _tables() -> None:
    text = sqlmodel.sql.sqltypes.AutoString
    op.create_table(
        "api_key",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", text(), nullable=False),
        sa.Column("sha256", text(), nullable=False),
        sa.Column("hint", text(), nullable=False),
        sa.Column("scopes", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("rate_per_minute", sa.Integer(), nullable=False),
        sa.Column("max_concurrent", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_key")),
        sa.UniqueConstraint("name", name=op.f("uq_api_key_name")),
        sa.UniqueConstraint("sha256", name=op.f("uq_api_key_sha256")),
    )
    op.create_table(
        "audit_event",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("entity_id", sa.Text(), nullable=False),
        sa.Column("detail", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_event")),
    )
    op.create_index(op.f("ix_audit_event_at"), "audit_event", ["at"])
    op.create_index("ix_audit_event_entity", "audit_event", ["entity", "entity_id"])
    op.create_table(
        "contact_secret",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("secret", text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contact_secret")),
    )
    op.create_table(
        "ticket_contact",
        sa.Column("ticket_id", sa.Uuid(), nullable=False),
        sa.Column("contact_hmac", text(), nullable=False),
        sa.ForeignKeyConstraint(["ticket_id"], ["ticket.id"], name=op.f("fk_ticket_contact_ticket_id_ticket")),
        sa.PrimaryKeyConstraint("ticket_id", "contact_hmac", name=op.f("pk_ticket_contact")),
    )
    op.create_index(op.f("ix_ticket_contact_contact_hmac"), "ticket_contact", ["contact_hmac"])


def downgrade() -> None:
    for table, trigger in TRIGGERS.items():
        op.execute(f"DROP TRIGGER {trigger} ON {table}")
    for table in ("ticket_contact", "contact_secret", "audit_event", "api_key"):
        op.drop_table(table)
    for function in ("audit_changed()", "audit_stays()", "audit_changes(jsonb, jsonb, text[])", "audit_actor()"):
        op.execute(f"DROP FUNCTION {function}")
