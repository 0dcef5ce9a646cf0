"""The fast engine for processors: OpenVINO GenAI on exported, merged weights, all candidates in one worker process.

Here prompts become tokens and tokens become text; `backend.engines.fast_worker` only ever sees token ids. It batches
continuously: a newcomer joins at the next step and waits for nobody. Why this library: docs/decisions/fast-engine.md.
"""

import asyncio
import contextlib
import importlib.util
import itertools
import multiprocessing
import os
import secrets
import threading
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

from backend.engines.base import Cut, EngineFailure, EngineInfo, Finished, Job
from backend.engines.detokenizer import Detokenizer
from backend.engines.fast_worker import Ask, Cancel, Lane, News, Ready, Setup, main
from backend.logs import log
from backend.settings import Settings
from replybench.errors import Busy, ConfigError, ReplybenchError, Unavailable
from replybench.lineups import Candidate
from replybench.prompts import clean_answer

_LOAD_S = 600.0
_LONGEST_PAUSE_S = 30.0


def is_installed() -> bool:
    """Whether the library is there; not every system has a wheel of it."""
    return importlib.util.find_spec("openvino_genai") is not None


class FastEngine:
    """One for all fast candidates of a lineup."""

    def __init__(self, candidates: Sequence[Candidate], settings: Settings, *, keeps_prefixes: bool = True) -> None:
        """`keeps_prefixes`: prompts that begin alike are read once; a measurement of first tokens turns it off."""
        for candidate in candidates:
            check_settings(candidate)
        self._candidates = list(candidates)
        self._settings = settings
        self._keeps_prefixes = keeps_prefixes
        self._writers: dict[str, Any] = {}
        self._refused: dict[str, str] = {}
        self._worker: Worker | None = None

    async def start(self) -> None:
        """Export what is not exported yet, start the worker process, load and warm up."""
        await asyncio.to_thread(self._load)

    async def stream(self, job: Job) -> AsyncGenerator[str | Finished, None]:
        """Hand the prompt over, and yield text as its tokens come."""
        worker = self._worker
        if worker is None:
            raise Unavailable("The fast engine is not loaded.")
        if worker.unfinished >= self._settings.max_waiting:
            raise Busy("Too many tickets are waiting for this model. Ask again in a moment.")
        if job.candidate.key in self._refused:
            raise EngineFailure(self._refused[job.candidate.key], reason="not_loaded")
        writer = self._writers[job.candidate.key]
        ask, was_cut = await asyncio.to_thread(writer.ask, job, worker.next_id())
        loop = asyncio.get_running_loop()
        items: asyncio.Queue[Any] = asyncio.Queue()

        def emit(item: Any) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has been closed: nobody reads any more
                loop.call_soon_threadsafe(items.put_nowait, item)

        worker.send(ask, emit)
        text = _Text(writer.tokenizer, job.markers, writer.ends, ask.limit)
        try:
            while not text.reason:
                item = await items.get()
                if isinstance(item, ReplybenchError):
                    raise item
                if piece := text.add(item):
                    yield piece
            cut: list[Cut] = ["prompt"] if was_cut else []
            if text.reason == "length":
                cut.append("output")
            yield Finished(text.reason, len(ask.prompt), text.tokens, tuple(cut))
        finally:
            worker.forget(ask.id)

    def describe(self) -> EngineInfo:
        """Return what is loaded; each candidate's weights are its own, so there is no base to share."""
        worker = self._worker
        return EngineInfo(
            title="OpenVINO GenAI",
            device="cpu" if worker else "not loaded",
            memory_mib=sum(worker.mib.values()) if worker else None,
            adapters=dict(worker.mib) if worker else {},
            candidates=tuple(candidate.key for candidate in self._candidates),
            waiting=worker.unfinished if worker else 0,
        )

    async def close(self) -> None:
        """End the worker process."""
        worker, self._worker = self._worker, None
        if worker:
            await asyncio.to_thread(worker.close)

    def _load(self) -> None:
        from backend.engines.export import ensure_exported

        began = time.monotonic()
        lanes = []
        for candidate in self._candidates:
            try:
                exported = ensure_exported(candidate, self._settings.model_cache_dir, _tell)
            except ConfigError as error:  # the other candidates can be served none the less
                self._refuse(candidate.key, error.message)
                continue
            writer = Writer(candidate, exported.tokenizer, exported.context)
            self._writers[candidate.key] = writer
            longest = min(exported.context, candidate.max_prompt_tokens + candidate.generation.max_new_tokens)
            lanes.append(Lane(candidate.key, str(exported.folder), longest, self._settings.max_batch_rows))
        if not lanes:
            raise ConfigError(" ".join(self._refused.values()))
        threads = self._settings.threads or os.cpu_count() or 1
        worker = Worker(Setup(tuple(lanes), threads, self._keeps_prefixes))
        worker.start()
        for key, why in worker.problems.items():
            self._refuse(key, f"The export of '{key}' could not be loaded ({why}). Delete it from the cache.")
        self._worker = worker
        took = round(time.monotonic() - began, 1)
        log().info("model_ready", base="OpenVINO GenAI", took_s=took, memory_mib=round(sum(worker.mib.values())))

    def _refuse(self, key: str, why: str) -> None:
        self._refused[key] = why
        log().error("candidate_not_served", candidate=key, why=why)


