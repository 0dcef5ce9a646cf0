"""Answers the queues' tickets in advance, in the background, behind everybody who waits for an answer.

The list of work is the database's: a process claims a ticket by locking its row (`SKIP LOCKED`, so that two processes
never take the same one), stores the asking in the same transaction, and from there on it is a suggestion like any
other. What a process leaves when it dies ends as interrupted when its lease runs out, and is claimed again.
"""

import asyncio
import json
from contextlib import suppress
from uuid import UUID

from sqlmodel import Session

from backend.logs import log
from backend.services.runner import Jobs
from backend.services.suggestions import Desk, begin, next_try, seats_for
from backend.services.switching import Place
from backend.services.views import load
from db import queries, queries_queue
from db.models import Study, Ticket
from db.models_queue import QueueItem
from replybench.contract import AnswerStatus
from replybench.errors import Busy, ReplybenchError, Unavailable

#: How often an idle process looks for work, and a busy one whether there is room again (seconds).
_IDLE_S = 1.0
_BUSY_S = 0.1


class QueueWork:
    """One per process. `at_once` is how many tickets of queues are written at a time while nobody else asks."""

    def __init__(self, place: Place, at_once: int) -> None:
        self._place = place
        self._at_once = at_once
        self._mine: set[UUID] = set()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look for work."""
        if self._at_once:
            self._task = asyncio.create_task(self._work())

    async def close(self) -> None:
        """Take nothing new; what is begun, the runner ends."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _work(self) -> None:
        while True:
            pause = _IDLE_S
            try:
                if not self._has_room():
                    pause = _BUSY_S
                elif await self._begin_one():
                    pause = 0.0
            except (Busy, Unavailable):
                log().debug("queue_waits")
            except ReplybenchError as error:
                log().warning("queue_ticket_not_asked", code=error.code)
            except Exception as error:  # this loop must outlive whatever happens
                log().error("queue_work_failed", exc_info=error)
            await asyncio.sleep(pause)

    def _has_room(self) -> bool:
        """Whether nobody who waits for an answer would have to share with one more ticket of a queue."""
        desk = self._place.desk
        self._mine = {one for one in self._mine if desk.runner.live(one) is not None}
        if not desk.roster.is_started or desk.runner.is_seating or len(self._mine) >= self._at_once:
            return False
        own = desk.runner.unfinished_of(self._mine)
        return desk.runner.unfinished == own and desk.roster.at_work <= own

    async def _begin_one(self) -> bool:
        """Claim a ticket and have it answered; False if there is none."""
        desk = self._place.desk
        with desk.runner.room(len(desk.roster.seats)):
            claimed = await desk.in_database(_claim, desk)
            if claimed is None:
                return False
            suggestion_id, jobs = claimed
            self._mine.add(suggestion_id)
            desk.runner.launch(suggestion_id, jobs)
        return True


def _claim(session: Session, desk: Desk) -> tuple[UUID, Jobs] | None:
    keys = json.dumps([seat.candidate.key for seat in desk.roster.seats])
    item = queries_queue.claim_item(session, desk.roster.lineup.name, keys)
    if item is None:
        return None
    jobs = _failed_ones(session, desk, item) if item.suggestion_id else {}
    if item.suggestion_id and jobs:
        return item.suggestion_id, jobs
    study, ticket = session.get_one(Study, item.study_id), session.get_one(Ticket, item.ticket_id)
    suggestion, jobs = begin(session, desk, study, ticket, seats_for(desk, study), None)
    item.suggestion_id = suggestion.id
    session.add(item)
    return suggestion.id, jobs


def _failed_ones(session: Session, desk: Desk, item: QueueItem) -> Jobs:
    """Put the failed answers of a ticket up again; nothing if one of their candidates has changed since."""
    if item.suggestion_id is None:
        return {}
    rows = load(session, item.suggestion_id)
    ended = {AnswerStatus.FAILED, AnswerStatus.CANCELLED}
    wrong = [row.answer for row in rows.answers if row.answer.status in ended]
    seats = {answer.id: desk.roster.by_snapshot(answer.candidate_id) for answer in wrong}
    jobs: Jobs = {}
    if None in seats.values():
        return jobs
    for answer in wrong:
        seat = seats[answer.id]
        found = queries.answer_rows(session, answer.id, lock=True)
        if seat is not None and found is not None and found[0].is_current:
            fresh_id, job = next_try(session, desk, found[0], seat, rows.ticket)
            jobs[fresh_id] = (seat, job)
    return jobs
