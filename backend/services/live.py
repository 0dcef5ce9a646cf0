"""Answers that this process is writing, as those who watch here see them: in memory, at every piece."""

import asyncio
import time
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from replybench.contract import AnswerStatus


@dataclass
class LiveAnswer:
    """An answer that is being written. `shown` only ever grows; no part of a stop marker is ever in it."""

    id: UUID
    status: AnswerStatus = AnswerStatus.WAITING
    raw: str = ""
    shown: str = ""
    stored: str = ""
    first_token_at: datetime | None = None
    task: "asyncio.Task[None] | None" = None


@dataclass
class LiveSuggestion:
    """A suggestion that this process works on."""

    id: UUID
    answers: dict[UUID, LiveAnswer] = field(default_factory=dict)
    watchers: int = 0
    left_at: float | None = None
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def changed(self) -> asyncio.Event:
        """Set at the next change. Take it before looking at the answers, so that no change is missed."""
        return self._changed

    def notify(self) -> None:
        """Wake all who watch."""
        self._changed.set()
        self._changed = asyncio.Event()

    @property
    def is_finished(self) -> bool:
        """Whether every answer has ended."""
        return not self.unfinished

    @property
    def unfinished(self) -> int:
        """How many answers are being written or wait."""
        return sum(not answer.status.is_final for answer in self.answers.values())

    def join(self) -> None:
        """Note that somebody began to watch."""
        self.watchers += 1
        self.left_at = None

    def leave(self) -> None:
        """Note that a watcher has gone."""
        self.watchers -= 1
        if self.watchers <= 0:
            self.left_at = time.monotonic()

    def touch(self) -> None:
        """Note that somebody looked (a client that polls)."""
        if self.watchers <= 0:
            self.left_at = time.monotonic()
