"""SQL of the results: ratings are tallied here, once per changed ticket, into sums from which every figure follows.

A *tally* is a row (kind, a, b, c, n, s, q): keys a, b, c; a count n, a sum s, a sum of squares q. The same statement
makes the tallies of any selection of ratings, so a filtered view and the whole study are computed alike. The whole
study's are kept in `results_tally`: a changed ticket's are taken off, its ratings read anew, and its tallies added
again (`fold`). They are few, however many ratings there are:

    kind     a           b             c            n                       s, q
    score    candidate   metric        score        scores
    mean     candidate   metric        -            tickets                 of the ticket's means
    pair     candidate   candidate     metric|diff  tickets: a's mean minus b's (a before b), in millionths
    order    metric      pattern       -            tickets: who was placed how, "candidate=place …"
    agree    metric      pattern       -            tickets: answers with several raters, "score:times …|…"
    rater    rater       given         -            ratings
    rater    rater       complete      -            ratings                 of their weighted scores
    rater    rater       apart         -            ratings                 above the others on the same answer
    rater    rater       seconds       -            ratings                 of the logarithm of the seconds
    slot     slot        candidate     -            ratings                 above the rater's mean on the ticket
    day      day         candidate     -            ratings                 of their weighted scores
    todo     candidate   category      -            tickets                 s: of them, mean of the key metric negative
    size     ratings     candidate     -            ratings ('' for all)
    size     tickets     candidate     -            tickets ('' for all)
    facet    source …    its value     -            ratings

Metric '' is the weighted score; it exists where every metric has a score. The unit is the ticket: raters are averaged
within it first.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session, col, select

from db.models import Study

#: Differences are kept in millionths, so that equal means are equal whatever order they were added up in.
MICRO = 1_000_000

#: Tickets that are counted by one statement.
_AT_ONCE = 10_000

#: How results name a candidate: all snapshots of one key and name are one. `c` is the candidate table.
CANDIDATE_REF = "left(md5(c.key || chr(31) || c.name), 12)"


class Tally(NamedTuple):
    """One row of the tallies; the module says what each kind means."""

    kind: str
    a: str
    b: str
    c: str
    n: int
    s: float
    q: float


class CandidateRow(NamedTuple):
    """A candidate of a study: all snapshots that share key and name."""

    ref: str
    key: str
    name: str
    snapshots: int


@dataclass(frozen=True, slots=True)
class View:
    """Which ratings of a study are looked at; nothing given means all. Days are UTC, both ends included."""

    candidates: tuple[str, ...] = ()
    rater: UUID | None = None
    source: str | None = None
    language: str | None = None
    first_day: date | None = None
    last_day: date | None = None

    @property
    def is_whole(self) -> bool:
        """Whether nothing is left out."""
        return self == View()

    def where(self) -> tuple[str, dict[str, Any]]:
        """Return the condition on `r` (results_rating), beginning with AND, and its parameters."""
        given: list[tuple[str, str, Any]] = [
            ("r.candidate = ANY(:candidates)", "candidates", list(self.candidates) or None),
            ("r.rater_id = :rater", "rater", self.rater),
            ("r.source = :source", "source", self.source),
            ("r.language = :language", "language", self.language),
            ("r.day >= :first_day", "first_day", self.first_day),
            ("r.day <= :last_day", "last_day", self.last_day),
        ]
        used = [(sql, name, value) for sql, name, value in given if value is not None]
        return "".join(f" AND {sql}" for sql, _, _ in used), {name: value for _, name, value in used}


_STEPS = """
WITH metrics AS MATERIALIZED (
    SELECT key AS metric, value::float8 AS weight FROM jsonb_each_text(CAST(:weights AS jsonb))
), r AS MATERIALIZED (
    SELECT * FROM results_rating r WHERE r.study_id = :study {where}
), score AS MATERIALIZED (
    SELECT r.rating_id, r.ticket_id, r.candidate, r.rater_id, r.slot, r.day, m.metric, m.weight,
        (r.scores ->> m.metric)::int AS score
    FROM r CROSS JOIN metrics m WHERE r.scores ? m.metric
), rated AS MATERIALIZED (
    SELECT rating_id, ticket_id, candidate, rater_id, slot, day, sum(weight * score) AS y
    FROM score GROUP BY rating_id, ticket_id, candidate, rater_id, slot, day
    HAVING count(*) = (SELECT count(*) FROM metrics)
), metric_mean AS MATERIALIZED (
    SELECT ticket_id, candidate, metric, weight, avg(score)::float8 AS x
    FROM score GROUP BY ticket_id, candidate, metric, weight
), mean AS MATERIALIZED (
    SELECT ticket_id, candidate, metric, x FROM metric_mean
    UNION ALL
    SELECT ticket_id, candidate, '', sum(weight * x) FROM metric_mean
    GROUP BY ticket_id, candidate HAVING count(*) = (SELECT count(*) FROM metrics)
), placed AS (
    SELECT ticket_id, metric, candidate,
        dense_rank() OVER (PARTITION BY ticket_id, metric ORDER BY round((x * 1000000)::numeric) DESC) AS place
    FROM mean
), ordered AS (
    SELECT metric, string_agg(candidate || '=' || place, ' ' ORDER BY candidate) AS pattern
    FROM placed GROUP BY ticket_id, metric HAVING count(*) > 1
), counted AS (
    SELECT ticket_id, candidate, metric, score, count(*) AS times
    FROM score GROUP BY ticket_id, candidate, metric, score
), unit AS (
    SELECT ticket_id, metric, string_agg(score || ':' || times, ' ' ORDER BY score) AS pattern
    FROM counted GROUP BY ticket_id, candidate, metric HAVING sum(times) > 1
), agreed AS (
    SELECT metric, string_agg(pattern, '|' ORDER BY pattern) AS pattern FROM unit GROUP BY ticket_id, metric
), apart AS (
    SELECT rater_id, y - (all_y - y) / (raters - 1) AS d FROM (
        SELECT rater_id, y, sum(y) OVER w AS all_y, count(*) OVER w AS raters
        FROM rated WINDOW w AS (PARTITION BY ticket_id, candidate)) AS x
    WHERE raters > 1
), placement AS (
    SELECT slot, candidate, y - mean_y AS d FROM (
        SELECT slot, candidate, y, avg(y) OVER w AS mean_y, count(*) OVER w AS seen
        FROM rated WINDOW w AS (PARTITION BY ticket_id, rater_id)) AS x
    WHERE seen > 1 AND slot <> ''
), category AS (
    SELECT DISTINCT ticket_id, category FROM r
)
"""

_ROWS = """
SELECT 'score' AS kind, candidate AS a, metric AS b, score::text AS c, count(*) AS n, 0::float8 AS s, 0::float8 AS q
FROM score GROUP BY candidate, metric, score
UNION ALL SELECT 'mean', candidate, metric, '', count(*), sum(x), sum(x * x) FROM mean GROUP BY candidate, metric
UNION ALL SELECT 'pair', m.candidate, o.candidate, m.metric || '|' || round(((m.x - o.x) * 1000000)::numeric),
    count(*), 0, 0
    FROM mean m JOIN mean o ON o.ticket_id = m.ticket_id AND o.metric = m.metric AND m.candidate < o.candidate
    GROUP BY 2, 3, 4
