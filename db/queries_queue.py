"""SQL of studies and their queues of tickets: filling, answering in advance, handing out, progress. Nothing commits.

A ticket's place in the queue follows from what is stored (its suggestion, the current answers, the ratings), so that
nothing has to be kept in step: a retry, a purge or a rating by another way is seen at once. The view `queue_state`
(0009) has each ticket with how many current answers its suggestion has: `answers`, `done` and `unfinished` ones.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col

from db.models import Answer, Rating, Study, Suggestion, Ticket, now
from db.models_queue import QueueAssignment, QueueItem
from replybench.contract import AnswerStatus
from replybench.queue_contract import HELD_MINUTES

#: How often a ticket's answers are asked for before it counts as failed.
MOST_TRIES = 4
#: Between two tries of a ticket: so long, times the number of tries.
PAUSE_S = 5.0
#: Handing out is done by one transaction at a time: then no two can give the same last place away.
_LOCK = 0x71756575


# --- studies


def lock_study(session: Session, name: str) -> Study | None:
    """Return a study, kept as it is until the commit (what only refers to it goes on)."""
    return session.scalars(select(Study).where(col(Study.name) == name).with_for_update(key_share=True)).one_or_none()


# --- filling


class Known(NamedTuple):
    """What tells that a ticket is in a queue already."""

    ids: set[str]
    texts: set[str]


def known_tickets(session: Session, study_id: UUID, ids: Collection[str], texts: Collection[str]) -> Known:
    """Return which of these helpdesk ids and text hashes are in the study's queue."""
    queued = select(col(QueueItem.ticket_id)).where(col(QueueItem.study_id) == study_id)
    rows = session.execute(
        select(col(Ticket.external_id), col(Ticket.text_sha256)).where(
            col(Ticket.id).in_(queued), col(Ticket.external_id).in_(ids) | col(Ticket.text_sha256).in_(texts)
        )
    ).all()
    return Known({row[0] for row in rows if row[0]}, {row[1] for row in rows})


def add_items(session: Session, study_id: UUID, ticket_ids: Iterable[UUID]) -> int:
    """Put stored tickets at the end of a study's queue; return how many were not there yet."""
    rows = [{"study_id": study_id, "ticket_id": one, "tries": 0, "created_at": now()} for one in ticket_ids]
    if not rows:
        return 0
    added = session.execute(insert(QueueItem).values(rows).on_conflict_do_nothing().returning(col(QueueItem.id)))
    return len(added.all())


# --- answering in advance

_CLAIM = """
SELECT i.id FROM queue_item i JOIN study s ON s.id = i.study_id JOIN ticket t ON t.id = i.ticket_id
WHERE NOT s.is_read_only AND (s.closed_at IS NULL OR s.opened_at IS NULL)
    AND (s.lineup IS NULL OR s.lineup = :lineup)
    AND (s.candidates IS NULL OR s.candidates <@ CAST(:keys AS jsonb))
    AND t.purged_at IS NULL AND i.tries < :most
    AND (i.tried_at IS NULL OR i.tried_at < now() - make_interval(secs => :pause) * i.tries)
    AND (i.suggestion_id IS NULL OR EXISTS (
        SELECT FROM queue_state x WHERE x.id = i.id AND x.unfinished = 0 AND x.done < x.answers))
ORDER BY s.closed_at IS NULL DESC, i.tries, i.id
LIMIT 1 FOR UPDATE OF i SKIP LOCKED
"""


def claim_item(session: Session, lineup: str, keys: str) -> QueueItem | None:
    """Return the next ticket that this lineup is to answer, locked, its try counted; None if there is none.

    Args:
        keys: the lineup's candidate keys, as a JSON array.
    """
    given = {"lineup": lineup, "keys": keys, "most": MOST_TRIES, "pause": PAUSE_S}
    found = session.execute(text(_CLAIM), given).scalar_one_or_none()
    if found is None:
        return None
    item = session.get_one(QueueItem, found)
    item.tries, item.tried_at = item.tries + 1, now()
    session.add(item)
    session.flush()
    return item


def retry_failed(session: Session, study_id: UUID) -> int:
    """Let tickets be tried again whose tries are used up; return how many."""
    rows = session.execute(
        update(QueueItem)
        .where(col(QueueItem.study_id) == study_id, col(QueueItem.tries) >= MOST_TRIES)
        .where(
            col(QueueItem.suggestion_id).in_(
                select(col(Answer.suggestion_id)).where(
                    col(Answer.is_current), col(Answer.status).in_((AnswerStatus.FAILED, AnswerStatus.CANCELLED))
                )
            )
        )
        .values(tries=0, tried_at=None)
        .returning(col(QueueItem.id))
        .execution_options(synchronize_session=False)
    )
    return len(rows.all())


