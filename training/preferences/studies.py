"""From a study in the database to preferences, and from an adapter to the study that tests it."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from sqlalchemy import Engine

from db import queries_training as queries
from db.models import Study
from db.queries_training import TicketRow
from db.session import session_scope
from replybench.errors import Conflict, InvalidInput, NotFound, Unavailable
from replybench.rubric import rubric
from training.dataset import load_prepared
from training.preferences.folder import Redact, redacted, write_preferences
from training.preferences.pairs import Made, Rules, from_threads, learn

#: How often a full backend is asked again before giving up.
_PATIENCE = 120
Say = Callable[[str], None]


def export_preferences(
    engine: Engine, study_name: str, out: Path, rules: Rules, redact: Redact, *, threads: Path | None = None
) -> dict[str, Any]:
    """Turn a study's ratings into a preferences folder, and return its report.

    Args:
        redact: replaces personal data in the texts of one ticket.
        threads: a prepared folder whose threads' outcomes become KTO labels too.

    Raises:
        NotFound: no such study.
        InvalidInput: it has no rating to learn from.
    """
    with session_scope(engine) as session:
        study = queries.study_named(session, study_name)
        if study is None:
            raise NotFound(f"There is no study '{study_name}'.")
        rows = queries.rated_answers(session, study.id)
    if not rows:
        raise InvalidInput(
            f"The study '{study_name}' has no rating of a finished answer, so there is nothing to learn."
        )
    made = redacted(learn(rows, study.weights, rubric().positive_from, rules), redact)
    if threads is not None:
        made = Made(made.pairs, [*made.labels, *from_threads(load_prepared(threads).threads)], made.left_out)
    source = {"study": study_name, "ratings": len(rows), "tickets": len({row.ticket_id for row in rows})}
    return write_preferences(out, made, rules, source)


@dataclass(frozen=True, slots=True)
class Backend:
    """The running backend, as a client with a key sees it."""

    url: str
    api_key: str
    transport: httpx.BaseTransport | None = None

    def client(self, rater: str | None = None) -> httpx.Client:
        """Return a client that acts for `rater`."""
        headers = {"Authorization": f"Bearer {self.api_key}"}
        if rater:
            headers["X-Rater"] = quote(rater)
        return httpx.Client(base_url=self.url, headers=headers, timeout=60, transport=self.transport, trust_env=False)


def open_challenge(engine: Engine, name: str, title: str, lineup: str) -> None:
    """Make the study in which old and new adapter meet, unless it is there from an earlier call.

    Raises:
        Conflict: a study of this name is closed or read-only.
    """
    with session_scope(engine) as session:
        study = queries.study_named(session, name)
        if study is not None:
            if study.is_read_only or study.closed_at is not None:
                raise Conflict(f"The study '{name}' is closed. Choose another with --as.")
            return
        queries.add_study(
            session,
            Study(
                name=name,
                title=title,
                description="The same tickets, answered blind by an adapter and by the one that may take its place.",
                lineup=lineup,
                rubric_version=rubric().version,
                weights=dict(rubric().weights),
            ),
        )


def challenge(
    engine: Engine,
    backend: Backend,
    *,
    old_study: str,
    new_study: str,
    candidates: tuple[str, str],
    raters: Sequence[str],
    limit: int,
    say: Say,
) -> int:
    """Ask the tickets of `old_study` again, of two candidates only, dealt to `raters` in turn; return how many.

    Tickets that `new_study` has already are left out, so a call that was cut short is simply repeated.

    Raises:
        NotFound: no such study, or a candidate that the running lineup does not have.
        Unavailable: the backend cannot be reached, or stays full.
    """
    with session_scope(engine) as session:
        old, new = queries.study_named(session, old_study), queries.study_named(session, new_study)
        if old is None or new is None:
            raise NotFound(f"There is no study '{old_study if old is None else new_study}'.")
        done = queries.asked_texts(session, new.id)
        tickets = [row for row in queries.rated_tickets(session, old.id, limit) if row.text_sha256 not in done]
    _check_candidates(backend, candidates)
    for index, ticket in enumerate(tickets):
        rater = raters[(len(done) + index) % len(raters)]  # a call that goes on deals where the last one stopped
        with backend.client(rater) as client:
            _ask(client, ticket, new_study, candidates)
        say(f"{index + 1} of {len(tickets)} queued for {rater}")
    return len(tickets)


def _check_candidates(backend: Backend, candidates: tuple[str, str]) -> None:
    with backend.client() as client:
        response = _sent(client, "GET", "/api/lineup")
    served = {candidate["key"] for candidate in response.json()["candidates"]}
    if missing := [key for key in candidates if key not in served]:
        raise NotFound(
            f"The running lineup does not have {' and '.join(missing)}. Register the run, restart the backend, and "
            "name both candidates."
        )


def _ask(client: httpx.Client, ticket: TicketRow, study: str, candidates: tuple[str, str]) -> None:
    body = {
        "subject": ticket.subject,
        "text": ticket.text,
        "earlier": ticket.earlier,
        "source": "cli",
        "external_id": ticket.external_id,
        "study": study,
        "candidates": list(candidates),
    }
    for _ in range(_PATIENCE):
        response = _sent(client, "POST", "/api/suggestions", json=body)
        if response.status_code != httpx.codes.TOO_MANY_REQUESTS:
            return
        wait = response.headers.get("Retry-After", "")
        time.sleep(min(float(wait) if wait.isdigit() else 5.0, 30.0))
    raise Unavailable("The backend stays full. Nothing is lost: run the same command again later.")


def _sent(client: httpx.Client, method: str, path: str, **options: Any) -> httpx.Response:
    try:
        response = client.request(method, path, **options)
    except httpx.HTTPError as error:
        raise Unavailable(f"The backend at {client.base_url} cannot be reached. Start it, or set --url.") from error
    if response.is_error and response.status_code != httpx.codes.TOO_MANY_REQUESTS:
        told = response.json().get("message") if "json" in response.headers.get("content-type", "") else None
        raise Conflict(f"The backend refused: {told or f'status {response.status_code}'}")
    return response


def verdict_of(backend: Backend, study: str) -> dict[str, Any]:
    """Return the results' verdict on a study, with the leader's key in place of its id.

    Returns:
        {status, leader, difference, lower, upper, tickets, more_tickets, reason}; NaN where a figure is not known.
    """
    with backend.client() as client:
        results = _sent(client, "GET", "/api/results", params={"study": study}).json()
    verdict = results["verdict"]
    keys = {candidate["id"]: candidate["key"] for candidate in results["candidates"]}
    bounds = verdict["interval"] or {"lower": math.nan, "upper": math.nan}
    return {
        "status": verdict["status"],
        "leader": keys.get(verdict["leader"]),
        "difference": verdict["difference"],
        "lower": bounds["lower"],
        "upper": bounds["upper"],
        "tickets": verdict["tickets"],
        "more_tickets": verdict["more_tickets"],
        "reason": verdict["reason"],
    }