UNION ALL SELECT 'order', metric, pattern, '', count(*), 0, 0 FROM ordered GROUP BY metric, pattern
UNION ALL SELECT 'agree', metric, pattern, '', count(*), 0, 0 FROM agreed GROUP BY metric, pattern
UNION ALL SELECT 'rater', rater_id::text, 'given', '', count(*), 0, 0 FROM r GROUP BY rater_id
UNION ALL SELECT 'rater', rater_id::text, 'complete', '', count(*), sum(y), sum(y * y) FROM rated GROUP BY rater_id
UNION ALL SELECT 'rater', rater_id::text, 'apart', '', count(*), sum(d), sum(d * d) FROM apart GROUP BY rater_id
UNION ALL SELECT 'rater', rater_id::text, 'seconds', '', count(*), sum(ln(greatest(seconds, 1))),
    sum(ln(greatest(seconds, 1)) ^ 2) FROM r WHERE seconds IS NOT NULL GROUP BY rater_id
UNION ALL SELECT 'slot', slot, candidate, '', count(*), sum(d), sum(d * d) FROM placement GROUP BY slot, candidate
UNION ALL SELECT 'day', day::text, candidate, '', count(*), sum(y), sum(y * y) FROM rated GROUP BY day, candidate
UNION ALL SELECT 'todo', m.candidate, c.category, '', count(*), sum((m.x < :positive_from)::int), 0
    FROM metric_mean m JOIN category c USING (ticket_id) WHERE m.metric = :key_metric GROUP BY m.candidate, c.category
