"""Brings to the database what the runner writes in memory, at short intervals, and clears up after others.

A lease in the database tells the other processes that this one is alive; the suggestions of one that is not are ended.
"""

import asyncio
import time
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from sqlmodel import Session

from backend.logs import log
from db import queries
from replybench.contract import AnswerStatus
from replybench.errors import Unavailable

if TYPE_CHECKING:
    from backend.services.runner import Runner

_EVERY_S = 0.5
_INTERRUPTED = "The writing was interrupted, because the service stopped. Ask again."
_ABANDONED = "Nobody was watching any more, so the writing was stopped. Ask again."


class Keeper:
    """One per runner."""

    def __init__(self, runner: "Runner") -> None:
        self._runner = runner
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to store partial texts, keep leases, and look for what dead processes left."""
        self._task = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """Keep nothing any more. May be called twice."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _keep(self) -> None:
        renewed = 0.0
        while True:
            try:
                await self._flush()
                await self._cancel_abandoned()
                if time.monotonic() - renewed > self._runner.lease_s / 3:
                    renewed = time.monotonic()
                    mine = [live.id for live in self._runner.all_live]
                    await self._runner.in_database(queries.renew_leases, mine, self._runner.lease_s)
                    await self._runner.in_database(_end_orphans, mine)
            except Unavailable:
                log().warning("database_away")
                await asyncio.sleep(1)
            except Exception as error:  # this loop must outlive whatever happens
                log().error("keeper_failed", exc_info=error)
                await asyncio.sleep(1)
            await asyncio.sleep(_EVERY_S)

    async def _flush(self) -> None:
        """Store partial texts that have grown; end here what was cancelled through another process."""
        grown = [
            (live, answer, answer.shown)
            for live in self._runner.all_live
            for answer in live.answers.values()
            if answer.shown != answer.stored and not answer.status.is_final
        ]
        if not grown:
            return
        rows = [(answer.id, text, answer.first_token_at) for _, answer, text in grown]
        ended = await self._runner.in_database(_store_partials, rows)
        for live, answer, text in grown:
            answer.stored = text
            if answer.id in ended:
                await self._runner.end_here(live, answer)

    async def _cancel_abandoned(self) -> None:
        limit = time.monotonic() - self._runner.abandon_after_s
        left = [live for live in self._runner.all_live if live.left_at is not None and live.left_at < limit]
        if not left:
            return
        ids = [live.id for live in left]
        watched = await self._runner.in_database(queries.watched_elsewhere, ids, self._runner.abandon_after_s)
        for live in left:
            if live.id in watched:
                live.touch()
                continue
            log().info("abandoned", suggestion=str(live.id))
            await self._runner.in_database(_end_as_abandoned, live.id)
            await self._runner.stop(live.id, AnswerStatus.CANCELLED)


def end_as_interrupted(session: Session, suggestion_ids: list[UUID]) -> None:
    """End what is unfinished of these suggestions: its process stops, or has died."""
    queries.end_unfinished(session, suggestion_ids, AnswerStatus.FAILED, queries.INTERRUPTED, _INTERRUPTED)


def _store_partials(session: Session, rows: list[tuple[UUID, str, datetime | None]]) -> set[UUID]:
    """Store partial texts; return the ids of those answers that had ended before."""
    return {row[0] for row in rows if not queries.write_partial(session, *row)}


def _end_as_abandoned(session: Session, suggestion_id: UUID) -> None:
    queries.end_unfinished(session, [suggestion_id], AnswerStatus.CANCELLED, "abandoned", _ABANDONED)


def _end_orphans(session: Session, mine: list[UUID]) -> None:
    orphans = queries.orphaned(session, mine)
    if orphans:
        log().info("orphans_ended", count=len(orphans))
        end_as_interrupted(session, list(orphans))
