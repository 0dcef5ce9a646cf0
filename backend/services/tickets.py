"""What becomes of a ticket between the door and the database.

**The seam for redaction**: every service that stores words of people takes a `Redactor`. `NoRedaction` keeps
them as they are; the application's start (`backend.main.create_app`) decides which one is used.
"""

import hashlib
from dataclasses import dataclass, field
from typing import Protocol

from db.models import Ticket
from replybench.contract import Source
from replybench.prompts import Turn


@dataclass(frozen=True, slots=True)
class TicketDraft:
    """A ticket as a client sent it."""

    subject: str
    text: str
    earlier: tuple[Turn, ...] = ()


@dataclass(frozen=True, slots=True)
class CleanTicket:
    """A ticket that may be stored and shown to models.

    Attributes:
        redactions: kind of personal data → how many were replaced.
        language: ISO 639-1, where known.
    """

    subject: str
    text: str
    earlier: tuple[Turn, ...] = ()
    redactions: dict[str, int] = field(default_factory=dict)
    language: str | None = None


class Redactor(Protocol):
    """Replaces personal data by placeholders. Called in a worker thread; must be safe to call from several."""

    def warm(self) -> None:
        """Load what the first ticket would have to wait for."""

    def ticket(self, draft: TicketDraft) -> CleanTicket:
        """Return the ticket with the same placeholder for the same person throughout."""

    def text(self, text: str) -> str:
        """Return another text of a person (a comment, a corrected answer) with placeholders."""


class NoRedaction:
    """Keeps everything."""

    def warm(self) -> None:
        """Nothing to load."""

    def ticket(self, draft: TicketDraft) -> CleanTicket:
        """Return it as it is."""
        return CleanTicket(draft.subject, draft.text, draft.earlier)

    def text(self, text: str) -> str:
        """Return it as it is."""
        return text


def ticket_row(clean: CleanTicket, source: Source, external_id: str | None) -> Ticket:
    """Return the row to store."""
    return Ticket(
        subject=clean.subject,
        text=clean.text,
        text_sha256=hashlib.sha256(clean.text.encode()).hexdigest(),
        earlier=[{"role": turn.role, "text": turn.text} for turn in clean.earlier],
        language=clean.language,
        source=source,
        external_id=external_id,
        redactions=clean.redactions,
    )


def conversation(ticket: Ticket) -> tuple[Turn, ...]:
    """Return a stored ticket's turns, oldest first."""
    earlier = tuple(Turn("agent" if turn["role"] == "agent" else "customer", turn["text"]) for turn in ticket.earlier)
    return (*earlier, Turn("customer", ticket.text))
