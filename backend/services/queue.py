"""The queue of a study: tickets in, and out to raters one by one."""

from uuid import UUID

from sqlmodel import Session

from backend.services import studies
from backend.services.suggestions import take_in
from backend.services.tickets import Redactor, TicketDraft, ticket_row
from db import queries_queue
from db.models import Ticket
from replybench.contract import Source
from replybench.errors import Conflict
from replybench.prompts import Turn
from replybench.queue_contract import (
    QueueImport,
    QueueImported,
    QueueNext,
    QueuePublic,
    QueueRetried,
    QueueTicket,
)


def take_in_tickets(session: Session, redactor: Redactor, name: str, body: QueueImport) -> QueueImported:
    """Put tickets into a study's queue, personal data replaced. A ticket that it has already is not stored again.

    Raises:
        NotFound: no such study.
        Conflict: it is closed or was imported.
    """
    study = studies.found(session, name)  # locked: two imports at once cannot both store the same ticket
    if study.is_read_only or (study.closed_at is not None and not study.is_draft):
        raise Conflict(f"The study '{name}' is closed. Open it first, or choose another one.")
    fresh = []
    for given in body.tickets:
        ticket = _stored_if_new(session, redactor, study.id, given)
        if ticket is not None:
            fresh.append(ticket.id)
            queries_queue.add_items(session, study.id, [ticket.id])
    return QueueImported(added=len(fresh), known=len(body.tickets) - len(fresh))


def _stored_if_new(session: Session, redactor: Redactor, study_id: UUID, given: QueueTicket) -> Ticket | None:
    """Return the ticket as it was stored now; None if the study has it, by the helpdesk's id or by its text."""
    ids = {given.id} if given.id else set()
    if queries_queue.known_tickets(session, study_id, ids, ()).ids:
        return None
    draft = TicketDraft(given.subject, given.text, tuple(Turn(turn.role, turn.text) for turn in given.earlier))
    ticket = ticket_row(redactor.ticket(draft), Source.IMPORT, given.id)
    if queries_queue.known_tickets(session, study_id, (), {ticket.text_sha256}).texts:
        return None
    ticket.category, ticket.language = given.category, given.language or ticket.language
    take_in(session, ticket, draft)
    return ticket


def own(session: Session, rater_id: UUID) -> QueuePublic:
    """Return how many tickets wait for this rater, and how many are still being answered."""
    offer = queries_queue.offer(session, rater_id, None)
    return QueuePublic(left=offer.available if offer else 0, coming=queries_queue.coming(session, None))


def hand_out(session: Session, rater_id: UUID, study: str | None) -> QueueNext:
    """Give the rater their next ticket. Asked again before it is rated or skipped, it is the same one.

    No ticket gets more raters than its study wants: a place that was given away is kept for half an hour, and then
    for as long as there are others.
    """
    coming = queries_queue.coming(session, study)  # before the others have to wait
    queries_queue.begin_handing_out(session)
    offer = queries_queue.offer(session, rater_id, study)
    if offer is not None:
        queries_queue.assign(session, offer.item_id, rater_id)
    return QueueNext(
        suggestion_id=offer.suggestion_id if offer else None,
        left=offer.available if offer else 0,
        coming=coming,
    )


def retry(session: Session, name: str) -> QueueRetried:
    """Let the tickets be tried again that could not be answered.

    Raises:
        NotFound: no such study.
    """
    return QueueRetried(tickets=queries_queue.retry_failed(session, studies.found(session, name).id))