UNION ALL SELECT 'size', 'ratings', candidate, '', count(*), 0, 0 FROM r GROUP BY candidate
UNION ALL SELECT 'size', 'ratings', '', '', count(*), 0, 0 FROM r HAVING count(*) > 0
UNION ALL SELECT 'size', 'tickets', candidate, '', count(DISTINCT ticket_id), 0, 0 FROM r GROUP BY candidate
UNION ALL SELECT 'size', 'tickets', '', '', count(DISTINCT ticket_id), 0, 0 FROM r HAVING count(*) > 0
UNION ALL SELECT 'facet', 'source', source, '', count(*), 0, 0 FROM r GROUP BY source
UNION ALL SELECT 'facet', 'language', language, '', count(*), 0, 0 FROM r WHERE language <> '' GROUP BY language
"""

#: Takes the tallies of the selection off the kept ones, or (sign 1) adds them.
_MERGE = """
INSERT INTO results_tally AS t (study_id, kind, a, b, c, n, s, q)
SELECT :study, kind, a, b, c, :sign * n, :sign * s, :sign * q FROM ({rows}) AS x
ON CONFLICT (study_id, kind, a, b, c) DO UPDATE SET n = t.n + excluded.n, s = t.s + excluded.s, q = t.q + excluded.q
"""

_FORGET = "DELETE FROM results_rating r WHERE r.study_id = :study {tickets}"

_READ_ANEW = f"""
INSERT INTO results_rating (rating_id, study_id, ticket_id, answer_id, rater_id, candidate, source, language, category,
    slot, seconds, day, scores)
SELECT r.id, s.study_id, s.ticket_id, a.id, r.rater_id, {CANDIDATE_REF}, t.source, coalesce(t.language, ''),
    coalesce(t.category, ''), r.slot, r.seconds, (r.created_at AT TIME ZONE 'UTC')::date, r.scores
FROM rating r JOIN answer a ON a.id = r.answer_id JOIN suggestion s ON s.id = a.suggestion_id
    JOIN ticket t ON t.id = s.ticket_id JOIN candidate c ON c.id = a.candidate_id
WHERE s.study_id = :study {{tickets}}
"""  # noqa: S608  # what is inserted is a constant of this module


@contextmanager
def _hash_joins(session: Session) -> Iterator[None]:
    """Keep the planner from nested loops over the steps of `_STEPS`, whose sizes it cannot know: at a million ratings
    they would take hours, and at ten they save nothing."""
    connection = session.connection()
    connection.execute(text("SET LOCAL enable_nestloop = off"))
    connection.execute(text("SET LOCAL work_mem = '64MB'"))
    yield
    connection.execute(text("SET LOCAL enable_nestloop = on"))
    connection.execute(text("RESET work_mem"))


def _parameters(study: Study, weights: Mapping[str, float], key_metric: str) -> dict[str, Any]:
    return {
        "study": study.id,
        "weights": json.dumps(dict(weights)),
        "key_metric": key_metric,
        "positive_from": study.positive_from,
    }


def tallies(
    session: Session, study: Study, view: View, *, weights: Mapping[str, float], key_metric: str
) -> list[Tally]:
    """Return the tallies of a selection of the study's counted ratings, computed now (time grows with the selection).

    Args:
        weights: metric → weight; only these metrics are looked at.
        key_metric: the one that the to-do list is about.
    """
    where, given = view.where()
    statement = text(_STEPS.format(where=where) + _ROWS)
    with _hash_joins(session):
        rows = session.connection().execute(statement, {**_parameters(study, weights, key_metric), **given})
        return [Tally(*row) for row in rows]


def kept_tallies(session: Session, study: Study) -> list[Tally]:
    """Return the whole study's tallies with its own weights, as they were last folded (time does not grow)."""
    statement = text("SELECT kind, a, b, c, n, s, q FROM results_tally WHERE study_id = :study AND n <> 0")
    return [Tally(*row) for row in session.connection().execute(statement, {"study": study.id})]


