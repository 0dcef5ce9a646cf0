"""What the Studies page reads and sends: studies, their queues, flagged answers."""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from console import state
from console.i18n import _, ngettext
from replybench.contract import FlagList, FlagPublic, LineupPublic, StudyPublic
from replybench.errors import Unavailable
from replybench.queue_contract import (
    QueueImport,
    QueueImported,
    QueueProgress,
    QueueRetried,
    QueueTicket,
    RaterProgress,
    StudyChange,
    StudyCreate,
    StudyProgress,
)
from replybench.serving_contract import LineupNames
from replybench.ticket_files import batches

M = TypeVar("M", bound=BaseModel)


def studies() -> list[StudyPublic]:
    """Return the studies that are run here, newest first; imported ones have no queue."""
    return [study for study in state.backend().studies() if not study.is_read_only]


def lineup() -> LineupPublic:
    """Return who can answer now."""
    return state.backend().lineup()


def lineups() -> list[str]:
    """Return the names of the lineups that can be used, the one in use first."""
    found = _get(LineupNames, "/api/lineups")
    return [found.current, *(name for name in found.names if name != found.current)]


def create(wanted: StudyCreate) -> StudyPublic:
    """Make a study."""
    return _send(StudyPublic, "POST", "/api/studies", wanted)


def change(study: str, wanted: StudyChange) -> StudyPublic:
    """Change a study."""
    return _send(StudyPublic, "PATCH", f"/api/studies/{study}", wanted)


def progress(study: str) -> StudyProgress:
    """Return how far a study is."""
    return _get(StudyProgress, f"/api/studies/{study}/progress")


def flags(study: str) -> list[FlagPublic]:
    """Return the study's flagged answers, newest first."""
    return _get(FlagList, "/api/flags", {"study": study}).flags


def retry(study: str) -> int:
    """Try the failed tickets again; return how many."""
    return _send(QueueRetried, "POST", f"/api/studies/{study}/retry", None).tickets


def take_in(study: str, tickets: list[QueueTicket]) -> Iterator[QueueImported]:
    """Put tickets into a study's queue; yield after each part how many were new and how many known, so far."""
    added = known = 0
    for batch in batches(tickets):
        done = _send(QueueImported, "POST", f"/api/studies/{study}/tickets", QueueImport(tickets=batch))
        added, known = added + done.added, known + done.known
        yield QueueImported(added=added, known=known)


def slug(title: str) -> str:
    """Return a short name for a title; empty if nothing of it can be written in plain letters."""
    plain = unicodedata.normalize("NFKD", title.casefold()).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:60].rstrip("-")


@dataclass(frozen=True, slots=True)
class Place:
    """How many tickets are in one place of the queue."""

    key: str
    label: str
    tickets: int


def places(queue: QueueProgress) -> list[Place]:
    """Return the places that a ticket goes through, the last one first."""
    labels = {
        "complete": _("rated by as many as wanted"),
        "begun": _("rated, more raters wanted"),
        "answered": _("answered, nobody has rated yet"),
        "written": _("being answered"),
        "waiting": _("waiting for answers"),
        "failed": _("could not be answered"),
    }
    return [Place(key, label, getattr(queue, key)) for key, label in labels.items()]


def in_words(queue: QueueProgress) -> str:
    """Return the queue's progress as a sentence, for those who do not see the picture."""
    if not queue.tickets:
        return _("The queue is empty.")
    all_of_them = ngettext("{count} ticket", "{count} tickets", queue.tickets)
    return f"{all_of_them}: " + ", ".join(f"{place.tickets} {place.label}" for place in places(queue) if place.tickets)


def share_done(queue: QueueProgress) -> int:
    """Return the share of complete tickets in percent; 100 only when all are."""
    return 100 * queue.complete // queue.tickets if queue.tickets else 0


def rater_rows(raters: list[RaterProgress]) -> list[Mapping[str, str | int | None]]:
    """Return a row for each rater."""
    return [
        {
            _("Rater"): rater.name,
            _("Tickets rated"): rater.rated,
            _("Tickets skipped"): rater.skipped,
            _("In hand"): rater.holding,
            _("Seconds per ticket (median)"): None if rater.seconds is None else round(rater.seconds),
        }
        for rater in raters
    ]


def _get(model: type[M], path: str, params: Mapping[str, str] | None = None) -> M:
    return _parsed(model, state.backend().fetch(path, params or {}).document)


def _send(model: type[M], method: str, path: str, body: BaseModel | None) -> M:
    content = body.model_dump(mode="json", exclude_none=True) if body is not None else None
    return _parsed(model, state.backend().send(method, path, json=content).json())


def _parsed(model: type[M], document: object) -> M:
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise Unavailable("The backend speaks of studies in another way than this console. Update both.") from error
