"""SQL from a figure to its cause: the tickets and answers behind a bar."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import RowMapping, text
from sqlmodel import Session

from db.models import Study
from db.queries_results import View


@dataclass(frozen=True, slots=True)
class Behind:
    """Which ratings of a view: with these scores on `metric`, or on tickets that failed on it; in a category.

    `failed`: the mean over the view's raters of the ticket's `metric` is below the study's `positive_from`.
    A category of '' is that of tickets without one; None is any.
    """

    metric: str | None = None
    lowest: int | None = None
    highest: int | None = None
    failed: bool = False
    category: str | None = None


_ROWS = """
SELECT a.id AS answer_id, t.id AS ticket_id, t.subject, t.text AS question, nullif(r.category, '') AS category,
    r.source, r.candidate, a.text AS answer, p.name AS rater, r.scores, g.comment, g.updated_at AS rated_at
FROM results_rating r JOIN rating g ON g.id = r.rating_id JOIN answer a ON a.id = r.answer_id
    JOIN ticket t ON t.id = r.ticket_id JOIN rater p ON p.id = r.rater_id
WHERE r.study_id = :study {where} {behind}
ORDER BY g.updated_at DESC, r.rating_id LIMIT :limit OFFSET :offset
"""

_FAILED = """ AND (r.ticket_id, r.candidate) IN (
    SELECT r.ticket_id, r.candidate FROM results_rating r
    WHERE r.study_id = :study {where} AND r.scores ? :metric
    GROUP BY r.ticket_id, r.candidate HAVING avg((r.scores ->> :metric)::int) < :positive_from)"""


def rated_answers(
    session: Session, study: Study, view: View, behind: Behind, *, limit: int, offset: int
) -> list[RowMapping]:
    """Return ratings with their tickets and answers, newest first; keys as in `RatedAnswer`."""
    where, given = view.where()
    conditions = ""
    values: dict[str, Any] = {"study": study.id, "limit": limit, "offset": offset, **given}
    if behind.metric is not None and (behind.lowest is not None or behind.highest is not None):
        conditions += " AND (r.scores ->> :metric)::int BETWEEN :lowest AND :highest"
        values["lowest"] = study.lowest if behind.lowest is None else behind.lowest
        values["highest"] = study.highest if behind.highest is None else behind.highest
    if behind.failed:
        conditions += _FAILED.format(where=where)
        values["positive_from"] = study.positive_from
    if behind.category is not None:
        conditions += " AND r.category = :category"
        values["category"] = behind.category
    values["metric"] = behind.metric
    statement = text(_ROWS.format(where=where, behind=conditions))
    return list(session.connection().execute(statement, values).mappings())
