"""SQL for grounding: the help centre's passages, and those that fit a ticket best."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import uuid4

from sqlalchemy import ColumnClause, delete, func, literal_column, select, text
from sqlmodel import Session, col

from db.models import Passage

#: PostgreSQL's dictionaries, by language; where there is none, words are compared as they are written.
_DICTIONARIES = {
    "da": "danish", "de": "german", "en": "english", "es": "spanish", "fi": "finnish", "fr": "french",
    "hu": "hungarian", "it": "italian", "nl": "dutch", "no": "norwegian", "pt": "portuguese", "ro": "romanian",
    "sv": "swedish", "tr": "turkish",
}  # fmt: skip

# setweight takes PostgreSQL's one-byte "char", which only a literal becomes by itself.
_TITLE: ColumnClause[str] = literal_column("'A'")
_BODY: ColumnClause[str] = literal_column("'B'")

# Okapi BM25 (k1 = 1.2, b = 0.75; a word in the title counts twice) over PostgreSQL's own full-text words: ts_rank
# knows nothing of how rare a word is, and a ticket is full of common ones. The best passage speaks for its article.
_BEST = text("""
WITH asked AS (SELECT DISTINCT lexeme FROM unnest(to_tsvector(CAST(:dictionary AS regconfig), :query))),
     anywhere AS (SELECT string_agg(quote_literal(lexeme), ' | ')::tsquery AS query FROM asked),
     whole AS (SELECT count(*)::float AS n, avg(words)::float AS words FROM passage WHERE language = :language),
     hits AS (
       SELECT p.id, p.words, w.lexeme, cardinality(w.positions) AS often, 'A' = ANY(w.weights) AS in_title
       FROM passage p, anywhere, LATERAL unnest(p.search) AS w
       JOIN asked USING (lexeme)
       WHERE p.language = :language AND p.search @@ anywhere.query
     ),
     rarity AS (
       SELECT lexeme, ln(1 + (max(whole.n) - count(*) + 0.5) / (count(*) + 0.5)) AS idf
       FROM hits, whole GROUP BY lexeme
     ),
     scored AS (
       SELECT hits.id, sum(
         idf * (CASE WHEN in_title THEN 2 ELSE 1 END)
         * often * 2.2 / (often + 1.2 * (0.25 + 0.75 * hits.words / greatest(whole.words, 1)))
       ) AS score
       FROM hits JOIN rarity USING (lexeme), whole GROUP BY hits.id
     ),
     best AS (
       SELECT DISTINCT ON (p.article_id) p.article_id, p.title, p.url, p.text, scored.score
       FROM scored JOIN passage p USING (id)
       ORDER BY p.article_id, scored.score DESC, p.position
     )
SELECT title, url, text, score FROM best, whole
WHERE score >= :share * ln(1 + (whole.n - 0.5) / 1.5) ORDER BY score DESC, article_id LIMIT :most
""")


@dataclass(frozen=True, slots=True)
class NewPassage:
    """A passage to store; `language` is ISO 639-1."""

    article_id: str
    position: int
    title: str
    url: str | None
    language: str
    text: str


@dataclass(frozen=True, slots=True)
class Found:
    """A passage that fits. `score` is BM25: comparable within one ticket alone."""

    title: str
    url: str | None
    text: str
    score: float


def replace_passages(session: Session, passages: Iterable[NewPassage]) -> int:
    """Put these in the place of all that are stored; return how many."""
    session.execute(delete(Passage))
    rows = []
    for passage in passages:
        dictionary = _dictionary(passage.language)
        title = func.setweight(func.to_tsvector(dictionary, passage.title), _TITLE)
        body = func.setweight(func.to_tsvector(dictionary, passage.text), _BODY)
        rows.append(
            Passage(
                id=uuid4(),
                article_id=passage.article_id,
                position=passage.position,
                title=passage.title,
                url=passage.url,
                language=passage.language,
                text=passage.text,
                words=len(passage.text.split()),
                search=title.op("||")(body),
            )
        )
    session.add_all(rows)
    session.flush()
    return len(rows)


def best_passages(session: Session, query: str, language: str, *, most: int, share: float) -> Sequence[Found]:
    """Return at most one passage per article, best first.

    Args:
        share: a passage counts from this share of what a word that stands in one passage alone is worth; so the
            bound means the same in a help centre of ten articles and of ten thousand.
    """
    rows = session.execute(
        _BEST,
        {"query": query, "language": language, "dictionary": _dictionary(language), "most": most, "share": share},
    )
    return [Found(row.title, row.url, row.text, float(row.score)) for row in rows]


def passage_counts(session: Session) -> dict[str, tuple[int, int]]:
    """Return language → (articles, passages)."""
    columns = (col(Passage.language), func.count(func.distinct(Passage.article_id)), func.count())
    rows = session.execute(select(*columns).group_by(col(Passage.language)).order_by(col(Passage.language)))
    return {language: (articles, passages) for language, articles, passages in rows}


def _dictionary(language: str) -> str:
    return _DICTIONARIES.get(language, "simple")
