"""What a grounded candidate (``retrieval = true``) gets beside the ticket: the help centre's best passages."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlmodel import Session

from db import queries_retrieval
from db.queries_retrieval import Found
from replybench.embeddings import Encoder
from replybench.prompts import Turn

#: Passages in a prompt.
MOST = 3
#: Below half of what a unique word in common is worth, a passage says nothing about the ticket.
LEAST_SHARE = 0.5
#: Below this likeness of meaning (cosine) neither does it.
LEAST_LIKENESS = 0.35
#: Of a long ticket the beginning decides.
_QUERY_CHARS = 2_000
#: How little the first places of a ranking outweigh the next ones, when rankings are fused (Cormack et al., 2009).
_EVENNESS = 60


@dataclass(frozen=True, slots=True)
class Librarian:
    """Finds passages: by a ticket's words, and by its meaning too where an embedding model is set."""

    encoder: Encoder | None = None

    def warm(self) -> None:
        """Load what the first ticket would have to wait for."""
        if self.encoder is not None:
            self.encoder.warm()

    def sources_for(self, session: Session, subject: str, turns: Sequence[Turn], language: str | None) -> list[Found]:
        """Return the passages that fit the customer's newest turn best, at most one of each article."""
        query, language = f"{subject}\n{turns[-1].text}"[:_QUERY_CHARS], language or "en"
        by_words = queries_retrieval.best_passages(session, query, language, most=2 * MOST, share=LEAST_SHARE)
        if self.encoder is None or not queries_retrieval.has_embeddings(session, self.encoder.model):
            return list(by_words)[:MOST]
        (vector,) = self.encoder.encode([query])
        by_meaning = queries_retrieval.nearest_passages(
            session, vector, self.encoder.model, language, most=2 * MOST, least=LEAST_LIKENESS
        )
        return fused([by_words, by_meaning])[:MOST]


def fused(rankings: Sequence[Sequence[Found]]) -> list[Found]:
    """Return what stands in any of the rankings, best first.

    By reciprocal rank fusion, since scores of different rankings cannot be compared. Of an article that stands in
    several, the passage of the first ranking is taken.
    """
    scores: dict[str, float] = {}
    passages: dict[str, Found] = {}
    for ranking in rankings:
        for place, found in enumerate(ranking, start=1):
            scores[found.article_id] = scores.get(found.article_id, 0.0) + 1 / (_EVENNESS + place)
            passages.setdefault(found.article_id, found)
    best = sorted(scores, key=lambda article: -scores[article])
    return [replace(passages[article], score=scores[article]) for article in best]


def as_prompt(found: Sequence[Found]) -> tuple[str, ...]:
    """Return what is put into the prompt."""
    return tuple(f"{passage.title}\n{passage.text}" for passage in found)


def as_shown(found: Sequence[Found]) -> list[dict[str, object]]:
    """Return what is stored and shown beside the answer: {title, url, score}."""
    return [{"title": passage.title, "url": passage.url, "score": round(passage.score, 3)} for passage in found]