def fold(session: Session, study: Study, *, key_metric: str) -> int:
    """Count what has changed since the last time, and return the version of the study's results.

    Costs one look at an index when nothing has changed. Otherwise it locks the study's version row, so that of
    several processes one counts and the others find it done. A rating that is committed meanwhile is either read
    here already, or stays marked; in the worst case its ticket is counted once more, which changes nothing.
    """
    connection = session.connection()
    key = {"study": study.id}
    seen = connection.execute(
        text(
            "SELECT version, EXISTS (SELECT FROM results_dirty WHERE study_id = :study)"
            " FROM (SELECT coalesce((SELECT version FROM results_version WHERE study_id = :study), 0) AS version) v"
        ),
        key,
    ).one()
    if not seen[1]:
        return int(seen[0])
    connection.execute(
        text("INSERT INTO results_version (study_id, version) VALUES (:study, 0) ON CONFLICT DO NOTHING"), key
    )
    connection.execute(text("SELECT FROM results_version WHERE study_id = :study FOR UPDATE"), key)
    marked = connection.execute(
        text("DELETE FROM results_dirty WHERE study_id = :study RETURNING ticket_id"), key
    ).scalars()
    tickets = set(marked)
    if tickets:
        _count(session, study, key_metric, None if None in tickets else list(tickets))
    bump = text("UPDATE results_version SET version = version + :by WHERE study_id = :study RETURNING version")
    return int(connection.execute(bump, {**key, "by": 1 if tickets else 0}).scalar_one())


def _count(session: Session, study: Study, key_metric: str, tickets: Sequence[UUID] | None) -> None:
    """Count these tickets anew, or (None) all of the study; so many at once that sorting them fits into memory."""
    connection = session.connection()
    given = _parameters(study, study.weights, key_metric)
    everything = tickets is None
    if tickets is None:
        for table in ("results_tally", "results_rating"):
            connection.execute(text(f"DELETE FROM {table} WHERE study_id = :study"), given)  # noqa: S608  # of this line
        asked = text("SELECT DISTINCT ticket_id FROM suggestion WHERE study_id = :study")
        tickets = list(connection.execute(asked, given).scalars())
    only = " AND {}.ticket_id = ANY(:tickets)"
    merge = text(_STEPS.format(where=only.format("r")) + _MERGE.format(rows=_ROWS))
    for start in range(0, len(tickets), _AT_ONCE):
        some = {**given, "tickets": list(tickets[start : start + _AT_ONCE])}
        if not everything:
            with _hash_joins(session):
                connection.execute(merge, {**some, "sign": -1})
            connection.execute(text(_FORGET.format(tickets=only.format("r"))), some)
        connection.execute(text(_READ_ANEW.format(tickets=only.format("s"))), some)
        with _hash_joins(session):
            connection.execute(merge, {**some, "sign": 1})
    connection.execute(text("DELETE FROM results_tally WHERE study_id = :study AND n = 0"), given)


def study_named(session: Session, name: str) -> Study | None:
    """Return the study of this name."""
    return session.exec(select(Study).where(Study.name == name)).one_or_none()


def open_study(session: Session) -> Study | None:
    """Return the study that was opened last of those that are open, or else of all that are not read-only."""
    opened = (col(Study.opened_at).desc().nulls_last(), col(Study.created_at).desc())
    order = (col(Study.closed_at).is_(None).desc(), *opened)
    return session.exec(select(Study).where(col(Study.is_read_only).is_(False)).order_by(*order).limit(1)).first()


def candidates(session: Session, study: Study) -> list[CandidateRow]:
    """Return the candidates that have answered in the study, rated or not, by name."""
    statement = text(
        f"SELECT {CANDIDATE_REF} AS ref, c.key, c.name, count(*) AS snapshots"  # noqa: S608  # a constant
        " FROM results_candidate k JOIN candidate c ON c.id = k.candidate_id WHERE k.study_id = :study"
        " GROUP BY c.key, c.name ORDER BY c.name, c.key"
    )
    return [CandidateRow(*row) for row in session.connection().execute(statement, {"study": study.id})]


def rater_names(session: Session, raters: Sequence[str]) -> dict[str, str]:
    """Return id → name."""
    rows = session.connection().execute(
        text("SELECT id::text, name FROM rater WHERE id = ANY(CAST(:raters AS uuid[]))"), {"raters": list(raters)}
    )
    return {row[0]: row[1] for row in rows}
