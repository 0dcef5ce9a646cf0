"""The backend's end of the fast engine's worker process: it is started, asked, listened to, and started again."""

import contextlib
import itertools
import multiprocessing
import threading
from collections.abc import Callable
from typing import Any

from backend.engines.base import EngineFailure
from backend.engines.fast_worker import Ask, Cancel, News, Ready, Setup, main
from backend.logs import log
from replybench.errors import ReplybenchError, Unavailable

_LOAD_S = 600.0
_LONGEST_PAUSE_S = 30.0


class Worker:
    """The worker process, and what it has been asked. A process that dies is started again."""

    def __init__(self, setup: Setup) -> None:
        self.mib: dict[str, float] = {}
        self.problems: dict[str, str] = {}
        self._setup = setup
        self._ids = itertools.count(1)
        self._asked: dict[int, Callable[[Any], None]] = {}
        self._lock = threading.Lock()
        self._connection: Any = None
        self._process: Any = None
        self._is_closing = threading.Event()
        self._listener: threading.Thread | None = None

    @property
    def unfinished(self) -> int:
        """How many jobs wait or are being written."""
        return len(self._asked)

    def next_id(self) -> int:
        """Return a number for the next job."""
        return next(self._ids)

    def start(self) -> None:
        """Start the process and wait until all is loaded.

        Raises:
            Unavailable: the process ended while it was loading.
        """
        self._spawn()
        self._listener = threading.Thread(target=self._listen, name="fast-engine", daemon=True)
        self._listener.start()

    def send(self, ask: Ask, emit: Callable[[Any], None]) -> None:
        """Ask; `emit` is called (from another thread) with lists of tokens, then None, or with an error.

        For a score it is called with a list of log-probabilities.
        """
        with self._lock:
            if self._connection is None:
                raise Unavailable("The fast engine is being started again. Ask again in a moment.")
            self._asked[ask.id] = emit
            with contextlib.suppress(OSError):  # it has just died: the listener tells all who wait
                self._connection.send(ask)

    def forget(self, id_: int) -> None:
        """Nobody waits for this job any more; its place is free at the next step."""
        with self._lock:
            if self._asked.pop(id_, None) is not None and self._connection is not None:
                with contextlib.suppress(OSError):
                    self._connection.send(Cancel(id_))

    def close(self) -> None:
        """End the process."""
        self._is_closing.set()
        process = self._process
        with self._lock, contextlib.suppress(OSError):
            if self._connection is not None:
                self._connection.send(None)
        if process is not None:
            process.join(3)
            if process.is_alive():
                process.kill()
                process.join()
        if self._listener is not None:
            self._listener.join(5)

    def _spawn(self) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=main, args=(theirs, self._setup), name="replybench-fast", daemon=True)
        process.start()
        theirs.close()
        try:
            if not ours.poll(_LOAD_S):
                raise Unavailable("The fast engine did not load within ten minutes.")
            ready: Ready = ours.recv()
        except (EOFError, OSError) as error:
            raise Unavailable("The fast engine's process ended while it was loading (the log has more).") from error
        self.mib, self.problems = ready.mib, ready.problems
        with self._lock:
            self._process, self._connection = process, ours

    def _listen(self) -> None:
        while not self._is_closing.is_set():
            try:
                self._pass_on(self._connection.recv())
            except (EOFError, OSError):
                self._mourn()
                if not self._is_closing.is_set():
                    self._start_again()

    def _pass_on(self, news: News) -> None:
        for id_, tokens in news.tokens.items():
            self._emit(id_, tokens)
        for id_, scores in news.scores.items():
            self._emit(id_, scores)
        for id_ in news.ended:
            self._emit(id_, None, is_last=True)
        for id_, why in news.failed.items():
            log().error("fast_engine_failed", why=why)
            failure = EngineFailure("The model failed while it was writing (the log has the reason). Ask again.")
            self._emit(id_, failure, is_last=True)

    def _emit(self, id_: int, item: Any, *, is_last: bool = False) -> None:
        with self._lock:
            emit = self._asked.pop(id_, None) if is_last else self._asked.get(id_)
        if emit:
            emit(item)

    def _mourn(self) -> None:
        with self._lock:
            self._connection = None
            asked, self._asked = self._asked, {}
        if self._process is not None and not self._is_closing.is_set():
            self._process.join(5)
            log().error("fast_engine_died", exit_status=self._process.exitcode, answers=len(asked))
        for emit in asked.values():
            emit(EngineFailure("The model's process ended while it was writing; it is started again. Ask again."))

    def _start_again(self) -> None:
        pause = 1.0
        while not self._is_closing.is_set():
            try:
                self._spawn()
            except ReplybenchError as error:
                log().error("fast_engine_not_started", why=error.message)
                self._is_closing.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_S)
            else:
                log().info("fast_engine_started_again")
                return
