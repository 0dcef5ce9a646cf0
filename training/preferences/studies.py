"""From a study in the database to preferences, and from an adapter to the study that tests it."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import Engine

from db import queries_queue
from db import queries_training as queries
from db.models import Study
from db.session import session_scope
from replybench.errors import Conflict, InvalidInput, NotFound, Unavailable
from replybench.rubric import rubric
from training.dataset import load_prepared
from training.preferences.folder import Redact, redacted, write_preferences
from training.preferences.pairs import Made, Rules, from_threads, learn


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

    def client(self) -> httpx.Client:
        """Return a client with the key."""
        headers = {"Authorization": f"Bearer {self.api_key}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60, transport=self.transport, trust_env=False)


def challenge(
    engine: Engine,
    backend: Backend,
    *,
    old_study: str,
    new_study: str,
    title: str,
    lineup: str,
    candidates: tuple[str, str],
    overlap: int,
    limit: int,
) -> int:
    """Put the rated tickets of `old_study` into the queue of a study of two candidates only; return how many are new.

    The study is made at the first call. The backend answers the tickets, and raters find them as those of any queue.

    Raises:
        NotFound: no such study, or a candidate that the running lineup does not have.
        Conflict: a study of the new name is closed, read-only, or compares others.
        Unavailable: the backend cannot be reached.
    """
    _check_candidates(backend, candidates)
    with session_scope(engine) as session:
        old = queries.study_named(session, old_study)
        if old is None:
            raise NotFound(f"There is no study '{old_study}'.")
        new = queries.study_named(session, new_study)
        if new is None:
            new = _challenge_study(new_study, title, lineup, candidates, overlap)
            queries.add_study(session, new)
        elif new.is_read_only or new.closed_at is not None:
            raise Conflict(f"The study '{new_study}' is closed. Choose another with --as.")
        elif set(new.candidates or ()) != set(candidates):
            raise Conflict(f"The study '{new_study}' compares other candidates. Choose another with --as.")
        return queries_queue.add_items(session, new.id, queries.rated_tickets(session, old.id, limit))


def _challenge_study(name: str, title: str, lineup: str, candidates: tuple[str, str], overlap: int) -> Study:
    """Return an open study that is not the one for tickets which name none: it was never opened by a lead."""
    return Study(
        name=name,
        title=title,
        description="The same tickets, answered blind by an adapter and by the one that may take its place.",
        lineup=lineup,
        candidates=list(candidates),
        overlap=overlap,
        rubric_version=rubric().version,
        weights=dict(rubric().weights),
    )


def _check_candidates(backend: Backend, candidates: tuple[str, str]) -> None:
    with backend.client() as client:
        response = _sent(client, "GET", "/api/lineup")
    served = {candidate["key"] for candidate in response.json()["candidates"]}
    if missing := [key for key in candidates if key not in served]:
        raise NotFound(
            f"The running lineup does not have {' and '.join(missing)}. Register the run, restart the backend, and "
            "name both candidates."
        )


def _sent(client: httpx.Client, method: str, path: str, **options: Any) -> httpx.Response:
    try:
        response = client.request(method, path, **options)
    except httpx.HTTPError as error:
        raise Unavailable(f"The backend at {client.base_url} cannot be reached. Start it, or set --url.") from error
    if response.is_error:
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
