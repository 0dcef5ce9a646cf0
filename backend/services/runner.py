"""Drives the answers of all suggestions that this process works on, one task per answer.

What is written lives in memory for those who watch here; `keeper` brings it to the database for all others.
"""

import asyncio
import os
import socket
from collections.abc import Callable, Collection, Iterator
from contextlib import aclosing, contextmanager, suppress
from typing import Any, TypeVar
from uuid import UUID, uuid4

import sqlalchemy

from backend import metrics
from backend.engines.base import EngineFailure, Finished, Job
from backend.logs import log
from backend.services.keeper import Keeper, end_as_interrupted
from backend.services.live import LiveAnswer, LiveSuggestion
from backend.services.roster import Seat
from db import queries
from db.models import now
from db.session import session_scope
from replybench.contract import AnswerStatus
from replybench.errors import Busy, ReplybenchError, Unavailable
from replybench.prompts import clean_answer, storable, streamable

_T = TypeVar("_T")
#: What is to be written: the new answer's id → who writes it, and what.
Jobs = dict[UUID, tuple[Seat, Job]]


class Runner:
    """One per process."""

    def __init__(
        self, database: sqlalchemy.Engine, *, lease_s: float, abandon_after_s: float, max_waiting: int
    ) -> None:
        """Begin with nothing to write.

        Args:
            lease_s: for how long a sign of life counts.
            abandon_after_s: after so long without a watcher an unfinished suggestion is cancelled.
            max_waiting: answers that may be unfinished at a time.
        """
        self._database = database
        self.lease_s = lease_s
        self.abandon_after_s = abandon_after_s
        self._max_waiting = max_waiting
        self._reserved = 0
        self._live: dict[UUID, LiveSuggestion] = {}
        self._keeper = Keeper(self)
        self._is_closing = False
        self.worker = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"

    def start(self) -> None:
        """Begin to keep what is written."""
        self._keeper.start()

    @property
    def is_seating(self) -> bool:
        """Whether a ticket is being stored, whose answers begin in a moment."""
        return self._reserved > 0

    @property
    def all_live(self) -> list[LiveSuggestion]:
        """What this process is working on."""
        return list(self._live.values())

    @property
    def unfinished(self) -> int:
        """How many answers are being written or wait."""
        return sum(live.unfinished for live in self._live.values())

    def unfinished_of(self, suggestion_ids: Collection[UUID]) -> int:
        """How many answers of these suggestions are being written here or wait."""
        return sum(self._live[one].unfinished for one in suggestion_ids if one in self._live)

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

    def launch(self, suggestion_id: UUID, jobs: Jobs) -> None:
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

    async def end_here(self, live: LiveSuggestion, answer: LiveAnswer) -> None:
        """End the task of an answer that was cancelled through another process."""
        if answer.task is None or answer.task.done() or answer.status.is_final:
            return
        answer.task.cancel()
        await asyncio.gather(answer.task, return_exceptions=True)
        answer.status = AnswerStatus.CANCELLED
        self._forget_if_finished(live)
        live.notify()

    async def close(self) -> None:
        """Mark what is unfinished as interrupted and end all tasks. May be called twice."""
        self._is_closing = True
        await self._keeper.close()
        ids = list(self._live)
        if ids:
            with suppress(Unavailable):  # then the lease runs out, which comes to the same
                await self.in_database(end_as_interrupted, ids)
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
                await self.in_database(queries.finish_answer, answer.id, values)
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

    async def in_database(self, work: Callable[..., _T], *arguments: Any) -> _T:
        """Run `work(session, *arguments)` in a thread, in a transaction of its own."""

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