# --- handing out

#: Tickets that the rater (:me) may be given: answered by all, open, not yet rated or skipped by them, and with a
#: place left. A place is taken by whoever has rated an answer, or was given the ticket lately and has not skipped it.
_OFFERED = """
WITH ready AS MATERIALIZED (
    SELECT i.id, i.suggestion_id, i.answers, s.overlap, s.opened_at
    FROM queue_state i JOIN study s ON s.id = i.study_id JOIN ticket t ON t.id = i.ticket_id
    WHERE s.closed_at IS NULL AND NOT s.is_read_only AND t.purged_at IS NULL AND i.done > 0 AND i.done = i.answers
        AND (CAST(:study AS text) IS NULL OR s.name = :study)
), rating_of AS MATERIALIZED (
    SELECT y.id, r.rater_id, count(*) FILTER (WHERE a.is_current) AS rated
    FROM ready y JOIN answer a ON a.suggestion_id = y.suggestion_id JOIN rating r ON r.answer_id = a.id
    GROUP BY y.id, r.rater_id
), holding AS MATERIALIZED (
    SELECT x.item_id AS id, x.rater_id, x.assigned_at > now() - make_interval(mins => :held) AS is_fresh
    FROM queue_assignment x JOIN ready y ON y.id = x.item_id
    WHERE NOT EXISTS (SELECT FROM skip k WHERE k.suggestion_id = y.suggestion_id AND k.rater_id = x.rater_id)
), others AS (
    SELECT id, count(*) AS taken FROM (
        SELECT id, rater_id FROM rating_of UNION SELECT id, rater_id FROM holding WHERE is_fresh
    ) AS x WHERE rater_id <> :me GROUP BY id
), offered AS (
    SELECT y.id, y.suggestion_id, y.opened_at, coalesce(o.taken, 0) AS taken, h.id IS NOT NULL AS is_mine
    FROM ready y LEFT JOIN others o ON o.id = y.id
        LEFT JOIN holding h ON h.id = y.id AND h.rater_id = :me
        LEFT JOIN rating_of r ON r.id = y.id AND r.rater_id = :me
        LEFT JOIN skip k ON k.suggestion_id = y.suggestion_id AND k.rater_id = :me
    WHERE coalesce(o.taken, 0) < y.overlap AND k.rater_id IS NULL AND coalesce(r.rated, 0) < y.answers
)
"""

_FIRST = """
SELECT id, suggestion_id, count(*) OVER () AS available FROM offered
ORDER BY is_mine DESC, opened_at DESC NULLS LAST, taken, id LIMIT 1
"""

_COMING = """
SELECT count(*) FROM queue_state i JOIN study s ON s.id = i.study_id
WHERE s.closed_at IS NULL AND NOT s.is_read_only AND (CAST(:study AS text) IS NULL OR s.name = :study)
    AND (i.done = 0 OR i.done < i.answers) AND (i.tries < :most OR i.unfinished > 0)
"""


class Offer(NamedTuple):
    """A ticket that a rater may be given, and how many there are."""

    item_id: int
    suggestion_id: UUID
    available: int


def begin_handing_out(session: Session) -> None:
    """Wait until no other transaction hands out, and keep others waiting until this one ends."""
    session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})


def offer(session: Session, rater_id: UUID, study: str | None) -> Offer | None:
    """Return the ticket that is this rater's next: what they have in hand first, then the least rated ones."""
    given = {"me": rater_id, "study": study, "held": HELD_MINUTES}
    # The planner takes each step for one row, and would join them row by row: 30 times slower at 2000 tickets.
    session.execute(text("SET LOCAL enable_nestloop = off"))
    found = session.execute(text(_OFFERED + _FIRST), given).one_or_none()
    session.execute(text("SET LOCAL enable_nestloop = on"))
    return Offer(found.id, found.suggestion_id, found.available) if found else None


def assign(session: Session, item_id: int, rater_id: UUID) -> None:
    """Note that the rater has the ticket from now on."""
    values = QueueAssignment(item_id=item_id, rater_id=rater_id).model_dump()
    session.execute(
        insert(QueueAssignment)
        .values(**values)
        .on_conflict_do_update(index_elements=["item_id", "rater_id"], set_={"assigned_at": values["assigned_at"]})
    )


def coming(session: Session, study: str | None) -> int:
    """Return how many tickets of open studies are still to be answered."""
    return int(session.execute(text(_COMING), {"study": study, "most": MOST_TRIES}).scalar_one())


# --- progress

