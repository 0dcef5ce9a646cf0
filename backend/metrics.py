"""What Prometheus reads. Counters are this process's own; sums over processes are Prometheus's work.

Labels are keys of candidates, routes and statuses: never a person, a ticket or a text.
"""

from datetime import datetime
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from db.models import now

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)

_SECONDS = (0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120)

REQUESTS = Counter("replybench_requests", "Requests answered.", ("method", "route", "status"), registry=REGISTRY)
REQUEST_SECONDS = Histogram(
    "replybench_request_seconds", "From a request to the end of its response.", ("route",), registry=REGISTRY
)
ANSWERS = Counter(
    "replybench_answers", "Answers that ended, by how.", ("candidate", "status", "reason"), registry=REGISTRY
)
TOKENS = Counter("replybench_answer_tokens", "Tokens written in finished answers.", ("candidate",), registry=REGISTRY)
FIRST_TOKEN_SECONDS = Histogram(
    "replybench_first_token_seconds",
    "From the asking to the first words on the screen.",
    ("candidate",),
    buckets=_SECONDS,
    registry=REGISTRY,
)
ANSWER_SECONDS = Histogram(
    "replybench_answer_seconds",
    "From the asking to the complete answer.",
    ("candidate",),
    buckets=_SECONDS,
    registry=REGISTRY,
)
RATINGS = Counter("replybench_ratings", "Ratings taken.", ("kind",), registry=REGISTRY)

UNFINISHED = Gauge("replybench_answers_unfinished", "Answers that wait or are being written here.", registry=REGISTRY)
WAITING = Gauge("replybench_engine_waiting", "Jobs in an engine's queue.", ("engine",), registry=REGISTRY)
ENGINE_UP = Gauge("replybench_engine_up", "1 if the engine has started.", ("engine",), registry=REGISTRY)
DATABASE_UP = Gauge("replybench_database_up", "1 if the database answers.", registry=REGISTRY)


def request_ended(method: str, route: str, status: int, seconds: float) -> None:
    """Count a request."""
    REQUESTS.labels(method, route, str(status)).inc()
    REQUEST_SECONDS.labels(route).observe(seconds)


def answer_ended(candidate: str, values: dict[str, Any], began: datetime) -> None:
    """Count an answer by what is stored of it; `began` is when it was launched."""
    status = str(values["status"])
    ANSWERS.labels(candidate, status, values.get("error_code") or "").inc()
    if values.get("first_token_at"):
        FIRST_TOKEN_SECONDS.labels(candidate).observe((values["first_token_at"] - began).total_seconds())
    if status == "done":
        ANSWER_SECONDS.labels(candidate).observe((now() - began).total_seconds())
        TOKENS.labels(candidate).inc(values.get("completion_tokens") or 0)


def exposition(unfinished: int, engines: dict[str, tuple[bool, int]], *, database_is_up: bool) -> bytes:
    """Return everything in Prometheus's text format.

    Args:
        unfinished: answers that wait or are written in this process.
        engines: title → (has started, jobs in its queue).
    """
    UNFINISHED.set(unfinished)
    DATABASE_UP.set(database_is_up)
    for title, (is_up, waiting) in engines.items():
        ENGINE_UP.labels(title).set(is_up)
        WAITING.labels(title).set(waiting)
    return generate_latest(REGISTRY)
