"""SQL for grounding: the help centre's passages, and those that fit a ticket best."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from uuid import uuid4

from sqlalchemy import ColumnClause, delete, func, literal_column, select, text
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session, col

from db.models import Passage
from replybench.errors import ConfigError

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
SELECT article_id, title, url, text, score FROM best, whole
WHERE score >= :share * ln(1 + (whole.n - 0.5) / 1.5) ORDER BY score DESC, article_id LIMIT :most
""")

# Exact, without an index: a help centre has thousands of passages, not millions.
_NEAREST = text("""
WITH best AS (
  SELECT DISTINCT ON (article_id) article_id, title, url, text,
    1 - (embedding::vector <=> CAST(:vector AS vector)) AS score
  FROM passage WHERE language = :language AND embedding_model = :model
  ORDER BY article_id, score DESC, position
)
SELECT article_id, title, url, text, score FROM best WHERE score >= :least ORDER BY score DESC, article_id LIMIT :most
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
    """A passage that fits. `score` (BM25, cosine, or fused) can be compared within one ticket alone."""

    article_id: str
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
    return [Found(row.article_id, row.title, row.url, row.text, float(row.score)) for row in rows]


def nearest_passages(
    session: Session, vector: Sequence[float], model: str, language: str, *, most: int, least: float
) -> Sequence[Found]:
    """Return at most one passage per article, nearest in meaning first.

    Args:
        vector: the ticket's embedding by `model`, of length 1.
        least: the least cosine that counts.
    """
    values = {"vector": str(list(vector)), "model": model, "language": language, "most": most, "least": least}
    rows = session.execute(_NEAREST, values)
    return [Found(row.article_id, row.title, row.url, row.text, float(row.score)) for row in rows]


def has_embeddings(session: Session, model: str) -> bool:
    """Return whether passages have embeddings of this model."""
    return session.scalar(select(col(Passage.id)).where(col(Passage.embedding_model) == model).limit(1)) is not None


def store_embeddings(session: Session, model: str, encode: Callable[[Sequence[str]], list[list[float]]]) -> int:
    """Give every passage its embedding; return how many.

    Args:
        encode: texts to vectors, all of the same length.

    Raises:
        ConfigError: this PostgreSQL has no pgvector.
    """
    try:
        session.execute(text("CREATE EXTENSION IF NOT EXISTS vector"))
    except DBAPIError as error:
        raise ConfigError(
            "This PostgreSQL has no pgvector, which embeddings need. Install it (Debian: postgresql-18-pgvector), let "
            "an administrator of the database run CREATE EXTENSION vector, or unset EMBEDDING_MODEL."
        ) from error
    passages = session.scalars(select(Passage).order_by(col(Passage.article_id), col(Passage.position))).all()
    vectors = encode([f"{passage.title}\n{passage.text}" for passage in passages])
    for passage, vector in zip(passages, vectors, strict=True):
        passage.embedding, passage.embedding_model = vector, model
    session.flush()
    return len(passages)


def passage_counts(session: Session) -> dict[str, tuple[int, int]]:
    """Return language → (articles, passages)."""
    columns = (col(Passage.language), func.count(func.distinct(Passage.article_id)), func.count())
    rows = session.execute(select(*columns).group_by(col(Passage.language)).order_by(col(Passage.language)))
    return {language: (articles, passages) for language, articles, passages in rows}


def _dictionary(language: str) -> str:
    return _DICTIONARIES.get(language, "simple")
