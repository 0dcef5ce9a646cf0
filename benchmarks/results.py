"""Results at a million ratings, against the same at ten thousand."""

import statistics
import tempfile
from pathlib import Path
from uuid import UUID

from sqlalchemy import Engine, event, text

from backend.results import service
from backend.results.board import Board
from backend.results.service import Query
from benchmarks.figures import Figure, in_turn, median_ratio, seconds
from db.embedded import embedded_postgres
from db.migrate import upgrade
from db.models import Candidate, Rater, Study
from db.session import connect, session_scope
from replybench.rubric import rubric

SMALL, LARGE = 10_000, 1_000_000
CANDIDATES, RATERS, PER_TICKET = 3, 12, 2
ROUNDS = 25

#: One ticket, one suggestion, three answers, two of twelve raters each: a hundred days, eight categories, two doors.
_FILL = """
WITH made AS MATERIALIZED (
    SELECT i, gen_random_uuid() AS ticket, gen_random_uuid() AS asked FROM generate_series(1, :tickets) AS i
), t AS (
    INSERT INTO ticket (id, subject, text, text_sha256, earlier, language, category, source, redactions, created_at)
    SELECT ticket, 'Ticket ' || i, 'Text', ticket::text, '[]', (ARRAY['en', 'uk'])[1 + i % 2], 'Category ' || i % 8,
        (ARRAY['console', 'zoho_desk'])[1 + i % 2], '{}', now() FROM made
), s AS (
    INSERT INTO suggestion (id, ticket_id, study_id, lineup, created_at)
    SELECT asked, ticket, :study, 'bench', now() FROM made
), answers AS MATERIALIZED (
    SELECT i, asked, gen_random_uuid() AS answer, c.id AS candidate, c.k, random() AS luck
    FROM made CROSS JOIN unnest(CAST(:candidates AS uuid[])) WITH ORDINALITY AS c(id, k)
), a AS (
    INSERT INTO answer (id, suggestion_id, candidate_id, attempt, is_current, status, text, cut, sources, created_at)
    SELECT answer, asked, candidate, 1, true, 'done', 'Answer', '[]', '[]', now() FROM answers
)
INSERT INTO rating (id, answer_id, rater_id, scores, comment, slot, seconds, created_at, updated_at)
SELECT gen_random_uuid(), answer, (CAST(:raters AS uuid[]))[1 + (i + r * 5) % :of],
    jsonb_build_object('content', pg_temp.drawn(luck, k), 'grammar', pg_temp.drawn(luck, k),
        'structure', pg_temp.drawn(luck, k), 'style', pg_temp.drawn(luck, k)),
    '', chr(65 + ((k + i) % 3)::int), 20 + 60 * random(), now() - make_interval(days => i % 100), now()
FROM answers CROSS JOIN generate_series(0, :per_ticket - 1) AS r
"""

_DRAWN = """
CREATE OR REPLACE FUNCTION pg_temp.drawn(luck float, k bigint) RETURNS int VOLATILE LANGUAGE sql AS $$
    SELECT greatest(1, least(5, round(2.2 + 0.15 * k + 1.6 * luck + 1.8 * random() - 0.9)::int)) $$
"""


def run() -> list[Figure]:
    with (
        tempfile.TemporaryDirectory(prefix="replybench-bench-", ignore_cleanup_errors=True) as folder,
        embedded_postgres(Path(folder) / "data") as url,
    ):
        engine = connect(url)
        try:
            upgrade(engine)
            return _measure(engine)
        finally:
            engine.dispose()


def _measure(engine: Engine) -> list[Figure]:
    counting = {}
    for name, ratings in (("small", SMALL), ("large", LARGE)):
        _fill(engine, name, ratings)
        counting[name] = seconds(lambda study=name: _fresh(engine, study))  # type: ignore[misc]  # bound at once
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
    for name in ("small", "large"):
        _after_a_change(engine, name)
    times = in_turn(
        ROUNDS,
        small=lambda: _after_a_change(engine, "small"),
        large=lambda: _after_a_change(engine, "large"),
    )
    unchanged = in_turn(ROUNDS, small=lambda: _same(engine, "small"), large=lambda: _same(engine, "large"))
    return [
        Figure(
            "results of the whole study after a new rating, 1 000 000 ratings ÷ 10 000",
            median_ratio(times["large"], times["small"]),
            3,
            {
                "large median ms": 1000 * statistics.median(times["large"]),
                "large p95 ms": 1000 * _p95(times["large"]),
                "small median ms": 1000 * statistics.median(times["small"]),
                "small p95 ms": 1000 * _p95(times["small"]),
                "first count of all, large s": counting["large"],
            },
            better="lower",
        ),
        Figure(
            "the same from what is kept, nothing changed, 1 000 000 ÷ 10 000",
            median_ratio(unchanged["large"], unchanged["small"]),
            3,
            {
                "large p95 ms": 1000 * _p95(unchanged["large"]),
                "small p95 ms": 1000 * _p95(unchanged["small"]),
            },
            better="lower",
        ),
        _dashboard(engine),
    ]


def _fill(engine: Engine, name: str, ratings: int) -> None:
    with session_scope(engine) as session:
        session.connection().execute(text(_DRAWN))
        study = Study(name=name, title=name, rubric_version=1, weights=rubric().weights)
        candidates = [
            Candidate(fingerprint=f"{name} {i}", key=f"c{i}", name=f"Candidate {i}", engine="scripted")
            for i in range(CANDIDATES)
        ]
        raters = [Rater(name=f"Rater {i}", name_key=f"{name} {i}") for i in range(RATERS)]
        session.add_all([study, *candidates, *raters])
        session.flush()
        session.connection().execute(
            text(_FILL),
            {
                "tickets": ratings // (CANDIDATES * PER_TICKET) + 1,
                "study": study.id,
                "candidates": [candidate.id for candidate in candidates],
                "raters": [rater.id for rater in raters],
                "of": RATERS,
                "per_ticket": PER_TICKET,
            },
        )


def _fresh(engine: Engine, name: str) -> bytes:
    """Compute a study's results and their JSON, with no cache of this process."""
    with session_scope(engine) as session:
        study = service.find_study(session, name)
        version = service.current_version(session, study)
        return service.results(session, study, Query(study=name), version=version).model_dump_json().encode()


def _after_a_change(engine: Engine, name: str) -> float:
    """Change one rating, and return how long the results then take."""
    with session_scope(engine) as session:
        study: UUID = service.find_study(session, name).id
        session.connection().execute(
            text(
                "UPDATE rating SET scores = jsonb_set(scores, '{content}', to_jsonb(1 + floor(5 * random())::int))"
                " WHERE id = (SELECT rating_id FROM results_rating WHERE study_id = :study LIMIT 1"
                " OFFSET floor(random() * 5000))"
            ),
            {"study": study},
        )
    return seconds(lambda: _fresh(engine, name))


def _same(engine: Engine, name: str) -> float:
    return seconds(lambda: _fresh(engine, name))


def _dashboard(engine: Engine) -> Figure:
    """Look at an unchanged page again and again, as an open dashboard does, and count what reaches the database."""
    board = Board(engine)
    try:
        while board.mark is None:
            pass
        board.serve(Query(study="large"))
        statements: list[str] = []
        event.listen(engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
        taken = [seconds(lambda: board.serve(Query(study="large"))) for _ in range(1000)]
    finally:
        board.close()
    return Figure(
        "statements that reach the database per look at an unchanged page",
        len(statements) / len(taken),
        0,
        {"looks": len(taken), "p95 ms": 1000 * _p95(taken)},
        better="lower",
    )


def _p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]