_PROGRESS = """
SELECT count(*) AS tickets, count(*) FILTER (WHERE place = 'waiting') AS waiting,
    count(*) FILTER (WHERE place = 'written') AS written, count(*) FILTER (WHERE place = 'failed') AS failed,
    count(*) FILTER (WHERE place = 'answered') AS answered, count(*) FILTER (WHERE place = 'begun') AS begun,
    count(*) FILTER (WHERE place = 'complete') AS complete
FROM (
    SELECT CASE
        WHEN i.unfinished > 0 THEN 'written'
        WHEN i.done = 0 OR i.done < i.answers THEN CASE WHEN i.tries >= :most THEN 'failed' ELSE 'waiting' END
        WHEN coalesce(r.complete, 0) >= :overlap THEN 'complete'
        WHEN r.begun > 0 THEN 'begun' ELSE 'answered' END AS place
    FROM queue_state i LEFT JOIN (
        SELECT suggestion_id, count(*) AS begun, count(*) FILTER (WHERE rated = answers) AS complete FROM (
            SELECT i.suggestion_id, i.answers, r.rater_id, count(*) AS rated FROM queue_state i
            JOIN answer a ON a.suggestion_id = i.suggestion_id AND a.is_current JOIN rating r ON r.answer_id = a.id
            WHERE i.study_id = :study GROUP BY i.suggestion_id, i.answers, r.rater_id
        ) AS of_rater GROUP BY suggestion_id
    ) r ON r.suggestion_id = i.suggestion_id
    WHERE i.study_id = :study
) AS placed
"""

_RATERS = """
WITH mine AS MATERIALIZED (
    SELECT id FROM suggestion WHERE study_id = :study
), rated AS (
    SELECT r.rater_id, a.suggestion_id, max(r.seconds) AS seconds
    FROM mine m JOIN answer a ON a.suggestion_id = m.id JOIN rating r ON r.answer_id = a.id
    GROUP BY r.rater_id, a.suggestion_id
), skipped AS (
    SELECT k.rater_id, count(*) AS n FROM skip k JOIN mine m ON m.id = k.suggestion_id GROUP BY k.rater_id
), holding AS (
    SELECT x.rater_id, count(*) AS n FROM queue_assignment x JOIN queue_item i ON i.id = x.item_id
    WHERE i.study_id = :study AND x.assigned_at > now() - make_interval(mins => :held)
        AND NOT EXISTS (SELECT FROM skip k WHERE k.suggestion_id = i.suggestion_id AND k.rater_id = x.rater_id)
        AND NOT EXISTS (SELECT FROM rated d WHERE d.suggestion_id = i.suggestion_id AND d.rater_id = x.rater_id)
    GROUP BY x.rater_id
), done AS (
    SELECT rater_id, count(*) AS n, percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) AS seconds
    FROM rated GROUP BY rater_id
)
SELECT p.name, coalesce(d.n, 0) AS rated, coalesce(k.n, 0) AS skipped, coalesce(h.n, 0) AS holding, d.seconds
FROM rater p LEFT JOIN done d ON d.rater_id = p.id LEFT JOIN skipped k ON k.rater_id = p.id
    LEFT JOIN holding h ON h.rater_id = p.id
WHERE d.n > 0 OR k.n > 0 OR h.n > 0 ORDER BY rated DESC, p.name, p.id
"""


def progress(session: Session, study: Study) -> Row[Any]:
    """Return how many tickets of the queue are in each place, as `QueueProgress` names them."""
    given = {"study": study.id, "overlap": study.overlap, "most": MOST_TRIES}
    return session.execute(text(_PROGRESS), given).one()


def rater_progress(session: Session, study_id: UUID) -> Sequence[Row[Any]]:
    """Return what each rater has done in a study, as `RaterProgress` names it."""
    return session.execute(text(_RATERS), {"study": study_id, "held": HELD_MINUTES}).all()


# --- asking again


def askings(session: Session, ticket_id: UUID, rater_id: UUID) -> Sequence[Row[Any]]:
    """Return all askings of a ticket, newest first, as `AskingPublic` names them."""
    done = func.count(col(Answer.id)).filter(col(Answer.status) == AnswerStatus.DONE)
    what: tuple[Any, ...] = (
        col(Suggestion.id).label("suggestion_id"),
        col(Study.name).label("study"),
        col(Suggestion.lineup),
        col(Suggestion.created_at),
    )
    return session.execute(
        select(
            *what,
            func.count(col(Answer.id)).label("answers"),
            done.label("done"),
            func.count(col(Rating.id)).label("rated"),
        )
        .join(Study, col(Study.id) == col(Suggestion.study_id))
        .join(Answer, (col(Answer.suggestion_id) == col(Suggestion.id)) & col(Answer.is_current))
        .outerjoin(Rating, (col(Rating.answer_id) == col(Answer.id)) & (col(Rating.rater_id) == rater_id))
        .where(col(Suggestion.ticket_id) == ticket_id)
        .group_by(*what)
        .order_by(col(Suggestion.created_at).desc())
    ).all()
