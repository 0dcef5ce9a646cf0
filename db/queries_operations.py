"""SQL of operations: keys, the audit trail, retention, and forgetting a person. Nothing here commits."""

import hashlib
import hmac
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from sqlalchemy import CursorResult, delete, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col

from db.models import (
    Answer,
    ApiKey,
    AuditEvent,
    ContactSecret,
    Rater,
    Rating,
    RatingRevision,
    Suggestion,
    Ticket,
    TicketContact,
    now,
)

#: A key's last use is recorded at most this often: who reads it thinks in days.
_USE_RECORDED_EVERY = timedelta(minutes=1)


def set_actor(session: Session, actor: str) -> None:
    """Say who acts, for the audit trail, until this transaction ends."""
    session.execute(select(func.set_config("replybench.actor", actor, True)))


# --- keys


def key_by_name(session: Session, name: str) -> ApiKey | None:
    """Return a key, revoked or not; a revocation waits for a use that is being recorded."""
    return session.scalars(select(ApiKey).where(col(ApiKey.name) == name).with_for_update()).one_or_none()


def keys(session: Session) -> Sequence[ApiKey]:
    """Return all keys, oldest first."""
    return session.scalars(select(ApiKey).order_by(col(ApiKey.created_at))).all()


def use_key(session: Session, sha256: str) -> ApiKey | None:
    """Return the key with this hash if it is valid, and record its use."""
    key = session.scalars(
        select(ApiKey).where(col(ApiKey.sha256) == sha256, col(ApiKey.revoked_at).is_(None))
    ).one_or_none()
    if key is not None and (key.last_used_at is None or now() - key.last_used_at > _USE_RECORDED_EVERY):
        session.execute(
            update(ApiKey)
            .where(col(ApiKey.id) == key.id)
            .values(last_used_at=now())
            .execution_options(synchronize_session=False)
        )
    return key


# --- the audit trail


def note_event(
    session: Session, actor: str, action: str, entity: str, entity_id: str, detail: dict[str, Any] | None = None
) -> None:
    """Add to the trail what no trigger sees, such as a purge."""
    session.add(AuditEvent(actor=actor, action=action, entity=entity, entity_id=entity_id, detail=detail or {}))


def events(session: Session, *, since: datetime | None, entity: str | None, limit: int) -> Sequence[AuditEvent]:
    """Return the newest events, oldest of them first."""
    statement = select(AuditEvent).order_by(col(AuditEvent.id).desc()).limit(limit)
    if since is not None:
        statement = statement.where(col(AuditEvent.at) >= since)
    if entity is not None:
        statement = statement.where(col(AuditEvent.entity) == entity)
    return list(reversed(session.scalars(statement).all()))


# --- retention, and forgetting


def tickets_before(session: Session, moment: datetime) -> Sequence[UUID]:
    """Return tickets from before `moment` whose texts are still there, locked."""
    return session.scalars(
        select(col(Ticket.id))
        .where(col(Ticket.created_at) < moment, col(Ticket.purged_at).is_(None))
        .order_by(col(Ticket.id))
        .with_for_update()
    ).all()


def remove_texts(session: Session, ticket_ids: Collection[UUID]) -> dict[str, int]:
    """Empty every text that hangs on these tickets; return how many rows of each kind were emptied.

    Scores, times, tokens and who answered stay, so every figure of the results stays what it was.
    """
    answers = (
        select(col(Answer.id))
        .join(Suggestion, col(Suggestion.id) == col(Answer.suggestion_id))
        .where(col(Suggestion.ticket_id).in_(ticket_ids))
    )
    ratings = select(col(Rating.id)).where(col(Rating.answer_id).in_(answers))
    wordless: dict[str, Any] = {"comment": "", "corrected_text": None}
    ticket: dict[str, Any] = {
        "subject": "",
        "text": "",
        "text_sha256": "",
        "earlier": [],
        "external_id": None,
        "redactions": {},
        "purged_at": now(),
    }
    statements = {
        "ticket": update(Ticket).where(col(Ticket.id).in_(ticket_ids)).values(**ticket),
        "answer": update(Answer).where(col(Answer.id).in_(answers)).values(text="", sources=[], error_message=None),
        "rating": update(Rating)
        .where(col(Rating.id).in_(ratings), or_(col(Rating.comment) != "", col(Rating.corrected_text).is_not(None)))
        .values(**wordless),
        "rating_revision": update(RatingRevision).where(col(RatingRevision.rating_id).in_(ratings)).values(**wordless),
        "ticket_contact": delete(TicketContact).where(col(TicketContact.ticket_id).in_(ticket_ids)),
    }
    return {name: _rows(session, statement) for name, statement in statements.items()}


