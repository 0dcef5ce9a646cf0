"""Personal data out of what comes in at the door: the seam of `backend.services.tickets`, filled by the redactor."""

from collections import Counter

from backend.services.tickets import CleanTicket, TicketDraft
from replybench import language
from replybench.prompts import Turn
from replybench.redaction import Redactor as PersonalData


class Redaction:
    """Replaces personal data by placeholders, the same person by the same one throughout a ticket."""

    def __init__(self, personal_data: PersonalData) -> None:
        self._personal_data = personal_data

    def warm(self) -> None:
        """Load what the first ticket would have to wait for (seconds)."""
        self._personal_data.warm()

    def ticket(self, draft: TicketDraft) -> CleanTicket:
        """Return the ticket with placeholders, what was replaced by kind, and its language."""
        subject, text, *earlier = self._personal_data.redact_ticket(
            [draft.subject, draft.text, *(turn.text for turn in draft.earlier)]
        )
        replaced = Counter(entity.kind for part in (subject, text, *earlier) for entity in part.entities)
        found = language.detect(draft.text, draft.subject)
        return CleanTicket(
            subject=subject.text,
            text=text.text,
            earlier=tuple(Turn(turn.role, clean.text) for turn, clean in zip(draft.earlier, earlier, strict=True)),
            redactions={str(kind): count for kind, count in sorted(replaced.items())},
            language=None if found == language.UNKNOWN else found,
        )

    def text(self, text: str) -> str:
        """Return a comment or a corrected answer with placeholders."""
        return self._personal_data.redact(text).text if text.strip() else text
