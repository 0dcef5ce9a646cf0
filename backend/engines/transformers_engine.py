"""The engine for local models: one worker thread per base, all waiting jobs in one batch, streamed per row.

A batch is one `generate` call in which each row has its own adapter. When jobs arrive while one runs, it is ended
after some steps and made up anew with the newcomers: the rows that were at work go on from what they have written.
So a newcomer waits for a bounded number of steps, and a finished or cancelled row's place is used again.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from typing import Any

from backend.engines.base import EngineFailure, EngineInfo, Finished, Job
from backend.engines.threads import wait_politely
from backend.logs import log
from backend.settings import Settings
from replybench.embedded_model import EMBEDDED
from replybench.embedded_model import NAME as EMBEDDED_NAME
from replybench.errors import Busy, ReplybenchError, Unavailable
from replybench.lineups import Candidate

#: A running batch is not made up anew before so many steps, so that newcomers cannot stop all progress.
_STEPS_BEFORE_NEWS = 24


class TransformersEngine:
    """One per base (and revision, dtype, quantisation) of a lineup."""

    def __init__(self, candidates: Sequence[Candidate], settings: Settings) -> None:
        self._candidates = list(candidates)
        self._settings = settings
        self._model: Any = None
        self._encoder: Any = None
        self._encoding = threading.Lock()  # fast tokenizers refuse to be used by two threads at once
        self._waiting: deque[Any] = deque()
        self._arrived = threading.Condition()
        self._running = 0
        self._doing = ""
        self._is_closing = False
        self._thread: threading.Thread | None = None

    async def start(self) -> None:
        """Load the base and the adapters, warm up, and begin to take jobs."""
        await asyncio.to_thread(self._load)
        self._thread = threading.Thread(target=self._work, name=f"model-{self._title}", daemon=True)
        self._thread.start()

    async def stream(self, job: Job) -> AsyncGenerator[str | Finished, None]:
        """Queue the job, and yield its text as the batch writes it."""
        loop = asyncio.get_running_loop()
        items: asyncio.Queue[Any] = asyncio.Queue()

        def emit(item: Any) -> None:
            with suppress(RuntimeError):  # the loop has been closed: nobody reads any more
                loop.call_soon_threadsafe(items.put_nowait, item)

        if self._thread is None:
            raise Unavailable(f"{self._title} is not loaded.")
        row = await asyncio.to_thread(self._row, job, emit)
        self._admit(row)
        try:
            while True:
                item = await items.get()
                if isinstance(item, ReplybenchError):
                    raise item
                yield item
                if isinstance(item, Finished):
                    return
        finally:
            row.cancel()

    def describe(self) -> EngineInfo:
        """Return what is loaded and how long the queue is."""
        base, adapters = self._model.memory_mib() if self._model else (None, {})
        return EngineInfo(
            title=self._title,
            device=str(self._model.device) if self._model else "not loaded",
            memory_mib=base,
            adapters=adapters,
            candidates=tuple(candidate.key for candidate in self._candidates),
            waiting=len(self._waiting) + self._running,
            doing=self._doing,
        )

    async def close(self) -> None:
        """End the worker at its next step, and free the model."""
        with self._arrived:
            self._is_closing = True
            self._arrived.notify_all()
        if self._thread:
            await asyncio.to_thread(self._thread.join, 30)
        self._model = self._encoder = None

    @property
    def _title(self) -> str:
        base = self._candidates[0].base or ""
        return EMBEDDED_NAME if base == EMBEDDED else base.rstrip("/").rsplit("/", 1)[-1]

    def _load(self) -> None:
        wait_politely()
        from backend.engines.local_model import load
        from backend.engines.prompt_tokens import PromptEncoder

        began = time.monotonic()
        self._tell(f"Loading {self._title}")
        model = load(self._candidates, self._settings, self._tell)
        encoder = PromptEncoder(model.tokenizer)
        for candidate in self._candidates:
            encoder.check(candidate.prompt, candidate.key)
        self._model, self._encoder = model, encoder
        self._tell(f"Warming {self._title} up")
        self._warm_up()
        self._doing = ""
        base, adapters = model.memory_mib()
        log().info(
            "model_ready",
            base=self._title,
            device=str(model.device),
            took_s=round(time.monotonic() - began, 1),
            memory_mib=round(base + sum(adapters.values())),
        )

    def _tell(self, line: str) -> None:
        self._doing = line
        log().info("model_loading", progress=line)

    def _warm_up(self) -> None:
        """Write two tokens with everything in one batch: the first forward pass is always slow."""
        from replybench.prompts import Turn

        rows = []
        for candidate in self._candidates:
            row = self._row(Job(candidate, "", (Turn("customer", "Hello"),)), lambda _: None)
            row.limit = 2
            rows.append(row)
        self._write(rows)

    def _row(self, job: Job, emit: Any) -> Any:
        from backend.engines.rows import Row

        settings, context = job.settings, self._model.context_length
        limit = min(settings.max_new_tokens, context // 2)
        with self._encoding:
            prompt = self._encoder.encode(job, min(job.candidate.max_prompt_tokens, context - limit))
        return Row(
            prompt=prompt.ids,
            was_cut=prompt.was_cut,
            adapter=self._model.adapter_name(job.candidate),
            limit=limit,
            settings=settings,
            markers=job.markers,
            tokenizer=self._model.tokenizer,
            emit=emit,
        )

    def _admit(self, row: Any) -> None:
        with self._arrived:
            if self._is_closing:
                raise Unavailable("The service is stopping. Ask again in a moment.")
            if len(self._waiting) >= self._settings.max_waiting:
                raise Busy("Too many tickets are waiting for this model. Ask again in a moment.")
            self._waiting.append(row)
            self._arrived.notify()

    # --- the worker's thread

    def _work(self) -> None:
        rows: list[Any] = []
        while not self._is_closing:
            rows = [row for row in rows if not row.is_done and not row.is_cancelled]
            self._running = len(rows)
            rows += self._next(len(rows))
            self._running = len(rows)
            if rows:
                self._write_or_fail(rows)

    def _next(self, running: int) -> list[Any]:
        """Return waiting rows for which there is room; wait for the first if nothing runs, then for companions."""
        with self._arrived:
            if not running:
                while not self._waiting and not self._is_closing:
                    self._arrived.wait()
                self._gather()
            room = max(0, self._settings.max_batch_rows - running)
            return [self._waiting.popleft() for _ in range(min(room, len(self._waiting)))]

    def _gather(self) -> None:
        """Wait a moment, as long as more keep coming: the answers to one ticket arrive one after another."""
        pause = self._settings.gather_ms / 1000
        while not self._is_closing and len(self._waiting) < self._settings.max_batch_rows:
            before = len(self._waiting)  # the lambda below is called in this round alone: B023 fears a later one
            self._arrived.wait_for(lambda: len(self._waiting) > before or self._is_closing, timeout=pause)  # noqa: B023
            if len(self._waiting) == before:
                return

    def _has_news(self, steps: int, rows: int) -> bool:
        if self._is_closing:
            return True
        return steps >= _STEPS_BEFORE_NEWS and bool(self._waiting) and rows < self._settings.max_batch_rows

    def _write(self, rows: Sequence[Any]) -> None:
        from backend.engines.rows import WatchRows

        def has_news(steps: int) -> bool:
            return self._has_news(steps, sum(not row.is_done for row in rows))

        self._model.write(rows, WatchRows(rows, self._model.ends, has_news))

    def _write_or_fail(self, rows: Sequence[Any]) -> None:
        """Let the rows write; if that fails, find out by halves whose fault it is, so that the others go on."""
        try:
            self._write(rows)
        except Exception as error:  # out of memory, a broken adapter: whatever it is, the worker must go on
            log().error("batch_failed", base=self._title, rows=len(rows), exc_info=error)
            left = [row for row in rows if not row.is_done and not row.is_cancelled]
            if len(left) == 1 and len(rows) == 1:
                sentence = "The model failed while it was writing (the log has the reason). Ask again."
                left[0].fail(EngineFailure(sentence))
                return
            middle = (len(left) + 1) // 2
            for half in (left[:middle], left[middle:]):
                if half:
                    self._write_or_fail(half)