def _rows(session: Session, statement: Any) -> int:
    result = session.execute(statement.execution_options(synchronize_session=False))
    return cast("CursorResult[Any]", result).rowcount


def contact_hmac(session: Session, contact: str) -> str:
    """Return what stands for an address or number, however written: keyed, so that it means nothing elsewhere."""
    secret = session.scalars(select(col(ContactSecret.secret))).one()
    return hmac.new(secret.encode(), _plain(contact).encode(), hashlib.sha256).hexdigest()


def _plain(contact: str) -> str:
    if "@" in contact:
        return contact.strip().casefold()
    digits = "".join(letter for letter in contact if letter.isdigit())
    # A number is known by its last nine digits: with and without the country's code it is the same one.
    return digits[-9:] if len(digits) >= 7 else contact.strip().casefold()


def note_contacts(session: Session, ticket_id: UUID, contacts: Iterable[str]) -> None:
    """Store, as hashes, whose addresses and numbers a ticket came with."""
    rows = [{"ticket_id": ticket_id, "contact_hmac": contact_hmac(session, contact)} for contact in contacts]
    if rows:
        session.execute(insert(TicketContact).values(rows).on_conflict_do_nothing())


def tickets_of(session: Session, contact: str) -> Sequence[UUID]:
    """Return the tickets that came with this address or number, locked."""
    return session.scalars(
        select(col(Ticket.id))
        .where(
            col(Ticket.id).in_(
                select(col(TicketContact.ticket_id)).where(
                    col(TicketContact.contact_hmac) == contact_hmac(session, contact)
                )
            )
        )
        .order_by(col(Ticket.id))
        .with_for_update()
    ).all()


def raters_named(session: Session, name: str) -> Sequence[Rater]:
    """Return the raters of this name; several doors may each know one."""
    return session.scalars(select(Rater).where(func.lower(col(Rater.name)) == name.lower()).with_for_update()).all()


def forget_rater(session: Session, rater: Rater) -> int:
    """Take a rater's name and words away; return how many ratings lost words. Their scores stay, under no name."""
    ratings = select(col(Rating.id)).where(col(Rating.rater_id) == rater.id)
    wordless: dict[str, Any] = {"comment": "", "corrected_text": None}
    changed = _rows(
        session,
        update(Rating)
        .where(
            col(Rating.rater_id) == rater.id, or_(col(Rating.comment) != "", col(Rating.corrected_text).is_not(None))
        )
        .values(**wordless),
    )
    _rows(session, update(RatingRevision).where(col(RatingRevision.rating_id).in_(ratings)).values(**wordless))
    rater.name = f"forgotten {str(rater.id)[:8]}"
    rater.name_key = f"forgotten:{rater.id}"
    session.add(rater)
    session.flush()
    return changed


# --- the state of operations


def database_facts(session: Session) -> dict[str, int]:
    """Return the database's size in bytes, and how many tickets, ratings and unfinished answers it holds."""
    row = session.execute(
        text(
            "SELECT pg_database_size(current_database()) AS bytes, (SELECT count(*) FROM ticket) AS tickets,"
            " (SELECT count(*) FROM rating) AS ratings,"
            " (SELECT count(*) FROM answer WHERE status IN ('waiting', 'writing')) AS unfinished"
        )
    ).one()
    return {name: int(value) for name, value in row._mapping.items()}


def candidate_figures(session: Session, since: datetime) -> Sequence[Any]:
    """Return per candidate of the answers since `since` what `CandidateFigures` names; same key and name, one row."""
    return session.execute(
        text(
            "SELECT c.key, c.name,"
            " count(*) FILTER (WHERE a.status = 'done') AS done,"
            " count(*) FILTER (WHERE a.status = 'failed') AS failed,"
            " count(*) FILTER (WHERE a.status IN ('waiting', 'writing')) AS unfinished,"
            " coalesce(sum(a.completion_tokens), 0) AS tokens,"
            " percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM a.first_token_at - a.created_at))"
            "   AS first_token_s,"
            " percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM a.finished_at - a.created_at))"
            "   FILTER (WHERE a.status = 'done') AS answer_s,"
            " percentile_cont(0.95) WITHIN GROUP (ORDER BY extract(epoch FROM a.finished_at - a.created_at))"
            "   FILTER (WHERE a.status = 'done') AS answer_p95_s,"
            " (array_agg(a.error_code ORDER BY a.created_at DESC) FILTER (WHERE a.status = 'failed'))[1] AS last_error"
            " FROM answer a JOIN candidate c ON c.id = a.candidate_id WHERE a.created_at >= :since"
            " GROUP BY c.key, c.name ORDER BY c.key, c.name"
        ),
        {"since": since},
    ).all()
