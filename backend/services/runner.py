"""Drives the answers of all suggestions that this process works on, one task per answer.

What is written lives in memory for those who watch here, and goes to the database at short intervals for all
others. A lease in the database tells the other processes that this one is alive.
"""

import asyncio
import os
import socket
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import aclosing, contextmanager, suppress
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID, uuid4

import sqlalchemy
from sqlmodel import Session

from backend import metrics
from backend.engines.base import EngineFailure, Finished, Job
from backend.logs import log
from backend.services.live import LiveAnswer, LiveSuggestion
from backend.services.roster import Seat
from db import queries
from db.models import now
from db.session import session_scope
from replybench.contract import AnswerStatus
from replybench.errors import Busy, ReplybenchError, Unavailable
from replybench.prompts import clean_answer, storable, streamable

_T = TypeVar("_T")
_FLUSH_S = 0.5
INTERRUPTED_MESSAGE = "The writing was interrupted, because the service stopped. Ask again."


class Runner:
    """One per process."""

    def __init__(
        self, database: sqlalchemy.Engine, *, lease_s: float, abandon_after_s: float, max_waiting: int
    ) -> None:
        self._database = database
        self._lease_s = lease_s
        self._abandon_after_s = abandon_after_s
        self._max_waiting = max_waiting
        self._reserved = 0
        self._live: dict[UUID, LiveSuggestion] = {}
        self._keeper: asyncio.Task[None] | None = None
        self._is_closing = False
        self.worker = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"

    def start(self) -> None:
        """Begin to keep leases, store partial texts, and look for what dead processes left."""
        self._keeper = asyncio.create_task(self._keep())

    @property
    def lease_s(self) -> float:
        """For how long a sign of life counts, in seconds."""
        return self._lease_s

    @property
    def abandon_after_s(self) -> float:
        """After how long without a watcher an unfinished suggestion is cancelled, in seconds."""
        return self._abandon_after_s

    @property
    def is_seating(self) -> bool:
        """Whether a ticket is being stored, whose answers begin in a moment."""
        return self._reserved > 0

    @property
    def unfinished(self) -> int:
        """How many answers are being written or wait."""
        return sum(not answer.status.is_final for live in self._live.values() for answer in live.answers.values())

    def unfinished_of(self, suggestion_ids: Collection[UUID]) -> int:
        """How many answers of these suggestions are being written here or wait."""
        mine = [self._live[one] for one in suggestion_ids if one in self._live]
        return sum(not answer.status.is_final for live in mine for answer in live.answers.values())

    @property
    def live_watchers(self) -> int:
        """How many streams are followed here."""
        return sum(live.watchers for live in self._live.values())

    def live(self, suggestion_id: UUID) -> LiveSuggestion | None:
        """Return what this process is working on, if it is this one."""
        return self._live.get(suggestion_id)

    @contextmanager
    def room(self, answers: int) -> Iterator[None]:
        """Hold room for so many answers while they are being stored.

        Raises:
            Busy: there is none.
        """
        if self._is_closing:
            raise Unavailable("The service is stopping. Ask again in a moment.")
        if self.unfinished + self._reserved + answers > self._max_waiting:
            raise Busy("Too many tickets are being answered just now. Nothing was stored; ask again in a moment.")
        self._reserved += answers
        try:
            yield
        finally:
            self._reserved -= answers

    def launch(self, suggestion_id: UUID, jobs: dict[UUID, tuple[Seat, Job]]) -> None:
        """Begin to write these answers (they are stored, and waiting)."""
        live = self._live.setdefault(suggestion_id, LiveSuggestion(suggestion_id))
        for answer_id, (seat, job) in jobs.items():
            answer = LiveAnswer(answer_id)
            live.answers[answer_id] = answer
            answer.task = asyncio.create_task(self._write(live, answer, seat, job))
        live.notify()

    async def stop(self, suggestion_id: UUID, status: AnswerStatus) -> None:
        """End the tasks of a suggestion; that its answers have ended so is already in the database."""
        live = self._live.pop(suggestion_id, None)
        if live is None:
            return
        tasks = [answer.task for answer in live.answers.values() if answer.task and not answer.task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for answer in live.answers.values():
            if not answer.status.is_final:
                answer.status = status
        live.notify()

    async def close(self) -> None:
        """Mark what is unfinished as interrupted and end all tasks. May be called twice."""
        self._is_closing = True
        if self._keeper:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper
            self._keeper = None
        ids = list(self._live)
        if ids:
            with suppress(Unavailable):  # then the lease runs out, which comes to the same
                await self._in_database(_end_as_interrupted, ids)
        for suggestion_id in ids:
            await self.stop(suggestion_id, AnswerStatus.FAILED)

    async def _write(self, live: LiveSuggestion, answer: LiveAnswer, seat: Seat, job: Job) -> None:
        """Write one answer to its end, whatever that is."""
        began = now()
        try:
            async with asyncio.timeout(seat.candidate.timeout_s):
                with seat.at_work.one():
                    values = await self._written(live, answer, seat, job)
        except TimeoutError:
            limit = f"No complete answer came within {seat.candidate.timeout_s:g} seconds."
            values = _failed(answer, "timeout", limit)
        except EngineFailure as error:
            values = _failed(answer, error.reason, error.message)
        except ReplybenchError as error:
            values = _failed(answer, error.code, error.message)
        except Exception as error:  # one candidate's failure never takes the others down
            log().error("answer_failed", candidate=seat.candidate.key, answer=str(answer.id), exc_info=error)
            values = _failed(answer, "engine_failure", "The model failed while it was writing. Ask again.")
        values = await self._store_end(answer, values)
        metrics.answer_ended(seat.candidate.key, values, began)
        answer.shown = values["text"]
        answer.status = values["status"]
        self._forget_if_finished(live)
        live.notify()

    async def _written(self, live: LiveSuggestion, answer: LiveAnswer, seat: Seat, job: Job) -> dict[str, Any]:
        """Follow the engine's stream; return what is to be stored of the whole."""
        finished = Finished("stop")
        async with aclosing(seat.engine.stream(job)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Finished):
                    finished = piece
                    break
                answer.raw += storable(piece)
                grown = streamable(answer.raw, job.markers)
                if grown != answer.shown:
                    answer.first_token_at = answer.first_token_at or now()
                    answer.shown, answer.status = grown, AnswerStatus.WRITING
                    live.notify()
                if clean_answer(answer.raw, job.markers)[1]:
                    finished = Finished("stop")  # the server went on after the marker; nobody needs the rest
                    break
        text, _ = clean_answer(answer.raw, job.markers)
        if not text:
            return _failed(answer, "empty", "The model wrote nothing at all. Ask again, or ask it differently.")
        return {
            "status": AnswerStatus.DONE,
            "text": text,
            "cut": list(finished.cut),
            "prompt_tokens": finished.prompt_tokens,
            "completion_tokens": finished.completion_tokens,
            "first_token_at": answer.first_token_at,
        }

    async def _store_end(self, answer: LiveAnswer, values: dict[str, Any]) -> dict[str, Any]:
        """Store an end, as often as it takes: the text is complete, and the database may be away for a while.

        Returns what was stored: of a text that the database refuses, that it failed.
        """
        pause = 0.2
        while True:
            try:
                await self._in_database(queries.finish_answer, answer.id, values)
            except Unavailable:
                log().warning("answer_not_stored_yet", answer=str(answer.id))
                await asyncio.sleep(pause)
                pause = min(2 * pause, 5.0)
            except Exception as error:  # else the column would wait for ever
                if not values["text"]:
                    raise
                log().error("answer_not_storable", answer=str(answer.id), exc_info=error)
                message = "The answer came, but could not be stored (the log has the reason). Ask again."
                values = {**_failed(answer, "engine_failure", message), "text": ""}
            else:
                return values

    def _forget_if_finished(self, live: LiveSuggestion) -> None:
        if live.is_finished:
            self._live.pop(live.id, None)

    async def _keep(self) -> None:
        """Store what was written, keep the leases, clear up: until the process ends."""
        renewed = 0.0
        while True:
            try:
                await self._flush()
                await self._cancel_abandoned()
                if time.monotonic() - renewed > self._lease_s / 3:
                    renewed = time.monotonic()
                    await self._in_database(queries.renew_leases, list(self._live), self._lease_s)
                    await self._in_database(_end_orphans, list(self._live))
            except Unavailable:
                log().warning("database_away")
                await asyncio.sleep(1)
            except Exception as error:  # this loop must outlive whatever happens
                log().error("keeper_failed", exc_info=error)
                await asyncio.sleep(1)
            await asyncio.sleep(_FLUSH_S)

    async def _flush(self) -> None:
        """Store partial texts that have grown; end here what was cancelled through another process."""
        grown = [
            (answer, answer.shown)
            for live in self._live.values()
            for answer in live.answers.values()
            if answer.shown != answer.stored and not answer.status.is_final
        ]
        if not grown:
            return
        rows = [(answer.id, text, answer.first_token_at) for answer, text in grown]
        ended = await self._in_database(_store_partials, rows)
        for answer, text in grown:
            answer.stored = text
            if answer.id in ended and answer.task and not answer.status.is_final:
                await self._end_here(answer)

    async def _end_here(self, answer: LiveAnswer) -> None:
        live = next((live for live in self._live.values() if answer.id in live.answers), None)
        if live is None or answer.task is None or answer.task.done():
            return
        answer.task.cancel()
        await asyncio.gather(answer.task, return_exceptions=True)
        answer.status = AnswerStatus.CANCELLED
        self._forget_if_finished(live)
        live.notify()

    async def _cancel_abandoned(self) -> None:
        limit = time.monotonic() - self._abandon_after_s
        left = [live for live in self._live.values() if live.left_at is not None and live.left_at < limit]
        if not left:
            return
        ids = [live.id for live in left]
        watched = await self._in_database(queries.watched_elsewhere, ids, self._abandon_after_s)
        for live in left:
            if live.id in watched:
                live.touch()
                continue
            log().info("abandoned", suggestion=str(live.id))
            await self._in_database(_end_as_abandoned, live.id)
            await self.stop(live.id, AnswerStatus.CANCELLED)

    async def _in_database(self, work: Callable[..., _T], *arguments: Any) -> _T:
        def run() -> _T:
            with session_scope(self._database) as session:
                return work(session, *arguments)

        return await asyncio.to_thread(run)


def _failed(answer: LiveAnswer, code: str, message: str) -> dict[str, Any]:
    return {
        "status": AnswerStatus.FAILED,
        "text": answer.shown,
        "error_code": code,
        "error_message": message,
        "first_token_at": answer.first_token_at,
    }


def _store_partials(session: Session, rows: list[tuple[UUID, str, datetime | None]]) -> set[UUID]:
    """Store partial texts; return the ids of those answers that had ended before."""
    return {row[0] for row in rows if not queries.write_partial(session, *row)}


def _end_as_interrupted(session: Session, suggestion_ids: list[UUID]) -> None:
    queries.end_unfinished(session, suggestion_ids, AnswerStatus.FAILED, queries.INTERRUPTED, INTERRUPTED_MESSAGE)


def _end_as_abandoned(session: Session, suggestion_id: UUID) -> None:
    message = "Nobody was watching any more, so the writing was stopped. Ask again."
    queries.end_unfinished(session, [suggestion_id], AnswerStatus.CANCELLED, "abandoned", message)


def _end_orphans(session: Session, mine: list[UUID]) -> None:
    orphans = queries.orphaned(session, mine)
    if orphans:
        log().info("orphans_ended", count=len(orphans))
        _end_as_interrupted(session, list(orphans))