def check_settings(candidate: Candidate) -> None:
    """Raise ConfigError for a setting that this engine would have to ignore."""
    if candidate.generation.no_repeat_ngram_size:
        raise ConfigError(
            f"candidate '{candidate.key}': the fast engine does not know 'no_repeat_ngram_size'. "
            "Use 'repetition_penalty', or set engine = \"transformers\"."
        )
    if candidate.quantisation != "none":
        raise ConfigError(
            f"candidate '{candidate.key}': the fast engine has its own precision (8 bits). Leave 'quantisation' out."
        )


class Writer:
    """Turns jobs of one candidate into prompts."""

    def __init__(self, candidate: Candidate, tokenizer: Any, context: int) -> None:
        """`context`: how many tokens the base reads and writes in all."""
        from backend.engines.prompt_tokens import PromptEncoder

        self.tokenizer = tokenizer
        self.ends = frozenset({tokenizer.eos_token_id})
        self._context = context
        self._encoder = PromptEncoder(tokenizer)
        self._encoder.check(candidate.prompt, candidate.key)
        self._encoding = threading.Lock()  # fast tokenizers refuse to be used by two threads at once

    def ask(self, job: Job, id_: int) -> tuple[Ask, bool]:
        """Return what the worker is to be asked, and whether the ticket was cut."""
        settings = job.settings
        limit = min(settings.max_new_tokens, self._context // 2)
        with self._encoding:
            prompt = self._encoder.encode(job, min(job.candidate.max_prompt_tokens, self._context - limit))
        ask = Ask(
            id=id_,
            key=job.candidate.key,
            prompt=prompt.ids,
            ends=tuple(sorted(self.ends)),
            limit=limit,
            temperature=settings.temperature,
            top_p=settings.top_p,
            repetition_penalty=settings.repetition_penalty,
            seed=settings.seed if settings.seed is not None else secrets.randbits(63),
        )
        return ask, prompt.was_cut


class _Text:
    """What one job has written so far."""

    def __init__(self, tokenizer: Any, markers: Sequence[str], ends: frozenset[int], limit: int) -> None:
        self.reason: Any = None
        self.tokens = 0
        self._limit = limit
        self._ends = ends
        self._markers = tuple(markers)
        self._look_back = max(map(len, self._markers), default=0)
        self._tail = ""
        self._text = Detokenizer(tokenizer)

    def add(self, tokens: list[int] | None) -> str:
        """Return the text that the tokens complete; None means that the worker has no more."""
        pieces = []
        for token in tokens or ():
            if token in self._ends:
                self.reason = "stop"
                break
            self.tokens += 1
            piece = self._text.add(token)
            pieces.append(piece)
            seen = self._tail + piece
            self._tail = seen[-self._look_back :] if self._look_back else ""
            if self._markers and clean_answer(seen, self._markers)[1]:
                self.reason = "stop"
                break
        if self.reason is None and (tokens is None or self.tokens >= self._limit):
            self.reason = "length" if self.tokens >= self._limit else "stop"
        if self.reason:
            pieces.append(self._text.rest())
        return "".join(pieces)


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


def _tell(line: str) -> None:
    log().info("model_loading", progress=line)
