"""What a grounded candidate (``retrieval = true``) gets beside the ticket: the help centre's best passages."""

from collections.abc import Sequence

from sqlmodel import Session

from db import queries_retrieval
from db.queries_retrieval import Found
from replybench.prompts import Turn

#: Passages in a prompt.
MOST = 3
#: Below half of what a unique word in common is worth, a passage says nothing about the ticket.
LEAST_SHARE = 0.5
#: Of a long ticket the beginning decides.
_QUERY_CHARS = 2_000


def sources_for(session: Session, subject: str, turns: Sequence[Turn], language: str | None) -> list[Found]:
    """Return the passages that fit the customer's newest turn best, at most one of each article."""
    query = f"{subject}\n{turns[-1].text}"[:_QUERY_CHARS]
    return list(queries_retrieval.best_passages(session, query, language or "en", most=MOST, share=LEAST_SHARE))


def as_prompt(found: Sequence[Found]) -> tuple[str, ...]:
    """Return what is put into the prompt."""
    return tuple(f"{passage.title}\n{passage.text}" for passage in found)


def as_shown(found: Sequence[Found]) -> list[dict[str, object]]:
    """Return what is stored and shown beside the answer: {title, url, score}."""
    return [{"title": passage.title, "url": passage.url, "score": round(passage.score, 3)} for passage in found]
